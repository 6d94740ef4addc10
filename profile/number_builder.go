package profile

import (
	"fmt"
	"math"
	"slices"
)

const (
	// sampleSize is how many values a number builder holds: 8 MiB. Up to
	// exactValues all cuts are exact quantiles.
	sampleSize  = 1 << 20
	exactValues = 1 << 17
	// fineCuts is how many groups make provisional cuts, of one in fineStep values.
	fineCuts = 8192
	fineStep = 8
	// spareSize is the most values of the sample that is kept in case the
	// provisional cuts turn out not to divide all values, spareShift how many are passed over at first.
	spareSize  = 1 << 18
	spareShift = 3
)

// NumberBuilder freezes the grid of a number column from values that arrive in
// chunks, and profiles them on it, in one pass and in bounded memory: at most 20 MiB.
//
// Up to 2^17 values, and for any number of values with at most MaxCuts distinct
// ones, the grid is that of [NewNumberGrid]. Beyond, an eighth of the values, of
// the first 2^20 of them, gives 8192 provisional cuts, on which all values are
// counted, and the cuts are those of them that divide all values best, and the
// extremes of all: a quantile group then holds its share of the values to within
// 0.05 percentage points, 0.01 where the first values are like the rest. Up to
// 2^20 values the edges of the drift bins, which are cuts too, are exactly those of
// NewNumberGrid. The counts are always exact.
//
// If more than a 2000th of the values lies between two provisional cuts, as in a
// sorted column, the cuts come from between 2^17 and 2^18 values at
// pseudo-random positions instead, and the extremes from all: a group then
// holds its share to within 0.5 points, and the values have to be counted in
// another pass.
//
// The same values in the same order give the same grid, whatever was built before a Reset.
type NumberBuilder struct {
	// What does not depend on the grid; it has none yet.
	counts Profile

	distinct *distinctFloats // nil once there are more than MaxCuts
	held     []float64       // all values, until they are too many
	full     bool            // held is no longer all of them
	fine     *fineCounts     // of all values, since there was no room to hold them

	sample []float64
	next   int64 // the stratum that is picked from next
	shift  uint  // strata have 2^shift positions

	space  heldSpace
	values *distinctFloats // the memory of distinct
}

// NewNumberBuilder returns a builder without values.
func NewNumberBuilder() *NumberBuilder {
	d := newDistinctFloats()
	return &NumberBuilder{counts: Profile{moments: newMoments()}, distinct: d, values: d}
}

// Reset makes the builder one without values, which keeps the memory that it has. What it has built stays as it is.
func (b *NumberBuilder) Reset() {
	if b.fine != nil {
		b.fine.release()
	}
	*b.values = distinctFloats{}
	*b = NumberBuilder{
		counts: Profile{moments: newMoments()}, distinct: b.values,
		held: b.held[:0], sample: b.sample[:0], space: b.space, values: b.values,
	}
}

// Grow makes room for so many more values, which saves copying when they come.
func (b *NumberBuilder) Grow(values int64) {
	const most, sampled, some = sampleSize + blockSize, spareSize + blockSize, (sampleSize + blockSize) / fineStep
	switch {
	case b.full || int64(cap(b.held)-len(b.held)) >= min(values, most):
	case values > sampleSize && len(b.held) == 0:
		// All in one piece, so that it takes few of the system's large pages.
		all := largeFloats(most + sampled + 2*some)
		b.held, all = all[:0:most], all[most:]
		b.sample, all = all[:0:sampled], all[sampled:]
		b.space.sample, b.space.scratch = all[:0:some], all[some:some]
	default:
		b.held = slices.Grow(b.held, int(min(values, most-int64(len(b.held)))))
	}
}

// AddFloats adds rows, as [Profile.AddFloats] counts them.
func (b *NumberBuilder) AddFloats(values []float64, valid []bool) {
	if len(valid) > 0 && len(valid) != len(values) {
		panic(fmt.Sprintf("profile: AddFloats of %d values, %d valid flags", len(values), len(valid)))
	}
	b.counts.addBlocks(values, valid, b)
}

func (b *NumberBuilder) within(block []float64) []float64 {
	switch {
	case b.distinct != nil:
		return b.distinct.known(block)
	case b.fine != nil:
		return b.fine.within(block)
	}
	return block
}

