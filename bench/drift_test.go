package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// BenchmarkDrift compares two Parquet files of 16 numbers and 4 categories, the
// whole process from start to printed table.
func BenchmarkDrift(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000, 5_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			files := writePair(b, rows)
			measureOurs(b, "drift", "--baseline", files[0], "--current", files[1])
		})
	}
}

// BenchmarkDriftSavedProfile is BenchmarkDrift against the baseline's profile as
// --save-profile wrote it, which leaves one file to be read.
func BenchmarkDriftSavedProfile(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000, 5_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			files := writePair(b, rows)
			saved := filepath.Join(b.TempDir(), "baseline.profile")
			measure(b, binary(b), "drift", "--baseline", files[0], "--current", files[1], "--save-profile", saved)
			measureOurs(b, "drift", "--baseline", saved, "--current", files[1])
		})
	}
}

// BenchmarkDriftExact is BenchmarkDrift with --exact; the time is also given for each of the 16 numbers.
func BenchmarkDriftExact(b *testing.B) {
	for _, rows := range []int{1_000_000, 5_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			files := writePair(b, rows)
			u := measureOurs(b, "drift", "--exact", "--baseline", files[0], "--current", files[1])
			b.ReportMetric(u.wall.Seconds()/numbers, "wall-s/number")
		})
	}
}

// writePair writes a baseline and current rows of the same distributions.
func writePair(b *testing.B, rows int) []string {
	b.Helper()
	dir := b.TempDir()
	files := []string{filepath.Join(dir, "baseline.parquet"), filepath.Join(dir, "current.parquet")}
	for i, file := range files {
		writeForeign(b, file, tableColumns(), rows, table.RowGroupRows, uint64(i)+1)
	}
	return files
}

// BenchmarkDecode decodes what BenchmarkDrift compares, both files, and does nothing
// with it: with parquet-go, which is the least that any comparison takes, and with
// package table, whose columns are typed slices. It is to be compared by CPU time, since it
// runs within the benchmark's process.
func BenchmarkDecode(b *testing.B) {
	decoders := []struct {
		name   string
		decode func(*testing.B, string) int64
	}{{"parquet-go", decodeFile}, {"table", scanFile}}
	for _, rows := range []int{100_000, 1_000_000, 5_000_000} {
		paths := writePair(b, rows)
		for _, d := range decoders {
			b.Run(fmt.Sprintf("rows=%d/%s", rows, d.name), func(b *testing.B) {
				before := self(b)
				for b.Loop() {
					for _, path := range paths {
						if n := d.decode(b, path); n != 20*int64(rows) {
							b.Fatalf("%d values", n)
						}
					}
				}
				b.ReportMetric((self(b).cpu-before.cpu).Seconds()/float64(b.N), "CPU-s")
			})
		}
	}
}

// scanFile reads every column of a file as a comparison does, and returns the number of values.
func scanFile(b *testing.B, path string) int64 {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	r, err := table.OpenParquet(f, stat.Size())
	if err != nil {
		b.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	var values atomic.Int64
	for _, c := range r.Columns() {
		g.Go(func() error {
			return r.ScanColumn(b.Context(), c.Name, func(rows int, _ *table.Column) error {
				values.Add(int64(rows))
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return values.Load()
}

// decodeFile reads every page of a file, a column per goroutine, and returns the number of values.
func decodeFile(b *testing.B, path string) int64 {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	file, err := parquet.OpenFile(f, stat.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		b.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	var values atomic.Int64
	for column := range file.RowGroups()[0].ColumnChunks() {
		g.Go(func() error {
			for _, group := range file.RowGroups() {
				n, err := decodeChunk(group.ColumnChunks()[column])
				if err != nil {
					return err
				}
				values.Add(n)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return values.Load()
}

func decodeChunk(chunk parquet.ColumnChunk) (values int64, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return values, err
		}
		values += page.NumValues()
		parquet.Release(page)
	}
}

const numbers = 16 // of the columns of a table

func tableColumns() []table.ColumnInfo {
	var infos []table.ColumnInfo
	for i := range numbers {
		infos = append(infos, table.ColumnInfo{Name: fmt.Sprintf("number_%02d", i), Type: modelwatch.TypeNumber})
	}
	for i := range 4 {
		infos = append(infos, table.ColumnInfo{Name: fmt.Sprintf("category_%d", i), Type: modelwatch.TypeCategory})
	}
	return infos
}

func drawChunk(rng *rand.Rand, infos []table.ColumnInfo, rows int) *table.Chunk {
	chunk := &table.Chunk{Rows: rows}
	for i, info := range infos {
		col := table.Column{Name: info.Name, Type: info.Type}
		if info.Type == modelwatch.TypeNumber {
			col.Floats = make([]float64, rows)
			for j := range col.Floats {
				switch x := rng.NormFloat64(); i % 4 {
				case 0:
					col.Floats[j] = x
				case 1:
					col.Floats[j] = math.Exp(2 * x)
				case 2:
					col.Floats[j] = math.Floor(100 * x)
				default:
					col.Floats[j] = rng.Float64()
				}
			}
		} else {
			size := []int{3, 20, 200, 1000}[i%4]
			for k := range size {
				col.Dict = append(col.Dict, fmt.Sprintf("value-%04d", k))
			}
			col.Index = make([]int32, rows)
			for j := range col.Index {
				col.Index[j] = int32(float64(size) * rng.Float64() * rng.Float64())
			}
		}
		chunk.Columns = append(chunk.Columns, col)
	}
	return chunk
}
