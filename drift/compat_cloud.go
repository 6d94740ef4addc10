package drift

import (
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// azureML is the data drift signal of Azure Machine Learning's model monitoring
// (the published component data_drift_compute_metrics). ks_p and chi2_p are its
// TwoSampleKolmogorovSmirnovTest and PearsonsChiSquaredTest, of which drift is
// what falls below. It refuses the former from 10,000 rows on; here it is then
// computed all the same.
//
// It takes missing values of a category column for a category of the name None;
// here they are left out, and are missing_ratio.
func azureML() preset {
	return preset{
		name: AzureML,
		numbers: []compatMetric{
			{JSDistance, azureJS, 0.1},
			{PSI, azurePSI, 0.1},
			{WassersteinScaled, sampleWasserstein, 0.1},
			{KSP, compatKSP, 0.05},
		},
		categories: []compatMetric{
			{JSDistance, azureJS, 0.1},
			{PSI, azurePSI, 0.1},
			{Chi2P, azureChi2P, 0.05},
		},
	}
}

// azureCounts are the counts per bin: ceil(log2(min(n, m)) + 1) bins of equal
// width over both sides together, or the categories of both. Where rounding puts
// the last edge below the largest value, that value is in none.
func (c *compat) azureCounts() (k, l []float64) {
	if !c.number {
		return c.k, c.l
	}
	lo, hi := min(c.x[0], c.y[0]), max(c.x[len(c.x)-1], c.y[len(c.y)-1])
	if lo == hi {
		return []float64{float64(c.n)}, []float64{float64(c.m)}
	}
	edges := make([]float64, int(math.Ceil(math.Log2(float64(min(c.n, c.m)))+1))+1)
	width := (hi - lo) / float64(len(edges)-1)
	for i := range edges {
		edges[i] = lo + float64(float64(i)*width)
	}
	return histogram(c.x, edges), histogram(c.y, edges)
}

func azureJS(c *compat) (float64, modelwatch.Reason) {
	k, l := c.azureCounts()
	return math.Sqrt(jensenShannonBits(k, l)), ""
}

// azurePSI adds 1 to each count and the number of bins to the total.
func azurePSI(c *compat) (float64, modelwatch.Reason) {
	k, l := c.azureCounts()
	p, q := make([]float64, len(k)), make([]float64, len(k))
	for i := range k {
		p[i] = (k[i] + 1) / float64(c.n+int64(len(k)))
		q[i] = (l[i] + 1) / float64(c.m+int64(len(k)))
	}
	return symmetricDivergence(p, q), ""
}

func azureChi2P(c *compat) (float64, modelwatch.Reason) { return goodnessOfFit(c.k, c.l) }

// sampleWasserstein is over the sample standard deviation of the baseline, or
// 0.001 if that is more.
func sampleWasserstein(c *compat) (float64, modelwatch.Reason) {
	_, sd := moments(c.finite(), 1)
	return area(c.x, c.y) / max(sd, 0.001), ""
}

// sageMakerBuckets is the number of buckets in SageMaker's statistics.json, of
// equal width over the baseline's range.
const sageMakerBuckets = 10

// sageMaker is the distribution constraints of SageMaker Model Monitor, as its
// analyzer (Deequ) defines them. ks is the distance of numbers, l_infinity that of
// categories, and of numbers on the ten buckets of the baseline's
// statistics.json, of which the outer ones are open here. By the method Robust,
// 1.8 sqrt((n+m) / (n m)) is subtracted, down to 0; by Simple nothing is.
//
// SageMaker takes the numbers' distance between two KLL sketches, whose random
// choices cannot be reproduced; ours is between all rows, what theirs estimates.
func sageMaker(name string, robust bool) preset {
	correct := func(measure func(*compat) (float64, modelwatch.Reason)) func(*compat) (float64, modelwatch.Reason) {
		return func(c *compat) (float64, modelwatch.Reason) {
			d, reason := measure(c)
			if robust {
				d = max(d-1.8*math.Sqrt(1/float64(c.n)+1/float64(c.m)), 0)
			}
			return d, reason
		}
	}
	return preset{
		name: name,
		numbers: []compatMetric{
			{KS, correct(func(c *compat) (float64, modelwatch.Reason) { return supremum(c.x, c.y), "" }), 0.1},
			{LInfinity, correct(bucketLInfinity), 0.1},
		},
		categories: []compatMetric{{LInfinity, correct(unionLInfinity), 0.1}},
	}
}

func bucketLInfinity(c *compat) (float64, modelwatch.Reason) {
	edges := equalWidth(c.x[0], c.x[len(c.x)-1], sageMakerBuckets)
	edges[0], edges[sageMakerBuckets] = -math.MaxFloat64, math.MaxFloat64
	return largestShift(histogram(c.x, edges), histogram(c.y, edges), c.n, c.m), ""
}

// vertexBuckets is the number of buckets of TensorFlow Data Validation's
// standard histograms.
const vertexBuckets = 10

// vertex is Vertex AI Model Monitoring, which uses TensorFlow Data Validation:
// the Jensen-Shannon divergence (not its root) in bits for numbers, the largest
// difference of a category for the rest.
//
// TFDV builds its histograms from quantile sketches; here the buckets are
// counted.
func vertex() preset {
	return preset{
		name:       Vertex,
		numbers:    []compatMetric{{JSDivergence, vertexJS, 0.3}},
		categories: []compatMetric{{LInfinity, unionLInfinity, 0.3}},
	}
}

// vertexJS puts each side into ten buckets of equal width over its own range and
// spreads their counts evenly onto the edges of both. A side of one value is a
// bucket without width, which only meets another of the same value.
func vertexJS(c *compat) (float64, modelwatch.Reason) {
	a, b := newSpread(c.x), newSpread(c.y)
	edges := slices.Concat(a.edges, b.edges)
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var p, q []float64
	for i := 1; i < len(edges); i++ {
		p = append(p, a.between(edges[i-1], edges[i]))
		q = append(q, b.between(edges[i-1], edges[i]))
	}
	switch {
	case a.edges == nil && b.edges == nil && c.x[0] == c.y[0]:
		return 0, ""
	case a.edges == nil || b.edges == nil:
		return 1, ""
	}
	return jensenShannonBits(p, q), ""
}

// spread is a histogram whose values are taken to lie evenly in each bucket.
type spread struct{ edges, counts []float64 }

// newSpread has no buckets for a single value.
func newSpread(sorted []float64) spread {
	lo, hi := sorted[0], sorted[len(sorted)-1]
	if lo == hi {
		return spread{}
	}
	edges := linspace(lo, hi, vertexBuckets)
	return spread{edges, histogram(sorted, edges)}
}

// between returns how many values lie between two edges that are in one bucket,
// or outside of all.
func (s spread) between(lo, hi float64) float64 {
	for i, n := range s.counts {
		if s.edges[i] <= lo && hi <= s.edges[i+1] {
			return n * ((hi - lo) / (s.edges[i+1] - s.edges[i]))
		}
	}
	return 0
}