// add adds a block, and reports whether it has still to be added to the sums: where there
// are few distinct values, their counts make them in the end.
func (b *NumberBuilder) add(block, rest []float64) (unsummed bool) {
	if b.full {
		b.pick(block)
	}
	unsummed = b.distinct == nil
	switch {
	case b.distinct == nil && b.full:
		b.fine.add(rest, b.counts.moments)
	case b.distinct != nil && !b.distinct.add(rest):
		if b.full {
			b.fine = b.distinct.fine(b.counts.moments)
		}
		b.distinct.addSums(b.counts.moments)
		b.distinct = nil
	}
	if !b.full {
		b.hold(block)
	}
	return unsummed
}

// hold keeps the values of a block, as long as there is room.
func (b *NumberBuilder) hold(block []float64) {
	at := len(b.held)
	b.held = slices.Grow(b.held, len(block))[:at+len(block)]
	for i, v := range block {
		b.held[at+i] = v + 0 // -0 + 0 is +0
	}
	if len(b.held) > sampleSize {
		b.overflow()
	}
}

// overflow goes over from holding all values to counting them.
func (b *NumberBuilder) overflow() {
	b.full, b.shift = true, spareShift
	b.sampleFrom(0, b.held)
	if b.distinct == nil {
		b.fine = newFineCounts(provisional(&b.space, b.held), b.counts.moments)
		for block := range slices.Chunk(b.held, blockSize) {
			b.fine.add(b.fine.within(block), b.counts.moments)
		}
	}
	b.held = b.held[:0]
}

// pick takes the values at the picked positions. The block ends at the count so far.
func (b *NumberBuilder) pick(block []float64) {
	b.sampleFrom(b.counts.count-int64(len(block)), block)
	if len(b.sample) <= spareSize {
		return
	}
	b.shift++
	b.next = (b.next + 1) / 2
	b.sample = halved(b.sample, b.shift)
}

// sampleFrom takes one value of each stratum of 2^shift positions, at a pseudo-random
// one of them. The values begin at position from; strata before had no part in this.
func (b *NumberBuilder) sampleFrom(from int64, values []float64) {
	sample, shift := b.sample, b.shift&63
	at := func(stratum int64) int64 {
		return stratum<<shift + int64(mix(uint64(stratum))>>(64-shift)) - from
	}
	stratum, to := max(b.next, from>>shift), from+int64(len(values))
	if at(stratum) < 0 {
		stratum++
	}
	for ; stratum < to>>shift; stratum++ { // those that end among the values
		sample = append(sample, values[at(stratum)]+0)
	}
	if i := at(stratum); i < int64(len(values)) {
		sample = append(sample, values[i]+0)
		stratum++
	}
	b.next, b.sample = stratum, sample
}

