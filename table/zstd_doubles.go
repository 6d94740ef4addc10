package table

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// doublesPacker compresses pages of doubles to Zstandard frames (RFC 8878), which every
// decoder reads. A general compressor looks for repetitions at each byte. Those of
// doubles begin at the low bytes of a value: decimals of few digits end in few
// different ways, integers and single precision in zeros, and what goes before, the
// high bytes of the value before, often repeats, too. One look per value takes a fifth
// of the time, for as many bytes.
type doublesPacker struct {
	seen      [1 << seenLog]uint16 // by the low bytes: the last value with such ones
	literals  []byte
	sequences []sequence
	last      uint32 // distance, which a sequence may repeat
	said      uint32 // the last of the blocks that are packed: decoders know of no other
	regular   regular
	page      []byte // of values whose bytes lie in memory the other way round
	literal   huff0.Scratch
	tables    [3]symbolTable // of the codes of a sequence
	counts    [3][256]uint32
}

// sequence is some literals, then a match.
type sequence struct {
	literals, match uint32
	offset          uint32 // as the format has it: 1 repeats the last, others are 3 more
	codes           uint32 // a byte for each of the three
}

func (s *sequence) code(of int) uint8 { return uint8(s.codes >> (8 * of)) }

// The codes of a sequence.
const (
	ofLiterals = iota
	ofOffset
	ofMatch
)

const (
	seenLog     = 13
	lowBits     = 40             // of a value, that are looked up
	blockBytes  = 1 << 17        // of a frame; the format allows no more
	blockValues = blockBytes / 8 // of doubles
	// multiplier hashes. The low bytes of decimals are multiples of each other: with this
	// one those of one to five digits, of either sign, hardly ever get in each other's way.
	multiplier = 0xCC44BFA6C6B588ED
)

// pack appends a frame of the page that begins with head and goes on with the values.
func (p *doublesPacker) pack(dst, head []byte, values []float64) []byte {
	size := len(head) + 8*len(values)
	dst = append(dst, 0x28, 0xB5, 0x2F, 0xFD, 0xA0) // magic; one segment, its size in four bytes
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	for len(head) > 0 || size == 0 {
		raw := head[:min(blockBytes, len(head))]
		head = head[len(raw):]
		p.literals, p.sequences, p.regular.pairs = append(p.literals[:0], raw...), p.sequences[:0], p.regular.pairs[:0]
		final := len(head)+len(values) == 0
		if dst = p.block(dst, len(raw), final, true, func(dst []byte) []byte { return append(dst, raw...) }); final {
			return dst
		}
	}
	clear(p.seen[:])
	p.last, p.said, p.regular.not = 0, 0, false
	for from := 0; from < len(values); {
		to := min(from+blockValues, len(values))
		n := 8 * (to - from)
		useful := p.find(values[:to], from) && len(p.literals) <= n-n/8
		dst = p.block(dst, n, to == len(values), useful, func(dst []byte) []byte { return appendDoubles(dst, values[from:to]) })
		from = to
	}
	return dst
}

// bytes are those of the values as they lie in a page.
func (p *doublesPacker) bytes(values []float64) []byte {
	if b, ok := asBytes(values); ok {
		return b
	}
	p.page = appendDoubles(p.page[:0], values)
	return p.page
}

// parse finds the sequences of values[from:].
//
// Of the value before, the bytes from done on are still to be said: as literals, which
// they are unless the highest of them belong to a match that the value begins with.
func (p *doublesPacker) parse(values []float64, from int) {
	p.literals, p.sequences = grown(p.literals, 8*(len(values)-from)+8), grown(p.sequences, len(values)-from)
	clear(p.counts[:])
	literals, sequences, last := p.literals, p.sequences, p.last
	before, done, run := uint64(0), 8, uint32(0) // run: literals since the last match
	at, n := 0, 0                                // of literals, of sequences
	for i := from; i < len(values); i++ {
		v := math.Float64bits(values[i])
		slot := &p.seen[v<<(64-lowBits)*multiplier>>(64-seenLog)]
		was := int(*slot)
		*slot = uint16(i)
		same := v ^ math.Float64bits(values[was])
		if same<<(64-lowBits) != 0 || was == 0 {
			binary.LittleEndian.PutUint64(literals[at:], before>>(8*done&63))
			at, run = at+8-done, run+8-uint32(done)
			before, done = v, 0
			continue
		}
		high := min(bits.LeadingZeros64(before^math.Float64bits(values[was-1]))/8, 8-done)
		binary.LittleEndian.PutUint64(literals[at:], before>>(8*done&63))
		at, run = at+8-done-high, run+8-uint32(done+high)
		done = bits.TrailingZeros64(same) / 8
		length := uint32(high + done)
		distance := uint32(8 * (i - was))
		if same == 0 {
			var more int
			more, done = repeated(values[i+1:], values[was+1:])
			length += uint32(more)
			i += (more + 7) / 8
		}
		before = math.Float64bits(values[i])
		offset := distance + 3
		if distance == last && run > 0 {
			offset = 1
		}
		last = distance
		l, o, m := uint8(run), uint8(bits.Len32(offset)-1), uint8(length-3)
		if run >= 16 || length >= 35 {
			l, m = literalCode(run), matchCode(length)
		}
		p.counts[ofLiterals][l]++
		p.counts[ofOffset][o]++
		p.counts[ofMatch][m]++
		sequences[n] = sequence{run, length, offset, uint32(l)<<(8*ofLiterals) | uint32(o)<<(8*ofOffset) | uint32(m)<<(8*ofMatch)}
		n, run = n+1, 0
	}
	binary.LittleEndian.PutUint64(literals[at:], before>>(8*done&63))
	p.literals, p.sequences, p.last = literals[:at+8-done], sequences[:n], last
}

