package drift

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// vectors are computed by testdata/generate.py with SciPy.
type vectors struct {
	Numbers []struct {
		Name              string
		Baseline, Current []float64
		Upper             []float64
		Expect            map[string]float64
	}
	Categories []struct {
		Name              string
		Baseline, Current map[string]int64
		Expect            map[string]float64
	}
	Kolmogorov []struct {
		N    int64
		D, P float64
	}
	BenjaminiHochberg []struct{ P, Adjusted []float64 } `json:"benjamini_hochberg"`
}

func loadVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Numbers) < 50 || len(v.Categories) < 15 || len(v.Kolmogorov) < 80 || len(v.BenjaminiHochberg) < 5 {
		t.Fatalf("%d, %d, %d and %d vectors: some are lost", len(v.Numbers), len(v.Categories), len(v.Kolmogorov), len(v.BenjaminiHochberg))
	}
	return v
}

// near reports agreement to 1e-12 of the value, or to an absolute error where
// SciPy itself cancels: 1e-15 for what is a difference of proportions, and the
// square root of that for the root of such a difference.
func near(metric string, got, want float64) bool {
	absolute, relative := 1e-15, 1e-12
	switch metric {
	case JSDistance, Hellinger:
		absolute = 3e-8
	case KSP:
		relative = 1e-9
	case Chi2P:
		relative = 1e-10
	case Chi2:
		absolute = 1e-12
	case Wasserstein, WassersteinScaled, MeanShift:
		absolute = 0
	}
	return math.Abs(got-want) <= max(absolute, relative*math.Abs(want))
}

func checkValues(t *testing.T, got []modelwatch.Value, expect map[string]float64) {
	t.Helper()
	checked := 0
	for _, v := range got {
		want, ok := expect[v.Metric]
		if !ok {
			continue
		}
		checked++
		if v.Value == nil {
			t.Errorf("%s: reason %s, want %v", v.Metric, v.Reason, want)
			continue
		}
		switch {
		case near(v.Metric, *v.Value, want):
		case v.Lower != nil && v.Upper != nil && *v.Lower <= want*(1+1e-12) && want*(1-1e-12) <= *v.Upper && v.Metric != KS:
			// Enclosed: not every value is a cut.
		default:
			t.Errorf("%s: %.17g, want %.17g", v.Metric, *v.Value, want)
		}
		if want, ok := map[string]float64{PSI: expect["psi_null_95"], JSDivergence: expect["js_null_95"]}[v.Metric]; ok {
			if v.Null95 == nil || !near("", *v.Null95, want) {
				t.Errorf("%s: null point %v, want %v", v.Metric, *v.Null95, want)
			}
		}
	}
	if checked < len(expect)-2 { // psi_null_95 and js_null_95 are not metrics
		t.Errorf("checked %d of %d values", checked, len(expect)-2)
	}
}

func TestNumbersAgreeWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Numbers {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			b, c := profiles(tt.Baseline, tt.Current)
			var upper []float64
			for _, bin := range b.Grid().Bins() {
				if bin.Upper != nil {
					upper = append(upper, *bin.Upper)
				}
			}
			if !slices.Equal(upper, tt.Upper) {
				t.Errorf("bins end at %v, want %v", upper, tt.Upper)
			}
			checkValues(t, Measure(b, c, Metrics(), Options{MinimumRows: 1}), tt.Expect)
		})
	}
}

func profiles(baseline, current []float64) (b, c *profile.Profile) {
	g := profile.NewNumberGrid(baseline)
	b, c = profile.New(g), profile.New(g)
	b.AddFloats(baseline, nil)
	c.AddFloats(current, nil)
	return b, c
}

func TestCategoriesAgreeWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Categories {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			base := counted(tt.Baseline)
			g := profile.NewCategoryGrid(base)
			b, c := profile.New(g), profile.New(g)
			addCounted(b, base)
			addCounted(c, counted(tt.Current))
			checkValues(t, Measure(b, c, Metrics(), Options{MinimumRows: 1}), tt.Expect)
		})
	}
}

func counted(counts map[string]int64) []profile.CategoryCount {
	var s []profile.CategoryCount
	for value, n := range counts {
		s = append(s, profile.CategoryCount{Value: value, Count: n})
	}
	slices.SortFunc(s, func(a, b profile.CategoryCount) int { return cmp.Compare(a.Value, b.Value) })
	return s
}

func addCounted(p *profile.Profile, counts []profile.CategoryCount) {
	for _, c := range counts {
		p.AddCategories([]string{c.Value}, make([]int32, c.Count), nil)
	}
}

func TestKolmogorovAgreesWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Kolmogorov {
		limit := 2e-5
		if tt.N <= 140 {
			limit = 1e-9
		}
		if got := KolmogorovSurvival(tt.N, tt.D); math.Abs(got-tt.P) > limit*tt.P {
			t.Errorf("n %d, d %v: %v, want %v", tt.N, tt.D, got, tt.P)
		}
	}
}

func TestAdjustPAgreesWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).BenjaminiHochberg {
		got := AdjustP(tt.P)
		if len(got) != len(tt.P) {
			t.Fatalf("%d values, want %d", len(got), len(tt.P))
		}
		for i := range got {
			if !near("", got[i], tt.Adjusted[i]) {
				t.Errorf("%v: %v, want %v", tt.P, got, tt.Adjusted)
				break
			}
		}
	}
}
