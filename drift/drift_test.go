package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

func reasons(values []modelwatch.Value) map[string]modelwatch.Reason {
	m := map[string]modelwatch.Reason{}
	for _, v := range values {
		m[v.Metric] = v.Reason
	}
	return m
}

func repeat(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func TestSpecialCases(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	tests := []struct {
		name              string
		baseline, current []float64
		metric            string
		minimum           int64
		value             float64
		reason            modelwatch.Reason
	}{
		{"empty current", repeat(1, 200), nil, PSI, 0, 0, modelwatch.ReasonTooFew},
		{"empty baseline", nil, repeat(1, 200), PSI, 0, 0, modelwatch.ReasonTooFew},
		{"empty, no minimum", repeat(1, 200), nil, KS, 1, 0, modelwatch.ReasonTooFew},
		{"under the default minimum", repeat(1, 200), repeat(1, 99), PSI, 0, 0, modelwatch.ReasonTooFew},
		{"at the default minimum", repeat(1, 200), repeat(1, 100), PSI, 0, 0, ""},
		{"small baseline", repeat(1, 99), repeat(1, 100), PSI, 0, 0, modelwatch.ReasonTooFew},
		{"all missing", repeat(1, 200), repeat(nan, 200), JSDistance, 0, 0, modelwatch.ReasonAllMissing},
		{"all missing, too few rows", repeat(1, 200), repeat(nan, 20), JSDistance, 0, 0, modelwatch.ReasonTooFew},
		{"constant stays", repeat(5, 200), repeat(5, 200), WassersteinScaled, 0, 0, ""},
		{"constant stays, mean", repeat(5, 200), repeat(5, 200), MeanShift, 0, 0, ""},
		{"constant moves, scaled", repeat(5, 200), repeat(6, 200), WassersteinScaled, 0, 0, modelwatch.ReasonConstant},
		{"constant moves, mean", repeat(5, 200), repeat(6, 200), MeanShift, 0, 0, modelwatch.ReasonConstant},
		{"constant moves", repeat(5, 200), repeat(6, 200), Wasserstein, 0, 1, ""},
		{"constant moves, ks", repeat(5, 200), repeat(4, 200), KS, 0, 1, ""},
		{"constant moves, js", repeat(5, 200), repeat(4, 200), JSDistance, 0, 1, ""},
		{"beyond a double", repeat(-math.MaxFloat64, 100), repeat(math.MaxFloat64, 100), Wasserstein, 0, 0, modelwatch.ReasonNotApplicable},
		{"missing of none", nil, nil, MissingRatio, 0, 0, modelwatch.ReasonTooFew},
		{"missing needs no baseline", nil, repeat(1, 100), MissingRatio, 0, 0, ""},
		{"invalid", repeat(1, 100), append(repeat(nan, 25), repeat(1, 75)...), InvalidRatio, 0, 0.25, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, c := profiles(tt.baseline, tt.current)
			got := Measure(b, c, []string{tt.metric}, Options{MinimumRows: tt.minimum})
			if len(got) != 1 || got[0].Reason != tt.reason || (got[0].Value == nil) != (tt.reason != "") {
				t.Fatalf("%+v, want reason %q", got, tt.reason)
			}
			if tt.reason == "" && *got[0].Value != tt.value {
				t.Errorf("%v, want %v", *got[0].Value, tt.value)
			}
		})
	}
}

