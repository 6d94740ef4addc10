package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch/profile"
)

// Faults that other implementations are known for.

// Quantiles interpolated between the few values of a discrete column put steps
// where there are none: 0.62 was reported for what is 0.05.
func TestKSDoesNotInterpolateTies(t *testing.T) {
	t.Parallel()
	days := func(clear, mist, rain int) []float64 {
		return slices.Concat(repeat(1, clear), repeat(2, mist), repeat(3, rain))
	}
	x, y := days(600, 300, 100), days(620, 310, 70)
	b, c := profiles(x, y)
	for _, v := range [][]float64{
		{*Measure(b, c, []string{KS}, Options{})[0].Value},
		{*MeasureExact(b, c, numberSample(x), numberSample(y), []string{KS}, Options{})[0].Value},
	} {
		if math.Abs(v[0]-0.03) > 1e-15 {
			t.Errorf("ks %v, want 0.03", v[0])
		}
	}
}

// Weights are not the implementation's to rescale, and a weight of zero is a row
// that does not count, not a panic.
func TestWeightsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	x := Sample{Kind: profile.KindNumber, Floats: []float64{3, 1, 2, 1}, Weights: []float64{1, 0, 2, 5}}
	y := Sample{Kind: profile.KindNumber, Floats: []float64{2, 2}, Weights: []float64{0, 4}}
	before := []Sample{cloned(x), cloned(y)}
	r := rows{samples: [2]Sample{x, y}}
	r.compute()
	// F is 5/8 at 1, 7/8 at 2 and 1 at 3; G is 1 at 2.
	if r.ks != 0.625 || r.area != 0.75 {
		t.Errorf("ks %v and wasserstein %v, want 0.625 and 0.75", r.ks, r.area)
	}
	if diff := cmp.Diff(before, []Sample{x, y}); diff != "" {
		t.Errorf("the samples changed (-before +after):\n%s", diff)
	}
}

func cloned(s Sample) Sample {
	s.Floats, s.Weights = slices.Clone(s.Floats), slices.Clone(s.Weights)
	return s
}

// A test of goodness of fit divides by the expected count of a category that the
// baseline has never seen: infinite. Homogeneity does not.
func TestChi2OfAnUnseenCategory(t *testing.T) {
	t.Parallel()
	base := []profile.CategoryCount{{Value: "a", Count: 500}, {Value: "b", Count: 500}}
	b := profile.New(profile.NewCategoryGrid(base))
	c := b.Empty()
	addCounted(b, base)
	addCounted(c, []profile.CategoryCount{{Value: "a", Count: 499}, {Value: "b", Count: 500}, {Value: "new", Count: 1}})
	v := Measure(b, c, []string{Chi2, Chi2P}, Options{})
	// Of 2,000 rows one is new: chi-square is about (1 - 1/2)^2 / (1/2) on each side.
	if math.Abs(*v[0].Value-1.001001001001) > 1e-9 || *v[1].Value < 0.5 {
		t.Errorf("chi2 %v, p %v", *v[0].Value, *v[1].Value)
	}
}

// Sums in the order of a map differ in their last bits from run to run.
func TestOrderOfCategoriesChangesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	var base, cur []profile.CategoryCount
	for i := range 300 {
		base = append(base, profile.CategoryCount{Value: string(rune('A' + i)), Count: 1 + r.Int64N(1000)})
		cur = append(cur, profile.CategoryCount{Value: string(rune('A' + i + 20)), Count: 1 + r.Int64N(1000)})
	}
	measure := func() any {
		b := profile.New(profile.NewCategoryGrid(base))
		c := b.Empty()
		addCounted(b, base)
		addCounted(c, cur)
		all := [][]any{{everything(b, c)}}
		for _, p := range Presets() {
			x, y := Sample{Kind: profile.KindCategory, Categories: base}, Sample{Kind: profile.KindCategory, Categories: cur}
			values, err := MeasureCompat(p, x, y, Metrics(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, []any{values})
		}
		return all
	}
	first := measure()
	for range 3 {
		r.Shuffle(len(base), func(i, j int) { base[i], base[j] = base[j], base[i] })
		r.Shuffle(len(cur), func(i, j int) { cur[i], cur[j] = cur[j], cur[i] })
		if diff := cmp.Diff(first, measure()); diff != "" {
			t.Fatalf("(-first +shuffled):\n%s", diff)
		}
	}
}

