package report

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Of any curve, what is drawn has the ends and the largest gap, its points are
// points of the curve, and no point that was left out is farther from one that
// was kept than a reader can see.
func TestDrawnCurve(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 400).Draw(t, "n")
		values := func(name string, lo, hi float64) []float64 {
			v := rapid.SliceOfN(rapid.Float64Range(lo, hi), n, n).Draw(t, name)
			slices.Sort(v)
			return v
		}
		x, f, g := values("x", -1000, 1000), values("f", 0, 1), values("g", 0, 1)
		if x[0] == x[n-1] {
			t.Skip("one point")
		}
		gap := 0
		for i := range x {
			if math.Abs(f[i]-g[i]) > math.Abs(f[gap]-g[gap]) {
				gap = i
			}
		}
		keep := thin(x, f, g, gap)
		if !slices.IsSorted(keep) || keep[0] != 0 || keep[len(keep)-1] != n-1 || !slices.Contains(keep, gap) {
			t.Fatalf("kept %v of %d points with the gap at %d", keep, n, gap)
		}
		if len(keep) > 2*3*curvePoints+3 {
			t.Fatalf("kept %d points", len(keep))
		}
		for i := range n {
			j, _ := slices.BinarySearch(keep, i)
			if keep[j] == i {
				continue
			}
			before := keep[j-1]
			if f[i]-f[before] > 1./curvePoints || g[i]-g[before] > 1./curvePoints {
				t.Fatalf("point %d was left out, at (%v, %v) after (%v, %v)", i, f[i], g[i], f[before], g[before])
			}
		}
		d := (&Curve{X: x, Baseline: f, Current: g}).drawn()
		if d == nil || len(d.X) != len(d.F) || len(d.X) != len(d.G) {
			t.Fatalf("drawn is %+v", d)
		}
		if f[gap] != g[gap] && (d.Gap[1].value != f[gap] || d.Gap[2].value != g[gap] || d.Gap[0].value != x[gap]) {
			t.Fatalf("the gap is %v, want that at %d", d.Gap, gap)
		}
	})
}

// A distribution on three values keeps its steps upright.
func TestDrawnSteps(t *testing.T) {
	t.Parallel()
	d := (&Curve{X: []float64{0, 0, 1, 1, 2, 2}, Baseline: []float64{0, .5, .5, .75, .75, 1}, Current: []float64{0, .25, .25, .5, .5, 1}}).drawn()
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"x":[0,0,1,1,2,2],"f":[0,0.5,0.5,0.75,0.75,1],"g":[0,0.25,0.25,0.5,0.5,1],"gap":[0,0.5,0.25]}`
	if string(got) != want {
		t.Errorf("drawn %s, want %s", got, want)
	}
}

// A value a million times the others does not squeeze them into the axis.
func TestDrawnTail(t *testing.T) {
	t.Parallel()
	c := &Curve{}
	for i := range 1001 {
		c.X = append(c.X, float64(i))
		c.Baseline = append(c.Baseline, min(float64(i)/999, 0.999))
		c.Current = append(c.Current, min(float64(i)/995, 0.999))
	}
	c.X, c.Baseline, c.Current = append(c.X, 1e9), append(c.Baseline, 1), append(c.Current, 1)
	if d := c.drawn(); !d.Clipped || d.X[len(d.X)-1].value > 1000 {
		t.Errorf("the axis ends at %v", d.X[len(d.X)-1])
	}
	if d := (&Curve{X: []float64{3, 3}, Baseline: []float64{0, 1}, Current: []float64{0, 1}}).drawn(); d != nil {
		t.Errorf("a constant is drawn as %+v", d)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.1234567: "0.1235", -0.5: "\u22120.5", 1234.5: "1234", 12345: "12,345", -1234567: "\u22121,234,567", 1e7: "1e7", 0.0001: "0.0001",
		0.00001234: "1.23e-5", 123456789: "1.23e8", 99999.6: "100,000", 0.99999: "1", 1e300: "1e300", -2.5e-9: "\u22122.5e-9",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) is %q, want %q", v, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q, want %q", n, got, want)
		}
	}
}

// Rounding keeps values apart that a reader can tell apart, however far they
// are from zero.
func TestRounded(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal([]rounded{{0.123456789, 1e-4}, {-0.00001, 1e-4}, {1764028800.25, grain(1764000000, 1764086400)}, {1.23456789e-8, 0}, {math.NaN(), 0}, {math.Inf(1), 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `[0.1235,0,1.76402880025e+09,1.23457e-08,null,null]`; string(got) != want {
		t.Errorf("rounded to %s, want %s", got, want)
	}
}

// A page is the same whether a curve holds all its points or only those that are drawn.
func TestReducedCurve(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"many points": 4000, "two points": 2, "none": 0} {
		var c Curve
		for i := range n {
			x := float64(i) / float64(n)
			c.X, c.Baseline, c.Current = append(c.X, math.Exp(20*x)), append(c.Baseline, x), append(c.Current, x*x)
		}
		want, err := json.Marshal(c.drawn())
		if err != nil {
			t.Fatal(err)
		}
		c.Reduce()
		got, err := json.Marshal(c.drawn())
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) || c.X != nil {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
