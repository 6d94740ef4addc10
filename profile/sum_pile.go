package profile

import (
	"math"
	"math/bits"
	"sync"
)

// pile adds many values, and their squares, before they go to the limbs of the
// sums: mantissas of the same sign and exponent are integers in the same unit, so
// that a value takes no shifting and no branch. Neighbours go to different
// heaps, so that one does not wait for what the other has stored.
type pile struct {
	heaps  [signs][2]heap // of the exponents 0 nothing is left after a block
	lowest uint64         // exponent there may be
}

// heap is the sum of mantissas of 53 bits, and that of their squares.
type heap struct{ s0, s1, q0, q1 uint64 }

const (
	signs    = 1 << 12 // and exponents
	noneYet  = math.MaxUint64
	maxPiled = 1 << 20 // values, far fewer than the 2^22 whose squares of 106 bits fit
	leading  = 1 << 52 // bit of the mantissa of a normal number, which is not stored
)

var piles = sync.Pool{New: func() any { return &pile{lowest: noneYet} }} //nolint:gochecknoglobals // memory to be used again, no state

// add adds a block of finite values. At most maxPiled may be added before a flush. It
// reports whether there are subnormal ones among them, which it leaves out.
func (p *pile) add(block []float64) (subnormal bool) {
	i := 0
	for ; i+1 < len(block); i += 2 {
		a, b := math.Float64bits(block[i]), math.Float64bits(block[i+1])
		p.heaps[a>>52][0].add(a&(leading-1) | leading)
		p.heaps[b>>52][1].add(b&(leading-1) | leading)
	}
	if i < len(block) {
		a := math.Float64bits(block[i])
		p.heaps[a>>52][0].add(a&(leading-1) | leading)
	}
	zeros := p.heaps[0][0].s0 | p.heaps[0][1].s0 | p.heaps[signs/2][0].s0 | p.heaps[signs/2][1].s0
	if zeros == 0 { // of which there is a leading bit for each
		return false
	}
	positive, negative := p.clear(0), p.clear(signs/2)
	return positive || negative
}

// clear empties the heaps of an exponent 0, and reports whether there were other values than
// zeros in them: with n values f < 2^52 the sums are n 2^52 + sum f and n 2^104 + 2^53 sum f
// + sum f^2, and the second is 2^52 times the first only if each f is 0.
func (p *pile) clear(i int) (subnormal bool) {
	for j := range p.heaps[i] {
		h := &p.heaps[i][j]
		subnormal = subnormal || h.s0%leading != 0 || h.q0 != 0 || h.q1 != h.s0/leading<<40
		*h = heap{}
	}
	return subnormal
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
	pile    *pile // nil: none is needed yet
	piled   int
	single  bool // the values are too few for a pile
	few     bool // it pays to know the lowest exponent
}

const (
	// fewValues is up to how many are added one by one.
	fewValues = 64
	// fewPiled is up to how many make looking at all heaps take longer than finding
	// the lowest exponent.
	fewPiled = 1 << 14
)

// sums returns what adds so many values to the sums. It is to be closed.
func (m *moments) sums(values int) adder {
	return adder{moments: m, single: values <= fewValues, few: values <= fewPiled}
}

// add adds a block whose extremes the moments know.
func (a *adder) add(block []float64) {
	if a.single {
		for _, v := range block {
			a.one(v)
		}
		return
	}
	if a.pile == nil {
		a.pile, _ = piles.Get().(*pile)
		if !a.few {
			a.pile.lowest = 1
		}
	}
	if a.few {
		a.pile.lowest = min(a.pile.lowest, lowestExponent(block))
	}
	if a.pile.add(block) {
		for _, v := range block {
			if math.Abs(v) < 0x1p-1022 {
				a.one(v)
			}
		}
	}
	if a.piled += len(block); a.piled > maxPiled-blockSize {
		a.flush()
	}
}

func (a *adder) one(v float64) {
	a.moments.sum.Add(v)
	a.moments.squares.Add(v)
}

// lowestExponent returns the lowest that is not 0.
func lowestExponent(values []float64) uint64 {
	low := uint64(noneYet - 1)
	for _, v := range values {
		low = min(low, math.Float64bits(v)>>52&0x7ff-1) // that of an exponent 0 is the highest
	}
	return low + 1
}

func (a *adder) flush() {
	m := a.moments
	a.pile.flush(&m.sum, &m.squares, m.min, m.max)
	a.piled = 0
}

func (a *adder) close() {
	if a.pile != nil {
		a.flush()
		a.pile.lowest = noneYet
		piles.Put(a.pile)
	}
}

// flush moves what was added to the sums. All values are from lo to hi.
func (p *pile) flush(s *Sum, q *SquareSum, lo, hi float64) {
	if hi > 0 {
		p.move(s.positive(), q, 0, hi)
	}
	if lo < 0 {
		p.move(s.negative(), q, signs/2, -lo)
	}
}

// move moves the heaps of a sign, which are from the i-th on. No value is beyond extent.
func (p *pile) move(limbs []uint64, q *SquareSum, i int, extent float64) {
	top := int(math.Float64bits(extent) >> 52)
	for e := int(min(p.lowest, signs)); e <= top; e++ {
		for j := range p.heaps[i+e] {
			if h := &p.heaps[i+e][j]; h.q0|h.q1 != 0 {
				addShifted(limbs, [3]uint64{h.s0, h.s1}, uint(e-1))
				addShifted(q[:], [3]uint64{h.q0, h.q1}, 2*uint(e-1))
				*h = heap{}
			}
		}
	}
}
