package drift

import (
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// nannyBins is the number of equal-width bins, and of baseline values from which
// NannyML uses them instead of the values.
const nannyBins = 10_000

// nannyML is the univariate methods of NannyML 0.13. Its thresholds are learnt:
// mean plus three population standard deviations over the baseline's chunks.
func nannyML() preset {
	return preset{
		name: NannyML,
		numbers: []compatMetric{
			{name: JSDistance, measure: nannyJS},
			{name: KS, measure: nannyKS},
			{name: Wasserstein, measure: nannyWasserstein},
			{name: Hellinger, measure: nannyHellinger},
		},
		categories: []compatMetric{
			{name: JSDistance, measure: nannyJS},
			{name: Chi2, measure: nannyChi2},
			{name: Chi2P, measure: nannyChi2P, threshold: 0.05},
			{name: LInfinity, measure: unionLInfinity},
			{name: Hellinger, measure: nannyHellinger},
		},
	}
}

// nannyShares are the proportions per bin: Doane's bins of the baseline, or its
// categories; and one bin for what is in none of them.
func (c *compat) nannyShares() (p, q []float64) {
	if c.number {
		edges := doane(c.finite())
		k, l := histogram(c.x, edges), histogram(c.y, edges)
		return leftover(shares(k, c.n), shares(l, c.m), sum(l), float64(c.m))
	}
	var k, l []float64
	for i, n := range c.k {
		if n > 0 {
			k, l = append(k, n), append(l, c.l[i])
		}
	}
	return leftover(shares(k, c.n), shares(l, c.m), sum(l), float64(c.m))
}

func nannyJS(c *compat) (float64, modelwatch.Reason) {
	p, q := c.nannyShares()
	return math.Sqrt(jensenShannonBits(p, q)), ""
}

func nannyHellinger(c *compat) (float64, modelwatch.Reason) {
	p, q := c.nannyShares()
	return hellingerOf(p, q), ""
}

// nannyKS is the exact statistic for baselines of under 10,000 values. Beyond, it
// is the largest gap at the upper edges of 10,000 equal-width bins.
func nannyKS(c *compat) (float64, modelwatch.Reason) {
	if c.n < nannyBins {
		return supremum(c.x, c.y), ""
	}
	edges := linspace(c.x[0], c.x[len(c.x)-1], nannyBins)
	k, l := histogram(c.x, edges), histogram(c.y, edges)
	below, _ := slices.BinarySearch(c.y, edges[0])
	var d, f, g float64
	g = float64(below)
	for i := range k {
		f, g = f+k[i], g+l[i]
		d = max(d, math.Abs(f/float64(c.n)-g/float64(c.m)))
	}
	return d, ""
}

// nannyWasserstein is the exact distance for baselines of under 10,000 values.
// Beyond, it is that of 10,000 equal-width bins, where current values outside of
// the baseline's range are counted once too often, which lifts the rest.
func nannyWasserstein(c *compat) (float64, modelwatch.Reason) {
	if c.n < nannyBins {
		return area(c.x, c.y), ""
	}
	edges := equalWidth(c.x[0], c.x[len(c.x)-1], nannyBins)
	lo, hi := edges[0], edges[nannyBins]
	below, _ := slices.BinarySearch(c.y, lo)
	from := above(c.y, hi)
	m := float64(c.m)
	var w, start float64
	for i, v := range c.y[:below] {
		next := lo
		if i+1 < below {
			next = c.y[i+1]
		}
		w += float64(i+1) * (next - v) / m
	}
	last := hi
	for i, v := range c.y[from:] {
		w += float64(len(c.y)-from-i) * (v - last) / m
		last = v
	}
	if below > 0 {
		start = float64(below+1) / m
	}
	k, l := histogram(c.x, edges), histogram(c.y, edges)
	width := edges[1] - edges[0]
	var f, g float64
	for i := range k {
		f, g = f+k[i], g+l[i]
		w += math.Abs(f/float64(c.n)-(g/m+start)) * width
	}
	return w, ""
}

func nannyChi2(c *compat) (float64, modelwatch.Reason) {
	x, _ := contingency(c.k, c.l)
	return x, ""
}

func nannyChi2P(c *compat) (float64, modelwatch.Reason) {
	x, freedom := contingency(c.k, c.l)
	return chi2Survival(x, freedom), ""
}

// contingency is the test of homogeneity of the 2 x k table with Yates'
// correction for two categories, as SciPy's chi2_contingency does it: each
// observed count moves half a unit, or less, towards the expected one.
func contingency(k, l []float64) (x float64, freedom int) {
	freedom = len(k) - 1
	n, m := sum(k), sum(l)
	for i := range k {
		both := k[i] + l[i]
		for _, cell := range [...][2]float64{{k[i], both * n / (n + m)}, {l[i], both * m / (n + m)}} {
			d := math.Abs(cell[0] - cell[1])
			if freedom == 1 {
				d -= min(0.5, d)
			}
			x += d * d / cell[1]
		}
	}
	if freedom == 0 {
		x = 0
	}
	return x, freedom
}

func unionLInfinity(c *compat) (float64, modelwatch.Reason) {
	return largestShift(c.k, c.l, c.n, c.m), ""
}
