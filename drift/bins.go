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
	// The same with the floor of psi, over every frozen bin: what is floored is a
	// bin of the feature, whether or not it holds a value.
	flooredP, flooredQ []float64
}

func (c *comparison) bins() *bins {
	if c.sharedBins == nil {
		c.sharedBins = newBins(c.baseline.BinMass(), c.current.BinMass(), c.n, c.m)
	}
	return c.sharedBins
}

// newBins takes the weight per bin, and the effective counts of both sides.
func newBins(baseline, current []float64, n, m float64) *bins {
	b := &bins{n: n, m: m}
	p, q := proportions(baseline), proportions(current)
	b.flooredP, b.flooredQ = floored(p), floored(q)
	for i := range p {
		if p[i] != 0 || q[i] != 0 {
			b.p = append(b.p, p[i])
			b.q = append(b.q, q[i])
		}
	}
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

// floored returns max(x, floor), renormalised.
func floored(p []float64) []float64 {
	f := make([]float64, len(p))
	var total float64
	for i, x := range p {
		f[i] = max(x, floor)
		total += f[i]
	}
	for i := range f {
		f[i] /= total
	}
	return f
}

// binned sets the value to f of the bins.
func (c *comparison) binned(v *modelwatch.Value, f func(*bins) float64, null func(*bins) float64) {
	if c.compared(v) {
		v.Value, v.Null95 = ptr(f(c.bins())), ptr(null(c.bins()))
	}
}

// divergence sets the value to f of the bins, with its null point and p-value.
func (c *comparison) divergence(v *modelwatch.Value, f func(*bins) float64, s smooth) {
	if c.compared(v) {
		c.binned(v, f, s.null95)
		v.PValue = ptr(s.pValue(c.bins(), *v.Value))
	}
}

// psi is the population stability index, the sum of (q'-p') ln(q'/p') with p' =
// max(p, 1e-4), renormalised, and q' likewise.
//
// Range: [0, inf), 0 if p = q. Customary limits are 0.1 and 0.25.
func psi(c *comparison, v *modelwatch.Value) {
	c.divergence(v, func(b *bins) float64 {
		p, q := b.flooredP, b.flooredQ
		var s float64
		for i := range p {
			s += (q[i] - p[i]) * math.Log(q[i]/p[i])
		}
		return s
	}, smooth{scale: 1})
}

// kl is the Kullback-Leibler divergence of the current from the baseline, the
// sum of q' ln(q'/p') in nats, with the floor of psi.
//
// Range: [0, inf).
func kl(c *comparison, v *modelwatch.Value) {
	c.divergence(v, func(b *bins) float64 {
		p, q := b.flooredP, b.flooredQ
		var s float64
		for i := range p {
			// q ln(q/p) - q + p is never negative, and sums to the same.
			s += max(q[i]*math.Log(q[i]/p[i])-q[i]+p[i], 0)
		}
		return s
	}, smooth{scale: 1. / 2})
}

// jsDivergence is the Jensen-Shannon divergence in bits: the mean of the
// divergences of p and q from (p+q)/2, where 0 log 0 = 0.
//
// Range: [0, 1].
func jsDivergence(c *comparison, v *modelwatch.Value) {
	c.divergence(v, (*bins).jensenShannon, smooth{scale: 1 / (8 * math.Ln2)})
}

// jsDistance is the square root of jsDivergence, a metric.
//
// Range: [0, 1].
func jsDistance(c *comparison, v *modelwatch.Value) {
	c.divergence(v, func(b *bins) float64 { return math.Sqrt(b.jensenShannon()) },
		smooth{scale: 1 / (8 * math.Ln2), root: true})
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
	c.divergence(v, (*bins).hellinger, smooth{scale: 1. / 8, root: true})
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
	c.binned(v, func(b *bins) float64 {
		var s float64
		for i, p := range b.p {
			s = max(s, math.Abs(p-b.q[i]))
		}
		return s
	}, (*bins).lInfinityNull)
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
	v.Null95 = ptr(chi2Quantile(len(c.bins().p) - 1))
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
		x += d * d * b.n * b.m / (b.n*b.p[i] + b.m*b.q[i])
	}
	return x, chi2Survival(x, len(b.p)-1)
}