// Weights of any size leave every number finite and in its range.
func TestWeightedValuesAreSane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		spread := rapid.Float64Range(0, 9).Draw(t, "spread")
		x, y := sample(t, 2000, "baseline"), sample(t, 300, "current")
		weights := func(n int) []float64 {
			w := make([]float64, n)
			for i := range w {
				w[i] = math.Pow(10, spread*(r.Float64()-0.5))
			}
			return w
		}
		b := profile.New(profile.NewNumberGrid(x))
		c := b.Empty()
		b.AddFloatsWeighted(x, nil, weights(len(x)))
		c.AddFloatsWeighted(y, nil, weights(len(y)))
		for _, v := range everything(b, c) {
			if (v.Value == nil) != (v.Reason != "") {
				t.Fatalf("%s: value %v and reason %q", v.Metric, v.Value, v.Reason)
			}
			for _, x := range []*float64{v.Value, v.Lower, v.Upper, v.PValue, v.Null95, v.StandardError, v.EffectiveBaseline, v.EffectiveCurrent} {
				if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
					t.Fatalf("%s: %v", v.Metric, *x)
				}
			}
			if v.PValue != nil && (*v.PValue < 0 || *v.PValue > 1) {
				t.Fatalf("%s: p-value %v", v.Metric, *v.PValue)
			}
		}
	})
}

func TestPresetsRefuse(t *testing.T) {
	t.Parallel()
	s := numberSample([]float64{1, 2})
	if _, err := MeasureCompat("excel", s, s, nil, Options{}); err == nil {
		t.Error("an unknown preset was taken")
	}
	weighted := s
	weighted.Weights = []float64{1, 2}
	if _, err := MeasureCompat(Evidently, s, weighted, nil, Options{}); err == nil {
		t.Error("weights were taken")
	}
	for _, tt := range []struct {
		preset, metric string
		lower, upper   float64
	}{
		{Evidently, PSI, 0, 0.1}, {Evidently, KSP, 0.05, 0}, {AzureML, Chi2P, 0.05, 0}, {SageMaker, KS, 0, 0.1}, {Vertex, JSDivergence, 0, 0.3},
	} {
		b, ok := CompatThreshold(tt.preset, tt.metric)
		if !ok || (b.Lower == nil) != (tt.lower == 0) || (b.Upper == nil) != (tt.upper == 0) ||
			b.Lower != nil && *b.Lower != tt.lower || b.Upper != nil && *b.Upper != tt.upper {
			t.Errorf("%s %s: %+v %v", tt.preset, tt.metric, b, ok)
		}
	}
	if _, ok := CompatThreshold(NannyML, JSDistance); ok {
		t.Error("nannyml has a fixed threshold")
	}
}

// Infinite and missing values change nothing but the ratios, in a preset too.
func TestPresetsLeaveOutInfinities(t *testing.T) {
	t.Parallel()
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	y := append(slices.Clone(x), math.NaN(), math.Inf(1), math.Inf(-1), math.NaN())
	current := numberSample(y)
	current.Missing = 4
	for _, p := range Presets() {
		values, err := MeasureCompat(p, numberSample(x), current, []string{MissingRatio, InvalidRatio, NewCategoryRatio, KS, JSDistance}, Options{MinimumRows: 1})
		if err != nil {
			t.Fatal(err)
		}
		if *values[0].Value != 0.25 || *values[1].Value != 0.25 || values[2].Value != nil {
			t.Errorf("%s: %+v", p, values)
		}
		for _, v := range values[3:] {
			if v.Value != nil && *v.Value != 0 {
				t.Errorf("%s: %s of the same values is %v", p, v.Metric, *v.Value)
			}
		}
	}
}

// Of a view only the distribution is measured, of the column that it is a view of
// only presence.
func TestViews(t *testing.T) {
	t.Parallel()
	b, c := profiles(repeat(1, 200), repeat(2, 200))
	for _, v := range Measure(b, c, []string{PSI, MissingRatio, OutOfRangeRatio}, Options{View: "norm"}) {
		if (v.Metric == PSI) != (v.Value != nil) {
			t.Errorf("%+v", v)
		}
	}
	if got := Measure(b, c, nil, Options{View: "norm"}); len(got) != 4 {
		t.Errorf("by default %+v", got)
	}
}
