package table

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Most columns of doubles are regular: nearly every value ends in five bytes that one
// shortly before it ends in, where the highest byte before them, which is sign and most
// of the exponent, is the same, too. So their blocks have a sequence for each value, all
// of two literals and a match of six bytes but for a few, and are made in half of the time
// that it takes to look at how far each match goes.
const (
	ownBytes    = 2    // of a value, that are literals
	probeValues = 1024 // of a block that show whether it is regular
)

// regular is what is known of the block so far.
type regular struct {
	not   bool   // a block before was not
	at    int    // bytes of literals
	run   uint32 // of these since the last match
	pairs []pair
	n     int // of pairs
	fresh int // values that match none
	whole int // values that match one throughout
}

// pair is a sequence of a regular block, whose match has the length of the shape.
type pair struct {
	offset uint32 // as the format has it: 1 repeats the last, others are 3 more
	rest   uint32 // the number of literals, and below it the code of that, and the code of the offset
}

const (
	codeBits = 6
	codeMask = 1<<codeBits - 1
	runShift = 2 * codeBits
)

func (p pair) literals() uint32    { return p.rest >> runShift }
func (p pair) literalCode() uint32 { return p.rest >> codeBits & codeMask }
func (p pair) offsetCode() uint32  { return p.rest & codeMask }

// find finds the sequences of values[from:]. It reports false if there are too few to
// be of use.
func (p *doublesPacker) find(values []float64, from int) bool {
	r, last := &p.regular, p.last
	if !r.not {
		to := min(from+probeValues, len(values))
		if from == 0 {
			to = min(2*probeValues, len(values)) // at the beginning all are new
		}
		page := p.bytes(values)
		p.match(page[:8*to], p.begin(page, from))
		if n := to - from; r.whole <= n/16 {
			if 5*(n-r.fresh) < n {
				return false
			}
			p.match(page, to)
			p.finish(page)
			return true
		}
		r.not, r.pairs, p.last = true, r.pairs[:0], last
		clear(p.seen[:])
	}
	p.parse(values, from)
	return true
}

// begin begins a block with literals: one value, or two where nothing can match yet, but
// for the highest byte. It returns the first value after them.
func (p *doublesPacker) begin(page []byte, from int) int {
	r := &p.regular
	n := len(page)/8 - from
	p.literals, r.pairs = grown(p.literals, 8*n+8), grown(r.pairs, n)
	to := from + 1
	if from == 0 {
		to = min(2, n)
	}
	r.at = copy(p.literals, page[8*from:8*to-1])
	r.run, r.n, r.fresh, r.whole = uint32(r.at), 0, 0, 0
	clear(p.counts[:])
	return to
}

// match goes on with the values of the page from that one on. It looks at the eight bytes
// up to the highest one of a value, of which the two above its low ones may differ.
func (p *doublesPacker) match(page []byte, from int) {
	r, seen, offsets := &p.regular, &p.seen, &p.counts[ofOffset]
	literals, pairs := p.literals[r.at:], r.pairs[r.n:]
	at, n, run, last := 0, 0, r.run, p.last
	for i := 8*from - 1; i+9 <= len(page); i += 8 {
		next := binary.LittleEndian.Uint64(page[i : i+8])
		slot := &seen[next<<16*multiplier>>(64-seenLog)]
		was := 8*int(*slot) + 7
		*slot = uint16(i >> 3)
		other := binary.LittleEndian.Uint64(page[was : was+8])
		if (next^other)<<16 != 0 {
			binary.LittleEndian.PutUint64(literals[at:at+8], next)
			at, run = at+8, run+8
			continue
		}
		if next == other {
			r.whole++
		}
		distance := uint32(i - was)
		offset := distance + 3
		if distance == last {
			offset = 1
		}
		last = distance
		code := uint32(bits.Len32(offset) - 1)
		offsets[code&31]++
		rest := uint32(ownBytes<<runShift|ownBytes<<codeBits) | code
		if run != ownBytes {
			l := literalCode(run)
			p.counts[ofLiterals][l]++
			rest = run<<runShift | uint32(l)<<codeBits | code
		}
		pairs[n] = pair{offset, rest}
		binary.LittleEndian.PutUint16(literals[at:at+2], uint16(next>>48))
		at, n, run = at+ownBytes, n+1, ownBytes
	}
	r.fresh += len(page)/8 - from - n
	r.at, r.n, r.run, p.last = r.at+at, r.n+n, run, last
}

// finish ends the block.
func (p *doublesPacker) finish(page []byte) {
	r := &p.regular
	p.literals[r.at] = page[len(page)-1]
	p.literals, p.sequences, r.pairs = p.literals[:r.at+1], p.sequences[:0], r.pairs[:r.n]
	usual := uint32(r.n)
	for _, n := range p.counts[ofLiterals][:maxSymbols] {
		usual -= n
	}
	p.counts[ofLiterals][ownBytes] = usual
	p.counts[ofMatch][8-ownBytes-3] = uint32(r.n)
}

// appendPairs appends the pairs from the last to the first, as appendCodes does with
// sequences. The table of match lengths takes no bits.
func (p *doublesPacker) appendPairs(dst []byte) []byte {
	const most = 10 // bytes that a pair takes
	pairs := p.regular.pairs
	at := len(dst)
	dst = slices.Grow(dst, most*len(pairs)+16)[:at+most*len(pairs)+16]
	literals, offsets := &p.tables[ofLiterals], &p.tables[ofOffset]
	last := pairs[len(pairs)-1]
	literal, offset := literals.first(uint8(last.literalCode())), offsets.first(uint8(last.offsetCode()))
	word, n := uint64(0), uint32(0) // bits that are to be written
	at, word, n = appendRest(dst, at, word, n, last)
	for i := len(pairs) - 2; i >= 0; i-- {
		s := pairs[i]
		o, l := &offsets.of[s.offsetCode()&31], &literals.of[s.literalCode()]
		give := (offset + o.bits) >> 16 & 15
		word |= uint64(offset&(1<<give-1)) << (n & 63)
		n += give
		offset = uint32(offsets.states[uint8(int32(offset>>give)+o.base)])
		give = (literal + l.bits) >> 16 & 15
		word |= uint64(literal&(1<<give-1)) << (n & 63)
		n += give
		literal = uint32(literals.states[uint8(int32(literal>>give)+l.base)])
		if s.literals() >= 16 { // its code does not say all
			at, word, n = appendRest(dst, at, word, n, s)
			continue
		}
		code := s.offsetCode() & 31
		word |= (uint64(s.offset) - 1<<code) << (n & 63)
		n += code
		at, word, n = flushBits(dst, at, word, n)
	}
	w := bitWriter{out: dst[:at], word: word, n: uint8(n)}
	w.add(uint64(offset)&(1<<offsets.log-1), uint8(offsets.log))
	w.add(uint64(literal)&(1<<literals.log-1), uint8(literals.log))
	w.add(1, 1) // where the bits end
	return w.end()
}

// appendRest appends what the codes of a pair do not say.
func appendRest(dst []byte, at int, word uint64, n uint32, s pair) (int, uint64, uint32) {
	at, word, n = flushBits(dst, at, word, n)
	l := literalLengths[s.literalCode()]
	word |= uint64(s.literals()-l.base) << n
	at, word, n = flushBits(dst, at, word, n+uint32(l.bits))
	word |= (uint64(s.offset) - 1<<s.offsetCode()) << n
	return flushBits(dst, at, word, n+s.offsetCode())
}
