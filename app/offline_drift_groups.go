package app

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// segmentBytes is about how much memory the baseline's profiles by segment take.
// Where those of all columns would take more, columns are compared in blocks.
const segmentBytes = 256 << 20

// compareGroups compares the rows by chunk and by segment, each with the same
// segment of the baseline.
func (r *driftRun) compareGroups(ctx context.Context, c comparing) error {
	crossings, err := engine.Crossings(ctx, r.baselineRows(), r.segments)
	if err != nil {
		return fmt.Errorf("%s: %w", r.baseline.uri, err)
	}
	for _, block := range blocks(r.baseline.set, crossings) {
		if err := r.compareBlock(ctx, c, crossings, block); err != nil {
			return err
		}
	}
	return nil
}

// baselineRows are the rows that segments are found in. A saved profile has none,
// and then nothing is asked of them.
func (r *driftRun) baselineRows() engine.Source {
	if r.baseline.source != nil {
		return r.baseline.source
	}
	return r.current.source
}

// blocks divides the columns so that the profiles of a block by segment fit into
// segmentBytes.
func blocks(s *profile.Set, crossings []engine.Crossing) [][]int {
	segments := 1
	for _, c := range crossings {
		segments += len(c.Known) + 2
	}
	var out [][]int
	var block []int
	size := 0
	for i, c := range s.Columns {
		bytes := segments * (8*len(c.Profile.Cells()) + 3<<10)
		if size += bytes; len(crossings) > 0 && len(block) > 0 && size > segmentBytes {
			out, block, size = append(out, block), nil, bytes
		}
		block = append(block, i)
	}
	return append(out, block)
}

func (r *driftRun) compareBlock(ctx context.Context, c comparing, crossings []engine.Crossing, block []int) error {
	whole := subset(r.baseline.set, block)
	segments := map[string]*profile.Set{}
	if len(crossings) > 0 {
		_, err := engine.ProfileGroups(ctx, r.baseline.source, whole, engine.GroupOptions{Crossings: crossings, Weight: r.known.columns.Weight}, func(g engine.Group) error {
			segments[modelwatch.SegmentKey(g.Segment)] = g.Set
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", r.baseline.uri, err)
		}
	}
	segments[""] = whole
	empty, unweighed := whole.Empty(), int64(0)
	bar := progressCount(r.opts.Streams.Err, -1, "comparing "+c.uri)
	stats, err := engine.ProfileGroups(ctx, c.source, whole, engine.GroupOptions{
		Weight: r.known.columns.Weight, Crossings: crossings, ChunkRows: c.chunk.rows, ChunkPeriod: c.chunk.period, Time: r.known.columns.Time,
		Progress: func(done, total int64) { bar.ChangeMax64(total); _ = bar.Set64(done) }, // drawing only
	}, func(g engine.Group) error {
		baseline := segments[modelwatch.SegmentKey(g.Segment)]
		if baseline == nil {
			baseline = empty // a group of other or missing values that the baseline does not have
		}
		like := modelwatch.Measurement{Chunk: g.Chunk, Segment: g.Segment}
		if g.Window != nil {
			like.Window = *g.Window
		}
		if g.Segment == nil {
			c.count(g.Chunk, g.Window, g.Set, block, g.Rows)
			unweighed += g.Set.InvalidWeights()
		}
		r.measureSets(baseline, g.Set, like, c.emit)
		return nil
	})
	_ = bar.Finish() // drawing only
	if err != nil {
		return fmt.Errorf("%s: %w", c.uri, err)
	}
	if block[0] == 0 { // all blocks have the same rows
		if err := r.noteWeights(ctx, c.uri, c.source, unweighed); err != nil {
			return err
		}
	}
	if stats.NoTime > 0 {
		fmt.Fprintf(r.opts.Streams.Err, "note: %d rows of %s have no %s and are in no chunk\n", stats.NoTime, c.uri, orText(r.known.columns.Time, modelwatch.ColumnTime))
	}
	return nil
}
