package report

import (
	"math"
	"sort"
)

const (
	// curvePoints is about the number of points that a drawn curve has: two or
	// three pixels apart at the width it is drawn.
	curvePoints = 96
	// tail is the share of each side's values beyond either end of the axis,
	// where the whole range would hide the rest.
	tail = 0.005
)

// drawnCurve is a curve as the page holds it. X ascends.
type drawnCurve struct {
	X       []rounded `json:"x"`
	F       []rounded `json:"f"`
	G       []rounded `json:"g"`
	Gap     []rounded `json:"gap,omitempty"` // x, F, G where they are farthest apart
	Clipped bool      `json:"clip,omitempty"`
}

// drawn keeps the points of a curve that a reader can tell apart, and always
// the two ends and the largest gap. It is nil where the curve has no shape.
func (c *Curve) drawn() *drawnCurve {
	if c.reduced {
		return c.kept
	}
	x, f, g := c.points()
	if len(x) < 2 || x[0] == x[len(x)-1] {
		return nil
	}
	gap := 0
	for i := range x {
		if math.Abs(f[i]-g[i]) > math.Abs(f[gap]-g[gap]) {
			gap = i
		}
	}
	from, to, clipped := window(x, f, g, gap)
	step := grain(x[from], x[to])
	d := &drawnCurve{Clipped: clipped}
	keep := thin(x[from:to+1], f[from:to+1], g[from:to+1], gap-from)
	for _, i := range keep {
		i += from
		d.X = append(d.X, rounded{x[i], step})
		d.F = append(d.F, rounded{f[i], 1e-4})
		d.G = append(d.G, rounded{g[i], 1e-4})
	}
	if f[gap] != g[gap] {
		d.Gap = []rounded{{x[gap], step}, {f[gap], 1e-5}, {g[gap], 1e-5}}
	}
	return d
}

// points returns the curve without what cannot be drawn.
func (c *Curve) points() (x, f, g []float64) {
	n := min(len(c.X), len(c.Baseline), len(c.Current))
	for i := range n {
		if v := c.X[i]; math.IsNaN(v) || math.IsInf(v, 0) || len(x) > 0 && v < x[len(x)-1] {
			continue
		}
		x = append(x, c.X[i])
		f = append(f, share(c.Baseline[i]))
		g = append(g, share(c.Current[i]))
	}
	return x, f, g
}

// window returns the first and last point to draw. The whole range, unless the
// middle 99 % of both sides and the gap take less than half of it.
func window(x, f, g []float64, gap int) (from, to int, clipped bool) {
	last := len(x) - 1
	from = sort.Search(last, func(i int) bool { return math.Max(f[i], g[i]) > tail })
	to = sort.Search(last, func(i int) bool { return math.Min(f[i], g[i]) >= 1-tail })
	from, to = max(min(from-1, gap), 0), min(max(to, gap), last)
	if x[to] > x[from] && x[to]/4-x[from]/4 < (x[last]/4-x[0]/4)/2 {
		return from, to, true
	}
	return 0, last, false
}

// thin returns the indices of the points to keep: the ends, the gap, and each
// point from which the last one kept is farther than half a hundredth of the
// drawing, with the point before it, so that steps stay steps.
func thin(x, f, g []float64, gap int) []int {
	last := len(x) - 1
	width := x[last]/2 - x[0]/2
	far := func(i, j int) bool {
		return (x[j]/2-x[i]/2)/width > 1./curvePoints || math.Abs(f[j]-f[i]) > 1./curvePoints || math.Abs(g[j]-g[i]) > 1./curvePoints
	}
	keep := []int{0}
	for i := 1; i <= last; i++ {
		before := keep[len(keep)-1]
		switch {
		case i == last || i == gap:
			keep = append(keep, i)
		case far(before, i):
			if before < i-1 && far(i-1, i) {
				keep = append(keep, i-1)
			}
			keep = append(keep, i)
		}
	}
	return keep
}

// grain is the precision to which positions between lo and hi are written.
func grain(lo, hi float64) float64 {
	return math.Pow(10, math.Floor(math.Log10(hi/2-lo/2))-3)
}
