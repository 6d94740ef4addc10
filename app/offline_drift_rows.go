package app

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// compareRows compares what needs the values themselves, one column at a time.
func (r *driftRun) compareRows(ctx context.Context, c comparing) error {
	bar := progressCount(r.opts.Streams.Err, len(r.columns), "comparing "+c.uri)
	defer func() { _ = bar.Finish() }() // drawing only
	for i, column := range r.columns {
		if column.View != modelwatch.ViewValue && r.opts.Compat != "" {
			continue // no other tool has it
		}
		if err := r.compareColumn(ctx, c, i, column); err != nil {
			return err
		}
		_ = bar.Set(i + 1) // drawing only
	}
	return nil
}

func (r *driftRun) compareColumn(ctx context.Context, c comparing, at int, column modelwatch.Column) error {
	var baseline, current []drift.Sample
	var err error
	if r.opts.Compat != "" || column.Type == modelwatch.TypeNumber { // what is no number has exact profiles
		if baseline, err = r.samples(ctx, r.baseline.source, r.baseline.uri, column, 0); err != nil {
			return err
		}
		if current, err = r.samples(ctx, c.source, c.uri, column, c.chunk.rows); err != nil {
			return err
		}
	}
	return r.eachChunk(ctx, c, at, len(current), func(chunk int, p *profile.Profile) error {
		var values []modelwatch.Value
		metrics := r.applicable(column)
		switch {
		case r.opts.Compat != "":
			values, err = r.compat(column, baseline[0], current[chunk])
		case len(metrics) == 0:
		case column.Type == modelwatch.TypeNumber:
			values = drift.MeasureExact(r.baseline.set.Columns[at].Profile, p, baseline[0], current[chunk], metrics, r.measureOptions(column))
		default:
			values = drift.Measure(r.baseline.set.Columns[at].Profile, p, metrics, r.measureOptions(column))
		}
		for _, v := range values {
			c.emit(about(modelwatch.Measurement{Chunk: chunk}, column, v))
		}
		return err
	})
}

// eachChunk calls f for each chunk of a column, with its profile where there is a
// baseline's to compare it with.
func (r *driftRun) eachChunk(ctx context.Context, c comparing, at, chunks int, f func(chunk int, p *profile.Profile) error) error {
	if r.baseline.set == nil {
		for i := range chunks {
			rows := c.source.Rows()
			if c.chunk.rows > 0 {
				rows = min(c.chunk.rows, rows-int64(i)*c.chunk.rows)
			}
			c.count(i, nil, nil, nil, rows)
			if err := f(i, nil); err != nil {
				return err
			}
		}
		return nil
	}
	like := subset(r.baseline.set, []int{at})
	unweighed := int64(0)
	_, err := engine.ProfileGroups(ctx, c.source, like, engine.GroupOptions{ChunkRows: c.chunk.rows, Weight: r.known.columns.Weight}, func(g engine.Group) error {
		c.count(g.Chunk, nil, g.Set, []int{at}, g.Rows)
		unweighed += g.Set.InvalidWeights()
		return f(g.Chunk, g.Set.Columns[0].Profile)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.uri, err)
	}
	if at > 0 {
		return nil // all columns have the same rows
	}
	return r.noteWeights(ctx, c.uri, c.source, unweighed)
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
