package drift

import (
	"math"
	"math/bits"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// difference returns f/n - h/m, rounded once.
func difference(f, h, n, m int64) float64 {
	h1, l1 := bits.Mul64(uint64(f), uint64(m))
	h2, l2 := bits.Mul64(uint64(h), uint64(n))
	lo, borrow := bits.Sub64(l1, l2, 0)
	hi, borrow := bits.Sub64(h1, h2, borrow)
	sign := 1.0
	if borrow != 0 {
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
		sign = -1
	}
	return sign * (float64(hi)*0x1p64 + float64(lo)) / (float64(n) * float64(m))
}

// meanShift is (mean(current) - mean(baseline)) / sd(baseline), the population
// standard deviation.
//
// Range: the real line, 0 is no shift. A constant baseline has no scale: 0 if
// the current values are that constant, else the reason constant.
func meanShift(c *comparison, v *modelwatch.Value) {
	if !c.compared(v) {
		return
	}
	d, _ := profile.MeanDifference(c.current, c.baseline)
	c.scale(v, d)
	if v.Value != nil {
		v.Null95 = ptr(1.959963984540054 * math.Sqrt(1/float64(c.baseline.Count())+1/float64(c.current.Count())))
	}
}

// scale sets the value to x in standard deviations of the baseline.
func (c *comparison) scale(v *modelwatch.Value, x float64) {
	sd, _ := c.baseline.SD()
	switch y := x / sd; {
	case sd == 0 && c.sameConstant():
		v.Value = ptr(0)
	case sd == 0:
		v.Reason = modelwatch.ReasonConstant
	case math.IsInf(y, 0):
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		v.Value = ptr(y)
	}
}

// sameConstant reports whether all values of both sides are the same.
func (c *comparison) sameConstant() bool {
	lo, _ := c.baseline.Min()
	hi, _ := c.baseline.Max()
	a, _ := c.current.Min()
	b, _ := c.current.Max()
	return lo == hi && a == lo && b == lo
}
