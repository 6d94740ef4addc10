package archive

import (
	"context"
	"fmt"
	"time"
)

// Retentions is the part of the catalog that forgets what has outlived its use.
type Retentions interface {
	// RetireExpired retires data files that are older, at an event time, than their
	// version's retention, and returns how many.
	RetireExpired(ctx context.Context, now time.Time, limit int) (n int, err error)
	// CleanLedger deletes what old commits have left but files, counts and gaps.
	CleanLedger(ctx context.Context, before time.Time) (deleted int64, err error)
	// CleanMeasurements deletes old runs with their measurements.
	CleanMeasurements(ctx context.Context, before time.Time) (deleted int64, err error)
}

// RetentionOptions say how long rows of the catalog are kept; 0 is for ever. How
// long those of the archive are is each version's own.
type RetentionOptions struct {
	Commits      time.Duration
	Measurements time.Duration
}

// retainEvery is how often the keeper looks for what has outlived its use.
const retainEvery = 10 * time.Minute

// retain retires data files that have outlived their version's retention, and
// cleans the ledger.
func (k *Keeper) retain(ctx context.Context) error {
	now := k.opts.Now()
	if now.Sub(k.retained) < retainEvery {
		return nil
	}
	for {
		n, err := k.opts.Ledger.RetireExpired(ctx, k.opts.EventNow(), garbageBatch)
		if err != nil {
			return fmt.Errorf("retire what has outlived its retention: %w", err)
		}
		k.metrics.expired.Add(float64(n))
		if n > 0 {
			k.opts.Log.InfoContext(ctx, "data files retired that have outlived their retention", "files", n)
		}
		if n < garbageBatch {
			break
		}
	}
	if err := k.clean(ctx, "commits", k.opts.Retention.Commits, k.opts.Ledger.CleanLedger); err != nil {
		return err
	}
	if err := k.clean(ctx, "measurements", k.opts.Retention.Measurements, k.opts.Ledger.CleanMeasurements); err != nil {
		return err
	}
	k.retained = now
	return nil
}

func (k *Keeper) clean(ctx context.Context, what string, age time.Duration, clean func(context.Context, time.Time) (int64, error)) error {
	if age <= 0 {
		return nil
	}
	n, err := clean(ctx, k.opts.Now().Add(-age))
	k.metrics.cleaned.WithLabelValues(what).Add(float64(n))
	if err != nil {
		return fmt.Errorf("clean %s: %w", what, err)
	}
	return nil
}
