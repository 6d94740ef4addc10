package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/schedule"
)

// results shows measurements of one window as metric=value text.
func results(ms []modelwatch.Measurement, end time.Time) []string {
	var out []string
	for _, m := range ms {
		if !m.Window.End.Equal(end) {
			continue
		}
		value := string(m.Reason)
		if m.Value.Value != nil {
			value = fmt.Sprintf("%.2f", *m.Value.Value)
		}
		if m.Breached {
			value += "!"
		}
		out = append(out, fmt.Sprintf("%s/%s %s=%s", m.Version, m.Name, m.Metric, value))
	}
	return out
}

func TestDriftOfEachHour(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now() // midnight
		limit := 0.2
		b.job(modelwatch.Job{Delay: 5 * time.Minute, Metrics: []string{"psi", "tvd"}, Sinks: []string{"datadog", "stdout"},
			Thresholds: []modelwatch.Threshold{{Metric: "psi", Upper: &limit}}})
		b.add(modelwatch.KindPrediction, "1", traffic(start, 3000, 0)...)
		b.add(modelwatch.KindPrediction, "1", traffic(start.Add(time.Hour), 3000, 50)...)
		w := b.worker("a").start()
		b.pass(time.Hour + 4*time.Minute)
		if n := len(b.runs()); n != 0 {
			t.Fatalf("%d runs before the delay is over", n)
		}
		b.pass(time.Minute)
		if n := len(b.runs()); n != 1 {
			t.Fatalf("%d runs when the first window is due, want 1", n)
		}
		b.pass(2 * time.Hour)
		w.stop()

		ms := b.measurements(modelwatch.MeasurementFilter{})
		for end, want := range map[time.Time][]string{
			start.Add(1 * time.Hour): {"1/amount psi=0.00", "1/amount tvd=0.00", "1/ drifted_features=0.00", "1/ drifted_share=0.00"},
			start.Add(2 * time.Hour): {"1/amount psi=4.35!", "1/amount tvd=0.50", "1/ drifted_features=1.00", "1/ drifted_share=1.00"},
			start.Add(3 * time.Hour): {"1/amount psi=too_few", "1/amount tvd=too_few"},
		} {
			if diff := cmp.Diff(want, results(ms, end)); diff != "" {
				t.Errorf("window until %s (-want +have):\n%s", end.Format(time.TimeOnly), diff)
			}
		}
		run := b.runs()[1]
		if run.InputRows != 3000 || run.Rows != 3000 || run.DataFiles != 1 || run.State != modelwatch.RunSucceeded {
			t.Errorf("run %+v, want one file of 3000 rows", run)
		}
		for _, sink := range []string{"datadog", "stdout"} {
			entries := b.outbox(sink)
			if len(entries) != 3 {
				t.Fatalf("%d publications for %s, want one per window", len(entries), sink)
			}
			p := entries[1].Publication
			if p.Run == nil || p.Run.State != modelwatch.RunSucceeded || p.Run.FinishedAt.IsZero() || p.WindowLabel != "1h" || len(p.Measurements) != 4 {
				t.Errorf("publication %+v, want the run, 1h and 4 measurements", p)
			}
		}
		if n := w.count(modelwatch.JobDrift, "succeeded"); n != 3 {
			t.Errorf("counted %d runs, want 3", n)
		}
	})
}

// storing wraps the catalog: tests make calls fail or wait.
type storing struct {
	*catalog.Catalog
	before    func(ctx context.Context, call string) error
	completed atomic.Int64
}

func (s *storing) on(ctx context.Context, call string) error {
	if s.before == nil {
		return nil
	}
	return s.before(ctx, call)
}

func (s *storing) AllJobs(ctx context.Context) ([]modelwatch.Job, error) {
	if err := s.on(ctx, "AllJobs"); err != nil {
		return nil, err
	}
	return s.Catalog.AllJobs(ctx)
}

func (s *storing) ClaimRun(ctx context.Context, worker string, now time.Time, lease time.Duration) (modelwatch.Run, bool, error) {
	if err := s.on(ctx, "ClaimRun"); err != nil {
		return modelwatch.Run{}, false, err
	}
	return s.Catalog.ClaimRun(ctx, worker, now, lease)
}

func (s *storing) RenewRun(ctx context.Context, id string, token int64, until time.Time) error {
	if err := s.on(ctx, "RenewRun"); err != nil {
		return err
	}
	return s.Catalog.RenewRun(ctx, id, token, until)
}

func (s *storing) CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error {
	if err := s.on(ctx, "CompleteRun"); err != nil {
		return err
	}
	err := s.Catalog.CompleteRun(ctx, run, ms, outbox)
	if err == nil {
		s.completed.Add(1)
	}
	return err
}

