package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// everything measures all metrics of two profiles.
func everything(b, c *profile.Profile) []modelwatch.Value {
	return Measure(b, c, Metrics(), Options{MinimumRows: 1})
}

func shuffled(x []float64, seed uint64) []float64 {
	x = slices.Clone(x)
	r := rand.New(rand.NewPCG(seed, 2))
	r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
	return x
}

// The order of rows changes no bit, of whatever metric.
func TestRowOrderChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := sample(t, 3000, "baseline"), sample(t, 500, "current")
		b, c := profiles(x, y)
		d, e := profiles(shuffled(x, 1), shuffled(y, 2))
		if diff := cmp.Diff(everything(b, c), everything(d, e)); diff != "" {
			t.Fatalf("(-in order +shuffled):\n%s", diff)
		}
		metrics := []string{KS, KSP, Wasserstein}
		exact := MeasureExact(b, c, numberSample(x), numberSample(y), metrics, Options{MinimumRows: 1})
		again := MeasureExact(d, e, numberSample(shuffled(x, 1)), numberSample(shuffled(y, 2)), metrics, Options{MinimumRows: 1})
		if diff := cmp.Diff(exact, again); diff != "" {
			t.Fatalf("exact (-in order +shuffled):\n%s", diff)
		}
	})
}

// Merged profiles are the profile of all rows.
func TestMergeIsUnion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := sample(t, 3000, "baseline"), sample(t, 500, "current")
		b, c := profiles(x, y)
		cut := rapid.IntRange(0, len(y)).Draw(t, "cut")
		first, rest := b.Empty(), b.Empty()
		first.AddFloats(y[:cut], nil)
		rest.AddFloats(y[cut:], nil)
		if err := rest.Merge(first); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everything(b, c), everything(b, rest)); diff != "" {
			t.Fatalf("(-at once +merged):\n%s", diff)
		}
	})
}

// Weights of 1 are no weights. Equal weights of another size change neither a
// distance nor the effective number of rows.
func TestEqualWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := sample(t, 2000, "baseline"), sample(t, 500, "current")
		b, c := profiles(x, y)
		ones, fours := c.Empty(), c.Empty()
		ones.AddFloatsWeighted(y, nil, slices.Repeat([]float64{1}, len(y)))
		fours.AddFloatsWeighted(y, nil, slices.Repeat([]float64{4}, len(y)))
		if diff := cmp.Diff(everything(b, c), everything(b, ones)); diff != "" {
			t.Fatalf("(-none +ones):\n%s", diff)
		}
		plain := everything(b, c)
		for i, v := range everything(b, fours) {
			want := plain[i]
			if v.Reason != want.Reason || v.NCurrent != want.NCurrent {
				t.Fatalf("%+v, without weights %+v", v, want)
			}
			if v.Value == nil {
				continue
			}
			if tolerance := 1e-9*math.Abs(*want.Value) + 1e-12; math.Abs(*v.Value-*want.Value) > tolerance && v.Metric != KSP {
				t.Fatalf("%s: %v, without weights %v", v.Metric, *v.Value, *want.Value)
			}
			if len(y) > 0 && (v.EffectiveCurrent == nil || math.Abs(*v.EffectiveCurrent-float64(v.NCurrent)) > 1e-9*float64(v.NCurrent)) {
				t.Fatalf("%s: effective %v of %d rows", v.Metric, v.EffectiveCurrent, v.NCurrent)
			}
		}
	})
}

// A weighted distance is within the bounds of the grid, too.
func TestBoundsHoldTheWeightedDistance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		side := func(label string, n int) Sample {
			s := Sample{Kind: profile.KindNumber, Floats: sample(t, n, label)}
			s.Weights = make([]float64, len(s.Floats))
			for i := range s.Weights {
				s.Weights[i] = math.Ceil(20*r.Float64()) / 4
			}
			return s
		}
		x, y := side("baseline", 5000), side("current", 3000)
		b := profile.New(profile.NewNumberGrid(x.Floats))
		c := b.Empty()
		b.AddFloatsWeighted(x.Floats, nil, x.Weights)
		c.AddFloatsWeighted(y.Floats, nil, y.Weights)
		metrics, opts := []string{KS, Wasserstein}, Options{MinimumRows: 1}
		exact := MeasureExact(b, c, x, y, metrics, opts)
		for i, v := range Measure(b, c, metrics, opts) {
			if v.Value == nil || exact[i].Value == nil {
				continue
			}
			lower, upper := *v.Value, *v.Value
			if v.Lower != nil {
				lower, upper = *v.Lower, *v.Upper
			}
			if want := *exact[i].Value; want < lower*(1-1e-9)-1e-12 || want > upper*(1+1e-9)+1e-12 {
				t.Fatalf("%s: %v is not in [%v, %v]", v.Metric, want, lower, upper)
			}
		}
	})
}

