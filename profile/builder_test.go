package profile

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func TestNumberBuilderAgreesUpToItsLimit(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		values := append(drawFrom(shape.draw, 60_000), math.NaN(), math.Inf(1), math.Copysign(0, -1))
		b := NewNumberBuilder()
		for rest := values; len(rest) > 0; {
			n := min(len(rest), 997)
			b.AddFloats(rest[:n], nil)
			rest = rest[n:]
		}
		if got, want := b.Grid().ID(), NewNumberGrid(values).ID(); got != want {
			t.Errorf("%s: grid %s, want %s", shape.name, got, want)
		}
	}
}

func TestNumberBuilderSkipsMissing(t *testing.T) {
	t.Parallel()
	b := NewNumberBuilder()
	b.AddFloats([]float64{1, 2, 3}, []bool{true, false, true})
	if got, want := b.Grid().ID(), NewNumberGrid([]float64{1, 3}).ID(); got != want {
		t.Errorf("grid %s, want %s", got, want)
	}
}

func TestNumberBuilderSamplesBeyond(t *testing.T) {
	t.Parallel()
	const n = 3 * sampleSize
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Sin(float64(i)) // no order that a sample could fall in step with
	}
	values[12345], values[54321] = -7, 7
	b := NewNumberBuilder()
	b.AddFloats(values, nil)
	if len(b.sample) > spareSize || len(b.sample) < spareSize/2-10_000 {
		t.Fatalf("sample of %d", len(b.sample))
	}
	g := b.Grid()
	if cuts := g.Cuts(); cuts[0] != -7 || cuts[len(cuts)-1] != 7 || g.Exact() {
		t.Errorf("cuts from %v to %v, exact %v", cuts[0], cuts[len(cuts)-1], g.Exact())
	}
	p := New(g)
	p.AddFloats(values, nil)
	for i, c := range p.BinCounts() {
		if share := float64(c) / n; math.Abs(share-0.1) > 0.002 {
			t.Errorf("bin %d holds %v of the values", i, share)
		}
	}
}

func TestNumberBuilderKeepsFewDistinctValues(t *testing.T) {
	t.Parallel()
	values := make([]float64, sampleSize+1000)
	for i := range values {
		values[i] = float64(i % MaxCuts)
	}
	b := NewNumberBuilder()
	b.AddFloats(values, nil)
	if got, want := b.Grid().ID(), NewNumberGrid(values).ID(); got != want {
		t.Errorf("grid %s, want %s", got, want)
	}
}

func TestCategoryBuilder(t *testing.T) {
	t.Parallel()
	b := NewCategoryBuilder()
	b.AddCategories([]string{"x", "unused", "y"}, []int32{0, 2, 2, 9}, []bool{true, true, true, false})
	b.AddCategories([]string{"y", "z"}, []int32{0, 1}, nil)
	want := NewCategoryGrid([]CategoryCount{{"x", 1}, {"y", 3}, {"z", 1}})
	if got := b.Grid(); got.ID() != want.ID() {
		t.Errorf("categories %q, want %q", got.Categories(), want.Categories())
	}
}

func TestCategoryBuilderProfile(t *testing.T) {
	t.Parallel()
	for _, distinct := range []int{0, 1, MaxCategories, MaxCategories + 10, maxCounted, 2 * maxCounted} {
		dict, index, valid := []string{"unused"}, []int32{0}, []bool{false}
		for i := range distinct {
			dict = append(dict, strconv.Itoa(i))
			for range 1 + i%3 {
				index, valid = append(index, int32(i+1)), append(valid, i%7 < 6)
			}
		}
		b := NewCategoryBuilder()
		half := len(index) / 2
		b.AddCategories(dict, index[:half], valid[:half])
		b.AddCategories(dict, index[half:], valid[half:])
		g, got := b.Build()
		if counted := distinct*6/7 < maxCounted; (got != nil) != counted {
			t.Errorf("%d values: counted %v", distinct, got != nil)
		}
		want := New(g)
		want.AddCategories(dict, index, valid)
		if got != nil && !bytes.Equal(encoded(t, got), encoded(t, want)) {
			t.Errorf("%d values: the profile differs from what is counted on its grid", distinct)
		}
	}
}

