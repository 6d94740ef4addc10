package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// ratio sets the value to k of the current rows, with Wilson's 95 % interval.
// Ratios look at the window alone: only its rows are held against the minimum.
func (c *comparison) ratio(v *modelwatch.Value, k int64) {
	v.NBaseline, v.NCurrent = c.baseline.Rows(), c.current.Rows()
	if c.current.Rows() < c.minimum {
		v.Reason = modelwatch.ReasonTooFew
		return
	}
	n := float64(c.current.Rows())
	x := float64(k) / n
	v.Value = &x
	lower, upper := wilson(x, n)
	v.Lower, v.Upper = &lower, &upper
	v.StandardError = ptr(math.Sqrt(x * (1 - x) / n))
}

// wilson returns Wilson's score interval at 95 % for a proportion x of n.
func wilson(x, n float64) (lower, upper float64) {
	const z = 1.959963984540054
	centre := (x + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(x*(1-x)/n+z*z/(4*n*n))
	return max(min(centre-half, x), 0), min(max(centre+half, x), 1)
}

// missingRatio is the share of rows without a value.
func missingRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.Missing()) }

// invalidRatio is the share of rows whose value does not fit the column's type
// or range.
func invalidRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.Invalid()) }

// outOfRangeRatio is the share of rows whose number is outside of the declared
// range. Such rows are among the invalid ones.
func outOfRangeRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.OutOfRange()) }

// newCategoryRatio is the share of rows whose value the baseline did not hold.
//
// A baseline without values cannot say what is new (too_few), and one with more
// than MaxCategories+MaxFingerprints categories is not a category but an
// identifier (not_applicable).
func newCategoryRatio(c *comparison, v *modelwatch.Value) {
	switch {
	case c.baseline.Count() == 0:
		v.NBaseline, v.NCurrent = c.baseline.Rows(), c.current.Rows()
		v.Reason = modelwatch.ReasonTooFew
	case !c.baseline.Grid().KnowsCategories():
		v.NBaseline, v.NCurrent = c.baseline.Rows(), c.current.Rows()
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		c.ratio(v, c.current.Unseen())
	}
}
