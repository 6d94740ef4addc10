package drift

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch/profile"
)

// vectors are computed by testdata/generate.py with SciPy.
type vectors struct {
	Numbers []struct {
		Name              string
		Baseline, Current []float64
		Upper             []float64
		Expect            map[string]float64
		Compat            map[string]map[string]float64
	}
	Categories []struct {
		Name              string
		Baseline, Current map[string]int64
		Expect            map[string]float64
		Compat            map[string]map[string]float64
	}
	Large []struct {
		Name              string
		Baseline, Current formula
		Expect            map[string]float64
		Compat            map[string]map[string]float64
	}
	Weighted []struct {
		Baseline, Current []float64
		BaselineWeights   []float64 `json:"baseline_weights"`
		CurrentWeights    []float64 `json:"current_weights"`
		EffectiveBaseline float64   `json:"effective_baseline"`
		EffectiveCurrent  float64   `json:"effective_current"`
		Expect            map[string]float64
	}
	TwoSamples []struct {
		N, M int64
		D, P float64
	} `json:"two_samples"`
	Kolmogorov []struct {
		N    int64
		D, P float64
	}
	BenjaminiHochberg []struct{ P, Adjusted []float64 } `json:"benjamini_hochberg"`
}

// formula describes values: (i step mod modulus) / scale + offset for n of i.
type formula [5]int64

func (f formula) values() []float64 {
	x := make([]float64, f[0])
	for i := range x {
		x[i] = float64(int64(i)*f[1]%f[2])/float64(f[3]) + float64(f[4])
	}
	return x
}

func loadVectors(t *testing.T) vectors {
	t.Helper()
	file, err := os.Open("testdata/vectors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.NewDecoder(text).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A vector is a column or a point, each of them compared by one tool.
func TestVectorsAreAllThere(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	total := len(v.Numbers) + len(v.Categories) + len(v.Large) + len(v.Weighted) + len(v.TwoSamples) + len(v.Kolmogorov) + len(v.BenjaminiHochberg)
	for _, c := range v.Numbers {
		total += len(c.Compat)
	}
	for _, c := range v.Categories {
		total += len(c.Compat)
	}
	for _, c := range v.Large {
		total += len(c.Compat)
	}
	if len(v.Numbers) < 55 || len(v.Categories) < 15 || len(v.Large) < 10 || len(v.Weighted) < 4 || total < 700 {
		t.Fatalf("%d vectors of %d, %d, %d and %d columns: some are lost", total, len(v.Numbers), len(v.Categories), len(v.Large), len(v.Weighted))
	}
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

func checkValues(t *testing.T, b, c *profile.Profile, expect map[string]float64) {
	t.Helper()
	got := Measure(b, c, Metrics(), Options{MinimumRows: 1})
	shared := newComparison(b, c, Options{}).bins()
	analytic := !shared.sparse() && !shared.floorMatters()
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
		if want, ok := map[string]float64{PSI: expect["psi_null_95"], JSDivergence: expect["js_null_95"]}[v.Metric]; ok && analytic {
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
			checkValues(t, b, c, tt.Expect)
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
			checkValues(t, b, c, tt.Expect)
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

func TestLargeColumnsAgreeWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Large {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			x, y := tt.Baseline.values(), tt.Current.values()
			b, c := profiles(x, y)
			exact := MeasureExact(b, c, numberSample(x), numberSample(y), []string{KS, KSP, Wasserstein}, Options{MinimumRows: 1})
			for _, v := range exact {
				relative := 1e-12
				if v.Metric == KSP {
					relative = 2e-5 // of the asymptotic distribution beyond 140 values
				}
				if want := tt.Expect[v.Metric]; math.Abs(*v.Value-want) > max(relative*want, 1e-300) {
					t.Errorf("%s: %.17g, want %.17g", v.Metric, *v.Value, want)
				}
			}
		})
	}
}

func numberSample(x []float64) Sample { return Sample{Kind: profile.KindNumber, Floats: x} }

func TestPresetsAgreeWithTheirTools(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	for _, tt := range v.Numbers {
		checkPresets(t, tt.Name, numberSample(tt.Baseline), numberSample(tt.Current), tt.Compat)
	}
	for _, tt := range v.Large {
		checkPresets(t, tt.Name, numberSample(tt.Baseline.values()), numberSample(tt.Current.values()), tt.Compat)
	}
	for _, tt := range v.Categories {
		x := Sample{Kind: profile.KindCategory, Categories: counted(tt.Baseline)}
		y := Sample{Kind: profile.KindCategory, Categories: counted(tt.Current)}
		checkPresets(t, tt.Name, x, y, tt.Compat)
	}
}

func checkPresets(t *testing.T, name string, x, y Sample, want map[string]map[string]float64) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		if len(want) != len(Presets()) {
			t.Errorf("%d presets, want %d", len(want), len(Presets()))
		}
		for _, preset := range Presets() {
			for metric, want := range want[preset] {
				got, err := MeasureCompat(preset, x, y, []string{metric}, Options{MinimumRows: 1})
				if err != nil {
					t.Fatal(err)
				}
				if got[0].Value == nil {
					t.Errorf("%s %s: reason %s, want %v", preset, metric, got[0].Reason, want)
					continue
				}
				if !nearTool(metric, *got[0].Value, want) {
					t.Errorf("%s %s: %.17g, want %.17g", preset, metric, *got[0].Value, want)
				}
			}
		}
	})
}

