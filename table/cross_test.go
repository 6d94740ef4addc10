package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/modelwatch/modelwatch"
)

// What we write, parquet-go's own reader reads alike.
func TestWriterReadByParquetGo(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, RowGroupRows + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			chunk, want := everyTypeChunk(0, n)
			b := encodeChunks(t, everyType(), chunk)
			f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range f.RowGroups() {
				for i, column := range group.ColumnChunks() {
					info := everyType()[i]
					got := libraryCells(t, column, info)
					takeCells(t, want, info.Name, got)
				}
			}
			noneLeft(t, want)
		})
	}
}

// takeCells checks that the cells wanted next of a column are those, and takes them out.
func takeCells(t *testing.T, want map[string][]string, name string, got []string) {
	t.Helper()
	if len(got) > len(want[name]) {
		t.Fatalf("%s: %d rows, want %d more", name, len(got), len(want[name]))
	}
	if diff := cmp.Diff(want[name][:len(got)], got); diff != "" {
		t.Errorf("%s (-want +got):\n%.1000s", name, diff)
	}
	want[name] = want[name][len(got):]
}

func noneLeft(t *testing.T, want map[string][]string) {
	t.Helper()
	for name, rest := range want {
		if len(rest) > 0 {
			t.Errorf("%s: %d rows are missing", name, len(rest))
		}
	}
}

// libraryCells reads a column chunk value by value.
func libraryCells(t *testing.T, column parquet.ColumnChunk, info ColumnInfo) []string {
	t.Helper()
	pages := column.Pages()
	defer pages.Close()
	var cells []string
	var vector []float32
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return cells
		}
		if err != nil {
			t.Fatal(err)
		}
		values := make([]parquet.Value, page.NumValues())
		if n, err := page.Values().ReadValues(values); n < len(values) {
			t.Fatal(n, err)
		}
		for _, v := range values {
			switch {
			case info.Type == modelwatch.TypeVector && v.DefinitionLevel() == 2:
				if v.RepetitionLevel() == 0 {
					vector = nil
					cells = append(cells, "")
				}
				vector = append(vector, v.Float())
				cells[len(cells)-1] = fmt.Sprint(vector)
			case info.Type == modelwatch.TypeVector && v.DefinitionLevel() == 1:
				cells = append(cells, "[]")
			case v.IsNull():
				cells = append(cells, "<missing>")
			case v.Kind() == parquet.ByteArray:
				cells = append(cells, string(v.ByteArray()))
			case v.Kind() == parquet.Double:
				cells = append(cells, fmt.Sprint(v.Double()))
			case v.Kind() == parquet.Boolean:
				cells = append(cells, fmt.Sprint(v.Boolean()))
			default:
				cells = append(cells, fmt.Sprint(v.Int64()))
			}
		}
		parquet.Release(page)
	}
}

// The statistics of a row group never exclude a value that it holds, the empty text included.
func TestWriterStatistics(t *testing.T) {
	t.Parallel()
	long := make([]string, 3_000)
	for i := range long {
		long[i] = fmt.Sprintf("%0600d", i)
	}
	long[2_999] = "" // by then the first pages are written
	for name, values := range map[string][]string{
		"dictionary":          {"b", "", "c", "b", "", "c", "b", ""},
		"plain":               {"b", "", "c"},
		"plain, many pages":   long,
		"only the empty text": {"", "", "", ""},
		"without":             {"b", "c", "b", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Column{Name: "c", Type: modelwatch.TypeCategory}
			places := map[string]int32{}
			low, high := values[0], values[0]
			for _, v := range values {
				if _, ok := places[v]; !ok {
					places[v] = int32(len(c.Dict))
					c.Dict = append(c.Dict, v)
				}
				c.Index = append(c.Index, places[v])
				low, high = min(low, v), max(high, v)
			}
			b := encodeChunks(t, []ColumnInfo{{Name: "c", Type: modelwatch.TypeCategory}}, &Chunk{Rows: len(values), Columns: []Column{c}})
			f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			stats := f.Metadata().RowGroups[0].Columns[0].MetaData.Statistics
			if stats.MinValue == nil && stats.MaxValue == nil {
				return // none is no lie
			}
			if string(stats.MinValue) != low || string(stats.MaxValue) != high {
				t.Errorf("states %.10q to %.10q, holds %.10q to %.10q", stats.MinValue, stats.MaxValue, low, high)
			}
			if diff := cmp.Diff(values, rows(t, open(t, b), "c")); diff != "" {
				t.Errorf("(-want +got):\n%.1000s", diff)
			}
		})
	}
}

