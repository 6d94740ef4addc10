package catalog

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func putJob(t testing.TB, b *testBundle, name string) modelwatch.Job {
	t.Helper()
	putModel(t, b, "fraud")
	j, _, err := b.PutJob(t.Context(), modelwatch.Job{Model: "fraud", Name: name, Kind: modelwatch.JobDrift, Cron: "* * * * *"})
	must(t, err)
	return j
}

// hour is the n-th window of an hour that ended before the start.
func hour(n int) modelwatch.Window {
	end := start.Add(-time.Duration(n) * time.Hour)
	return modelwatch.Window{Start: end.Add(-time.Hour), End: end}
}

// planHours plans the last n hours, newest first.
func planHours(t testing.TB, b *testBundle, j modelwatch.Job, n int) {
	t.Helper()
	var windows []modelwatch.Window
	for i := range n {
		windows = append(windows, hour(i))
	}
	_, err := b.PlanRuns(t.Context(), j, windows, start)
	must(t, err)
}

func claim(t testing.TB, b *testBundle, worker string) modelwatch.Run {
	t.Helper()
	run, ok, err := b.ClaimRun(t.Context(), worker, b.clock.now(), time.Minute)
	must(t, err)
	if !ok {
		t.Fatal("there is no run to claim")
	}
	return run
}

func TestPlanRunsIsCompareAndSet(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		j := putJob(t, b, "drift")
		windows := []modelwatch.Window{hour(2), hour(1), hour(0)}
		added := make([]int, 8)
		errs := concurrently(len(added), func(i int) (err error) {
			added[i], err = b.PlanRuns(t.Context(), j, windows, start)
			return err
		})
		same(t, "outcomes", codes(errs), map[modelwatch.Code]int{"": 1, modelwatch.CodeConflict: 7})
		slices.Sort(added)
		same(t, "added", added, []int{0, 0, 0, 0, 0, 0, 0, 3})

		j, err := b.Job(t.Context(), "fraud", "drift")
		must(t, err)
		if !j.PlannedUntil.Equal(start) {
			t.Errorf("planned until %s, want %s", j.PlannedUntil, start)
		}
		// Windows that have a run keep it.
		n, err := b.PlanRuns(t.Context(), j, append(windows, hour(3)), start.Add(time.Hour))
		if err != nil || n != 1 {
			t.Errorf("planned %d of four windows, three of them with a run (%v); want 1", n, err)
		}

		stale := j
		stale.Revision++
		stale.PlannedUntil = start.Add(time.Hour)
		_, err = b.PlanRuns(t.Context(), stale, windows, start.Add(2*time.Hour))
		wantCode(t, err, modelwatch.CodeConflict)
		_, err = b.PlanRuns(t.Context(), modelwatch.Job{Model: "fraud", Name: "other"}, windows, start)
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}

func TestClaimRunInOrderOfWindows(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		planHours(t, b, putJob(t, b, "drift"), 3)
		for i := 2; i >= 0; i-- {
			run := claim(t, b, "worker")
			want := modelwatch.Run{
				ID: run.ID, Model: "fraud", Job: "drift", Kind: modelwatch.JobDrift, Window: hour(i), Revision: 1, State: modelwatch.RunRunning,
				Token: 1, Worker: "worker", LeaseUntil: start.Add(time.Minute), Attempts: 1, NotBefore: start, CreatedAt: start, StartedAt: start,
			}
			same(t, "claimed", run, want)
			got, err := b.Run(t.Context(), run.ID)
			must(t, err)
			same(t, "read", got, want)
		}
		if _, ok, err := b.ClaimRun(t.Context(), "worker", start, time.Minute); ok || err != nil {
			t.Errorf("claimed a fourth of three runs: %v, %v", ok, err)
		}
	})
}

