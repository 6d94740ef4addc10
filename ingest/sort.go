package ingest

import (
	"cmp"
	"math/bits"
	"slices"
)

type ranked struct {
	rank int64
	row  int32
}

// sortedByRank returns the rows in ascending rank, equal ranks as they came.
//
// Ranks are hashes, so their upper bits spread the rows evenly: after one pass of
// counting by these, each run of equal upper bits holds a row or two. Should
// somebody have managed to make them uneven, the runs are sorted by comparing.
func sortedByRank(ranks []int64) []int32 {
	order := make([]int32, len(ranks))
	if len(ranks) == 0 {
		return order
	}
	width := min(bits.Len(uint(len(ranks))), 18)
	shift := max(bits.Len64(uint64(slices.Max(ranks)))-width, 0)
	starts := make([]int32, 1<<width+1)
	for _, r := range ranks {
		starts[r>>shift+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	rows := make([]ranked, len(ranks))
	for i, r := range ranks {
		at := &starts[r>>shift]
		rows[*at] = ranked{r, int32(i)}
		*at++
	}
	sortRuns(rows, shift)
	for i, r := range rows {
		order[i] = r.row
	}
	return order
}

// sortRuns sorts each run of rows whose ranks have the same upper bits.
func sortRuns(rows []ranked, shift int) {
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].rank>>shift == rows[from].rank>>shift {
			to++
		}
		if to-from > 1 {
			sortRun(rows[from:to])
		}
		from = to
	}
}

func sortRun(run []ranked) {
	if len(run) > 32 {
		slices.SortStableFunc(run, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
		return
	}
	for i := 1; i < len(run); i++ {
		for j := i; j > 0 && run[j].rank < run[j-1].rank; j-- {
			run[j], run[j-1] = run[j-1], run[j]
		}
	}
}