func TestMetricsThatDoNotApply(t *testing.T) {
	t.Parallel()
	g := profile.NewCategoryGrid([]profile.CategoryCount{{Value: "a", Count: 1}})
	b, c := profile.New(g), profile.New(g)
	for _, p := range []*profile.Profile{b, c} {
		p.AddCategories([]string{"a"}, make([]int32, 150), nil)
	}
	want := map[string]modelwatch.Reason{PSI: "", JSDistance: "", MissingRatio: "", InvalidRatio: "", NewCategoryRatio: ""}
	if diff := cmp.Diff(want, reasons(Measure(b, c, nil, Options{}))); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	want = map[string]modelwatch.Reason{KS: modelwatch.ReasonNotApplicable, "made_up": modelwatch.ReasonNotApplicable, TVD: ""}
	if diff := cmp.Diff(want, reasons(Measure(b, c, []string{KS, "made_up", TVD, DriftedShare}, Options{}))); diff != "" {
		t.Errorf("by name (-want +got):\n%s", diff)
	}
	text := profile.New(profile.NewPresenceGrid())
	text.AddPresence(100, nil)
	want = map[string]modelwatch.Reason{MissingRatio: "", InvalidRatio: ""}
	if diff := cmp.Diff(want, reasons(Measure(text, text, nil, Options{}))); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestNewCategoryRatioOfAnIdentifier(t *testing.T) {
	t.Parallel()
	b := profile.NewCategoryBuilder()
	for i := range 1 << 18 {
		b.AddCategories([]string{string(rune(i/1000+'A')) + string(rune(i%1000+'A'))}, []int32{0}, nil)
	}
	p := profile.New(b.Grid())
	p.AddCategories([]string{"x"}, make([]int32, 100), nil)
	got := Measure(p, p, []string{NewCategoryRatio}, Options{})
	if got[0].Reason != modelwatch.ReasonNotApplicable {
		t.Errorf("%+v, want not_applicable", got[0])
	}
}

func TestMetricsAreListedOnce(t *testing.T) {
	t.Parallel()
	names := Metrics()
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("%q holds one twice", names)
	}
	for _, name := range Default() {
		if !Known(name) || !slices.Contains(names, name) {
			t.Errorf("default metric %q is not known", name)
		}
	}
	if Applies(KS, profile.KindCategory) || !Applies(KS, profile.KindNumber) || Applies(DriftedShare, profile.KindNumber) || Applies("", profile.KindNumber) {
		t.Error("ks applies to numbers only, drifted_share to no column")
	}
}

func TestMeasurePanicsOnAnotherGrid(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("measured across grids")
		}
	}()
	b, _ := profiles([]float64{1, 2}, nil)
	c, _ := profiles([]float64{1, 3}, nil)
	Measure(b, c, nil, Options{})
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		drifted, measured int
		metrics           []string
		want              []any
	}{
		{1, 4, nil, []any{1.0, 0.25}},
		{0, 4, []string{PSI, DriftedShare}, []any{0.0}},
		{0, 0, nil, []any{modelwatch.ReasonEmpty, modelwatch.ReasonEmpty}},
		{1, 4, []string{PSI}, nil},
	} {
		var got []any
		for _, v := range Summarise(tt.drifted, tt.measured, 10, 20, tt.metrics) {
			if v.Value != nil {
				got = append(got, *v.Value)
			} else {
				got = append(got, v.Reason)
			}
			if v.NBaseline != 10 || v.NCurrent != 20 {
				t.Errorf("n %d and %d", v.NBaseline, v.NCurrent)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt, diff)
		}
	}
}

// sample draws a sample of up to n values: few or many distinct ones, in one of
// several shapes.
func sample(t *rapid.T, n int, label string) []float64 {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label+" seed"), 1))
	values := make([]float64, rapid.IntRange(0, n).Draw(t, label+" size"))
	shape := rapid.IntRange(0, 5).Draw(t, label+" shape")
	for i := range values {
		switch shape {
		case 0:
			values[i] = r.NormFloat64()
		case 1:
			values[i] = float64(r.IntN(6)) / 4
		case 2:
			values[i] = math.Tan(math.Pi * (r.Float64() - 0.5))
		case 3:
			values[i] = 1
		case 4:
			values[i] = float64(r.IntN(3000))
		default:
			values[i] = math.Float64frombits(r.Uint64()) // NaN and infinities too
		}
	}
	return values
}

