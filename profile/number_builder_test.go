package profile

import (
	"testing"

	"pgregory.net/rapid"
)

// TestSampleHasOneOfEachStratum: wherever blocks end, each stratum gives one value, at
// positions that are uniform within it; strata in which a gap lies give one at most.
func TestSampleHasOneOfEachStratum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.UintRange(1, 6).Draw(t, "shift")
		b := &NumberBuilder{shift: shift}
		position := int64(0)
		gaps := map[int64]bool{}
		for range rapid.IntRange(1, 20).Draw(t, "blocks") {
			if skipped := rapid.Int64Range(0, 100).Draw(t, "skipped"); rapid.Bool().Draw(t, "gap") {
				for range skipped {
					gaps[position>>shift] = true
					position++
				}
			}
			block := make([]float64, rapid.IntRange(0, 500).Draw(t, "values"))
			for i := range block {
				block[i] = float64(position)
				position++
			}
			b.sampleFrom(position-int64(len(block)), block)
		}
		seen := map[int64]int{}
		for _, v := range b.sample {
			seen[int64(v)>>shift]++
		}
		for stratum := range position >> shift {
			if n := seen[stratum]; n != 1 && !(n == 0 && gaps[stratum]) {
				t.Fatalf("stratum %d of %d: %d values", stratum, position>>shift, n)
			}
		}
	})
}

// TestSamplePositionsAreUniform: 2^20 strata of 8 positions each, by Pearson's test; the
// bound is the 99.9 % point of chi-square with 7 degrees of freedom.
func TestSamplePositionsAreUniform(t *testing.T) {
	t.Parallel()
	const shift, strata = 3, 1 << 20
	values := make([]float64, strata<<shift)
	for i := range values {
		values[i] = float64(i % (1 << shift))
	}
	b := &NumberBuilder{shift: shift}
	b.sampleFrom(0, values)
	var counts [1 << shift]float64
	for _, v := range b.sample {
		counts[int(v)]++
	}
	chi := 0.0
	for _, n := range counts {
		chi += (n - strata>>shift) * (n - strata>>shift) / (strata >> shift)
	}
	if len(b.sample) != strata || chi > 24.32 {
		t.Errorf("%d values, chi-square %.1f of %v", len(b.sample), chi, counts)
	}
}
