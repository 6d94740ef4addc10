// Package schedule computes what jobs ask for: it finds the windows that are
// due, claims their runs, measures drift, quality and backtests, and publishes
// the results.
//
// Any number of workers share the work through the catalog. Planning is a
// compare-and-set on the job, so a window is planned once; a run is claimed
// under a lease with a fencing token, so its results are stored once, whoever
// still believes that it owns the run; and what is planned is durable, so a
// restart or an outage loses no window, it only delays them. Late rows and
// labels make a new revision of a window until it matures.
package schedule

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// Jobs are the schedules, and what has been planned of them.
type Jobs interface {
	AllJobs(ctx context.Context) ([]modelwatch.Job, error)
	// Job returns CodeNotFound for a job that was deleted.
	Job(ctx context.Context, model, name string) (modelwatch.Job, error)
	// PlanRuns queues revision 1 of each window and moves PlannedUntil in one
	// transaction; CodeConflict if the job has been planned or changed meanwhile.
	PlanRuns(ctx context.Context, job modelwatch.Job, windows []modelwatch.Window, plannedUntil time.Time) (added int, err error)
}

// Revisions are the windows that late rows may outdate.
type Revisions interface {
	// RevisableRuns returns, of each window of the job that ended after since,
	// the newest revision, if that succeeded.
	RevisableRuns(ctx context.Context, model, job string, since time.Time) ([]modelwatch.Run, error)
	RunAdder
}

// Claims hand runs out, one worker at a time.
type Claims interface {
	ClaimRun(ctx context.Context, worker string, now time.Time, lease time.Duration) (modelwatch.Run, bool, error)
	// RenewRun returns CodeFenced when another worker has taken the run over.
	RenewRun(ctx context.Context, id string, token int64, until time.Time) error
	// ReleaseRun hands a run back untried.
	ReleaseRun(ctx context.Context, run modelwatch.Run) error
}

// Outcomes take what became of a claimed run. Each is one transaction and
// returns CodeFenced, storing nothing, when run.Token is not the current one.
type Outcomes interface {
	CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error
	RetryRun(ctx context.Context, run modelwatch.Run, notBefore time.Time, errText string) error
	FailRun(ctx context.Context, run modelwatch.Run, errText string, outbox []modelwatch.OutboxEntry) error
}

// Pasts are the earlier measurements that thresholds look back on.
type Pasts interface {
	// PastRuns returns, of each window of that length of the job whose end lies
	// between after and before, the newest revision that succeeded: the newest
	// window first, at most limit of them.
	PastRuns(ctx context.Context, model, job string, length time.Duration, after, before time.Time, limit int) ([]modelwatch.Run, error)
	// RunMeasurements returns the measurements of a run in these metrics.
	RunMeasurements(ctx context.Context, run string, metrics []string) ([]modelwatch.Measurement, error)
}

// Models are the models, their versions and registered baselines.
type Models interface {
	Model(ctx context.Context, name string) (modelwatch.Model, error)
	Versions(ctx context.Context, model string, page modelwatch.Page) (versions []modelwatch.Version, next string, err error)
	// Version returns CodeNotFound for one that is not known.
	Version(ctx context.Context, model, name string) (modelwatch.Version, error)
	// LatestBaseline returns the newest that is ready; CodeNotFound if none is.
	LatestBaseline(ctx context.Context, model, version string) (modelwatch.Baseline, error)
}

// Files are the registered data files and the exact counts of their rows.
type Files interface {
	DataFiles(ctx context.Context, f modelwatch.DataFileFilter) ([]modelwatch.DataFile, error)
	// KeptRows counts the rows of the archive in the time buckets that the window
	// touches; version "" is every version.
	KeptRows(ctx context.Context, model, version string, kind modelwatch.Kind, w modelwatch.Window) (int64, error)
}

// Store is what the catalog does for a worker.
type Store interface {
	Jobs
	Revisions
	Claims
	Outcomes
	Pasts
	Models
	Files
}