func TestCategoryBuilderForgetsTheRarest(t *testing.T) {
	t.Parallel()
	b := NewCategoryBuilder()
	for i := range 3 * maxCounted {
		b.AddCategories([]string{strconv.Itoa(i), "often"}, []int32{0, 1}, nil)
	}
	if len(b.counts) > maxCounted {
		t.Errorf("%d values counted", len(b.counts))
	}
	g := b.Grid()
	if g.KnowsCategories() || g.Categories()[0] != "often" {
		t.Errorf("knows its categories: %v; first %q", g.KnowsCategories(), g.Categories()[0])
	}
	p := New(g)
	p.AddCategories([]string{"never"}, []int32{0}, nil)
	if p.Unseen() != 0 {
		t.Error("a value is called new where that cannot be known")
	}
}

// What Build counts is what a profile on its grid counts, to the byte, however
// the grid came about; the limits here are those of the real builder.
func TestNumberBuilderProfile(t *testing.T) {
	t.Parallel()
	const n = sampleSize + 300_000
	draw := func(f func(i int, rng *rand.Rand) float64) []float64 {
		rng := rand.New(rand.NewPCG(3, 4))
		values := make([]float64, n)
		for i := range values {
			values[i] = f(i, rng)
		}
		return values
	}
	normal := draw(func(_ int, rng *rand.Rand) float64 { return rng.NormFloat64() })
	outliers := slices.Clone(normal)
	outliers[10], outliers[n-9], outliers[n-2], outliers[n-7] = math.NaN(), -50, 1e300, -50
	lateDistinct := draw(func(i int, rng *rand.Rand) float64 {
		if i < n-1000 {
			return float64(rng.IntN(1500))
		}
		return float64(rng.IntN(3000))
	})
	for _, c := range []struct {
		name    string
		values  []float64
		counted bool
	}{
		{"none", nil, true},
		{"only NaN", []float64{math.NaN()}, true},
		{"one", []float64{math.Copysign(0, -1)}, true},
		{"all held", normal[:100_000], true},
		{"as many as are held", normal[:sampleSize], true},
		{"one more", normal[:sampleSize+1], true},
		{"provisional cuts", outliers, true},
		{"heavy tails", draw(func(_ int, rng *rand.Rand) float64 { return math.Exp(20 * rng.NormFloat64()) }), true},
		{"half zeros", draw(func(_ int, rng *rand.Rand) float64 { return max(0, rng.NormFloat64()) }), true},
		{"few distinct", draw(func(_ int, rng *rand.Rand) float64 { return float64(rng.IntN(MaxCuts)) }), true},
		{"many distinct late", lateDistinct, true},
		{"sorted", draw(func(i int, _ *rand.Rand) float64 { return float64(i) }), false},
		{"another range late", draw(func(i int, rng *rand.Rand) float64 { return float64(i/sampleSize) + rng.Float64() }), false},
	} {
		b := NewNumberBuilder()
		valid := make([]bool, len(c.values))
		for i := range valid {
			valid[i] = i%100 != 99
		}
		for i := 0; i < len(c.values); i += 50_000 {
			end := min(i+50_000, len(c.values))
			b.AddFloats(c.values[i:end], valid[i:end])
		}
		g, got := b.Build()
		if (got != nil) != c.counted {
			t.Errorf("%s: counted %v, want %v", c.name, got != nil, c.counted)
		}
		want := New(g)
		want.AddFloats(c.values, valid)
		if got != nil && !bytes.Equal(encoded(t, got), encoded(t, want)) {
			t.Errorf("%s: the profile differs from what is counted on its grid", c.name)
		}
		if id := b.Grid().ID(); id != g.ID() {
			t.Errorf("%s: grid %s at first, then %s", c.name, g.ID(), id)
		}
		if len(c.values) > exactValues && len(c.values) <= sampleSize {
			sameBins(t, c.name, g, gridOf(c.values, valid))
		}
		if len(c.values) <= exactValues {
			if want := gridOf(c.values, valid).ID(); g.ID() != want {
				t.Errorf("%s: grid %s, want %s", c.name, g.ID(), want)
			}
			continue
		}
		tolerance := 0.0005
		if !c.counted {
			tolerance = 0.005
		}
		if cuts := g.Cuts(); c.name == "provisional cuts" && (cuts[0] != -50 || cuts[len(cuts)-1] != 1e300) {
			t.Errorf("cuts from %v to %v", cuts[0], cuts[len(cuts)-1])
		}
		for i, k := range want.BinCounts() {
			if share := float64(k) / float64(want.Count()); share > 0.1+tolerance && c.name != "half zeros" && c.name != "few distinct" && c.name != "many distinct late" {
				t.Errorf("%s: bin %d holds %v of the values", c.name, i, share)
			}
		}
	}
}

