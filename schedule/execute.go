package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

const (
	// maxInternal is how often a run is tried that ends in a fault of ours, or
	// because the object of a data file is gone.
	maxInternal = 3
	// storeTimeout bounds one attempt to store an outcome; it outlives shutdown.
	storeTimeout = 30 * time.Second
)

var errFenced = errors.New("another worker has taken the run over")

// executeLoop claims and executes one run after the other.
func (w *Worker) executeLoop(ctx context.Context) error {
	out := outage{log: w.opts.Log, work: "claim runs"}
	for ctx.Err() == nil {
		run, ok, err := w.opts.Store.ClaimRun(ctx, w.opts.Worker, w.opts.Now(), w.opts.Lease)
		switch {
		case ctx.Err() != nil && !ok:
			return nil
		case err != nil:
			out.failed(err)
			sleep(ctx, w.backOff(out.failures))
		case ok:
			out.worked()
			w.execute(ctx, run)
		default:
			out.worked()
			w.idle(ctx)
		}
	}
	return nil
}

// idle waits until something may have been queued.
func (w *Worker) idle(ctx context.Context) {
	t := time.NewTimer(w.opts.Poll)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.wake:
	case <-ctx.Done():
	}
}

// attempt is one try at a run.
type attempt struct {
	job          modelwatch.Job
	run          modelwatch.Run
	measurements []modelwatch.Measurement
	warnings     []string
}

func (a *attempt) warn(format string, args ...any) {
	a.warnings = append(a.warnings, fmt.Sprintf(format, args...))
}

// execute computes a claimed run under its lease and stores the outcome.
func (w *Worker) execute(ctx context.Context, run modelwatch.Run) {
	started := w.opts.Now()
	runCtx, cancel := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		w.renew(runCtx, cancel, run)
	}()
	a := &attempt{run: run}
	err := w.try(runCtx, a)
	state, storeErr := w.settle(ctx, runCtx, a, err)
	cancel(nil)
	<-renewing

	took := w.opts.Now().Sub(started)
	if state == stateSucceeded || state == stateFailed {
		w.metrics.ended(run.Kind, state, took)
	} else {
		w.metrics.count(run.Kind, state)
	}
	if state == stateSucceeded && run.Revision == 1 {
		w.metrics.lag.WithLabelValues(string(run.Kind)).Set(w.opts.EventNow().Sub(run.Window.End.Add(DueAfter(a.job))).Seconds())
	}
	w.logRun(a, state, took, errors.Join(err, storeErr))
}

func (w *Worker) logRun(a *attempt, state string, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("state", state), slog.String("run", a.run.ID), slog.String("model", a.run.Model), slog.String("job", a.run.Job),
		slog.String("kind", string(a.run.Kind)), slog.Time("window_start", a.run.Window.Start), slog.Time("window_end", a.run.Window.End),
		slog.Int("revision", a.run.Revision), slog.Int("attempt", a.run.Attempts), slog.Duration("took", took),
		slog.Int("files", a.run.DataFiles), slog.Int64("rows", a.run.Rows), slog.Int("measurements", len(a.measurements)),
	}
	level := slog.LevelInfo
	if len(a.warnings) > 0 {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("warnings", a.warnings))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
		if state == stateFailed || state == stateAbandoned {
			level = slog.LevelError
		}
	}
	w.opts.Log.LogAttrs(context.Background(), level, "run ended", attrs...)
}

// renew extends the lease until ctx ends. When the run has been taken over it
// ends the computation; when the catalog does not answer it goes on, because
// nobody else can claim the run then either.
func (w *Worker) renew(ctx context.Context, cancel context.CancelCauseFunc, run modelwatch.Run) {
	for sleep(ctx, w.opts.Lease/3) {
		err := w.opts.Store.RenewRun(ctx, run.ID, run.Token, w.opts.Now().Add(w.opts.Lease))
		if gone(err) {
			cancel(errFenced)
			return
		}
	}
}

// gone reports whether a run is no longer this worker's.
func gone(err error) bool {
	code := modelwatch.ErrorCode(err)
	return code == modelwatch.CodeFenced || code == modelwatch.CodeNotFound
}

