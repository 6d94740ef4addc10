package ingest

import (
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// sortedRows are the rows of a sealed builder by rank, rows of one rank by arrival. What a
// part of them stands in is used again for the next: it stays in the processor's cache,
// and the rows are never in memory twice.
type sortedRows struct {
	b       *builder
	order   []int32 // rows by rank
	columns []sortedColumn
	ids     []string // by rank, in one piece of memory
	plans   []plan   // of the parts that were asked for last
	planned int      // rows in these

	pages  []*[pageRows]uint64
	short  *[pageRows]uint64
	floats []float64
	ints   []int64
	bools  []bool
	valid  []bool
	index  []int32

	touched uint64 // of no meaning
}

// sortedColumn is a column, and how a part of it is had.
type sortedColumn struct {
	info table.ColumnInfo
	part func(s *sortedRows, out *table.Column, from, n int)
}

// plan is where the rows of a part come from, page by page, and where they go to. To
// write here and there within a part takes a third of the time of reading so all over a
// column, which is too large for the processor's nearest caches.
type plan struct {
	from, n int
	moves   []move
	ends    []int32 // of the moves of each page
}

// move is the place of a row in its page, above its place in the part: half as much to be
// read beside each value as two numbers would be.
type move uint32

const moveBits = 32 - 10 // of the place in the part; the other is below pageRows

func (m move) row() uint { return uint(m>>moveBits) % pageRows }
func (m move) to() uint  { return uint(m & (1<<moveBits - 1)) }

// of returns the moves of a page.
func (p *plan) of(page int) []move {
	if page == 0 {
		return p.moves[:p.ends[0]]
	}
	return p.moves[p.ends[page-1]:p.ends[page]]
}

// plan returns the plan of n rows.
func (s *sortedRows) plan(from, n int) *plan {
	for i := range s.plans {
		if p := &s.plans[i]; p.from == from && p.n == n {
			return p
		}
	}
	if s.planned += n; s.planned > len(s.order) {
		s.plans, s.planned = s.plans[:0], n // parts that overlap
	}
	p := plan{from: from, n: n, moves: make([]move, n), ends: make([]int32, len(s.order)/pageRows+1)}
	order := s.order[from : from+n]
	for _, row := range order {
		p.ends[row/pageRows]++
	}
	sum := int32(0)
	for i, rows := range p.ends {
		p.ends[i] = sum
		sum += rows
	}
	for i, row := range order {
		at := &p.ends[row/pageRows] // where its next move goes, and in the end the moves end
		p.moves[*at] = move(row%pageRows)<<moveBits | move(i)
		*at++
	}
	s.plans = append(s.plans, p)
	return &s.plans[len(s.plans)-1]
}

// sorted returns the rows as a table. The builder is spent once they are released.
func (b *builder) sorted() *sortedRows {
	s := &sortedRows{b: b, order: b.order()}
	s.ids = b.ids.sorted(s.order)
	s.add(modelwatch.ColumnID, modelwatch.TypeText, table.PhysicalDefault, (*sortedRows).idPart)
	s.add(modelwatch.ColumnTime, modelwatch.TypeTimestamp, table.PhysicalTime, intPart(&b.times))
	s.add(modelwatch.ColumnRank, modelwatch.TypeNumber, table.PhysicalInt64, intPart(&b.ranks))
	s.add(modelwatch.ColumnReceivedAt, modelwatch.TypeTimestamp, table.PhysicalTime, intPart(&b.received))
	for _, col := range b.schema {
		if col.slot < len(b.columns) && b.some.has(int32(col.slot)) {
			s.add(col.name, col.typ.featureType(), table.PhysicalDefault, func(s *sortedRows, out *table.Column, from, n int) { s.cells(out, col, s.plan(from, n)) })
		} else if col.declared { // and missing in all rows
			s.add(col.name, col.typ.featureType(), table.PhysicalDefault, func(*sortedRows, *table.Column, int, int) {})
		}
	}
	s.addSparse(modelwatch.ColumnInvalid, &b.invalid)
	s.addSparse(modelwatch.ColumnExtra, &b.extra)
	return s
}

func (s *sortedRows) add(name string, t modelwatch.FeatureType, p table.Physical, part func(s *sortedRows, out *table.Column, from, n int)) {
	s.columns = append(s.columns, sortedColumn{table.ColumnInfo{Name: name, Type: t, Physical: p}, part})
}

// addSparse adds a column that few rows have, if any has it.
func (s *sortedRows) addSparse(name string, from *sparse) {
	if from.n() == 0 {
		return
	}
	dict, index := from.strings(), make([]int32, s.b.rows) // place in dict plus one
	for i, at := range from.at {
		index[at] = int32(i) + 1
	}
	s.add(name, modelwatch.TypeText, table.PhysicalDefault, func(s *sortedRows, out *table.Column, from, n int) {
		out.Dict, out.Index, out.Valid = dict, room(&s.index, n), room(&s.valid, n)
		for i, row := range s.order[from : from+n] {
			out.Index[i], out.Valid[i] = max(index[row]-1, 0), index[row] > 0
		}
	})
}

// Len is the number of rows.
func (s *sortedRows) Len() int { return s.b.rows }

// Infos are the columns.
func (s *sortedRows) Infos() []table.ColumnInfo {
	infos := make([]table.ColumnInfo, len(s.columns))
	for i := range s.columns {
		infos[i] = s.columns[i].info
	}
	return infos
}

// Part gathers n rows of column i, of which there may be 1<<moveBits.
func (s *sortedRows) Part(i, from, n int) table.Column {
	c := &s.columns[i]
	out := table.Column{Name: c.info.Name, Type: c.info.Type, Physical: c.info.Physical}
	c.part(s, &out, from, n)
	return out
}

// release gives the memory of the rows back.
func (s *sortedRows) release() {
	s.b.release()
	*s = sortedRows{}
}

// idPart makes a dictionary of the ids, which are all different as a rule, in order.
func (s *sortedRows) idPart(out *table.Column, from, n int) {
	out.Dict, out.Index = s.ids[from:from+n], room(&s.index, n)
	for i := range out.Index {
		out.Index[i] = int32(i)
	}
}

func intPart(w *words) func(*sortedRows, *table.Column, int, int) {
	return func(s *sortedRows, out *table.Column, from, n int) { out.Ints = s.takeInts(w, s.plan(from, n)) }
}

// cells gathers values of a column of events.
func (s *sortedRows) cells(out *table.Column, col fileColumn, p *plan) {
	c := &s.b.columns[col.slot]
	if !s.b.all.has(int32(col.slot)) {
		out.Valid = room(&s.valid, p.n)
		s.takeBits(&s.b.set[col.slot>>6], p, out.Valid, col.slot&63)
	}
	switch col.typ {
	case cellNumber:
		out.Floats = blanked(s.takeFloats(&c.words, p), out.Valid)
	case cellTimestamp:
		out.Ints = blanked(s.takeInts(&c.words, p), out.Valid)
	case cellBoolean:
		out.Bools = room(&s.bools, p.n)
		s.takeBits(&c.words, p, out.Bools, 0)
		blanked(out.Bools, out.Valid)
	case cellVector:
		out.Vectors = gather(c.kept.vectors, blanked(s.takeIndices(&c.words, p), out.Valid))
		blanked(out.Vectors, out.Valid)
	default:
		out.Dict, out.Index = c.kept.texts, blanked(s.takeIndices(&c.words, p), out.Valid)
	}
}

// room returns a slice of n elements in *s, which grows where it must.
func room[T any](s *[]T, n int) []T {
	*s = slices.Grow((*s)[:0], n)[:n]
	return *s
}

// whole returns the pages of the words, the one of few rows filled up.
func (s *sortedRows) whole(w *words) []*[pageRows]uint64 {
	s.pages = s.pages[:0]
	if len(w.tail) < pageRows {
		if s.short == nil {
			s.short = new([pageRows]uint64)
		}
		copy(s.short[:], w.tail)
		return append(s.pages, s.short)
	}
	for _, p := range w.pages {
		s.pages = append(s.pages, (*[pageRows]uint64)(p))
	}
	return s.pages
}

// touch reads a word of each cache line of a page, from the first to the last: so they
// all come from memory at once, and are there when rows ask for them here and there, which
// would wait for one line after the other. It returns something so that it has to be done.
func touch(page *[pageRows]uint64) (any uint64) {
	const line = 64 / 8 // words
	for i := 0; i < pageRows; i += line {
		any |= page[i]
	}
	return any
}

// takeFloats returns the words of rows as IEEE bits.
func (s *sortedRows) takeFloats(w *words, p *plan) []float64 {
	out := room(&s.floats, p.n)
	for i, page := range s.whole(w) {
		s.touched += touch(page)
		for _, m := range p.of(i) {
			out[m.to()] = math.Float64frombits(page[m.row()])
		}
	}
	return out
}

func (s *sortedRows) takeInts(w *words, p *plan) []int64 {
	out := room(&s.ints, p.n)
	for i, page := range s.whole(w) {
		s.touched += touch(page)
		for _, m := range p.of(i) {
			out[m.to()] = int64(page[m.row()])
		}
	}
	return out
}

func (s *sortedRows) takeIndices(w *words, p *plan) []int32 {
	out := room(&s.index, p.n)
	for i, page := range s.whole(w) {
		s.touched += touch(page)
		for _, m := range p.of(i) {
			out[m.to()] = int32(page[m.row()])
		}
	}
	return out
}

// takeBits fills out with one bit of the words of rows.
func (s *sortedRows) takeBits(w *words, p *plan, out []bool, bit int) {
	for i, page := range s.whole(w) {
		s.touched += touch(page)
		for _, m := range p.of(i) {
			out[m.to()] = page[m.row()]>>bit&1 != 0
		}
	}
}

// blanked makes the values of rows that have none zero: their words may be anything.
func blanked[T any](values []T, valid []bool) []T {
	var zero T
	for i, ok := range valid {
		if !ok {
			values[i] = zero
		}
	}
	return values
}

// gather returns the values in the given order.
func gather[T any](v []T, order []int32) []T {
	out := make([]T, len(order))
	for i, from := range order {
		out[i] = v[from]
	}
	return out
}
