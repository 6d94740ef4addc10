package table

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const parquetMagic = "PAR1"

// columnElements describes a column in the schema.
func columnElements(name string, store storage) []format.SchemaElement {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Optional)}
	switch store {
	case storeFloats:
		e.Type = thrift.New(format.Double)
	case storeInts:
		e.Type = thrift.New(format.Int64)
		e.ConvertedType = thrift.New(deprecated.Int64)
		e.LogicalType.Value = &format.IntType{BitWidth: 64, IsSigned: true}
	case storeTimes:
		e.Type = thrift.New(format.Int64)
		e.ConvertedType = thrift.New(deprecated.TimestampMicros)
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MicroSeconds)}}
	case storeBools:
		e.Type = thrift.New(format.Boolean)
	case storeStrings:
		e.Type = thrift.New(format.ByteArray)
		e.ConvertedType = thrift.New(deprecated.UTF8)
		e.LogicalType.Value = new(format.StringType)
	default:
		e.NumChildren = thrift.New(int32(1))
		e.ConvertedType = thrift.New(deprecated.List)
		e.LogicalType.Value = new(format.ListType)
		return []format.SchemaElement{
			e,
			{Name: "list", RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(int32(1))},
			{Name: "element", RepetitionType: thrift.New(format.Required), Type: thrift.New(format.Float)},
		}
	}
	return []format.SchemaElement{e}
}

// physical is the type of the column's leaf.
func (s storage) physical() format.Type {
	switch s {
	case storeFloats:
		return format.Double
	case storeInts, storeTimes:
		return format.Int64
	case storeBools:
		return format.Boolean
	case storeStrings:
		return format.ByteArray
	}
	return format.Float
}

// endGroup adds a row group to the footer. It is kept as its text, a fraction of its form.
func (w *Writer) endGroup(group *format.RowGroup) error {
	w.pages.header.Reset()
	if err := w.pages.thrift.Encode(group); err != nil {
		return fmt.Errorf("encode row group: %w", err)
	}
	w.groups = append(w.groups, w.pages.header.Bytes()...)
	w.groupCount++
	return nil
}

// writeFooter ends the file.
func (w *Writer) writeFooter() error {
	meta := format.FileMetaData{
		Version: 2, NumRows: w.total, CreatedBy: "modelwatch", RowGroups: thrift.Slice[format.RowGroup]{},
		Schema:           thrift.Slice[format.SchemaElement]{{Name: "schema", NumChildren: thrift.New(int32(len(w.columns)))}},
		KeyValueMetadata: w.keyValues(),
	}
	for _, c := range w.columns {
		meta.Schema = append(meta.Schema, columnElements(c.info.Name, c.store)...)
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	w.pages.header.Reset()
	if err := w.pages.thrift.Encode(&meta); err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	// The list of row groups is empty in that text: here are its members.
	walk := thriftWalk{b: w.pages.header.Bytes()}
	if err := walk.structure(0); err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	const structures = 0xFC // the head of a long list
	list := binary.AppendUvarint([]byte{structures}, uint64(w.groupCount))
	text := slices.Concat(walk.b[:walk.groups[0]], list, w.groups, walk.b[walk.groups[1]:])
	if uint64(len(text)) > 1<<31 {
		return fmt.Errorf("a footer of %d bytes: too many columns and row groups", len(text))
	}
	text = binary.LittleEndian.AppendUint32(text, uint32(len(text)))
	return w.pages.write(append(text, parquetMagic...))
}

// keyValues are the footer's entries. What is not UTF-8, Parquet cannot hold.
func (w *Writer) keyValues() thrift.Slice[format.KeyValue] {
	var kv thrift.Slice[format.KeyValue]
	for _, key := range slices.Sorted(maps.Keys(w.metadata)) {
		if value := w.metadata[key]; utf8.ValidString(key) && utf8.ValidString(value) {
			kv = append(kv, format.KeyValue{Key: key, Value: value})
		}
	}
	var ints []string
	for _, c := range w.columns {
		if c.store == storeInts {
			ints = append(ints, c.info.Name)
		}
	}
	if len(ints) > 0 {
		kv = append(kv, format.KeyValue{Key: metadataInt64, Value: strings.Join(ints, "\n")})
	}
	return kv
}
