package drift

import (
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// What the presets share: bins of equal width, as numpy makes them, and the
// distances on them.

// equalWidth returns the edges of so many bins from lo to hi, as numpy's
// histogram_bin_edges does: half a unit to either side of a single value.
func equalWidth(lo, hi float64, bins int) []float64 {
	if lo == hi {
		lo, hi = lo-0.5, hi+0.5
	}
	return linspace(lo, hi, bins)
}

// linspace returns lo, hi and bins-1 points between. The products are rounded on
// every processor before they are added, as numpy's are.
func linspace(lo, hi float64, bins int) []float64 {
	edges := make([]float64, bins+1)
	step := (hi - lo) / float64(bins)
	for i := range edges {
		edges[i] = lo + float64(float64(i)*step)
	}
	edges[bins] = hi
	return edges
}

// histogram counts sorted values per bin. A bin holds its lower edge, and the
// last one both; values beyond the outer edges are not counted.
func histogram(sorted, edges []float64) []float64 {
	counts := make([]float64, len(edges)-1)
	from, _ := slices.BinarySearch(sorted, edges[0])
	for i := range counts {
		to, _ := slices.BinarySearch(sorted, edges[i+1])
		if i == len(counts)-1 {
			to = above(sorted, edges[i+1])
		}
		counts[i] = float64(to - from)
		from = to
	}
	return counts
}

// above returns the number of sorted values that are not above x.
func above(sorted []float64, x float64) int {
	i, _ := slices.BinarySearchFunc(sorted, x, func(v, x float64) int {
		if v <= x {
			return -1
		}
		return 1
	})
	return i
}

// binsOfWidth is how many bins of that width numpy fits into the range.
func binsOfWidth(lo, hi, width float64) int {
	if !(width > 0) {
		return 1
	}
	return max(int(math.Ceil((hi-lo)/width)), 1)
}

// sturges returns the edges of numpy's Sturges rule for n values from lo to hi.
func sturges(lo, hi float64, n int) []float64 {
	return equalWidth(lo, hi, binsOfWidth(lo, hi, (hi-lo)/(math.Log2(float64(n))+1)))
}

// doane returns the edges of numpy's Doane rule for values in their own order.
func doane(values []float64) []float64 {
	lo, hi := slices.Min(values), slices.Max(values)
	n := float64(len(values))
	mean, sd := moments(values, 0)
	if n <= 2 || !(sd > 0) {
		return equalWidth(lo, hi, 1)
	}
	cubes := make([]float64, len(values))
	for i, v := range values {
		z := (v - mean) / sd
		cubes[i] = z * z * z
	}
	skew := math.Abs(pairwise(cubes)/n) / math.Sqrt(6*(n-2)/((n+1)*(n+3)))
	return equalWidth(lo, hi, binsOfWidth(lo, hi, (hi-lo)/(1+math.Log2(n)+math.Log2(1+skew))))
}

// moments returns the mean and the standard deviation over n - less in plain
// floating point, as numpy and pandas round them: values far from zero have
// digits there that the true ones do not.
func moments(values []float64, less int) (mean, sd float64) {
	n := float64(len(values))
	mean = pairwise(values) / n
	squares := make([]float64, len(values))
	for i, v := range values {
		squares[i] = (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(pairwise(squares) / (n - float64(less)))
}

// pairwise is numpy's sum: in eight strands up to 128 values, in halves beyond.
func pairwise(x []float64) float64 {
	switch {
	case len(x) < 8:
		return sum(x)
	case len(x) > 128:
		half := len(x) / 2
		half -= half % 8
		return pairwise(x[:half]) + pairwise(x[half:])
	}
	var r [8]float64
	whole := len(x) - len(x)%8
	for i, v := range x[:whole] {
		r[i%8] += v
	}
	s := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
	for _, v := range x[whole:] {
		s += v
	}
	return s
}

// distinct returns the distinct values of both sorted sides and their counts.
func distinct(x, y []float64) (values, k, l []float64) {
	var f, g int64
	walk(x, y, func(v float64, i, j int64) {
		values, k, l = append(values, v), append(k, float64(i-f)), append(l, float64(j-g))
		f, g = i, j
	})
	return values, k, l
}

// shares divides counts by n, whatever they add up to.
func shares(counts []float64, n int64) []float64 {
	p := make([]float64, len(counts))
	for i, k := range counts {
		p[i] = k / float64(n)
	}
	return p
}

// leftover appends what p and q lack to 1 on the current side, as one more bin.
func leftover(p, q []float64, counted, m float64) ([]float64, []float64) {
	if counted < m {
		return append(p, 0), append(q, (m-counted)/m)
	}
	return p, q
}

// symmetricDivergence is sum (p-q) ln(p/q).
func symmetricDivergence(p, q []float64) float64 {
	var s float64
	for i := range p {
		s += (p[i] - q[i]) * math.Log(p[i]/q[i])
	}
	return s
}

// jensenShannonBits normalises p and q, as SciPy does, and returns their
// divergence in bits.
func jensenShannonBits(p, q []float64) float64 {
	b := bins{p: proportions(p), q: proportions(q)}
	return b.jensenShannon()
}

// goodnessOfFit is the p-value of Pearson's test of the current counts against
// the baseline's, scaled to the same total and taken for certain. It is 0 where
// the baseline holds nothing and the current side does, and has no value for a
// single category.
func goodnessOfFit(k, l []float64) (float64, modelwatch.Reason) {
	if len(k) < 2 {
		return 0, modelwatch.ReasonConstant
	}
	scale := sum(l) / sum(k)
	var x float64
	for i, e := range k {
		if e == 0 && l[i] > 0 {
			return 0, ""
		}
		e *= scale
		x += (l[i] - e) * (l[i] - e) / e
	}
	return chi2Survival(x, len(k)-1), ""
}

// largestShift is the largest |p - q|.
func largestShift(k, l []float64, n, m int64) float64 {
	var d float64
	for i := range k {
		d = max(d, math.Abs(k[i]/float64(n)-l[i]/float64(m)))
	}
	return d
}

// hellingerOf is the Hellinger distance of p and q as they are.
func hellingerOf(p, q []float64) float64 {
	b := bins{p: p, q: q}
	return b.hellinger()
}