// Whatever the data, a metric has a finite value in its range, or a reason.
func TestValuesAreSane(t *testing.T) {
	t.Parallel()
	unit := []string{JSDistance, JSDivergence, Hellinger, TVD, LInfinity, KS, KSP, Chi2P, MissingRatio, InvalidRatio, OutOfRangeRatio}
	rapid.Check(t, func(t *rapid.T) {
		b, c := profiles(sample(t, 4000, "baseline"), sample(t, 500, "current"))
		for _, v := range Measure(b, c, Metrics(), Options{MinimumRows: rapid.Int64Range(0, 3).Draw(t, "minimum")}) {
			if (v.Value == nil) != (v.Reason != "") {
				t.Fatalf("%s: value %v and reason %q", v.Metric, v.Value, v.Reason)
			}
			for _, x := range []*float64{v.Value, v.Lower, v.Upper, v.PValue, v.Null95, v.StandardError} {
				if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
					t.Fatalf("%s: %v", v.Metric, *x)
				}
			}
			if v.Value == nil {
				continue
			}
			if x := *v.Value; x < 0 && v.Metric != MeanShift || x > 1 && slices.Contains(unit, v.Metric) {
				t.Fatalf("%s: %v", v.Metric, x)
			}
			if v.Lower != nil && (*v.Lower > *v.Value || *v.Value > *v.Upper) {
				t.Fatalf("%s: %v not in [%v, %v]", v.Metric, *v.Value, *v.Lower, *v.Upper)
			}
		}
	})
}

func value(t *rapid.T, b, c *profile.Profile, metric string) modelwatch.Value {
	v := Measure(b, c, []string{metric}, Options{MinimumRows: 1})[0]
	if v.Value == nil {
		t.Skip(v.Reason)
	}
	return v
}

func TestSymmetryAndIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, c := profiles(sample(t, 4000, "baseline"), sample(t, 500, "current"))
		for _, metric := range []string{JSDistance, JSDivergence, Hellinger, TVD, LInfinity, PSI, KS, Wasserstein} {
			x, y := value(t, b, c, metric), value(t, c, b, metric)
			if math.Abs(*x.Value-*y.Value) > 1e-12*math.Abs(*x.Value) {
				t.Fatalf("%s is %v one way and %v the other", metric, *x.Value, *y.Value)
			}
			if z := value(t, b, b, metric); *z.Value != 0 {
				t.Fatalf("%s from itself is %v", metric, *z.Value)
			}
		}
	})
}

// The grid may be of a third sample, as it is for rolling baselines.
func TestBoundsHoldTheExactDistance(t *testing.T) {
	t.Parallel()
	inexact := 0
	rapid.Check(t, func(t *rapid.T) {
		x, y := sample(t, 5000, "baseline"), sample(t, 5000, "current")
		origin, rolling := x, rapid.Bool().Draw(t, "rolling")
		if rolling {
			origin = sample(t, 3000, "origin")
		}
		g := profile.NewNumberGrid(origin)
		b, c := profile.New(g), profile.New(g)
		b.AddFloats(x, nil)
		c.AddFloats(y, nil)
		ks := value(t, b, c, KS)
		want, _ := ExactKS(x, y)
		lower, upper := *ks.Value, *ks.Value
		if ks.Lower != nil {
			inexact++
			lower, upper = *ks.Lower, *ks.Upper
		}
		if want < lower-1e-15 || want > upper+1e-15 {
			t.Fatalf("ks %v is not in [%v, %v]", want, lower, upper)
		}
		if g.Exact() && !rolling && ks.Lower != nil {
			t.Fatal("bounds although every value of the baseline is a cut")
		}
		w := value(t, b, c, Wasserstein)
		want, ok := ExactWasserstein(x, y)
		lower, upper = *w.Value, *w.Value
		if w.Lower != nil {
			lower, upper = *w.Lower, *w.Upper
		}
		if tolerance := 1e-12 * want; !ok || want < lower-tolerance || want > upper+tolerance {
			t.Fatalf("wasserstein %v is not in [%v, %v]", want, lower, upper)
		}
	})
	if inexact == 0 {
		t.Error("no case had bounds")
	}
}