// sameBins wants drift bins with the same edges.
func sameBins(t *testing.T, name string, got, want *Grid) {
	t.Helper()
	g, w := got.Bins(), want.Bins()
	if len(g) != len(w) {
		t.Errorf("%s: %d bins, want %d", name, len(g), len(w))
		return
	}
	for i, b := range g {
		if (b.Upper == nil) != (w[i].Upper == nil) || b.Upper != nil && *b.Upper != *w[i].Upper {
			t.Errorf("%s: bin %d differs", name, i)
		}
	}
}

func TestHeldValuesGiveExactBins(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for name, draw := range map[string]func(i int) float64{
		"uniform":          func(int) float64 { return rng.Float64() },
		"sorted":           func(i int) float64 { return float64(i) },
		"heavy tails":      func(int) float64 { return math.Exp(20 * rng.NormFloat64()) },
		"half zeros":       func(int) float64 { return max(0, rng.NormFloat64()) },
		"rounded":          func(int) float64 { return math.Round(1e4 * rng.NormFloat64()) },
		"a few values":     func(int) float64 { return float64(min(rng.IntN(20), 7)) + math.Floor(rng.Float64()*1.01)*rng.Float64() },
		"atom at the edge": func(int) float64 { return math.Max(0.3, rng.Float64()) },
	} {
		values := make([]float64, 1+exactValues+rng.IntN(2*exactValues))
		for i := range values {
			values[i] = draw(i)
		}
		b := NewNumberBuilder()
		b.Grow(int64(len(values)))
		b.AddFloats(values, nil)
		g, p := b.Build()
		sameBins(t, name, g, NewNumberGrid(values))
		want := New(g)
		want.AddFloats(values, nil)
		if p == nil || !bytes.Equal(encoded(t, p), encoded(t, want)) {
			t.Errorf("%s: the profile differs from what is counted on its grid", name)
		}
	}
}

// What a builder had before a Reset leaves no trace in what it builds, nor does it change what it has built.
func TestResetBuilderBuildsAnew(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	used := NewNumberBuilder()
	for i, draw := range []func(i int) float64{
		func(int) float64 { return rng.NormFloat64() },
		func(i int) float64 { return float64(i) },
		func(int) float64 { return float64(rng.IntN(30)) },
		func(int) float64 { return math.Exp(rng.NormFloat64()) },
	} {
		for _, n := range []int{2*sampleSize + 77, sampleSize + 1, 1000, 3 * exactValues} {
			values := make([]float64, n)
			for i := range values {
				values[i] = draw(i)
			}
			fresh := NewNumberBuilder()
			var before []byte
			for _, b := range []*NumberBuilder{fresh, used} {
				b.Grow(int64(n))
				b.AddFloats(values, nil)
			}
			g, p := used.Build()
			if want, q := fresh.Build(); !g.same(want) || (p == nil) != (q == nil) || p != nil && !bytes.Equal(encoded(t, p), encoded(t, q)) {
				t.Errorf("shape %d, %d values: what was built before makes a difference", i, n)
			}
			if p != nil {
				before = encoded(t, p)
			}
			used.Reset()
			used.AddFloats(values[:n/2], nil)
			if p != nil && !bytes.Equal(encoded(t, p), before) {
				t.Errorf("shape %d, %d values: what was built has changed", i, n)
			}
			used.Reset()
		}
	}
}

func gridOf(values []float64, valid []bool) *Grid {
	var present []float64
	for i, v := range values {
		if valid[i] {
			present = append(present, v)
		}
	}
	return NewNumberGrid(present)
}

func encoded(t *testing.T, p *Profile) []byte {
	t.Helper()
	b, err := (&Set{Columns: []SetColumn{{Profile: p}}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkNumberBuilder(b *testing.B) {
	for _, rows := range []int{1e5, 1e6, 5e6} {
		values := drawFrom((*rand.Rand).NormFloat64, rows)
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			for b.Loop() {
				n := NewNumberBuilder()
				for i := 0; i < rows; i += 1 << 16 {
					n.AddFloats(values[i:min(rows, i+1<<16)], nil)
				}
				if _, p := n.Build(); p == nil {
					b.Fatal("not counted")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/value")
		})
	}
}
