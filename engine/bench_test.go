package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

// benchTable is the reference table: 16 numbers with 1 % missing and 4 categories.
func benchTable(b *testing.B, rows int, seed uint64) ([]byte, []modelwatch.Column) {
	b.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var infos []table.ColumnInfo
	var columns []modelwatch.Column
	for j := range 20 {
		info := table.ColumnInfo{Name: fmt.Sprintf("c%02d", j), Type: modelwatch.TypeNumber}
		if j >= 16 {
			info.Type = modelwatch.TypeCategory
		}
		infos = append(infos, info)
		columns = append(columns, featureOf(info.Name, info.Type))
	}
	var dict []string
	for i := range 100 {
		dict = append(dict, fmt.Sprintf("category %d", i))
	}
	var buf bytes.Buffer
	w, err := table.NewWriter(&buf, infos, nil)
	if err != nil {
		b.Fatal(err)
	}
	for rows > 0 {
		n := min(rows, table.RowGroupRows)
		rows -= n
		chunk := &table.Chunk{Rows: n}
		for j, info := range infos {
			c := table.Column{Name: info.Name, Type: info.Type, Valid: make([]bool, n)}
			for i := range n {
				c.Valid[i] = rng.IntN(100) > 0
				if j < 16 {
					c.Floats = append(c.Floats, rng.NormFloat64()*float64(j+1))
				} else {
					c.Index = append(c.Index, int32(rng.IntN(100)))
				}
			}
			if j >= 16 {
				c.Dict = dict
			}
			chunk.Columns = append(chunk.Columns, c)
		}
		if err := w.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes(), columns
}

// BenchmarkWindowProfile is a day of an archive, an hour per file: its first
// profile, and one from what the first stored.
func BenchmarkWindowProfile(b *testing.B) {
	const files, rows = 24, 20_000
	baseline, columns := benchTable(b, 100_000, 1)
	r, err := table.OpenParquet(bytes.NewReader(baseline), int64(len(baseline)))
	if err != nil {
		b.Fatal(err)
	}
	set, err := engine.BuildBaseline(b.Context(), r, columns, engine.BuildOptions{})
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := archive.OpenBucket(b.Context(), archive.BucketConfig{URI: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	a := archive.New(bucket, archive.Options{})
	var data []modelwatch.DataFile
	for i := range files {
		data = append(data, benchFile(b, a, start.Add(time.Duration(i)*time.Hour), rows))
		data[i].ID = int64(i + 1)
	}
	size := func(kind string) (n int64) {
		for o, err := range bucket.List(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			if kindOf(o.Key) == kind {
				n += o.Size
			}
		}
		return n
	}
	day := modelwatch.Window{Start: start, End: start.Add(24 * time.Hour)}
	edges := modelwatch.Window{Start: start.Add(30 * time.Minute), End: start.Add(23*time.Hour + 30*time.Minute)}
	run := func(b *testing.B, e *engine.Engine, w modelwatch.Window) {
		if _, _, err := e.WindowProfile(b.Context(), data, w, set); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			for o, err := range bucket.List(b.Context(), "") {
				if err != nil {
					b.Fatal(err)
				}
				if kindOf(o.Key) != "parquet" {
					if err := bucket.Delete(b.Context(), o.Key); err != nil {
						b.Fatal(err)
					}
				}
			}
			run(b, engine.New(a, engine.Options{}), day)
		}
		b.ReportMetric(files*rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(size("profile"))/float64(size("parquet")), "profile/data")
		b.ReportMetric(float64(size("buckets"))/float64(size("parquet")), "buckets/data")
	})
	for name, w := range map[string]modelwatch.Window{"stored": day, "stored, half of the first and last hour": edges} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				run(b, engine.New(a, engine.Options{}), w)
			}
		})
	}
}

// benchFile writes a data file of benchTable's columns, its rows spread over an hour.
func benchFile(b *testing.B, a *archive.Archive, hour time.Time, rows int) modelwatch.DataFile {
	b.Helper()
	raw, columns := benchTable(b, rows, uint64(hour.Unix()))
	r, err := table.OpenParquet(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, c := range columns {
		names = append(names, c.Column)
	}
	var f modelwatch.DataFile
	err = r.Scan(b.Context(), names, func(c *table.Chunk) (err error) {
		ids := table.Column{Name: modelwatch.ColumnID, Type: modelwatch.TypeText}
		times := table.Column{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
		ranks := table.Column{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64}
		for i := range c.Rows {
			ids.Dict, ids.Index = append(ids.Dict, fmt.Sprint(i)), append(ids.Index, int32(i))
			times.Ints = append(times.Ints, hour.Add(time.Hour*time.Duration(i*7919%c.Rows)/time.Duration(c.Rows)).UnixMicro())
			ranks.Ints = append(ranks.Ints, int64(i))
		}
		all := &table.Chunk{Rows: c.Rows, Columns: append(append([]table.Column{}, c.Columns...), ids, times, ranks)}
		f, err = a.WriteDataFile(b.Context(), modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "m", Version: "1",
			Hour: hour, Unique: "u", SamplingRate: 1}, all)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkBaselineAndCurrent is an offline drift: profile one table, then another on its grids.
func BenchmarkBaselineAndCurrent(b *testing.B) {
	for _, rows := range []int{1e3, 1e5, 1e6} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			baseline, columns := benchTable(b, rows, 1)
			current, _ := benchTable(b, rows, 2)
			b.ReportAllocs()
			for b.Loop() {
				r, err := table.OpenParquet(bytes.NewReader(baseline), int64(len(baseline)))
				if err != nil {
					b.Fatal(err)
				}
				set, err := engine.BuildBaseline(b.Context(), r, columns, engine.BuildOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if r, err = table.OpenParquet(bytes.NewReader(current), int64(len(current))); err != nil {
					b.Fatal(err)
				}
				if _, err := engine.ProfileTable(b.Context(), r, set); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
