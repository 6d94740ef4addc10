package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// TestPartitionStates: what the status of ingest is made of, over two partitions
// of which one has gaps and the other was never committed to.
func TestPartitionStates(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "before", 2)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, -1, 10, 0))))
		b.clock.advance(time.Hour)
		take(t, b.Catalog, "owner", 1)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, skipping(0, 10, 20, 40, 1)))) // 10 to 29 were deleted
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 40, 50, 1))))
		back := modelwatch.IngestCommit{ID: "back", Group: "group", Owner: "owner", Ranges: []modelwatch.Range{skipping(0, 50, -3, 49, 1)}}
		must(t, b.CommitIngest(t.Context(), back)) // 47 to 49 were cut off, and two came in their place
		at := b.clock.now()
		other := take(t, b.Catalog, "owner", 1)
		_, err := b.TakePartitions(t.Context(), "another group", "x", []modelwatch.Partition{partition(0), partition(7)})
		must(t, err)
		b.clock.advance(time.Minute)

		got, err := b.PartitionStates(t.Context(), "group", at)
		must(t, err)
		same(t, "partitions", got, []modelwatch.PartitionState{
			{Partition: partition(0), Cursor: other[partition(0)], Owner: "owner", CommittedAt: at, Recent: 10 + 7 + 2, Deleted: 20, Truncated: 3},
			{Partition: partition(1), Cursor: modelwatch.Cursor{Next: -1, LeaderEpoch: -1}, Owner: "before"},
		})
		got, err = b.PartitionStates(t.Context(), "group", start)
		must(t, err)
		if got[0].Recent != 29 {
			t.Errorf("%d offsets since the start, want 29", got[0].Recent)
		}
		none, err := b.PartitionStates(t.Context(), "no group", start)
		must(t, err)
		same(t, "partitions of no group", none, []modelwatch.PartitionState(nil))
	})
}

func TestVersionVolumesAndRejected(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		for _, model := range []string{"fraud", "churn"} {
			_, err := b.EnsureVersion(t.Context(), model, "1")
			must(t, err)
		}
		commit := flush(t, b.Catalog, span(0, -1, 10, 0))
		commit.Volumes = []modelwatch.Volume{
			{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start, Seen: 3, Kept: 2, Rejected: 1},
			{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start.Add(5 * time.Minute), Seen: 30, Kept: 20},
			{Model: "fraud", Version: "1", Kind: modelwatch.KindLabel, BucketStart: start, Seen: 1, Kept: 1},
			{Model: "churn", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start.Add(time.Hour), Seen: 100},
		}
		letter := commit.DeadLetters[0]
		letter.Model, letter.Offset = "fraud", 5
		commit.DeadLetters = append(commit.DeadLetters, letter)
		must(t, b.CommitIngest(t.Context(), commit))

		got, err := b.VersionVolumes(t.Context(), modelwatch.Window{Start: start, End: start.Add(time.Hour)})
		must(t, err)
		same(t, "volumes", got, []modelwatch.Volume{
			{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start, Seen: 33, Kept: 22, Rejected: 1},
			{Model: "fraud", Version: "1", Kind: modelwatch.KindLabel, BucketStart: start, Seen: 1, Kept: 1},
		})
		rejected, err := b.Rejected(t.Context(), start)
		must(t, err)
		same(t, "rejected", rejected, []modelwatch.RejectedCount{{Reason: modelwatch.DeadNoID, Count: 1}, {Model: "fraud", Reason: modelwatch.DeadNoID, Count: 1}})
		rejected, err = b.Rejected(t.Context(), start.Add(time.Second))
		must(t, err)
		same(t, "rejected since", rejected, []modelwatch.RejectedCount(nil))
	})
}

func TestUploads(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		none, err := b.Uploads(t.Context())
		must(t, err)
		same(t, "no uploads", none, modelwatch.UploadState{})
		take(t, b.Catalog, "owner", 1)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, -1, 10, 0))))
		must(t, b.IntendUpload(t.Context(), []string{"old"}, "owner"))
		b.clock.advance(time.Minute)
		must(t, b.IntendUpload(t.Context(), []string{"a", "b"}, "owner"))
		got, err := b.Uploads(t.Context())
		must(t, err)
		same(t, "pending", got, modelwatch.UploadState{Pending: 3, OldestPending: start})
		_, err = b.CondemnIntents(t.Context(), start.Add(time.Second), 10)
		must(t, err)
		got, err = b.Uploads(t.Context())
		must(t, err)
		same(t, "condemned", got, modelwatch.UploadState{Pending: 2, OldestPending: start.Add(time.Minute), Condemned: 1})
		must(t, b.ForgetIntents(t.Context(), []string{"old"}))
		got, err = b.Uploads(t.Context())
		must(t, err)
		same(t, "buried", got, modelwatch.UploadState{Pending: 2, OldestPending: start.Add(time.Minute)})
	})
}
