package drift

import "math"

// Up to exactSize values on both sides, as in SciPy, and exactSteps steps of
// the recursion (some 30 ms) the distribution of the two-sample statistic is
// exact. The steps are about 2 n m d, so that with exactSize values on both
// sides it is what is left approximate has p-values under 1e-6.
const (
	exactSize  = 10_000
	exactSteps = 1 << 23
)

// ksSurvival is the two-sided p-value of ks: the probability that samples of n
// and m values of one continuous distribution are at least d apart. With ties it
// is too large, which is the safe side.
func (c *comparison) ksSurvival(d float64) float64 {
	if !c.weighted() && max(c.baseline.Count(), c.current.Count()) <= exactSize {
		if p, ok := smirnovTwoSample(c.baseline.Count(), c.current.Count(), d); ok {
			return p
		}
	}
	return ksAsymptotic(d, c.n, c.m)
}

// ksAsymptotic takes the distance of two samples for that of one of n m / (n+m)
// values, rounded.
func ksAsymptotic(d, n, m float64) float64 {
	return KolmogorovSurvival(int64(max(math.RoundToEven(n/(n+m)*m), 1)), d)
}

// smirnovTwoSample returns the probability that two samples of n and m values of
// one continuous distribution are at least d apart; false where that would take
// more than exactSteps steps.
func smirnovTwoSample(n, m int64, d float64) (float64, bool) {
	n, m = max(n, m), min(n, m)
	g := gcd(n, m)
	h := int64(math.Round(d * float64(n/g) * float64(m))) // the distance in units of 1/lcm(n, m)
	switch {
	case h == 0:
		return 1, true
	case n == m:
		return smirnovEqual(n, h), true
	case 2*float64(n)*(float64(h)/float64(n/g)+1) > exactSteps:
		return 0, false
	}
	return min(max(smirnovPaths(n, m, g, h), 0), 1), true
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// smirnovEqual is the closed form for two samples of n values that are h/n
// apart, twice the alternating sum of C(2n, n-kh) / C(2n, n) over k = 1, 2, ...
// (Gnedenko and Korolyuk 1951), evaluated from the inside out.
func smirnovEqual(n, h int64) float64 {
	var p float64
	for k := n / h; k >= 0; k-- {
		q := 1.0
		for j := range h {
			q *= float64(n-k*h-j) / float64(n+k*h+j+1)
		}
		p = q * (1 - p)
	}
	return min(max(2*p, 0), 1)
}

// smirnovPaths returns the share of the lattice paths from (0, 0) to (n, m),
// each step a value of one sample or the other, that somewhere are h/lcm(n, m)
// or more from the diagonal. It is the recursion of Hodges (1958) for the share
// of paths to (i, j) that have been outside,
//
//	A(i, j) = (i A(i-1, j) + j A(i, j-1)) / (i+j)
//
// over the strip inside of which not all of them have. All terms are positive:
// nothing cancels. n > m.
func smirnovPaths(n, m, g, h int64) float64 {
	a, b := n/g, m/g // the distance of (i, j) from the diagonal is |b i - a j|
	inverse := make([]float64, n+m+1)
	for i := int64(1); i <= n+m; i++ {
		inverse[i] = 1 / float64(i)
	}
	column := make([]float64, m+1) // A(i, j) by j; 1 outside of the strip
	low, high := int64(0), min((h+a-1)/a, m+1)
	for j := high; j <= m; j++ {
		column[j] = 1
	}
	for i := int64(1); i <= n; i++ {
		for end := min(max(floorDiv(b*i-h, a)+1, 0), m); low < end; low++ {
			column[low] = 1
		}
		high = min(floorDiv(b*i+h+a-1, a), m+1)
		if high <= low {
			return 1
		}
		value := 1.0
		if low == 0 {
			value = 0
		}
		for j := low; j < high; j++ {
			r := inverse[i+j]
			value = column[j]*(float64(i)*r) + value*(float64(j)*r)
			column[j] = value
		}
	}
	return column[m]
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}
