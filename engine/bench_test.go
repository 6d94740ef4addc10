package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/modelwatch/modelwatch"
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