func on(s schedule.Store) func(*schedule.Options) {
	return func(o *schedule.Options) { o.Store = s }
}

// succeeded checks that each of n hourly windows from start has been computed
// and published exactly once, in revision 1.
func (b *bundle) succeeded(start time.Time, n int) {
	b.t.Helper()
	var want, have []string
	for i := range n {
		want = append(want, start.Add(time.Duration(i+1)*time.Hour).Format(time.RFC3339)+" 1 succeeded")
	}
	for _, r := range b.runs() {
		have = append(have, fmt.Sprintf("%s %d %s", r.Window.End.Format(time.RFC3339), r.Revision, r.State))
	}
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		b.t.Errorf("runs (-want +have):\n%s", diff)
	}
	var published []string
	for _, e := range b.outbox("stdout") {
		published = append(published, e.Publication.Run.Window.End.Format(time.RFC3339)+" 1 succeeded")
	}
	slices.Sort(published)
	if diff := cmp.Diff(want, published); diff != "" {
		b.t.Errorf("publications (-want +have):\n%s", diff)
	}
}

func TestTwoWorkersPublishOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}})
		b.pass(30 * time.Hour)
		b.shelf.profiling = func(ctx context.Context, w modelwatch.Window) error {
			time.Sleep(10 * time.Second) // so that both have work at the same time
			return ctx.Err()
		}
		one, two := b.worker("one").start(), b.worker("two").start()
		b.pass(10 * time.Minute)
		one.stop()
		two.stop()
		b.succeeded(start, 30)
		n, m := one.count(modelwatch.JobDrift, "succeeded"), two.count(modelwatch.JobDrift, "succeeded")
		if n+m != 30 || n == 0 || m == 0 {
			t.Errorf("the workers computed %d and %d windows, want 30 together", n, m)
		}
	})
}

// TestDeadWorker lets a worker fall silent in the middle of a run, another take
// over, and the first come back with results.
func TestDeadWorker(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}})

		var silent atomic.Bool
		computing, resume := make(chan struct{}), make(chan struct{})
		stuck := &shelf{rows: b.shelf.rows, profiling: func(context.Context, modelwatch.Window) error {
			close(computing)
			<-resume // as a stopped process does, it does not even see that its context ended
			return nil
		}}
		away := &storing{Catalog: b.catalog, before: func(ctx context.Context, call string) error {
			if silent.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		dead := b.worker("dead", on(away), func(o *schedule.Options) { o.Windows, o.Executors = stuck, 1 }).start()
		b.pass(time.Hour + time.Minute)
		<-computing
		silent.Store(true)
		b.pass(2 * time.Minute) // longer than the lease

		heir := b.worker("heir").start()
		b.pass(2 * time.Minute)
		runs := b.runs()
		if len(runs) != 1 || runs[0].Worker != "heir" || runs[0].Token != 2 || runs[0].State != modelwatch.RunSucceeded {
			t.Fatalf("runs %+v, want one that heir has taken over", runs)
		}
		silent.Store(false)
		close(resume)
		b.pass(time.Minute)
		heir.stop()
		dead.stop()
		b.succeeded(start, 1)
		if n := dead.count(modelwatch.JobDrift, "fenced"); n != 1 {
			t.Errorf("the dead worker counted %d fenced runs, want 1", n)
		}
		if away.completed.Load() != 0 {
			t.Error("the dead worker completed a run")
		}
	})
}

// TestFencedRunIsAbandoned: a worker that hears that it was replaced stops
// computing at once.
func TestFencedRunIsAbandoned(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		job := b.job(modelwatch.Job{Sinks: []string{"stdout"}})
		stopped := make(chan error, 1)
		b.shelf.profiling = func(ctx context.Context, _ modelwatch.Window) error {
			<-ctx.Done()
			stopped <- context.Cause(ctx)
			return ctx.Err()
		}
		w := b.worker("a").start()
		b.pass(time.Hour + time.Minute)
		must(t, b.catalog.DeleteJob(t.Context(), job.Model, job.Name)) // cancels the run
		b.pass(21 * time.Second)                                       // a third of the lease
		select {
		case err := <-stopped:
			if err == nil || !strings.Contains(err.Error(), "taken") {
				t.Errorf("stopped because of %v", err)
			}
		default:
			t.Fatal("still computing")
		}
		w.stop()
		if n := w.count(modelwatch.JobDrift, "fenced"); n != 1 {
			t.Errorf("%d fenced runs, want 1", n)
		}
		if runs := b.runs(); len(runs) != 1 || runs[0].State != modelwatch.RunCancelled {
			t.Errorf("runs %+v, want a cancelled one", runs)
		}
		if n := len(b.outbox("stdout")); n != 0 {
			t.Errorf("%d publications, want none", n)
		}
	})
}

