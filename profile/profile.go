package profile

import (
	"fmt"
	"math"
	"slices"
)

// Profile counts the rows of one column on a grid. It is not safe for
// concurrent use while it is being added to.
type Profile struct {
	grid  *Grid
	cells []int64

	rows       int64
	count      int64 // values in cells
	absent     int64 // rows added without a value
	invalid    int64 // NaN and infinities, and rows named by AddInvalid
	moved      int64 // of absent: named by AddInvalid
	outOfRange int64
	unweighed  int64 // rows without a valid weight, which are counted nowhere else

	moments  *moments  // number only
	weighted *weighted // once a row of another weight than 1 was added
	scratch  []int32   // the cells of a dictionary
	perKey   []int64   // the counts of a dictionary's values
}

// moments are what a number profile knows beside its cells.
type moments struct {
	min, max     float64 // +Inf and -Inf while there is no value
	sum          Sum
	squares      SquareSum
	below, above Sum // of the values below the first and above the last cut

	unsquared bool // squares is not of all values
}

// New returns an empty profile on the grid.
func New(g *Grid) *Profile {
	p := &Profile{grid: g, cells: make([]int64, g.cells)}
	if g.kind == KindNumber {
		p.moments = newMoments()
	}
	return p
}

// AddFloats counts the rows of a number column. Rows that are not valid are
// missing; NaN and infinities are invalid; -0 is 0. With no valid flags
// every row has a value.
func (p *Profile) AddFloats(values []float64, valid []bool) {
	p.grid.mustBe(KindNumber, "AddFloats")
	if len(valid) > 0 && len(valid) != len(values) {
		panic(fmt.Sprintf("profile: AddFloats of %d values, %d valid flags", len(values), len(valid)))
	}
	if p.weighted != nil {
		p.AddFloatsWeighted(values, valid, ones(len(values)))
		return
	}
	c := p.counting(len(values))
	defer c.close()
	if p.grid.exact && c.tally != nil {
		p.addExact(values, valid, &c)
		return
	}
	p.addBlocks(values, valid, &c)
}

// manyValues is how many make going through all cells take little beside counting.
const manyValues = 1 << 13

// addExact is AddFloats on a grid that has a cut for every value of its baseline: where
// other rows hold few but these, their counts and what lies between the cuts make the sums.
func (p *Profile) addExact(values []float64, valid []bool, c *counting) {
	c.tally.before = append(c.tally.before[:0], p.cells...)
	before := c.tally.before
	c.between = &between{mixed: len(values) / blockSize / 8}
	p.addBlocks(values, valid, c)
	c.move()
	if c.between.mixed < 0 {
		p.addSums(values, valid)
		return
	}
	for i, c := range p.grid.cuts {
		if n := p.cells[2*i+1] - before[2*i+1]; n > 0 {
			p.moments.addTimes(c, n)
		}
	}
	for _, v := range c.between.values { // too few for the heaps of addSums
		p.moments.sum.Add(v)
		if !p.moments.unsquared {
			p.moments.squares.Add(v)
		}
	}
}

// between are the values that lie on no cut, as long as few blocks have any.
type between struct {
	values []float64
	mixed  int // how many more blocks may have any; below 0 values is not of all
}

// add takes those of a block.
func (b *between) add(f *finder, block []float64) {
	if b.mixed--; b.mixed < 0 {
		return
	}
	var places [blockSize]uint16
	f.place(places[:len(block)], block)
	for i, p := range places[:len(block)] {
		if p%2 == 0 {
			b.values = append(b.values, block[i])
		}
	}
}

// addSums adds values that were counted to the sums, which all it counts here are for.
func (p *Profile) addSums(values []float64, valid []bool) {
	again := Profile{moments: p.moments}
	again.addBlocks(values, valid, summing{})
}

// summing takes blocks that are only to be added to the sums.
type summing struct{}

