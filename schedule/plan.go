package schedule

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
)

// planLoop queues the windows that have become due.
func (w *Worker) planLoop(ctx context.Context) error {
	faults := faultLog{w: w, work: "plan"}
	return w.repeat(ctx, "plan windows", w.opts.Poll, func(ctx context.Context) error {
		return w.eachJob(ctx, &faults, w.planJob)
	})
}

// eachJob calls do for every job. A job that is at fault does not hold up the
// others; an outage ends the round.
func (w *Worker) eachJob(ctx context.Context, faults *faultLog, do func(context.Context, modelwatch.Job) error) error {
	jobs, err := w.opts.Store.AllJobs(ctx)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		err := do(ctx, job)
		if ctx.Err() != nil || transient(err) {
			return err
		}
		faults.note(job, err)
	}
	return nil
}

// planJob queues the windows of one job that are due and not yet planned, the
// oldest first and at most MaxWindows: after a long stop the next rounds
// continue where this one ends.
func (w *Worker) planJob(ctx context.Context, job modelwatch.Job) error {
	from := job.PlannedUntil
	if from.IsZero() {
		from = job.CreatedAt
	}
	windows, err := Windows(job, from, w.opts.EventNow().Add(-DueAfter(job)))
	if err != nil || len(windows) == 0 {
		return err
	}
	added, err := w.opts.Store.PlanRuns(ctx, job, windows, windows[len(windows)-1].End)
	switch modelwatch.ErrorCode(err) {
	case modelwatch.CodeConflict, modelwatch.CodeNotFound:
		return nil // another planner was faster, or the job has changed: the next round sees it
	case "":
		w.metrics.runs.WithLabelValues(string(job.Kind), statePlanned).Add(float64(added))
		w.signal(added)
		return nil
	}
	return err
}

// faultLog logs what is wrong with a job once, not in every round.
type faultLog struct {
	w    *Worker
	work string
	last map[string]string // by model and job
}

func (f *faultLog) note(job modelwatch.Job, err error) {
	key := fmt.Sprintf("%q %q", job.Model, job.Name)
	if err == nil {
		delete(f.last, key)
		return
	}
	if f.last[key] == err.Error() {
		return
	}
	if f.last == nil {
		f.last = make(map[string]string)
	}
	f.last[key] = err.Error()
	f.w.opts.Log.Error("job cannot be scheduled", "work", f.work, "model", job.Model, "job", job.Name, "error", err)
}