// TestRestart stops the worker in the middle of a run and starts another one
// hours later: the run is handed back untried, and no window is missing.
func TestRestart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}})
		b.shelf.profiling = func(ctx context.Context, w modelwatch.Window) error {
			<-ctx.Done()
			return ctx.Err()
		}
		w := b.worker("first").start()
		b.pass(time.Hour + time.Minute)
		w.stop()
		if n := w.count(modelwatch.JobDrift, "released"); n != 1 {
			t.Errorf("%d released runs, want 1", n)
		}
		runs := b.runs()
		if len(runs) != 1 || runs[0].State != modelwatch.RunQueued || runs[0].Attempts != 0 {
			t.Errorf("runs after the stop %+v, want one queued and untried", runs)
		}
		b.shelf.profiling = nil
		b.pass(6*time.Hour - time.Minute)
		w = b.worker("second").start()
		b.pass(2 * time.Minute)
		w.stop()
		b.succeeded(start, 7)
	})
}

// TestCatchUp plans far more missed windows than one round takes.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud")
		start := time.Now().UTC()
		b.job(modelwatch.Job{Cron: "* * * * *"})
		b.pass(2500 * time.Minute)
		none := &storing{Catalog: b.catalog, before: func(ctx context.Context, call string) error {
			if call == "ClaimRun" {
				<-ctx.Done()
			}
			return ctx.Err()
		}}
		w := b.worker("a", on(none)).start()
		for _, want := range []int{1000, 2001, 2502, 2503} { // a minute passes between rounds
			b.pass(30 * time.Second)
			if n := len(b.runs()); n < want-2 || n > want {
				t.Errorf("%d runs planned, want about %d", n, want)
			}
			b.pass(30 * time.Second)
		}
		w.stop()
		ends := map[time.Time]bool{}
		for _, r := range b.runs() {
			ends[r.Window.End] = true
		}
		for i := range 2500 {
			if end := start.Add(time.Duration(i+1) * time.Minute); !ends[end] {
				t.Fatalf("the window until %s is missing", end)
			}
		}
	})
}

// TestOutage takes the catalog away for some minutes.
func TestOutage(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}})
		var down atomic.Bool
		s := &storing{Catalog: b.catalog, before: func(context.Context, string) error {
			if down.Load() {
				return modelwatch.Errorf(modelwatch.CodeUnavailable, "the catalog does not answer")
			}
			return nil
		}}
		w := b.worker("a", on(s), func(o *schedule.Options) { o.Executors = 1 }).start()
		b.pass(time.Hour + time.Minute)
		down.Store(true)
		b.pass(3 * time.Hour)
		down.Store(false)
		b.pass(3 * time.Minute)
		w.stop()
		b.succeeded(start, 4)
		if n := b.logs.count(`"work interrupted"`); n != 3 {
			t.Errorf("%d lines of interruption, want one each from planning, revising and claiming", n)
		}
		if n := b.logs.count(`"work resumed"`); n != 3 {
			t.Errorf("%d lines of resumption, want 3", n)
		}
	})
}

// TestOutcomeIsKept loses the catalog between computing and storing.
func TestOutcomeIsKept(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}})
		var tries atomic.Int64
		s := &storing{Catalog: b.catalog, before: func(_ context.Context, call string) error {
			if call == "CompleteRun" && tries.Add(1) <= 4 {
				return modelwatch.Errorf(modelwatch.CodeUnavailable, "the catalog does not answer")
			}
			return nil
		}}
		w := b.worker("a", on(s)).start()
		b.pass(time.Hour + time.Minute)
		w.stop()
		b.succeeded(start, 1)
		if run := b.runs()[0]; run.Attempts != 1 {
			t.Errorf("%d attempts, want the results of the first to be kept", run.Attempts)
		}
	})
}

