package profile

import "sort"

// finder locates a value among the cuts.
type finder struct{ cuts []float64 }

func newFinder(cuts []float64) finder { return finder{cuts} }

// cell returns the cell of a finite value.
func (f *finder) cell(v float64) int {
	i := sort.SearchFloat64s(f.cuts, v)
	if i < len(f.cuts) && f.cuts[i] == v {
		return 2*i + 1
	}
	return 2 * i
}
