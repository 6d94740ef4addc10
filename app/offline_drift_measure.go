package app

import (
	"context"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// learnChunks is how many chunks of the baseline thresholds are learnt from where
// --chunk does not say how long one is.
const learnChunks = 10

// comparing is a comparison of a table with the baseline by their rows: of the current rows,
// or of the baseline's own, to learn from.
type comparing struct {
	source engine.Source
	uri    string
	chunk  chunking
}

// measure compares the current rows with the baseline, and the
// baseline's own chunks, where thresholds are learnt from them.
func (r *driftRun) measure(ctx context.Context) error {
	compare := r.compareColumns
	if r.byRows() {
		compare = r.compareRows
	}
	if err := compare(ctx); err != nil {
		return err
	}
	r.changes = r.schemaChanges()
	return nil
}

// compareRows compares by rows, and not only by profiles.
func (r *driftRun) compareRows(ctx context.Context) error {
	compare := r.compareExact
	if r.opts.Compat != "" {
		compare = r.compareCompat
	}
	if r.learns() {
		own, err := compare(ctx, comparing{source: r.baseline.source, uri: r.baseline.uri, chunk: r.learnChunk()})
		if err != nil {
			return err
		}
		for i := range own.values {
			for k, values := range own.values[i] {
				r.learnt.add(r.columns[i], own.groups[k], values)
			}
		}
	}
	c, err := compare(ctx, comparing{source: r.current.source, uri: r.current.uri, chunk: r.chunk})
	if err != nil {
		return err
	}
	r.take(c)
	return nil
}

// byRows reports whether raw values are compared, and not only profiles.
func (r *driftRun) byRows() bool { return r.opts.Compat != "" || r.opts.Exact }

// measureColumn measures a column of two profiles on the same grid.
func (r *driftRun) measureColumn(baseline, current *profile.SetColumn) []modelwatch.Value {
	metrics := r.applicable(baseline.Column)
	if len(metrics) == 0 {
		return nil
	}
	return drift.Measure(baseline.Profile, current.Profile, metrics, r.measureOptions(baseline.Column))
}

func (r *driftRun) measureOptions(c modelwatch.Column) drift.Options {
	return drift.Options{MinimumRows: r.opts.MinimumRows, View: c.View}
}

// about completes a measurement of a column.
func about(like modelwatch.Measurement, c modelwatch.Column, v modelwatch.Value) modelwatch.Measurement {
	like.Value, like.Kind, like.Subject, like.Name = v, modelwatch.JobDrift, c.Subject, c.Name
	return like
}

// applicable drops what a column has no value for, so that a metric named for
// the numbers does not fill the categories with reasons.
func (r *driftRun) applicable(c modelwatch.Column) []string {
	var out []string
	for _, m := range r.metrics {
		if drift.AppliesTo(m, c) {
			out = append(out, m)
		}
	}
	return out
}