func TestWhatBecomesOfErrors(t *testing.T) {
	t.Parallel()
	unavailable := modelwatch.Errorf(modelwatch.CodeUnavailable, "the archive does not answer")
	gone := modelwatch.Wrap(modelwatch.CodeNotFound, modelwatch.ErrDataFileGone, "data file a")
	tests := []struct {
		name      string
		errs      []error // of attempt after attempt; nil or none left: success
		panics    bool
		after     time.Duration
		state     modelwatch.RunState
		attempts  int
		errText   string
		published int
	}{
		{"unavailable, then well", []error{unavailable, unavailable, unavailable}, false, 2 * time.Minute, modelwatch.RunSucceeded, 4, "", 1},
		{"unavailable for long", slices.Repeat([]error{unavailable}, 1000), false, 30 * time.Minute, modelwatch.RunQueued, 20, "the archive does not answer", 0},
		{"timeout", []error{fmt.Errorf("read: %w", context.DeadlineExceeded)}, false, 2 * time.Minute, modelwatch.RunSucceeded, 2, "", 1},
		{"bad data", []error{modelwatch.Errorf(modelwatch.CodeInvalid, "the file is malformed")}, false, 2 * time.Minute, modelwatch.RunFailed, 1, "the file is malformed", 1},
		{"a fault of ours", slices.Repeat([]error{errors.New("index out of range")}, 9), false, 10 * time.Minute, modelwatch.RunFailed, 3, "index out of range", 1},
		{"a passing fault of ours", []error{errors.New("odd")}, false, 10 * time.Minute, modelwatch.RunSucceeded, 2, "", 1},
		{"a data file was replaced and is gone", []error{gone}, false, 10 * time.Minute, modelwatch.RunSucceeded, 2, "", 1},
		{"a data file is gone", slices.Repeat([]error{gone}, 9), false, 10 * time.Minute, modelwatch.RunFailed, 3, "data file a", 1},
		{"panic", nil, true, 10 * time.Minute, modelwatch.RunFailed, 3, "the computation broke off: boom", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				b.job(modelwatch.Job{Sinks: []string{"stdout"}})
				var mu sync.Mutex
				errs := test.errs
				b.shelf.profiling = func(context.Context, modelwatch.Window) error {
					mu.Lock()
					defer mu.Unlock()
					if test.panics {
						panic("boom")
					}
					if len(errs) == 0 {
						return nil
					}
					err := errs[0]
					errs = errs[1:]
					return err
				}
				b.pass(time.Hour - time.Minute)
				w := b.worker("a", func(o *schedule.Options) { o.Poll = 5 * time.Second }).start()
				b.pass(time.Minute + test.after)
				w.stop()
				run := b.runs()[0]
				if run.State != test.state || !strings.Contains(run.Error, test.errText) || strings.Contains(run.Error, "\n") {
					t.Errorf("run is %s with the error %q, want %s and %q", run.State, run.Error, test.state, test.errText)
				}
				if run.Attempts != test.attempts && !(test.attempts == 20 && run.Attempts > 20 && run.Attempts < 60) {
					t.Errorf("%d attempts, want %d", run.Attempts, test.attempts)
				}
				entries := b.outbox("stdout")
				if len(entries) != test.published {
					t.Fatalf("%d publications, want %d", len(entries), test.published)
				}
				for _, e := range entries {
					if p := e.Publication; p.Run.State != test.state || p.Run.Error != run.Error || (p.Run.State == modelwatch.RunFailed) != (len(p.Measurements) == 0) {
						t.Errorf("publication %+v of run %+v", p, p.Run)
					}
				}
			})
		})
	}
}

// TestJobAtFault: a job whose schedule cannot be read is logged once, and does
// not keep others from being planned.
func TestJobAtFault(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Name: "a", Cron: "0 0 30 2 *"})
		b.job(modelwatch.Job{Name: "b", Sinks: []string{"stdout"}})
		w := b.worker("a").start()
		b.pass(2*time.Hour + time.Minute)
		w.stop()
		b.succeeded(start, 2)
		if n := b.logs.count("job cannot be scheduled"); n != 1 {
			t.Errorf("%d lines about the job at fault, want 1", n)
		}
	})
}

// TestEventClock: windows follow the event clock, leases the wall clock.
func TestEventClock(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now().Add(-100 * time.Hour)
		began := time.Now()
		b.job(modelwatch.Job{Sinks: []string{"stdout"}, PlannedUntil: start})
		w := b.worker("a", func(o *schedule.Options) {
			o.EventNow = func() time.Time { return start.Add(60 * time.Since(began)) }
		}).start()
		b.pass(5*time.Minute + time.Second)
		w.stop()
		b.succeeded(start, 5)
	})
}

func TestIdleWorkerWakes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		b.job(modelwatch.Job{})
		w := b.worker("a").start()
		b.pass(time.Hour) // planned on the hour; the executors fell asleep a moment ago
		synctest.Wait()
		w.stop()
		if run := b.runs()[0]; run.State != modelwatch.RunSucceeded || !run.FinishedAt.Equal(run.CreatedAt) {
			t.Errorf("run %+v, want it computed when it was planned", run)
		}
	})
}
