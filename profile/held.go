package profile

import (
	"cmp"
	"slices"
)

// heldSpace is what finding the runs of held values needs, to be used again.
type heldSpace struct {
	places          []uint16
	sample, scratch []float64
}

// heldRuns returns the runs of values in any order, of which m has the extremes. They may be
// put in order: all of them up to exactValues; beyond, the provisional cuts, the
// extremes, and all runs of the cells in which a drift bin may end.
func heldRuns(space *heldSpace, values []float64, m *moments) runs {
	if len(values) <= exactValues {
		return newBuckets(values)
	}
	f := newCounts(provisional(space, values))
	space.places = slices.Grow(space.places[:0], len(values))[:len(values)]
	newFinder(f.cuts).place(space.places, values)
	for _, p := range space.places {
		f.cells[p]++
	}
	f.addTails(values, m)
	list, ok := f.runs()
	if !ok {
		return newBuckets(values)
	}
	list = append(list, f.binRuns(space, values)...)
	slices.SortFunc(list, func(x, y run) int { return cmp.Compare(x.value, y.value) })
	return &listedRuns{list: slices.Compact(list)} // an extreme may be there twice
}

// binRuns returns all runs of the cells between two cuts in which a drift bin may
// end, or right above which one does. The values were counted, and their cells are in places.
func (f *fineCounts) binRuns(space *heldSpace, values []float64) []run {
	wanted := make([]bool, len(f.cells))
	n, upTo, bin := int64(len(values)), int64(0), int64(1)
	below := map[int]int64{} // how many values are below a wanted cell
	for i, k := range f.cells {
		for upTo += k; bin < NumberBins && upTo*NumberBins >= bin*n; bin++ {
			open := i &^ 1
			below[open], wanted[open] = upTo-k, true
			if i != open {
				below[open] -= f.cells[open]
			}
		}
	}
	inside := make(map[int][]float64, len(below))
	for i, p := range space.places {
		if wanted[p] {
			inside[int(p)] = append(inside[int(p)], values[i])
		}
	}
	var list []run
	for cell, in := range inside {
		slices.Sort(in)
		for at := 0; at < len(in); {
			r := sortedRuns(in).around(at)
			at = int(r.upTo)
			r.upTo += below[cell]
			list = append(list, r)
		}
	}
	return list
}
