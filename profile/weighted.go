package profile

import (
	"fmt"
	"math/big"
)

// weighted is what a profile knows beside its counts once a row of another weight
// than 1 was added: the same in weights. Every number is an exact integer.
type weighted struct {
	cells []mass

	values     mass // of a presence profile, which has no cells
	absent     mass
	invalid    mass
	moved      mass
	outOfRange mass

	valueSquares massSquare // of the weights of the values
	rowSquares   massSquare // of the weights of all rows

	moments *wideMoments // number only
}

// wideMoments take the place of the sums in moments.
type wideMoments struct {
	sum          wideSum
	squares      wideSquares
	below, above wideSum
}

// weigh makes the profile a weighted one: the rows so far have the weight 1.
func (p *Profile) weigh() {
	if p.weighted != nil {
		return
	}
	w := &weighted{cells: make([]mass, len(p.cells))}
	for i, n := range p.cells {
		w.cells[i].addCount(n)
	}
	if p.grid.kind == KindPresence {
		w.values.addCount(p.count)
	}
	w.absent.addCount(p.absent)
	w.invalid.addCount(p.invalid)
	w.moved.addCount(p.moved)
	w.outOfRange.addCount(p.outOfRange)
	w.valueSquares.addCount(p.count)
	w.rowSquares.addCount(p.rows)
	if m := p.moments; m != nil {
		w.moments = &wideMoments{}
		w.moments.sum.setSum(&m.sum)
		w.moments.squares.addSum(&m.squares)
		w.moments.below.setSum(&m.below)
		w.moments.above.setSum(&m.above)
		*m = moments{min: m.min, max: m.max, unsquared: m.unsquared}
	}
	p.weighted = w
}

// prepare makes the profile ready for rows of these weights.
func (p *Profile) prepare(op string, rows int, valid []bool, weights []float64) {
	if len(weights) != rows || len(valid) > 0 && len(valid) != rows {
		panic(fmt.Sprintf("profile: %s of %d rows, %d valid flags, %d weights", op, rows, len(valid), len(weights)))
	}
	if p.weighted != nil {
		return
	}
	for _, w := range weights {
		if w != 1 && ValidWeight(w) {
			p.weigh()
			return
		}
	}
}

// addWeighted counts the rows that have a valid weight, and hands those that have a
// value to add.
func (p *Profile) addWeighted(op string, rows int, valid []bool, weights []float64, add func(i int, w weight)) {
	p.prepare(op, rows, valid, weights)
	for i := range rows {
		w, ok := p.row(weights[i])
		switch {
		case !ok:
		case present(valid, i):
			add(i, w)
		default:
			p.missing(w)
		}
	}
}

// row counts a row, and reports whether it has a valid weight.
func (p *Profile) row(w float64) (weight, bool) {
	if !ValidWeight(w) {
		p.unweighed++
		return weight{}, false
	}
	p.rows++
	x := newWeight(w)
	if p.weighted != nil {
		p.weighted.rowSquares.add(x)
	}
	return x, true
}

// missing counts a row without a value.
func (p *Profile) missing(w weight) {
	p.absent++
	if p.weighted != nil {
		p.weighted.absent.add(w)
	}
}

// value counts a row with a value in a cell.
func (p *Profile) value(cell int, w weight) {
	p.count++
	p.cells[cell]++
	if p.weighted != nil {
		p.weighted.cells[cell].add(w)
		p.weighted.valueSquares.add(w)
	}
}

// AddFloatsWeighted is AddFloats of rows that stand for as many as their weights
// say, usually one over the probability with which they were sampled. The number
// of rows and values stays what it is; Mass and its like count weights. A row
// whose weight is not a number from MinWeight to MaxWeight is none of all these:
// InvalidWeights counts it. Rows that all have the weight 1 are as those without.
func (p *Profile) AddFloatsWeighted(values []float64, valid []bool, weights []float64) {
	p.grid.mustBe(KindNumber, "AddFloatsWeighted")
	p.addWeighted("AddFloatsWeighted", len(values), valid, weights, func(i int, w weight) {
		if v := values[i]; finite(v) {
			p.number(v+0, w)
			return
		}
		p.invalid++
		if p.weighted != nil {
			p.weighted.invalid.add(w)
		}
	})
}

func (p *Profile) number(v float64, w weight) {
	if p.weighted == nil {
		p.AddFloats([]float64{v}, nil)
		p.rows-- // row has counted it
		return
	}
	p.value(p.grid.numberCell(v), w)
	p.moments.min, p.moments.max = min(p.moments.min, v), max(p.moments.max, v)
	m, cuts := p.weighted.moments, p.grid.cuts
	m.sum.add(w, v)
	m.squares.add(w, v)
	switch {
	case len(cuts) == 0 || v < cuts[0]:
		m.below.add(w, v)
	case v > cuts[len(cuts)-1]:
		m.above.add(w, v)
	}
}

// numberCell returns the cell of a value.
func (g *Grid) numberCell(v float64) int {
	lo, hi := 0, len(g.cuts)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if g.cuts[mid] < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(g.cuts) && g.cuts[lo] == v {
		return 2*lo + 1
	}
	return 2 * lo
}

// AddCategoriesWeighted is AddCategories of rows with weights; see
// [Profile.AddFloatsWeighted].
func (p *Profile) AddCategoriesWeighted(dict []string, index []int32, valid []bool, weights []float64) {
	p.grid.mustBe(KindCategory, "AddCategoriesWeighted")
	p.scratch = p.scratch[:0]
	for _, value := range dict {
		p.scratch = append(p.scratch, p.grid.category(value))
	}
	p.addWeighted("AddCategoriesWeighted", len(index), valid, weights, func(i int, w weight) {
		p.value(int(p.scratch[index[i]]), w)
	})
}

