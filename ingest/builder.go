package ingest

import (
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// fileKey says in which data file of a batch a row goes.
type fileKey struct {
	version *version
	kind    modelwatch.Kind
	hour    int64 // of event time, since 1970
	rate    float64
	// Where the type of a prediction or label is by value, numbers and
	// categories go in files apart: a column has one type per file.
	numberPredicted, numberLabel bool
}

// builder collects the rows of one data file, column by column, in the order of
// arrival.
type builder struct {
	key      fileKey
	rows     int
	bytes    int64        // estimated, in memory
	revision int64        // of the schema, when sealed
	schema   []fileColumn // when sealed
	ids      arena
	times    []int64
	received []int64
	ranks    []int64
	columns  []cells // by slot
	invalid  sparse
	extra    sparse
}

// cells are the values of one column. Rows after the last value are missing.
type cells struct {
	typ     cellType
	n       int
	valid   []bool // nil: no row is missing so far
	floats  []float64
	ints    []int64
	bools   []bool
	index   []int32
	dict    []string
	lookup  map[string]int32
	vectors [][]float32
}

// rowBytes is what each row costs beside its columns: id, three integers, and
// what sorting needs.
const rowBytes = 24 + 3*8 + 12

// add appends the event as a row.
func (b *builder) add(e *event, r *row) {
	b.bytes += rowBytes + int64(len(r.id))
	b.ids.add(r.id)
	b.times = append(b.times, r.micros)
	b.received = append(b.received, r.received)
	b.ranks = append(b.ranks, r.rank)
	if len(b.columns) < len(e.layout.columns) {
		b.widen(len(e.layout.columns))
	}
	for _, i := range e.set {
		b.bytes += b.columns[i].add(&e.slots[i], e.vectors, b.rows)
	}
	if e.invalidValues > 0 {
		b.bytes += b.invalid.add(b.rows, e.appendInvalid)
	}
	if e.unknownFields > 0 {
		b.bytes += b.extra.add(b.rows, e.appendExtra)
	}
	b.rows++
}

func (b *builder) widen(n int) {
	b.columns = append(b.columns, make([]cells, n-len(b.columns))...)
}

// add appends a value for row; it returns how much memory that took.
func (c *cells) add(s *slot, vectors []float32, row int) int64 {
	if c.n == 0 {
		c.typ = s.form
	}
	grew := c.pad(row)
	c.n++
	if c.valid != nil {
		c.valid = append(c.valid, true)
	}
	switch c.typ {
	case cellNumber:
		c.floats = append(c.floats, math.Float64frombits(s.bits))
		return grew + 9
	case cellTimestamp:
		c.ints = append(c.ints, int64(s.bits))
		return grew + 9
	case cellBoolean:
		c.bools = append(c.bools, s.bits != 0)
		return grew + 2
	case cellVector:
		v := slices.Clone(vectors[s.bits>>32 : s.bits&math.MaxUint32])
		c.vectors = append(c.vectors, v)
		return grew + int64(24+4*len(v))
	}
	i, ok := c.lookup[string(s.text)]
	if !ok {
		i = c.intern(s.text)
		grew += int64(len(s.text)) + 64
	}
	c.index = append(c.index, i)
	return grew + 5
}

func (c *cells) intern(text []byte) int32 {
	if c.lookup == nil {
		c.lookup = map[string]int32{}
	}
	i := int32(len(c.dict))
	v := string(text)
	c.dict = append(c.dict, v)
	c.lookup[v] = i
	return i
}

// pad makes the rows missing that have had no value.
func (c *cells) pad(rows int) int64 {
	missing := rows - c.n
	if missing <= 0 {
		return 0
	}
	if c.valid == nil {
		c.valid = make([]bool, c.n, max(rows, cap(c.floats), cap(c.index)))
		for i := range c.valid {
			c.valid[i] = true
		}
	}
	c.valid = zeros(c.valid, missing)
	c.n = rows
	switch c.typ {
	case cellNumber:
		c.floats = zeros(c.floats, missing)
	case cellTimestamp:
		c.ints = zeros(c.ints, missing)
	case cellBoolean:
		c.bools = zeros(c.bools, missing)
	case cellVector:
		c.vectors = zeros(c.vectors, missing)
	default:
		c.index = zeros(c.index, missing)
	}
	return 9 * int64(missing)
}

// zeros appends n zero values.
func zeros[T any](s []T, n int) []T {
	s = slices.Grow(s, n)
	tail := s[len(s) : len(s)+n]
	clear(tail)
	return s[:len(s)+n]
}

// chunk sorts the rows by rank, rows of one rank by arrival, and returns them as
// a table. The builder is spent: its slices are the table's now.
func (b *builder) chunk() *table.Chunk {
	order := sortedByRank(b.ranks)
	c := &table.Chunk{Rows: b.rows}
	var s spares
	c.Columns = append(c.Columns,
		table.Column{Name: modelwatch.ColumnID, Type: modelwatch.TypeText, Dict: b.ids.strings(), Index: order},
		intColumn(modelwatch.ColumnTime, modelwatch.TypeTimestamp, table.PhysicalTime, exchange(&s.ints, b.times, order)),
		intColumn(modelwatch.ColumnRank, modelwatch.TypeNumber, table.PhysicalInt64, exchange(&s.ints, b.ranks, order)),
		intColumn(modelwatch.ColumnReceivedAt, modelwatch.TypeTimestamp, table.PhysicalTime, exchange(&s.ints, b.received, order)),
	)
	for _, col := range b.schema {
		if col.slot < len(b.columns) && b.columns[col.slot].n > 0 {
			c.Columns = append(c.Columns, b.columns[col.slot].column(col.name, b.rows, order, &s))
		} else if col.declared {
			missing := cells{typ: col.typ}
			c.Columns = append(c.Columns, missing.column(col.name, b.rows, order, &s))
		}
	}
	if b.invalid.n() > 0 {
		c.Columns = append(c.Columns, b.invalid.column(modelwatch.ColumnInvalid, b.rows, order, &s))
	}
	if b.extra.n() > 0 {
		c.Columns = append(c.Columns, b.extra.column(modelwatch.ColumnExtra, b.rows, order, &s))
	}
	return c
}

// fileColumn is a column as chunk writes it.
type fileColumn struct {
	name     string
	slot     int
	typ      cellType
	declared bool
}

// seal ends the builder: no row comes after it. What it needs of its version is
// copied, because the decoder goes on changing that while the file is written.
// Features come first, then ours, both by name, whatever order they were found in.
func (b *builder) seal() {
	l := b.key.version.rows
	if b.key.kind == modelwatch.KindLabel {
		l = b.key.version.labels
	}
	b.schema = make([]fileColumn, len(l.columns))
	for i, c := range l.columns {
		b.schema[i] = fileColumn{name: c.name, slot: i, typ: c.base, declared: c.declared && b.key.kind == modelwatch.KindPrediction}
	}
	slices.SortFunc(b.schema, func(x, y fileColumn) int {
		if rx, ry := modelwatch.Reserved(x.name), modelwatch.Reserved(y.name); rx != ry {
			if ry {
				return -1
			}
			return 1
		}
		return strings.Compare(x.name, y.name)
	})
	b.revision = b.key.version.stored.SchemaRevision
}

func intColumn(name string, t modelwatch.FeatureType, p table.Physical, v []int64) table.Column {
	return table.Column{Name: name, Type: t, Physical: p, Ints: v}
}

// column returns the values in the given order.
func (c *cells) column(name string, rows int, order []int32, s *spares) table.Column {
	c.pad(rows)
	out := table.Column{Name: name, Type: c.typ.featureType()}
	if c.valid != nil {
		out.Valid = exchange(&s.bools, c.valid, order)
	}
	switch c.typ {
	case cellNumber:
		out.Floats = exchange(&s.floats, c.floats, order)
	case cellTimestamp:
		out.Ints = exchange(&s.ints, c.ints, order)
	case cellBoolean:
		out.Bools = exchange(&s.bools, c.bools, order)
	case cellVector:
		out.Vectors = exchange(&s.vectors, c.vectors, order)
	default:
		out.Dict, out.Index = c.dict, exchange(&s.index, c.index, order)
	}
	return out
}

// spares are slices that sorting may use: each column is gathered into the one that the
// column before it came in, so that a batch is never in memory twice.
type spares struct {
	floats  []float64
	ints    []int64
	bools   []bool
	index   []int32
	vectors [][]float32
}

// gather returns the values in the given order.
func gather[T any](v []T, order []int32) []T { return exchange(new([]T), v, order) }

// exchange returns the values in the given order, in the spare slice if it is large
// enough. Theirs becomes the spare one.
func exchange[T any](spare *[]T, v []T, order []int32) []T {
	out := *spare
	if cap(out) < len(order) {
		out = make([]T, len(order))
	}
	out = out[:len(order)]
	for i, from := range order {
		out[i] = v[from]
	}
	*spare = v
	return out
}

// arena holds many short texts without a string header for each.
type arena struct {
	bytes []byte
	ends  []int
}

func (a *arena) add(text []byte) {
	a.bytes = append(a.bytes, text...)
	a.ends = append(a.ends, len(a.bytes))
}

// strings returns the texts; they share one copy of the bytes.
func (a *arena) strings() []string {
	all, out, from := string(a.bytes), make([]string, len(a.ends)), 0
	for i, end := range a.ends {
		out[i] = all[from:end]
		from = end
	}
	return out
}

// sparse is a text column that few rows have.
type sparse struct {
	arena
	at []int32
}

func (s *sparse) n() int { return len(s.at) }

// add lets appendTo append the text of a row, and notes it if there is any.
func (s *sparse) add(row int, appendTo func([]byte) []byte) int64 {
	n := len(s.bytes)
	s.bytes = appendTo(s.bytes)
	if len(s.bytes) == n {
		return 0
	}
	s.ends = append(s.ends, len(s.bytes))
	s.at = append(s.at, int32(row))
	return int64(len(s.bytes)-n) + 32
}

func (s *sparse) column(name string, rows int, order []int32, spare *spares) table.Column {
	valid, index := make([]bool, rows), make([]int32, rows)
	for i, at := range s.at {
		valid[at], index[at] = true, int32(i)
	}
	return table.Column{
		Name: name, Type: modelwatch.TypeText, Dict: s.strings(),
		Valid: exchange(&spare.bools, valid, order), Index: exchange(&spare.index, index, order),
	}
}

// spec describes the sealed file.
func (b *builder) spec(commit string, unique string) modelwatch.FileSpec {
	return modelwatch.FileSpec{
		Kind: b.key.kind, Model: b.key.version.model, Version: b.key.version.name,
		Hour: microsTime(b.key.hour * microsPerHour), Unique: unique,
		SamplingRate: b.key.rate, SchemaRevision: b.revision, CommitID: commit,
	}
}
