package table

import (
	"fmt"
	"io"

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
		w.err = w.write(c, false)
	}
	return w.err
}

// Finish is Write of the last chunk, which it need not buffer, and Close.
func (w *Writer) Finish(c *Chunk) error {
	if w.err == nil {
		w.err = w.write(c, true)
	}
	return w.Close()
}

func (w *Writer) write(c *Chunk, last bool) error {
	sources, err := w.match(c)
	if err != nil {
		return err
	}
	for from := 0; from < c.Rows; {
		n := min(c.Rows-from, w.limit-w.rows)
		if w.rows == 0 && (n == w.limit || last) {
			err = w.encodeGroup(n, func(i int) (columnView, error) { return viewOf(sources[i], from, n), nil })
		} else {
			err = w.buffer(sources, from, n)
		}
		if err != nil {
			return err
		}
		from += n
	}
	w.total += int64(c.Rows)
	return nil
}

// match finds the chunk's column for each of the file's, nil where there is none.
func (w *Writer) match(c *Chunk) ([]*Column, error) {
	sources := make([]*Column, len(w.columns))
	for i := range c.Columns {
		col := &c.Columns[i]
		j, ok := w.byName[col.Name]
		if !ok {
			return nil, modelwatch.Errorf(modelwatch.CodeInternal, "write rows: column %q is not one of the file's %d columns", col.Name, len(w.columns))
		}
		n := col.len(w.columns[j].store)
		if n == 0 && c.Rows > 0 {
			continue // a column its source lacks: all missing
		}
		if n != c.Rows || col.Valid != nil && len(col.Valid) != c.Rows {
			return nil, modelwatch.Errorf(modelwatch.CodeInternal, "write rows: column %q has %d values and %d validities for %d rows", col.Name, n, len(col.Valid), c.Rows)
		}
		sources[j] = col
	}
	return sources, nil
}

func (w *Writer) buffer(sources []*Column, from, n int) error {
	for i := range w.columns {
		c := &w.columns[i]
		added, err := c.buf.add(c.store, viewOf(sources[i], from, n), n)
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
