package profile

import (
	"cmp"
	"math"
	"slices"
)

// distinctFloats counts a few distinct values, none of them -0 or NaN, in a table
// that is never more than a third full.
type distinctFloats struct {
	slots [distinctSlots]distinctFloat
	n     int
	rest  [blockSize]float64
}

type distinctFloat struct {
	bits uint64 // of the value
	n    int64  // 0: a free slot
}

func (s *distinctFloat) value() float64 { return math.Float64frombits(s.bits) }

const (
	distinctSlots = 8192 // at least three times MaxCuts + blockSize
	distinctShift = 64 - 13
)

func newDistinctFloats() *distinctFloats { return &distinctFloats{} }

// known counts those values of a block that there are already, and returns the others, among
// them all that are not finite. They are valid until the next call.
func (d *distinctFloats) known(block []float64) (rest []float64) {
	left := 0
	for _, v := range block {
		s := d.slot(v)
		if s.n == 0 {
			d.rest[left&(blockSize-1)] = v
			left++
			continue
		}
		s.n++
	}
	return d.rest[:left]
}

// slot returns the slot of a value, which is free if there is none like it.
func (d *distinctFloats) slot(v float64) *distinctFloat {
	b := math.Float64bits(v + 0) // -0 + 0 is +0
	i := b * 0x9e3779b97f4a7c15 >> distinctShift
	s := &d.slots[i]
	for s.bits != b && s.n != 0 {
		i = (i + 1) % distinctSlots
		s = &d.slots[i]
	}
	return s
}

// add counts values of a block that known has returned, and reports whether there are at most
// MaxCuts distinct ones. If not it must not be called again.
func (d *distinctFloats) add(rest []float64) bool {
	for _, v := range rest {
		s := d.slot(v)
		if s.n == 0 {
			s.bits = math.Float64bits(v + 0)
			d.n++
		}
		s.n++
	}
	return d.n <= MaxCuts
}

// addSums adds all values to the sums.
func (d *distinctFloats) addSums(m *moments) {
	for i := range d.slots {
		if s := &d.slots[i]; s.n > 0 {
			m.addTimes(s.value(), s.n)
		}
	}
}

// runs returns the values in order.
func (d *distinctFloats) runs() []run {
	list := make([]run, 0, d.n)
	for _, s := range d.slots {
		if s.n > 0 {
			list = append(list, run{value: s.value(), n: s.n})
		}
	}
	slices.SortFunc(list, func(x, y run) int { return cmp.Compare(x.value, y.value) })
	var total int64
	for i := range list {
		total += list[i].n
		list[i].upTo = total
	}
	return list
}

// fine goes on with the values as cuts; m has their extremes.
func (d *distinctFloats) fine(m *moments) *fineCounts {
	list := d.runs()
	cuts := make([]float64, len(list))
	for i, r := range list {
		cuts[i] = r.value
	}
	f := newFineCounts(cuts, m)
	f.cells = numberCells(list, list[len(list)-1].upTo)
	return f
}
