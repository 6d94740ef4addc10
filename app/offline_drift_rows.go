package app

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
)

// compareExact compares columns by their rows, and keeps of each what is measured.
func (r *driftRun) compareExact(ctx context.Context, c comparing) (*collected, error) {
	out := newCollected(len(r.columns))
	outlines := make([]outline, len(r.columns))
	var unweighed [2]int64
	bar := progressCount(r.opts.Streams.Err, len(r.columns), "comparing "+c.uri)
	err := engine.CompareRows(ctx, r.baseline.side(), engine.Side{Name: c.uri, Source: c.source}, r.columns, engine.RowOptions{
		Weight: r.known.columns.Weight, ChunkRows: c.chunk.rows,
		Progress: func(done, _ int) { _ = bar.Set(done) }, // drawing only
	}, func(i int, baseline engine.Rows, current []engine.Rows) error {
		whole := baseline.Profile.Empty()
		for chunk, rows := range current {
			if out.values[i] = append(out.values[i], r.measureRows(r.columns[i], baseline, rows)); i == 0 { // all columns have the same
				out.groups = append(out.groups, engine.Group{Chunk: chunk, Rows: rows.N})
			}
			if err := whole.Merge(rows.Profile); err != nil {
				return err
			}
		}
		outlines[i] = r.outline(r.columns[i], baseline.Profile, whole)
		if i == 0 {
			unweighed = [2]int64{baseline.Profile.InvalidWeights(), whole.InvalidWeights()}
		}
		return nil
	})
	_ = bar.Finish() // drawing only
	if err != nil {
		return nil, err
	}
	r.outlines = outlines
	if c.source == r.current.source {
		if err := r.noteUnweighed(ctx, unweighed); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noteUnweighed says how many rows of each side are counted nowhere.
func (r *driftRun) noteUnweighed(ctx context.Context, rows [2]int64) error {
	if r.baseline.set == nil { // else it was said when the set was made
		if err := r.noteWeights(ctx, r.baseline.uri, r.baseline.source, rows[0]); err != nil {
			return err
		}
	}
	return r.noteWeights(ctx, r.current.uri, r.current.source, rows[1])
}

// measureRows measures a column of a chunk.
func (r *driftRun) measureRows(column modelwatch.Column, baseline, current engine.Rows) []modelwatch.Value {
	metrics := r.applicable(column)
	switch {
	case len(metrics) == 0:
		return nil
	case column.Type == modelwatch.TypeNumber:
		return drift.MeasureExact(baseline.Profile, current.Profile, drift.Sample(baseline.Sample), drift.Sample(current.Sample), metrics, r.measureOptions(column))
	}
	return drift.Measure(baseline.Profile, current.Profile, metrics, r.measureOptions(column))
}

// compareCompat compares as another tool does, one column at a time.
func (r *driftRun) compareCompat(ctx context.Context, c comparing) (*collected, error) {
	out := newCollected(len(r.columns))
	bar := progressCount(r.opts.Streams.Err, len(r.columns), "comparing "+c.uri)
	defer func() { _ = bar.Finish() }() // drawing only
	for i, column := range r.columns {
		if column.View != modelwatch.ViewValue {
			continue // no other tool has it
		}
		if err := r.compareColumn(ctx, c, i, out); err != nil {
			return nil, err
		}
		_ = bar.Set(i + 1) // drawing only
	}
	return out, nil
}

func (r *driftRun) compareColumn(ctx context.Context, c comparing, i int, out *collected) error {
	column := r.columns[i]
	baseline, err := r.samples(ctx, r.baseline.source, r.baseline.uri, column, 0)
	if err != nil {
		return err
	}
	current, err := r.samples(ctx, c.source, c.uri, column, c.chunk.rows)
	if err != nil {
		return err
	}
	for chunk := range current {
		rows := c.source.Rows()
		if c.chunk.rows > 0 {
			rows = min(c.chunk.rows, rows-int64(chunk)*c.chunk.rows)
		}
		if chunk == len(out.groups) { // all columns have the same
			out.groups = append(out.groups, engine.Group{Chunk: chunk, Rows: rows})
		}
		values, err := r.compat(column, baseline[0], current[chunk])
		if err != nil {
			return err
		}
		out.values[i] = append(out.values[i], values)
	}
	return nil
}

// compat measures a column as another tool does: where no metric is named, by that
// tool's own, the quality ratios, and what thresholds are about.
func (r *driftRun) compat(column modelwatch.Column, baseline, current drift.Sample) ([]modelwatch.Value, error) {
	lists := [][]string{r.metrics}
	if len(r.opts.Metrics) == 0 {
		lists = [][]string{nil, append([]string{drift.MissingRatio, drift.InvalidRatio}, r.metrics...)}
	}
	var out []modelwatch.Value
	known := map[string]bool{}
	for _, metrics := range lists {
		values, err := drift.MeasureCompat(r.opts.Compat, baseline, current, metrics, drift.Options{MinimumRows: r.opts.MinimumRows})
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "--compat %s", r.opts.Compat)
		}
		for _, v := range values {
			if !known[v.Metric] && drift.AppliesTo(v.Metric, column) {
				known[v.Metric] = true
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// samples reads a column of one side.
func (r *driftRun) samples(ctx context.Context, source engine.Source, uri string, column modelwatch.Column, rows int64) ([]drift.Sample, error) {
	read, err := engine.ReadSamples(ctx, source, column, r.known.columns.Weight, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", uri, err)
	}
	out := make([]drift.Sample, len(read))
	for i, s := range read {
		out[i] = drift.Sample(s)
	}
	return out, nil
}
