package sink

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeCounts notes when it is asked for a report.
type fakeCounts struct {
	mu    sync.Mutex
	at    []time.Duration // since the first moment
	begin time.Time
	err   error
	sinks []string
}

func (f *fakeCounts) ReportCounts(ctx context.Context, _ string, now time.Time, sinks []string) (int, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	f.at = append(f.at, now.Sub(f.begin))
	f.sinks = sinks
	return 1, true, f.err
}

func (f *fakeCounts) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func TestReporter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counts := &fakeCounts{begin: time.Now()}
		log := &lockedBuffer{}
		r, err := NewReporter(ReporterOptions{Counts: counts, Owner: "a", Sinks: []string{"datadog"}, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()

		time.Sleep(25 * time.Second)
		counts.set(errors.New("database is away"))
		time.Sleep(30 * time.Second)
		counts.set(nil)
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		want := "10s 20s 30s 40s 50s 1m0s 1m5s" // the last when it was told to stop
		var got []string
		for _, d := range counts.at {
			got = append(got, d.String())
		}
		if strings.Join(got, " ") != want || counts.sinks[0] != "datadog" {
			t.Errorf("reports at %v, want %s", got, want)
		}
		if a, b := log.count("cannot be reported"), log.count("reported again"); a != 1 || b != 1 {
			t.Errorf("logged %d failures and %d recoveries, want one each", a, b)
		}
	})
}

func TestNewReporterChecksOptions(t *testing.T) {
	t.Parallel()
	good := ReporterOptions{Counts: &fakeCounts{}, Owner: "a", Log: slog.New(slog.DiscardHandler)}
	if _, err := NewReporter(good); err != nil {
		t.Error(err)
	}
	short := good
	short.Interval = 200 * time.Millisecond
	if _, err := NewReporter(short); err == nil || !strings.Contains(err.Error(), "is 200ms: it must be at least 1s") {
		t.Errorf("an interval below a second: %v", err)
	}
	if _, err := NewReporter(ReporterOptions{}); err == nil {
		t.Error("options without anything were taken")
	}
}
