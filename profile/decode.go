package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/modelwatch/modelwatch"
)

// Decode reads what [Set.AppendBinary] wrote, of any version. It accepts any bytes: it fails
// unless they are the encoding of a set, and allocates no more than a small
// multiple of their length.
func Decode(data []byte) (*Set, error) {
	d := &decoder{data: data}
	d.version()
	n := d.length(minColumn)
	s := &Set{Columns: make([]SetColumn, 0, n)}
	for i := 0; i < n && d.err == nil; i++ {
		c := SetColumn{Column: d.column()}
		d.view(&c)
		c.Profile = d.profile(d.grid())
		s.Columns = append(s.Columns, c)
	}
	if err := d.finish(); err != nil {
		return nil, fmt.Errorf("decode profile set: %w", err)
	}
	return s, nil
}

// DecodeCounts reads what [Set.AppendCounts] wrote for a set with the GridID of
// s, and returns a set with those counts and the columns and grids of s.
func (s *Set) DecodeCounts(data []byte) (*Set, error) {
	d := &decoder{data: data}
	d.version()
	if id, want := string(d.take(16)), s.GridID(); d.err == nil && id != want {
		d.fail("grid %q, want %q", id, want)
	}
	t := &Set{Columns: make([]SetColumn, 0, len(s.Columns))}
	for i := 0; i < len(s.Columns) && d.err == nil; i++ {
		c := &s.Columns[i]
		t.Columns = append(t.Columns, c.with(d.profile(c.Profile.grid)))
	}
	if err := d.finish(); err != nil {
		return nil, fmt.Errorf("decode profile counts: %w", err)
	}
	return t, nil
}

// minColumn is the least number of bytes that a column takes.
const minColumn = 12

// decoder reads from the front of data. After the first failure all reads
// return zero values.
type decoder struct {
	data []byte
	off  int
	err  error
	old  bool // version 1
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("byte %d: %w", d.off, fmt.Errorf(format, args...))
	}
}

func (d *decoder) finish() error {
	if d.err == nil && d.off != len(d.data) {
		d.fail("%d bytes after the end", len(d.data)-d.off)
	}
	return d.err
}

// version reads the version, which sets and counts share.
func (d *decoder) version() {
	b := d.take(1)
	switch {
	case len(b) == 0:
	case b[0] == 1:
		d.old = true
	case b[0] != versionSet:
		d.off = 0
		d.fail("version %d, want at most %d", b[0], versionSet)
	}
}

var errShort = errors.New("unexpected end")

func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.data)-d.off {
		if d.err == nil {
			d.fail("%w", errShort)
		}
		return nil
	}
	b := d.data[d.off : d.off+n]
	d.off += n
	return b
}

func (d *decoder) uint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.data[d.off:])
	switch {
	case n == 0:
		d.fail("%w", errShort)
		return 0
	case n < 0 || n > 1 && d.data[d.off+n-1] == 0:
		d.fail("not a minimal varint")
		return 0
	}
	d.off += n
	return v
}

// count reads a number of rows.
func (d *decoder) count() int64 {
	v := d.uint()
	if v > maxRows {
		d.fail("count %d over the limit of %d", v, int64(maxRows))
		return 0
	}
	return int64(v)
}

// maxRows keeps sums of a handful of counts from overflowing.
const maxRows = 1 << 56

// length reads the number of items that take at least so many bytes each.
func (d *decoder) length(size int) int {
	v := d.uint()
	if v > uint64((len(d.data)-d.off)/size) {
		d.fail("length %d over the rest of the data", v)
		return 0
	}
	return int(v)
}

// below reads a number under a limit.
func (d *decoder) below(limit int) int {
	v := d.uint()
	if d.err == nil && v >= uint64(limit) {
		d.fail("%d, want less than %d", v, limit)
		return 0
	}
	return int(v)
}

func (d *decoder) string() string { return string(d.take(d.length(1))) }

func (d *decoder) bool() bool { return d.below(2) == 1 }

func (d *decoder) word() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// float reads a finite double other than -0.
func (d *decoder) float() float64 {
	v := math.Float64frombits(d.word())
	if !finite(v) || v == 0 && math.Signbit(v) {
		d.fail("number %v", v)
		return 0
	}
	return v
}

func (d *decoder) optional() *float64 {
	if !d.bool() {
		return nil
	}
	v := math.Float64frombits(d.word())
	return &v
}

func (d *decoder) column() modelwatch.Column {
	return modelwatch.Column{
		Column: d.string(), Name: d.string(), Subject: modelwatch.Subject(d.string()),
		Type: modelwatch.FeatureType(d.string()), Minimum: d.optional(), Maximum: d.optional(),
	}
}

// view reads what says of which part of a column's values a profile is.
func (d *decoder) view(c *SetColumn) {
	if d.old {
		return
	}
	c.View = modelwatch.View(d.string())
	if c.Dimension = d.below(MaxDimension + 1); c.Dimension > 0 {
		c.Seed = d.word()
	}
}

func (d *decoder) grid() *Grid {
	switch k := Kind(d.below(len(kindNames))); k {
	case KindNumber:
		return d.numberGrid()
	case KindCategory:
		return d.categoryGrid()
	case KindBoolean:
		return NewBooleanGrid()
	default:
		return NewPresenceGrid()
	}
}

