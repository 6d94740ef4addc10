package profile

import (
	"math"
	"sync"
	"unsafe"
)

// tally counts values on the cuts of a finder, in memory that has the counts beside
// the cuts, so that a value touches one line of it beside the table: 2.5 ns a value
// among 2,000 cuts, where a binary search takes 75.
//
// Most values lie well within the extremes so far, so that they need not be compared
// with them: those in slots strictly between the slots of the extremes, which
// holds for no NaN and no infinity either. The others are left to the caller.
type tally struct {
	*finder
	nodes []node // one for each cut, and as many of +Inf as cuts is padded with
	added int64  // since the counts were last moved
	from  int    // the slots of what is well within go from there
	to    int    // to before there
	pause int    // blocks for which it does not pay to look for those
	on    int    // values of the last block that are cuts
	rest  [blockSize]float64

	before []int64 // the cells, for who wants to know what was added to them
}

// node is a cut and the counts of the values at it, and below it but above the one before.
type node struct {
	cut       float64
	below, at uint32
}

const (
	// maxTallied is how many values a count may hold.
	maxTallied = math.MaxUint32
	// spareNodes is how many there are beyond the others, for what is counted elsewhere.
	spareNodes = 3
	// pauseBlocks is for how many blocks all values are left to the caller after one in which that was better.
	pauseBlocks = 31
)

var tallies = sync.Pool{New: func() any { return &tally{} }} //nolint:gochecknoglobals // memory to be used again, no state

// newTally returns what counts on the cuts of f; m has the extremes so far. It is to be released.
func newTally(f *finder, m *moments) *tally {
	t, _ := tallies.Get().(*tally)
	nodes := t.nodes[:0]
	for _, c := range f.cuts {
		nodes = append(nodes, node{cut: c})
	}
	var spare [spareNodes]node
	t.finder, t.nodes, t.added, t.pause = f, append(nodes, spare[:]...)[:len(nodes)], 0, 0
	t.limit(m)
	return t
}

func (t *tally) release() {
	t.finder = nil
	tallies.Put(t)
}

// move adds the counts to cells.
func (t *tally) move(cells []int64) {
	for i := range len(t.nodes) - 3 {
		n := &t.nodes[i]
		cells[2*i] += int64(n.below)
		cells[2*i+1] += int64(n.at)
		n.below, n.at = 0, 0
	}
	last := &t.nodes[len(t.nodes)-3]
	cells[2*len(t.nodes)-6] += int64(last.below)
	last.below, t.added = 0, 0
}

// limit sets what is well within the extremes.
func (t *tally) limit(m *moments) {
	// The outer slots hold what lies beyond the cuts too.
	t.from, t.to = max(t.slot(m.min)+1, 1), min(t.slot(m.max), len(t.table)-1)
}

// inner counts the values of a block that are well within, and returns the others. They
// are valid until the next call.
func (t *tally) inner(block []float64) (rest []float64) {
	t.on = 0
	if t.pause > 0 {
		t.pause--
		return block
	}
	if t.from >= t.to {
		return block
	}
	var equal int
	switch {
	case t.way == wayAffine && t.most == 1:
		rest, equal = t.affine1(block)
	case t.way == wayAffine && t.most == 2:
		rest, equal = t.affine2(block)
	case t.way == wayBits && t.most == 1:
		rest, equal = t.bits1(block)
	case t.way == wayBits && t.most == 2:
		rest, equal = t.bits2(block)
	default:
		return block
	}
	t.on = equal
	t.added += int64(len(block) - len(rest))
	const few = 8 // one in so many is not foreseen
	if mixed := min(equal, len(block)-equal); len(rest)+mixed > len(block)/few {
		t.pause = pauseBlocks
	}
	return rest
}

// outer counts finite values wherever they are, and reports whether some are beyond the
// outer cuts. The moments know their extremes.
func (t *tally) outer(values []float64, m *moments) (beyond bool) {
	if len(values) == 0 {
		return false
	}
	last := len(t.nodes) - 3
	outside := t.nodes[0].below + t.nodes[last].below
	var places [blockSize]uint16
	t.place(places[:len(values)], values)
	for _, p := range places[:len(values)] {
		if n := &t.nodes[p/2]; p%2 == 0 {
			n.below++
		} else {
			n.at++
			t.on++
		}
	}
	t.added += int64(len(values))
	t.limit(m)
	return t.nodes[0].below+t.nodes[last].below != outside
}

