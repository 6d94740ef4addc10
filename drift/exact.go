package drift

import (
	"math"
	"slices"

	"github.com/modelwatch/modelwatch/profile"
)

// ExactKS returns the Kolmogorov-Smirnov statistic sup |F - G| of two samples by
// sorting them: ties are stepped together, and the result is a quotient of
// integers, rounded. It is what ks reports wherever that has no bounds. NaN and
// infinities are left out; it is false if a side is then empty. The samples are
// not changed.
func ExactKS(baseline, current []float64) (float64, bool) {
	x, y := sorted(baseline), sorted(current)
	if len(x) == 0 || len(y) == 0 {
		return 0, false
	}
	ks, _ := distances(x, y)
	return ks, true
}

// ExactWasserstein returns the integral of |F - G| of two samples by sorting
// them. NaN and infinities are left out; it is false if a side is then empty, or
// if the distance is beyond the range of a double. The samples are not changed.
func ExactWasserstein(baseline, current []float64) (float64, bool) {
	x, y := sorted(baseline), sorted(current)
	if len(x) == 0 || len(y) == 0 {
		return 0, false
	}
	_, w := distances(x, y)
	return w, !math.IsInf(w, 0)
}

// distances returns sup |F - G| and the integral of |F - G| of two sorted
// samples that are not empty, in one walk over both.
func distances(x, y []float64) (supremum, area float64) {
	n, m := int64(len(x)), int64(len(y))
	if n*m > 1<<53 { // beyond, products need not be doubles
		return largeDistances(x, y)
	}
	var last, d float64
	var most, f, g int64
	product := float64(n * m)
	for f < n || g < m { // the loop of walk, without its call for each value
		v := math.Inf(1)
		if f < n {
			v = x[f]
		}
		if g < m {
			v = min(v, y[g])
		}
		if d > 0 {
			area += d * (v - last)
		}
		for f < n && x[f] == v {
			f++
		}
		for g < m && y[g] == v {
			g++
		}
		difference := f*m - g*n
		difference = max(difference, -difference)
		last, d = v, float64(difference)/product
		most = max(most, difference)
	}
	return float64(most) / product, area
}

// largeDistances is distances where n m is not a double.
func largeDistances(x, y []float64) (supremum, area float64) {
	var last, d float64
	walk(x, y, func(v float64, f, g int64) {
		if d > 0 {
			area += d * (v - last)
		}
		last, d = v, gap(f, g, int64(len(x)), int64(len(y)))
		supremum = max(supremum, d)
	})
	return supremum, area
}

// supremum returns sup |F - G| of two sorted samples.
func supremum(x, y []float64) float64 {
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	d, _ := distances(x, y)
	return d
}

// area returns the integral of |F - G| of two sorted samples.
func area(x, y []float64) float64 {
	_, a := distances(x, y)
	return a
}

// manyValues is the number from which on sorting by radix is faster than by comparing.
const manyValues = 2048

// sorted returns the finite values in order. It takes the memory of two copies of them.
func sorted(values []float64) []float64 {
	s := make([]float64, 0, len(values))
	for _, v := range values {
		if v-v == 0 {
			s = append(s, v)
		}
	}
	if len(s) < manyValues {
		slices.Sort(s)
	} else {
		profile.SortFloats(s, make([]float64, len(s)))
	}
	return s
}

// walk calls step for each distinct value of two sorted samples, with the
// numbers of values of each up to and including it.
func walk(x, y []float64, step func(v float64, f, g int64)) {
	for i, j := 0, 0; i < len(x) || j < len(y); {
		v := math.Inf(1)
		if i < len(x) {
			v = x[i]
		}
		if j < len(y) {
			v = min(v, y[j])
		}
		for i < len(x) && x[i] == v {
			i++
		}
		for j < len(y) && y[j] == v {
			j++
		}
		step(v, int64(i), int64(j))
	}
}
