package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// learnChunks is how many chunks of the baseline thresholds are learnt from where
// --chunk does not say how long one is.
const learnChunks = 10

// comparing is one comparison of a table with the baseline: of the current rows,
// or of the baseline's own, to learn from.
type comparing struct {
	source engine.Source
	uri    string
	chunk  chunking
	emit   func(modelwatch.Measurement)
	count  func(chunk int, window *modelwatch.Window, set *profile.Set, columns []int, rows int64) // of the whole population; set may be nil
}

// measure compares the current rows with the baseline, and before that the
// baseline's own chunks, where thresholds are learnt from them.
func (r *driftRun) measure(ctx context.Context) error {
	if r.learns() {
		err := r.compare(ctx, comparing{source: r.baseline.source, uri: r.baseline.uri, chunk: r.learnChunk(), emit: func(m modelwatch.Measurement) {
			if s := m.Series(); m.Value.Value != nil {
				r.learnt[s] = append(r.learnt[s], *m.Value.Value)
			}
		}, count: func(int, *modelwatch.Window, *profile.Set, []int, int64) {}})
		if err != nil {
			return err
		}
	}
	var err error
	if r.columnwise() {
		err = r.compareColumnwise(ctx)
	} else {
		err = r.compareCurrent(ctx)
	}
	if err != nil {
		return err
	}
	r.sort()
	r.changes = r.schemaChanges()
	return nil
}

// compareCurrent compares the current rows with the profiles of all columns, or by
// rows.
func (r *driftRun) compareCurrent(ctx context.Context) error {
	if r.baseline.set != nil && r.byGroups() {
		r.current.set = r.baseline.set.Empty()
	}
	err := r.compare(ctx, comparing{source: r.current.source, uri: r.current.uri, chunk: r.chunk, count: r.countCurrent, emit: func(m modelwatch.Measurement) {
		r.measured = append(r.measured, m)
	}})
	if err != nil || r.byRows() {
		return err
	}
	r.outlines = make([]outline, len(r.columns))
	for i, c := range r.columns {
		r.outlines[i] = r.outline(c, r.baseline.set.Columns[i].Profile, r.current.set.Columns[i].Profile)
	}
	return nil
}

// learnChunk is the chunking of the baseline.
func (r *driftRun) learnChunk() chunking {
	if r.chunk.any() {
		return r.chunk
	}
	return chunking{rows: max((r.baseline.rows+learnChunks-1)/learnChunks, 1)}
}

// countCurrent takes in what a chunk of the current rows is, and adds its profile to
// that of all of them.
func (r *driftRun) countCurrent(chunk int, window *modelwatch.Window, set *profile.Set, columns []int, rows int64) {
	for len(r.chunks) <= chunk {
		r.chunks = append(r.chunks, driftChunk{})
	}
	r.chunks[chunk] = driftChunk{window: window, rows: rows}
	if chunk > 0 {
		r.chunks[chunk].before = r.chunks[chunk-1].before + r.chunks[chunk-1].rows
	}
	switch {
	case set == nil:
		return
	case r.current.set == nil:
		r.current.set = set // of all columns and all rows
		return
	}
	for i, at := range columns {
		into := &r.current.set.Columns[at]
		if into.Profile.Rows() == 0 {
			into.Profile = set.Columns[i].Profile // it is the receiver's
		} else if err := into.Profile.Merge(set.Columns[i].Profile); err != nil {
			panic(err) // both are on the baseline's grid
		}
	}
}

// byRows reports whether raw values are compared, and not only profiles.
func (r *driftRun) byRows() bool { return r.opts.Compat != "" || r.opts.Exact }

// byGroups reports whether the current rows are cut into chunks or segments.
func (r *driftRun) byGroups() bool { return r.chunk.any() || len(r.segments) > 0 }

func (r *driftRun) compare(ctx context.Context, c comparing) error {
	switch {
	case r.opts.Exact:
		return r.compareExact(ctx, c)
	case r.opts.Compat != "":
		return r.compareCompat(ctx, c)
	case c.chunk.any() || len(r.segments) > 0:
		return r.compareGroups(ctx, c)
	}
	set, err := r.profileTable(ctx, c.source)
	if err != nil {
		return fmt.Errorf("profile %s: %w", c.uri, err)
	}
	if err := r.noteWeights(ctx, c.uri, c.source, set.InvalidWeights()); err != nil {
		return err
	}
	all := make([]int, len(set.Columns))
	for i := range all {
		all[i] = i
	}
	c.count(0, nil, set, all, c.source.Rows())
	r.measureSets(r.baseline.set, set, modelwatch.Measurement{}, c.emit)
	return nil
}

// profileTable counts all rows of a side on the baseline's grids.
func (r *driftRun) profileTable(ctx context.Context, source engine.Source) (set *profile.Set, err error) {
	if r.known.columns.Weight == "" {
		return engine.ProfileTable(ctx, source, r.baseline.set)
	}
	_, err = engine.ProfileGroups(ctx, source, r.baseline.set, engine.GroupOptions{Weight: r.known.columns.Weight}, func(g engine.Group) error {
		set = g.Set
		return nil
	})
	return set, err
}

// measureSets measures every column of two sets on the same grids. like carries
// what the measurements have in common.
func (r *driftRun) measureSets(baseline, current *profile.Set, like modelwatch.Measurement, emit func(modelwatch.Measurement)) {
	for i, c := range baseline.Columns {
		for _, v := range r.measureColumn(&c, &current.Columns[i]) {
			emit(about(like, c.Column, v))
		}
	}
}

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

// sort puts the measurements by chunk, the whole population before segments, and
// otherwise as they came: columns are compared in blocks where there are many.
func (r *driftRun) sort() {
	place := map[string]int{"": 0}
	for i := range r.measured {
		if key := modelwatch.SegmentKey(r.measured[i].Segment); place[key] == 0 && key != "" {
			place[key] = len(place)
		}
	}
	slices.SortStableFunc(r.measured, func(a, b modelwatch.Measurement) int {
		if a.Chunk != b.Chunk {
			return a.Chunk - b.Chunk
		}
		return place[modelwatch.SegmentKey(a.Segment)] - place[modelwatch.SegmentKey(b.Segment)]
	})
}
