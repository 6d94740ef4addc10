package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

const runColumns = `id, model, job, kind, window_start, window_end, revision, state, token, worker, lease_until, attempts,
not_before, input_rows, data_files, rows_read, error, created_at, started_at, finished_at`

func scanRun(r row) (run modelwatch.Run, err error) {
	err = r.Scan(&run.ID, &run.Model, &run.Job, &run.Kind, timeColumn{&run.Window.Start}, timeColumn{&run.Window.End},
		&run.Revision, &run.State, &run.Token, &run.Worker, timeColumn{&run.LeaseUntil}, &run.Attempts,
		timeColumn{&run.NotBefore}, &run.InputRows, &run.DataFiles, &run.Rows, &run.Error,
		timeColumn{&run.CreatedAt}, timeColumn{&run.StartedAt}, timeColumn{&run.FinishedAt})
	return run, err
}

func runValues(r modelwatch.Run) []any {
	return []any{
		r.ID, r.Model, r.Job, r.Kind, micros(r.Window.Start), micros(r.Window.End),
		r.Revision, r.State, r.Token, r.Worker, micros(r.LeaseUntil), r.Attempts,
		micros(r.NotBefore), r.InputRows, r.DataFiles, r.Rows, clean(r.Error),
		micros(r.CreatedAt), micros(r.StartedAt), micros(r.FinishedAt), 0,
	}
}

const insertRuns = `INSERT INTO run (` + runColumns + `, reported) VALUES `

// A window whose run was cancelled with its job gets it back.
const reviveRun = ` ON CONFLICT (model, job, window_start, window_end, revision) DO UPDATE
SET state = 'queued', attempts = 0, error = '', worker = '', not_before = excluded.not_before, finished_at = 0
WHERE run.state = 'cancelled'`

const movePlannedUntil = `UPDATE job SET planned_until = $5
WHERE model = $1 AND name = $2 AND revision = $3 AND planned_until = $4`

// PlanRuns queues the first revision of each window that has no run, and moves
// PlannedUntil, in one transaction. It is a compare-and-set on the revision and
// the PlannedUntil of the job as it was read: if another planner was faster, or
// the job has changed, the error is CodeConflict and nothing is queued; if it is
// gone, CodeNotFound.
func (c *Catalog) PlanRuns(ctx context.Context, job modelwatch.Job, windows []modelwatch.Window, plannedUntil time.Time) (added int, err error) {
	what := "plan runs of job " + job.Name + " of model " + job.Model
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		moved, err := exec(ctx, tx, movePlannedUntil, job.Model, job.Name, job.Revision, micros(job.PlannedUntil), micros(plannedUntil))
		if err != nil {
			return err
		}
		if moved == 0 {
			return planLost(ctx, tx, job)
		}
		rows, err := c.plannedRuns(job, windows)
		if err != nil {
			return err
		}
		n, err := insertRows(ctx, tx, insertRuns, reviveRun, rows)
		added = int(n)
		return err
	})
	if err != nil {
		added = 0
	}
	return added, err
}

func planLost(ctx context.Context, tx *sql.Tx, job modelwatch.Job) error {
	if _, err := scanJob(tx.QueryRowContext(ctx, selectJob, job.Model, job.Name)); err != nil {
		return noJob(err, job.Model, job.Name)
	}
	return modelwatch.Errorf(modelwatch.CodeConflict, "job %q of model %q has been planned or changed meanwhile: read it again", job.Name, job.Model)
}

func (c *Catalog) plannedRuns(job modelwatch.Job, windows []modelwatch.Window) ([][]any, error) {
	now := c.now()
	rows := make([][]any, len(windows))
	for i, w := range windows {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make run id: %w", err)
		}
		rows[i] = runValues(modelwatch.Run{
			ID: id.String(), Model: job.Model, Job: job.Name, Kind: job.Kind, Window: w,
			Revision: 1, State: modelwatch.RunQueued, NotBefore: now, CreatedAt: now,
		})
	}
	return rows, nil
}

const selectRun = `SELECT ` + runColumns + ` FROM run WHERE id = $1`

const selectRunOfWindow = `SELECT ` + runColumns + ` FROM run
WHERE model = $1 AND job = $2 AND window_start = $3 AND window_end = $4 AND revision = $5`

const selectNewestRevision = `SELECT coalesce(max(revision), 0) FROM run
WHERE model = $1 AND job = $2 AND window_start = $3 AND window_end = $4`