func (d *decoder) numberGrid() *Grid {
	exact := d.bool()
	cuts := make([]float64, d.limited(8, MaxCuts+1))
	for i := range cuts {
		cuts[i] = d.float()
		if i > 0 && cuts[i] <= cuts[i-1] {
			d.fail("cut %v after %v", cuts[i], cuts[i-1])
		}
	}
	edges := make([]int, d.limited(1, NumberBins-1))
	for i := range edges {
		edges[i] = d.below(max(len(cuts)-1, 0))
		if i > 0 && edges[i] <= edges[i-1] {
			d.fail("edge %d after %d", edges[i], edges[i-1])
		}
	}
	if d.err != nil {
		return NewPresenceGrid()
	}
	return newNumberGrid(cuts, edges, exact)
}

// limited reads a length with a limit of its own.
func (d *decoder) limited(size, limit int) int {
	n := d.length(size)
	if n > limit {
		d.fail("length %d over the limit of %d", n, limit)
		return 0
	}
	return n
}

func (d *decoder) categoryGrid() *Grid {
	categories := make([]string, d.limited(1, MaxCategories))
	seen := make(map[string]bool, len(categories))
	for i := range categories {
		categories[i] = d.string()
		if seen[categories[i]] {
			d.fail("category %q twice", categories[i])
		}
		seen[categories[i]] = true
	}
	unbounded := d.bool()
	prints := make([]uint64, d.limited(8, MaxFingerprints))
	for i := range prints {
		prints[i] = d.word()
		if i > 0 && prints[i] <= prints[i-1] {
			d.fail("fingerprint %d after %d", prints[i], prints[i-1])
		}
	}
	if d.err != nil {
		return NewPresenceGrid()
	}
	return newCategoryGrid(categories, prints, unbounded)
}

func (d *decoder) profile(g *Grid) *Profile {
	p := New(g)
	p.absent, p.invalid, p.moved, p.outOfRange = d.count(), d.count(), d.count(), d.count()
	if p.moved > p.invalid {
		d.fail("%d moved rows of %d invalid ones", p.moved, p.invalid)
	}
	heavy := false
	if !d.old {
		p.unweighed, heavy = d.count(), d.bool()
	}
	if g.kind == KindPresence {
		p.count = d.count()
	} else {
		d.cells(p)
	}
	p.rows = p.count + p.absent + p.invalid - p.moved
	if p.hasMoments() {
		d.extremes(p.moments)
		if !heavy {
			d.moments(p.moments)
		}
	}
	if heavy && d.err == nil {
		d.weighted(p)
	}
	return p
}

// weighted reads the masses of a profile whose counts have been read: rows have a
// mass if and only if there are any.
func (d *decoder) weighted(p *Profile) {
	w := &weighted{cells: make([]mass, len(p.cells))}
	p.weighted = w
	values := int64(0)
	if p.grid.kind == KindPresence {
		values = p.count
	}
	rows := []int64{p.absent, p.invalid, p.moved, p.outOfRange, values}
	for i, m := range w.ledger() {
		d.mass(m, rows[i])
	}
	for i, n := range p.cells {
		if n != 0 {
			d.mass(&w.cells[i], n)
		}
	}
	d.limited64(w.valueSquares[:], maxMassSquareBits, p.count)
	d.limited64(w.rowSquares[:], maxMassSquareBits, p.rows)
	if p.moments == nil {
		return
	}
	w.moments = &wideMoments{}
	if !p.hasMoments() {
		return
	}
	for _, s := range w.moments.all() {
		if d.limbs(s.half(0)); *s != (wideSum{}) && d.bool() {
			copy(s.half(1), s.half(0))
			clear(s.half(0))
		}
	}
	d.limbs(w.moments.squares[:])
}

func (d *decoder) mass(m *mass, rows int64) { d.limited64(m[:], maxMassBits, rows) }

// limited64 reads limbs of at most so many bits: 0 if there are no rows, and not 0
// if there are.
func (d *decoder) limited64(limbs []uint64, limit int, rows int64) {
	d.limbs(limbs)
	sum := uint64(0)
	for _, l := range limbs {
		sum |= l
	}
	switch {
	case d.err != nil:
	case (sum != 0) != (rows > 0):
		d.fail("a weight of %v for %d rows", limbs, rows)
	case limbs[len(limbs)-1]>>(64-(64*len(limbs)-limit)) != 0:
		d.fail("a weight of %v", limbs)
	}
}

func (d *decoder) cells(p *Profile) {
	at := -1
	for range d.limited(2, len(p.cells)) {
		at += 1 + d.below(len(p.cells)-at-1)
		n := d.count()
		if n == 0 {
			d.fail("empty cell")
		}
		if p.count += n; p.count > maxRows {
			d.fail("count %d over the limit of %d", p.count, int64(maxRows))
		}
		if d.err != nil {
			return
		}
		p.cells[at] = n
	}
}

func (d *decoder) extremes(m *moments) {
	m.min, m.max = d.float(), d.float()
	if m.min > m.max {
		d.fail("minimum %v over maximum %v", m.min, m.max)
	}
}

func (d *decoder) moments(m *moments) {
	d.sum(&m.sum)
	d.limbs(m.squares[:])
	d.sum(&m.below)
	d.sum(&m.above)
}

func (d *decoder) sum(s *Sum) {
	if d.limbs(s.positive()); s.limbs == (Sum{}).limbs {
		return
	}
	if d.bool() {
		copy(s.negative(), s.positive())
		clear(s.positive())
	}
}

func (d *decoder) limbs(limbs []uint64) {
	n := d.limited(8, len(limbs))
	if n == 0 {
		return
	}
	lo := d.below(len(limbs) - n + 1)
	for i := range n {
		limbs[lo+i] = d.word()
	}
	if limbs[lo] == 0 || limbs[lo+n-1] == 0 {
		d.fail("outer limb of zero")
	}
}
