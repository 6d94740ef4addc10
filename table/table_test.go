package table

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write encodes chunks as one file and opens it.
func write(t testing.TB, columns []ColumnInfo, chunks ...*Chunk) *Reader {
	t.Helper()
	return open(t, encodeChunks(t, columns, chunks...))
}

func encodeChunks(t testing.TB, columns []ColumnInfo, chunks ...*Chunk) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, columns, map[string]string{"made": "by a test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t testing.TB, b []byte) *Reader {
	t.Helper()
	r, err := OpenParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rows reads a column as text, one string per row: what a person would see.
func rows(t testing.TB, r *Reader, name string) []string {
	t.Helper()
	var out []string
	err := r.ScanColumn(context.Background(), name, func(n int, c *Column) error {
		for i := range n {
			out = append(out, cell(c, i))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("scan %s: %v", name, err)
	}
	return out
}

func cell(c *Column, i int) string {
	switch {
	case c.Missing(i):
		return "<missing>"
	case c.Physical == PhysicalInt64, c.Type == modelwatch.TypeTimestamp:
		return fmt.Sprint(c.Ints[i])
	case c.Type == modelwatch.TypeNumber:
		return fmt.Sprint(c.Floats[i])
	case c.Type == modelwatch.TypeBoolean:
		return fmt.Sprint(c.Bools[i])
	case c.Type == modelwatch.TypeVector:
		return fmt.Sprint(c.Vectors[i])
	}
	return c.Text(i)
}

func everyType() []ColumnInfo {
	return []ColumnInfo{
		{Name: "n", Type: modelwatch.TypeNumber},
		{Name: "c", Type: modelwatch.TypeCategory},
		{Name: "text", Type: modelwatch.TypeText},
		{Name: "b", Type: modelwatch.TypeBoolean},
		{Name: "at", Type: modelwatch.TypeTimestamp},
		{Name: "v", Type: modelwatch.TypeVector},
		{Name: "_rank", Type: modelwatch.TypeNumber, Physical: PhysicalInt64},
		{Name: "_time", Type: modelwatch.TypeTimestamp, Physical: PhysicalTime},
		{Name: "absent", Type: modelwatch.TypeNumber},
	}
}

// everyTypeChunk has rows from..from+n, every third missing.
func everyTypeChunk(from, n int) (*Chunk, map[string][]string) {
	c := &Chunk{Rows: n, Columns: make([]Column, 8)}
	for i, info := range everyType()[:8] {
		c.Columns[i] = Column{Name: info.Name, Type: info.Type, Physical: info.Physical, Valid: make([]bool, n)}
	}
	cols := c.Columns
	cols[1].Dict = []string{"unused", "", "eins", "zwei", "größer"}
	cols[7].Valid = nil
	for i := range n {
		row := from + i
		for j := range cols[:7] {
			cols[j].Valid[i] = (row+j)%3 != 0
		}
		cols[0].Floats = append(cols[0].Floats, float64(row)/7)
		cols[1].Index = append(cols[1].Index, int32(1+row%4))
		cols[2].Dict = append(cols[2].Dict, fmt.Sprintf("a text of row %d", row))
		cols[2].Index = append(cols[2].Index, int32(i))
		cols[3].Bools = append(cols[3].Bools, row%2 == 0)
		cols[4].Ints = append(cols[4].Ints, int64(row)*1_000_003)
		cols[5].Vectors = append(cols[5].Vectors, make([]float32, row%4))
		for k := range cols[5].Vectors[i] {
			cols[5].Vectors[i][k] = float32(row + k)
		}
		cols[6].Ints = append(cols[6].Ints, math.MaxInt64-int64(row))
		cols[7].Ints = append(cols[7].Ints, int64(row))
	}
	want := map[string][]string{}
	for j := range cols {
		for i := range n {
			want[cols[j].Name] = append(want[cols[j].Name], cell(&cols[j], i))
		}
	}
	for range n {
		want["absent"] = append(want["absent"], "<missing>")
	}
	return c, want
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int{{}, {0}, {1}, {10}, {3, 0, 5}, {RowGroupRows}, {RowGroupRows + 1}, {40_000, 3, 30_000}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			t.Parallel()
			var chunks []*Chunk
			want := map[string][]string{}
			total := 0
			for _, n := range sizes {
				c, w := everyTypeChunk(total, n)
				chunks = append(chunks, c)
				for name, rows := range w {
					want[name] = append(want[name], rows...)
				}
				total += n
			}
			r := write(t, everyType(), chunks...)
			if r.Rows() != int64(total) {
				t.Errorf("got %d rows, want %d", r.Rows(), total)
			}
			if r.Metadata()["made"] != "by a test" {
				t.Errorf("got metadata %v", r.Metadata())
			}
			for _, info := range everyType() {
				if diff := cmp.Diff(want[info.Name], rows(t, r, info.Name)); diff != "" {
					t.Errorf("%s (-want +got):\n%.2000s", info.Name, diff)
				}
			}
		})
	}
}
