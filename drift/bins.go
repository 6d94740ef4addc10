package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// floor is the least proportion that PSI and KL give to a bin.
const floor = 1e-4

// bins are the proportions of the drift bins.
type bins struct {
	p, q []float64 // without the bins that are empty on both sides
	n, m float64   // effective counts
	// empty is the number of bins that are empty on both sides.
	empty int
	// The same with the floor of psi, over every frozen bin: what is floored is a
	// bin of the feature, whether or not it holds a value.
	flooredP, flooredQ []float64
	// drawn are the samples behind simulated null points.
	drawn [2][]float64
	// contest is how the bins were selected; nil where that does not matter.
	contest *contest
}

func (c *comparison) bins() *bins {
	if c.sharedBins == nil {
		c.sharedBins = newBins(c.baseline.BinMass(), c.current.BinMass(), c.n, c.m)
		c.sharedBins.contest = newContest(c.baseline, c.current, c.n, c.m)
	}
	return c.sharedBins
}

// newBins takes the weight per bin, and the effective counts of both sides.
func newBins(baseline, current []float64, n, m float64) *bins {
	b := &bins{n: n, m: m}
	p, q := proportions(baseline), proportions(current)
	for i := range p {
		if p[i] == 0 && q[i] == 0 {
			b.empty++
			continue
		}
		b.p = append(b.p, p[i])
		b.q = append(b.q, q[i])
	}
	empty := make([]float64, b.empty)
	b.flooredP, b.flooredQ = floored(nil, b.p, empty), floored(nil, b.q, empty)
	return b
}

func proportions(mass []float64) []float64 {
	var total float64
	for _, k := range mass {
		total += k
	}
	p := make([]float64, len(mass))
	for i, k := range mass {
		p[i] = k / total
	}
	return p
}

// floored appends to f max(x, floor) of p and of the empty bins, renormalised.
func floored(f, p, empty []float64) []float64 {
	var total float64
	for _, bins := range [...][]float64{p, empty} {
		for _, x := range bins {
			x = max(x, floor)
			f = append(f, x)
			total += x
		}
	}
	for i := range f {
		f[i] /= total
	}
	return f
}

// distance is a function of the bins.
type distance func(*bins) float64

// binned sets the value to f of the bins. Its null point is simulated where bins
// are sparse.
func (c *comparison) binned(v *modelwatch.Value, f, null distance) {
	if !c.compared(v) {
		return
	}
	b := c.bins()
	if b.sparse() || b.contest != nil {
		null = func(b *bins) float64 { return b.simulate(f).point95() }
	}
	v.Value, v.Null95 = ptr(f(b)), ptr(null(b))
}

// divergence sets the value to f of the bins, with its null point and p-value:
// by chi-square, or simulated where bins are sparse or, for what has one, near the
// floor.
func (c *comparison) divergence(v *modelwatch.Value, f distance, s smooth) {
	if !c.compared(v) {
		return
	}
	b := c.bins()
	x := f(b)
	v.Value = &x
	if b.sparse() || s.floored && b.floorMatters() {
		null := b.simulate(f)
		v.Null95, v.PValue = ptr(null.point95()), ptr(null.pValue(x))
		return
	}
	v.Null95, v.PValue = ptr(s.null95(b)), ptr(s.pValue(b, x))
}

// psi is the population stability index, the sum of (q'-p') ln(q'/p') with p' =
// max(p, 1e-4), renormalised, and q' likewise.
//
// Range: [0, inf), 0 if p = q. Customary limits are 0.1 and 0.25.
func psi(c *comparison, v *modelwatch.Value) {
	c.divergence(v, (*bins).psi, smooth{scale: 1, power: 1. / 2, floored: true})
}

func (b *bins) psi() float64 {
	p, q := b.flooredP, b.flooredQ
	var s float64
	for i := range p {
		s += (q[i] - p[i]) * math.Log(q[i]/p[i])
	}
	return s
}

// kl is the Kullback-Leibler divergence of the current from the baseline, the
// sum of q' ln(q'/p') in nats, with the floor of psi.
//
// Range: [0, inf).
func kl(c *comparison, v *modelwatch.Value) {
	c.divergence(v, (*bins).kl, smooth{scale: 1. / 2, power: 2. / 3, floored: true})
}

func (b *bins) kl() float64 {
	p, q := b.flooredP, b.flooredQ
	var s float64
	for i := range p {
		// q ln(q/p) - q + p is never negative, and sums to the same.
		s += max(q[i]*math.Log(q[i]/p[i])-q[i]+p[i], 0)
	}
	return s
}

