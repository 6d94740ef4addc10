package app

import (
	"context"
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// Chunks implements schedule.BaselineProfiles.
func (b *baselines) Chunks(ctx context.Context, baseline modelwatch.Baseline, grids *profile.Set, n int, f func(*profile.Set) error) error {
	if baseline.DataKey == "" {
		return nil
	}
	reader, closer, err := b.open(ctx, baseline)
	if err != nil {
		return err
	}
	defer closer.Close()
	_, err = engine.ProfileGroups(ctx, reader, grids, engine.GroupOptions{ChunkRows: chunkRows(reader.Rows(), n), Weight: engine.WeightColumn(reader)}, func(g engine.Group) error { return f(g.Set) })
	return err
}

// Crossings implements schedule.BaselineProfiles.
func (b *baselines) Crossings(ctx context.Context, baseline modelwatch.Baseline, columns [][]string) ([]modelwatch.Crossing, error) {
	reader, closer, err := b.open(ctx, baseline)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return engine.Crossings(ctx, reader, columns)
}

// Truth implements schedule.BaselineProfiles.
func (b *baselines) Truth(ctx context.Context, baseline modelwatch.Baseline, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) (bool, error) {
	if baseline.DataKey == "" {
		return false, nil
	}
	model, err := b.catalog.Model(ctx, baseline.Model)
	if err != nil {
		return false, err
	}
	reader, closer, err := b.open(ctx, baseline)
	if err != nil {
		return false, err
	}
	defer closer.Close()
	rows := newBaselineRows(reader, fields)
	if !rows.scored() {
		return false, nil
	}
	join := engine.FileJoin{
		Predictions: reader, Columns: rows.columns,
		Numbers: model.Task == modelwatch.TaskRegression || model.Task == modelwatch.TaskRanking,
	}
	_, err = join.Run(ctx, func(batch *modelwatch.JoinedBatch) error { return rows.each(batch, f) })
	return true, err
}

// baselineRows gives a baseline's rows the form of joined ones. Columns of fields
// that the baseline lacks have no value in its rows.
type baselineRows struct {
	columns  engine.JoinColumns
	classes  []int // of each of fields.Classes, in columns.ClassScores; -1: not there
	segments []int // of each of fields.Segments, in columns.Segments; likewise

	found, scores []float64
	texts         []string
}

func newBaselineRows(r *table.Reader, fields modelwatch.JoinedFields) *baselineRows {
	has := func(name string) string {
		if _, ok := r.Column(name); ok {
			return name
		}
		return ""
	}
	b := &baselineRows{columns: engine.JoinColumns{
		Score: has(modelwatch.ColumnScore), Predicted: has(modelwatch.ColumnPredicted), Label: has(modelwatch.ColumnLabel), Weight: has(modelwatch.ColumnWeight),
	}}
	if fields.Group {
		b.columns.Group = has(modelwatch.ColumnGroup)
	}
	place := func(name string, into *[]string) int {
		if has(name) == "" {
			return -1
		}
		*into = append(*into, name)
		return len(*into) - 1
	}
	for _, class := range fields.Classes {
		b.classes = append(b.classes, place(modelwatch.PrefixScore+class, &b.columns.ClassScores))
	}
	for _, name := range fields.Segments {
		b.segments = append(b.segments, place(name, &b.columns.Segments))
	}
	return b
}

// scored reports whether the rows have predictions and the truth.
func (b *baselineRows) scored() bool {
	c := &b.columns
	return c.Label != "" && (c.Score != "" || c.Predicted != "" || len(c.ClassScores) > 0)
}

func (b *baselineRows) each(batch *modelwatch.JoinedBatch, f func(modelwatch.Joined) error) error {
	b.scores, b.texts = make([]float64, len(b.classes)), make([]string, len(b.segments))
	for i := range batch.Rows {
		j := batch.Row(i, b.found)
		if b.found = j.Scores; len(b.classes) > 0 {
			for k, at := range b.classes {
				if b.scores[k] = math.NaN(); at >= 0 {
					b.scores[k] = b.found[at]
				}
			}
			j.Scores = b.scores
		}
		for k, at := range b.segments {
			b.texts[k] = modelwatch.SegmentMissing
			if at >= 0 {
				if text, ok := batch.Segments[at].Class(i); ok {
					b.texts[k] = text
				}
			}
		}
		j.Segments = b.texts
		if err := f(j); err != nil {
			return err
		}
	}
	return nil
}