type libraryRow struct {
	Double   *float64  `parquet:"double,optional"`
	Split    float32   `parquet:"split,split"`
	Int      *int64    `parquet:"int,optional"`
	Small    uint32    `parquet:"small,delta"`
	Long     int64     `parquet:"long,delta"`
	Text     *string   `parquet:"text,optional,dict"`
	Prefix   string    `parquet:"prefix,delta"`
	Lengths  []byte    `parquet:"lengths,delta"`
	Flag     bool      `parquet:"flag"`
	Vector   []float32 `parquet:"vector,list"`
	Repeated []float64 `parquet:"repeated"`
}

// What parquet-go writes, we read alike: codecs, encodings and page versions of its own.
func TestReaderOfParquetGo(t *testing.T) {
	t.Parallel()
	const n = 5_000
	var written []libraryRow
	want := map[string][]string{}
	for i := range n {
		row := libraryRow{Split: float32(i) / 8, Small: math.MaxUint32 - uint32(i), Long: int64(i*i) << 20 * int64(1-i%2*2), Prefix: fmt.Sprintf("prefix %d", i/10), Flag: i/100%2 == 0,
			Lengths: []byte(fmt.Sprint(i)), Vector: []float32{}, Repeated: []float64{}}
		for k := range i % 3 {
			row.Vector, row.Repeated = append(row.Vector, float32(i+k)), append(row.Repeated, float64(i-k))
		}
		cells := map[string]string{"double": "<missing>", "int": "<missing>", "text": "<missing>"}
		if i%5 > 0 {
			row.Double, row.Int, row.Text = ptr(float64(i)/3), ptr(int64(i)*int64(i)*-7), ptr(fmt.Sprintf("text %d", i%50))
			cells = map[string]string{"double": fmt.Sprint(*row.Double), "int": fmt.Sprint(float64(*row.Int)), "text": *row.Text}
		}
		for name, v := range cells {
			want[name] = append(want[name], v)
		}
		for name, v := range map[string]any{"split": row.Split, "small": float64(row.Small), "long": float64(row.Long), "prefix": row.Prefix, "lengths": string(row.Lengths),
			"flag": row.Flag, "vector": row.Vector, "repeated": row.Repeated} {
			want[name] = append(want[name], fmt.Sprint(v))
		}
		written = append(written, row)
	}
	for name, options := range map[string][]parquet.WriterOption{
		"plain":       {parquet.Compression(&parquet.Uncompressed), parquet.DataPageVersion(1)},
		"snappy":      {parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(2_000)},
		"zstd":        {parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1), parquet.PageBufferSize(3_000), parquet.MaxRowsPerRowGroup(1_700)},
		"lz4":         {parquet.Compression(&parquet.Lz4Raw)},
		"gzip":        {parquet.Compression(&parquet.Gzip)},
		"brotli":      {parquet.Compression(&parquet.Brotli)},
		"small limit": {parquet.DictionaryMaxBytes(100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			w := parquet.NewGenericWriter[libraryRow](&buf, options...)
			if _, err := w.Write(written); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r := open(t, buf.Bytes())
			for column := range want {
				if diff := cmp.Diff(want[column], rows(t, r, column)); diff != "" {
					t.Errorf("%s (-want +got):\n%.1000s", column, diff)
				}
			}
		})
	}
}
