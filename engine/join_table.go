package engine

import (
	"math"
	"math/bits"
)

// joinParts is how many parts a table of ids has. Each grows on its own, so that
// growing never holds more than a small part of the table twice.
const joinParts = 64

// joinTable maps the keys of ids (table.Reader.AsKeys) to labels, by open
// addressing with linear probing. A label is a class or a number, or nothing if
// the table is only a set. Each key is also marked when it is seen.
//
// A slot is a few words in a row, the key first, lower half before upper, so that
// a look-up mostly touches one line of the cache.
type joinTable struct {
	stride int // words a slot
	parts  [joinParts]joinPart
}

type joinPart struct {
	stride, slots, n, limit int
	words                   []uint32
	seen                    []uint64 // bits; of classes it is the highest bit of their word
}

// What is kept with a key, in words of a slot.
const (
	setOfIDs     = 2
	classesOfIDs = 3
	numbersOfIDs = 4
	joinLoad     = 0.75 // as a table is made
	joinMaxLoad  = 0.85 // when a part grows
	joinGrowth   = 1.4
	joinAhead    = 128 // rows whose slots are fetched ahead of their use
)

// slotBytes is what an id takes in a table as it is made.
func slotBytes(stride int) float64 { return (4*float64(stride) + 1.0/8) / joinLoad }

// newJoinTable returns a table made for n ids.
func newJoinTable(n int64, stride int) *joinTable {
	t := &joinTable{stride: stride}
	for i := range t.parts {
		t.parts[i] = newJoinPart(int(float64(n)/joinParts/joinLoad)+16, stride)
	}
	return t
}

func newJoinPart(slots, stride int) joinPart {
	p := joinPart{stride: stride, slots: slots, limit: int(float64(slots) * joinMaxLoad), words: make([]uint32, slots*stride)}
	if stride == numbersOfIDs {
		p.seen = make([]uint64, (slots+63)/64)
	}
	return p
}

// notFree makes a key one that does not mark a free slot; the id whose key that
// is shares the next one.
func notFree(key int64) uint64 { return max(uint64(key), 1) }

// home is the slot where the search for a key begins. Parts go by the lowest bits
// and slots by the middle ones, because the passes of a join go by the highest.
func (p *joinPart) home(key uint64) int {
	hi, _ := bits.Mul64(bits.RotateLeft64(key, 32), uint64(p.slots))
	return int(hi)
}

func (p *joinPart) key(slot int) uint64 {
	w := p.words[slot*p.stride:][:2]
	return uint64(w[0]) | uint64(w[1])<<32
}

// place returns a key's slot, or the free one where it belongs.
func (p *joinPart) place(key uint64) (slot int, found bool) {
	for slot = p.home(key); ; {
		switch p.key(slot) {
		case key:
			return slot, true
		case 0:
			return slot, false
		}
		if slot++; slot == p.slots {
			slot = 0
		}
	}
}

// at returns the part of a key.
func (t *joinTable) at(key uint64) *joinPart { return &t.parts[key%joinParts] }

// fetch touches the slots of keys that are about to be looked up. The accesses do
// not wait for each other, as those of look-ups do, and memory answers them
// together. What it returns serves only to keep the accesses from being left out.
func (t *joinTable) fetch(keys []int64) (sum uint32) {
	for _, key := range keys {
		sum += t.touch(notFree(key))
	}
	return sum
}

// touch reads the slot where the search for a key begins.
func (t *joinTable) touch(key uint64) uint32 {
	p := t.at(key)
	return p.words[p.home(key)*p.stride]
}

// insert finds or makes the slot of a key.
func (t *joinTable) insert(key uint64) (p *joinPart, slot int, again bool) {
	p = t.at(key)
	if p.n >= p.limit {
		p.grow()
	}
	slot, again = p.place(key)
	if !again {
		w := p.words[slot*p.stride:][:2]
		w[0], w[1] = uint32(key), uint32(key>>32)
		p.n++
	}
	return p, slot, again
}

func (p *joinPart) grow() {
	q := newJoinPart(int(float64(p.slots)*joinGrowth)+16, p.stride)
	q.n = p.n
	for i := range p.slots {
		key := p.key(i)
		if key == 0 {
			continue
		}
		slot, _ := q.place(key)
		copy(q.words[slot*q.stride:][:q.stride], p.words[i*p.stride:])
		if p.seen != nil && p.isSeen(i) {
			q.see(slot)
		}
	}
	*p = q
}

// seenClass marks the word of a class whose id was seen.
const seenClass = 1 << 31

func (p *joinPart) setClass(slot int, code int32) { p.words[slot*p.stride+2] = uint32(code) }
func (p *joinPart) class(slot int) int32          { return int32(p.words[slot*p.stride+2] &^ seenClass) }

func (p *joinPart) setNumber(slot int, x float64) {
	b, w := math.Float64bits(x), p.words[slot*p.stride:][:4]
	w[2], w[3] = uint32(b), uint32(b>>32)
}

func (p *joinPart) number(slot int) float64 {
	w := p.words[slot*p.stride:][:4]
	return math.Float64frombits(uint64(w[2]) | uint64(w[3])<<32)
}

func (p *joinPart) isSeen(slot int) bool {
	if p.seen == nil {
		return p.words[slot*p.stride+2]&seenClass != 0
	}
	return p.seen[slot/64]>>(slot%64)&1 == 1
}

func (p *joinPart) see(slot int) {
	if p.seen == nil {
		p.words[slot*p.stride+2] |= seenClass
		return
	}
	p.seen[slot/64] |= 1 << (slot % 64)
}

// len is the number of ids.
func (t *joinTable) len() int64 {
	n := int64(0)
	for i := range t.parts {
		n += int64(t.parts[i].n)
	}
	return n
}
