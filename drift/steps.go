package drift

import (
	"math/bits"

	"github.com/modelwatch/modelwatch/profile"
)

// steps are F and G along the cells of a grid. Without weights they are held as
// counts, so that their differences are rounded once.
type steps struct {
	count [2][]int64   // values in the first i cells
	share [2][]float64 // the share of the weight; nil without weights
	n, m  int64
}

func (c *comparison) steps() *steps {
	if c.sharedSteps == nil {
		c.sharedSteps = newSteps(c.baseline, c.current)
	}
	return c.sharedSteps
}

func newSteps(baseline, current *profile.Profile) *steps {
	s := &steps{n: baseline.Count(), m: current.Count()}
	weighted := baseline.Weighted() || current.Weighted()
	for side, p := range [...]*profile.Profile{baseline, current} {
		if weighted {
			s.share[side] = cumulated(p.CellMass())
			continue
		}
		counts := make([]int64, len(p.Cells())+1)
		for i, k := range p.Cells() {
			counts[i+1] = counts[i] + k
		}
		s.count[side] = counts
	}
	return s
}

// cumulated returns the shares of the total that the first i masses hold.
func cumulated(mass []float64) []float64 {
	shares := make([]float64, len(mass)+1)
	var sum compensated
	for i, w := range mass {
		sum.add(w)
		shares[i+1] = sum.value()
	}
	total := shares[len(mass)]
	for i := range shares {
		shares[i] /= total
	}
	return shares
}

func (s *steps) cells() int { return max(len(s.count[0]), len(s.share[0])) - 1 }

// f returns F after i cells.
func (s *steps) f(i int) float64 { return s.at(0, i, s.n) }

// g returns G after i cells.
func (s *steps) g(i int) float64 { return s.at(1, i, s.m) }

func (s *steps) at(side, i int, n int64) float64 {
	if s.share[side] != nil {
		return s.share[side][i]
	}
	return float64(s.count[side][i]) / float64(n)
}

// difference returns F after i cells less G after j.
func (s *steps) difference(i, j int) float64 {
	if s.share[0] != nil {
		return s.share[0][i] - s.share[1][j]
	}
	return difference(s.count[0][i], s.count[1][j], s.n, s.m)
}

// difference returns f/n - h/m, rounded once.
func difference(f, h, n, m int64) float64 {
	h1, l1 := bits.Mul64(uint64(f), uint64(m))
	h2, l2 := bits.Mul64(uint64(h), uint64(n))
	lo, borrow := bits.Sub64(l1, l2, 0)
	hi, borrow := bits.Sub64(h1, h2, borrow)
	sign := 1.0
	if borrow != 0 {
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
		sign = -1
	}
	return sign * (float64(hi)*0x1p64 + float64(lo)) / (float64(n) * float64(m))
}
