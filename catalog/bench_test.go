package catalog

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

// onEachBench runs a benchmark on a database of each kind.
func onEachBench(b *testing.B, bench func(b *testing.B, c *testBundle)) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) { bench(b, setup(b, db.dsn(b))) })
	}
}

// BenchmarkCompleteRun: 1,000 measurements, the next window of a job each time.
func BenchmarkCompleteRun(b *testing.B) {
	onEachBench(b, func(b *testing.B, c *testBundle) {
		var ms []modelwatch.Measurement
		for i := range 1000 {
			ms = append(ms, feature(fmt.Sprintf("column %03d", i), "psi", float64(i)))
		}
		n := 0
		for b.Loop() {
			n--
			run := modelwatch.Run{ID: uuid.NewString(), Model: "fraud", Job: "drift", Window: hour(n), Revision: 1}
			_, _, err := c.AddRun(b.Context(), run)
			must(b, err)
			must(b, c.CompleteRun(b.Context(), claim(b, c, "a"), ms, nil))
		}
	})
}
