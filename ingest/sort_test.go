package ingest

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

// TestSortedByRank compares with a stable sort, on ranks as hashes make them, in
// a narrow band as a low sampling rate leaves them, and with many equal ones.
func TestSortedByRank(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int64{0, 1, 5, 1 << 20, 1<<modelwatch.RankBits - 1}).Draw(t, "most")
		ranks := rapid.SliceOfN(rapid.Int64Range(0, most), 0, 300).Draw(t, "ranks")
		if rapid.Bool().Draw(t, "with an outlier") {
			ranks = append(ranks, 1<<modelwatch.RankBits-1)
		}
		want := make([]int32, len(ranks))
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(ranks[a], ranks[b]) })
		if got := sortedByRank(ranks); !slices.Equal(got, want) {
			t.Fatalf("ranks %v: got %v, want %v", ranks, got, want)
		}
	})
}