func TestClaimRunNeverTwice(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const runs, workers = 40, 16
		planHours(t, b, putJob(t, b, "drift"), runs)
		var mu sync.Mutex
		claimed := map[string]int{}
		errs := concurrently(workers, func(i int) error {
			for {
				run, ok, err := b.ClaimRun(t.Context(), fmt.Sprint(i), start, time.Minute)
				if err != nil || !ok {
					return err
				}
				mu.Lock()
				claimed[run.ID]++
				mu.Unlock()
				if i%2 == 0 {
					err = b.CompleteRun(t.Context(), run, nil, nil)
				}
				if err != nil {
					return err
				}
			}
		})
		for _, err := range errs {
			must(t, err)
		}
		if len(claimed) != runs {
			t.Errorf("%d of %d runs were claimed", len(claimed), runs)
		}
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("run %s was claimed %d times under one lease", id, n)
			}
		}
	})
}

func TestLeaseExpires(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		planHours(t, b, putJob(t, b, "drift"), 1)
		first := claim(t, b, "a")
		must(t, b.RenewRun(t.Context(), first.ID, first.Token, start.Add(2*time.Minute)))
		b.clock.advance(2*time.Minute - time.Microsecond)
		if _, ok, _ := b.ClaimRun(t.Context(), "b", b.clock.now(), time.Minute); ok {
			t.Fatal("claimed a run under a lease that holds")
		}
		b.clock.advance(time.Microsecond)
		// Late but not taken over: the first worker may still renew.
		must(t, b.RenewRun(t.Context(), first.ID, first.Token, b.clock.now()))
		second := claim(t, b, "b")
		if second.ID != first.ID || second.Token != first.Token+1 || second.Attempts != 2 || !second.StartedAt.Equal(start) {
			t.Errorf("taken over: %+v", second)
		}
		wantCode(t, b.RenewRun(t.Context(), first.ID, first.Token, start.Add(time.Hour)), modelwatch.CodeFenced)
		wantCode(t, b.RetryRun(t.Context(), first, start, "late"), modelwatch.CodeFenced)
		wantCode(t, b.ReleaseRun(t.Context(), first), modelwatch.CodeFenced)
		wantCode(t, b.FailRun(t.Context(), first, "late", outboxEntries("datadog")), modelwatch.CodeFenced)
		wantCode(t, b.CompleteRun(t.Context(), first, []modelwatch.Measurement{{Value: value("psi", 1)}}, outboxEntries("datadog")), modelwatch.CodeFenced)
		must(t, b.CompleteRun(t.Context(), second, nil, nil))
		wantCode(t, b.CompleteRun(t.Context(), second, nil, nil), modelwatch.CodeFenced)
		wantCode(t, b.RenewRun(t.Context(), "nobody", 1, start), modelwatch.CodeNotFound)
		if n := b.scalar(t, `SELECT (SELECT count(*) FROM measurement) + (SELECT count(*) FROM outbox)`); n != 0 {
			t.Errorf("a fenced worker left %d rows", n)
		}
	})
}

func TestRetryFailRelease(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		planHours(t, b, putJob(t, b, "drift"), 1)
		run := claim(t, b, "a")
		must(t, b.RetryRun(t.Context(), run, start.Add(time.Minute), "the bucket does not answer\x00"))
		got, err := b.Run(t.Context(), run.ID)
		must(t, err)
		if got.State != modelwatch.RunQueued || got.Error != "the bucket does not answer\uFFFD" || !got.NotBefore.Equal(start.Add(time.Minute)) || got.Worker != "" {
			t.Errorf("after a retry: %+v", got)
		}
		if _, ok, _ := b.ClaimRun(t.Context(), "b", start, time.Minute); ok {
			t.Fatal("claimed a run before it is due")
		}
		b.clock.advance(time.Minute)

		run = claim(t, b, "b")
		must(t, b.ReleaseRun(t.Context(), run))
		again := claim(t, b, "c")
		if again.Token != 3 || again.Attempts != 2 {
			t.Errorf("after a release: token %d, attempts %d; want 3, 2", again.Token, again.Attempts)
		}

		again.InputRows, again.DataFiles, again.Rows = 10, 2, 9
		must(t, b.FailRun(t.Context(), again, "no such column", outboxEntries("datadog")))
		got, err = b.Run(t.Context(), run.ID)
		must(t, err)
		if got.State != modelwatch.RunFailed || got.Error != "no such column" || got.Rows != 9 || got.InputRows != 10 || got.DataFiles != 2 || !got.FinishedAt.Equal(b.clock.now()) {
			t.Errorf("failed: %+v", got)
		}
		if n := b.scalar(t, `SELECT count(*) FROM outbox`); n != 1 {
			t.Errorf("%d publications of a failure, want 1", n)
		}
		if _, ok, _ := b.ClaimRun(t.Context(), "d", start.Add(time.Hour), time.Minute); ok {
			t.Error("claimed a failed run")
		}
	})
}