func (summing) within(block []float64) []float64 { return block }
func (summing) add(_, _ []float64) bool          { return true }

// counting counts the blocks of one call on the cells of a profile. It is to be closed.
type counting struct {
	profile *Profile
	tally   *tally   // nil for few values
	between *between // not nil: no block is to be added to the sums, and it takes what is on no cut
}

func (p *Profile) counting(values int) counting {
	c := counting{profile: p}
	if values >= manyValues {
		c.tally = newTally(p.grid.find(), p.moments)
	}
	return c
}

func (c *counting) within(block []float64) []float64 {
	if c.tally == nil {
		return block
	}
	if c.tally.added > maxTallied-blockSize {
		c.move()
	}
	return c.tally.inner(block)
}

func (c *counting) add(block, rest []float64) (unsummed bool) {
	p := c.profile
	beyond := false
	if c.tally != nil {
		beyond = c.tally.outer(rest, p.moments)
	} else {
		last := len(p.cells) - 1
		outside := p.cells[0] + p.cells[last]
		p.grid.find().count(p.cells, rest)
		beyond = p.cells[0]+p.cells[last] != outside
	}
	if beyond {
		p.moments.addTails(rest, p.grid.cuts)
	}
	if c.between != nil && c.tally.on < len(block) {
		c.between.add(p.grid.find(), block)
	}
	return c.between == nil
}

func (c *counting) move() { c.tally.move(c.profile.cells) }

func (c *counting) close() {
	if c.tally != nil {
		c.move()
		c.tally.release()
	}
}

// blocks takes the values of one call, a block at a time.
type blocks interface {
	// within counts those values of a block that are known to be finite and within the extremes,
	// and returns the others. The block may hold what is not finite.
	within(block []float64) (rest []float64)
	// add takes a block of finite values, whose extremes the moments know, and those of them
	// that within has returned. The block is added to the sums if it returns true.
	add(block, rest []float64) (unsummed bool)
}

// addBlocks counts the rows and gives the values that there are to b, in blocks
// of at most blockSize. A 0 may come as -0.
func (p *Profile) addBlocks(values []float64, valid []bool, b blocks) {
	p.rows += int64(len(values))
	var space blockSpace
	sums := p.moments.sums(len(values))
	defer sums.close()
	for len(values) > 0 {
		n := min(len(values), blockSize)
		block := values[:n]
		if len(valid) > 0 {
			block = keepValid(space.of(0), block, valid[:n])
			p.absent += int64(n - len(block))
			valid = valid[n:]
		}
		rest := b.within(block)
		if invalid := p.moments.extend(rest); invalid > 0 {
			rest, block = keepFinite(space.of(1), rest), keepFinite(space.of(0), block)
			p.invalid += invalid
		}
		p.count += int64(len(block))
		if b.add(block, rest) {
			sums.add(block)
		}
		values = values[n:]
	}
}

// blockSize is the number of values that are counted in one go: few enough to
// stay in the first cache between one pass and the next.
const blockSize = 512

// blockSpace is memory for what is left of a block, which most have no need of.
type blockSpace [2]*[blockSize]float64

func (s *blockSpace) of(i int) *[blockSize]float64 {
	if s[i] == nil {
		s[i] = new([blockSize]float64)
	}
	return s[i]
}

// keepValid returns the values of a block that are valid, in space.
func keepValid(space *[blockSize]float64, block []float64, valid []bool) []float64 {
	kept := 0
	valid = valid[:len(block)]
	for i, v := range block {
		space[kept&(blockSize-1)] = v
		kept += one(valid[i])
	}
	return space[:kept]
}

// keepFinite returns the values of a block that are finite, in space, which the block may be in.
func keepFinite(space *[blockSize]float64, block []float64) []float64 {
	kept := 0
	for _, v := range block {
		space[kept&(blockSize-1)] = v
		kept += one(finite(v))
	}
	return space[:kept]
}

