package profile

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

func encode(p *Profile) []byte {
	return p.append(p.grid.append(nil))
}

func upper(x float64) Bin { return Bin{Upper: &x} }

func repeat(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func TestNumberGridBins(t *testing.T) {
	t.Parallel()
	ramp := make([]float64, 100)
	for i := range ramp {
		ramp[i] = float64(i + 1)
	}
	tests := []struct {
		name   string
		values []float64
		bins   []Bin
		counts []int64
	}{
		{"empty", nil, []Bin{{}}, []int64{0}},
		{"only invalid", []float64{math.NaN(), math.Inf(1)}, []Bin{{}}, []int64{0}},
		{"constant", repeat(5, 30), []Bin{upper(math.Nextafter(5, 0)), upper(5), {}}, []int64{0, 30, 0}},
		{"least constant", repeat(-math.MaxFloat64, 3), []Bin{upper(-math.MaxFloat64), {}}, []int64{3, 0}},
		{"two values", append(repeat(0, 95), repeat(1, 5)...), []Bin{upper(0), {}}, []int64{95, 5}},
		{"two values, the rarer below", append(repeat(0, 5), repeat(1, 95)...), []Bin{upper(0), {}}, []int64{5, 95}},
		{"signed zeros are one", []float64{0, math.Copysign(0, -1), 1}, []Bin{upper(0), {}}, []int64{2, 1}},
		{"ramp", ramp, []Bin{upper(10), upper(20), upper(30), upper(40), upper(50), upper(60), upper(70), upper(80), upper(90), {}},
			[]int64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}},
		{"a tie over several groups", append(ramp[:30:30], repeat(31, 70)...),
			[]Bin{upper(10), upper(20), upper(30), {}}, []int64{10, 10, 10, 70}},
		{"mass in the middle", append(append(repeat(1, 9), repeat(2, 82)...), repeat(3, 9)...),
			[]Bin{upper(1), upper(2), {}}, []int64{9, 82, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := New(NewNumberGrid(tt.values))
			p.AddFloats(tt.values, nil)
			if diff := cmp.Diff(tt.bins, p.Grid().Bins()); diff != "" {
				t.Errorf("bins (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counts, p.BinCounts()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumberGridHoldsAllDistinctValuesUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{MaxCuts, MaxCuts + 1, 50_000} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i)
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { values[i], values[j] = values[j], values[i] })
		g := NewNumberGrid(values)
		if got := len(g.Cuts()); g.Exact() != (n <= MaxCuts) || got > MaxCuts+1 || got < MaxCuts/2 {
			t.Errorf("%d distinct values: %d cuts, exact %v", n, got, g.Exact())
		}
		if g.Cuts()[0] != 0 || g.Cuts()[len(g.Cuts())-1] != float64(n-1) {
			t.Errorf("%d distinct values: cuts from %v to %v", n, g.Cuts()[0], g.Cuts()[len(g.Cuts())-1])
		}
		p := New(g)
		p.AddFloats(values, nil)
		for i, c := range p.BinCounts() {
			if math.Abs(float64(c)-float64(n)/10) > 1 {
				t.Errorf("%d distinct values: bin %d holds %d", n, i, c)
			}
		}
	}
}

func TestCategoryGrid(t *testing.T) {
	t.Parallel()
	var many []CategoryCount
	for i := range MaxCategories + 500 {
		many = append(many, CategoryCount{string(rune('A' + i)), int64(10_000 - i)})
	}
	p := New(NewCategoryGrid(many))
	dict := []string{many[0].Value, many[48].Value, many[49].Value, many[MaxCategories].Value, "never seen"}
	p.AddCategories(dict, []int32{0, 1, 2, 3, 4, 4, -1}, []bool{true, true, true, true, true, true, false})
	if got, want := p.Unseen(), int64(2); got != want {
		t.Errorf("unseen %d, want %d", got, want)
	}
	if got, want := p.Missing(), int64(1); got != want {
		t.Errorf("missing %d, want %d", got, want)
	}
	counts := p.BinCounts()
	if len(counts) != CategoryBins+1 || counts[0] != 1 || counts[48] != 1 || counts[CategoryBins] != 4 {
		t.Errorf("bin counts %v", counts)
	}
	if last := p.Grid().Bins()[CategoryBins]; !last.Other {
		t.Errorf("last bin %+v, want other", last)
	}
}

func TestCategoryGridOrder(t *testing.T) {
	t.Parallel()
	g := NewCategoryGrid([]CategoryCount{{"b", 2}, {"a", 2}, {"c", 1}, {"c", 2}, {"", 1}})
	if diff := cmp.Diff([]string{"c", "a", "b", ""}, g.Categories()); diff != "" {
		t.Errorf("categories (-want +got):\n%s", diff)
	}
	if !g.KnowsCategories() {
		t.Error("does not know its categories")
	}
	var ids []CategoryCount
	for i := range MaxCategories + MaxFingerprints + 1 {
		ids = append(ids, CategoryCount{string(rune('A'+i%1000)) + string(rune('A'+i/1000)), 1})
	}
	if NewCategoryGrid(ids).KnowsCategories() {
		t.Error("knows the categories of an identifier")
	}
}

func TestProfileCountsRows(t *testing.T) {
	t.Parallel()
	p := New(NewNumberGrid([]float64{1, 2, 3}))
	p.AddFloats([]float64{1, math.NaN(), math.Inf(-1), 2.5, 99, 7}, []bool{true, true, true, true, false, true})
	p.AddFloats([]float64{0}, []bool{false})
	p.AddInvalid(1)
	p.AddOutOfRange(1)
	type counts struct{ Rows, Count, Missing, Invalid, OutOfRange int64 }
	got := counts{p.Rows(), p.Count(), p.Missing(), p.Invalid(), p.OutOfRange()}
	if want := (counts{7, 3, 1, 3, 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]int64{0, 1, 0, 0, 1, 0, 1}, p.Cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	b := New(NewBooleanGrid())
	b.AddBools([]bool{true, true, false, true}, []bool{true, true, true, false})
	if diff := cmp.Diff([]int64{1, 2}, b.BinCounts()); diff != "" || b.Missing() != 1 {
		t.Errorf("missing %d, bins (-want +got):\n%s", b.Missing(), diff)
	}
	s := New(NewPresenceGrid())
	s.AddPresence(3, []bool{true, false, false})
	s.AddPresence(2, nil)
	s.AddInvalid(1)
	if got, want := (counts{s.Rows(), s.Count(), s.Missing(), s.Invalid(), 0}), (counts{5, 3, 1, 1, 0}); got != want {
		t.Errorf("presence: %+v, want %+v", got, want)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	p := New(NewNumberGrid([]float64{1, 2, 3, 4}))
	if _, ok := p.Quantile(0.5); ok {
		t.Error("an empty profile has a median")
	}
	p.AddFloats([]float64{4, 3, 2, 1}, nil)
	for _, tt := range []struct{ q, want float64 }{{0, 1}, {0.25, 1}, {0.26, 2}, {0.5, 2}, {0.75, 3}, {1, 4}} {
		if got, ok := p.Quantile(tt.q); !ok || got != tt.want {
			t.Errorf("quantile %v is %v, want %v", tt.q, got, tt.want)
		}
	}
	if _, ok := p.Quantile(math.NaN()); ok {
		t.Error("the quantile NaN has a value")
	}
	p.AddFloats([]float64{10, 12, 14, 20}, nil)
	if got, _ := p.Quantile(0.75); got != 12 {
		t.Errorf("between cuts: %v, want 12, half way from the last cut to the maximum", got)
	}
}

func TestTails(t *testing.T) {
	t.Parallel()
	p := New(NewNumberGrid([]float64{1, 5}))
	p.AddFloats([]float64{-2, 0, 1, 3, 5, 6, 8}, nil)
	if below, above := p.Tails(); below != 4./7 || above != 4./7 {
		t.Errorf("tails %v and %v, want 4/7 each", below, above)
	}
}

// numbers draws values with ties, on and off the cuts of a small grid.
var numbers = rapid.SliceOf(rapid.OneOf(
	rapid.Float64Range(-10, 10),
	rapid.Map(rapid.IntRange(-5, 5), func(i int) float64 { return float64(i) }),
	rapid.SampledFrom(append(extremes, math.NaN(), math.Inf(1), math.Copysign(0, -1))),
))

// The profile of all rows is the merge of the profiles of their parts, to the
// byte, however they are divided and in whatever order they are added.
func TestMergeIsUnion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := NewNumberGrid(numbers.Draw(t, "baseline"))
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		all := append(slices.Clone(a), b...)
		whole := New(g)
		whole.AddFloats(all, nil)
		whole.AddInvalid(2)

		shuffled := New(g)
		shuffled.AddInvalid(2)
		shuffled.AddFloats(rapid.Permutation(all).Draw(t, "order"), nil)
		if !bytes.Equal(encode(whole), encode(shuffled)) {
			t.Fatal("the order of rows matters")
		}
		x, y := New(g), New(g)
		x.AddFloats(a, nil)
		y.AddFloats(b, nil)
		y.AddInvalid(2)
		for _, parts := range [][]*Profile{{x, y}, {y, x}} {
			merged := parts[0].Clone()
			if err := merged.Merge(parts[1]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encode(whole), encode(merged)) {
				t.Fatal("the merge of the parts is not the whole")
			}
		}
	})
}

func TestMergeRefusesAnotherGrid(t *testing.T) {
	t.Parallel()
	p, q := New(NewNumberGrid([]float64{1, 2})), New(NewNumberGrid([]float64{1, 3}))
	q.AddFloats([]float64{1}, nil)
	if err := p.Merge(q); err == nil {
		t.Error("merged")
	}
	if p.Rows() != 0 {
		t.Errorf("%d rows after a merge that failed", p.Rows())
	}
	s := &Set{Columns: []SetColumn{{Column: modelwatch.Column{Column: "x"}, Profile: p}}}
	for _, other := range []*Set{{}, {Columns: []SetColumn{{Column: modelwatch.Column{Column: "y"}, Profile: p}}}, {Columns: []SetColumn{{Column: modelwatch.Column{Column: "x"}, Profile: q}}}} {
		if err := s.Merge(other); err == nil {
			t.Error("merged a set of other columns")
		}
	}
}

// Whatever was counted, what is read is finite and in order.
func TestReadingsAreSane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := New(NewNumberGrid(numbers.Draw(t, "baseline")))
		p.AddFloats(numbers.Draw(t, "values"), nil)
		lo, some := p.Min()
		hi, _ := p.Max()
		mean, _ := p.Mean()
		sd, _ := p.SD()
		if some != (p.Count() > 0) || some && !(lo <= mean && mean <= hi) || !finite(sd) || sd < 0 {
			t.Fatalf("count %d, min %v, mean %v, max %v, sd %v", p.Count(), lo, mean, hi, sd)
		}
		last := math.Inf(-1)
		for q := range 21 {
			x, ok := p.Quantile(float64(q) / 20)
			if ok != some || ok && (x < last || x < lo || x > hi) {
				t.Fatalf("quantile %v is %v %v after %v, in [%v, %v]", float64(q)/20, x, ok, last, lo, hi)
			}
			if ok {
				last = x
			}
		}
		var total int64
		for _, n := range p.BinCounts() {
			total += n
		}
		if total != p.Count() || p.Rows() != p.Count()+p.Missing()+p.Invalid() {
			t.Fatalf("bins hold %d of %d values, %d rows", total, p.Count(), p.Rows())
		}
	})
}