func TestAddRun(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		run := modelwatch.Run{ID: "my-key", Model: "fraud", Job: "drift", Kind: modelwatch.JobDrift, Window: hour(0), Revision: 1}
		stored, created, err := b.AddRun(t.Context(), run)
		must(t, err)
		want := run
		want.State, want.CreatedAt = modelwatch.RunQueued, start
		same(t, "stored", stored, want)
		if !created {
			t.Error("a new run is not reported as created")
		}
		got, err := b.Run(t.Context(), "my-key")
		must(t, err)
		same(t, "read", got, want)

		tests := []struct {
			name    string
			change  func(*modelwatch.Run)
			id      string // "": any
			rev     int
			created bool
			code    modelwatch.Code
		}{
			{"the same key", func(*modelwatch.Run) {}, "my-key", 1, false, ""},
			{"the same key, next revision", func(r *modelwatch.Run) { r.Revision = 0 }, "my-key", 1, false, ""},
			{"the same key for another window", func(r *modelwatch.Run) { r.Window = hour(1) }, "", 0, false, modelwatch.CodeConflict},
			{"another key for the same revision", func(r *modelwatch.Run) { r.ID = "other" }, "my-key", 1, false, ""},
			{"no key, next revision", func(r *modelwatch.Run) { r.ID, r.Revision = "", 0 }, "", 2, true, ""},
			{"another key, next revision", func(r *modelwatch.Run) { r.ID, r.Revision = "third", 0 }, "third", 3, true, ""},
		}
		for _, tt := range tests {
			next := run
			tt.change(&next)
			stored, created, err := b.AddRun(t.Context(), next)
			wantCode(t, err, tt.code)
			if err == nil && (created != tt.created || stored.Revision != tt.rev || stored.ID == "" || (tt.id != "" && stored.ID != tt.id)) {
				t.Errorf("%s: created %v, %+v", tt.name, created, stored)
			}
		}
	})
}

func TestAddRunAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for _, tt := range []struct {
			name              string
			run               func(i int) modelwatch.Run
			created, distinct int
		}{
			{"one key", func(int) modelwatch.Run { return modelwatch.Run{ID: "key", Window: hour(0), Revision: 1} }, 1, 1},
			{"one revision", func(int) modelwatch.Run { return modelwatch.Run{Window: hour(1), Revision: 2} }, 1, 1},
			{"the next revision", func(int) modelwatch.Run { return modelwatch.Run{Window: hour(2)} }, 8, 8},
		} {
			var mu sync.Mutex
			created, ids := 0, map[string]bool{}
			errs := concurrently(8, func(i int) error {
				run := tt.run(i)
				run.Model, run.Job = "fraud", "drift"
				stored, ok, err := b.AddRun(t.Context(), run)
				mu.Lock()
				defer mu.Unlock()
				ids[stored.ID] = true
				if ok {
					created++
				}
				return err
			})
			for _, err := range errs {
				must(t, err)
			}
			if created != tt.created || len(ids) != tt.distinct {
				t.Errorf("%s: %d created, %d distinct; want %d, %d", tt.name, created, len(ids), tt.created, tt.distinct)
			}
		}
	})
}

