package profile

import (
	"slices"
	"sort"
)

// buckets are the runs of values that are sorted only where they are looked at:
// the values are dealt out to the cells of provisional cuts, and a cell is
// sorted when a rank within it is asked for. Finding the cuts of a grid takes a
// third of the time that sorting all values does.
type buckets struct {
	values []float64 // by cell
	starts []int     // of each cell, and the end
	sorted []bool
}

// newBuckets returns the runs of values in any order. They may be put in order.
func newBuckets(values []float64) runs {
	if len(values) < 4*fineCuts {
		SortFloats(values, make([]float64, len(values)))
		return sortedRuns(values)
	}
	cuts := provisional(&heldSpace{}, values)
	f := newFinder(cuts)
	places := make([]uint16, len(values))
	f.place(places, values)
	b := &buckets{starts: make([]int, 2*len(cuts)+2), sorted: make([]bool, 2*len(cuts)+1), values: make([]float64, len(values))}
	for _, p := range places {
		b.starts[p+1]++
	}
	for i := range b.sorted {
		b.starts[i+1] += b.starts[i]
		b.sorted[i] = i%2 == 1 // of one value
	}
	next := slices.Clone(b.starts)
	for i, p := range places {
		b.values[next[p]] = values[i]
		next[p]++
	}
	return b
}

func (b *buckets) total() int64       { return int64(len(b.values)) }
func (b *buckets) first() run         { return b.run(0) }
func (b *buckets) last() run          { return b.run(len(b.values) - 1) }
func (b *buckets) complete() bool     { return true }
func (b *buckets) few() ([]run, bool) { return nil, false } // else there is a table of them

func (b *buckets) at(rank int64) (before, found run) {
	found = b.run(int(rank - 1))
	if start := found.upTo - found.n; start > 0 {
		before = b.run(int(start - 1))
	}
	return before, found
}

// run returns the run of the i-th value in order. Equal values share a cell.
func (b *buckets) run(i int) run {
	cell := sort.SearchInts(b.starts, i+1) - 1
	from, to := b.starts[cell], b.starts[cell+1]
	if !b.sorted[cell] {
		slices.Sort(b.values[from:to])
		b.sorted[cell] = true
	}
	r := sortedRuns(b.values[from:to]).around(i - from)
	r.upTo += int64(from)
	return r
}
