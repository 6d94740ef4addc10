package app

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// openRows opens the rows of a baseline. One that is a profile alone has none:
// CodeInvalid.
func (b *baselines) openRows(ctx context.Context, baseline modelwatch.Baseline) (*table.Reader, io.Closer, error) {
	if baseline.DataKey == "" {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "baseline %s has no rows, it was registered from statistics", baseline.ID)
	}
	object, err := b.bucket.Open(ctx, baseline.DataKey)
	if err != nil {
		return nil, nil, fmt.Errorf("open rows of baseline %s: %w", baseline.ID, err)
	}
	reader, err := table.OpenParquet(object, object.Size())
	if err != nil {
		object.Close()
		return nil, nil, fmt.Errorf("open rows of baseline %s: %w", baseline.ID, err)
	}
	return reader, object, nil
}

// weightColumn is the column of the rows' weights, "" if they have none.
func weightColumn(r *table.Reader) string {
	if _, ok := r.Column(modelwatch.ColumnWeight); ok {
		return modelwatch.ColumnWeight
	}
	return ""
}

// Chunks implements schedule.BaselineProfiles.
func (b *baselines) Chunks(ctx context.Context, baseline modelwatch.Baseline, grids *profile.Set, n int, f func(*profile.Set) error) error {
	if baseline.DataKey == "" {
		return nil
	}
	reader, object, err := b.openRows(ctx, baseline)
	if err != nil {
		return err
	}
	defer object.Close()
	rows := max(1, (reader.Rows()+int64(n)-1)/int64(n))
	_, err = engine.ProfileGroups(ctx, reader, grids, engine.GroupOptions{ChunkRows: rows}, func(g engine.Group) error { return f(g.Set) })
	return err
}

// Crossings implements schedule.BaselineProfiles.
func (b *baselines) Crossings(ctx context.Context, baseline modelwatch.Baseline, columns [][]string) ([]modelwatch.Crossing, error) {
	reader, object, err := b.openRows(ctx, baseline)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	return engine.Crossings(ctx, reader, columns)
}

// Rows implements schedule.BaselineProfiles.
func (b *baselines) Rows(ctx context.Context, baseline modelwatch.Baseline, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) (bool, error) {
	if baseline.DataKey == "" {
		return false, nil
	}
	model, err := b.catalog.Model(ctx, baseline.Model)
	if err != nil {
		return false, err
	}
	reader, object, err := b.openRows(ctx, baseline)
	if err != nil {
		return false, err
	}
	defer object.Close()
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
