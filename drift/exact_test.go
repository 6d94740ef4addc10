package drift

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// BenchmarkExact sorts two sides of a column and walks over both: K-S and
// Wasserstein.
func BenchmarkExact(b *testing.B) {
	for _, rows := range []int{1e3, 1e5, 5e6} {
		rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // deterministic on purpose
		x, y := make([]float64, rows), make([]float64, rows)
		for i := range x {
			x[i], y[i] = rng.NormFloat64(), rng.NormFloat64()+0.01
		}
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := bothSides(x, y)
				if r.compute(); r.ks == 0 {
					b.Fatal("no distance")
				}
			}
		})
	}
}

func bothSides(x, y []float64) *rows { return &rows{samples: [2]Sample{{Floats: x}, {Floats: y}}} }

// Both ways of the walk agree to the bit.
func TestLargeDistances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := sorted(sample(t, 300, "baseline")), sorted(sample(t, 300, "current"))
		if len(x) == 0 || len(y) == 0 {
			return
		}
		ks, area := distances(x, y)
		if largeKS, largeArea := largeDistances(x, y); ks != largeKS || area != largeArea {
			t.Fatalf("%v and %v, %v and %v", ks, largeKS, area, largeArea)
		}
	})
}
