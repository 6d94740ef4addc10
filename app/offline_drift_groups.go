package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// collected is what was measured of the groups of one table.
type collected struct {
	groups []engine.Group         // in the order of values
	values [][][]modelwatch.Value // by column and group
}

func newCollected(columns int) *collected {
	return &collected{values: make([][][]modelwatch.Value, columns)}
}

// learner gathers the values of the baseline's own groups.
type learner struct {
	mu     sync.Mutex
	values map[modelwatch.Series][]float64
}

// add takes in what was measured of a column in a group.
func (l *learner) add(c modelwatch.Column, g engine.Group, values []modelwatch.Value) {
	like := modelwatch.Measurement{Segment: g.Segment}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range values {
		if v.Value == nil {
			continue
		}
		m := about(like, c, v)
		s := m.Series()
		l.values[s] = append(l.values[s], *v.Value)
	}
}

// take makes the values of the current rows the measurements, by chunk and segment, the whole population
// first, and the other segments as they came.
func (r *driftRun) take(c *collected) {
	n := 0
	for _, groups := range c.values {
		for _, values := range groups {
			n += len(values)
		}
	}
	// What judge adds to each group finds room.
	r.measured = make([]modelwatch.Measurement, 0, n+len(c.groups)*(1+len(r.known.groups))*(2*len(r.metrics)+2))
	for _, at := range r.order(c.groups) {
		g := c.groups[at]
		like := modelwatch.Measurement{Chunk: g.Chunk, Segment: g.Segment}
		if g.Window != nil {
			like.Window = *g.Window
		}
		for i, column := range r.columns {
			if c.values[i] == nil {
				continue // it was not compared
			}
			for _, v := range c.values[i][at] {
				r.measured = append(r.measured, about(like, column, v))
			}
			c.values[i][at] = nil
		}
	}
}

// order sorts groups, and takes in what the chunks are.
func (r *driftRun) order(groups []engine.Group) []int {
	place := map[string]int{"": 0}
	places, order := make([]int, len(groups)), make([]int, len(groups))
	for i, g := range groups {
		key := modelwatch.SegmentKey(g.Segment)
		at, known := place[key]
		if !known {
			at = len(place)
			place[key] = at
		}
		places[i], order[i] = at, i
		if at == 0 {
			r.countChunk(g)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(groups[a].Chunk, groups[b].Chunk), cmp.Compare(places[a], places[b]))
	})
	return order
}

// countChunk takes in the whole population of a chunk.
func (r *driftRun) countChunk(g engine.Group) {
	for len(r.chunks) <= g.Chunk {
		r.chunks = append(r.chunks, driftChunk{})
	}
	r.chunks[g.Chunk] = driftChunk{window: g.Window, rows: g.Rows}
	if g.Chunk > 0 {
		before := r.chunks[g.Chunk-1]
		r.chunks[g.Chunk].before = before.before + before.rows
	}
}

// learnChunk is the chunking of the baseline.
func (r *driftRun) learnChunk() chunking {
	if r.chunk.any() {
		return r.chunk
	}
	return chunking{rows: max((r.baseline.rows+learnChunks-1)/learnChunks, 1)}
}

// groupOptions cut rows into chunks.
func (r *driftRun) groupOptions(c chunking) engine.GroupOptions {
	return engine.GroupOptions{ChunkRows: c.rows, ChunkPeriod: c.period, Time: r.known.columns.Time}
}

// learning compares the baseline's own chunks with it.
func (r *driftRun) learning() engine.Comparison {
	return engine.Comparison{Side: r.baseline.side(), Groups: r.groupOptions(r.learnChunk()), Group: func(i int, g engine.Group, baseline, current *profile.SetColumn) error {
		r.learnt.add(r.columns[i], g, r.measureColumn(baseline, current))
		return nil
	}}
}

// crossings are the segments that the baseline has.
func (r *driftRun) crossings(ctx context.Context) ([]engine.Crossing, error) {
	if len(r.segments) == 0 {
		return nil, nil
	}
	crossings, err := engine.Crossings(ctx, r.baseline.source, r.segments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.baseline.uri, err)
	}
	return crossings, nil
}

// noteTimeless says which rows are in no chunk by time.
func (r *driftRun) noteTimeless(uri string, stats engine.GroupStats) {
	if stats.NoTime > 0 {
		fmt.Fprintf(r.opts.Streams.Err, "note: %d rows of %s have no %s and are in no chunk\n", stats.NoTime, uri, orText(r.known.columns.Time, modelwatch.ColumnTime))
	}
}
