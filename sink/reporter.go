package sink

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Counts turns what was counted since the last report into outbox entries.
type Counts interface {
	// ReportCounts does so in one transaction, for the one owner whose lease
	// holds; leader is false for others.
	ReportCounts(ctx context.Context, owner string, now time.Time, sinks []string) (reported int, leader bool, err error)
}

// ReporterOptions are what a Reporter works with; zero Interval is 10 s, nil Now is time.Now.
type ReporterOptions struct {
	Counts   Counts
	Owner    string
	Sinks    []string
	Interval time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

// Reporter asks for the counts to be reported, again and again. Replicas run one each.
type Reporter struct{ ReporterOptions }

// NewReporter checks the options.
func NewReporter(o ReporterOptions) (*Reporter, error) {
	if o.Counts == nil || o.Owner == "" || o.Log == nil {
		return nil, modelwatch.Errorf(modelwatch.CodeInternal, "a reporter needs counts, an owner and a log")
	}
	if o.Interval < 0 || o.Interval > 0 && o.Interval < time.Second {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the interval of count reports is %s: it must be at least 1s, since points have whole seconds", o.Interval)
	}
	defaultTo(&o.Interval, 10*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Reporter{o}, nil
}

// Run reports once per interval until ctx ends, then once more, so that what was
// counted before a stop does not wait for the next start; then it returns nil.
// A failed report is made up for by the next: counts are differences since the
// last one that succeeded.
func (r *Reporter) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.Interval)
	defer ticker.Stop()
	failing := false
	for {
		stopping := false
		select {
		case <-ctx.Done():
			stopping = true
		case <-ticker.C:
		}
		failing = r.report(ctx, failing)
		if stopping {
			return nil
		}
	}
}

// report makes one report and logs a failure when it is the first in a row.
func (r *Reporter) report(ctx context.Context, failing bool) (failed bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Interval)
	defer cancel()
	_, _, err := r.Counts.ReportCounts(ctx, r.Owner, r.Now(), r.Sinks)
	switch {
	case err != nil && !failing:
		r.Log.Warn("counts cannot be reported", "error", err)
	case err == nil && failing:
		r.Log.Info("counts are reported again")
	}
	return err != nil
}
