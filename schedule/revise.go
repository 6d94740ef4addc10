package schedule

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
)

// finalSlack is for how long after it matured a backtest still gets its final
// revision: longer than any outage that one would want to forget.
const finalSlack = 7 * 24 * time.Hour

// revisionsPerWindow bounds the work that late labels make: a window is not
// computed again before that part of its own length has passed. Labels arrive
// all the time, and every one of them outdates all windows that are still open.
const revisionsPerWindow = 24

// reviseLoop queues new revisions of windows whose data has changed.
func (w *Worker) reviseLoop(ctx context.Context) error {
	faults := faultLog{w: w, work: "revise"}
	return w.repeat(ctx, "revise windows", max(w.opts.Poll, w.opts.ReviseAfter/4), func(ctx context.Context) error {
		return w.eachJob(ctx, &faults, w.reviseJob)
	})
}

func (w *Worker) reviseJob(ctx context.Context, job modelwatch.Job) error {
	if job.Maturity <= 0 {
		return nil
	}
	since := w.opts.EventNow().Add(-job.Maturity)
	if job.Kind == modelwatch.JobBacktest {
		since = since.Add(-finalSlack)
	}
	runs, err := w.opts.Store.RevisableRuns(ctx, job.Model, job.Name, since)
	if err != nil {
		return err
	}
	for _, run := range runs {
		outdated, err := w.outdated(ctx, job, run)
		if err != nil {
			return err
		}
		if !outdated {
			continue
		}
		next := modelwatch.Run{Model: run.Model, Job: run.Job, Kind: run.Kind, Window: run.Window, Revision: run.Revision + 1}
		_, created, err := w.opts.Store.AddRun(ctx, next)
		if err != nil {
			return err
		}
		if created { // else another worker was faster
			w.metrics.count(run.Kind, stateRevised)
			w.signal(1)
		}
	}
	return nil
}

// outdated reports whether a window deserves a new revision: until it matures
// when the archive holds another number of rows than its last revision read,
// and, for a backtest, once more after it has matured, so that its last
// measurements say so.
func (w *Worker) outdated(ctx context.Context, job modelwatch.Job, run modelwatch.Run) (bool, error) {
	matures := run.Window.End.Add(job.Maturity)
	if !w.opts.EventNow().Before(matures) {
		return job.Kind == modelwatch.JobBacktest && run.FinishedAt.Before(matures), nil
	}
	if w.opts.Now().Sub(run.FinishedAt) < max(w.opts.ReviseAfter, job.Window/revisionsPerWindow) {
		return false, nil
	}
	rows, err := w.inputRows(ctx, job, run.Window)
	return err == nil && rows != run.InputRows, err
}

// inputRows counts the rows that the archive holds for a window: predictions,
// and for a backtest the labels until it matures.
func (w *Worker) inputRows(ctx context.Context, job modelwatch.Job, window modelwatch.Window) (int64, error) {
	versions := job.Versions
	if allVersions(job) {
		versions = []string{""}
	}
	var sum int64
	for _, v := range versions {
		n, err := w.opts.Store.KeptRows(ctx, job.Model, v, modelwatch.KindPrediction, window)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	if job.Kind != modelwatch.JobBacktest {
		return sum, nil
	}
	n, err := w.opts.Store.KeptRows(ctx, job.Model, "", modelwatch.KindLabel, labelSpan(job, window))
	return sum + n, err
}

// labelSpan is the time in which labels of a window's predictions are looked
// for: from its start until it matures.
func labelSpan(job modelwatch.Job, window modelwatch.Window) modelwatch.Window {
	return modelwatch.Window{Start: window.Start, End: window.End.Add(max(job.Maturity, DueAfter(job)))}
}
