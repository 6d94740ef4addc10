package backtest

import (
	"math"
	"slices"
)

// isotonic is a non-decreasing function through points, linear between them and
// constant beyond: what scikit-learn's IsotonicRegression fits and predicts. No
// points stand for the identity.
type isotonic struct{ x, y []float64 }

// fitIsotonic fits shares of positives at ascending x by least squares, with the
// pool-adjacent-violators algorithm (Ayer et al. 1955).
func fitIsotonic(x, negative, positive []float64) isotonic {
	type pool struct {
		first, last        int
		negative, positive float64
	}
	share := func(p *pool) float64 { return p.positive / (p.negative + p.positive) }
	var pools []pool
	for i := range x {
		if negative[i]+positive[i] <= 0 {
			continue
		}
		p := pool{i, i, negative[i], positive[i]}
		for n := len(pools); n > 0 && share(&pools[n-1]) >= share(&p); n-- {
			q := &pools[n-1]
			p.first, p.negative, p.positive = q.first, q.negative+p.negative, q.positive+p.positive
			pools = pools[:n-1]
		}
		pools = append(pools, p)
	}
	var f isotonic
	for i := range pools {
		p := &pools[i]
		f.x, f.y = append(f.x, x[p.first]), append(f.y, share(p))
		if p.last > p.first {
			f.x, f.y = append(f.x, x[p.last]), append(f.y, share(p))
		}
	}
	return f
}

func (f *isotonic) at(x float64) float64 {
	n := len(f.x)
	if n == 0 {
		return min(max(x, 0), 1)
	}
	i, _ := slices.BinarySearch(f.x, x)
	switch {
	case i == n:
		return f.y[n-1]
	case i == 0 || f.x[i] == x:
		return f.y[i]
	}
	t := (x - f.x[i-1]) / (f.x[i] - f.x[i-1])
	return f.y[i-1] + t*(f.y[i]-f.y[i-1])
}

const (
	folds          = 10
	quantileGroups = 10
)

// calibrates reports whether an isotonic fit is nearer to the truth than the
// scores themselves, on rows that it has not seen: each tenth row in the order of
// scores is left out in turn, and the expected calibration errors over ten groups
// of equal weight are averaged.
func calibrates(x, negative, positive []float64) bool {
	var raw, fitted float64
	for f := range folds {
		var in, out [2][]float64
		at := 0.0
		for i := range x {
			for k, w := range []float64{negative[i], positive[i]} {
				held := heldOut(at, at+w, f)
				out[k] = append(out[k], held)
				in[k] = append(in[k], max(w-held, 0))
				at += w
			}
		}
		g := fitIsotonic(x, in[0], in[1])
		raw += calibrationError(x, out[0], out[1], func(s float64) float64 { return s })
		fitted += calibrationError(x, out[0], out[1], g.at)
	}
	return fitted < raw
}

func sumOf(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

// heldOut is how much of the span from one place to another lies on the unit
// intervals of a fold.
func heldOut(from, to float64, fold int) float64 {
	until := func(t float64) float64 {
		turns, rest := math.Floor(t/folds), math.Mod(t, folds)
		return turns + min(max(rest-float64(fold), 0), 1)
	}
	return max(until(to)-until(from), 0)
}

// calibrationError groups rows by score into parts of equal weight, dividing
// those that lie across a border.
func calibrationError(x, negative, positive []float64, f func(float64) float64) float64 {
	all := sumOf(negative) + sumOf(positive)
	size := all / quantileGroups
	var gap, filled, sum float64
	for i := range x {
		p, w := positive[i], negative[i]+positive[i]
		for w > 0 {
			part := min(w, size-filled)
			share := p / w
			gap += part * (share - f(x[i]))
			p -= part * share
			if filled, w = filled+part, w-part; filled >= size*(1-1e-12) {
				sum += math.Abs(gap)
				gap, filled = 0, 0
			}
			if part <= 0 {
				break
			}
		}
	}
	if all == 0 {
		return 0
	}
	return (sum + math.Abs(gap)) / all
}
