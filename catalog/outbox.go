package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

const insertOutbox = `INSERT INTO outbox (sink, model, job, window_start, window_end, revision, payload, attempts, not_before, last_error, created_at)
VALUES `

// outboxRows are the columns of insertOutbox for the publications of a run.
// Under a revision over 0 they replace those of older revisions of the window.
func (c *Catalog) outboxRows(run modelwatch.Run, revision int, entries []modelwatch.OutboxEntry) ([][]any, error) {
	now := micros(c.now())
	rows := make([][]any, len(entries))
	for i, e := range entries {
		payload, err := jsonText(newPublicationBody(e.Publication))
		if err != nil {
			return nil, err
		}
		created := now
		if !e.CreatedAt.IsZero() {
			created = micros(e.CreatedAt)
		}
		rows[i] = []any{
			e.Sink, run.Model, run.Job, micros(run.Window.Start), micros(run.Window.End), revision,
			payload, 0, micros(e.NotBefore), "", created,
		}
	}
	return rows, nil
}

func addOutbox(ctx context.Context, tx *sql.Tx, rows [][]any) error {
	_, err := insertRows(ctx, tx, insertOutbox, "", rows)
	return err
}

// queued is an entry of the outbox with what decides about it.
type queued struct {
	modelwatch.OutboxEntry
	superseded bool
}

// A newer revision of the window waits behind the entry, or was delivered.
const selectQueue = `SELECT id, sink, payload, attempts, not_before, created_at,
	CASE WHEN revision > 0 AND (
		EXISTS (SELECT 1 FROM outbox AS newer
			WHERE newer.sink = outbox.sink AND newer.model = outbox.model AND newer.job = outbox.job
				AND newer.window_start = outbox.window_start AND newer.window_end = outbox.window_end
				AND newer.revision > outbox.revision AND newer.revision > 0)
		OR EXISTS (SELECT 1 FROM delivery
			WHERE delivery.sink = outbox.sink AND delivery.model = outbox.model AND delivery.job = outbox.job
				AND delivery.window_start = outbox.window_start AND delivery.window_end = outbox.window_end
				AND delivery.revision > outbox.revision)
	) THEN 1 ELSE 0 END
FROM outbox WHERE sink = $1 AND id > $2 ORDER BY id LIMIT $3`

func scanQueued(r row) (q queued, err error) {
	var body publicationBody
	err = r.Scan(&q.ID, &q.Sink, jsonColumn{&body}, &q.Attempts, timeColumn{&q.NotBefore}, timeColumn{&q.CreatedAt}, &q.superseded)
	q.Publication = body.publication()
	return q, err
}

const deleteOutbox = `DELETE FROM outbox WHERE id IN`

// ClaimOutbox returns the oldest entries of a sink, in order, to the one owner
// that leads it; leader is false for every other. Calling it takes the lead, or
// extends it, until now + lease.
//
// An entry that is not due holds back all behind it, because a sink keeps the
// last value that it was sent. Entries of a window that a newer revision
// replaces are dropped and counted. Entries stay until they are acknowledged,
// retried or dropped: a leader that dies has its entries handed out again.
func (c *Catalog) ClaimOutbox(ctx context.Context, sink, owner string, now time.Time, lease time.Duration, limit int) (entries []modelwatch.OutboxEntry, leader bool, err error) {
	err = c.change(ctx, "claim the outbox of sink "+sink, func(ctx context.Context, tx *sql.Tx) error {
		entries = nil
		leader, err = lead(ctx, tx, "sink/"+sink, owner, now, lease)
		if err != nil || !leader {
			return err
		}
		entries, err = c.takeOutbox(ctx, tx, sink, now, limit)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return entries, leader, nil
}

// takeOutbox reads on until limit entries are found or none further is due.
func (c *Catalog) takeOutbox(ctx context.Context, tx *sql.Tx, sink string, now time.Time, limit int) ([]modelwatch.OutboxEntry, error) {
	limit = max(limit, 1)
	var due []modelwatch.OutboxEntry
	var dropped []int64
	last := int64(0)
	for more := true; more; {
		page, err := all(ctx, tx, scanQueued, selectQueue, sink, last, limit)
		if err != nil {
			return nil, err
		}
		more = len(page) == limit
		for _, q := range page {
			last = q.ID
			if q.superseded {
				dropped = append(dropped, q.ID)
				continue
			}
			if len(due) == limit || q.NotBefore.After(now) {
				more = false
				break
			}
			due = append(due, q.OutboxEntry)
		}
	}
	return due, c.dropSuperseded(ctx, tx, sink, dropped)
}

func (c *Catalog) dropSuperseded(ctx context.Context, tx *sql.Tx, sink string, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	n, err := execIn(ctx, tx, deleteOutbox, "", ids)
	if err != nil {
		return err
	}
	return c.countDrops(ctx, tx, map[string]int64{sink: n}, dropSuperseded, "")
}

const insertDelivery = `INSERT INTO delivery (sink, model, job, window_start, window_end, revision)
SELECT sink, model, job, window_start, window_end, max(revision) FROM outbox WHERE revision > 0 AND id IN`

const updateDelivery = ` GROUP BY sink, model, job, window_start, window_end
ON CONFLICT (sink, model, job, window_start, window_end) DO UPDATE
SET revision = CASE WHEN excluded.revision > delivery.revision THEN excluded.revision ELSE delivery.revision END`

// AckOutbox removes entries that were delivered, and remembers their revisions:
// an older one that turns up later is dropped.
func (c *Catalog) AckOutbox(ctx context.Context, ids []int64) error {
	return c.change(ctx, "acknowledge outbox entries", func(ctx context.Context, tx *sql.Tx) error {
		ids := slices.Sorted(slices.Values(ids))
		if _, err := execIn(ctx, tx, insertDelivery, updateDelivery, ids); err != nil {
			return err
		}
		_, err := execIn(ctx, tx, deleteOutbox, "", ids)
		return err
	})
}

const retryOutbox = `UPDATE outbox SET attempts = attempts + 1, not_before = $1, last_error = $2 WHERE id IN`

// RetryOutbox keeps entries for another attempt.
func (c *Catalog) RetryOutbox(ctx context.Context, ids []int64, notBefore time.Time, errText string) error {
	return c.change(ctx, "keep outbox entries for another attempt", func(ctx context.Context, tx *sql.Tx) error {
		_, err := execIn(ctx, tx, retryOutbox, "", slices.Sorted(slices.Values(ids)), micros(notBefore), clean(errText))
		return err
	})
}

// DropOutbox removes entries that their sink will never take, and counts them.
func (c *Catalog) DropOutbox(ctx context.Context, ids []int64, errText string) error {
	return c.change(ctx, "drop outbox entries", func(ctx context.Context, tx *sql.Tx) error {
		drops := map[string]int64{}
		err := eachBatch(slices.Sorted(slices.Values(ids)), 1, func(batch []int64) error {
			query, args := inList(deleteOutbox, " RETURNING sink", batch, nil)
			sinks, err := all(ctx, tx, scanText, query, args...)
			for _, sink := range sinks {
				drops[sink]++
			}
			return err
		})
		if err != nil {
			return err
		}
		return c.countDrops(ctx, tx, drops, dropRejected, errText)
	})
}

const selectOutboxDepth = `SELECT sink, count(*) FROM outbox GROUP BY sink ORDER BY sink`

// OutboxDepth returns how many entries wait for each sink that has some.
func (c *Catalog) OutboxDepth(ctx context.Context) (map[string]int64, error) {
	return countBy[string](ctx, c, "count the outbox", selectOutboxDepth)
}
