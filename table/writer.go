package table

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"

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

// Writer writes chunks as one Parquet file: columns in the order given, every
// one optional, zstd, statistics on, dictionaries for strings. It buffers one
// row group. A Writer is not safe for concurrent use.
type Writer struct {
	file    *file.Writer
	columns []writerColumn
	byName  map[string]int
	limit   int // rows per row group
	rows    int // buffered
	bytes   int // buffered in strings and vectors
	total   int64
	encoder groupEncoder
	err     error // the first failure; the file is lost
}

type writerColumn struct {
	info  ColumnInfo
	store storage
	buf   columnBuffer
}

// NewWriter starts a Parquet file with the given columns and footer metadata.
// Close ends it; w itself is not closed.
func NewWriter(w io.Writer, columns []ColumnInfo, metadata map[string]string) (*Writer, error) {
	wr := &Writer{byName: make(map[string]int, len(columns)), limit: groupRows(len(columns))}
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
	root, err := wr.schema()
	if err != nil {
		return nil, err
	}
	wr.file, err = file.NewParquetWriterWithError(noClose{w}, root,
		file.WithWriterProps(wr.properties()), file.WithWriteMetadata(wr.footer(metadata)))
	if err != nil {
		return nil, fmt.Errorf("start parquet file: %w", err)
	}
	return wr, nil
}

// noClose hides Close: the Parquet writer would close its sink.
type noClose struct{ io.Writer }

func groupRows(columns int) int {
	if columns == 0 {
		return RowGroupRows
	}
	return min(RowGroupRows, max(minRowGroupRows, groupBytes/(8*columns)))
}

func (w *Writer) schema() (*schema.GroupNode, error) {
	fields := make(schema.FieldList, len(w.columns))
	for i, c := range w.columns {
		node, err := columnNode(c.info.Name, c.store)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "column %q cannot be written", c.info.Name)
		}
		fields[i] = node
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		return nil, fmt.Errorf("make parquet schema: %w", err)
	}
	return root, nil
}

func columnNode(name string, store storage) (schema.Node, error) {
	optional := parquet.Repetitions.Optional
	switch store {
	case storeFloats:
		return schema.NewPrimitiveNode(name, optional, parquet.Types.Double, -1, -1)
	case storeInts:
		return schema.NewPrimitiveNodeLogical(name, optional, schema.NewIntLogicalType(64, true), parquet.Types.Int64, -1, -1)
	case storeTimes:
		micros := schema.NewTimestampLogicalType(true, schema.TimeUnitMicros)
		return schema.NewPrimitiveNodeLogical(name, optional, micros, parquet.Types.Int64, -1, -1)
	case storeBools:
		return schema.NewPrimitiveNode(name, optional, parquet.Types.Boolean, -1, -1)
	case storeStrings:
		return schema.NewPrimitiveNodeLogical(name, optional, schema.StringLogicalType{}, parquet.Types.ByteArray, -1, -1)
	default:
		element := schema.NewFloat32Node("element", parquet.Repetitions.Required, -1)
		list, err := schema.NewGroupNode("list", parquet.Repetitions.Repeated, schema.FieldList{element}, -1)
		if err != nil {
			return nil, err
		}
		return schema.NewGroupNodeLogical(name, optional, schema.FieldList{list}, schema.NewListLogicalType(), -1)
	}
}

func (w *Writer) properties() *parquet.WriterProperties {
	opts := []parquet.WriterProperty{
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithDictionaryDefault(false),
		parquet.WithStats(true),
		parquet.WithCompressionLevel(1), // a fifth less time than the default for 3 % more bytes
		parquet.WithCreatedBy("modelwatch"),
	}
	for _, c := range w.columns {
		if c.store == storeStrings {
			opts = append(opts, parquet.WithDictionaryPath(parquet.ColumnPath{c.info.Name}, true))
		}
	}
	return parquet.NewWriterProperties(opts...)
}

func (w *Writer) footer(values map[string]string) metadata.KeyValueMetadata {
	kv := metadata.NewKeyValueMetadata()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		_ = kv.Append(key, values[key]) // fails on text that is not UTF-8 only, which Parquet cannot hold
	}
	var ints []string
	for _, c := range w.columns {
		if c.store == storeInts {
			ints = append(ints, c.info.Name)
		}
	}
	if len(ints) > 0 {
		_ = kv.Append(metadataInt64, strings.Join(ints, "\n"))
	}
	return kv
}

// Rows is the number of rows written so far.
func (w *Writer) Rows() int64 { return w.total }

// Write appends the rows of a chunk. A column of the file that the chunk lacks
// is missing in those rows; a column of the chunk that the file lacks is an
// error. The chunk may be reused afterwards.
func (w *Writer) Write(c *Chunk) error {
	if w.err != nil {
		return w.err
	}
	w.err = w.write(c)
	return w.err
}

func (w *Writer) write(c *Chunk) error {
	sources, err := w.match(c)
	if err != nil {
		return err
	}
	for from := 0; from < c.Rows; {
		n := min(c.Rows-from, w.limit-w.rows)
		if n == w.limit {
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
	group, err := w.file.AppendRowGroupChecked()
	if err != nil {
		return fmt.Errorf("start row group: %w", err)
	}
	for i := range w.columns {
		chunk, err := group.NextColumn()
		if err != nil {
			return fmt.Errorf("start column %q: %w", w.columns[i].info.Name, err)
		}
		v, err := view(i)
		if err != nil {
			return err
		}
		if err := w.encoder.encode(chunk, w.columns[i].store, rows, v); err != nil {
			return fmt.Errorf("write column %q: %w", w.columns[i].info.Name, err)
		}
	}
	if err := group.Close(); err != nil {
		return fmt.Errorf("end row group: %w", err)
	}
	return nil
}

// Close writes what is buffered and the footer. The file is complete only when
// Close has returned nil.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.flush()
	}
	if err := w.file.Close(); w.err == nil && err != nil {
		w.err = fmt.Errorf("end parquet file: %w", err)
	}
	err := w.err
	if err == nil {
		w.err = fmt.Errorf("write parquet file: it is closed")
	}
	return err
}