// AddRun queues one run: on demand, or the next revision of a window. Revision 0
// asks for the one after the newest; an empty ID, for an ID.
//
// The ID is an idempotency key: if it is known, or if the window has a run of
// that revision, that run is returned and created is false. A known ID for
// another job or window is CodeConflict.
func (c *Catalog) AddRun(ctx context.Context, run modelwatch.Run) (stored modelwatch.Run, created bool, err error) {
	what := fmt.Sprintf("queue run of job %s of model %s", run.Job, run.Model)
	if run.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return run, false, c.wrap(err, what)
		}
		run.ID = id.String()
	}
	if run.CreatedAt.IsZero() {
		run.CreatedAt = c.now()
	}
	run.CreatedAt, run.NotBefore = fromMicros(micros(run.CreatedAt)), fromMicros(micros(run.NotBefore))
	run.Window = modelwatch.Window{Start: fromMicros(micros(run.Window.Start)), End: fromMicros(micros(run.Window.End))}
	run.State, run.Token, run.Worker, run.Attempts, run.LeaseUntil = modelwatch.RunQueued, 0, "", 0, time.Time{}
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		stored, created, err = addRun(ctx, tx, run)
		return err
	})
	return stored, created, err
}

const insertRun = `INSERT INTO run (` + runColumns + `, reported)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT DO NOTHING`

const reviveOneRun = `UPDATE run SET state = 'queued', attempts = 0, error = '', worker = '', not_before = $6, finished_at = 0
WHERE model = $1 AND job = $2 AND window_start = $3 AND window_end = $4 AND revision = $5 AND state = 'cancelled'`

func addRun(ctx context.Context, tx *sql.Tx, run modelwatch.Run) (stored modelwatch.Run, created bool, err error) {
	window := []any{run.Model, run.Job, micros(run.Window.Start), micros(run.Window.End)}
	next := run.Revision == 0
	for {
		if next {
			if err := tx.QueryRowContext(ctx, selectNewestRevision, window...).Scan(&run.Revision); err != nil {
				return run, false, err
			}
			run.Revision++
		}
		n, err := exec(ctx, tx, insertRun, runValues(run)...)
		if err != nil || n == 1 {
			return run, n == 1, err
		}
		known, err := scanRun(tx.QueryRowContext(ctx, selectRun, run.ID))
		if err == nil {
			return known, false, sameRun(known, run)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return run, false, err
		}
		// The revision is taken, by one that was asked for at the same time.
		if next {
			continue
		}
		slot := slices.Concat(window, []any{run.Revision})
		n, err = exec(ctx, tx, reviveOneRun, slices.Concat(slot, []any{micros(run.NotBefore)})...)
		if err != nil {
			return run, false, err
		}
		stored, err = scanRun(tx.QueryRowContext(ctx, selectRunOfWindow, slot...))
		return stored, n == 1, err
	}
}

// sameRun reports whether an idempotency key comes back with the same request.
func sameRun(known, run modelwatch.Run) error {
	if known.Model == run.Model && known.Job == run.Job &&
		micros(known.Window.Start) == micros(run.Window.Start) && micros(known.Window.End) == micros(run.Window.End) {
		return nil
	}
	return modelwatch.Errorf(modelwatch.CodeConflict, "the id %q was used for a run of job %q of model %q from %s to %s: choose another",
		run.ID, known.Job, known.Model, known.Window.Start.Format(time.RFC3339), known.Window.End.Format(time.RFC3339))
}

// Run returns a run by its id.
func (c *Catalog) Run(ctx context.Context, id string) (modelwatch.Run, error) {
	run, err := findOne(ctx, c, scanRun, selectRun, clean(id))
	return run, c.wrap(missing(err, "there is no run %q", id), "read run "+id)
}

const selectRuns = `SELECT ` + runColumns + ` FROM run`

// Runs lists runs, newest first by when they were queued.
func (c *Catalog) Runs(ctx context.Context, f RunFilter) (runs []modelwatch.Run, next string, err error) {
	after, ok, err := startAfter(f.Page, "runs")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectRuns)
	q.andText("model", f.Model)
	q.andText("job", f.Job)
	q.andText("state", string(f.State))
	q.andWindow(f.From, f.To)
	if ok {
		q.and("(created_at < ? OR (created_at = ? AND id < ?))", after.Time, after.Time, after.Text)
	}
	q.add(" ORDER BY created_at DESC, id DESC LIMIT ?", pageSize(f.Page)+1)
	runs, err = find(ctx, c, "list runs", scanRun, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(runs, f.Page, func(r modelwatch.Run) key { return key{List: "runs", Time: micros(r.CreatedAt), Text: r.ID} })
}

const selectRevisableRuns = `SELECT ` + runColumns + ` FROM run
WHERE model = $1 AND job = $2 AND window_end > $3 AND state = 'succeeded' AND NOT EXISTS (
	SELECT 1 FROM run AS newer
	WHERE newer.model = run.model AND newer.job = run.job
		AND newer.window_start = run.window_start AND newer.window_end = run.window_end
		AND newer.revision > run.revision AND newer.state <> 'cancelled')
ORDER BY window_end, window_start`

// RevisableRuns returns the runs that late rows may outdate: of each window of
// the job that ended after since, the newest revision, if that succeeded. A
// window whose newest revision still waits, runs or has failed is left out.
func (c *Catalog) RevisableRuns(ctx context.Context, model, job string, since time.Time) ([]modelwatch.Run, error) {
	return find(ctx, c, "find runs to revise", scanRun, selectRevisableRuns, model, job, micros(since))
}
