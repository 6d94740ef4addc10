package profile

import (
	"math"
	"math/bits"
	"slices"
)

// finder places values among the cuts. A value is first mapped to a slot of a
// table, by a function that never decreases; the table says how many cuts lie in
// lower slots, and the cuts that share a slot are searched by halving, in a
// number of steps that is the same for all values, mostly one. Nothing in it branches
// on the data, but for values beyond the cuts, so that the processor works on several
// values at a time. Where a slot has at most two cuts, a [tally] is twice as fast.
//
// The map is affine where that spreads the cuts well; else, where they have one
// sign, the bits of a double, which ascend as its logarithm does; else logarithmic
// on both sides of a centre. The latter two suit heavy tails. At worst all cuts share
// a slot, and the steps are those of a binary search.
//
// It is immutable, and may be used by any number of goroutines.
type finder struct {
	cuts  []float64 // padded with +Inf
	keys  []uint64  // of the cuts, padded with the highest so that the steps cannot leave them; nil where a slot has at most one
	table []uint16
	most  int // cuts in a slot
	half  int // first step: 2^(steps-1)
	way   way

	// affine: slot = (v - origin) * scale
	origin, scale float64
	trimmed       bool // cuts were left out: many values may lie beyond the others

	// logarithmic: slot = (key(v) - low) >> shift, for keys clamped to [low, high]; by
	// bits the key is those of v
	centre, offset float64
	base           int64
	low, high      int64
	shift          uint
}

// way is how a finder maps values to slots.
type way uint8

const (
	wayAffine way = iota
	wayBits
	wayLog
)

const (
	slotsPerCut = 8 // at least, so that few slots have more than one cut
	maxSlots    = 1 << 16
)

func newFinder(cuts []float64) *finder {
	padded := append(slices.Clone(cuts), math.Inf(1), math.Inf(1), math.Inf(1))
	if len(cuts) == 0 {
		return &finder{cuts: padded, table: []uint16{0, 0}, half: 1}
	}
	slots := min(max(1<<bits.Len(uint(slotsPerCut*len(cuts)-1)), 16), maxSlots)
	table := make([]uint16, slots)
	best, cost := finder{}, math.MaxInt
	for _, f := range candidates(cuts, slots) {
		if cost == 1 || f.way == wayLog && cost <= costLog {
			break // what others could save is less than what trying them takes
		}
		f.table = table
		if c := f.fill(cuts); c < cost {
			best, cost = f, c
		}
	}
	best.fill(cuts)
	best.cuts = padded
	if best.half > 1 {
		best.keys = orderedKeys(cuts, 2*best.half)
	}
	return &best
}

// orderedKeys returns the keys of cuts and so many of the highest.
func orderedKeys(cuts []float64, padding int) []uint64 {
	keys := make([]uint64, len(cuts), len(cuts)+padding)
	for i, c := range cuts {
		keys[i] = orderedKey(c)
	}
	for range padding {
		keys = append(keys, math.MaxUint64)
	}
	return keys
}

// candidates lists maps to try, the cheapest first. Each also leaves out a few
// outer cuts, which then share the first and the last slot: a lone outlier
// would else push all other cuts into one.
func candidates(cuts []float64, slots int) []finder {
	var fs []finder
	last := len(cuts) - 1
	trims := []int{0, 1, 3, 7}
	for _, t := range trims {
		if f, ok := affine(cuts[min(t, last)], cuts[max(last-t, 0)], slots); ok {
			f.trimmed = t > 0
			fs = append(fs, f)
		}
	}
	if cuts[0] >= 0 {
		for _, t := range trims {
			if 2*t <= last {
				fs = append(fs, byBits(cuts[t], cuts[last-t], slots))
			}
		}
	}
	spread := cuts[last*3/4]/2 - cuts[last/4]/2
	for _, centre := range []float64{0, cuts[0], cuts[last/2], cuts[last]} {
		for _, offset := range []float64{0, spread, spread / 16, spread / 256} {
			for _, t := range trims {
				if 2*t <= last {
					fs = append(fs, logarithmic(centre, offset, cuts[t], cuts[last-t], slots))
				}
			}
		}
	}
	return fs
}

// affine fails where the scale is beyond the range of a double.
func affine(lo, hi float64, slots int) (finder, bool) {
	f := finder{origin: lo, scale: float64(slots-1) / (hi - lo)}
	return f, f.scale > 0 && finite(f.scale)
}

func logarithmic(centre, offset, lo, hi float64, slots int) finder {
	f := finder{way: wayLog, centre: centre, offset: offset, base: int64(math.Float64bits(offset))}
	f.low, f.high = f.key(lo), f.key(hi)
	f.fit(slots)
	return f
}

// byBits is for cuts that are not negative.
func byBits(lo, hi float64, slots int) finder {
	f := finder{way: wayBits, low: int64(math.Float64bits(lo)), high: int64(math.Float64bits(hi))}
	f.fit(slots)
	return f
}

// fit makes a slot so wide that there are enough.
func (f *finder) fit(slots int) {
	for uint64(f.high-f.low)>>f.shift >= uint64(slots) {
		f.shift++
	}
}

// key is about log|v - centre|, with the sign of v - centre and bent to a line
// within the offset: the bits of a positive double ascend with it.
func (f *finder) key(v float64) int64 {
	d := v - f.centre
	k := int64(math.Float64bits(math.Abs(d)+f.offset)) - f.base
	sign := int64(math.Float64bits(d)) >> 63
	return (k ^ sign) - sign
}

