package table

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// RowGroupRows is the number of rows in a row group of ours. Wide tables have
// fewer, so that a row group takes at most about groupBytes of memory.
const (
	RowGroupRows    = 65_536
	minRowGroupRows = 1_024
	groupBytes      = 64 << 20
)

// metadataInt64 names the footer entry that lists the PhysicalInt64 columns.
const metadataInt64 = "modelwatch.int64"

// Writer writes chunks as one Parquet file: columns in the order given, every one
// optional, zstd, statistics on. Texts and numbers that repeat are written through a
// dictionary, integers and times as differences, in pages of version 1, which everything
// reads. The same rows in the same row groups give the same bytes. It buffers one row
// group. A Writer is not safe for concurrent use.
type Writer struct {
	pages      *pageWriter
	columns    []writerColumn
	byName     map[string]int
	metadata   map[string]string
	limit      int // rows per row group
	rows       int // buffered
	bytes      int // buffered in strings and vectors
	total      int64
	groups     []byte // as the footer has them
	groupCount int
	encoder    groupEncoder
	err        error // the first failure; the file is lost
}

type writerColumn struct {
	info  ColumnInfo
	store storage
	buf   columnBuffer
}

// NewWriter starts a Parquet file with the given columns and footer metadata.
// Close ends it; w itself is not closed.
func NewWriter(w io.Writer, columns []ColumnInfo, metadata map[string]string) (*Writer, error) {
	pages := newPageWriter(w)
	wr := &Writer{
		pages: pages, encoder: groupEncoder{pages: pages}, metadata: metadata,
		byName: make(map[string]int, len(columns)), limit: groupRows(len(columns)),
	}
	for i, info := range columns {
		store, err := info.storage()
		if err != nil {
			return nil, err
		}
		if _, dup := wr.byName[info.Name]; dup {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "column %q is there twice", info.Name)
		}
		wr.byName[info.Name] = i
		wr.columns = append(wr.columns, writerColumn{info: info, store: store})
	}
	if err := pages.write([]byte(parquetMagic)); err != nil {
		return nil, fmt.Errorf("start parquet file: %w", err)
	}
	return wr, nil
}

func groupRows(columns int) int {
	if columns == 0 {
		return RowGroupRows
	}
	return min(RowGroupRows, max(minRowGroupRows, groupBytes/(8*columns)))
}

// Rows is the number of rows written so far.
func (w *Writer) Rows() int64 { return w.total }

// Write appends the rows of a chunk. A column of the file that the chunk lacks
// is missing in those rows; a column of the chunk that the file lacks is an
// error. The chunk may be reused afterwards.
func (w *Writer) Write(c *Chunk) error {
	if w.err == nil {
		w.err = w.write(c)
	}
	return w.err
}

// Finish appends rows as Write does, the last of the file, and closes it. It begins a row
// group and buffers nothing.
func (w *Writer) Finish(rows Rows) error {
	if w.err == nil {
		w.err = w.flush()
	}
	if w.err == nil {
		w.err = w.writeAll(rows)
	}
	return w.Close()
}

func (w *Writer) write(c *Chunk) error {
	sources, err := w.match(c.Infos())
	if err != nil {
		return err
	}
	for from := 0; from < c.Rows; {
		n := min(c.Rows-from, w.limit-w.rows)
		view := w.viewer(c, sources, from, n)
		if w.rows == 0 && n == w.limit {
			err = w.encodeGroup(n, view)
		} else {
			err = w.buffer(view, n)
		}
		if err != nil {
			return err
		}
		from += n
	}
	w.total += int64(c.Rows)
	return nil
}

func (w *Writer) writeAll(rows Rows) error {
	sources, err := w.match(rows.Infos())
	if err != nil {
		return err
	}
	for from := 0; from < rows.Len(); from += w.limit {
		n := min(rows.Len()-from, w.limit)
		if err := w.encodeGroup(n, w.viewer(rows, sources, from, n)); err != nil {
			return err
		}
	}
	w.total += int64(rows.Len())
	return nil
}

// match finds the column of the rows for each of the file's, -1 where there is none.
func (w *Writer) match(infos []ColumnInfo) ([]int, error) {
	sources := slices.Repeat([]int{-1}, len(w.columns))
	for i := range infos {
		j, ok := w.byName[infos[i].Name]
		if !ok {
			return nil, modelwatch.Errorf(modelwatch.CodeInternal, "write rows: column %q is not one of the file's %d columns", infos[i].Name, len(w.columns))
		}
		sources[j] = i
	}
	return sources, nil
}

// viewer returns what shows n of the rows, column by column.
func (w *Writer) viewer(rows Rows, sources []int, from, n int) func(i int) (columnView, error) {
	return func(i int) (columnView, error) {
		if sources[i] < 0 {
			return columnView{}, nil
		}
		c := rows.Part(sources[i], from, n)
		have := c.len(w.columns[i].store)
		if have == 0 {
			return columnView{}, nil // a column its source lacks: all missing
		}
		if have != n || c.Valid != nil && len(c.Valid) != n {
			return columnView{}, modelwatch.Errorf(modelwatch.CodeInternal, "write rows: column %q has %d values and %d validities for %d rows", c.Name, have, len(c.Valid), n)
		}
		return viewOf(&c), nil
	}
}

func (w *Writer) buffer(view func(i int) (columnView, error), n int) error {
	for i := range w.columns {
		c := &w.columns[i]
		v, err := view(i)
		if err != nil {
			return err
		}
		added, err := c.buf.add(c.store, v, n)
		if err != nil {
			return fmt.Errorf("buffer column %q: %w", c.info.Name, err)
		}
		w.bytes += added
	}
	w.rows += n
	if w.rows >= w.limit || w.bytes >= groupBytes {
		return w.flush()
	}
	return nil
}

func (w *Writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	err := w.encodeGroup(w.rows, func(i int) (columnView, error) { return w.columns[i].buf.view(), nil })
	for i := range w.columns {
		w.columns[i].buf.reset()
	}
	w.rows, w.bytes = 0, 0
	return err
}

// encodeGroup writes a row group, asking for one column after the other.
func (w *Writer) encodeGroup(rows int, view func(i int) (columnView, error)) error {
	group := format.RowGroup{
		Columns: make(thrift.Slice[format.ColumnChunk], len(w.columns)),
		NumRows: int64(rows), FileOffset: w.pages.at, Ordinal: int16(w.groupCount),
	}
	for i, c := range w.columns {
		w.pages.meta = format.ColumnMetaData{
			Type: c.store.physical(), PathInSchema: thrift.Slice[string]{c.info.Name}, Codec: format.Zstd,
			Encoding: thrift.Slice[format.Encoding]{format.RLE}, // of the levels
		}
		if c.store == storeVectors {
			w.pages.meta.PathInSchema = append(w.pages.meta.PathInSchema, "list", "element")
		}
		v, err := view(i)
		if err != nil {
			return err
		}
		if err := w.encoder.encode(c.store, rows, v); err != nil {
			return fmt.Errorf("write column %q: %w", c.info.Name, err)
		}
		group.Columns[i].MetaData = w.pages.meta
		group.TotalByteSize += w.pages.meta.TotalUncompressedSize
		group.TotalCompressedSize += w.pages.meta.TotalCompressedSize
	}
	return w.endGroup(&group)
}

// Close writes what is buffered and the footer. The file is complete only when
// Close has returned nil.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.flush()
	}
	if w.err == nil {
		w.err = w.writeFooter()
	}
	err := w.err
	if err == nil {
		w.err = fmt.Errorf("write parquet file: it is closed")
	}
	return err
}
