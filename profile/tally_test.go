package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// orders are orders in which values may come.
var orders = []struct {
	name string
	sort func([]float64)
}{
	{"drawn", func([]float64) {}},
	{"ascending", func(v []float64) { slices.Sort(v) }},
	{"descending", func(v []float64) { slices.Sort(v); slices.Reverse(v) }},
}

// strewn puts what is not finite, and zeros of both signs, among values.
func strewn(values []float64) (all []float64, invalid int64) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, v := range values {
		switch r.IntN(300) {
		case 0:
			all = append(all, math.NaN())
			invalid++
		case 1:
			all = append(all, math.Inf(1), math.Inf(-1))
			invalid += 2
		case 2:
			all = append(all, math.Copysign(0, -1))
		}
		all = append(all, v)
	}
	return all, invalid
}

// A profile counts many values as their cells are defined, and so does one that is given them
// one by one, which has no tally.
func TestTallyCountsLikeBisection(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		for _, order := range orders {
			t.Run(shape.name+" "+order.name, func(t *testing.T) {
				t.Parallel()
				for _, n := range []int{0, 1, 2, 17, 1999, 100_000} {
					g := NewNumberGrid(drawFrom(shape.draw, n))
					values := around(g.cuts, drawFrom(shape.draw, 3*manyValues))
					order.sort(values)
					all, invalid := strewn(values)
					many, single := New(g), New(g)
					many.AddFloats(all, nil)
					for part := range slices.Chunk(all, manyValues-1) {
						single.AddFloats(part, nil)
					}
					finiteOnes := slices.DeleteFunc(slices.Clone(all), func(v float64) bool { return !finite(v) })
					if want := wantCells(g.cuts, finiteOnes); !slices.Equal(many.cells, want) || many.invalid != invalid {
						t.Errorf("with a baseline of %d values, cells differ from bisection, or %d are invalid, not %d", n, many.invalid, invalid)
					}
					if !slices.Equal(many.cells, single.cells) || *many.moments != *single.moments || many.count != single.count {
						t.Errorf("with a baseline of %d values, it matters how many are counted in one call", n)
					}
				}
			})
		}
	}
}

// Whatever the cuts, the values and the extremes before, a value is counted once, where it belongs.
func TestTallyPlacesAnyCuts(t *testing.T) {
	t.Parallel()
	number := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.Float64Range(0, 1), rapid.Map(rapid.IntRange(0, 30), func(i int) float64 { return float64(i) }))
	rapid.Check(t, func(t *rapid.T) {
		cuts := slices.Compact(sortedFinite(rapid.SliceOfN(number, 1, 60).Draw(t, "cuts")))
		values := around(cuts, rapid.SliceOf(number).Draw(t, "values"))
		m := newMoments()
		tally := newTally(newFinder(cuts), m)
		defer tally.release()
		for range 2 { // the second time within the extremes
			for block := range slices.Chunk(values, blockSize) {
				rest := tally.inner(block)
				if invalid := m.extend(rest); invalid > 0 {
					t.Fatalf("%d of %v are invalid", invalid, rest)
				}
				tally.outer(rest, m)
			}
		}
		cells := make([]int64, 2*len(cuts)+1)
		tally.move(cells)
		want := wantCells(cuts, values)
		for i := range want {
			want[i] *= 2
		}
		if !slices.Equal(cells, want) {
			t.Fatalf("cells %v, want %v", cells, want)
		}
		if lo, hi := slices.Min(values), slices.Max(values); m.min != lo || m.max != hi {
			t.Fatalf("from %v to %v, want %v to %v", m.min, m.max, lo, hi)
		}
	})
}

// What is not well within is counted by the map of bits on spare nodes, and on no memory beyond them.
func TestTallyKeepsToItsNodes(t *testing.T) {
	t.Parallel()
	const beyond = 16
	ascending := func(i int) float64 { return math.Exp(float64(i) / 100) }
	paired := func(i int) float64 { return math.Exp(float64(i/2)/100 + 1e-6*float64(i%2)) }
	for most, cut := range map[int]func(int) float64{1: ascending, 2: paired} {
		cuts := make([]float64, 1000)
		for i := range cuts {
			cuts[i] = cut(i)
		}
		m := newMoments()
		tally := newTally(newFinder(cuts), m)
		if tally.way != wayBits || tally.most != most {
			t.Fatalf("way %d, %d cuts in a slot, want %d", tally.way, tally.most, most)
		}
		n := len(tally.nodes)
		grown := make([]node, n+spareNodes+beyond)
		copy(grown, tally.nodes)
		tally.nodes = grown[:n]
		m.extend(cuts)
		tally.limit(m)
		values := []float64{-1, math.Copysign(0, -1), 0, math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1), -math.MaxFloat64, math.MaxFloat64, cuts[500], 1.5}
		if rest := tally.inner(values); len(rest) != len(values)-2 {
			t.Errorf("%d cuts in a slot: %v are left", most, rest)
		}
		for i, spare := range tally.nodes[n+spareNodes : n+spareNodes+beyond] {
			if spare != (node{}) {
				t.Errorf("%d cuts in a slot: node %d beyond the spare ones is %v", most, i, spare)
			}
		}
	}
}

// BenchmarkTally counts on the cells of a grid, as a comparison does, and on the
// provisional cuts of a builder.
func BenchmarkTally(b *testing.B) {
	const n = 1 << 16
	for _, shape := range shapes {
		base := drawFrom(shape.draw, 200_000)
		values := drawFrom(shape.draw, n)
		for name, cuts := range map[string][]float64{"cells": NewNumberGrid(base).cuts, "provisional": provisional(&heldSpace{}, base)} {
			f := newFinder(cuts)
			b.Run(fmt.Sprintf("%s/%s", shape.name, name), func(b *testing.B) {
				m := newMoments()
				tally := newTally(f, m)
				for b.Loop() {
					for block := range slices.Chunk(values, blockSize) {
						rest := tally.inner(block)
						m.extend(rest)
						tally.outer(rest, m)
					}
					tally.added = 0
				}
				tally.release()
				perValue(b, n)
			})
		}
	}
}