func (f *finder) slot(v float64) int {
	switch f.way {
	case wayBits:
		return int(uint64(min(max(int64(math.Float64bits(v+0)), f.low), f.high)-f.low) >> f.shift)
	case wayLog:
		return int(uint64(min(max(f.key(v), f.low), f.high)-f.low) >> f.shift)
	}
	return int(min(max((v-f.origin)*f.scale, 0), float64(len(f.table)-1))) // as startAffine has it
}

// costLog is that of the logarithmic map with at most one cut in a slot.
const costLog = 4

// fill fills table, sets most and half, and returns the cost of a search: that of a
// tally, which takes at most two cuts in a slot and two of the maps, or else of as many steps as
// there are.
func (f *finder) fill(cuts []float64) int {
	clear(f.table)
	for _, c := range cuts {
		f.table[f.slot(c)]++
	}
	var most, sum uint16
	for i, n := range f.table {
		f.table[i] = sum
		sum += n
		most = max(most, n)
	}
	steps := bits.Len16(most)
	f.most, f.half = int(most), 1<<(steps-1)
	switch {
	case f.way == wayLog:
		return costLog - 1 + steps
	case most <= 2:
		return int(most)
	}
	return costLog - 2 + steps
}

// count adds each finite value to its cell.
func (f *finder) count(cells []int64, values []float64) {
	var places [blockSize]uint16
	for len(values) > 0 {
		n := min(len(values), blockSize)
		f.place(places[:n], values[:n])
		for _, p := range places[:n] {
			cells[p]++
		}
		values = values[n:]
	}
}

// place returns the cell of each finite value. It makes two passes over a block of
// values, one for the table and one for the search: in one, the processor would
// run out of registers.
func (f *finder) place(cells []uint16, values []float64) {
	var first [blockSize]uint16
	for len(values) > 0 {
		n := min(len(values), blockSize)
		f.start(&first, values[:n])
		if f.half == 1 {
			f.places1(cells, &first, values[:n])
		} else {
			f.placesN(cells, &first, values[:n])
		}
		cells, values = cells[n:], values[n:]
	}
}

func (f *finder) start(first *[blockSize]uint16, values []float64) {
	switch {
	case f.way == wayBits:
		f.startBits(first, values)
	case f.way == wayLog:
		f.startLog(first, values)
	case f.trimmed:
		f.startTrimmed(first, values)
	default:
		f.startAffine(first, values)
	}
}

// startAffine sets, for each value, the number of cuts in slots below its own. Few
// values are expected to lie beyond the cuts: those cost a branch that was not predicted.
// The conversion to an integer, which drops the fraction, leaves no other out of the table.
func (f *finder) startAffine(first *[blockSize]uint16, values []float64) {
	table, origin, scale := f.table, f.origin, f.scale
	for i, v := range values {
		t := (v - origin) * scale
		slot := int(t)
		if uint(slot) >= uint(len(table)) {
			if slot = len(table) - 1; t < 0 {
				slot = 0
			}
		}
		first[i&(blockSize-1)] = table[slot]
	}
}

// startTrimmed is startAffine without a branch.
func (f *finder) startTrimmed(first *[blockSize]uint16, values []float64) {
	table, origin, scale, last := f.table, f.origin, f.scale, float64(len(f.table)-1)
	for i, v := range values {
		t := min(max((v-origin)*scale, 0), last)
		first[i&(blockSize-1)] = table[int(t)]
	}
}

func (f *finder) startBits(first *[blockSize]uint16, values []float64) {
	table, low, high, shift := f.table, f.low, f.high, f.shift&63
	for i, v := range values {
		k := min(max(int64(math.Float64bits(v)), low), high) // -0 is below all
		first[i&(blockSize-1)] = table[uint64(k-low)>>shift]
	}
}

func (f *finder) startLog(first *[blockSize]uint16, values []float64) {
	table, centre, offset, base := f.table, f.centre, f.offset, f.base
	low, high, shift := f.low, f.high, f.shift&63
	for i, v := range values {
		d := v - centre
		b := math.Float64bits(d)
		k := int64(math.Float64bits(math.Float64frombits(b&^(1<<63))+offset)) - base
		sign := int64(b) >> 63
		k = min(max((k^sign)-sign, low), high)
		first[i&(blockSize-1)] = table[uint64(k-low)>>shift]
	}
}

// one is 1 for true, without a branch. Where steps wait for each other, integers
// are compared instead, which takes the processor a third of the time.
func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// places1 goes on from the first candidate where a slot has at most one cut.
func (f *finder) places1(cells []uint16, first *[blockSize]uint16, values []float64) {
	cuts := f.cuts
	cells = cells[:len(values)]
	for j, v := range values {
		i := int(first[j&(blockSize-1)])
		c := cuts[i]
		cells[j] = uint16(2*i + one(v >= c) + one(v > c))
	}
}

// placesN goes on from the first candidates by halving.
func (f *finder) placesN(cells []uint16, first *[blockSize]uint16, values []float64) {
	keys, half := f.keys, f.half
	cells = cells[:len(values)]
	for j, v := range values {
		k := orderedKey(v + 0) // -0 + 0 is +0
		i := int(first[j&(blockSize-1)])
		for h := half; h > 0; h >>= 1 {
			_, below := bits.Sub64(keys[i+h-1], k, 0)
			i += h & -int(below)
		}
		_, open := bits.Sub64(k, keys[i], 0)
		cells[j] = uint16(2*i + 1 - int(open))
	}
}
