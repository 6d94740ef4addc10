package profile

import (
	"math"
	"slices"
	"testing"
)

// Whole weights are repetitions; weights of 1 are none.
func TestWeightedNumberBuilder(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		values := append(drawFrom(shape.draw, 30_000), math.NaN(), math.Inf(1), math.Copysign(0, -1))
		weights, repeated := make([]float64, len(values)), []float64(nil)
		for i, v := range values {
			weights[i] = float64(1 + i%3)
			repeated = append(repeated, repeat(v, 1+i%3)...)
		}
		for _, tt := range []struct {
			name    string
			weights []float64
			want    []float64
		}{{"ones", ones(len(values)), values}, {"whole", weights, repeated}} {
			b := NewWeightedNumberBuilder()
			b.AddFloats(values[:100], nil, tt.weights[:100])
			b.AddFloats(values[100:], nil, tt.weights[100:])
			b.AddFloats([]float64{1e9, 2e9, 3e9}, []bool{true, true, false}, []float64{0, math.NaN(), 1})
			if got, want := b.Grid().ID(), NewNumberGrid(tt.want).ID(); got != want {
				t.Errorf("%s, %s: grid %s, want %s", shape.name, tt.name, got, want)
			}
		}
	}
}

// A column of which every second value weighs nine times as much has its bins
// where the weight is, also when only a sample is held.
func TestWeightedNumberBuilderSamples(t *testing.T) {
	t.Parallel()
	const n = sampleSize + 200_000
	values, weights := make([]float64, n), make([]float64, n)
	for i := range values {
		values[i], weights[i] = math.Abs(math.Sin(float64(i))), 0.1
		if i%2 == 0 {
			values[i], weights[i] = -values[i], 0.9
		}
	}
	b := NewWeightedNumberBuilder()
	b.AddFloats(values, nil, weights)
	if len(b.held) > sampleSize {
		t.Fatalf("%d values held", len(b.held))
	}
	p := New(b.Grid())
	p.AddFloatsWeighted(values, nil, weights)
	if p.Grid().Exact() {
		t.Error("exact, though only a sample was held")
	}
	for i, m := range p.BinMass() {
		if share := m / p.Mass(); math.Abs(share-0.1) > 0.005 {
			t.Errorf("bin %d holds %v of the weight", i, share)
		}
	}
}

func TestWeightedCategoryBuilder(t *testing.T) {
	t.Parallel()
	b := NewWeightedCategoryBuilder()
	b.AddCategories([]string{"rare but heavy", "often", "never"}, []int32{0, 1, 1, 1, 2}, nil, []float64{100, 1, 1, 1, -1})
	b.AddCategories([]string{"often", "b", "a"}, []int32{0, 1, 2, 0}, []bool{true, true, true, false}, []float64{1, 2, 2, 1e6})
	if got, want := b.Grid().Categories(), []string{"rare but heavy", "often", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("categories %q, want %q", got, want)
	}
}
