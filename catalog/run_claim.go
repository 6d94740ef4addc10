package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The scalar subquery runs once, so one row is locked and one is claimed.
const claimRunHead = `UPDATE run SET state = 'running', token = token + 1, worker = $1, lease_until = $2, attempts = attempts + 1,
	started_at = CASE WHEN started_at = 0 THEN $3 ELSE started_at END
WHERE id = (
	SELECT id FROM run
	WHERE state IN ('queued', 'running')
		AND ((state = 'queued' AND not_before <= $3) OR (state = 'running' AND lease_until <= $3))
	ORDER BY window_end, id LIMIT 1 `

const claimRunTail = `) RETURNING ` + runColumns

// ClaimRun gives a worker the run with the oldest window end of those that are
// queued and due, or running under a lease that has expired. The run carries a
// new token, under which alone it can be renewed, completed or handed back until
// now + lease. ok is false if there is nothing to do.
func (c *Catalog) ClaimRun(ctx context.Context, worker string, now time.Time, lease time.Duration) (run modelwatch.Run, ok bool, err error) {
	query := claimRunHead + c.dialect.skipLocked + claimRunTail
	var runs []modelwatch.Run
	err = c.statement(ctx, "claim a run", func(ctx context.Context, r runner) error {
		runs, err = all(ctx, r, scanRun, query, clean(worker), micros(now.Add(lease)), micros(now))
		return err
	})
	if err != nil || len(runs) == 0 {
		return modelwatch.Run{}, false, err
	}
	return runs[0], true, nil
}

const renewRun = `UPDATE run SET lease_until = $3 WHERE id = $1 AND token = $2 AND state = 'running'`

// RenewRun extends the lease of a claimed run. CodeFenced says that the run was
// taken over, finished or cancelled: stop computing it.
func (c *Catalog) RenewRun(ctx context.Context, id string, token int64, until time.Time) error {
	return c.statement(ctx, "renew the lease of run "+id, func(ctx context.Context, r runner) error {
		return underToken(ctx, r, renewRun, id, token, micros(until))
	})
}

// underToken runs an UPDATE that must change the run it names by id and token.
func underToken(ctx context.Context, r runner, query, id string, token int64, args ...any) error {
	n, err := exec(ctx, r, query, append([]any{id, token}, args...)...)
	if err != nil || n == 1 {
		return err
	}
	run, err := scanRun(r.QueryRowContext(ctx, selectRun, id))
	if err != nil {
		return missing(err, "there is no run %q", id)
	}
	return modelwatch.Errorf(modelwatch.CodeFenced, "run %s is %s under token %d, not running under token %d", id, run.State, run.Token, token)
}

const retryRun = `UPDATE run SET state = 'queued', not_before = $3, error = $4, worker = '', lease_until = 0
WHERE id = $1 AND token = $2 AND state = 'running'`

// RetryRun puts a claimed run back into the queue for a later attempt.
func (c *Catalog) RetryRun(ctx context.Context, run modelwatch.Run, notBefore time.Time, errText string) error {
	return c.statement(ctx, "queue run "+run.ID+" again", func(ctx context.Context, r runner) error {
		return underToken(ctx, r, retryRun, run.ID, run.Token, micros(notBefore), clean(errText))
	})
}

const releaseRun = `UPDATE run SET state = 'queued', attempts = attempts - 1, worker = '', lease_until = 0
WHERE id = $1 AND token = $2 AND state = 'running'`

// ReleaseRun hands a claimed run back untried, on shutdown: another worker may
// claim it at once, and the attempt does not count.
func (c *Catalog) ReleaseRun(ctx context.Context, run modelwatch.Run) error {
	return c.statement(ctx, "release run "+run.ID, func(ctx context.Context, r runner) error {
		return underToken(ctx, r, releaseRun, run.ID, run.Token)
	})
}

const finishRun = `UPDATE run SET state = $3, finished_at = $4, error = $5, input_rows = $6, data_files = $7, rows_read = $8, lease_until = 0
WHERE id = $1 AND token = $2 AND state = 'running'`

// CompleteRun stores the results of a claimed run, marks it succeeded and puts
// the publications into the outbox, in one transaction. It is CodeFenced, and
// nothing is stored, unless the run is still running under run.Token.
//
// Of run, InputRows, DataFiles, Rows and FinishedAt are stored (now, if that is
// zero); measurements are stored as this run's whatever they say themselves.
func (c *Catalog) CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error {
	publications, err := c.outboxRows(run, run.Revision, outbox)
	if err != nil {
		return c.wrap(err, "complete run "+run.ID)
	}
	return c.finish(ctx, run, modelwatch.RunSucceeded, "", func(ctx context.Context, tx *sql.Tx) error {
		if err := storeResults(ctx, tx, run, ms); err != nil {
			return err
		}
		return addOutbox(ctx, tx, publications)
	})
}

// FailRun marks a claimed run failed for good and puts publications into the
// outbox, under the same conditions as CompleteRun. Those neither replace the
// results of older revisions nor are replaced.
func (c *Catalog) FailRun(ctx context.Context, run modelwatch.Run, errText string, outbox []modelwatch.OutboxEntry) error {
	publications, err := c.outboxRows(run, 0, outbox)
	if err != nil {
		return c.wrap(err, "fail run "+run.ID)
	}
	return c.finish(ctx, run, modelwatch.RunFailed, errText, func(ctx context.Context, tx *sql.Tx) error {
		return addOutbox(ctx, tx, publications)
	})
}

// finish ends a run under its token and does the rest in the same transaction.
func (c *Catalog) finish(ctx context.Context, run modelwatch.Run, state modelwatch.RunState, errText string, rest func(context.Context, *sql.Tx) error) error {
	if run.FinishedAt.IsZero() {
		run.FinishedAt = c.now()
	}
	do := func(ctx context.Context, tx *sql.Tx) error {
		err := underToken(ctx, tx, finishRun, run.ID, run.Token, state, micros(run.FinishedAt), clean(errText), run.InputRows, run.DataFiles, run.Rows)
		if err != nil {
			return err
		}
		return rest(ctx, tx)
	}
	done := func(ctx context.Context) (bool, error) {
		now, err := findOne(ctx, c, scanRun, selectRun, run.ID)
		return now.State == state && now.Token == run.Token, err
	}
	return c.settle(ctx, fmt.Sprintf("end run %s as %s", run.ID, state), do, done)
}
