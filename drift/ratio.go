package drift

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// ratio sets the value to the share that mass has of the current rows, with
// Wilson's 95 % interval. Ratios look at the window alone: only its rows are held
// against the minimum.
func (c *comparison) ratio(v *modelwatch.Value, mass float64) {
	c.countRows(v)
	if c.current.Rows() < c.minimum {
		v.Reason = modelwatch.ReasonTooFew
		return
	}
	x, n := min(mass/c.current.RowMass(), 1), c.current.EffectiveRows()
	v.Value = &x
	lower, upper := wilson(x, n)
	v.Lower, v.Upper = &lower, &upper
	v.StandardError = ptr(math.Sqrt(x * (1 - x) / n))
}

// countRows has the value count rows instead of values.
func (c *comparison) countRows(v *modelwatch.Value) {
	v.NBaseline, v.NCurrent = c.baseline.Rows(), c.current.Rows()
	if v.EffectiveBaseline != nil {
		v.EffectiveBaseline = ptr(c.baseline.EffectiveRows())
	}
	if v.EffectiveCurrent != nil {
		v.EffectiveCurrent = ptr(c.current.EffectiveRows())
	}
}

// wilson returns Wilson's score interval at 95 % for a proportion x of n.
func wilson(x, n float64) (lower, upper float64) {
	const z = 1.959963984540054
	centre := (x + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(x*(1-x)/n+z*z/(4*n*n))
	return max(min(centre-half, x), 0), min(max(centre+half, x), 1)
}

// missingRatio is the share of rows without a value.
func missingRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.MissingMass()) }

// invalidRatio is the share of rows whose value does not fit the column's type
// or range.
func invalidRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.InvalidMass()) }

// outOfRangeRatio is the share of rows whose number is outside of the declared
// range. Such rows are among the invalid ones.
func outOfRangeRatio(c *comparison, v *modelwatch.Value) { c.ratio(v, c.current.OutOfRangeMass()) }

// newCategoryRatio is the share of rows whose value the baseline did not hold.
//
// A baseline without values cannot say what is new (too_few), and one with more
// than MaxCategories+MaxFingerprints categories is not a category but an
// identifier (not_applicable).
func newCategoryRatio(c *comparison, v *modelwatch.Value) {
	switch {
	case c.baseline.Count() == 0:
		c.countRows(v)
		v.Reason = modelwatch.ReasonTooFew
	case !c.baseline.Grid().KnowsCategories():
		c.countRows(v)
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		c.ratio(v, c.current.UnseenMass())
	}
}
