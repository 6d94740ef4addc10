package profile

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/modelwatch/modelwatch"
)

// The encodings begin with one byte for the version. All integers are minimal
// unsigned varints, doubles are their bits in 8 bytes, little-endian; cells are
// written sparsely and sums without their zero limbs. There is one encoding of
// any data: equal sets have equal bytes, and a decoder accepts no other form.
//
// Version 1, which is read for ever, had no weights and no views.
const (
	versionSet    = 2
	versionCounts = 2
)

// AppendBinary appends the encoding of columns, grids and counts to b. The error is
// always nil. A profile that skips squares has no encoding: asking for one, here or
// below, is a mistake of the program and panics.
func (s *Set) AppendBinary(b []byte) ([]byte, error) {
	b = s.appendHead(b)
	for i := range s.Columns {
		b = s.Columns[i].append(b)
	}
	return b, nil
}

func (s *Set) appendHead(b []byte) []byte {
	return appendUint(append(b, versionSet), uint64(len(s.Columns)))
}

func (c *SetColumn) append(b []byte) []byte {
	b = appendColumn(b, &c.Column)
	b = appendView(b, c)
	b = c.Profile.grid.append(b)
	return c.Profile.append(b)
}

// WriteTo writes what AppendBinary appends, a column at a time, so that of thousands of
// columns no encoding of all of them is held.
func (s *Set) WriteTo(w io.Writer) (written int64, err error) {
	b := s.appendHead(nil)
	for i := 0; ; i++ {
		n, err := w.Write(b)
		if written += int64(n); err != nil || i == len(s.Columns) {
			return written, err
		}
		b = s.Columns[i].append(b[:0])
	}
}

// MarshalBinary is AppendBinary to nothing.
func (s *Set) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendCounts appends the counts alone, for keeping beside many data files what
// has one grid: [Set.DecodeCounts] of a set with the same GridID reads it.
func (s *Set) AppendCounts(b []byte) []byte {
	b = append(b, versionCounts)
	b = append(b, s.GridID()...)
	for i := range s.Columns {
		b = s.Columns[i].Profile.append(b)
	}
	return b
}

// seal computes the id, when all else is in place.
func (g *Grid) seal() *Grid {
	g.id = shortHash(g.append(nil))
	return g
}

func appendUint[T ~int | ~int32 | ~int64 | ~uint64](b []byte, v T) []byte {
	return binary.AppendUvarint(b, uint64(v))
}

func appendString(b []byte, s string) []byte { return append(appendUint(b, len(s)), s...) }

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendOptional(b []byte, v *float64) []byte {
	if v == nil {
		return append(b, 0)
	}
	return appendFloat(append(b, 1), *v)
}

func appendColumn(b []byte, c *modelwatch.Column) []byte {
	for _, s := range [...]string{c.Column, c.Name, string(c.Subject), string(c.Type)} {
		b = appendString(b, s)
	}
	return appendOptional(appendOptional(b, c.Minimum), c.Maximum)
}

func appendView(b []byte, c *SetColumn) []byte {
	b = appendString(b, string(c.View))
	if b = appendUint(b, c.Dimension); c.Dimension > 0 {
		b = binary.LittleEndian.AppendUint64(b, c.Seed)
	}
	return b
}

func (g *Grid) append(b []byte) []byte {
	b = append(b, byte(g.kind))
	switch g.kind {
	case KindNumber:
		b = appendBool(b, g.exact)
		b = appendUint(b, len(g.cuts))
		for _, c := range g.cuts {
			b = appendFloat(b, c)
		}
		b = appendUint(b, len(g.edges))
		for _, e := range g.edges {
			b = appendUint(b, e)
		}
	case KindCategory:
		b = appendUint(b, len(g.categories))
		for _, c := range g.categories {
			b = appendString(b, c)
		}
		b = appendBool(b, g.unbounded)
		b = appendUint(b, len(g.fingerprints))
		for _, f := range g.fingerprints {
			b = binary.LittleEndian.AppendUint64(b, f)
		}
	}
	return b
}

func (p *Profile) append(b []byte) []byte {
	b = appendUint(b, p.absent)
	b = appendUint(b, p.invalid)
	b = appendUint(b, p.moved)
	b = appendUint(b, p.outOfRange)
	b = appendUint(b, p.unweighed)
	b = appendBool(b, p.weighted != nil)
	if p.grid.kind == KindPresence {
		b = appendUint(b, p.count)
	} else {
		b = appendCells(b, p.cells)
	}
	if p.hasMoments() {
		if p.moments.unsquared {
			panic("profile: a profile that skips squares has no encoding")
		}
		b = appendFloat(appendFloat(b, p.moments.min), p.moments.max)
		if p.weighted == nil {
			b = p.moments.append(b)
		}
	}
	if p.weighted != nil {
		b = p.weighted.append(b, p)
	}
	return b
}

// append writes the masses in the order of the counts; of cells, those that are
// not empty.
func (w *weighted) append(b []byte, p *Profile) []byte {
	for _, m := range w.ledger() {
		b = appendLimbs(b, m[:])
	}
	for i, n := range p.cells {
		if n != 0 {
			b = appendLimbs(b, w.cells[i][:])
		}
	}
	b = appendLimbs(b, w.valueSquares[:])
	b = appendLimbs(b, w.rowSquares[:])
	if !p.hasMoments() {
		return b
	}
	for _, s := range w.moments.all() {
		limbs, negative := s.magnitude()
		if b = appendLimbs(b, limbs[:]); limbs != [wideLimbs]uint64{} {
			b = appendBool(b, negative)
		}
	}
	return appendLimbs(b, w.moments.squares[:])
}

// ledger lists the masses beside those of cells.
func (w *weighted) ledger() []*mass {
	return []*mass{&w.absent, &w.invalid, &w.moved, &w.outOfRange, &w.values}
}

func (m *wideMoments) all() []*wideSum { return []*wideSum{&m.sum, &m.below, &m.above} }

// appendCells writes the number of cells that are not empty, and for each how
// many empty ones stand before it and its count.
func appendCells(b []byte, cells []int64) []byte {
	filled := 0
	for _, n := range cells {
		if n != 0 {
			filled++
		}
	}
	b = appendUint(b, filled)
	gap := 0
	for _, n := range cells {
		if n == 0 {
			gap++
			continue
		}
		b = appendUint(appendUint(b, gap), n)
		gap = 0
	}
	return b
}

func (m *moments) append(b []byte) []byte {
	b = m.sum.append(b)
	b = appendLimbs(b, m.squares[:])
	b = m.below.append(b)
	return m.above.append(b)
}

// append writes the magnitude of the sum, then its sign unless it is 0.
func (s *Sum) append(b []byte) []byte {
	limbs, negative := s.magnitude()
	b = appendLimbs(b, limbs[:])
	if limbs != [sumLimbs]uint64{} {
		b = appendBool(b, negative)
	}
	return b
}

// appendLimbs writes the number of limbs from the lowest to the highest that is
// not zero, and if there are any the place of the lowest and all of them.
func appendLimbs(b []byte, limbs []uint64) []byte {
	lo, hi := 0, len(limbs)
	for hi > 0 && limbs[hi-1] == 0 {
		hi--
	}
	for lo < hi && limbs[lo] == 0 {
		lo++
	}
	b = appendUint(b, hi-lo)
	if lo == hi {
		return b
	}
	b = appendUint(b, lo)
	for _, l := range limbs[lo:hi] {
		b = binary.LittleEndian.AppendUint64(b, l)
	}
	return b
}
