package table

import "math"

// Columns of at most so many distinct numbers are written through a dictionary: 10 bits
// a row at most, which take less time than finding the repetitions by compression.
const (
	maxDistinct   = 1 << 10
	distinctSlots = 4 * maxDistinct
	slotShift     = 64 - 12 // for distinctSlots
)

// numberDictionary finds the distinct numbers of a column, by their bits.
type numberDictionary struct {
	values []float64
	slots  [distinctSlots]struct {
		bits  uint64
		place int32 // plus one; 0 is free
	}
}

// index sets index to the place of each value in d.values. It reports false when there
// are too many distinct ones; what it did is of no use then.
func (d *numberDictionary) index(values []float64, index *[]int32) bool {
	most := min(maxDistinct, len(values)/4)
	if most == 0 {
		return false
	}
	d.values = d.values[:0]
	clear(d.slots[:])
	*index = grown(*index, len(values))
	for i, v := range values {
		place := d.place(v)
		if len(d.values) > most {
			return false
		}
		(*index)[i] = place
	}
	return true
}

func (d *numberDictionary) place(v float64) int32 {
	bits := math.Float64bits(v)
	for at := bits * 0x9E3779B97F4A7C15 >> slotShift; ; at = (at + 1) % distinctSlots {
		s := &d.slots[at]
		switch {
		case s.place == 0:
			d.values = append(d.values, v)
			s.bits, s.place = bits, int32(len(d.values))
			return s.place - 1
		case s.bits == bits:
			return s.place - 1
		}
	}
}
