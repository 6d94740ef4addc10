package catalog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

// count commits events of a version.
func count(t testing.TB, b *testBundle, volumes ...modelwatch.Volume) {
	t.Helper()
	cursors := take(t, b.Catalog, "owner", 1)
	at := cursors[partition(0)]
	for i := range volumes {
		volumes[i].Model = "fraud"
		volumes[i].BucketStart = start.Add(time.Duration(i) * time.Hour)
	}
	must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{
		ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, at.Next, at.Next+1, at.Epoch)}, Volumes: volumes,
	}))
}

// reports returns the counts that wait for a sink, as "metric tags value".
func reports(t testing.TB, b *testBundle, sink string) (got []string) {
	t.Helper()
	entries, _, err := b.ClaimOutbox(t.Context(), sink, "deliverer", b.clock.now(), time.Minute, 100)
	must(t, err)
	for _, e := range entries {
		for _, c := range e.Publication.Counts {
			got = append(got, fmt.Sprintf("%s %s %v %d of %ds", c.Time.Format("05.000"), c.Metric, c.Tags, c.Value, c.IntervalSeconds))
		}
		must(t, b.AckOutbox(t.Context(), []int64{e.ID}))
	}
	return got
}

func TestReportCounts(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		sinks := []string{"datadog", "stdout"}
		report := func(want int) {
			t.Helper()
			n, leader, err := b.ReportCounts(t.Context(), "a", b.clock.now(), sinks)
			must(t, err)
			if !leader || n != want {
				t.Errorf("reported %d counts, leader %v; want %d", n, leader, want)
			}
		}
		report(0) // nothing has happened yet, but from now on the interval is known
		count(t, b,
			modelwatch.Volume{Version: "1", Kind: modelwatch.KindPrediction, Seen: 3, Kept: 1, Rejected: 1},
			modelwatch.Volume{Version: "1", Kind: modelwatch.KindPrediction, Seen: 4},
			modelwatch.Volume{Version: "1", Kind: modelwatch.KindAttribution, Seen: 5, Rejected: 2},
			modelwatch.Volume{Version: "2", Kind: modelwatch.KindPrediction, Seen: 6},
			modelwatch.Volume{Version: "", Kind: modelwatch.KindLabel, Seen: 7},
		)
		publish(t, b, 0, 1)
		publish(t, b, 1, 1)
		must(t, b.FailRun(t.Context(), addClaimed(t, b, "quality", 2, 1), "broken", nil))
		addClaimed(t, b, "drift", 3, 1) // still running

		b.clock.advance(90*time.Second + 500*time.Millisecond)
		report(7)
		want := []string{
			"30.000 modelwatch.run.failed map[job:quality kind:drift model:fraud] 1 of 90s",
			"30.000 modelwatch.run.succeeded map[job:drift kind:drift model:fraud] 2 of 90s",
			"30.000 modelwatch.volume.attributions map[model:fraud model_version:1] 5 of 90s",
			"30.000 modelwatch.volume.labels map[model:fraud] 7 of 90s",
			"30.000 modelwatch.volume.predictions map[model:fraud model_version:1] 7 of 90s",
			"30.000 modelwatch.volume.predictions map[model:fraud model_version:2] 6 of 90s",
			"30.000 modelwatch.volume.rejected map[model:fraud model_version:1] 3 of 90s",
		}
		same(t, "datadog", reports(t, b, "datadog"), want)
		same(t, "stdout", reports(t, b, "stdout"), want)

		count(t, b, modelwatch.Volume{Version: "2", Kind: modelwatch.KindPrediction, Seen: 10})
		b.clock.advance(400 * time.Millisecond)
		report(0) // the same second
		b.clock.advance(-10 * time.Second)
		report(0) // a clock that goes backwards
		b.clock.advance(10*time.Second + 100*time.Millisecond)
		report(1)
		b.clock.advance(time.Second)
		report(0)
		same(t, "what was new", reports(t, b, "datadog"), []string{"31.000 modelwatch.volume.predictions map[model:fraud model_version:2] 10 of 1s"})
	})
}

// TestNothingIsReportedTwice: reporters and commits run at once; in the end the
// counts of all reports add up to what was committed.
func TestNothingIsReportedTwice(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const rounds = 12
		take(t, b.Catalog, "owner", 1)
		errs := concurrently(3, func(i int) error {
			for round := range int64(rounds) {
				if i > 0 {
					now := start.Add(time.Duration(round) * 5 * time.Minute)
					if _, _, err := b.ReportCounts(t.Context(), fmt.Sprint(i), now, []string{"datadog"}); err != nil {
						return err
					}
					continue
				}
				err := b.CommitIngest(t.Context(), modelwatch.IngestCommit{
					ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, round-1, round, 0)},
					Volumes: []modelwatch.Volume{{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start, Seen: 1 << round}},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		must(t, errors.Join(errs...))
		_, leader, err := b.ReportCounts(t.Context(), "last", start.Add(24*time.Hour), []string{"datadog"})
		if err != nil || !leader {
			t.Fatalf("the last report: leader %v, %v", leader, err)
		}
		entries, _, err := b.ClaimOutbox(t.Context(), "datadog", "deliverer", start, time.Minute, 100)
		must(t, err)
		var sum int64
		seconds := map[time.Time]bool{}
		for _, e := range entries {
			for _, c := range e.Publication.Counts {
				sum += c.Value
				if seconds[c.Time] {
					t.Errorf("two reports at %s", c.Time)
				}
				seconds[c.Time] = true
			}
		}
		if sum != 1<<rounds-1 {
			t.Errorf("reported %b, want %b", sum, 1<<rounds-1)
		}
	})
}

func TestReportLeaderChanges(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		lead := func(owner string, want bool) {
			t.Helper()
			_, leader, err := b.ReportCounts(t.Context(), owner, b.clock.now(), nil)
			must(t, err)
			if leader != want {
				t.Errorf("%s leads: %v, want %v", owner, leader, want)
			}
		}
		lead("a", true)
		lead("b", false)
		b.clock.advance(reporterLease)
		lead("b", true)
		lead("a", false)
	})
}

// TestNoSinkNoBacklog: what is counted while nobody listens is not saved up for
// the first sink that comes.
func TestNoSinkNoBacklog(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		count(t, b, modelwatch.Volume{Version: "1", Kind: modelwatch.KindPrediction, Seen: 10})
		_, _, err := b.ReportCounts(t.Context(), "a", b.clock.now(), nil)
		must(t, err)
		b.clock.advance(time.Second)
		n, _, err := b.ReportCounts(t.Context(), "a", b.clock.now(), []string{"datadog"})
		if err != nil || n != 0 {
			t.Errorf("reported %d counts (%v), want 0", n, err)
		}
	})
}
