package profile

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSortFloats(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.OneOf(rapid.Float64(), rapid.Float64Range(-3, 3), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.MaxFloat64, -math.MaxFloat64, 5e-324}))).Draw(t, "values")
		want := slices.Clone(values)
		slices.Sort(want)
		SortFloats(values, make([]float64, len(values)))
		if !slices.Equal(values, want) {
			t.Fatalf("got %v, want %v", values, want)
		}
	})
}

// Numbers that differ in the lower digits only cannot be put in order by insertion.
func TestSortFloatsOfEqualUpperDigits(t *testing.T) {
	t.Parallel()
	values := make([]float64, 50_000)
	for i := range values {
		values[i] = math.Float64frombits(math.Float64bits(1) + uint64(i*31337%(1<<22)))
	}
	want := slices.Clone(values)
	slices.Sort(want)
	SortFloats(values, make([]float64, len(values)))
	if !slices.Equal(values, want) {
		t.Error("not in order")
	}
}
