package table

import (
	"fmt"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/modelwatch/modelwatch"
)

// The rows of a source's row group that are copied at a time. A wide table is
// copied by whole row groups where they are not huge, so that no more than one
// column of it is open at a time.
const (
	copyRows     = 1 << 18
	copyRowsWide = 1 << 22
	wideColumns  = 256
)

// parquet copies a Parquet file column by column: names mapped, types checked,
// ranges applied.
func (s *spooler) parquet() error {
	if err := s.in.unpackFile(s.ctx, s.opts.TempDir); err != nil {
		return err
	}
	r, err := OpenParquet(s.in.at, s.in.size)
	if err != nil {
		return fmt.Errorf("%s: %w", s.in.name, err)
	}
	if len(r.fields) > s.opts.maxColumns() {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s has %d columns: at most %d are read", s.in.name, len(r.fields), s.opts.maxColumns())
	}
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.info.Name
	}
	if s.layout, err = newLayout(s.in.name, names, s.opts); err != nil {
		return err
	}
	s.layout.skipped = r.skipped
	s.layout.infer(func(source string) (modelwatch.FeatureType, bool) { return r.fields[r.byName[source]].info.Type, true })
	if err := s.start(); err != nil {
		return err
	}
	if err := newParquetCopy(s, r).run(); err != nil {
		return fmt.Errorf("%s: %w", s.in.name, err)
	}
	return s.finish()
}

// parquetCopy is the pass over the source.
type parquetCopy struct {
	s       *spooler
	r       *Reader
	columns []copyColumn // in the order of the result, without "_invalid"
	merged  *copyColumn  // the source's own "_invalid"
	invalid sparseInvalids
	rows    int // most rows at a time
	group   int
	whole   bool   // row groups are copied in one slice each
	shared  cursor // ... and then one cursor serves all columns in turn
}

type copyColumn struct {
	t      target
	field  field
	cursor *cursor  // nil where the shared one serves
	build  *builder // nil where values are taken as they are
}

func newParquetCopy(s *spooler, r *Reader) *parquetCopy {
	c := &parquetCopy{s: s, r: r, rows: copyRows}
	if len(s.layout.targets) > wideColumns {
		c.rows = copyRowsWide
	}
	for _, t := range s.layout.targets {
		col := copyColumn{t: t, field: r.fields[r.byName[t.source]]}
		store, _ := t.info.storage() // a layout's types are known ones
		if store == storeStrings && col.field.integer() {
			col.field.asText() // exact beyond 2^53
		}
		if store == storeInts && col.field.kind == parquet.Int64 && col.field.integer() {
			col.field.store = storeInts
		}
		if store != col.field.store {
			col.build = newBuilder(t, &invalids{}, 0)
		}
		if t.info.Name == modelwatch.ColumnInvalid {
			c.merged = &col
			continue
		}
		c.columns = append(c.columns, col)
	}
	return c
}

func (c *parquetCopy) run() error {
	for g, group := range c.r.groups {
		c.startGroup(g, group.NumRows)
		for left := group.NumRows; left > 0; {
			n := int(min(left, int64(c.rows)))
			left -= int64(n)
			if err := c.slice(n); err != nil {
				return err
			}
			c.s.writer.total += int64(n)
			if err := c.s.tick(c.groupEnd(g), c.s.writer.total); err != nil {
				return err
			}
		}
		c.endGroup()
	}
	return nil
}

// startGroup opens a cursor for every column where a row group is copied in parts.
func (c *parquetCopy) startGroup(g int, rows int64) {
	c.group, c.whole = g, rows <= int64(c.rows)
	if c.whole {
		return
	}
	for _, col := range c.all() {
		col.cursor = &cursor{r: c.r, f: &col.field, window: min(maxWindow, max(minWindow, windowBytes/int64(len(c.columns))))}
		col.cursor.start(g, rows)
	}
}

func (c *parquetCopy) all() []*copyColumn {
	var all []*copyColumn
	for i := range c.columns {
		all = append(all, &c.columns[i])
	}
	if c.merged != nil {
		all = append(all, c.merged)
	}
	return all
}

// endGroup lets go of what the cursors hold.
func (c *parquetCopy) endGroup() {
	for _, col := range c.all() {
		col.cursor = nil
	}
}

// next reads the column's next n rows; they are valid until another column is read.
func (c *parquetCopy) next(col *copyColumn, n int) (in Column, err error) {
	at := col.cursor
	if c.whole {
		at = &c.shared
		at.r, at.f, at.window = c.r, &col.field, maxWindow
		at.start(c.group, int64(n))
	}
	err = at.next(&in, n)
	return in, err
}

// groupEnd is about how many bytes of the source the row groups up to g take.
func (c *parquetCopy) groupEnd(g int) int64 {
	groups := int64(len(c.r.groups))
	return c.r.size * int64(g+1) / groups
}

