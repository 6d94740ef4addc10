package drift

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch/profile"
)

// Without the grid the answer is SciPy's own; with a grid of every value it is
// the same.
func TestMeasureExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := sample(t, 5000, "baseline"), sample(t, 5000, "current")
		b, c := profiles(x, y)
		metrics := []string{KS, KSP, Wasserstein, PSI, MissingRatio}
		grid := Measure(b, c, metrics, Options{MinimumRows: 1})
		exact := MeasureExact(b, c, Sample{Kind: profile.KindNumber, Floats: x}, Sample{Kind: profile.KindNumber, Floats: y}, metrics, Options{MinimumRows: 1})
		ascending := func(values []float64) Sample {
			return Sample{Kind: profile.KindNumber, Floats: sorted(values), Sorted: true}
		}
		if diff := cmp.Diff(exact, MeasureExact(b, c, ascending(x), ascending(y), metrics, Options{MinimumRows: 1})); diff != "" {
			t.Fatalf("sorted beforehand (-here +there):\n%s", diff)
		}
		if diff := cmp.Diff(grid[3:], exact[3:]); diff != "" {
			t.Fatalf("metrics that need no rows (-grid +exact):\n%s", diff)
		}
		d, ok := ExactKS(x, y)
		if !ok || exact[0].Value == nil {
			if grid[0].Reason != exact[0].Reason {
				t.Fatalf("reason %q, on the grid %q", exact[0].Reason, grid[0].Reason)
			}
			return
		}
		if *exact[0].Value != d || exact[0].Lower != nil || exact[1].Lower != nil || exact[2].Lower != nil {
			t.Fatalf("ks %v, want %v, and no bounds", *exact[0].Value, d)
		}
		if w, ok := ExactWasserstein(x, y); ok && *exact[2].Value != w {
			t.Fatalf("wasserstein %v, want %v", *exact[2].Value, w)
		}
	})
}

// A row of weight 3 is three rows.
func TestExactWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		side := func(label string) (Sample, []float64) {
			values := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 60).Draw(t, label)
			s, repeated := Sample{}, []float64(nil)
			for _, v := range values {
				w := rapid.IntRange(0, 4).Draw(t, "weight") // 0 leaves the row out
				s.Floats, s.Weights = append(s.Floats, float64(v)), append(s.Weights, float64(w))
				for range w {
					repeated = append(repeated, float64(v))
				}
			}
			return s, repeated
		}
		x, a := side("baseline")
		y, b := side("current")
		r := rows{samples: [2]Sample{x, y}}
		r.compute()
		ks, ok := ExactKS(a, b)
		if !ok {
			t.Skip("a side without weight")
		}
		w, _ := ExactWasserstein(a, b)
		if math.Abs(r.ks-ks) > 1e-14 || math.Abs(r.area-w) > 1e-12 {
			t.Fatalf("ks %v and wasserstein %v, want %v and %v", r.ks, r.area, ks, w)
		}
	})
}
