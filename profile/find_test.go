package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// shapes are distributions that a grid may have to divide.
var shapes = []struct {
	name string
	draw func(*rand.Rand) float64
}{
	{"uniform", func(r *rand.Rand) float64 { return r.Float64() }},
	{"normal", func(r *rand.Rand) float64 { return 1e6 + r.NormFloat64() }},
	{"lognormal", func(r *rand.Rand) float64 { return math.Exp(2 * r.NormFloat64()) }},
	{"cauchy", func(r *rand.Rand) float64 { return math.Tan(math.Pi * (r.Float64() - 0.5)) }},
	{"half zeros", func(r *rand.Rand) float64 { return max(0, math.Exp(r.NormFloat64())-1) }},
	{"sentinel", func(r *rand.Rand) float64 {
		if r.IntN(50) == 0 {
			return -999
		}
		return r.NormFloat64()
	}},
	{"clusters", func(r *rand.Rand) float64 {
		if r.IntN(2) == 0 {
			return 1e6 + 1e-3*r.NormFloat64()
		}
		return r.Float64()
	}},
	{"integers", func(r *rand.Rand) float64 { return float64(r.IntN(100)) }},
	{"denormals", func(r *rand.Rand) float64 { return math.Float64frombits(r.Uint64N(1 << 52)) }},
	{"all doubles", func(r *rand.Rand) float64 {
		for {
			if v := math.Float64frombits(r.Uint64()); finite(v) {
				return v
			}
		}
	}},
}

func drawFrom(f func(*rand.Rand) float64, n int) []float64 {
	r := rand.New(rand.NewPCG(7, 11))
	values := make([]float64, n)
	for i := range values {
		values[i] = f(r)
	}
	return values
}

// bisect is the placement by its definition.
func bisect(cuts []float64, v float64) int {
	i := sort.SearchFloat64s(cuts, v)
	if i < len(cuts) && cuts[i] == v {
		return 2*i + 1
	}
	return 2 * i
}

func wantCells(cuts, values []float64) []int64 {
	cells := make([]int64, 2*len(cuts)+1)
	for _, v := range values {
		cells[bisect(cuts, v)]++
	}
	return cells
}

// around adds to the values every cut, its neighbours and the extremes.
func around(cuts, values []float64) []float64 {
	values = append(slices.Clone(values), 0, -math.MaxFloat64, math.MaxFloat64, math.SmallestNonzeroFloat64)
	for _, c := range cuts {
		for _, v := range []float64{c, math.Nextafter(c, math.Inf(1)), math.Nextafter(c, math.Inf(-1))} {
			if finite(v) {
				values = append(values, v+0)
			}
		}
	}
	return values
}

func TestFinderPlacesLikeBisection(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{0, 1, 2, 3, 17, 1999, 100_000} {
				g := NewNumberGrid(drawFrom(shape.draw, n))
				values := around(g.cuts, drawFrom(shape.draw, 20_000))
				cells := make([]int64, g.cells)
				g.find().count(cells, values)
				if want := wantCells(g.cuts, values); !slices.Equal(cells, want) {
					t.Errorf("with a baseline of %d values, cells differ from bisection", n)
				}
			}
		})
	}
}

func TestFinderPlacesAnyCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), 1, 60).Draw(t, "cuts")
		cuts := slices.Compact(sortedFinite(values))
		f := newFinder(cuts)
		others := around(cuts, rapid.SliceOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)).Draw(t, "values"))
		for i := range others {
			others[i] += 0 // callers have turned -0 into 0
		}
		cells := make([]int64, 2*len(cuts)+1)
		f.count(cells, others)
		if want := wantCells(cuts, others); !slices.Equal(cells, want) {
			t.Fatalf("cells %v, want %v", cells, want)
		}
	})
}

// A few steps over the table are what makes placing cheap; the test would see a
// change that silently turned a common shape into a plain binary search.
func TestFinderSpreadsCommonShapes(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		limit := 4
		if shape.name == "clusters" {
			limit = 1024
		}
		if g := NewNumberGrid(drawFrom(shape.draw, 100_000)); g.find().half > limit {
			t.Errorf("%s: first step %d, want at most %d", shape.name, g.find().half, limit)
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	for _, shape := range shapes {
		g := NewNumberGrid(drawFrom(shape.draw, 200_000))
		cells := make([]int64, g.cells)
		for _, n := range []int{1e3, 1e5, 1e7} {
			if n == 1e7 && shape.name != "normal" {
				continue
			}
			values := drawFrom(shape.draw, n)
			b.Run(fmt.Sprintf("table/%s/%d", shape.name, n), func(b *testing.B) {
				for b.Loop() {
					g.find().count(cells, values)
				}
				perValue(b, n)
			})
			b.Run(fmt.Sprintf("bisect/%s/%d", shape.name, n), func(b *testing.B) {
				for b.Loop() {
					for _, v := range values {
						cells[bisect(g.cuts, v)]++
					}
				}
				perValue(b, n)
			})
		}
	}
}

func perValue(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
}
