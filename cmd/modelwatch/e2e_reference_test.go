package main

import (
	"cmp"
	"math"
	"slices"
)

// The metrics of the end-to-end test, straight from their definitions over the
// raw rows: nothing of the service is used to compute what it should publish.

// psi over bins given by counts, as docs and STATISTICS define it.
func referencePSI(p, q []float64) float64 {
	smooth := func(counts []float64) []float64 {
		total := 0.0
		for _, c := range counts {
			total += c
		}
		out, sum := make([]float64, len(counts)), 0.0
		for i, c := range counts {
			out[i] = max(c/total, 1e-4)
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	a, b := smooth(p), smooth(q)
	psi := 0.0
	for i := range a {
		psi += (b[i] - a[i]) * math.Log(b[i]/a[i])
	}
	return psi
}

func referenceJS(p, q []float64) float64 {
	np, nq := 0.0, 0.0
	for i := range p {
		np, nq = np+p[i], nq+q[i]
	}
	sum := 0.0
	for i := range p {
		a, b := p[i]/np, q[i]/nq
		m := (a + b) / 2
		if a > 0 {
			sum += a * math.Log2(a/m) / 2
		}
		if b > 0 {
			sum += b * math.Log2(b/m) / 2
		}
	}
	return math.Sqrt(sum)
}

// referenceKS is the largest gap between two empirical distribution functions, ties stepped together.
func referenceKS(x, y []float64) float64 {
	x, y = slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))
	i, j, gap := 0, 0, 0.0
	for i < len(x) && j < len(y) {
		v := min(x[i], y[j])
		for i < len(x) && x[i] == v {
			i++
		}
		for j < len(y) && y[j] == v {
			j++
		}
		gap = max(gap, math.Abs(float64(i)/float64(len(x))-float64(j)/float64(len(y))))
	}
	return gap
}

// binNumbers counts values in (upper[i-1], upper[i]]; the last bin is open.
func binNumbers(values []float64, uppers []float64) []float64 {
	counts := make([]float64, len(uppers)+1)
	for _, v := range values {
		i, _ := slices.BinarySearch(uppers, v)
		counts[i]++
	}
	return counts
}

// binCategories counts values by bin; what no bin names goes to the last.
func binCategories[S cmp.Ordered](values []S, names []S) []float64 {
	counts := make([]float64, len(names)+1)
	for _, v := range values {
		i := slices.Index(names, v)
		if i < 0 {
			i = len(names)
		}
		counts[i]++
	}
	return counts
}