// after returns the node that is i nodes after n. There have to be so many: checking that
// would take a third of the time of counting a value.
func (n *node) after(i int) *node {
	return (*node)(unsafe.Add(unsafe.Pointer(n), i*int(unsafe.Sizeof(node{}))))
}

// bits is the cut as its bits, which are loaded as such.
func (n *node) bits() uint64 { return *(*uint64)(unsafe.Pointer(&n.cut)) }

// affine1 is inner for an affine map with at most one cut in a slot; equal is how many values were cuts.
func (t *tally) affine1(block []float64) (rest []float64, equal int) {
	table, from, origin, scale, first := t.table[t.from:t.to], t.from, t.origin, t.scale, &t.nodes[0]
	left := 0
	for _, v := range block {
		slot := int((v-origin)*scale) - from
		if uint(slot) >= uint(len(table)) {
			t.rest[left&(blockSize-1)] = v
			left++
			continue
		}
		n := first.after(int(table[slot]))
		if v == n.cut {
			n.at++
			equal++
			continue
		}
		n.after(one(v > n.cut)).below++
	}
	return t.rest[:left], equal
}

// affine2 is affine1 for at most two cuts in a slot.
func (t *tally) affine2(block []float64) (rest []float64, equal int) {
	table, from, origin, scale, first := t.table[t.from:t.to], t.from, t.origin, t.scale, &t.nodes[0]
	left := 0
	for _, v := range block {
		slot := int((v-origin)*scale) - from
		if uint(slot) >= uint(len(table)) {
			t.rest[left&(blockSize-1)] = v
			left++
			continue
		}
		n := first.after(int(table[slot]))
		m := n.after(1)
		c, d := n.cut, m.cut
		switch v {
		case c:
			n.at++
			equal++
		case d:
			m.at++
			equal++
		default:
			n.after(one(v > c)+one(v > d)).below++
		}
	}
	return t.rest[:left], equal
}

// insideBits is the first pass of the map by bits: where the first cut is that may be above
// each value, and a spare node for those that it returns. In one pass with the second, which is all that
// the affine map takes, the processor would run out of registers.
func (t *tally) insideBits(places *[blockSize]uint16, block []float64) (rest []float64) {
	// What is below the first slot wraps around to far beyond the last, since there are fewer
	// slots than fit above.
	bottom := uint64(t.low) + uint64(t.from)<<t.shift
	table, shift, nowhere := t.table[t.from:t.to], t.shift&63, uint16(len(t.nodes))
	for i := range spareNodes { // no other value than one that is well within is equal to it
		t.nodes[0].after(int(nowhere) + i).cut = math.Float64frombits(bottom)
	}
	left := 0
	for i, v := range bitsOf(block) {
		slot := (v - bottom) >> shift
		place := nowhere
		if slot < uint64(len(table)) {
			place = table[slot]
		} else {
			t.rest[left&(blockSize-1)] = math.Float64frombits(v)
			left++
		}
		places[i&(blockSize-1)] = place
	}
	return t.rest[:left]
}

// bits1 is affine1 for the map by bits.
func (t *tally) bits1(block []float64) (rest []float64, equal int) {
	var places [blockSize]uint16
	rest = t.insideBits(&places, block)
	first := &t.nodes[0]
	for i, v := range bitsOf(block) {
		n := first.after(int(places[i&(blockSize-1)]))
		c := n.bits()
		if v == c {
			n.at++
			equal++
			continue
		}
		n.after(one(v > c)).below++
	}
	return rest, equal
}

// bits2 is bits1 for at most two cuts in a slot.
func (t *tally) bits2(block []float64) (rest []float64, equal int) {
	var places [blockSize]uint16
	rest = t.insideBits(&places, block)
	first := &t.nodes[0]
	for i, v := range bitsOf(block) {
		n := first.after(int(places[i&(blockSize-1)]))
		m := n.after(1)
		c, d := n.bits(), m.bits()
		switch v {
		case c:
			n.at++
			equal++
		case d:
			m.at++
			equal++
		default:
			n.after(one(v > c)+one(v > d)).below++
		}
	}
	return rest, equal
}

// bitsOf is doubles as their bits, which saves moving each from a register to another.
func bitsOf(values []float64) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(values))), len(values))
}