// repeated says how many bytes, from the lowest of the first value on, a has in common
// with b, and how many of these are of the value in which they end.
func repeated(a, b []float64) (n, last int) {
	for i, v := range a {
		if other := math.Float64bits(v) ^ math.Float64bits(b[i]); other != 0 {
			n = 8*i + bits.TrailingZeros64(other)/8
			return n, (n+7)%8 + 1
		}
	}
	return 8 * len(a), 8
}

// The types of a block.
const (
	blockRaw    = 0
	blockPacked = 2
)

// block appends the parsed block of n bytes; as it is if that is not useful, or it would not shrink by an
// eighth, which numbers of full precision do not: they are read as fast as they are copied then.
func (p *doublesPacker) block(dst []byte, n int, final, useful bool, raw func([]byte) []byte) []byte {
	most := n - n/8
	head := len(dst)
	dst = append(dst, 0, 0, 0)
	if useful {
		dst = p.appendLiterals(dst)
		dst = p.appendSequences(dst)
	}
	size, kind := len(dst)-head-3, blockPacked
	if size == 0 || size > most {
		dst = raw(dst[:head+3])
		size, kind, p.last = n, blockRaw, p.said
	}
	p.said = p.last
	h := uint32(size<<3 | kind<<1)
	if final {
		h |= 1
	}
	dst[head], dst[head+1], dst[head+2] = byte(h), byte(h>>8), byte(h>>16)
	return dst
}

// appendLiterals appends the literals by Huffman's code, or as they are.
func (p *doublesPacker) appendLiterals(dst []byte) []byte {
	const rle, packed, wide = 1, 2, 3 << 2
	n := len(p.literals)
	if n == 0 {
		return append(dst, 0)
	}
	p.literal.Reuse = huff0.ReusePolicyNone
	out, _, err := huff0.Compress4X(p.literals, &p.literal)
	switch {
	case err == nil:
		h := uint64(packed|wide) | uint64(n)<<4 | uint64(len(out))<<22
		dst = append(dst, byte(h), byte(h>>8), byte(h>>16), byte(h>>24), byte(h>>32))
		return append(dst, out...)
	case errors.Is(err, huff0.ErrUseRLE):
		h := uint32(rle|wide) | uint32(n)<<4
		return append(dst, byte(h), byte(h>>8), byte(h>>16), p.literals[0])
	}
	h := uint32(wide) | uint32(n)<<4
	return append(append(dst, byte(h), byte(h>>8), byte(h>>16)), p.literals...)
}

// appendSequences appends the tables of the codes, and the sequences from the last to the first.
func (p *doublesPacker) appendSequences(dst []byte) []byte {
	n := len(p.sequences) + len(p.regular.pairs) // one of which is empty
	switch {
	case n < 128:
		dst = append(dst, byte(n))
	case n < 0x7F00:
		dst = append(dst, byte(n>>8|0x80), byte(n))
	default:
		dst = append(dst, 0xFF, byte(n-0x7F00), byte((n-0x7F00)>>8))
	}
	if n == 0 {
		return dst
	}
	const rle, own = 1, 2
	modes := len(dst)
	dst = append(dst, 0)
	for i := range p.tables {
		t := &p.tables[i]
		if t.make(p.counts[i][:maxSymbols], n); t.log > 0 {
			dst[modes] |= own << (6 - 2*i)
			dst = t.describe(dst, maxSymbols)
			continue
		}
		dst[modes] |= rle << (6 - 2*i)
		dst = append(dst, t.only)
	}
	if len(p.sequences) == 0 {
		return p.appendPairs(dst)
	}
	return p.appendCodes(dst)
}

