package profile

import (
	"math"
	"math/bits"
	"sync"
)

// pile adds many values, and their squares, before they go to the limbs of the
// sums: mantissas of the same sign and exponent are integers in the same unit, so
// that a value takes no shifting and no branch. Neighbours go to different
// heaps, so that one does not wait for what the others have stored.
type pile struct {
	heaps  [signs]heaps // of the exponents 0 nothing is left after a block
	lowest uint64       // exponent there may be
}

// heaps are sums of mantissas of 53 bits, s1 counting what s0 has not held, and those of their
// squares: heap j is of the values at the places 4i + j of blocks, the first one also of what
// is left of a block at its end.
type heaps struct{ s0, s1, q0, q1 [4]uint64 }

const (
	signs    = 1 << 12 // and exponents
	noneYet  = math.MaxUint64
	maxPiled = 1 << 20 // values, far fewer than the 2^22 whose squares of 106 bits fit
	leading  = 1 << 52 // bit of the mantissa of a normal number, which is not stored
)

var piles = sync.Pool{New: func() any { return &pile{lowest: noneYet} }} //nolint:gochecknoglobals // memory to be used again, no state

// add adds a block of finite values, their squares only if those are wanted. At most
// maxPiled may be added before a flush. It reports whether there are subnormal ones among
// them, which it leaves out.
func (p *pile) add(block []float64, squares bool) (subnormal bool) {
	if squares {
		p.addSquares(bitsOf(block))
	} else {
		p.addSums(bitsOf(block))
	}
	positive, negative := &p.heaps[0], &p.heaps[signs/2]
	if positive.empty() && negative.empty() { // of zeros there is a leading bit for each
		return false
	}
	*positive, *negative = heaps{}, heaps{}
	return hasSubnormal(block)
}

func (p *pile) addSquares(block []uint64) {
	for ; len(block) >= 4; block = block[4:] {
		a, b := block[0], block[1]
		p.heaps[a>>52].addSquare(0, a&(leading-1)|leading)
		p.heaps[b>>52].addSquare(1, b&(leading-1)|leading)
		a, b = block[2], block[3]
		p.heaps[a>>52].addSquare(2, a&(leading-1)|leading)
		p.heaps[b>>52].addSquare(3, b&(leading-1)|leading)
	}
	for _, a := range block {
		p.heaps[a>>52].addSquare(0, a&(leading-1)|leading)
	}
}

func (p *pile) addSums(block []uint64) {
	for ; len(block) >= 4; block = block[4:] {
		a, b := block[0], block[1]
		p.heaps[a>>52].add(0, a&(leading-1)|leading)
		p.heaps[b>>52].add(1, b&(leading-1)|leading)
		a, b = block[2], block[3]
		p.heaps[a>>52].add(2, a&(leading-1)|leading)
		p.heaps[b>>52].add(3, b&(leading-1)|leading)
	}
	for _, a := range block {
		p.heaps[a>>52].add(0, a&(leading-1)|leading)
	}
}

// hasSubnormal reports whether one of the values is, but for zeros, below 2^-1022.
func hasSubnormal(block []float64) bool {
	n := 0
	for _, v := range bitsOf(block) {
		n += one(v<<1-1 < 1<<53-1) // without the sign, and 0 beyond all
	}
	return n > 0
}

// add adds m to heap j.
func (h *heaps) add(j int, m uint64) {
	s := h.s0[j] + m
	if h.s0[j] = s; s < m { // one in thousands
		h.s1[j]++
	}
}

// addSquare adds m and its square to heap j.
func (h *heaps) addSquare(j int, m uint64) {
	var c uint64
	h.s0[j], c = bits.Add64(h.s0[j], m, 0)
	h.s1[j] += c
	hi, lo := bits.Mul64(m, m)
	h.q0[j], c = bits.Add64(h.q0[j], lo, 0)
	h.q1[j], _ = bits.Add64(h.q1[j], hi, c)
}

func (h *heaps) empty() bool {
	s, t := &h.s0, &h.s1
	return s[0]|s[1]|s[2]|s[3]|t[0]|t[1]|t[2]|t[3] == 0
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
	if a.pile.add(block, !a.moments.unsquared) {
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
	if !a.moments.unsquared {
		a.moments.squares.Add(v)
	}
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
		h := &p.heaps[i+e]
		if h.empty() {
			continue
		}
		for j := range h.s0 {
			addShifted(limbs, [3]uint64{h.s0[j], h.s1[j]}, uint(e-1))
			addShifted(q[:], [3]uint64{h.q0[j], h.q1[j]}, 2*uint(e-1))
		}
		*h = heaps{}
	}
}
