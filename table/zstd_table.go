package table

import (
	"encoding/binary"
	"math/bits"
)

// symbolTable is how the codes of one kind of a block's sequences are written: by tANS,
// which RFC 8878, section 4.1, calls FSE, with a table made of how often each occurs.
type symbolTable struct {
	log    int   // of the number of states; 0: there is one symbol, which takes no bits
	only   uint8 // that symbol
	norm   [maxSymbols]int16
	states [1 << maxTableLog]uint16
	of     [maxSymbols]move
	spread [1 << maxTableLog]uint8
}

// move is what a symbol does: a state gives out its lowest (state+bits)>>16 bits, and those
// left are where in the states, from base on, the next one is.
type move struct {
	bits uint32
	base int32
}

const (
	maxSymbols  = 53 // codes of match lengths
	minTableLog = 5
	maxTableLog = 8
)

// make fits the table to the counts of the symbols, of which there are total.
func (t *symbolTable) make(counts []uint32, total int) {
	most, used := 0, 0
	for s, n := range counts {
		if n > 0 {
			used++
		}
		if n > counts[most] {
			most = s
		}
	}
	if t.log = 0; used == 1 {
		t.only, t.of[most], t.states[0] = uint8(most), move{}, 0 // no bits, from state 0 to state 0
		return
	}
	t.log = min(maxTableLog, max(minTableLog, bits.Len(uint(total))-2, bits.Len(uint(used-1)))) // a state for each symbol at least
	size := 1 << t.log
	left := size
	clear(t.norm[:])
	for s, n := range counts {
		if n > 0 {
			t.norm[s] = int16(max(1, int(n)*size/total))
			left -= int(t.norm[s])
		}
	}
	t.level(most, left)
	t.build(len(counts))
}

// level makes the sum of the shares that of the states: the most frequent symbol gets
// what is left, or the most frequent ones give up what is too much.
func (t *symbolTable) level(most, left int) {
	for ; left < 0; left++ {
		for s := range t.norm {
			if t.norm[s] > t.norm[most] {
				most = s
			}
		}
		t.norm[most]--
	}
	t.norm[most] += int16(left)
}

func (t *symbolTable) build(symbols int) {
	size := 1 << t.log
	step, at := size>>1+size>>3+3, 0
	for s := range symbols {
		for range t.norm[s] {
			t.spread[at] = uint8(s)
			at = (at + step) & (size - 1)
		}
	}
	var next [maxSymbols]int
	sum := 0
	for s := range symbols {
		n := int(t.norm[s])
		next[s] = sum
		switch n {
		case 0:
		case 1:
			t.of[s] = move{uint32(t.log<<16 - size), int32(sum - 1)}
		default:
			most := t.log - (bits.Len(uint(n-1)) - 1)
			t.of[s] = move{uint32(most<<16 - n<<most), int32(sum - n)}
		}
		sum += n
	}
	for i, s := range t.spread[:size] {
		t.states[next[s]] = uint16(size + i)
		next[s]++
	}
}

// first is the state before the first symbol, which gives out no bits.
func (t *symbolTable) first(s uint8) uint32 {
	m := t.of[s]
	n := (m.bits + 1<<15) >> 16
	return uint32(t.states[int32((n<<16-m.bits)>>n)+m.base])
}

// describe appends the table as a decoder needs it, with symbols up to the last in use.
func (t *symbolTable) describe(dst []byte, symbols int) []byte {
	for t.norm[symbols-1] == 0 {
		symbols--
	}
	w := bitWriter{out: dst}
	w.add(uint64(t.log-minTableLog), 4)
	left, threshold, width := 1<<t.log+1, 1<<t.log, t.log+1
	zero := false
	for s := 0; s < symbols && left > 1; s++ {
		if zero {
			run := 0
			for ; t.norm[s] == 0; s++ {
				run++
			}
			for ; run >= 3; run -= 3 {
				w.add(3, 2)
				w.flush()
			}
			w.add(uint64(run), 2)
		}
		n := int(t.norm[s])
		most := 2*threshold - 1 - left
		left -= n
		zero = n == 0
		if n++; n >= threshold {
			n += most
		}
		if n < most {
			w.add(uint64(n), uint8(width-1))
		} else {
			w.add(uint64(n), uint8(width))
		}
		w.flush()
		for left < threshold {
			width--
			threshold >>= 1
		}
	}
	return w.end()
}

// bitWriter appends bits, the first in the lowest places.
type bitWriter struct {
	out  []byte
	word uint64
	n    uint8
}

// add appends the lowest n bits of v, which has no others. With those since the last
// flush there may be 57.
func (w *bitWriter) add(v uint64, n uint8) {
	w.word |= v << (w.n & 63)
	w.n += n
}

// flush makes room.
func (w *bitWriter) flush() {
	size := len(w.out)
	w.out = binary.LittleEndian.AppendUint64(w.out, w.word)[:size+int(w.n/8)]
	w.word >>= w.n &^ 7 & 63
	w.n &= 7
}

// end fills up the last byte with zeros.
func (w *bitWriter) end() []byte {
	w.flush()
	if w.n > 0 {
		w.out = append(w.out, byte(w.word))
	}
	return w.out
}
