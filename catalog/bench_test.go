package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

// onEachBench runs a benchmark on a database of each kind.
func onEachBench(b *testing.B, bench func(b *testing.B, c *testBundle)) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) { bench(b, setup(b, db.dsn(b))) })
	}
}

// BenchmarkCompleteRun: 1,000 measurements, the next window of a job each time.
func BenchmarkCompleteRun(b *testing.B) {
	onEachBench(b, func(b *testing.B, c *testBundle) {
		var ms []modelwatch.Measurement
		for i := range 1000 {
			ms = append(ms, feature(fmt.Sprintf("column %03d", i), "psi", float64(i)))
		}
		n := 0
		for b.Loop() {
			n--
			run := modelwatch.Run{ID: uuid.NewString(), Model: "fraud", Job: "drift", Window: hour(n), Revision: 1}
			_, _, err := c.AddRun(b.Context(), run)
			must(b, err)
			must(b, c.CompleteRun(b.Context(), claim(b, c, "a"), ms, nil))
		}
	})
}

// BenchmarkCommitIngest: a flush of 16 partitions, 20 files and 200 counts, as
// one consumer makes it every few seconds.
func BenchmarkCommitIngest(b *testing.B) {
	onEachBench(b, func(b *testing.B, c *testBundle) {
		const partitions, files, volumes = 16, 20, 200
		take(b, c.Catalog, "owner", partitions)
		next := int64(-1)
		for b.Loop() {
			b.StopTimer()
			commit := modelwatch.IngestCommit{ID: uuid.NewString(), Group: "group", Owner: "owner"}
			for i := range int32(partitions) {
				commit.Ranges = append(commit.Ranges, span(i, next, next+1000, 0))
			}
			next += 1000
			var keys []string
			for range files {
				keys = append(keys, uuid.NewString())
				commit.Files = append(commit.Files, modelwatch.DataFile{Key: keys[len(keys)-1], Kind: modelwatch.KindPrediction, Model: "fraud", Version: "1"})
			}
			for i := range volumes {
				bucket := start.Add(modelwatch.BucketSize * time.Duration(i/10))
				commit.Volumes = append(commit.Volumes, modelwatch.Volume{Model: fmt.Sprint("model ", i%10), Version: "1", Kind: modelwatch.KindPrediction, BucketStart: bucket, Seen: 1})
			}
			must(b, c.IntendUpload(b.Context(), keys, "owner"))
			b.StartTimer()
			must(b, c.CommitIngest(b.Context(), commit))
		}
	})
}

// BenchmarkClaimRun: one of 10,000 queued runs.
func BenchmarkClaimRun(b *testing.B) {
	onEachBench(b, func(b *testing.B, c *testBundle) {
		planHours(b, c, putJob(b, c, "drift"), 10_000)
		for b.Loop() {
			must(b, c.ReleaseRun(b.Context(), claim(b, c, "a")))
		}
	})
}