// jsDivergence is the Jensen-Shannon divergence in bits: the mean of the
// divergences of p and q from (p+q)/2, where 0 log 0 = 0.
//
// Range: [0, 1].
func jsDivergence(c *comparison, v *modelwatch.Value) {
	c.divergence(v, (*bins).jensenShannon, smooth{scale: 1 / (8 * math.Ln2), power: 1. / 2})
}

// jsDistance is the square root of jsDivergence, a metric.
//
// Range: [0, 1].
func jsDistance(c *comparison, v *modelwatch.Value) {
	c.divergence(v, func(b *bins) float64 { return math.Sqrt(b.jensenShannon()) },
		smooth{scale: 1 / (8 * math.Ln2), power: 1. / 2, root: true})
}

// jensenShannon sums s/4 h(t) / ln 2 with s = p+q, t = (p-q)/s and h(t) =
// (1+t) ln(1+t) + (1-t) ln(1-t), which has no cancellation where p and q agree.
func (b *bins) jensenShannon() float64 {
	var sum float64
	for i, p := range b.p {
		if s := p + b.q[i]; s > 0 {
			sum += s * entropyGap((p-b.q[i])/s)
		}
	}
	return min(sum/(4*math.Ln2), 1)
}

func entropyGap(t float64) float64 {
	t = math.Abs(t)
	switch {
	case t >= 1:
		return 2 * math.Ln2
	case t < 0.02:
		u := t * t
		return u * (1 + u*(1./6+u*(1./15+u*(1./28+u/45))))
	}
	return (1+t)*math.Log1p(t) + (1-t)*math.Log1p(-t)
}

// hellinger is sqrt(1 - sum sqrt(p q)), computed as the norm of sqrt(p)-sqrt(q)
// over sqrt(2).
//
// Range: [0, 1].
func hellinger(c *comparison, v *modelwatch.Value) {
	c.divergence(v, (*bins).hellinger, smooth{scale: 1. / 8, power: 1. / 2, root: true})
}

func (b *bins) hellinger() float64 {
	var s float64
	for i, p := range b.p {
		d := math.Sqrt(p) - math.Sqrt(b.q[i])
		s += d * d
	}
	return min(math.Sqrt(s/2), 1)
}

// tvd is the total variation distance, half the sum of |p - q|.
//
// Range: [0, 1].
func tvd(c *comparison, v *modelwatch.Value) {
	c.binned(v, (*bins).tvd, (*bins).tvdNull)
}

func (b *bins) tvd() float64 {
	var s float64
	for i, p := range b.p {
		s += math.Abs(p - b.q[i])
	}
	return min(s/2, 1)
}

// lInfinity is the largest |p - q|.
//
// Range: [0, 1].
func lInfinity(c *comparison, v *modelwatch.Value) {
	c.binned(v, (*bins).lInfinity, (*bins).lInfinityNull)
}

func (b *bins) lInfinity() float64 {
	var s float64
	for i, p := range b.p {
		s = max(s, math.Abs(p-b.q[i]))
	}
	return s
}

// chi2 is Pearson's statistic of homogeneity of the 2 x B table of counts,
// without Yates' correction and without the bins that are empty on both sides.
// The p-value has B-1 degrees of freedom.
//
// Range: [0, n+m].
func chi2(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	x, p := c.bins().chi2()
	v.Value, v.PValue = ptr(x), ptr(p)
	if b := c.bins(); b.sparse() {
		v.Null95 = ptr(b.simulate(func(b *bins) float64 { x, _ := b.chi2(); return x }).point95())
	} else {
		v.Null95 = ptr(b.point95(b.n / (b.n + b.m)))
	}
}

// chi2P is the p-value of chi2: small is drift.
//
// Range: [0, 1].
func chi2P(c *comparison, v *modelwatch.Value) {
	if c.compared(v) {
		_, p := c.bins().chi2()
		v.Value, v.PValue = ptr(p), ptr(p)
	}
}

// chi2 uses that the statistic of a 2 x B table is n m sum (p-q)^2 / (n p + m q).
func (b *bins) chi2() (x, p float64) {
	for i := range b.p {
		d := b.p[i] - b.q[i]
		if d == 0 {
			continue // a simulated bin may be empty on both sides
		}
		x += d * d * b.n * b.m / (b.n*b.p[i] + b.m*b.q[i])
	}
	return x, chi2Survival(x, len(b.p)-1)
}
