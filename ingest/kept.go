package ingest

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"
)

// kept is what the rows of a column have that is longer than a word.
type kept struct {
	texts   []string // each once
	short   shortTexts
	long    longTexts
	vectors [][]float32
}

// textBytes is what each text costs beside its bytes: its string, and what finds it.
const textBytes = 96

// place returns the place of a text, and whether it is new.
func (k *kept) place(text []byte) (place uint64, added bool) {
	if n := len(text); n <= maxShort {
		head, tail := shortText(text)
		place, added = k.short.place(head, tail, uint64(n), uint64(len(k.texts)))
	} else {
		place, added = k.long.place(text, k.texts)
	}
	if added {
		k.texts = append(k.texts, string(text))
	}
	return place, added
}

// maxShort is how long a text may be that two words say all of. Most categories are
// not longer.
const maxShort = 16

// shortText returns the first and the last eight bytes of a text, which overlap if it
// is shorter than 16. With its length they tell it from all others.
func shortText(text []byte) (head, tail uint64) {
	switch n := len(text); {
	case n >= 8:
		return binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(text)), uint64(binary.LittleEndian.Uint32(text[n-4:]))
	case n > 0:
		return uint64(text[0]) | uint64(text[n/2])<<8 | uint64(text[n-1])<<16, 0
	}
	return 0, 0
}

// shortTexts finds short texts without looking at anything but its table, half of
// which is free.
type shortTexts struct {
	table         []shortEntry
	n             int
	first, second uint64 // so that nobody can choose texts that collide
}

type shortEntry struct {
	head, tail uint64
	place      uint64 // and 1, in the lower half, below the length; 0: the entry is free
}

// place returns the place of a text, which is next if it is new.
func (s *shortTexts) place(head, tail, size, next uint64) (place uint64, added bool) {
	if 2*s.n >= len(s.table) {
		s.enlarge()
	}
	table := s.table
	for at := s.hash(head, tail, size); ; at++ {
		e := &table[at&uint64(len(table)-1)]
		if e.head == head && e.tail == tail && e.place>>32 == size && e.place != 0 {
			return e.place&math.MaxUint32 - 1, false
		}
		if e.place == 0 {
			*e = shortEntry{head, tail, size<<32 | (next + 1)}
			s.n++
			return next, true
		}
	}
}

func (s *shortTexts) hash(head, tail, size uint64) uint64 {
	high, low := bits.Mul64(head^s.first, tail^s.second+size)
	return high ^ low
}

func (s *shortTexts) enlarge() {
	old := s.table
	if old == nil {
		s.first, s.second = rand.Uint64(), rand.Uint64()
	}
	s.table = make([]shortEntry, max(16, 2*len(old)))
	mask := uint64(len(s.table) - 1)
	for _, e := range old {
		if e.place == 0 {
			continue
		}
		at := s.hash(e.head, e.tail, e.place>>32) & mask
		for s.table[at].place != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = e
	}
}

// longTexts finds texts by their hashes.
type longTexts struct {
	table []uint64 // upper half of the hash, lower half place + 1; 0: free; half are
	n     int
	seed  maphash.Seed
}

// place returns the place of a text among texts, which is their number if it is new.
func (l *longTexts) place(text []byte, texts []string) (place uint64, added bool) {
	if 2*l.n >= len(l.table) {
		l.enlarge()
	}
	hash, mask := maphash.Bytes(l.seed, text)>>32, uint64(len(l.table)-1)
	for at := hash & mask; ; at = (at + 1) & mask {
		entry := l.table[at]
		if entry == 0 {
			l.table[at] = hash<<32 | uint64(len(texts)+1)
			l.n++
			return uint64(len(texts)), true
		}
		if i := entry&math.MaxUint32 - 1; entry>>32 == hash && texts[i] == string(text) {
			return i, false
		}
	}
}

func (l *longTexts) enlarge() {
	old := l.table
	if old == nil {
		l.seed = maphash.MakeSeed()
	}
	l.table = make([]uint64, max(16, 2*len(old)))
	mask := uint64(len(l.table) - 1)
	for _, entry := range old {
		if entry == 0 {
			continue
		}
		at := entry >> 32 & mask
		for l.table[at] != 0 {
			at = (at + 1) & mask
		}
		l.table[at] = entry
	}
}
