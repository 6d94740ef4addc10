package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// interval encloses a number; estimate is the best guess within.
type interval struct{ lower, estimate, upper float64 }

// transport encloses the integral of |F - G|.
//
// Write D = F - G, D+ and D- for its positive and negative parts. The integral
// of D is the difference of the means, which is known exactly, so that
//
//	W = int |D| = mean difference + 2 int D- = 2 int D+ - mean difference
//
// and bounds of D+ and D- per cell bound W three ways. A cell in which D cannot
// change sign adds nothing to the part that is 0 there, so what is left of the
// uncertainty comes from cells where F and G cross. Beyond the outer cuts the
// integrals of F and of 1-G are known from the tails.
func (c *comparison) transport() interval {
	if c.rows != nil {
		c.rows.compute()
		return interval{c.rows.area, c.rows.area, c.rows.area}
	}
	baseline, current := c.baseline, c.current
	var w widths
	w.cells(baseline.Grid().Cuts(), c.steps())
	w.tails(baseline, current)
	delta, _ := profile.MeanDifference(current, baseline) // int (F - G) = mean G - mean F
	r := interval{
		lower: max(math.Abs(delta), delta+2*w.minus.lower, 2*w.plus.lower-delta, w.total.lower),
		upper: min(delta+2*w.minus.upper, 2*w.plus.upper-delta, w.total.upper),
	}
	// Rounding may cross bounds that meet.
	r.upper = max(r.lower, r.upper)
	r.estimate = min(max(w.total.estimate, r.lower), r.upper)
	return r
}

// widths are the integrals of D+, D- and |D|.
type widths struct{ plus, minus, total interval }

func (w *widths) cells(cuts []float64, s *steps) {
	for i := 1; i < len(cuts); i++ {
		w.cell(cuts[i]-cuts[i-1], s, 2*i)
	}
}

// cell adds open cell i of that width.
func (w *widths) cell(width float64, s *steps, i int) {
	hi := s.difference(i+1, i) // all of F's values first
	lo := s.difference(i, i+1) // all of G's values first
	w.plus.add(width*max(lo, 0), width*max(hi, 0))
	w.minus.add(width*max(-hi, 0), width*max(-lo, 0))
	w.total.add(width*max(lo, -hi, 0), width*max(hi, -lo))
	w.total.estimate += width * meanAbs(s.difference(i, i), s.difference(i+1, i+1))
}

func (i *interval) add(lower, upper float64) {
	i.lower += lower
	i.upper += upper
}

// meanAbs is the mean of |x| along the line from a to b: what D does if values
// are spread evenly over the cell.
func meanAbs(a, b float64) float64 {
	if a*b >= 0 {
		return math.Abs(a+b) / 2
	}
	a, b = math.Abs(a), math.Abs(b)
	return (a*a + b*b) / (2 * (a + b))
}

func (w *widths) tails(baseline, current *profile.Profile) {
	fb, fa := baseline.Tails()
	gb, ga := current.Tails()
	w.tail(fb, gb)
	w.tail(ga, fa) // above: D = (1-G) - (1-F)
}

// tail adds a region where the integrals of the two parts of D are known.
func (w *widths) tail(x, y float64) {
	if x != 0 && y != 0 {
		w.plus.add(max(x-y, 0), x)
		w.minus.add(max(y-x, 0), y)
		w.total.add(math.Abs(x-y), x+y)
		w.total.estimate += math.Abs(x - y)
		return
	}
	w.plus.add(x, x)
	w.minus.add(y, y)
	w.total.add(x+y, x+y)
	w.total.estimate += x + y
}

// wasserstein is the integral of |F - G|, the earth mover's distance, in the
// column's unit. Lower and Upper enclose it where the order of values between
// two cuts would matter; the value then takes them as evenly spread.
//
// Range: [0, inf).
func wasserstein(c *comparison, v *modelwatch.Value) {
	if c.compared(v) {
		c.transported(v, 1)
	}
}

// wassersteinScaled is wasserstein over the population standard deviation of the
// baseline: one is a shift by one standard deviation.
//
// Range: [0, inf). A constant baseline has no scale: 0 if the current values are
// that constant, else the reason constant.
func wassersteinScaled(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	sd, _ := c.baseline.SD()
	switch {
	case sd > 0:
		c.transported(v, sd)
	case c.sameConstant():
		v.Value = ptr(0)
	default:
		v.Reason = modelwatch.ReasonConstant
	}
}

// transported sets the value, unless it is beyond the range of a double.
func (c *comparison) transported(v *modelwatch.Value, scale float64) {
	r := c.transport()
	lower, value, upper := r.lower/scale, r.estimate/scale, r.upper/scale
	if math.IsInf(upper, 0) || math.IsNaN(upper) {
		v.Reason = modelwatch.ReasonNotApplicable
		return
	}
	v.Value = &value
	if null := c.transportNull() / scale; !math.IsInf(null, 0) && !math.IsNaN(null) {
		v.Null95 = &null
	}
	if upper > lower {
		v.Lower, v.Upper = &lower, &upper
	}
}
