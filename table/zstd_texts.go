package table

import (
	"encoding/binary"
	"math/bits"
)

const (
	// maxAlike is the size up to which texts of one size are taken for ids and the like: what
	// is longer may well repeat within, which a general compressor finds.
	maxAlike = 64
	minAlike = 4
	// probeTexts show how texts begin and end.
	probeTexts = 32
)

// texts are those of a page that have the same size, as ids have: how many there are, and
// how many bytes most of them begin and end with.
type texts struct {
	n, size        int
	prefix, suffix int
	last           string
}

// see takes another text of the page into account.
func (t *texts) see(s string) {
	t.n++
	switch {
	case t.n == 1:
		t.size, t.prefix, t.suffix = len(s), len(s), len(s)
	case len(s) != t.size:
		t.size = -1
		return
	case t.n <= probeTexts:
		for t.prefix > 0 && s[:t.prefix] != t.last[:t.prefix] {
			t.prefix--
		}
		for t.suffix > 0 && s[t.size-t.suffix:] != t.last[t.size-t.suffix:] {
			t.suffix--
		}
	}
	t.last = s
}

// alike reports that the texts are of one size, differ, and are worth a way of their own.
func (t *texts) alike() bool {
	return t.n > 1 && t.size >= minAlike && t.size <= maxAlike && t.prefix+t.suffix < t.size
}

// packTexts appends a frame of the page, which ends in texts of one size. They have little
// in common but how they begin and end, and the length before them: so what is between that
// of a text which is its own, and that of the next, matches what was there a text before. In
// a block of such matches alone, they take no bits; and none is looked for.
//
// A block begins with what is of a text's own, but for the first one, which has all before
// it, too.
func (p *doublesPacker) packTexts(dst, page []byte, t texts) []byte {
	dst = append(dst, 0x28, 0xB5, 0x2F, 0xFD, 0xA0) // magic; one segment, its size in four bytes
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(page)))
	stride := 4 + t.size
	lead := len(page) - t.n*stride + 4 + t.prefix
	p.last, p.said, p.regular.pairs = 0, 0, p.regular.pairs[:0]
	for from, left := 0, t.n; left > 0; lead = 0 {
		n := min(left, (blockBytes-lead)/stride)
		left -= n
		to := from + lead + n*stride
		if left == 0 {
			to = len(page)
		}
		p.alternate(page[:to], from, lead, stride-t.prefix-t.suffix-4, stride)
		raw := page[from:to]
		dst = p.block(dst, len(raw), left == 0, true, func(dst []byte) []byte { return append(dst, raw...) })
		from = to
	}
	return dst
}

// alternate finds the sequences of the block that begins at from: literals, of which the
// lead is followed by so many that are a text's own, and a match up to the end of the stride.
func (p *doublesPacker) alternate(page []byte, from, lead, own, stride int) {
	p.literals, p.sequences = p.literals[:0], p.sequences[:0]
	clear(p.counts[:])
	match, run := stride-own, lead
	for at := from + lead; ; at += match {
		end := min(at+own, len(page))
		p.literals = append(p.literals, page[from:end]...)
		run += end - at
		if at = end; at+match > len(page) {
			p.literals = append(p.literals, page[at:]...)
			return
		}
		if from = at; at < stride || string(page[at:at+match]) != string(page[at-stride:at-own]) {
			run += match
			continue
		}
		p.addSequence(run, match, stride)
		from, run = at+match, 0
	}
}

// addSequence adds a sequence of literals, of which there are some, and a match.
func (p *doublesPacker) addSequence(literals, match, distance int) {
	offset := uint32(distance + 3)
	if uint32(distance) == p.last {
		offset = 1
	}
	p.last = uint32(distance)
	l, o, m := literalCode(uint32(literals)), uint8(bits.Len32(offset)-1), matchCode(uint32(match))
	p.counts[ofLiterals][l]++
	p.counts[ofOffset][o]++
	p.counts[ofMatch][m]++
	p.sequences = append(p.sequences, sequence{uint32(literals), uint32(match), offset, uint32(l)<<(8*ofLiterals) | uint32(o)<<(8*ofOffset) | uint32(m)<<(8*ofMatch)})
}
