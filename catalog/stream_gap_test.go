package catalog

import (
	"testing"

	"github.com/modelwatch/modelwatch"
)

// skipping is a range whose first offsets cannot be read.
func skipping(n int32, from, skip, to, epoch int64) modelwatch.Range {
	r := span(n, from, to, epoch)
	r.Skip = skip
	return r
}

// tiles lists the ranges and gaps of partition 0 by their first offset.
func tiles(t testing.TB, b *testBundle) (out [][2]int64) {
	t.Helper()
	scan := func(r row) (v [2]int64, err error) {
		err = r.Scan(&v[0], &v[1])
		return v, err
	}
	out, err := find(t.Context(), b.Catalog, "tiles", scan, `SELECT from_offset, to_offset FROM commit_range WHERE partition_id = 0
		UNION ALL SELECT from_offset, to_offset FROM stream_gap WHERE partition_id = 0 AND reason = 'deleted' ORDER BY from_offset`)
	must(t, err)
	return out
}

// TestGapOfDeletedRecords: what retention deleted before it was read is a row, in
// the transaction that moves the cursor over it.
func TestGapOfDeletedRecords(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, -1, 10, 0))))
		wantCode(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, skipping(0, 10, 20, 20, 0))), modelwatch.CodeInternal)
		wantCode(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, skipping(0, 9, 20, 40, 0))), modelwatch.CodeFenced)
		only := modelwatch.IngestCommit{ID: "only a gap", Group: "group", Owner: "owner", Ranges: []modelwatch.Range{skipping(0, 10, 20, 30, 0)}}
		must(t, b.CommitIngest(t.Context(), only))
		must(t, b.CommitIngest(t.Context(), only)) // its answer was lost
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, skipping(0, 30, 5, 40, 0))))
		same(t, "tiles", tiles(t, b), [][2]int64{{-1, 10}, {10, 30}, {30, 35}, {35, 40}})
		gaps, err := b.Gaps(t.Context(), "group", 10)
		must(t, err)
		want := modelwatch.Gap{Partition: partition(0), From: 10, To: 30, Reason: modelwatch.GapDeleted, Owner: "owner", CommitID: "only a gap", CreatedAt: start}
		if len(gaps) != 2 {
			t.Fatalf("%d gaps, want 2", len(gaps))
		}
		same(t, "older gap", gaps[1], want)
	})
}

// TestGapOfATruncatedLog: the cursor goes back to where the log was cut, and the
// offsets behind belong to the records that come there now.
func TestGapOfATruncatedLog(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		for from := int64(-1); from < 29; from += 10 { // [-1,9), [9,19), [19,29), each with a dead letter at its second offset
			must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, from, from+10, 0))))
		}
		back := modelwatch.IngestCommit{ID: "back", Group: "group", Owner: "owner", Ranges: []modelwatch.Range{skipping(0, 29, -14, 15, 0)}}
		must(t, b.CommitIngest(t.Context(), back))
		same(t, "tiles", tiles(t, b), [][2]int64{{-1, 9}, {9, 15}})
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 15, 19, 0))))
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 19, 29, 0)))) // its dead letter is at an offset that had one
		same(t, "tiles", tiles(t, b), [][2]int64{{-1, 9}, {9, 15}, {15, 19}, {19, 29}})
		if n := b.scalar(t, `SELECT count(*) FROM dead_letter`); n != 5 {
			t.Errorf("%d dead letters of five commits that had one each", n)
		}
		gaps, err := b.Gaps(t.Context(), "group", 10)
		must(t, err)
		if len(gaps) != 1 || gaps[0].Reason != modelwatch.GapTruncated || gaps[0].From != 15 || gaps[0].To != 29 {
			t.Errorf("gaps: %+v", gaps)
		}
	})
}
