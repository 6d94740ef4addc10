package profile

import (
	"math"
	"slices"
)

// NewNumberGrid freezes the grid of a number column from its baseline values.
// The values are not changed; NaN and infinities are ignored, -0 is 0.
//
// With at most MaxCuts distinct values each is a cut. Otherwise the cuts are the
// ends of about MaxCuts quantile groups, the smallest and the largest value: for
// j = 1 ... MaxCuts-1 the rank nearest to j n / MaxCuts at which one value ends
// and the next begins (the higher one if two are as near), so that equal values
// are never split.
//
// The drift bins are NumberBins such groups; their edges are cuts. A value that
// fills several groups leaves fewer bins. A constant baseline has three: below
// it, the constant, above it.
func NewNumberGrid(values []float64) *Grid {
	runs := runsOf(sortedFinite(values))
	return numberGridFromRuns(runs, len(runs) <= MaxCuts)
}

// run is a distinct value and the number of values up to and including it.
type run struct {
	value float64
	upTo  int64
}

func sortedFinite(values []float64) []float64 {
	s := make([]float64, 0, len(values))
	for _, v := range values {
		if finite(v) {
			s = append(s, v+0) // -0 + 0 is +0
		}
	}
	slices.Sort(s)
	return s
}

func finite(v float64) bool { return v-v == 0 }

func runsOf(sorted []float64) []run {
	var runs []run
	for i, v := range sorted {
		if i+1 == len(sorted) || sorted[i+1] != v {
			runs = append(runs, run{v, int64(i + 1)})
		}
	}
	return runs
}

// numberGridFromRuns builds the grid; exact says that the runs are all distinct
// values of the baseline.
func numberGridFromRuns(runs []run, exact bool) *Grid {
	if len(runs) == 0 {
		return newNumberGrid(nil, nil, true)
	}
	cuts := make([]float64, 0, min(len(runs), MaxCuts+1))
	if len(runs) <= MaxCuts {
		for _, r := range runs {
			cuts = append(cuts, r.value)
		}
	} else {
		cuts = append(cuts, runs[0].value)
		for _, r := range boundaries(runs, MaxCuts) {
			if v := runs[r].value; v > cuts[len(cuts)-1] {
				cuts = append(cuts, v)
			}
		}
		cuts = append(cuts, runs[len(runs)-1].value)
	}
	var edges []int
	for _, r := range boundaries(runs, NumberBins) {
		e, _ := slices.BinarySearch(cuts, runs[r].value)
		edges = append(edges, e)
	}
	return newNumberGrid(cuts, edges, exact)
}

// boundaries returns the runs that end a group, ascending and without the last
// run, for the division into so many groups of equal size.
func boundaries(runs []run, groups int64) []int {
	n := runs[len(runs)-1].upTo
	var ends []int
	at := 0 // the first run that reaches the target
	for j := int64(1); j < groups; j++ {
		for runs[at].upTo*groups < j*n {
			at++
		}
		best := at
		if at == len(runs)-1 || at > 0 && j*n-runs[at-1].upTo*groups < runs[at].upTo*groups-j*n {
			best = at - 1
		}
		if best >= 0 && (len(ends) == 0 || best > ends[len(ends)-1]) {
			ends = append(ends, best)
		}
	}
	return ends
}

// newNumberGrid builds the grid from what its encoding holds.
func newNumberGrid(cuts []float64, edges []int, exact bool) *Grid {
	g := &Grid{kind: KindNumber, cells: 2*len(cuts) + 1, cuts: cuts, edges: edges, exact: exact}
	g.finder = newFinder(cuts)
	if len(cuts) == 1 {
		g.constantBins(cuts[0])
	}
	for _, e := range edges {
		g.bins = append(g.bins, Bin{Upper: &cuts[e]})
		g.ends = append(g.ends, 2*e+2)
	}
	g.bins = append(g.bins, Bin{})
	g.ends = append(g.ends, g.cells)
	return g.seal()
}

// constantBins sets the bins below and at a constant.
func (g *Grid) constantBins(c float64) {
	if below := math.Nextafter(c, math.Inf(-1)); finite(below) {
		g.bins = append(g.bins, Bin{Upper: &below})
		g.ends = append(g.ends, 1)
	}
	g.bins = append(g.bins, Bin{Upper: &c})
	g.ends = append(g.ends, 2)
}