// halved keeps about half of the values, in place: other ones at each shift.
func halved[T any](values []T, shift uint) []T {
	kept := 0
	for i, v := range values {
		values[kept] = v
		kept += one(mix(uint64(i)^uint64(shift)<<32)>>63 == 0) // a branch would be foreseen half of the time
	}
	return values[:kept]
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Grid freezes the grid of the values so far.
func (b *NumberBuilder) Grid() *Grid {
	grid, _ := b.Build()
	return grid
}

// Build freezes the grid of the values so far and returns their profile on it:
// what adding them to an empty one gives. The profile is nil where the values have
// to be counted in another pass.
func (b *NumberBuilder) Build() (*Grid, *Profile) {
	switch {
	case b.distinct != nil:
		return b.profile(&listedRuns{list: b.distinct.runs(), all: true})
	case !b.full:
		return b.profile(heldRuns(&b.space, b.held, b.counts.moments))
	}
	if list, ok := b.fine.runs(); ok {
		return b.profile(&listedRuns{list: list})
	}
	values := append(slices.Clone(b.sample), b.counts.moments.min, b.counts.moments.max)
	SortFloats(values, make([]float64, len(values)))
	grid, _ := numberGrid(sampledRuns{values})
	return grid, nil
}

// sampledRuns are the runs of a sorted sample.
type sampledRuns struct{ sortedRuns }

func (sampledRuns) complete() bool { return false }

func (b *NumberBuilder) profile(r runs) (*Grid, *Profile) {
	grid, chosen := numberGrid(r)
	p := b.counts
	moments := *b.counts.moments
	if b.distinct != nil {
		b.distinct.addSums(&moments)
	}
	p.grid, p.cells, p.moments = grid, numberCells(chosen, p.count), &moments
	return grid, &p
}

// provisional returns cuts that divide values, which are more than fineStep, into
// groups of about the same size.
func provisional(space *heldSpace, values []float64) []float64 {
	space.sample = slices.Grow(space.sample[:0], len(values)/fineStep)[:len(values)/fineStep]
	space.scratch = slices.Grow(space.scratch[:0], len(space.sample))[:len(space.sample)]
	sample := space.sample
	for i := range sample {
		sample[i] = values[i*fineStep+int(mix(uint64(i))%fineStep)]
	}
	SortFloats(sample, space.scratch)
	cuts := make([]float64, 0, fineCuts)
	for i := range min(fineCuts, len(sample)) {
		v := sample[i*len(sample)/min(fineCuts, len(sample))]
		if len(cuts) == 0 || v > cuts[len(cuts)-1] {
			cuts = append(cuts, v)
		}
	}
	return cuts
}

// fineCounts counts values on provisional cuts. One with a tally is to be released.
type fineCounts struct {
	cuts     []float64
	tally    *tally  // nil: the cells are counted by their places
	cells    []int64 // without what the tally holds
	min, max tail    // the extremes, where they are beyond the cuts
}

// tail is an extreme value and how often it occurs.
type tail struct {
	value float64
	n     int64
}

// newFineCounts returns counts of nothing yet; m has the extremes of all values so far.
func newFineCounts(cuts []float64, m *moments) *fineCounts {
	f := newCounts(cuts)
	f.tally = newTally(newFinder(cuts), m)
	return f
}

// newCounts is newFineCounts without a tally.
func newCounts(cuts []float64) *fineCounts {
	return &fineCounts{cuts: cuts, cells: make([]int64, 2*len(cuts)+1), min: tail{value: math.Inf(1)}, max: tail{value: math.Inf(-1)}}
}

func (f *fineCounts) release() { f.tally.release() }

// within counts what is well within the extremes, and returns the other values of a block.
func (f *fineCounts) within(block []float64) []float64 {
	if f.tally.added > maxTallied-blockSize {
		f.tally.move(f.cells)
	}
	return f.tally.inner(block)
}

// add counts values that within has returned; m has the extremes of all so far.
func (f *fineCounts) add(rest []float64, m *moments) {
	if f.tally.outer(rest, m) {
		f.addTails(rest, m)
	}
}

// addTails counts the extremes among values of which some may be below or above the cuts.
func (f *fineCounts) addTails(values []float64, m *moments) {
	if m.min < f.cuts[0] {
		f.min.add(values, m.min, m.min < f.min.value)
	}
	if m.max > f.cuts[len(f.cuts)-1] {
		f.max.add(values, m.max, m.max > f.max.value)
	}
}

// add counts an extreme of some values; fresh says that it is beyond the one so far.
func (t *tail) add(values []float64, extreme float64, fresh bool) {
	if fresh {
		*t = tail{value: extreme}
	}
	for _, v := range values {
		if v == t.value {
			t.n++
		}
	}
}

// runs returns the provisional cuts and the extremes, false if too many values lie between two of them.
func (f *fineCounts) runs() ([]run, bool) {
	if f.tally != nil {
		f.tally.move(f.cells)
	}
	list := make([]run, 0, len(f.cuts)+2)
	if f.min.n > 0 {
		list = append(list, run{f.min.value, f.min.n, f.min.n})
	}
	upTo, most := int64(0), f.cells[0]-f.min.n
	for i, c := range f.cuts {
		if i > 0 {
			most = max(most, f.cells[2*i])
		}
		upTo += f.cells[2*i] + f.cells[2*i+1]
		list = append(list, run{c, f.cells[2*i+1], upTo})
	}
	beyond := f.cells[2*len(f.cuts)]
	upTo += beyond
	if f.max.n > 0 {
		list = append(list, run{f.max.value, f.max.n, upTo})
	}
	return list, max(most, beyond-f.max.n) <= upTo/MaxCuts
}
