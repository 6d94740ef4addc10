package datadog_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/sink"
	"github.com/modelwatch/modelwatch/sink/datadog"
	"github.com/modelwatch/modelwatch/sink/datadogtest"
)

// outboxBundle is the way of a result from the catalog to the intake.
type outboxBundle struct {
	catalog *catalog.Catalog
	intake  *datadogtest.Server
	begin   time.Time
}

func setupOutbox(t *testing.T) *outboxBundle {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	c, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := c.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &outboxBundle{catalog: c, intake: datadogtest.Start(t, datadogtest.Options{APIKey: key}), begin: time.Now().Truncate(time.Second).Add(-30 * time.Minute)}
	if _, _, err := c.PutModel(t.Context(), modelwatch.Model{Name: "fraud", Task: modelwatch.TaskBinary}); err != nil {
		t.Fatal(err)
	}
	return b
}

// window is the n-th minute.
func (b *outboxBundle) window(n int) modelwatch.Window {
	start := b.begin.Add(time.Duration(n) * time.Minute)
	return modelwatch.Window{Start: start, End: start.Add(time.Minute)}
}

// complete lets a run of the n-th window succeed with one value.
func (b *outboxBundle) complete(t *testing.T, n, revision int, v float64) {
	t.Helper()
	ctx := t.Context()
	run := modelwatch.Run{
		ID: fmt.Sprintf("run-%d-%d", n, revision), Model: "fraud", Job: "minutely", Kind: modelwatch.JobDrift,
		Window: b.window(n), Revision: revision, State: modelwatch.RunQueued, CreatedAt: time.Now(),
	}
	if _, _, err := b.catalog.AddRun(ctx, run); err != nil {
		t.Fatal(err)
	}
	run, found, err := b.catalog.ClaimRun(ctx, "worker", time.Now(), time.Minute)
	if err != nil || !found {
		t.Fatalf("ClaimRun = %v, %v", found, err)
	}
	ms := []modelwatch.Measurement{{
		Value: modelwatch.Value{Metric: "psi", Value: &v, NCurrent: 500}, RunID: run.ID, Model: "fraud", Version: "3.1.0", Job: run.Job,
		Kind: run.Kind, Window: run.Window, Revision: revision, Subject: modelwatch.SubjectFeature, Name: "amount", Baseline: "training",
	}}
	outbox := []modelwatch.OutboxEntry{{Sink: "datadog", Publication: modelwatch.Publication{Run: &run, WindowLabel: "1m", Measurements: ms}}}
	if err := b.catalog.CompleteRun(ctx, run, ms, outbox); err != nil {
		t.Fatal(err)
	}
}

// deliver runs a deliverer as a process of its own until stop is called.
func (b *outboxBundle) deliver(t *testing.T, owner string) (stop func()) {
	t.Helper()
	client, err := datadog.New(datadog.Config{APIKey: key, URL: b.intake.URL, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	d, err := sink.NewDeliverer(sink.DelivererOptions{
		Outbox: b.catalog, Sink: client, Owner: owner, Log: slog.New(slog.DiscardHandler), Batch: 4,
		Lease: time.Second, Poll: 5 * time.Millisecond, MinBackoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond, SelfInterval: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		client.Close()
	})
	t.Cleanup(stop)
	return stop
}

var psiTags = []string{"model:fraud", "model_version:3.1.0", "job:minutely", "subject:feature", "feature:amount", "baseline:training", "window:1m"}

func (b *outboxBundle) psi(n int) (float64, bool) {
	return b.intake.Value("modelwatch.drift.psi", psiTags, b.window(n).End)
}

func (b *outboxBundle) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.intake.Await(ctx, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// From the catalog to the intake through everything that goes wrong: each value
// arrives, in the second of its window, in order, and each count once.
func TestOutboxToIntake(t *testing.T) {
	t.Parallel()
	b := setupOutbox(t)
	b.intake.Fail(1, 503)
	b.intake.Cut(1)
	b.intake.CutAnswer(1)
	b.intake.Throttle(1, 0)
	b.intake.Hang(1)
	for n := range 10 {
		b.complete(t, n, 1, float64(n))
	}
	b.complete(t, 3, 2, 3.5) // replaces the first result of window 3
	now := time.Now()
	if _, leader, err := b.catalog.ReportCounts(t.Context(), "reporter", now, []string{"datadog"}); err != nil || !leader {
		t.Fatalf("ReportCounts = %v, %v", leader, err)
	}

	stop := b.deliver(t, "first")
	b.await(t, "the request that hangs", func() bool { return len(b.intake.Requests()) == 5 })
	stop() // killed while it waits for an answer
	if depth, err := b.catalog.OutboxDepth(t.Context()); err != nil || depth["datadog"] == 0 {
		t.Fatalf("OutboxDepth = %v, %v, want what was not acknowledged", depth, err)
	}
	b.deliver(t, "second") // leads once the lease of the first is over
	b.await(t, "the last value", func() bool {
		v, ok := b.psi(9)
		return ok && v == 9 && b.intake.Sum("modelwatch.run.succeeded", "model:fraud") == 11
	})
	for n := range 10 {
		want := float64(n)
		if n == 3 {
			want = 3.5
		}
		if v, ok := b.psi(n); !ok || v != want {
			t.Errorf("window %d: value %v, %v, want %v", n, v, ok, want)
		}
	}
	for _, p := range b.intake.History("modelwatch.drift.psi", psiTags) {
		if p.Value == 3 {
			t.Error("a result that had been replaced was sent")
		}
	}
	if r := b.intake.Rejections(); len(r) > 0 {
		t.Errorf("the intake refused %+v", r)
	}
}