// nearTool reports agreement to 1e-9 of the value or absolutely. The tools' roots
// carry the root of their rounding error where the distance is next to nothing.
func nearTool(metric string, got, want float64) bool {
	root := metric == JSDistance || metric == Hellinger
	return math.Abs(got-want) <= 1e-9*max(1, math.Abs(want)) || root && math.Abs(got*got-want*want) < 2e-15
}

func TestTwoSamplesAgreeWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).TwoSamples {
		got, ok := smirnovTwoSample(tt.N, tt.M, tt.D)
		if !ok || math.Abs(got-tt.P) > 1e-9*tt.P {
			t.Errorf("n %d, m %d, d %v: %v, want %v", tt.N, tt.M, tt.D, got, tt.P)
		}
	}
}

func TestWeightedRowsAgreeWithSciPy(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Weighted {
		x := Sample{Kind: profile.KindNumber, Floats: tt.Baseline, Weights: tt.BaselineWeights}
		y := Sample{Kind: profile.KindNumber, Floats: tt.Current, Weights: tt.CurrentWeights}
		r := rows{samples: [2]Sample{x, y}}
		r.compute()
		if want := tt.Expect[KS]; math.Abs(r.ks-want) > 1e-12*want {
			t.Errorf("ks: %.17g, want %.17g", r.ks, want)
		}
		if want := tt.Expect[Wasserstein]; math.Abs(r.area-want) > 1e-12*want {
			t.Errorf("wasserstein: %.17g, want %.17g", r.area, want)
		}
		b := profile.New(profile.NewNumberGrid(tt.Baseline))
		c := b.Empty()
		b.AddFloatsWeighted(tt.Baseline, nil, tt.BaselineWeights)
		c.AddFloatsWeighted(tt.Current, nil, tt.CurrentWeights)
		for _, v := range Measure(b, c, Metrics(), Options{MinimumRows: 1}) {
			want, ok := tt.Expect[v.Metric]
			inside := v.Lower != nil && *v.Lower <= want && want <= *v.Upper
			if ok && !inside && math.Abs(*v.Value-want) > 1e-11*math.Abs(want)+1e-15 {
				t.Errorf("%s: %.17g, want %.17g", v.Metric, *v.Value, want)
			}
			if ok && (math.Abs(*v.EffectiveBaseline/tt.EffectiveBaseline-1) > 1e-12 || math.Abs(*v.EffectiveCurrent/tt.EffectiveCurrent-1) > 1e-12) {
				t.Errorf("%s: effective %v and %v, want %v and %v", v.Metric, *v.EffectiveBaseline, *v.EffectiveCurrent, tt.EffectiveBaseline, tt.EffectiveCurrent)
			}
		}
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
