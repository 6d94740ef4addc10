package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

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
		v.Null95 = ptr(1.959963984540054 * math.Sqrt(1/c.n+1/c.m))
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
