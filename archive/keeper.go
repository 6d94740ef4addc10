package archive

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// Lease makes one of many processes do what need not be done twice. Nothing
// depends on it for being right: two keepers at the same time waste work.
type Lease interface {
	HoldLease(ctx context.Context, name, owner string, lease time.Duration) (held bool, err error)
}

// Ledger is what a keeper needs of the catalog.
type Ledger interface {
	Lease
	Compactions
	Retentions
	Erasures
	HalfFiles
	Intents
	// CondemnRetired gives up the objects of files that were retired before a time:
	// CondemnIntents returns their keys from then on.
	CondemnRetired(ctx context.Context, before time.Time, limit int) (n int, err error)
}

// KeeperOptions are a keeper's parts and limits. Zero limits mean the defaults.
type KeeperOptions struct {
	Archive *Archive
	Ledger  Ledger
	// Salt is the deployment's: the key of ranks, and of what erased ids are known by.
	Salt modelwatch.Salt
	// Owner names this process among all that share the catalog; no two alike.
	Owner string

	// Interval is how often a round begins; default 1 minute.
	Interval time.Duration
	// Lease is how long another keeper waits for one that is no longer heard of;
	// default 1 minute.
	Lease      time.Duration
	Compaction CompactionOptions
	Retention  RetentionOptions
	Halves     HalvesOptions
	// DeleteAfter is how long the objects of retired files are kept for readers that
	// have them in their list; default 1 hour. One that takes longer finds the object
	// gone, and lists again.
	DeleteAfter time.Duration
	// GarbageAge is the age from which an upload that was never registered is taken
	// for garbage; default 1 hour. One that is slower fails to register.
	GarbageAge time.Duration

	Now        func() time.Time // default time.Now
	EventNow   func() time.Time // the clock of retention; default Now
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Hooks      KeeperHooks
}

// KeeperHooks are for tests.
type KeeperHooks struct {
	// At is called at the named points of a replacement. An error ends it there, as
	// if the process had been killed.
	At func(point string) error
}

// The points of a replacement, in order.
const (
	PointRewritten = "rewritten" // nothing is written
	PointIntended  = "intended"  // the intent is in the catalog
	PointUploaded  = "uploaded"  // the object exists, readers do not see it
	PointReplaced  = "replaced"  // readers see the new file instead of the old ones
)

// ReplacePoints lists them.
func ReplacePoints() []string {
	return []string{PointRewritten, PointIntended, PointUploaded, PointReplaced}
}

// Keeper keeps the archive in order: it joins predictions that came in two parts,
// makes few large files of many small ones, erases what must be erased, and deletes
// what nobody needs any more.
type Keeper struct {
	opts     KeeperOptions
	metrics  *keeperMetrics
	retained time.Time // when retain was last done
}

// NewKeeper makes a keeper; Run starts it.
func NewKeeper(opts KeeperOptions) *Keeper {
	fallback := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	fallback(&opts.Interval, time.Minute)
	fallback(&opts.Lease, time.Minute)
	fallback(&opts.DeleteAfter, time.Hour)
	fallback(&opts.GarbageAge, time.Hour)
	fallback(&opts.Compaction.MinAge, 30*time.Minute)
	fallback(&opts.Halves.Apart, time.Hour)
	fallback(&opts.Halves.Patience, 2*opts.Halves.Apart)
	if opts.Halves.TargetBytes <= 0 {
		opts.Halves.TargetBytes = 64 << 20
	}
	if opts.Compaction.TargetBytes <= 0 {
		opts.Compaction.TargetBytes = 64 << 20
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.EventNow == nil {
		opts.EventNow = opts.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{opts: opts, metrics: newKeeperMetrics(opts.Registerer)}
}

// Run keeps the archive in order until ctx ends, and returns nil then. Trouble
// with the catalog or the bucket does not end it: the next round tries again.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.opts.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := k.Round(ctx); err != nil && ctx.Err() == nil {
			k.opts.Log.WarnContext(ctx, "archive is not kept in order", "error", err)
		}
	}
}

const keeperLease = "keeper"

var errLeaseLost = errors.New("another keeper has taken over")

// Round does what is due, false if another keeper is at it.
func (k *Keeper) Round(ctx context.Context) (held bool, err error) {
	held, err = k.opts.Ledger.HoldLease(ctx, keeperLease, k.opts.Owner, k.opts.Lease)
	if err != nil || !held {
		return held, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		k.renew(ctx, cancel)
	}()
	var errs []error
	for _, step := range k.steps() {
		if err := step(ctx); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	cancel(nil)
	<-renewing
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return false, nil
	}
	return true, errors.Join(errs...)
}

// steps are what a round does, in order. One that fails does not keep the others
// from being tried.
func (k *Keeper) steps() []func(context.Context) error {
	return []func(context.Context) error{k.erase, k.retain, k.joinHalves, k.compact, k.collect}
}

// renew extends the lease until ctx ends, and ends the round when it is lost.
func (k *Keeper) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(k.opts.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A catalog that does not answer gives the lease to nobody else either.
		held, err := k.opts.Ledger.HoldLease(ctx, keeperLease, k.opts.Owner, k.opts.Lease)
		if err == nil && !held {
			cancel(errLeaseLost)
			return
		}
	}
}

func (k *Keeper) at(point string) error {
	if k.opts.Hooks.At == nil {
		return nil
	}
	return k.opts.Hooks.At(point)
}

// collect gives up retired files whose grace has passed, and deletes what is
// garbage.
func (k *Keeper) collect(ctx context.Context) error {
	now := k.opts.Now()
	for {
		n, err := k.opts.Ledger.CondemnRetired(ctx, now.Add(-k.opts.DeleteAfter), garbageBatch)
		if err != nil {
			return err
		}
		k.metrics.retiredDeleted.Add(float64(n))
		if n < garbageBatch {
			break
		}
	}
	deleted, err := k.opts.Archive.CollectGarbage(ctx, k.opts.Ledger, now.Add(-k.opts.GarbageAge))
	k.metrics.garbage.Add(float64(deleted))
	if deleted > 0 {
		k.opts.Log.InfoContext(ctx, "objects deleted that no reader needs", "objects", deleted)
	}
	return err
}

// insist repeats an operation that may be repeated, a few times, while the store
// does not answer.
func insist(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable || attempt == 4 {
			return err
		}
		if err := pause(ctx, attempt+2, 2*time.Second); err != nil {
			return err
		}
	}
}
