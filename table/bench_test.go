package table

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// wideChunk is the reference shape: numbers with 1 % missing, categories of 20 values.
func wideChunk(n, numbers, categories int) ([]ColumnInfo, *Chunk) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := &Chunk{Rows: n}
	var infos []ColumnInfo
	for j := range numbers + categories {
		col := Column{Name: fmt.Sprintf("c%02d", j), Type: modelwatch.TypeNumber, Valid: make([]bool, n)}
		if j >= numbers {
			col.Type = modelwatch.TypeCategory
			for k := range 20 {
				col.Dict = append(col.Dict, fmt.Sprintf("category %d", k))
			}
		}
		for i := range n {
			col.Valid[i] = rng.IntN(100) > 0
			if j < numbers {
				col.Floats = append(col.Floats, rng.NormFloat64())
			} else {
				col.Index = append(col.Index, int32(rng.IntN(20)))
			}
		}
		infos = append(infos, ColumnInfo{Name: col.Name, Type: col.Type})
		c.Columns = append(c.Columns, col)
	}
	return infos, c
}

func BenchmarkWrite(b *testing.B) {
	infos, chunk := wideChunk(RowGroupRows, 40, 10)
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWriter(io.Discard, infos, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Write(chunk); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*RowGroupRows/b.Elapsed().Seconds(), "rows/s")
}

func encoded(b *testing.B, n, numbers, categories int) *Reader {
	infos, chunk := wideChunk(n, numbers, categories)
	var buf bytes.Buffer
	w, err := NewWriter(&buf, infos, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Write(chunk); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return open(b, buf.Bytes())
}

func BenchmarkScan(b *testing.B) {
	r := encoded(b, 4*RowGroupRows, 40, 10)
	var names []string
	for _, c := range r.Columns() {
		names = append(names, c.Name)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Scan(context.Background(), names, func(*Chunk) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*4*RowGroupRows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScanColumn(b *testing.B) {
	r := encoded(b, 4*RowGroupRows, 1, 1)
	for i, name := range []string{"number", "category"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				err := r.ScanColumn(context.Background(), fmt.Sprintf("c%02d", i), func(int, *Column) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*4*RowGroupRows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkSpool turns CSV of the reference shape, 50 and 10,000 columns wide, into Parquet.
func BenchmarkSpool(b *testing.B) {
	for _, shape := range []struct{ rows, columns int }{{20_000, 50}, {100, 10_000}} {
		b.Run(fmt.Sprintf("%d columns", shape.columns), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			var csv bytes.Buffer
			for i := range shape.columns {
				fmt.Fprintf(&csv, ",c%d", i)
			}
			for range shape.rows {
				csv.WriteByte('\n')
				for i := range shape.columns {
					if i%5 == 4 {
						fmt.Fprintf(&csv, ",category %d", rng.IntN(20))
					} else {
						fmt.Fprintf(&csv, ",%.6f", rng.NormFloat64())
					}
				}
			}
			content := bytes.ReplaceAll(csv.Bytes(), []byte("\n,"), []byte("\n"))[1:]
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				s, err := Spool(b.Context(), Source{Name: "a.csv", ReaderAt: bytes.NewReader(content), Size: int64(len(content))}, SpoolOptions{TempDir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
