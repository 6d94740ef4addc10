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

	moments *moments // number only
	scratch []int32  // the cells of a dictionary
}

// moments are what a number profile knows beside its cells.
type moments struct {
	min, max     float64 // +Inf and -Inf while there is no value
	sum          Sum
	squares      SquareSum
	below, above Sum // of the values below the first and above the last cut
}

// New returns an empty profile on the grid.
func New(g *Grid) *Profile {
	p := &Profile{grid: g, cells: make([]int64, g.cells)}
	if g.kind == KindNumber {
		p.moments = &moments{min: math.Inf(1), max: math.Inf(-1)}
	}
	return p
}

// AddFloats counts the rows of a number column. Rows that are not valid are
// missing; NaN and infinities are invalid; -0 is 0. A nil valid means that every
// row has a value.
func (p *Profile) AddFloats(values []float64, valid []bool) {
	p.grid.mustBe(KindNumber, "AddFloats")
	p.rows += int64(len(values))
	m := p.moments
	for i, v := range values {
		if valid != nil && !valid[i] {
			p.absent++
			continue
		}
		if !finite(v) {
			p.invalid++
			continue
		}
		v += 0
		cell := p.grid.finder.cell(v)
		p.cells[cell]++
		p.count++
		m.add(v)
		switch cell {
		case 0:
			m.below.Add(v)
		case len(p.cells) - 1:
			m.above.Add(v)
		}
	}
}

func (m *moments) add(v float64) {
	m.min, m.max = min(m.min, v), max(m.max, v)
	m.sum.Add(v)
	m.squares.Add(v)
}

// AddCategories counts the rows of a category column: row i holds
// dict[index[i]]. A nil valid means that every row has a value; the index of a
// row that has none is not read.
func (p *Profile) AddCategories(dict []string, index []int32, valid []bool) {
	p.grid.mustBe(KindCategory, "AddCategories")
	p.rows += int64(len(index))
	p.scratch = slices.Grow(p.scratch[:0], len(dict))
	for _, value := range dict {
		p.scratch = append(p.scratch, p.grid.category(value))
	}
	for i, d := range index {
		if valid != nil && !valid[i] {
			p.absent++
			continue
		}
		p.cells[p.scratch[d]]++
		p.count++
	}
}

// AddBools counts the rows of a boolean column. A nil valid means that every row
// has a value.
func (p *Profile) AddBools(values []bool, valid []bool) {
	p.grid.mustBe(KindBoolean, "AddBools")
	p.rows += int64(len(values))
	for i, v := range values {
		switch {
		case valid != nil && !valid[i]:
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

// AddPresence counts rows of a column without cells. A nil valid means that
// every row has a value.
func (p *Profile) AddPresence(rows int, valid []bool) {
	p.grid.mustBe(KindPresence, "AddPresence")
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
}

// AddOutOfRange says that n of the invalid rows were numbers outside of the
// declared range. It adds no rows.
func (p *Profile) AddOutOfRange(n int64) {
	mustCount("AddOutOfRange", n)
	p.outOfRange += n
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
	for i, n := range q.cells {
		p.cells[i] += n
	}
	p.rows += q.rows
	p.count += q.count
	p.absent += q.absent
	p.invalid += q.invalid
	p.moved += q.moved
	p.outOfRange += q.outOfRange
	if p.moments != nil {
		p.moments.merge(q.moments)
	}
	return nil
}

func (m *moments) merge(o *moments) {
	m.min, m.max = min(m.min, o.min), max(m.max, o.max)
	m.sum.Merge(&o.sum)
	m.squares.Merge(&o.squares)
	m.below.Merge(&o.below)
	m.above.Merge(&o.above)
}

// Clone returns a copy that shares nothing but the grid.
func (p *Profile) Clone() *Profile {
	q := *p
	q.cells = slices.Clone(p.cells)
	q.scratch = nil
	if p.moments != nil {
		m := *p.moments
		q.moments = &m
	}
	return &q
}

// Empty returns a profile on the same grid that has counted nothing.
func (p *Profile) Empty() *Profile { return New(p.grid) }