// BaselineProfiles reads what was frozen of a ready baseline, and its rows. A
// baseline may have none, only a profile: then there are no chunks, rows or
// segments of it.
type BaselineProfiles interface {
	Profile(ctx context.Context, b modelwatch.Baseline) (*profile.Set, error)
	// Chunks cuts the baseline's rows into at most n consecutive chunks of as many
	// rows, the last of which may have fewer, and calls f for each with its
	// profile on the grids. An error of f ends it and is returned.
	Chunks(ctx context.Context, b modelwatch.Baseline, grids *profile.Set, n int, f func(chunk *profile.Set) error) error
	// Truth calls f for each row, in their order, as a prediction with its truth. ok
	// is false, and f is not called, if they have no predictions or no labels.
	Truth(ctx context.Context, b modelwatch.Baseline, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) (ok bool, err error)
	// Crossings finds the segments that the rows have by each list of columns. It
	// returns CodeInvalid for columns that are not there or cannot divide rows.
	Crossings(ctx context.Context, b modelwatch.Baseline, columns [][]string) ([]modelwatch.Crossing, error)
}

// WindowProfiles counts rows of traffic on the grids of a baseline. The set it
// returns has the columns of grids, in their order.
type WindowProfiles interface {
	WindowProfile(ctx context.Context, t Traffic, grids *profile.Set) (*profile.Set, error)
}

// LabelJoiner calls f for each prediction of the window, in an order that the files
// decide, with its label, if one has arrived. An error of f ends the join and is
// returned.
type LabelJoiner interface {
	JoinLabels(ctx context.Context, predictions, labels []modelwatch.DataFile, window modelwatch.Window, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) error
}

// Options are a worker's parts and limits. Zero limits mean the defaults.
type Options struct {
	Store     Store
	Baselines BaselineProfiles
	Windows   WindowProfiles
	Labels    LabelJoiner
	Rows      Rows

	// Worker names this process among all that share the catalog; no two alike.
	Worker string
	// Executors is how many runs are computed at the same time; default 2.
	Executors int
	// Poll is how often jobs are planned and an idle executor asks for a run; default 5 s.
	Poll time.Duration
	// Lease is how long a run stays with a worker that is no longer heard of;
	// default 1 minute.
	Lease time.Duration
	// ReviseAfter is the least time between two revisions of a window; default 10
	// minutes. Windows of more than four hours wait for a 24th of their length.
	ReviseAfter time.Duration
	// RunTimeout bounds one attempt at a run; default 2 hours.
	RunTimeout time.Duration

	// Now is the clock of leases, retries and time stamps; default time.Now.
	Now func() time.Time
	// EventNow is the clock of windows, delays and maturity; default Now. Under
	// simulated traffic it differs.
	EventNow func() time.Time
	// Jitter spreads retries; it returns numbers in [0, 1). Default rand.Float64.
	Jitter     func() float64
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.Executors <= 0 {
		o.Executors = 2
	}
	o.Poll = orDefault(o.Poll, 5*time.Second)
	o.Lease = orDefault(o.Lease, time.Minute)
	o.ReviseAfter = orDefault(o.ReviseAfter, 10*time.Minute)
	o.RunTimeout = orDefault(o.RunTimeout, 2*time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.EventNow == nil {
		o.EventNow = o.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Worker plans and executes runs.
type Worker struct {
	opts    Options
	metrics *metrics
	lessons lessons
	wake    chan struct{} // something was queued: an idle executor need not wait
}

// New makes a worker; Run starts it. It panics if Options lacks a part.
func New(opts Options) *Worker {
	if opts.Store == nil || opts.Baselines == nil || opts.Windows == nil || opts.Labels == nil || opts.Rows == nil || opts.Worker == "" {
		panic("schedule: New without Store, Baselines, Windows, Labels, Rows or Worker")
	}
	opts = opts.withDefaults()
	return &Worker{opts: opts, metrics: newMetrics(opts.Registerer), wake: make(chan struct{}, opts.Executors)}
}

// Run plans and executes until ctx ends, then hands back what it has not
// finished and returns nil. Trouble with the catalog or the archive does not
// end it: it is logged once, and work resumes when they answer again.
func (w *Worker) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return w.planLoop(ctx) })
	g.Go(func() error { return w.reviseLoop(ctx) })
	for range w.opts.Executors {
		g.Go(func() error { return w.executeLoop(ctx) })
	}
	return g.Wait()
}

// signal wakes up to n idle executors.
func (w *Worker) signal(n int) {
	for range min(n, w.opts.Executors) {
		select {
		case w.wake <- struct{}{}:
		default:
			return
		}
	}
}

// sleep waits for d and returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
