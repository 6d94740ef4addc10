package profile

import (
	"math"
	"slices"
	"sort"
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
	grid, _ := numberGrid(sortedRuns(sortedFinite(values)))
	return grid
}

// run is a distinct value, how many values are equal to it, and how many are
// equal to it or less.
type run struct {
	value   float64
	n, upTo int64
}

// runs are the distinct values of a column in ascending order.
type runs interface {
	total() int64
	first() run
	last() run
	// at returns the run that holds the value of a rank, from 1 to total, and the one before, which is
	// empty for the first. Ranks are asked for in ascending order.
	at(rank int64) (before, run run)
	// few returns all runs, or false if they are more than MaxCuts.
	few() ([]run, bool)
	// complete reports whether the runs are all distinct values.
	complete() bool
}

func sortedFinite(values []float64) []float64 {
	s := make([]float64, 0, len(values))
	for _, v := range values {
		if finite(v) {
			s = append(s, v+0) // -0 + 0 is +0
		}
	}
	if len(s) >= 1<<digitBits {
		SortFloats(s, make([]float64, len(s)))
	} else {
		slices.Sort(s)
	}
	return s
}

func finite(v float64) bool { return v-v == 0 }

// sortedRuns are the runs of sorted values.
type sortedRuns []float64

func (s sortedRuns) total() int64   { return int64(len(s)) }
func (s sortedRuns) first() run     { return s.around(0) }
func (s sortedRuns) last() run      { return s.around(len(s) - 1) }
func (s sortedRuns) complete() bool { return true }

func (s sortedRuns) at(rank int64) (before, found run) {
	found = s.around(int(rank - 1))
	if start := found.upTo - found.n; start > 0 {
		before = s.around(int(start - 1))
	}
	return before, found
}

// around returns the run of the i-th value. It looks for its ends in steps that
// double, since most runs are short.
func (s sortedRuns) around(i int) run {
	v := s[i]
	step, lo := 1, i
	for lo-step >= 0 && s[lo-step] == v {
		lo -= step
		step *= 2
	}
	from := max(0, lo-step)
	start, _ := slices.BinarySearch(s[from:lo+1], v)
	start += from
	hi := i
	for step = 1; hi+step < len(s) && s[hi+step] == v; step *= 2 {
		hi += step
	}
	rest := s[hi:min(len(s), hi+step)]
	end := hi + sort.Search(len(rest), func(k int) bool { return rest[k] > v })
	return run{v, int64(end - start), int64(end)}
}

func (s sortedRuns) few() ([]run, bool) {
	var all []run
	for i := 0; i < len(s); i = int(all[len(all)-1].upTo) {
		if len(all) == MaxCuts {
			return nil, false
		}
		all = append(all, s.around(i))
	}
	return all, true
}

// listedRuns are runs in a list, which need not be all distinct values: what
// lies between two belongs to the upper one's upTo.
type listedRuns struct {
	list []run
	all  bool
}

func (l *listedRuns) total() int64 {
	if len(l.list) == 0 {
		return 0
	}
	return l.last().upTo
}

func (l *listedRuns) first() run     { return l.list[0] }
func (l *listedRuns) last() run      { return l.list[len(l.list)-1] }
func (l *listedRuns) complete() bool { return l.all }

func (l *listedRuns) at(rank int64) (before, found run) {
	i := sort.Search(len(l.list), func(i int) bool { return l.list[i].upTo >= rank })
	if i > 0 {
		before = l.list[i-1]
	}
	return before, l.list[i]
}

func (l *listedRuns) few() ([]run, bool) { return l.list, len(l.list) <= MaxCuts }

// numberGrid freezes the grid of runs. It returns the runs of its cuts too.
func numberGrid(r runs) (*Grid, []run) {
	if r.total() == 0 {
		return newNumberGrid(nil, nil, true), nil
	}
	chosen, few := r.few()
	if !few {
		chosen = make([]run, 0, MaxCuts+1)
		chosen = append(chosen, r.first())
		for _, b := range boundaries(r, MaxCuts) {
			if b.value > chosen[len(chosen)-1].value {
				chosen = append(chosen, b)
			}
		}
		chosen = append(chosen, r.last())
	}
	cuts := make([]float64, len(chosen))
	for i, c := range chosen {
		cuts[i] = c.value
	}
	var edges []int
	for _, b := range boundaries(r, NumberBins) {
		e, _ := slices.BinarySearch(cuts, b.value)
		edges = append(edges, e)
	}
	return newNumberGrid(cuts, edges, few && r.complete()), chosen
}

// boundaries returns the runs that end a group, ascending and without the last
// run, for the division into so many groups of equal size.
func boundaries(r runs, groups int64) []run {
	n := r.total()
	var ends []run
	for j := int64(1); j < groups; j++ {
		before, best := r.at((j*n + groups - 1) / groups)
		if best.upTo == n || before.upTo > 0 && j*n-before.upTo*groups < best.upTo*groups-j*n {
			best = before
		}
		if best.upTo > 0 && (len(ends) == 0 || best.upTo > ends[len(ends)-1].upTo) {
			ends = append(ends, best)
		}
	}
	return ends
}

// numberCells returns the counts on a grid of the runs of its cuts; total is how
// many values there are, those beyond the last cut too.
func numberCells(chosen []run, total int64) []int64 {
	cells := make([]int64, 2*len(chosen)+1)
	last := int64(0)
	for i, r := range chosen {
		cells[2*i], cells[2*i+1] = r.upTo-r.n-last, r.n
		last = r.upTo
	}
	cells[2*len(chosen)] = total - last
	return cells
}

// newNumberGrid builds the grid from what its encoding holds.
func newNumberGrid(cuts []float64, edges []int, exact bool) *Grid {
	g := &Grid{kind: KindNumber, cells: 2*len(cuts) + 1, cuts: cuts, edges: edges, exact: exact}
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
