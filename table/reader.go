package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// The most columns and rows that a file may have. A few bytes can state any
// number of rows that are all missing: reading them would take for ever.
const (
	MaxColumns = 20_000
	MaxRows    = 1 << 33
)

// Reader reads a Parquet object of any writer. Row order is file order. A
// Reader is safe for concurrent use: scans share nothing but the footer.
type Reader struct {
	at      io.ReaderAt
	size    int64
	rows    int64
	groups  []rowGroup
	fields  []field
	byName  map[string]int
	skipped []Skipped
	meta    map[string]string
	unpack  *unpackers
}

// Skipped is a column of a file that cannot be read as one of our types.
type Skipped struct {
	Name   string
	Reason string
}

// OpenParquet reads the footer of a Parquet object. The bytes may come from
// anywhere: what is wrong with them is a CodeInvalid error, never a panic.
func OpenParquet(r io.ReaderAt, size int64) (_ *Reader, err error) {
	defer recoverAs(&err, "read parquet footer")
	footer, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	f, err := footer.open()
	if err != nil {
		return nil, readError(err, "read parquet footer")
	}
	rd := &Reader{at: r, size: size, rows: f.NumRows(), meta: map[string]string{}, unpack: &unpackers{}}
	if rd.groups, err = footer.rowGroups(); err != nil {
		return nil, readError(err, "read parquet footer")
	}
	for _, kv := range f.Metadata().KeyValueMetadata {
		rd.meta[kv.Key] = kv.Value
	}
	leaves := leafElements(f.Metadata().Schema)
	if err := rd.describe(f.Root().Columns(), leaves); err != nil {
		return nil, err
	}
	if err := rd.checkGroups(len(leaves)); err != nil {
		return nil, err
	}
	return rd, nil
}

func (r *Reader) describe(columns []*parquet.Column, leaves []*format.SchemaElement) error {
	if len(columns) > MaxColumns {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the parquet file has %d columns: at most %d can be read", len(columns), MaxColumns)
	}
	ints := map[string]bool{modelwatch.ColumnRank: true}
	for name := range strings.SplitSeq(r.meta[metadataInt64], "\n") {
		ints[name] = true
	}
	r.byName = make(map[string]int, len(columns))
	for _, c := range columns {
		f, reason := newField(c, leaves, ints[c.Name()])
		if reason != "" {
			r.skipped = append(r.skipped, Skipped{Name: c.Name(), Reason: reason})
			continue
		}
		if _, dup := r.byName[c.Name()]; dup {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "column %q is in the parquet file twice", c.Name())
		}
		r.byName[c.Name()] = len(r.fields)
		r.fields = append(r.fields, f)
	}
	return nil
}

// leafElements lists the schema's leaves in the order of column chunks.
func leafElements(schema []format.SchemaElement) []*format.SchemaElement {
	var leaves []*format.SchemaElement
	for i := range schema {
		if e := &schema[i]; i > 0 && e.Type.Valid {
			leaves = append(leaves, e)
		}
	}
	return leaves
}

// checkGroups refuses counts and places that cannot be true.
func (r *Reader) checkGroups(leaves int) error {
	total := int64(0)
	for i, g := range r.groups {
		if g.NumRows < 0 {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "row group %d of the parquet file has %d rows", i, g.NumRows)
		}
		if total += g.NumRows; total > MaxRows {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "the parquet file states %d rows and more: at most %d can be read", total, int64(MaxRows))
		}
		if len(g.Columns) != leaves {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "row group %d of the parquet file has %d columns, its schema %d", i, len(g.Columns), leaves)
		}
	}
	if total != r.rows {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the parquet file has %d rows in its row groups, %d in its footer", total, r.rows)
	}
	return nil
}

// Rows is the number of rows.
func (r *Reader) Rows() int64 { return r.rows }

// Columns lists what can be read, in file order.
func (r *Reader) Columns() []ColumnInfo {
	infos := make([]ColumnInfo, len(r.fields))
	for i, f := range r.fields {
		infos[i] = f.info
	}
	return infos
}

// Column returns a column's place in the schema, false if the file lacks it.
func (r *Reader) Column(name string) (ColumnInfo, bool) {
	i, ok := r.byName[name]
	if !ok {
		return ColumnInfo{}, false
	}
	return r.fields[i].info, true
}

// AsText returns a reader of the same file that reads the named columns, where
// they are integers, as their text: ids beyond 2^53 are not exact as numbers.
func (r *Reader) AsText(names ...string) *Reader {
	return r.view(names, func(f *field) {
		if f.integer() {
			f.asText()
		}
	})
}

