package backtest

import (
	"math"
	"math/big"
	"math/bits"
)

// The weights that rows may have. Between them a weight and its sums are exact
// in the units of a mass.
const (
	minWeight = 1e-9
	maxWeight = 1e9
)

// massUnit is the exponent of the unit of a mass.
const massUnit = -110

// mass is a sum of weights, or of their squares, in units of 2^-110, the least
// significant limb first. Adding is exact for weights, so that no order of rows
// or of merges changes a bit; it stops at the largest mass, near 2^82.
type mass [3]uint64

// massOf returns w, which must be positive and under 2^82, cut to whole units.
func massOf(w float64) mass {
	b := math.Float64bits(w)
	mantissa, shift := b&(1<<52-1)|1<<52, int(b>>52)-1075-massUnit
	switch {
	case shift <= -64:
		return mass{}
	case shift < 0:
		return mass{mantissa >> -shift}
	}
	var m mass
	i, o := shift/64, uint(shift%64)
	m[i] = mantissa << o
	if i < len(m)-1 {
		m[i+1] = mantissa >> 1 >> (63 - o)
	}
	return m
}

// massOfRows returns the mass of n rows of weight 1.
func massOfRows(n int) mass {
	const shift = -massUnit - 64
	return mass{0, uint64(n) << shift, uint64(n) >> (64 - shift)}
}

func (m *mass) add(o *mass) {
	var c uint64
	m[0], c = bits.Add64(m[0], o[0], 0)
	m[1], c = bits.Add64(m[1], o[1], c)
	m[2], c = bits.Add64(m[2], o[2], c)
	if c != 0 {
		*m = mass{math.MaxUint64, math.MaxUint64, math.MaxUint64}
	}
}

// sub takes away o, down to nothing.
func (m *mass) sub(o *mass) {
	var b uint64
	m[0], b = bits.Sub64(m[0], o[0], 0)
	m[1], b = bits.Sub64(m[1], o[1], b)
	m[2], b = bits.Sub64(m[2], o[2], b)
	if b != 0 {
		*m = mass{}
	}
}

// float is the mass as a double, exact for whole numbers under 2^53.
func (m *mass) float() float64 {
	return float64(m[2])*0x1p18 + float64(m[1])*0x1p-46 + float64(m[0])*0x1p-110
}

// exact is the mass without rounding.
func (m *mass) exact() *big.Float {
	f := new(big.Float).SetPrec(192)
	for i := len(m) - 1; i >= 0; i-- {
		f.SetMantExp(f, 64)
		f.Add(f, new(big.Float).SetUint64(m[i]))
	}
	return f.SetMantExp(f, massUnit)
}

// weight is one row's, ready to be added.
type weight struct {
	value  float64
	mass   mass
	square mass
}

// one is the weight of a row that stands for itself.
func one() weight { return weightOf(1) }

func weightOf(w float64) weight { return weight{w, massOf(w), massOf(w * w)} }

func validWeight(w float64) bool { return w >= minWeight && w <= maxWeight }

// count is a number of rows with the sums of their weights.
type count struct {
	n         int64
	w, square mass
}

func (c *count) add(w *weight) {
	c.n++
	c.w.add(&w.mass)
	c.square.add(&w.square)
}

// addRows adds n rows of weight 1.
func (c *count) addRows(n int) {
	c.n += int64(n)
	m := massOfRows(n)
	c.w.add(&m)
	c.square.add(&m)
}

func (c *count) merge(o *count) {
	c.n += o.n
	c.w.add(&o.w)
	c.square.add(&o.square)
}

func sum(counts ...count) count {
	var c count
	for i := range counts {
		c.merge(&counts[i])
	}
	return c
}

func (c *count) mass() float64 { return c.w.float() }

// effective is Kish's effective number of rows, (sum w)^2 / sum w^2 (Kish 1965):
// n, if all weights are the same. Every standard error and interval of weighted
// rows is that of as many rows without weights.
func (c *count) effective() float64 {
	square := c.square.float()
	if c.n == 0 || square == 0 {
		return 0
	}
	w := c.mass()
	return min(w/square*w, float64(c.n))
}

// weighted reports whether a row had another weight than 1.
func (c *count) weighted() bool {
	m := massOfRows(int(c.n))
	return c.w != m || c.square != m
}

// less is c without the rows of o, which are among its own.
func (c count) less(o count) count {
	c.n -= o.n
	c.w.sub(&o.w)
	c.square.sub(&o.square)
	return c
}
