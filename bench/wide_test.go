package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// wideGroup is how many rows a row group of a wide file has. Our own writer would
// make many small ones of so many columns.
const (
	wideRows  = 100_000
	wideGroup = 20_000
)

// writeWide writes a file of many columns with the settings of other people's
// writers: zstd, dictionaries where they are short. The values of every 20th
// column are the same.
func writeWide(b *testing.B, path string, columns int, seed uint64) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	drawn := tableColumns()
	var fields schema.FieldList
	for i := range columns {
		like := drawn[i%len(drawn)]
		if name := fmt.Sprintf("%s_%05d", like.Name, i); like.Type == modelwatch.TypeNumber {
			fields = append(fields, schema.NewFloat64Node(name, parquet.Repetitions.Required, -1))
		} else {
			fields = append(fields, schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, schema.StringLogicalType{}, parquet.Types.ByteArray, -1, -1)))
		}
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		b.Fatal(err)
	}
	w := file.NewParquetWriter(f, root, file.WithWriterProps(parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd))))
	rng := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // deterministic on purpose
	for range wideRows / wideGroup {
		group, err := w.AppendRowGroupChecked()
		if err != nil {
			b.Fatal(err)
		}
		chunk := drawChunk(rng, drawn, wideGroup)
		for i := range columns {
			if err := writeColumn(group, &chunk.Columns[i%len(drawn)]); err != nil {
				b.Fatal(err)
			}
		}
		if err := group.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil { // closes the file too
		b.Fatal(err)
	}
}

func writeColumn(group file.SerialRowGroupWriter, col *table.Column) error {
	chunk, err := group.NextColumn()
	if err != nil {
		return err
	}
	switch w := chunk.(type) {
	case *file.Float64ColumnChunkWriter:
		_, err = w.WriteBatch(col.Floats, nil, nil)
	case *file.ByteArrayColumnChunkWriter:
		values := make([]parquet.ByteArray, len(col.Index))
		for i := range values {
			values[i] = []byte(col.Text(i))
		}
		_, err = w.WriteBatch(values, nil, nil)
	}
	return errors.Join(err, chunk.Close())
}
