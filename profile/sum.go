package profile

import (
	"math"
	"math/big"
	"math/bits"
)

// Sums are integers in units of the smallest double (its square, for squares):
// adding is exact, so that the order of rows and of merges does not matter, and
// there is neither overflow nor cancellation. Limbs have 64 bits, the least
// significant first; their number leaves 63 bits for the number of terms.
const (
	sumLimbs    = 34 // 2098 bits of doubles + 63
	squareLimbs = 67 // 4196 bits of their squares + 63
	sumUnit     = -1074
	squareUnit  = 2 * sumUnit
)

// Sum is the exact sum of finite doubles. Its zero value is empty. It costs a
// few nanoseconds a value, and no order of adding or merging changes a bit of
// what is read from it.
type Sum struct {
	limbs [2 * sumLimbs]uint64 // of what was added, then of what was subtracted
}

// SquareSum is the exact sum of squares of finite doubles. Its zero value is
// empty.
type SquareSum [squareLimbs]uint64

// decompose returns |v| = mantissa * 2^(shift+sumUnit).
func decompose(v float64) (mantissa uint64, shift uint) {
	b := math.Float64bits(v)
	mantissa, shift = b&(1<<52-1), uint(b>>52)&0x7ff
	normal := uint(1)
	if shift == 0 {
		normal = 0
	}
	return mantissa | uint64(normal)<<52, shift - normal
}

// Add adds v, which must be finite.
func (s *Sum) Add(v float64) {
	m, shift := decompose(v)
	sign := uint(math.Float64bits(v) >> 63)
	i, o := shift/64+sumLimbs*sign, shift%64
	var c uint64
	s.limbs[i], c = bits.Add64(s.limbs[i], m<<o, 0)
	s.limbs[i+1], c = bits.Add64(s.limbs[i+1], m>>1>>(o^63), c)
	for i += 2; c != 0; i++ {
		s.limbs[i], c = bits.Add64(s.limbs[i], 0, c)
	}
}

// Add adds the square of v, which must be finite.
func (s *SquareSum) Add(v float64) {
	m, shift := decompose(v)
	hi, lo := bits.Mul64(m, m)
	i, o := 2*shift/64, 2*shift%64
	var c uint64
	s[i], c = bits.Add64(s[i], lo<<o, 0)
	s[i+1], c = bits.Add64(s[i+1], hi<<o|lo>>1>>(o^63), c)
	s[i+2], c = bits.Add64(s[i+2], hi>>1>>(o^63), c)
	for i += 3; c != 0; i++ {
		s[i], c = bits.Add64(s[i], 0, c)
	}
}

// AddTimes adds v, which must be finite, n times.
func (s *Sum) AddTimes(v float64, n int64) {
	m, shift := decompose(v)
	limbs := s.positive()
	if math.Signbit(v) {
		limbs = s.negative()
	}
	hi, lo := bits.Mul64(m, uint64(n))
	addShifted(limbs, [3]uint64{lo, hi}, shift)
}

// AddTimes adds the square of v, which must be finite, n times.
func (s *SquareSum) AddTimes(v float64, n int64) {
	m, shift := decompose(v)
	hi, lo := bits.Mul64(m, m)
	carry, low := bits.Mul64(lo, uint64(n))
	high, middle := bits.Mul64(hi, uint64(n)) // of less than 42 + 63 bits
	middle, c := bits.Add64(middle, carry, 0)
	addShifted(s[:], [3]uint64{low, middle, high + c}, 2*shift)
}

// addShifted adds words * 2^shift. The highest word must leave 64 bits.
func addShifted(limbs []uint64, words [3]uint64, shift uint) {
	i, o := shift/64, shift%64
	var c, rest uint64
	for _, w := range words {
		limbs[i], c = bits.Add64(limbs[i], w<<o|rest, c)
		rest = w >> 1 >> (63 - o)
		i++
	}
	if limbs = limbs[i:]; rest|c == 0 {
		return
	}
	limbs[0], c = bits.Add64(limbs[0], rest, c)
	for i := 1; c != 0; i++ {
		limbs[i], c = bits.Add64(limbs[i], 0, c)
	}
}