// The Jensen-Shannon distance, Hellinger's, the total variation and the rest of
// the metrics proper obey the triangle inequality.
func TestTriangles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 12).Draw(t, "bins")
		draw := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 50), func(k int) float64 { return float64(k) }), k, k)
		var sides [3][]float64
		for i := range sides {
			sides[i] = draw.Draw(t, "counts")
			sides[i][0]++
		}
		for name, f := range map[string]distance{
			JSDistance: func(b *bins) float64 { return math.Sqrt(b.jensenShannon()) },
			Hellinger:  (*bins).hellinger, TVD: (*bins).tvd, LInfinity: (*bins).lInfinity, KS: (*bins).supremum,
		} {
			d := func(i, j int) float64 { return f(newBins(sides[i], sides[j], total(sides[i]), total(sides[j]))) }
			if direct, around := d(0, 2), d(0, 1)+d(1, 2); direct > around+1e-12 {
				t.Fatalf("%s: %v directly, %v around", name, direct, around)
			}
		}
	})
}

// Whatever the rows, a preset has a finite number or a reason.
func TestPresetsAreSane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := numberSample(sample(t, 300, "baseline")), numberSample(sample(t, 300, "current"))
		if rapid.Bool().Draw(t, "category") {
			x, y = categorySample(x.Floats), categorySample(y.Floats)
		}
		for _, preset := range Presets() {
			for _, metrics := range [][]string{nil, Metrics()} {
				values, err := MeasureCompat(preset, x, y, metrics, Options{MinimumRows: 1})
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range values {
					if (v.Value == nil) != (v.Reason != "") || v.Value != nil && (math.IsNaN(*v.Value) || math.IsInf(*v.Value, 0)) {
						t.Fatalf("%s %s: value %v and reason %q", preset, v.Metric, v.Value, v.Reason)
					}
				}
			}
		}
	})
}

func categorySample(x []float64) Sample {
	s := Sample{Kind: profile.KindCategory}
	for _, v := range x {
		s.Categories = append(s.Categories, profile.CategoryCount{Value: fmt.Sprint(v), Count: 1})
	}
	return s
}

// A simulated null point is the same on every call, and its p-values fall as the
// distance grows.
func TestSimulatedNull(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 30).Draw(t, "bins")
		draw := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 30), func(k int) float64 { return float64(k) }), k, k)
		p, q := draw.Draw(t, "p"), draw.Draw(t, "q")
		p[0]++
		q[0]++
		b := newBins(p, q, total(p), total(q))
		null := b.simulate((*bins).psi)
		if !slices.Equal(null, newBins(p, q, total(p), total(q)).simulate((*bins).psi)) {
			t.Fatal("drawn differently")
		}
		last := 1.0
		for x := 0.0; x < 20; x = x*1.3 + 1e-4 {
			p := null.pValue(x)
			if !(p >= 0) || p > last {
				t.Fatalf("%v has the p-value %v after %v", x, p, last)
			}
			last = p
		}
	})
}

func TestPoissonDraws(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, mean := range []float64{0.01, 0.7, 3, 40, 399, 401, 1e6} {
		const n = 40_000
		s := newPoisson(mean)
		var sum, squares float64
		for range n {
			x := s.draw(r)
			sum += x
			squares += (x - mean) * (x - mean)
		}
		if d := math.Abs(sum/n - mean); d > 5*math.Sqrt(mean/n) {
			t.Errorf("mean %v, want %v", sum/n, mean)
		}
		if v := squares / n; math.Abs(v/mean-1) > 5*math.Sqrt((2+1/mean)/n) {
			t.Errorf("variance %v, want %v", v, mean)
		}
	}
}