// view is a reader of the same file with other forms of the named columns.
func (r *Reader) view(names []string, change func(*field)) *Reader {
	view := *r
	view.fields = slices.Clone(r.fields)
	for _, name := range names {
		if i, ok := r.byName[name]; ok {
			change(&view.fields[i])
		}
	}
	return &view
}

// Skipped lists the columns that cannot be read as one of our types: maps,
// structs, lists of anything but numbers, times of day.
func (r *Reader) Skipped() []Skipped { return r.skipped }

// Metadata is the key-value part of the footer.
func (r *Reader) Metadata() map[string]string { return r.meta }

// Scan calls f for each chunk, a row group or a part of one, with the named
// columns in the given order. A column that the file lacks comes with its name
// and all missing. Columns are decoded in parallel, f is called in row order,
// from one goroutine. Slices are reused: f must neither keep nor change them; the strings of
// Dict it may keep. An error of f ends the scan and is returned as it is.
func (r *Reader) Scan(ctx context.Context, columns []string, f func(*Chunk) error) error {
	s := newScan(r, columns, runtime.GOMAXPROCS(0))
	return s.run(ctx, f)
}

// ScanColumn reads one column of the whole file, in row order, in the calling
// goroutine. Slices are reused as in Scan.
func (r *Reader) ScanColumn(ctx context.Context, name string, f func(rows int, c *Column) error) error {
	s := newScan(r, []string{name}, 1)
	return s.run(ctx, func(c *Chunk) error { return f(c.Rows, &c.Columns[0]) })
}

// ScanColumnInPlace is ScanColumn in parts that end where pages do, so that texts can stay
// where they are: f must not keep those of Dict either.
func (r *Reader) ScanColumnInPlace(ctx context.Context, name string, f func(rows int, c *Column) error) error {
	s := newScan(r, []string{name}, 1)
	s.inPlace = true
	for _, c := range s.cursors {
		if c != nil {
			c.views = true
		}
	}
	return s.run(ctx, func(c *Chunk) error { return f(c.Rows, &c.Columns[0]) })
}

// ScanColumnSpread is ScanColumn in an order of row groups whose every beginning is
// spread over the file: the middle before the quarters before the eighths.
func (r *Reader) ScanColumnSpread(ctx context.Context, name string, f func(rows int, c *Column) error) error {
	s := newScan(r, []string{name}, 1)
	s.take = inOrder(spread(len(r.groups)))
	return s.run(ctx, func(c *Chunk) error { return f(c.Rows, &c.Columns[0]) })
}

// ScanColumnGroups is ScanColumn of the row groups that next returns, one after the other.
func (r *Reader) ScanColumnGroups(ctx context.Context, name string, next func() (group int, more bool), f func(rows int, c *Column) error) error {
	s := newScan(r, []string{name}, 1)
	s.take = next
	return s.run(ctx, func(c *Chunk) error { return f(c.Rows, &c.Columns[0]) })
}

// ScanGroups is Scan of the given row groups, in that order.
func (r *Reader) ScanGroups(ctx context.Context, groups []int, columns []string, f func(*Chunk) error) error {
	s := newScan(r, columns, runtime.GOMAXPROCS(0))
	s.take = inOrder(groups)
	return s.run(ctx, f)
}

// Groups is the number of row groups.
func (r *Reader) Groups() int { return len(r.groups) }

// ScanBytes estimates what a scan of all columns holds: a chunk, decoded and as
// the pages it comes from, and the bytes that are read ahead.
func (r *Reader) ScanBytes() int64 {
	var most int64
	for _, g := range r.groups {
		var compressed int64
		for i := range g.Columns {
			compressed += g.Columns[i].MetaData.TotalCompressedSize
		}
		cells := min(g.NumRows, RowGroupRows) * int64(len(r.fields)) * 9
		most = max(most, 2*cells+3*compressed)
	}
	return most
}

// recoverAs turns a panic of the Parquet library, which malformed bytes can
// cause, into an error.
func recoverAs(err *error, place string) {
	if p := recover(); p != nil {
		*err = modelwatch.Wrap(modelwatch.CodeInvalid, fmt.Errorf("%v\n%s", p, debug.Stack()), "%s: the file is malformed", place)
	}
}

// readError classifies a failure of the library: bad bytes are the user's, the
// rest is passed on with its code.
func readError(err error, format string, args ...any) error {
	place := fmt.Sprintf(format, args...)
	var own *modelwatch.Error
	switch {
	case errors.As(err, &own), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", place, err)
	case errors.Is(err, errSource):
		return fmt.Errorf("%s: %w", place, err)
	}
	return modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s: the file is malformed", place)
}
