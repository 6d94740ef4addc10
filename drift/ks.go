package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// kolmogorov95 is the 95 % point of the Kolmogorov distribution.
const kolmogorov95 = 1.3580986393225507

// gaps are F - G along the grid.
type gaps struct {
	lower, upper float64 // of sup |F - G|
	n, m         float64
}

func (c *comparison) distances() *gaps {
	if c.gaps == nil {
		c.gaps = newGaps(c.baseline, c.current)
	}
	return c.gaps
}

// newGaps walks the cells. At a cut, and just before it, F and G are known.
// Inside an open cell F is somewhere between its values at both ends, and so is
// G: |F - G| is at most the larger of |F(end) - G(start)| and |G(end) -
// F(start)|, and that is attained if the values stand in that order.
func newGaps(baseline, current *profile.Profile) *gaps {
	n, m := baseline.Count(), current.Count()
	g := &gaps{n: float64(n), m: float64(m)}
	var f, h int64 // values so far
	for i, k := range baseline.Cells() {
		l := current.Cells()[i]
		if i%2 == 0 {
			g.upper = max(g.upper, gap(f+k, h, n, m), gap(f, h+l, n, m))
		}
		f, h = f+k, h+l
		d := gap(f, h, n, m)
		g.lower, g.upper = max(g.lower, d), max(g.upper, d)
	}
	return g
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
// The p-value is [KolmogorovSurvival] of the value, with n m / (n+m) rounded. Null95 is the
// asymptotic 95 % point, 1.3581 sqrt(1/n + 1/m).
//
// Range: [0, 1].
func ks(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	g := c.distances()
	v.Value = ptr(g.lower)
	if g.upper > g.lower {
		v.Lower, v.Upper = ptr(g.lower), ptr(g.upper)
	}
	v.PValue = ptr(ksSurvival(g.lower, g.n, g.m))
	v.Null95 = ptr(min(kolmogorov95*math.Sqrt(1/g.n+1/g.m), 1))
}

// ksP is the two-sided p-value of ks: small is drift.
//
// Range: [0, 1].
func ksP(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	g := c.distances()
	p := ksSurvival(g.lower, g.n, g.m)
	v.Value, v.PValue = ptr(p), ptr(p)
	if g.upper > g.lower {
		v.Lower, v.Upper = ptr(ksSurvival(g.upper, g.n, g.m)), ptr(p)
	}
}

// ksSurvival is the two-sided p-value for two samples of n and m values.
func ksSurvival(d, n, m float64) float64 {
	return KolmogorovSurvival(int64(max(math.RoundToEven(n*m/(n+m)), 1)), d)
}
