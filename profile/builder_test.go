package profile

import (
	"math"
	"strconv"
	"testing"
)

func TestNumberBuilderAgreesUpToItsLimit(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		values := append(drawFrom(shape.draw, 30_000), math.NaN(), math.Inf(1), math.Copysign(0, -1))
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
	if len(b.sample) > sampleSize || len(b.sample) < sampleSize/2-10_000 {
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
