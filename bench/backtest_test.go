package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// BenchmarkBacktest joins predictions with labels of four fifths of them, both in
// random order of their ids, and scores them with an exact area: the whole
// process from start to printed table.
func BenchmarkBacktest(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("predictions=%d", rows), func(b *testing.B) {
			measureOurs(b, backtestArguments(writeBacktest(b, rows))...)
		})
	}
}

// BenchmarkCompareBacktest is the same beside what others take for the same five
// numbers.
func BenchmarkCompareBacktest(b *testing.B) {
	const rows = 10_000_000
	files := writeBacktest(b, rows)
	work := fmt.Sprintf("backtest, %d predictions x %d labels", rows, rows/5*4)
	ours(b, work, "modelwatch", backtestArguments(files)...)
	for _, p := range joiners {
		p.run(b, work, files)
	}
}

// writeBacktest writes predictions and labels, and returns both paths.
func writeBacktest(b *testing.B, rows int) []string {
	b.Helper()
	dir := b.TempDir()
	files := []string{filepath.Join(dir, "predictions.parquet"), filepath.Join(dir, "labels.parquet")}
	writePredictions(b, files[0], rows)
	writeLabels(b, files[1], rows, rows/5*4)
	return files
}

func backtestArguments(files []string) []string {
	return []string{
		"backtest", "--predictions", files[0], "--labels", files[1],
		"--id", "request_id", "--score", "score", "--label", "label", "--metrics", "accuracy,precision,recall,auc_roc,brier",
	}
}

// writePredictions writes a score for each id from 0 up, in an order of its own.
func writePredictions(b *testing.B, path string, rows int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 3)) //nolint:gosec // deterministic on purpose
	writeByID(b, path, rng.Perm(rows), table.Column{Name: "score", Type: modelwatch.TypeNumber}, func(c *table.Column, _ int) {
		c.Floats = append(c.Floats, rng.Float64())
	})
}

// writeLabels writes the label of some of the ids, in another order.
func writeLabels(b *testing.B, path string, ids, rows int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(2, 3)) //nolint:gosec // deterministic on purpose
	writeByID(b, path, rng.Perm(ids)[:rows], table.Column{Name: "label", Type: modelwatch.TypeNumber}, func(c *table.Column, id int) {
		c.Floats = append(c.Floats, float64(id*7%10/7))
	})
}

func writeByID(b *testing.B, path string, ids []int, value table.Column, add func(c *table.Column, id int)) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w, err := table.NewWriter(f, []table.ColumnInfo{{Name: "request_id", Type: modelwatch.TypeCategory}, {Name: value.Name, Type: value.Type}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < len(ids); from += table.RowGroupRows {
		part := ids[from:min(from+table.RowGroupRows, len(ids))]
		id, v := table.Column{Name: "request_id", Type: modelwatch.TypeCategory}, value
		for i, n := range part {
			id.Dict, id.Index = append(id.Dict, fmt.Sprintf("req-%010d", n)), append(id.Index, int32(i))
			add(&v, n)
		}
		if err := w.Write(&table.Chunk{Rows: len(part), Columns: []table.Column{id, v}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
