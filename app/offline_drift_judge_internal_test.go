package app

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

// What is judged of groups and of the model stands behind its part, whether there is room for it or not.
func TestWeave(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var ms, want []modelwatch.Measurement
		var ends []int
		var more [][]modelwatch.Measurement
		n := 0
		draw := func(least int) []modelwatch.Measurement {
			out := make([]modelwatch.Measurement, rapid.IntRange(least, 4).Draw(r, "measurements"))
			for i := range out {
				n++
				out[i].K = n
			}
			return out
		}
		for range rapid.IntRange(0, 5).Draw(r, "parts") {
			part, added := draw(1), draw(0)
			ms, more = append(ms, part...), append(more, added)
			ends, want = append(ends, len(ms)), append(append(want, part...), added...)
		}
		ms = slices.Grow(slices.Clip(ms), rapid.IntRange(0, 30).Draw(r, "room"))
		got := weave(ms, ends, more)
		if !slices.EqualFunc(got, want, func(a, b modelwatch.Measurement) bool { return a.K == b.K }) {
			r.Errorf("got %v, want %v", got, want)
		}
	})
}