// slice copies the next n rows of the group as a row group of the result.
func (c *parquetCopy) slice(n int) error {
	c.invalid.reset(n)
	return c.s.writer.encodeGroup(n, func(i int) (columnView, error) {
		if err := c.s.ctx.Err(); err != nil {
			return columnView{}, err
		}
		if i == len(c.columns) {
			return c.invalidView(n)
		}
		col := &c.columns[i]
		in, err := c.next(col, n)
		if err != nil {
			return columnView{}, err
		}
		return viewOf(c.convert(col, &in, n)), nil
	})
}

func (c *parquetCopy) invalidView(n int) (columnView, error) {
	if c.merged != nil {
		own, err := c.next(c.merged, n)
		if err != nil {
			return columnView{}, err
		}
		for i := range n {
			if len(own.Index) > 0 && !own.Missing(i) {
				c.invalid.merge(i, own.Dict[own.Index[i]])
			}
		}
	}
	out := c.invalid.column()
	return viewOf(&out), nil
}

// convert gives the column its target's type. What does not fit, in type or
// range, becomes missing and is noted.
func (c *parquetCopy) convert(col *copyColumn, in *Column, n int) *Column {
	if col.build == nil {
		if col.field.store == storeFloats && (col.t.min != nil || col.t.max != nil) {
			c.limit(col, in, n)
		}
		return in
	}
	b := col.build
	b.reset()
	for i := range n {
		if in.Missing(i) {
			b.addMissing()
			continue
		}
		b.from(&col.field, in, i)
		if len(b.invalid.row) > 0 {
			c.invalid.add(i, b.invalid.row[1:])
			b.invalid.row = b.invalid.row[:0]
		}
	}
	out := b.finish()
	return &out
}

// limit makes numbers outside the declared range invalid.
func (c *parquetCopy) limit(col *copyColumn, in *Column, n int) {
	key := appendKey(nil, col.t.info.Name)
	for i := range n {
		v := in.Floats[i]
		if in.Missing(i) || math.IsInf(v, 0) || !col.t.outside(v) {
			continue
		}
		if in.Valid == nil {
			in.Valid = make([]bool, n)
			for j := range in.Valid {
				in.Valid[j] = true
			}
		}
		in.Valid[i] = false
		c.invalid.add(i, strconv.AppendFloat(append([]byte(nil), key...), v, 'g', -1, 64))
	}
}

// from appends row i of a column of another type.
func (b *builder) from(f *field, in *Column, i int) {
	switch f.store {
	case storeStrings:
		b.text(in.Dict[in.Index[i]])
	case storeFloats:
		b.fromNumber(in.Floats[i])
	case storeBools:
		b.fromBool(in.Bools[i])
	case storeTimes:
		b.fromTime(in.Ints[i])
	default:
		b.refuse("a list")
	}
}

func (b *builder) fromNumber(v float64) {
	switch {
	case b.store == storeStrings && !math.IsNaN(v):
		b.word(strconv.FormatFloat(v, 'g', -1, 64))
	case b.store == storeBools && (v == 0 || v == 1):
		b.boolean(v == 1)
	case b.store == storeTimes:
		if t, ok := epoch(v); ok {
			b.integer(t)
			return
		}
		b.refuse(strconv.FormatFloat(v, 'g', -1, 64))
	case math.IsNaN(v):
		b.addMissing()
	default:
		b.refuse(strconv.FormatFloat(v, 'g', -1, 64))
	}
}

func (b *builder) fromBool(v bool) {
	if b.store == storeStrings {
		b.word(strconv.FormatBool(v))
		return
	}
	b.refuse(strconv.FormatBool(v))
}

func (b *builder) fromTime(micros int64) {
	if b.store == storeStrings {
		b.word(timeText(micros))
		return
	}
	b.refuse(timeText(micros))
}

func (b *builder) refuse(s string) {
	b.invalid.add(b.key, quoted(b.invalid.scratch[:0], s))
	b.addMissing()
}

// sparseInvalids gathers "_invalid" column by column.
type sparseInvalids struct {
	rows    int
	members map[int][]byte // row: the members of its object
}

func (v *sparseInvalids) reset(rows int) { v.rows, v.members = rows, nil }

func (v *sparseInvalids) add(row int, member []byte) {
	if v.members == nil {
		v.members = map[int][]byte{}
	}
	have := v.members[row]
	if len(have) > 0 {
		have = append(have, ',')
	}
	v.members[row] = append(have, member...)
}

func (v *sparseInvalids) merge(row int, object string) {
	var own invalids
	if own.merge(object); len(own.row) > 0 {
		v.add(row, own.row[1:])
	}
}

func (v *sparseInvalids) column() Column {
	out := invalids{}
	for i := range v.rows {
		if m := v.members[i]; len(m) > 0 {
			out.row = append(append(out.row, '{'), m...)
		}
		out.end()
	}
	return out.column()
}