func newMoments() *moments { return &moments{min: math.Inf(1), max: math.Inf(-1)} }

// extend moves the extremes to those of the values too, and returns how many of
// these are not finite. Most values lie between the extremes so far.
func (m *moments) extend(values []float64) (invalid int64) {
	lo, hi := m.min, m.max
	for _, v := range values {
		if v >= lo && v <= hi {
			continue
		}
		if !finite(v) {
			invalid++
			continue
		}
		v += 0 // -0 + 0 is +0
		lo, hi = min(lo, v), max(hi, v)
	}
	m.min, m.max = lo, hi
	return invalid
}

// addTimes adds n values v to the sums.
func (m *moments) addTimes(v float64, n int64) {
	m.sum.AddTimes(v, n)
	if !m.unsquared {
		m.squares.AddTimes(v, n)
	}
}

// addTails adds the values beyond the outer cuts; without cuts, all are below.
func (m *moments) addTails(values, cuts []float64) {
	first, last := math.Inf(1), math.Inf(1)
	if len(cuts) > 0 {
		first, last = cuts[0], cuts[len(cuts)-1]
	}
	for _, v := range values {
		switch {
		case v < first:
			m.below.Add(v)
		case v > last:
			m.above.Add(v)
		}
	}
}

// AddCategories counts the rows of a category column: row i holds
// dict[index[i]]. With no valid flags every row has a value; the index of a row that
// has none is not read.
func (p *Profile) AddCategories(dict []string, index []int32, valid []bool) {
	p.grid.mustBe(KindCategory, "AddCategories")
	if p.weighted != nil {
		p.AddCategoriesWeighted(dict, index, valid, ones(len(index)))
		return
	}
	p.perKey = slices.Grow(p.perKey[:0], len(dict))[:len(dict)]
	clear(p.perKey)
	p.addIndexes(p.perKey, index, valid)
	for i, n := range p.perKey {
		if n > 0 {
			p.cells[p.grid.category(dict[i])] += n
		}
	}
}

// addIndexes counts the rows, and the values by their place in a dictionary.
func (p *Profile) addIndexes(perKey []int64, index []int32, valid []bool) {
	p.rows += int64(len(index))
	p.count += int64(len(index))
	if len(valid) == 0 {
		countIndexes(perKey, index)
		return
	}
	absent := int64(0)
	for i, d := range index {
		if valid[i] {
			perKey[d]++
		} else {
			absent++
		}
	}
	p.count -= absent
	p.absent += absent
}

// countIndexes counts how often each place of perKey is named. Of a few places that are named often each count would wait
// for what the one before has stored, so neighbours are counted apart.
func countIndexes(perKey []int64, index []int32) {
	const few, many = 256, 1 << 12
	if len(perKey) <= few && len(index) >= many {
		var apart [4][few]uint32
		rest, all := index, uint32(0)
		for ; len(rest) >= 4; rest = rest[4:] {
			a, b, c, d := uint32(rest[0]), uint32(rest[1]), uint32(rest[2]), uint32(rest[3])
			all |= a | b | c | d
			apart[0][a%few]++
			apart[1][b%few]++
			apart[2][c%few]++
			apart[3][d%few]++
		}
		if all < few { // else some are beyond all, which the loop below does not bear
			index = rest
			for i := range apart[0] {
				if n := int64(apart[0][i]) + int64(apart[1][i]) + int64(apart[2][i]) + int64(apart[3][i]); n > 0 {
					perKey[i] += n
				}
			}
		}
	}
	for _, d := range index {
		perKey[d]++
	}
}

// AddBools counts the rows of a boolean column. With no valid flags every row has
// a value.
func (p *Profile) AddBools(values []bool, valid []bool) {
	p.grid.mustBe(KindBoolean, "AddBools")
	if p.weighted != nil {
		p.AddBoolsWeighted(values, valid, ones(len(values)))
		return
	}
	p.rows += int64(len(values))
	for i, v := range values {
		switch {
		case !present(valid, i):
			p.absent++
		case v:
			p.cells[1]++
			p.count++
		default:
			p.cells[0]++
			p.count++
		}
	}
}