// appendCodes appends the sequences from the last to the first, as decoders take them. The
// first that is written gives each table its state.
func (p *doublesPacker) appendCodes(dst []byte) []byte {
	const most = 11 // bytes that a sequence takes
	at := len(dst)
	dst = slices.Grow(dst, most*len(p.sequences)+16)[:at+most*len(p.sequences)+16]
	literals, offsets, matches := &p.tables[ofLiterals], &p.tables[ofOffset], &p.tables[ofMatch]
	last := &p.sequences[len(p.sequences)-1]
	literal, offset, match := literals.first(last.code(ofLiterals)), offsets.first(last.code(ofOffset)), matches.first(last.code(ofMatch))
	word, n := uint64(0), uint32(0) // bits that are to be written
	for i := len(p.sequences) - 1; i >= 0; i-- {
		s := &p.sequences[i]
		if s != last {
			o, m, l := offsets.of[s.code(ofOffset)], matches.of[s.code(ofMatch)], literals.of[s.code(ofLiterals)]
			give := (offset + o.bits) >> 16
			word |= uint64(offset) & (1<<(give&31) - 1) << (n & 63)
			n += give
			offset = uint32(offsets.states[uint8(int32(offset>>(give&31))+o.base)])
			give = (match + m.bits) >> 16
			word |= uint64(match) & (1<<(give&31) - 1) << (n & 63)
			n += give
			match = uint32(matches.states[uint8(int32(match>>(give&31))+m.base)])
			give = (literal + l.bits) >> 16
			word |= uint64(literal) & (1<<(give&31) - 1) << (n & 63)
			n += give
			literal = uint32(literals.states[uint8(int32(literal>>(give&31))+l.base)])
		}
		if s.literals >= 16 || s.match >= 35 { // their codes do not say all
			l, m := literalLengths[s.code(ofLiterals)&63], matchLengths[s.code(ofMatch)&63]
			at, word, n = flushBits(dst, at, word, n)
			word |= uint64(s.literals-l.base)<<n | uint64(s.match-m.base)<<(n+uint32(l.bits))
			n += uint32(l.bits) + uint32(m.bits)
			at, word, n = flushBits(dst, at, word, n)
		}
		more := uint32(s.code(ofOffset))
		word |= (uint64(s.offset) - 1<<(more&31)) << (n & 63)
		n += more
		at, word, n = flushBits(dst, at, word, n)
	}
	w := bitWriter{out: dst[:at], word: word, n: uint8(n)}
	w.add(uint64(match)&(1<<matches.log-1), uint8(matches.log))
	w.add(uint64(offset)&(1<<offsets.log-1), uint8(offsets.log))
	w.add(uint64(literal)&(1<<literals.log-1), uint8(literals.log))
	w.add(1, 1) // where the bits end
	return w.end()
}

// flushBits writes the whole bytes of word, which has n bits, and returns what is left of it.
func flushBits(dst []byte, at int, word uint64, n uint32) (int, uint64, uint32) {
	binary.LittleEndian.PutUint64(dst[at:], word)
	return at + int(n>>3), word >> (n &^ 7 & 63), n & 7
}

// lengths are those that a code stands for: from base on, as many as bits tell apart.
type lengths struct {
	base uint32
	bits uint8
}

// The codes of lengths, RFC 8878, section 3.1.1.3.2.1.
var (
	literalLengths = makeLengths(0, 16, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	matchLengths   = makeLengths(3, 32, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
)

// makeLengths makes single lengths from base on, and then ranges.
func makeLengths(base uint32, single int, ranges []uint8) (l [64]lengths) {
	for i := range single {
		l[i] = lengths{base + uint32(i), 0}
	}
	base += uint32(single)
	for i, n := range ranges {
		l[single+i] = lengths{base, n}
		base += 1 << n
	}
	return l
}

func literalCode(n uint32) uint8 {
	switch {
	case n < 16:
		return uint8(n)
	case n >= 64:
		return uint8(bits.Len32(n)-1) + 19
	}
	c := uint8(16)
	for ; literalLengths[c+1].base <= n; c++ {
	}
	return c
}

func matchCode(n uint32) uint8 {
	switch {
	case n < 3+32:
		return uint8(n - 3)
	case n >= 3+128:
		return uint8(bits.Len32(n-3)-1) + 36
	}
	c := uint8(32)
	for ; matchLengths[c+1].base <= n; c++ {
	}
	return c
}