// However many rows come at once, and whatever of them the baseline has not, the profile is the same.
func TestExactGridCountsInAnyPieces(t *testing.T) {
	t.Parallel()
	draw := func(r *rand.Rand) float64 { return float64(r.IntN(500)-250) / 8 }
	g := NewNumberGrid(drawFrom(draw, 50_000))
	if !g.Exact() {
		t.Fatal("the grid is not exact")
	}
	values := drawFrom(draw, 4*manyValues)
	values[17] = math.Copysign(0, -1)
	valid := make([]bool, len(values))
	for i := range valid {
		valid[i] = i%7 != 0
	}
	everywhere := map[int]float64{}
	for i := 5; i < len(values); i += 1000 {
		everywhere[i] = 0.3
	}
	tests := []struct {
		name   string
		others map[int]float64
		valid  []bool
	}{
		{"known", nil, nil},
		{"known or missing", nil, valid},
		{"not finite", map[int]float64{3: math.NaN(), 9_000: math.Inf(1)}, nil},
		{"new", map[int]float64{5: 0.3, 8_000: -0.3}, nil},
		{"new and not finite", map[int]float64{5: 0.3, 6: math.Inf(1), 7: math.NaN(), 8: math.Inf(-1)}, valid},
		{"new in many blocks", everywhere, valid},
		{"beyond", map[int]float64{5: 1e300, 8_000: -1e300, 8_001: math.SmallestNonzeroFloat64}, valid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			values := slices.Clone(values)
			for i, v := range tt.others {
				values[i] = v
			}
			whole, pieces := New(g), New(g)
			whole.AddFloats(values, tt.valid)
			for i := 0; i < len(values); i += 1000 {
				end := min(i+1000, len(values))
				var ok []bool
				if tt.valid != nil {
					ok = tt.valid[i:end]
				}
				pieces.AddFloats(values[i:end], ok)
			}
			if *whole.moments != *pieces.moments || !slices.Equal(whole.cells, pieces.cells) || whole.invalid != pieces.invalid || whole.absent != pieces.absent {
				t.Error("the profiles differ")
			}
			want, _ := exactSums(kept(values, tt.valid))
			if got := new(big.Rat).Mul(new(big.Rat).SetInt(whole.moments.sum.int()), unit(sumUnit)); got.Cmp(want) != 0 {
				t.Errorf("sum %v, want %v", got, want)
			}
		})
	}
}