// present reports whether row i has a value.
func present(valid []bool, i int) bool { return len(valid) == 0 || valid[i] }

// AddPresence counts rows of a column without cells. With no valid flags
// every row has a value.
func (p *Profile) AddPresence(rows int, valid []bool) {
	p.grid.mustBe(KindPresence, "AddPresence")
	if p.weighted != nil {
		p.AddPresenceWeighted(valid, ones(rows))
		return
	}
	p.rows += int64(rows)
	present := int64(rows)
	for _, ok := range valid {
		if !ok {
			present--
			p.absent++
		}
	}
	p.count += present
}

// AddInvalid says that n of the rows that were added as missing were in truth
// invalid: it moves them from Missing to Invalid. It adds no rows, and may be
// called before or after the rows are added.
func (p *Profile) AddInvalid(n int64) {
	mustCount("AddInvalid", n)
	p.moved += n
	p.invalid += n
	if p.weighted != nil {
		p.weighted.moved.addCount(n)
		p.weighted.invalid.addCount(n)
	}
}

// AddOutOfRange says that n of the invalid rows were numbers outside of the
// declared range. It adds no rows.
func (p *Profile) AddOutOfRange(n int64) {
	mustCount("AddOutOfRange", n)
	p.outOfRange += n
	if p.weighted != nil {
		p.weighted.outOfRange.addCount(n)
	}
}

func mustCount(op string, n int64) {
	if n < 0 {
		panic(fmt.Sprintf("profile: %s of %d rows", op, n))
	}
}

// Merge adds what q counted to p. The result is that of adding q's rows to p.
// It fails, and changes nothing, if the grids differ.
func (p *Profile) Merge(q *Profile) error {
	if !p.grid.same(q.grid) {
		return fmt.Errorf("merge profiles: grid %s is not %s", q.grid.id, p.grid.id)
	}
	if q.weighted != nil {
		p.weigh()
	} else if p.weighted != nil {
		q = q.Clone()
		q.weigh()
	}
	for i, n := range q.cells {
		p.cells[i] += n
	}
	p.rows += q.rows
	p.count += q.count
	p.absent += q.absent
	p.invalid += q.invalid
	p.moved += q.moved
	p.outOfRange += q.outOfRange
	p.unweighed += q.unweighed
	if p.weighted != nil {
		p.weighted.merge(q.weighted)
	}
	if p.moments != nil {
		p.moments.merge(q.moments)
	}
	return nil
}

func (m *moments) merge(o *moments) {
	m.min, m.max = min(m.min, o.min), max(m.max, o.max)
	m.sum.Merge(&o.sum)
	m.squares.Merge(&o.squares)
	m.unsquared = m.unsquared || o.unsquared
	m.below.Merge(&o.below)
	m.above.Merge(&o.above)
}

// Clone returns a copy that shares nothing but the grid.
func (p *Profile) Clone() *Profile {
	q := *p
	q.cells = slices.Clone(p.cells)
	q.scratch, q.perKey = nil, nil
	if p.moments != nil {
		m := *p.moments
		q.moments = &m
	}
	if p.weighted != nil {
		q.weighted = p.weighted.clone()
	}
	return &q
}

// Empty returns a profile on the same grid that has counted nothing. It skips squares if p does.
func (p *Profile) Empty() *Profile {
	q := New(p.grid)
	if p.moments != nil {
		q.moments.unsquared = p.moments.unsquared
	}
	return q
}

// SkipSquares leaves the sum of squares out, which takes a seventh of the time of counting numbers. The profile
// has no standard deviation from then on, nor has one that it is merged into, and encoding either panics.
func (p *Profile) SkipSquares() {
	if p.moments != nil {
		p.moments.unsquared = true
	}
}
