package profile_test

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch/profile"
)

// A profile of a histogram counts the same rows in its bins as the values that were
// counted, on both sides.
func TestFromHistogram(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Integers fall on bounds, which belong to the bucket above.
		values := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) float64 { return float64(rapid.IntRange(-20, 100).Draw(rt, "value")) }), 2, 200).Draw(rt, "values")
		low, high := values[0], values[0]
		for _, v := range values {
			low, high = min(low, v), max(high, v)
		}
		h := profile.Histogram{Counts: make([]int64, 10), Absent: 7}
		for i := range 11 {
			h.Bounds = append(h.Bounds, low+(high-low)*float64(i)/10)
		}
		bucket := func(v float64) int {
			for i := range 9 {
				if v < h.Bounds[i+1] {
					return i
				}
			}
			return 9
		}
		sum, squares := 0.0, 0.0
		for _, v := range values {
			h.Counts[bucket(v)]++
			sum += v
		}
		n := float64(len(values))
		h.Mean = sum / n
		for _, v := range values {
			squares += (v - h.Mean) * (v - h.Mean)
		}
		h.SD = math.Sqrt(squares / n)
		p, err := profile.FromHistogram(h)
		if err != nil {
			rt.Fatal(err)
		}
		counted := p.Empty()
		counted.AddFloats(values, nil)
		for i, c := range counted.BinCounts() {
			if p.BinCounts()[i] != c {
				rt.Fatalf("bins %v, the values are in %v", p.BinCounts(), counted.BinCounts())
			}
		}
		mean, _ := p.Mean()
		sd, _ := p.SD()
		if p.Count() != int64(len(values)) || p.Rows() != int64(len(values))+7 || p.Missing() != 7 || math.Abs(mean-h.Mean) > 1e-12*max(1, math.Abs(h.Mean)) || math.Abs(sd-h.SD) > 1e-6 {
			rt.Fatalf("%d of %d values, mean %v, deviation %v; want %v and %v", p.Count(), p.Rows(), mean, sd, h.Mean, h.SD)
		}
		set := &profile.Set{Columns: []profile.SetColumn{{Profile: p}}}
		text, err := set.MarshalBinary()
		if err != nil {
			rt.Fatal(err)
		}
		again, err := profile.Decode(text)
		if err != nil {
			rt.Fatal(err)
		}
		if twice, err := again.MarshalBinary(); err != nil || !bytes.Equal(text, twice) {
			rt.Fatalf("decoded and encoded it is another, %v", err)
		}
	})
}

func TestFromHistogramSpecialCases(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, h := range []profile.Histogram{
		{},
		{Bounds: []float64{0, 1}, Counts: []int64{1, 2}},
		{Bounds: []float64{0, 1, 0.5}, Counts: []int64{1, 2}},
		{Bounds: []float64{0, nan}, Counts: []int64{1}},
		{Bounds: []float64{0, inf}, Counts: []int64{1}},
		{Bounds: []float64{0, 1}, Counts: []int64{-1}},
		{Bounds: []float64{0, 1}, Counts: []int64{math.MaxInt64}},
		{Bounds: []float64{0, 1}, Counts: []int64{1}, Mean: nan},
		{Bounds: []float64{0, 1}, Counts: []int64{1}, SD: -1},
		{Bounds: []float64{0, 1}, Counts: []int64{1}, Absent: -1},
	} {
		if p, err := profile.FromHistogram(h); err == nil {
			t.Errorf("%+v gives %v, want an error", h, p)
		}
	}
	p, err := profile.FromHistogram(profile.Histogram{Bounds: []float64{5, 5, 5}, Counts: []int64{0, 9}, Mean: 5})
	if err != nil || len(p.Grid().Cuts()) != 1 || !p.Grid().Exact() || p.Cells()[1] != 9 {
		t.Errorf("a constant gives %+v, %v", p, err)
	}
	p, err = profile.FromHistogram(profile.Histogram{Bounds: []float64{0, 0}, Counts: []int64{0}, Absent: 3})
	if err != nil || p.Rows() != 3 || p.Count() != 0 {
		t.Errorf("no values give %+v, %v", p, err)
	}
}

func TestFromCategories(t *testing.T) {
	t.Parallel()
	p, err := profile.FromCategories([]profile.CategoryCount{{Value: "b", Count: 2}, {Value: "a", Count: 5}}, 0, 3)
	if err != nil || p.Count() != 7 || p.Missing() != 3 || !p.Grid().KnowsCategories() || p.Grid().Categories()[0] != "a" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = profile.FromCategories([]profile.CategoryCount{{Value: "b", Count: 2}}, 4, 0)
	if err != nil || p.Count() != 6 || p.Grid().KnowsCategories() || p.BinCounts()[1] != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := profile.FromCategories(nil, -1, 0); err == nil {
		t.Error("a negative count is taken")
	}
}
