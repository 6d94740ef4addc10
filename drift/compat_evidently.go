package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// evidently is the drift methods of Evidently 0.7. ks_p is its "ks", chi2_p its
// "z" where both sides together hold two values and "chisquare" where more,
// wasserstein_scaled its "wasserstein", js_distance its "jensenshannon".
//
// Its "TVD" is the p-value of a thousand seeded permutations, not a distance,
// and is not offered.
func evidently() preset {
	binned := []compatMetric{
		{PSI, evidentlyPSI, 0.1},
		{JSDistance, evidentlyJS, 0.1},
		{KL, evidentlyKL, 0.1},
		{Hellinger, evidentlyHellinger, 0.1},
		{Chi2P, evidentlyChi2, 0.05},
	}
	return preset{
		name:          Evidently,
		numbers:       append([]compatMetric{{KSP, compatKSP, 0.05}, {WassersteinScaled, populationWasserstein, 0.1}}, binned...),
		categories:    binned,
		chooseDefault: evidentlyDefault,
	}
}

// evidentlyDefault is a p-value for up to 1,000 baseline values, and a distance
// beyond. Numbers of five values or fewer are taken for categories.
func evidentlyDefault(c *compat) []string {
	few := !c.number
	if c.number {
		values, _, _ := distinct(c.x, c.y)
		few = len(values) <= 5
	}
	switch {
	case c.n <= 1000 && few:
		return []string{Chi2P}
	case c.n <= 1000:
		return []string{KSP}
	case few:
		return []string{JSDistance}
	default:
		return []string{WassersteinScaled}
	}
}

// evidentlyShares are the proportions per bin: of Sturges' equal-width bins over
// both sides together if the baseline has more than 20 distinct numbers, else of
// each distinct value.
func (c *compat) evidentlyShares() (p, q []float64) {
	k, l := c.counts()
	if c.number {
		values, _, _ := distinct(c.x, nil)
		if len(values) > 20 {
			edges := sturges(min(c.x[0], c.y[0]), max(c.x[len(c.x)-1], c.y[len(c.y)-1]), len(c.x)+len(c.y))
			k, l = histogram(c.x, edges), histogram(c.y, edges)
		}
	}
	return shares(k, c.n), shares(l, c.m)
}

// counts are those of each distinct value.
func (c *compat) counts() (k, l []float64) {
	if c.number {
		_, k, l = distinct(c.x, c.y)
		return k, l
	}
	return c.k, c.l
}

// evidentlyFill puts in the place of empty bins 1e-4, or a millionth of the
// smallest share if that is not over 1e-4. The sum is then over 1.
func evidentlyFill(p []float64) {
	least := math.Inf(1)
	for _, x := range p {
		if x != 0 {
			least = min(least, x)
		}
	}
	fill := 0.0001
	if least <= 0.0001 {
		fill = least / 1e6
	}
	for i, x := range p {
		if x == 0 {
			p[i] = fill
		}
	}
}

func evidentlyPSI(c *compat) (float64, modelwatch.Reason) {
	p, q := c.evidentlyShares()
	evidentlyFill(p)
	evidentlyFill(q)
	return symmetricDivergence(p, q), ""
}

// evidentlyJS is the distance to the base e: at most sqrt(ln 2) = 0.8326.
func evidentlyJS(c *compat) (float64, modelwatch.Reason) {
	p, q := c.evidentlyShares()
	return math.Sqrt(jensenShannonBits(p, q) * math.Ln2), ""
}

// evidentlyKL is the divergence of the baseline from the current side, the other
// way round than kl, normalised after the filling.
func evidentlyKL(c *compat) (float64, modelwatch.Reason) {
	p, q := c.evidentlyShares()
	evidentlyFill(p)
	evidentlyFill(q)
	p, q = proportions(p), proportions(q)
	var s float64
	for i := range p {
		s += max(p[i]*math.Log(p[i]/q[i])-p[i]+q[i], 0)
	}
	return s, ""
}

// evidentlyHellinger takes Sturges' bins for the number of distinct values, not
// of values, for all numbers, and sums their densities over the mean width of a
// bin.
func evidentlyHellinger(c *compat) (float64, modelwatch.Reason) {
	if !c.number {
		return hellingerOf(shares(c.k, c.n), shares(c.l, c.m)), ""
	}
	values, _, _ := distinct(c.x, c.y)
	edges := sturges(values[0], values[len(values)-1], len(values))
	k, l := histogram(c.x, edges), histogram(c.y, edges)
	mean := (edges[len(k)] - edges[0]) / float64(len(k))
	var affinity float64
	for i := range k {
		width := edges[i+1] - edges[i]
		p, q := k[i]/width/float64(c.n), l[i]/width/float64(c.m)
		affinity += math.Sqrt(p*q) * mean
	}
	return math.Sqrt(1 - min(max(affinity, 0), 1)), ""
}

// evidentlyChi2 is the z test of two proportions, pooled, for two values; the
// goodness of fit for more.
func evidentlyChi2(c *compat) (float64, modelwatch.Reason) {
	k, l := c.counts()
	switch {
	case len(k) > 2:
		return goodnessOfFit(k, l)
	case len(k) == 1:
		return 1, ""
	}
	n, m := float64(c.n), float64(c.m)
	pooled := (k[1] + l[1]) / (n + m)
	z := (k[1]/n - l[1]/m) / math.Sqrt(pooled*(1-pooled)*(1/n+1/m))
	return math.Erfc(math.Abs(z) / math.Sqrt2), ""
}

// compatKSP is the p-value of SciPy's ks_2samp.
func compatKSP(c *compat) (float64, modelwatch.Reason) {
	d := supremum(c.x, c.y)
	if max(c.n, c.m) <= exactSize {
		if p, ok := smirnovTwoSample(c.n, c.m, d); ok {
			return p, ""
		}
	}
	return ksAsymptotic(d, float64(c.n), float64(c.m)), ""
}

// populationWasserstein is over the population standard deviation of the
// baseline, or 0.001 if that is more.
func populationWasserstein(c *compat) (float64, modelwatch.Reason) {
	_, sd := moments(c.finite(), 0)
	return area(c.x, c.y) / max(sd, 0.001), ""
}
