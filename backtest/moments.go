package backtest

import (
	"math"
	"math/big"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// moments are the exact sums of a number per row. A number beyond the range of a
// double cannot be summed: what it belongs to then has no value.
type moments struct {
	sum      profile.Sum
	squares  profile.SquareSum
	weighted *profile.Sum // squares of rows whose weight is not 1
	lost     bool
	// lostSquares is set where only the squares, times a weight, are out of range.
	lostSquares bool
}

func (m *moments) add(x float64, w *weight) {
	if !finite(x) {
		m.lost = true
		return
	}
	if w.value == 1 {
		m.sum.Add(x)
		m.squares.Add(x)
		return
	}
	m.lost = addProduct(&m.sum, x, w.value) || m.lost
	if size := math.Abs(x); size < 1e-120 || size > 1e120 {
		// The square has no exact product; its root is close enough.
		if root := x * math.Sqrt(w.value); finite(root) {
			m.squares.Add(root)
		} else {
			m.lostSquares = true
		}
		return
	}
	if m.weighted == nil {
		m.weighted = new(profile.Sum)
	}
	high, low := product(x, x)
	addProduct(m.weighted, high, w.value)
	addProduct(m.weighted, low, w.value)
}

// product returns x*y as the sum of two doubles.
func product(x, y float64) (high, low float64) {
	high = x * y
	return high, math.FMA(x, y, -high)
}

// addProduct adds x*y without rounding, short of the smallest doubles. It
// reports whether it is out of range.
func addProduct(s *profile.Sum, x, y float64) (lost bool) {
	high, low := product(x, y)
	if !finite(high) {
		return true
	}
	s.Add(high)
	s.Add(low)
	return false
}

func (m *moments) merge(o *moments) {
	m.sum.Merge(&o.sum)
	m.squares.Merge(&o.squares)
	m.lost = m.lost || o.lost
	m.lostSquares = m.lostSquares || o.lostSquares
	switch {
	case o.weighted == nil:
	case m.weighted == nil:
		w := *o.weighted
		m.weighted = &w
	default:
		m.weighted.Merge(o.weighted)
	}
}

// square is the weighted sum of squares.
func (m *moments) square() *big.Float {
	q := m.squares.Exact()
	if m.weighted != nil {
		q = wide().Add(q, m.weighted.Exact())
	}
	return q
}

// wide is a number of enough bits for the products of exact sums.
func wide() *big.Float { return new(big.Float).SetPrec(9000) }

// mean is the weighted mean as the nearest double.
func (m *moments) mean(c *count) float64 { return ratio(m.sum.Exact(), c.w.exact()) }

func ratio(x, y *big.Float) float64 {
	if y.Sign() == 0 {
		return 0
	}
	f, _ := new(big.Float).SetPrec(256).Quo(x, y).Float64()
	return f
}

// root is the square root of the weighted mean of squares.
func (m *moments) root(c *count) float64 {
	return rootOf(new(big.Float).SetPrec(256).Quo(m.square(), c.w.exact()))
}

func rootOf(x *big.Float) float64 {
	if x.Sign() <= 0 {
		return 0
	}
	f, _ := new(big.Float).SetPrec(256).Sqrt(x).Float64()
	return min(f, math.MaxFloat64)
}

// deviation is the standard deviation about the mean, with the divisor sum w. It
// is exact whatever the ratio of mean to spread.
func (m *moments) deviation(c *count) float64 {
	w, s := c.w.exact(), m.sum.Exact()
	v := wide().Mul(m.square(), w)
	v.Sub(v, wide().Mul(s, s))
	return rootOf(new(big.Float).SetPrec(256).Quo(v, wide().Mul(w, w)))
}

// sampleDeviation has the divisor n - 1, with the effective n; false for one row.
func (m *moments) sampleDeviation(c *count) (float64, bool) {
	n := c.effective()
	if !(n > 1) || m.lost || m.lostSquares {
		return 0, false
	}
	return m.deviation(c) * math.Sqrt(n/(n-1)), true
}

// set sets the value to the mean, with its standard error sd / sqrt(n) and the
// 95 % interval cut to [low, high].
func (m *moments) set(v *modelwatch.Value, c *count, low, high float64) {
	if m.lost {
		v.Reason = modelwatch.ReasonNotApplicable
		return
	}
	x := min(max(m.mean(c), -math.MaxFloat64), math.MaxFloat64)
	v.Value = &x
	if sd, ok := m.sampleDeviation(c); ok {
		normal(v, sd/math.Sqrt(c.effective()), low, high)
	}
}