// kept are the values that are valid and finite.
func kept(values []float64, valid []bool) []float64 {
	var out []float64
	for i, v := range values {
		if present(valid, i) && finite(v) {
			out = append(out, v)
		}
	}
	return out
}

// Without squares all is the same but the deviations, which neither the profile nor one that it is
// merged into has.
func TestSkipSquares(t *testing.T) {
	t.Parallel()
	values := drawFrom((*rand.Rand).NormFloat64, 20*manyValues)
	few := make([]float64, len(values))
	for i := range few {
		few[i] = float64(i % 100)
	}
	exact := NewNumberGrid(few)
	if !exact.exact {
		t.Fatal("the grid is not exact")
	}
	few[17], few[18] = 0.5, 1.5 // between the cuts
	for name, tt := range map[string]struct {
		grid   *Grid
		values []float64
	}{"many values": {NewNumberGrid(drawFrom((*rand.Rand).NormFloat64, 20_000)), values}, "exact": {exact, few}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkSkipSquares(t, tt.grid, tt.values)
		})
	}
}

func checkSkipSquares(t *testing.T, grid *Grid, values []float64) {
	t.Helper()
	full, skipping := New(grid), New(grid)
	skipping.SkipSquares()
	full.AddFloats(values, nil)
	skipping.AddFloats(values, nil)
	want, _ := full.Mean()
	if got, ok := skipping.Mean(); !ok || got != want || !slices.Equal(full.Cells(), skipping.Cells()) {
		t.Errorf("mean %v %v, want %v, and the same cells", got, ok, want)
	}
	if skipping.moments.squares != (SquareSum{}) {
		t.Error("squares were added")
	}
	again := skipping.Empty()
	again.AddFloats(values, nil)
	weighted := skipping.Clone()
	weighted.AddFloatsWeighted([]float64{1}, nil, []float64{2})
	merged := full.Clone()
	if err := merged.Merge(skipping); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Profile{"counted": skipping, "like it": again, "weighted": weighted, "merged": merged} {
		sd, ok := p.SD()
		sample, sampled := p.SampleSD()
		if ok || sampled {
			t.Errorf("%s: standard deviation %v, of a sample %v", name, sd, sample)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was encoded", name)
				}
			}()
			_ = p.append(nil)
		}()
	}
}

