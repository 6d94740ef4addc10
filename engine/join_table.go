package engine

import "math/bits"

// joinParts is how many parts a table of ids has. Each grows on its own, so that
// growing never holds more than a small part of the table twice.
const joinParts = 64

// joinTable maps the keys of ids (table.Reader.AsKeys) to labels, by open
// addressing with linear probing. A label is a class or a number, or nothing if
// the table is only a set. Each key is also marked when it is seen.
type joinTable struct {
	numbers, labels bool // what labels are; without labels it is a set
	parts           [joinParts]joinPart
}

type joinPart struct {
	n, limit int
	keys     []uint64 // 0: free
	codes    []int32
	values   []float64
	seen     []uint64 // bits
}

// slotBytes is what a slot takes.
func slotBytes(numbers, labels bool) float64 {
	switch {
	case !labels:
		return 8
	case numbers:
		return 8 + 8 + 1.0/8
	}
	return 8 + 4 + 1.0/8
}

// Loads of a part: as it is made, and when it grows.
const (
	joinLoad    = 0.75
	joinMaxLoad = 0.85
	joinGrowth  = 1.4
)

// newJoinTable returns a table made for n ids.
func newJoinTable(n int64, numbers, labels bool) *joinTable {
	t := &joinTable{numbers: numbers, labels: labels}
	for i := range t.parts {
		t.parts[i] = t.part(int(float64(n)/joinParts/joinLoad) + 16)
	}
	return t
}

func (t *joinTable) part(slots int) joinPart {
	p := joinPart{limit: int(float64(slots) * joinMaxLoad), keys: make([]uint64, slots)}
	if !t.labels {
		return p
	}
	p.seen = make([]uint64, (slots+63)/64)
	if t.numbers {
		p.values = make([]float64, slots)
	} else {
		p.codes = make([]int32, slots)
	}
	return p
}

// free is the key of free slots; the id that has it shares the next one.
func notFree(key int64) uint64 { return max(uint64(key), 1) }

// place returns a key's slot, or the free one where it belongs. Parts go by the
// lowest bits and slots by the middle ones, because the passes of a join go by the
// highest.
func (p *joinPart) place(key uint64) (slot int, found bool) {
	hi, _ := bits.Mul64(bits.RotateLeft64(key, 32), uint64(len(p.keys)))
	for i := int(hi); ; {
		switch p.keys[i] {
		case key:
			return i, true
		case 0:
			return i, false
		}
		if i++; i == len(p.keys) {
			i = 0
		}
	}
}

// at returns the part of a key.
func (t *joinTable) at(key uint64) *joinPart { return &t.parts[key%joinParts] }

// insert finds or makes the slot of a key.
func (t *joinTable) insert(key uint64) (p *joinPart, slot int, again bool) {
	p = t.at(key)
	if p.n >= p.limit {
		t.grow(p)
	}
	slot, again = p.place(key)
	if !again {
		p.keys[slot] = key
		p.n++
	}
	return p, slot, again
}

func (t *joinTable) grow(p *joinPart) {
	q := t.part(int(float64(len(p.keys))*joinGrowth) + 16)
	q.n = p.n
	for i, key := range p.keys {
		if key == 0 {
			continue
		}
		slot, _ := q.place(key)
		q.keys[slot] = key
		switch {
		case !t.labels:
			continue
		case t.numbers:
			q.values[slot] = p.values[i]
		default:
			q.codes[slot] = p.codes[i]
		}
		if p.isSeen(i) {
			q.see(slot)
		}
	}
	*p = q
}

func (p *joinPart) isSeen(slot int) bool { return p.seen[slot/64]>>(slot%64)&1 == 1 }
func (p *joinPart) see(slot int)         { p.seen[slot/64] |= 1 << (slot % 64) }

// len is the number of ids.
func (t *joinTable) len() int64 {
	n := int64(0)
	for i := range t.parts {
		n += int64(t.parts[i].n)
	}
	return n
}