// Merge adds what t holds.
func (s *Sum) Merge(t *Sum) {
	addLimbs(s.positive(), t.positive())
	addLimbs(s.negative(), t.negative())
}

// Merge adds what t holds.
func (s *SquareSum) Merge(t *SquareSum) { addLimbs(s[:], t[:]) }

func (s *Sum) positive() []uint64 { return s.limbs[:sumLimbs] }
func (s *Sum) negative() []uint64 { return s.limbs[sumLimbs:] }

func addLimbs(s, t []uint64) {
	var c uint64
	for i := range s {
		s[i], c = bits.Add64(s[i], t[i], c)
	}
}

// magnitude returns the limbs of the absolute sum, and whether it is negative.
func (s *Sum) magnitude() (limbs [sumLimbs]uint64, negative bool) {
	negative = difference(limbs[:], s.positive(), s.negative())
	return limbs, negative
}

// difference sets d to the limbs of |p - n|, and reports whether p - n is negative.
func difference(d, p, n []uint64) (negative bool) {
	var borrow uint64
	for i := range d {
		d[i], borrow = bits.Sub64(p[i], n[i], borrow)
	}
	if borrow == 0 {
		return false
	}
	borrow = 0
	for i := range d {
		d[i], borrow = bits.Sub64(0, d[i], borrow)
	}
	return true
}

// int returns the sum in units of 2^sumUnit.
func (s *Sum) int() *big.Int {
	limbs, negative := s.magnitude()
	i := bigInt(limbs[:])
	if negative {
		i.Neg(i)
	}
	return i
}

// int returns the sum in units of 2^squareUnit.
func (s *SquareSum) int() *big.Int { return bigInt(s[:]) }

func bigInt(limbs []uint64) *big.Int {
	b := make([]byte, 8*len(limbs))
	for i, l := range limbs {
		for k := range 8 {
			b[len(b)-1-8*i-k] = byte(l >> (8 * k))
		}
	}
	return new(big.Int).SetBytes(b)
}

// Mean returns the sum over n as the nearest double.
func (s *Sum) Mean(n int64) float64 { return scaled(s.int(), big.NewInt(n), sumUnit) }

// Root returns the square root of the sum over n, to one unit in the last place.
func (s *SquareSum) Root(n int64) float64 { return root(s.int(), big.NewInt(n)) }

// scaled returns num/den * 2^exp as the nearest double.
func scaled(num, den *big.Int, exp int) float64 {
	r := new(big.Rat).SetFrac(num, new(big.Int).Lsh(den, uint(-exp)))
	f, _ := r.Float64()
	return f
}

// root returns sqrt(num/den * 2^squareUnit), and 0 for what is negative.
func root(num, den *big.Int) float64 {
	if num.Sign() <= 0 {
		return 0
	}
	const precision = 128
	v := new(big.Float).SetPrec(precision).SetInt(num)
	v.Quo(v, new(big.Float).SetInt(den))
	v.Sqrt(v)
	f, _ := v.SetMantExp(v, sumUnit).Float64()
	return min(f, math.MaxFloat64)
}

// PopulationSD returns sqrt(sum (x - mean)^2 / n) from the sums of n values,
// false without values. It is accurate to one unit in the last place, whatever
// the ratio of mean to spread.
func PopulationSD(n int64, s *Sum, q *SquareSum) (float64, bool) { return deviation(n, n, s, q) }

// SampleSD returns sqrt(sum (x - mean)^2 / (n-1)) from the sums of n values,
// false with fewer than two.
func SampleSD(n int64, s *Sum, q *SquareSum) (float64, bool) { return deviation(n, n-1, s, q) }

// deviation uses that n sum x^2 - (sum x)^2 is n times the sum of squared
// deviations: exact in integers.
func deviation(count, divisor int64, s *Sum, q *SquareSum) (float64, bool) {
	if count < 1 || divisor < 1 {
		return 0, false
	}
	n := big.NewInt(count)
	t, d := s.int(), q.int()
	d.Mul(d, n).Sub(d, t.Mul(t, t))
	return root(d, n.Mul(n, big.NewInt(divisor))), true
}
