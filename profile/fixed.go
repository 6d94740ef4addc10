package profile

import (
	"math"
	"math/big"
	"math/bits"
)

// Weights lie in [MinWeight, MaxWeight]: all doubles there are whole multiples of
// 2^-92, so that sums of weights, of their squares, and of weighted values and
// their squares are integers too, exact and the same in every order. Limbs have 64
// bits, the least significant first, and leave 56 bits for the number of rows.
const (
	MinWeight = 1e-12
	MaxWeight = 1e12

	massBits = 92 // a mass is in units of 2^-92, its square in those of 2^-184

	wideLimbs       = 36 // of a weighted sum, in units of 2^(sumUnit-92)
	wideSquareLimbs = 69 // of a weighted sum of squares, in units of 2^(squareUnit-92)
)

// mass is a sum of weights; massSquare one of their squares.
type (
	mass       [3]uint64
	massSquare [5]uint64
)

// weight is a valid weight as mantissa * 2^(shift-massBits).
type weight struct {
	mantissa uint64
	shift    uint
}

// ValidWeight reports whether rows of that weight are counted: it is a number
// from MinWeight to MaxWeight.
func ValidWeight(w float64) bool { return w >= MinWeight && w <= MaxWeight }

func newWeight(w float64) weight {
	m, shift := decompose(w)
	return weight{m, uint(int(shift) + sumUnit + massBits)}
}

// int returns the weight in units of 2^-92.
func (w weight) int() *big.Int {
	i := new(big.Int).SetUint64(w.mantissa)
	return i.Lsh(i, w.shift)
}

func (m *mass) add(w weight) { addShifted3(m[:], w.mantissa, w.shift) }

// addShifted3 adds v * 2^shift, where that is in range.
func addShifted3(limbs []uint64, v uint64, shift uint) {
	i, o := shift/64, shift%64
	var c uint64
	limbs[i], c = bits.Add64(limbs[i], v<<o, 0)
	hi := v >> 1 >> (63 - o)
	for i++; i < uint(len(limbs)) && hi|c != 0; i++ {
		limbs[i], c = bits.Add64(limbs[i], hi, c)
		hi = 0
	}
}

func (m *mass) addCount(n int64) { addShifted3(m[:], uint64(n), massBits) }

func (m *mass) merge(o *mass) { addLimbs(m[:], o[:]) }

// minus returns m - o, and 0 if that is negative.
func (m mass) minus(o *mass) mass {
	var b uint64
	for i := range m {
		m[i], b = bits.Sub64(m[i], o[i], b)
	}
	if b != 0 {
		return mass{}
	}
	return m
}

func (m *mass) isZero() bool { return *m == mass{} }

// float returns the nearest double.
func (m *mass) float() float64 {
	top := len(m) - 1
	for top > 0 && m[top] == 0 {
		top--
	}
	if m[top] == 0 {
		return 0
	}
	lead := uint(bits.LeadingZeros64(m[top]))
	v, sticky := m[top]<<lead, uint64(0)
	if top > 0 {
		v |= m[top-1] >> 1 >> (63 - lead)
		sticky = m[top-1] << lead
	}
	for _, l := range m[:max(top-1, 0)] {
		sticky |= l
	}
	if sticky != 0 {
		v |= 1 // below the bits that a double keeps, so that it only breaks ties
	}
	return math.Ldexp(float64(v), 64*top-int(lead)-massBits)
}

func (m *mass) int() *big.Int { return bigInt(m[:]) }

func (s *massSquare) add(w weight) {
	hi, lo := bits.Mul64(w.mantissa, w.mantissa)
	shift := 2 * w.shift
	addShifted3(s[:], lo, shift)
	if hi != 0 {
		addShifted3(s[:], hi, shift+64)
	}
}

func (s *massSquare) addCount(n int64) { addShifted3(s[:], uint64(n), 2*massBits) }

// wideSum is the exact sum of weighted doubles: what was added, then what was
// subtracted.
type wideSum [2 * wideLimbs]uint64

// wideSquares is the exact sum of weighted squares.
type wideSquares [wideSquareLimbs]uint64

func (s *wideSum) half(negative uint64) []uint64 {
	return s[wideLimbs*negative : wideLimbs*(negative+1)]
}

func (s *wideSum) add(w weight, v float64) {
	m, shift := decompose(v)
	hi, lo := bits.Mul64(m, w.mantissa)
	addShifted(s.half(math.Float64bits(v)>>63), [3]uint64{lo, hi}, shift+w.shift)
}

func (s *wideSquares) add(w weight, v float64) {
	m, shift := decompose(v)
	hi, lo := bits.Mul64(m, m)
	c, a := bits.Mul64(lo, w.mantissa)
	d, b := bits.Mul64(hi, w.mantissa)
	b, carry := bits.Add64(b, c, 0)
	addShifted(s[:], [3]uint64{a, b, d + carry}, 2*shift+w.shift)
}

// setSum sets the sum to one of values of weight 1.
func (s *wideSum) setSum(t *Sum) {
	limbs, negative := t.magnitude()
	var wide [wideLimbs]uint64
	shiftLimbs(wide[:], limbs[:])
	s.set(wide, negative)
}

func (s *wideSquares) addSum(t *SquareSum) { shiftLimbs(s[:], t[:]) }

// shiftLimbs adds t * 2^massBits to s.
func shiftLimbs(s, t []uint64) {
	for i, l := range t {
		if l != 0 {
			addShifted3(s, l, uint(64*i+massBits))
		}
	}
}

// magnitude returns the limbs of the absolute sum, and whether it is negative.
func (s *wideSum) magnitude() (limbs [wideLimbs]uint64, negative bool) {
	negative = difference(limbs[:], s.half(0), s.half(1))
	return limbs, negative
}

func (s *wideSum) set(limbs [wideLimbs]uint64, negative bool) {
	*s = wideSum{}
	sign := uint64(0)
	if negative {
		sign = 1
	}
	copy(s.half(sign), limbs[:])
}

func (s *wideSum) int() *big.Int {
	limbs, negative := s.magnitude()
	i := bigInt(limbs[:])
	if negative {
		i.Neg(i)
	}
	return i
}

// scale multiplies limbs by num / 2^shift, rounded to the nearest, a half up. It
// returns false, and changes nothing, if the product has more than limit bits.
func scale(limbs []uint64, num *big.Int, shift uint, limit int) bool {
	v := bigInt(limbs)
	v.Mul(v, num)
	if shift > 0 {
		v.Add(v, new(big.Int).Lsh(big.NewInt(1), shift-1))
		v.Rsh(v, shift)
	}
	if v.BitLen() > limit {
		return false
	}
	var bytes [8 * wideSquareLimbs]byte
	b := v.FillBytes(bytes[:8*len(limbs)])
	for i := range limbs {
		var l uint64
		for _, x := range b[len(b)-8*i-8 : len(b)-8*i] {
			l = l<<8 | uint64(x)
		}
		limbs[i] = l
	}
	return true
}
