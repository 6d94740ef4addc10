package profile

import (
	"math"
	"math/bits"
	"sync"
)

// pile adds many values, and their squares, before they go to the limbs of the
// sums: mantissas of the same sign and exponent are integers in the same unit, so
// that a value takes no shifting and no branch. Neighbours go to different
// halves, so that one does not wait for what the other has stored.
type pile struct {
	even, odd [signs]heap
	lowest    uint64 // exponent there may be, less one; subnormals and zeros apart
}

// heap is the sum of mantissas of 53 bits, and that of their squares.
type heap struct{ s0, s1, q0, q1 uint64 }

const (
	signs    = 1 << 12 // and exponents
	noneYet  = math.MaxUint64
	maxPiled = 1 << 20 // values, far fewer than the 2^22 whose squares of 106 bits fit
)

var piles = sync.Pool{New: func() any { return &pile{lowest: noneYet} }} //nolint:gochecknoglobals // memory to be used again, no state

// add adds finite values. At most maxPiled may be added before a flush.
func (p *pile) add(values []float64) {
	low := p.lowest
	i := 0
	for ; i+1 < len(values); i += 2 {
		a, b := math.Float64bits(values[i]), math.Float64bits(values[i+1])
		low = min(low, a>>52&0x7ff-1, b>>52&0x7ff-1)
		p.even[a>>52].add(mantissa(a))
		p.odd[b>>52].add(mantissa(b))
	}
	for ; i < len(values); i++ {
		a := math.Float64bits(values[i])
		low = min(low, a>>52&0x7ff-1)
		p.even[a>>52].add(mantissa(a))
	}
	p.lowest = low
}

// mantissa returns that of the bits of a double, as decompose does.
func mantissa(b uint64) uint64 {
	normal := (b>>52&0x7ff + 0x7ff) >> 11 // 1, of a subnormal 0
	return b&(1<<52-1) | normal<<52
}

func (h *heap) add(m uint64) {
	var c uint64
	h.s0, c = bits.Add64(h.s0, m, 0)
	h.s1 += c
	hi, lo := bits.Mul64(m, m)
	h.q0, c = bits.Add64(h.q0, lo, 0)
	h.q1, _ = bits.Add64(h.q1, hi, c)
}

// adder adds the values of one call to the moments' sums.
type adder struct {
	moments *moments
	pile    *pile // nil: the values are too few for one
	piled   int
}

// fewValues is up to how many are added one by one.
const fewValues = 64

// sums returns what adds so many values to the sums. It is to be closed.
func (m *moments) sums(values int) adder {
	a := adder{moments: m}
	if values > fewValues {
		a.pile, _ = piles.Get().(*pile)
	}
	return a
}

// add adds a block whose extremes the moments know.
func (a *adder) add(block []float64) {
	if a.pile == nil {
		for _, v := range block {
			a.moments.sum.Add(v)
			a.moments.squares.Add(v)
		}
		return
	}
	a.pile.add(block)
	if a.piled += len(block); a.piled > maxPiled-blockSize {
		a.flush()
	}
}

func (a *adder) flush() {
	m := a.moments
	a.pile.flush(&m.sum, &m.squares, max(-m.min, m.max))
	a.piled = 0
}

func (a *adder) close() {
	if a.pile != nil {
		a.flush()
		piles.Put(a.pile)
	}
}

// flush moves what was added to the sums. extent is at least the largest absolute value.
func (p *pile) flush(s *Sum, q *SquareSum, extent float64) {
	top := math.Float64bits(extent) >> 52 & 0x7ff
	for sign := range uint64(2) {
		p.move(s, q, sign, 0)
		for e := p.lowest + 1; e <= top && p.lowest != noneYet; e++ {
			p.move(s, q, sign, e)
		}
	}
	p.lowest = noneYet
}

func (p *pile) move(s *Sum, q *SquareSum, sign, exponent uint64) {
	limbs := s.positive()
	if sign != 0 {
		limbs = s.negative()
	}
	shift := uint(max(exponent, 1) - 1)
	for _, h := range []*heap{&p.even[sign<<11|exponent], &p.odd[sign<<11|exponent]} {
		if h.q0|h.q1 != 0 {
			addShifted(limbs, [3]uint64{h.s0, h.s1}, shift)
			addShifted(q[:], [3]uint64{h.q0, h.q1}, 2*shift)
			*h = heap{}
		}
	}
}
