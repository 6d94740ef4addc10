package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

// BenchmarkDriftWide compares two files of many columns, four of five of them
// numbers: whole, and what has several results a column. The two of 10,000 columns take 12 GB of disk.
func BenchmarkDriftWide(b *testing.B) {
	for _, columns := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("columns=%d", columns), func(b *testing.B) {
			dir := b.TempDir()
			baseline, current := filepath.Join(dir, "baseline.parquet"), filepath.Join(dir, "current.parquet")
			writeWide(b, baseline, columns, 1)
			writeWide(b, current, columns, 2)
			for _, parts := range [][]string{{"whole"}, {"chunks", "--chunk", "20000"}, {"segments", "--segments", "category_0_00016"}, {"learnt", "--learn-thresholds", "sd=3"}} {
				b.Run(parts[0], func(b *testing.B) {
					measureOurs(b, append([]string{"drift", "--baseline", baseline, "--current", current}, parts[1:]...)...)
				})
			}
		})
	}
}

// writeWide writes a file of many columns. The values of every 20th are the same.
func writeWide(b *testing.B, path string, columns int, seed uint64) {
	b.Helper()
	drawn := tableColumns()
	infos := make([]table.ColumnInfo, columns)
	for i := range infos {
		infos[i] = drawn[i%len(drawn)]
		infos[i].Name = fmt.Sprintf("%s_%05d", infos[i].Name, i)
	}
	writeForeign(b, path, infos, wideRows, wideGroup, seed)
}

// writeForeign writes a file as other people's writers do: zstd throughout,
// dictionaries for texts alone. Values are those of tableColumns, over and over.
func writeForeign(b *testing.B, path string, infos []table.ColumnInfo, rows, group int, seed uint64) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	var fields schema.FieldList
	props := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1), parquet.WithDictionaryDefault(false)}
	for _, info := range infos {
		if info.Type == modelwatch.TypeNumber {
			fields = append(fields, schema.NewFloat64Node(info.Name, parquet.Repetitions.Optional, -1))
			continue
		}
		fields = append(fields, schema.MustPrimitive(schema.NewPrimitiveNodeLogical(info.Name, parquet.Repetitions.Optional, schema.StringLogicalType{}, parquet.Types.ByteArray, -1, -1)))
		props = append(props, parquet.WithDictionaryFor(info.Name, true))
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		b.Fatal(err)
	}
	w := file.NewParquetWriter(f, root, file.WithWriterProps(parquet.NewWriterProperties(props...)))
	rng := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // deterministic on purpose
	drawn := tableColumns()
	for done := 0; done < rows; done += group {
		chunk := drawChunk(rng, drawn, min(group, rows-done))
		out, err := w.AppendRowGroupChecked()
		if err != nil {
			b.Fatal(err)
		}
		for i := range infos {
			if err := writeColumn(out, &chunk.Columns[i%len(drawn)]); err != nil {
				b.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
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
	levels := slices.Repeat([]int16{1}, max(len(col.Floats), len(col.Index))) // no row is missing
	switch w := chunk.(type) {
	case *file.Float64ColumnChunkWriter:
		_, err = w.WriteBatch(col.Floats, levels, nil)
	case *file.ByteArrayColumnChunkWriter:
		values := make([]parquet.ByteArray, len(col.Index))
		for i := range values {
			values[i] = []byte(col.Text(i))
		}
		_, err = w.WriteBatch(values, levels, nil)
	}
	return errors.Join(err, chunk.Close())
}