// try computes a run. A panic is a fault of ours and an error like others: it
// must not take the runs of other executors with it.
func (w *Worker) try(ctx context.Context, a *attempt) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = modelwatch.Wrap(modelwatch.CodeInternal, fmt.Errorf("%v\n%s", p, debug.Stack()), "the computation broke off")
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, w.opts.RunTimeout, fmt.Errorf("not done after %s: %w", w.opts.RunTimeout, context.DeadlineExceeded))
	defer cancel()
	if a.job, err = w.opts.Store.Job(ctx, a.run.Model, a.run.Job); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	// Counted before anything is read: rows that arrive in between make a new
	// revision, they are not overlooked.
	if a.run.InputRows, err = w.inputRows(ctx, a.job, a.run.Window); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	switch a.job.Kind {
	case modelwatch.JobDrift, modelwatch.JobQuality:
		return w.measureDrift(ctx, a)
	case modelwatch.JobBacktest:
		return w.measureBacktest(ctx, a)
	}
	return modelwatch.Errorf(modelwatch.CodeInvalid, "job kind %q is not known", a.job.Kind)
}

// settle stores what became of an attempt and returns the state that it is in.
func (w *Worker) settle(ctx, runCtx context.Context, a *attempt, err error) (state string, storeErr error) {
	var store func(context.Context) error
	switch {
	case errors.Is(context.Cause(runCtx), errFenced):
		return stateFenced, nil
	case err == nil:
		a.finish(modelwatch.RunSucceeded, "", w.opts.Now())
		state, store = stateSucceeded, func(ctx context.Context) error {
			return w.opts.Store.CompleteRun(ctx, a.run, a.measurements, a.publications(true))
		}
	case ctx.Err() != nil:
		state, store = stateReleased, func(ctx context.Context) error { return w.opts.Store.ReleaseRun(ctx, a.run) }
	case transient(err) || repeatable(err) && a.run.Attempts < maxInternal:
		notBefore := w.opts.Now().Add(w.backOff(a.run.Attempts))
		state, store = stateRetried, func(ctx context.Context) error {
			return w.opts.Store.RetryRun(ctx, a.run, notBefore, message(err))
		}
	default:
		a.measurements = nil
		a.finish(modelwatch.RunFailed, message(err), w.opts.Now())
		state, store = stateFailed, func(ctx context.Context) error {
			return w.opts.Store.FailRun(ctx, a.run, a.run.Error, a.publications(false))
		}
	}
	storeErr = w.persist(ctx, store)
	switch {
	case storeErr == nil:
		return state, nil
	case gone(storeErr):
		return stateFenced, nil
	case state == stateSucceeded && !transient(storeErr): // the catalog refuses these results
		return w.settle(ctx, runCtx, a, fmt.Errorf("store results: %w", storeErr))
	}
	return stateAbandoned, storeErr
}

// repeatable reports whether another attempt may succeed: after a fault of ours,
// or where a data file was replaced so long ago that its object is gone. The next
// attempt lists the files again.
func repeatable(err error) bool {
	return modelwatch.ErrorCode(err) == modelwatch.CodeInternal || errors.Is(err, modelwatch.ErrDataFileGone)
}

// persist stores an outcome, again and again for as long as the lease, while the
// catalog does not answer. It begins even when the worker is being stopped, but
// then does not try again: an outcome lost is computed again after the lease.
func (w *Worker) persist(ctx context.Context, store func(context.Context) error) error {
	deadline := w.opts.Now().Add(w.opts.Lease)
	for failures := 1; ; failures++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			return store(ctx)
		}()
		if err == nil || !transient(err) || w.opts.Now().After(deadline) || !sleep(ctx, w.backOff(failures)) {
			return err
		}
	}
}

func (a *attempt) finish(state modelwatch.RunState, errText string, now time.Time) {
	a.run.State, a.run.Error, a.run.FinishedAt = state, errText, now
	for i := range a.measurements {
		a.measurements[i].ComputedAt = now
	}
}

// publications are the outbox entries of an ended run, one per sink of its job.
func (a *attempt) publications(withResults bool) []modelwatch.OutboxEntry {
	entries := make([]modelwatch.OutboxEntry, 0, len(a.job.Sinks))
	for _, sink := range a.job.Sinks {
		p := modelwatch.Publication{Run: &a.run, WindowLabel: windowLabel(a.run.Window.Duration())}
		if withResults {
			p.Measurements = a.measurements
		}
		entries = append(entries, modelwatch.OutboxEntry{Sink: sink, Publication: p})
	}
	return entries
}

// maxErrorBytes bounds the text that is kept with a run.
const maxErrorBytes = 2000

// message is an error as a user sees it: one line, without the stack of a panic.
func message(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.ToValidUTF8(line[:min(len(line), maxErrorBytes)], "")
}
