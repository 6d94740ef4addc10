package drift

import (
	"cmp"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// Sample is one side of one column as it was read, for what a profile cannot
// answer: [MeasureExact] and [MeasureCompat]. It is never changed.
type Sample struct {
	// Kind is that of the column's grid. Of a presence column there is
	// nothing but numbers of rows.
	Kind profile.Kind
	// Floats are the values of a number column, in any order. NaN and
	// infinities are invalid and left out.
	Floats []float64
	// Sorted says that Floats are finite and ascend: they need not be copied.
	Sorted bool
	// Weights belong to Floats; nil is a weight of 1 each. A value whose weight
	// is not valid (see [profile.ValidWeight]) is left out.
	Weights []float64
	// Categories are the values of a category column and their counts, in any
	// order; of a boolean column those of "false" and "true".
	Categories []profile.CategoryCount
	// Present are the rows with a value of a presence column.
	Present int64
	// Missing, Invalid and OutOfRange are the rows that a profile of the column
	// would count so. Invalid ones include those out of range, and may leave out
	// the values of Floats that are not finite.
	Missing, Invalid, OutOfRange int64
}

// MeasureExact is [Measure] of a number column whose ks, ks_p, wasserstein and
// wasserstein_scaled come from the sorted rows instead of the grid, so that they
// have no bounds. It equals Measure where the grid holds every value, and for
// columns of any other kind. The profiles must be of the same rows: they
// answer the other metrics.
//
// It takes O(n log n + m log m) time and the memory of two copies of the samples,
// O(n + m) and none where they are sorted.
func MeasureExact(baseline, current *profile.Profile, x, y Sample, metrics []string, opts Options) []modelwatch.Value {
	c := newComparison(baseline, current, opts)
	if baseline.Grid().Kind() == profile.KindNumber {
		c.rows = &rows{samples: [2]Sample{x, y}}
	}
	return c.measure(metrics)
}

// rows are the sorted values of both sides, and what they amount to.
type rows struct {
	samples [2]Sample
	sorted  bool
	ks      float64 // sup |F - G|
	area    float64 // integral of |F - G|
}

// compute sorts once for both distances. A side without values is 0 apart from
// the other: the profiles have ruled it out before.
func (r *rows) compute() {
	if r.sorted {
		return
	}
	r.sorted = true
	x, y := &r.samples[0], &r.samples[1]
	if x.uniform() && y.uniform() {
		a, b := x.ascending(), y.ascending()
		if len(a) > 0 && len(b) > 0 {
			r.ks, r.area = distances(a, b)
		}
		return
	}
	a, b := x.points(), y.points()
	if len(a) > 0 && len(b) > 0 {
		r.ks, r.area = weightedDistances(a, b)
	}
}

// ascending returns the finite values in order.
func (s *Sample) ascending() []float64 {
	if s.Sorted {
		return s.Floats
	}
	return sorted(s.Floats)
}

// uniform reports whether all values weigh the same, and none is left out for
// its weight.
func (s *Sample) uniform() bool {
	for _, w := range s.Weights {
		if w != s.Weights[0] || !profile.ValidWeight(w) {
			return false
		}
	}
	return true
}

// point is a value and its weight; in a sorted sample, the weight of all values
// up to and including it.
type point struct{ value, weight float64 }

// points returns the distinct values in ascending order with their cumulated
// weights. Equal values are summed in the order of their weights, so that the
// order of rows changes nothing.
func (s *Sample) points() []point {
	points := make([]point, 0, len(s.Floats))
	for i, v := range s.Floats {
		w := 1.0
		if s.Weights != nil {
			w = s.Weights[i]
		}
		if v-v == 0 && profile.ValidWeight(w) {
			points = append(points, point{v + 0, w})
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		if a.value != b.value {
			return cmp.Compare(a.value, b.value)
		}
		return cmp.Compare(a.weight, b.weight)
	})
	var total compensated
	distinct := points[:0]
	for _, p := range points {
		total.add(p.weight)
		if n := len(distinct); n > 0 && distinct[n-1].value == p.value {
			distinct[n-1].weight = total.value()
			continue
		}
		distinct = append(distinct, point{p.value, total.value()})
	}
	return distinct
}

// weightedDistances returns sup |F - G| and the integral of |F - G|.
func weightedDistances(x, y []point) (ks, area float64) {
	n, m := x[len(x)-1].weight, y[len(y)-1].weight
	var f, g, last, d float64
	for i, j := 0, 0; i < len(x) || j < len(y); {
		v := math.Inf(1)
		if i < len(x) {
			v = x[i].value
		}
		if j < len(y) {
			v = min(v, y[j].value)
		}
		if d > 0 {
			area += d * (v - last)
		}
		if i < len(x) && x[i].value == v {
			f = x[i].weight / n
			i++
		}
		if j < len(y) && y[j].value == v {
			g = y[j].weight / m
			j++
		}
		last, d = v, math.Abs(f-g)
		ks = max(ks, d)
	}
	return ks, area
}

// compensated is a sum after Neumaier (1974), accurate to a unit in the last
// place or so of what is of one sign.
type compensated struct{ sum, lost float64 }

func (c *compensated) add(x float64) {
	t := c.sum + x
	if math.Abs(c.sum) >= math.Abs(x) {
		c.lost += (c.sum - t) + x
	} else {
		c.lost += (x - t) + c.sum
	}
	c.sum = t
}

func (c *compensated) value() float64 { return c.sum + c.lost }