func TestAddRunRevivesACancelledOne(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		planHours(t, b, putJob(t, b, "drift"), 1)
		must(t, b.DeleteJob(t.Context(), "fraud", "drift"))
		stored, created, err := b.AddRun(t.Context(), modelwatch.Run{Model: "fraud", Job: "drift", Window: hour(0), Revision: 1})
		must(t, err)
		if !created || stored.State != modelwatch.RunQueued {
			t.Errorf("created %v, %+v", created, stored)
		}
		claim(t, b, "a")
	})
}

func TestRunsFiltered(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		var ids []string
		for i := range 4 {
			for _, job := range []string{"drift", "quality"} {
				id := fmt.Sprint(job, i)
				_, _, err := b.AddRun(t.Context(), modelwatch.Run{ID: id, Model: "fraud", Job: job, Window: hour(i), Revision: 1})
				must(t, err)
				ids = append(ids, id)
				b.clock.advance(time.Second)
			}
		}
		slices.Reverse(ids)
		run := claim(t, b, "a")
		for _, tt := range []struct {
			name   string
			filter RunFilter
			want   []string
		}{
			{"none", RunFilter{}, ids},
			{"job", RunFilter{Model: "fraud", Job: "quality"}, []string{"quality3", "quality2", "quality1", "quality0"}},
			{"model", RunFilter{Model: "churn"}, nil},
			{"state", RunFilter{State: modelwatch.RunRunning}, []string{run.ID}},
			{"from: windows that end after it", RunFilter{Job: "drift", From: hour(1).End}, []string{"drift0"}},
			{"to: windows that start before it", RunFilter{Job: "drift", To: hour(2).Start.Add(1)}, []string{"drift3"}},
			{"both", RunFilter{Job: "drift", From: hour(2).Start, To: hour(1).End}, []string{"drift2", "drift1"}},
		} {
			for size := 1; size < 4; size++ {
				got := pages(t, size, func(p Page) ([]modelwatch.Run, string, error) {
					tt.filter.Page = p
					return b.Runs(t.Context(), tt.filter)
				})
				var gotIDs []string
				for _, r := range got {
					gotIDs = append(gotIDs, r.ID)
				}
				same(t, tt.name, gotIDs, tt.want)
			}
		}
		_, err := b.Run(t.Context(), "nobody")
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}

func TestRevisableRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		revise := func(window int, rev int, end func(modelwatch.Run) error) {
			t.Helper()
			_, created, err := b.AddRun(t.Context(), modelwatch.Run{Model: "fraud", Job: "drift", Window: hour(window), Revision: rev})
			must(t, err)
			if !created {
				t.Fatalf("revision %d of window %d was not created", rev, window)
			}
			if end != nil {
				must(t, end(claim(t, b, "a")))
			}
		}
		succeed := func(r modelwatch.Run) error { r.InputRows = 7; return b.CompleteRun(t.Context(), r, nil, nil) }
		fail := func(r modelwatch.Run) error { return b.FailRun(t.Context(), r, "broken", nil) }
		revise(0, 1, succeed)
		revise(1, 1, succeed)
		revise(1, 2, succeed)
		revise(2, 1, succeed)
		revise(2, 2, fail)
		revise(3, 1, fail)
		revise(4, 1, succeed)
		revise(5, 1, succeed)
		revise(5, 2, nil) // waits

		runs, err := b.RevisableRuns(t.Context(), "fraud", "drift", hour(4).End)
		must(t, err)
		var got []string
		for _, r := range runs {
			got = append(got, fmt.Sprintf("%s revision %d of %d rows", r.Window.End.Format("15:04"), r.Revision, r.InputRows))
		}
		same(t, "since hour 4", got, []string{"09:00 revision 2 of 7 rows", "10:00 revision 1 of 7 rows"})
		runs, err = b.RevisableRuns(t.Context(), "fraud", "drift", hour(6).End)
		must(t, err)
		if len(runs) != 3 {
			t.Errorf("%d windows since hour 6, want 3: the one that waits for its second revision is left out", len(runs))
		}
	})
}

func outboxEntries(sinks ...string) (entries []modelwatch.OutboxEntry) {
	for _, s := range sinks {
		entries = append(entries, modelwatch.OutboxEntry{Sink: s})
	}
	return entries
}
