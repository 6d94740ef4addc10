package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// kolmogorov95 is the 95 % point of the Kolmogorov distribution.
const kolmogorov95 = 1.3580986393225507

// gaps enclose sup |F - G|, and hold the p-value of the lower end.
type gaps struct {
	lower, upper float64
	p            float64
}

func (c *comparison) gaps() *gaps {
	if c.sharedGaps != nil {
		return c.sharedGaps
	}
	var g gaps
	if c.rows != nil {
		c.rows.compute()
		g.lower, g.upper = c.rows.ks, c.rows.ks
	} else {
		g.lower, g.upper = c.steps().supremum()
	}
	g.p = c.ksSurvival(g.lower)
	c.sharedGaps = &g
	return &g
}

// supremum encloses sup |F - G|. At a cut, and just before it, F and G are
// known. Inside an open cell F is somewhere between its values at both ends, and
// so is G: |F - G| is at most the larger of |F(end) - G(start)| and |G(end) -
// F(start)|, and that is attained if the values stand in that order.
func (s *steps) supremum() (lower, upper float64) {
	for i := range s.cells() {
		if i%2 == 0 {
			upper = max(upper, math.Abs(s.difference(i+1, i)), math.Abs(s.difference(i, i+1)))
		}
		lower = max(lower, math.Abs(s.difference(i+1, i+1)))
	}
	return lower, max(lower, upper)
}

// gap returns |f/n - h/m|.
func gap(f, h, n, m int64) float64 { return math.Abs(difference(f, h, n, m)) }

// ks is the Kolmogorov-Smirnov statistic sup |F - G|. Ties are stepped together.
//
// The value is the largest gap at a cut or just before it. It is the exact
// statistic if no gap between two cuts can be larger, which holds whenever every
// distinct value of one side is a cut; else Lower and Upper enclose the
// statistic, and the value is Lower, a gap that does occur.
//
// The p-value is two-sided: exact for up to 10,000 values on both sides (as in
// SciPy; where it is under 1e-6 only if that takes few steps), else that of
// [KolmogorovSurvival] with n m / (n+m) rounded. Null95 is the asymptotic 95 %
// point, 1.3581 sqrt(1/n + 1/m), or simulated where both sides hold few distinct
// values: ties make large gaps rarer.
//
// Range: [0, 1].
func ks(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	g := c.gaps()
	v.Value, v.PValue = ptr(g.lower), ptr(g.p)
	if g.upper > g.lower {
		v.Lower, v.Upper = ptr(g.lower), ptr(g.upper)
	}
	v.Null95 = ptr(c.ksNull())
}

// fewValues is the number of distinct values up to which ties lower the null
// point of ks noticeably.
const fewValues = 40

// ksNull is the 95 % point of ks under no drift.
func (c *comparison) ksNull() float64 {
	if b := c.tied(); b != nil {
		return b.simulate((*bins).supremum).point95()
	}
	return min(kolmogorov95*math.Sqrt(1/c.n+1/c.m), 1)
}

// tied returns the cells as bins if both sides hold few distinct values, each of
// them a cut; else nil.
func (c *comparison) tied() *bins {
	x, y := c.baseline.CellMass(), c.current.CellMass()
	used := 0
	for i := range x {
		if x[i] == 0 && y[i] == 0 {
			continue
		}
		if used++; used > fewValues || i%2 == 0 {
			return nil
		}
	}
	return newBins(x, y, c.n, c.m)
}

// supremum is the largest difference of what is in the first bins.
func (b *bins) supremum() float64 {
	var d, f, g float64
	for i := range b.p {
		f, g = f+b.p[i], g+b.q[i]
		d = max(d, math.Abs(f-g))
	}
	return d
}

// ksP is the two-sided p-value of ks: small is drift.
//
// Range: [0, 1].
func ksP(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	g := c.gaps()
	v.Value, v.PValue = ptr(g.p), ptr(g.p)
	if g.upper > g.lower {
		v.Lower, v.Upper = ptr(c.ksSurvival(g.upper)), ptr(g.p)
	}
}