// AddBoolsWeighted is AddBools of rows with weights; see
// [Profile.AddFloatsWeighted].
func (p *Profile) AddBoolsWeighted(values []bool, valid []bool, weights []float64) {
	p.grid.mustBe(KindBoolean, "AddBoolsWeighted")
	p.addWeighted("AddBoolsWeighted", len(values), valid, weights, func(i int, w weight) {
		if values[i] {
			p.value(1, w)
		} else {
			p.value(0, w)
		}
	})
}

// AddPresenceWeighted is AddPresence of as many rows as there are weights; see
// [Profile.AddFloatsWeighted].
func (p *Profile) AddPresenceWeighted(valid []bool, weights []float64) {
	p.grid.mustBe(KindPresence, "AddPresenceWeighted")
	p.addWeighted("AddPresenceWeighted", len(weights), valid, weights, func(_ int, w weight) {
		p.count++
		if p.weighted != nil {
			p.weighted.values.add(w)
			p.weighted.valueSquares.add(w)
		}
	})
}

// AddInvalidWeighted is AddInvalid of a row of that weight for each weight. It
// passes over weights that are not valid, whose rows are not counted.
func (p *Profile) AddInvalidWeighted(weights []float64) {
	p.prepare("AddInvalidWeighted", len(weights), nil, weights)
	for _, w := range weights {
		if !ValidWeight(w) {
			continue
		}
		p.moved++
		p.invalid++
		if p.weighted != nil {
			p.weighted.moved.add(newWeight(w))
			p.weighted.invalid.add(newWeight(w))
		}
	}
}

// AddOutOfRangeWeighted is AddOutOfRange of a row of that weight for each weight.
func (p *Profile) AddOutOfRangeWeighted(weights []float64) {
	p.prepare("AddOutOfRangeWeighted", len(weights), nil, weights)
	for _, w := range weights {
		if !ValidWeight(w) {
			continue
		}
		p.outOfRange++
		if p.weighted != nil {
			p.weighted.outOfRange.add(newWeight(w))
		}
	}
}

func (w *weighted) merge(o *weighted) {
	for i := range o.cells {
		w.cells[i].merge(&o.cells[i])
	}
	w.values.merge(&o.values)
	w.absent.merge(&o.absent)
	w.invalid.merge(&o.invalid)
	w.moved.merge(&o.moved)
	w.outOfRange.merge(&o.outOfRange)
	addLimbs(w.valueSquares[:], o.valueSquares[:])
	addLimbs(w.rowSquares[:], o.rowSquares[:])
	if m := w.moments; m != nil {
		for sign := range uint64(2) {
			addLimbs(m.sum.half(sign), o.moments.sum.half(sign))
			addLimbs(m.below.half(sign), o.moments.below.half(sign))
			addLimbs(m.above.half(sign), o.moments.above.half(sign))
		}
		addLimbs(m.squares[:], o.moments.squares[:])
	}
}

func (w *weighted) clone() *weighted {
	c := *w
	c.cells = append([]mass(nil), w.cells...)
	if w.moments != nil {
		m := *w.moments
		c.moments = &m
	}
	return &c
}

// MergeWeighted adds what q counted, each of its rows with w times its weight: the
// rows of a file that was sampled at the rate r weigh 1/r. Where q's rows have
// weights of their own, each sum is rounded to a multiple of 2^-92. It fails, and
// changes nothing, if the grids differ or w is not a valid weight.
func (p *Profile) MergeWeighted(q *Profile, w float64) error {
	part, err := q.times(w)
	if err != nil {
		return err
	}
	return p.Merge(part)
}

// times returns the profile of the same rows with w times their weights.
func (p *Profile) times(w float64) (*Profile, error) {
	switch {
	case !ValidWeight(w):
		return nil, fmt.Errorf("merge profiles: weight %v is not from %v to %v", w, float64(MinWeight), float64(MaxWeight))
	case w == 1:
		return p, nil
	}
	q := p.Clone()
	q.weigh()
	if !q.weighted.scale(newWeight(w)) {
		return nil, fmt.Errorf("merge profiles: weight %v: the sum of weights is out of range", w)
	}
	return q, nil
}

func (w *weighted) scale(by weight) bool {
	num := by.int()
	square := new(big.Int).Mul(num, num)
	ok := true
	times := func(m *mass) { ok = ok && scale(m[:], num, massBits, maxMassBits) }
	for i := range w.cells {
		if !w.cells[i].isZero() {
			times(&w.cells[i])
		}
	}
	for _, m := range []*mass{&w.values, &w.absent, &w.invalid, &w.moved, &w.outOfRange} {
		times(m)
	}
	for _, s := range []*massSquare{&w.valueSquares, &w.rowSquares} {
		ok = ok && scale(s[:], square, 2*massBits, maxMassSquareBits)
	}
	if m := w.moments; m != nil {
		for _, s := range []*wideSum{&m.sum, &m.below, &m.above} {
			limbs, negative := s.magnitude() // what is rounded must not depend on what cancels
			s.set(limbs, negative)
			ok = ok && scale(s.half(0), num, massBits, maxWideBits) && scale(s.half(1), num, massBits, maxWideBits)
		}
		ok = ok && scale(m.squares[:], num, massBits, maxWideSquareBits)
	}
	return ok
}

// Limits that leave room for merging.
const (
	maxMassBits       = 64*3 - 4
	maxMassSquareBits = 64*5 - 2
	maxWideBits       = 64*wideLimbs - 4
	maxWideSquareBits = 64*wideSquareLimbs - 4
)

// ones are the weights of rows that have none.
func ones(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}
