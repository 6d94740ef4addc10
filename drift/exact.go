package drift

import (
	"math"
	"slices"
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
	return supremum(x, y), true
}

// supremum returns sup |F - G| of two sorted samples.
func supremum(x, y []float64) float64 {
	var d float64
	walk(x, y, func(_ float64, f, g int64) {
		d = max(d, gap(f, g, int64(len(x)), int64(len(y))))
	})
	return d
}

// ExactWasserstein returns the integral of |F - G| of two samples by sorting
// them. NaN and infinities are left out; it is false if a side is then empty, or
// if the distance is beyond the range of a double. The samples are not changed.
func ExactWasserstein(baseline, current []float64) (float64, bool) {
	x, y := sorted(baseline), sorted(current)
	if len(x) == 0 || len(y) == 0 {
		return 0, false
	}
	w := area(x, y)
	return w, !math.IsInf(w, 0)
}

// area returns the integral of |F - G| of two sorted samples.
func area(x, y []float64) float64 {
	var w, last, d float64
	walk(x, y, func(v float64, f, g int64) {
		if d > 0 {
			w += d * (v - last)
		}
		last, d = v, gap(f, g, int64(len(x)), int64(len(y)))
	})
	return w
}

func sorted(values []float64) []float64 {
	s := slices.Clone(values)
	s = slices.DeleteFunc(s, func(v float64) bool { return v-v != 0 })
	slices.Sort(s)
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