func BenchmarkAddFloats(b *testing.B) {
	for _, shape := range shapes[:4] {
		p := New(NewNumberGrid(drawFrom(shape.draw, 200_000)))
		values := drawFrom(shape.draw, 1e5)
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				p.AddFloats(values, nil)
			}
			perValue(b, len(values))
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	g := NewNumberGrid(drawFrom(shapes[0].draw, 1e5))
	p, q := New(g), New(g)
	q.AddFloats(drawFrom(shapes[0].draw, 1e5), nil)
	for b.Loop() {
		if err := p.Merge(q); err != nil {
			b.Fatal(err)
		}
	}
}

// Many rows of few categories are counted apart, to the same counts; a place that is not in the dictionary is no more
// borne there than it is elsewhere.
func TestCountIndexes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 10))
	for _, places := range []int{1, 3, 255, 256, 257, 3000} {
		for _, rows := range []int{0, 3, 4095, 4096, 4099, 20_000} {
			index, want := make([]int32, rows), make([]int64, places)
			for i := range index {
				index[i] = int32(rng.IntN(places))
				want[index[i]]++
			}
			got := make([]int64, places)
			countIndexes(got, index)
			if !slices.Equal(got, want) {
				t.Errorf("%d rows of %d places: counts differ", rows, places)
			}
			for _, beyond := range []int32{int32(places), int32(places) + 256, -1} {
				if !panics(func() { countIndexes(got, append([]int32{beyond}, index...)) }) {
					t.Errorf("%d rows of %d places: place %d was counted", rows, places, beyond)
				}
			}
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
