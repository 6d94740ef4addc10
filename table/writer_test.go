package table

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

// The library's decoders and ours are the inverse of our encoders.
func TestEncodersInvert(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ints := rapid.SliceOf(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-5, 5), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0}))).Draw(t, "ints")
		b := appendDelta(nil, ints)
		got, err := (&delta.BinaryPackedEncoding{}).DecodeInt64(nil, b)
		if err != nil || !slices.Equal(ints, got) {
			t.Fatalf("delta by the library: got %v, want %v: %v", got, ints, err)
		}
		got = make([]int64, len(ints))
		if rest, err := decodeDelta(b, got); err != nil || len(rest) > 0 || !slices.Equal(ints, got) {
			t.Fatalf("delta: got %v, want %v, %d bytes more: %v", got, ints, len(rest), err)
		}
		width := rapid.IntRange(1, 31).Draw(t, "width")
		index := rapid.SliceOf(rapid.Int32Range(0, int32(uint32(1)<<width-1))).Draw(t, "indexes")
		if rapid.Bool().Draw(t, "equal") {
			for i := range index {
				index[i] = index[0]
			}
		}
		b = appendHybrid(nil, width, index)
		gotIndex, err := (&rle.Encoding{BitWidth: width}).DecodeInt32(nil, b)
		if err != nil || len(gotIndex) < len(index) || !slices.Equal(index, gotIndex[:len(index)]) { // groups are of eight
			t.Fatalf("width %d by the library: got %v, want %v: %v", width, gotIndex, index, err)
		}
		gotIndex = make([]int32, len(index))
		if err := decodeHybrid(b, width, gotIndex); err != nil || !slices.Equal(index, gotIndex) {
			t.Fatalf("width %d: got %v, want %v: %v", width, gotIndex, index, err)
		}
	})
}

// Numbers come back to the bit, whether a dictionary holds them or not.
func TestNumberDictionary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		distinct   int
		rows       int
		dictionary bool
	}{
		{"a few", 7, 1_000, true},
		{"as many as go in", maxDistinct, 10_000, true},
		{"one more", maxDistinct + 1, 10_000, false},
		{"not repeated often enough", 300, 1_000, false},
		{"none", 0, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			special := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)}
			values := make([]float64, test.rows)
			for i := range values {
				if at := i * 31 % test.distinct; at < len(special) {
					values[i] = special[at]
				} else {
					values[i] = float64(at) / 7
				}
			}
			info := ColumnInfo{Name: "n", Type: modelwatch.TypeNumber}
			b := encodeChunks(t, []ColumnInfo{info}, &Chunk{Rows: len(values), Columns: []Column{{Name: "n", Type: info.Type, Floats: values}}})
			f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range f.Metadata().RowGroups {
				if got := slices.Contains(group.Columns[0].MetaData.Encoding, format.RLEDictionary); got != test.dictionary {
					t.Errorf("a dictionary: %t, want %t", got, test.dictionary)
				}
			}
			var got []float64
			err = open(t, b).ScanColumn(context.Background(), "n", func(n int, c *Column) error {
				got = append(got, c.Floats[:n]...)
				return nil
			})
			if err != nil || len(got) != len(values) {
				t.Fatalf("%d numbers, wrote %d: %v", len(got), len(values), err)
			}
			for i := range values {
				if math.Float64bits(got[i]) != math.Float64bits(values[i]) {
					t.Fatalf("row %d is %v, wrote %v", i, got[i], values[i])
				}
			}
		})
	}
}

// The same rows make the same bytes, however they come.
func TestWriterIsDeterministic(t *testing.T) {
	t.Parallel()
	whole, _ := everyTypeChunk(0, 1_000)
	first, _ := everyTypeChunk(0, 300)
	second, _ := everyTypeChunk(300, 700)
	want := encodeChunks(t, everyType(), whole)
	if got := encodeChunks(t, everyType(), first, second); !bytes.Equal(got, want) {
		t.Error("two chunks make other bytes than one of the same rows")
	}
	var buf bytes.Buffer
	w, err := NewWriter(&buf, everyType(), map[string]string{"made": "by a test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(whole); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf.Bytes(), want) {
		t.Error("a chunk that is known to be the last makes other bytes")
	}
	if err := w.Write(whole); err == nil {
		t.Error("a file that is closed takes more rows")
	}
}

// What we write, arrow-go reads alike.
func TestWriterReadByArrow(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100, RowGroupRows + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			chunk, want := everyTypeChunk(0, n)
			f, err := file.NewParquetReader(bytes.NewReader(encodeChunks(t, everyType(), chunk)))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for g := range f.NumRowGroups() {
				group := f.RowGroup(g)
				for i, info := range everyType() {
					column, err := group.Column(i)
					if err != nil {
						t.Fatal(err)
					}
					got := arrowCells(t, column, int(group.NumRows()))
					takeCells(t, want, info.Name, got)
				}
			}
			noneLeft(t, want)
		})
	}
}

// arrowCells reads a column chunk of ours, whose lists have fewer than four elements.
func arrowCells(t *testing.T, column file.ColumnChunkReader, rows int) []string {
	t.Helper()
	most := int64(4 * rows)
	defs, reps := make([]int16, most), make([]int16, most)
	var total int64
	var err error
	var cell func(i int) string
	switch r := column.(type) {
	case *file.Float64ColumnChunkReader:
		total, cell, err = batch(defs, reps, r.ReadBatch)
	case *file.Int64ColumnChunkReader:
		total, cell, err = batch(defs, reps, r.ReadBatch)
	case *file.BooleanColumnChunkReader:
		total, cell, err = batch(defs, reps, r.ReadBatch)
	case *file.ByteArrayColumnChunkReader:
		total, cell, err = batch(defs, reps, r.ReadBatch)
	case *file.Float32ColumnChunkReader:
		return arrowLists(t, r, defs, reps)
	default:
		t.Fatalf("a column of %T", column)
	}
	if err != nil || total != int64(rows) {
		t.Fatalf("%d levels in %d rows: %v", total, rows, err)
	}
	out := make([]string, rows)
	next := 0
	for i := range out {
		out[i] = "<missing>"
		if defs[i] == 1 {
			out[i] = cell(next)
			next++
		}
	}
	return out
}

// batch reads all of a column chunk, page by page.
func batch[T any](defs, reps []int16, read func(int64, []T, []int16, []int16) (int64, int, error)) (int64, func(int) string, error) {
	values := make([]T, len(defs))
	total, n, err := read(int64(len(defs)), values, defs, reps)
	return total, func(i int) string { return fmt.Sprintf("%v", any(values[:n][i])) }, err
}

func arrowLists(t *testing.T, r *file.Float32ColumnChunkReader, defs, reps []int16) []string {
	t.Helper()
	values := make([]float32, len(defs))
	total, _, err := r.ReadBatch(int64(len(defs)), values, defs, reps)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var list []float32
	for i := range total {
		if reps[i] == 0 {
			out, list = append(out, ""), nil
		}
		if defs[i] == 2 {
			list, values = append(list, values[0]), values[1:]
		}
		if out[len(out)-1] = fmt.Sprint(list); defs[i] == 0 {
			out[len(out)-1] = "<missing>"
		}
	}
	return out
}