func total(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum
}

// Joining two bins loses information: no distance can grow.
func TestCoarseningLowersDistances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 12).Draw(t, "bins")
		counts := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 1000), func(k int) float64 { return float64(k) }), k, k)
		p, q := counts.Draw(t, "p"), counts.Draw(t, "q")
		p[0]++
		q[0]++
		join := func(c []float64, i int) []float64 {
			j := slices.Clone(c)
			j[i] += j[i+1]
			return slices.Delete(j, i+1, i+2)
		}
		i := rapid.IntRange(0, k-2).Draw(t, "join")
		n, m := total(p), total(q)
		fine, coarse := newBins(p, q, n, m), newBins(join(p, i), join(q, i), n, m)
		fineChi, _ := fine.chi2()
		coarseChi, _ := coarse.chi2()
		for _, d := range [][2]float64{
			{fine.jensenShannon(), coarse.jensenShannon()}, {fine.hellinger(), coarse.hellinger()},
			{fine.tvd(), coarse.tvd()}, {fineChi, coarseChi}, {jeffreys(p, q), jeffreys(join(p, i), join(q, i))},
		} {
			if d[1] > d[0]*(1+1e-12)+1e-15 {
				t.Fatalf("%v over the finer %v", d[1], d[0])
			}
		}
	})
}

// jeffreys is psi without its floor, +Inf where a bin is empty on one side.
func jeffreys(p, q []float64) float64 {
	for i := range p {
		if (p[i] == 0) != (q[i] == 0) {
			return math.Inf(1)
		}
	}
	empty := func(x float64) bool { return x == 0 }
	p, q = slices.DeleteFunc(slices.Clone(p), empty), slices.DeleteFunc(slices.Clone(q), empty)
	return symmetricDivergence(proportions(p), proportions(q))
}

func TestAdjustPIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "p")
		a := AdjustP(p)
		for i := range p {
			if a[i] < p[i] || a[i] > 1 {
				t.Fatalf("%v became %v", p[i], a[i])
			}
			for j := range p {
				if p[i] < p[j] && a[i] > a[j] {
					t.Fatalf("%v and %v became %v and %v", p[i], p[j], a[i], a[j])
				}
			}
		}
	})
}

// The 95 % points are where they say: of many windows without drift, a
// twentieth exceeds them.
func TestNullPointsHold(t *testing.T) {
	t.Parallel()
	const windows = 2000
	r := rand.New(rand.NewPCG(3, 4))
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		return x
	}
	metrics := []string{PSI, JSDistance, JSDivergence, KL, Hellinger, TVD, LInfinity, Chi2, KS, Wasserstein, WassersteinScaled, MeanShift}
	over := map[string]int{}
	for range windows / 20 {
		g := profile.NewNumberGrid(draw(1500))
		b := profile.New(g)
		b.AddFloats(draw(3000), nil)
		for range 20 {
			c := profile.New(g)
			c.AddFloats(draw(1000), nil)
			for _, v := range Measure(b, c, metrics, Options{}) {
				if math.Abs(*v.Value) > *v.Null95 {
					over[v.Metric]++
				}
			}
		}
	}
	for _, m := range metrics {
		if share := float64(over[m]) / windows; share < 0.025 || share > 0.075 {
			t.Errorf("%s exceeds its null point in %v of the windows, want about 0.05", m, share)
		}
	}
}

func BenchmarkMeasure(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float64, 100_000)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	base, cur := profiles(x, x[:10_000])
	for _, metric := range append(Metrics(), "default") {
		metrics := []string{metric}
		if metric == "default" {
			metrics = nil
		}
		b.Run(metric, func(b *testing.B) {
			for b.Loop() {
				Measure(base, cur, metrics, Options{})
			}
		})
	}
}
