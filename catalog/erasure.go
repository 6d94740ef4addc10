package catalog

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/modelwatch/modelwatch"
)

const erasureColumns = `model, state, dry_run, ids, files, row_count, dead_letters, created_at, erased_at, finished_at`

func scanErasure(r row) (e modelwatch.Erasure, err error) {
	var dry int64
	err = r.Scan(&e.ID, &e.Model, &e.State, &dry, &e.IDs, &e.Files, &e.Rows, &e.DeadLetters,
		timeColumn{&e.CreatedAt}, timeColumn{&e.ErasedAt}, timeColumn{&e.FinishedAt})
	e.DryRun = dry != 0
	return e, err
}

// lockErasures makes transactions that give out numbers of erasures wait for each other.
const lockErasures = `INSERT INTO setting (name, value) VALUES ('erasures', '') ON CONFLICT (name) DO UPDATE SET value = excluded.value`

const insertErasure = `INSERT INTO erasure (` + erasureColumns + `, last_file, last_letter)
SELECT CAST($1 AS TEXT), 'queued', CAST($2 AS BIGINT), CAST($3 AS BIGINT), 0, 0, 0, CAST($4 AS BIGINT), 0, 0,
	(SELECT coalesce(max(id), 0) FROM data_file), (SELECT coalesce(max(id), 0) FROM dead_letter)
RETURNING id, ` + erasureColumns

const insertErasedIDs = `INSERT INTO erased_id (erasure_id, id_rank, digest) VALUES `

const skipErasedID = ` ON CONFLICT (erasure_id, id_rank, digest) DO NOTHING`

// AddErasure orders the erasure of what stones stand for. Of the order count its
// model, which must exist, else CodeNotFound, the number of its ids, and whether it
// only counts.
func (c *Catalog) AddErasure(ctx context.Context, order modelwatch.Erasure, stones []modelwatch.Tombstone) (e modelwatch.Erasure, err error) {
	err = c.change(ctx, "order an erasure", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, lockErasures); err != nil {
			return err
		}
		if _, err := scanModel(tx.QueryRowContext(ctx, selectModel, clean(order.Model))); err != nil {
			return missing(err, "there is no model %q", order.Model)
		}
		e, err = scanErasure(tx.QueryRowContext(ctx, insertErasure, order.Model, flag(order.DryRun), order.IDs, micros(c.now())))
		if err != nil {
			return err
		}
		rows := make([][]any, len(stones))
		for i, t := range stones {
			rows[i] = []any{e.ID, t.Rank, t.Digest}
		}
		_, err := insertRows(ctx, tx, insertErasedIDs, skipErasedID, rows)
		return err
	})
	return e, err
}

const selectErasure = `SELECT id, ` + erasureColumns + ` FROM erasure WHERE model = $1 AND id = $2`

// Erasure returns one erasure of a model, or CodeNotFound.
func (c *Catalog) Erasure(ctx context.Context, model string, id int64) (modelwatch.Erasure, error) {
	e, err := findOne(ctx, c, scanErasure, selectErasure, clean(model), id)
	return e, c.wrap(missing(err, "there is no erasure %d of model %q", id, model), "read erasure")
}

const selectErasures = `SELECT id, ` + erasureColumns + ` FROM erasure`

// Erasures lists the erasures of a model, newest first.
func (c *Catalog) Erasures(ctx context.Context, model string, page Page) (list []modelwatch.Erasure, next string, err error) {
	after, ok, err := startAfter(page, "erasures")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectErasures)
	q.and("model = ?", clean(model))
	if ok {
		q.and("id < ?", after.ID)
	}
	q.add(" ORDER BY id DESC LIMIT ?", pageSize(page)+1)
	list, err = find(ctx, c, "list erasures", scanErasure, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(list, page, func(e modelwatch.Erasure) key { return key{List: "erasures", ID: e.ID} })
}

// Erasures that only count are of interest until they have.
const selectTombstones = `SELECT e.id, e.model, i.id_rank, i.digest FROM erasure e JOIN erased_id i ON i.erasure_id = e.id
WHERE e.dry_run = $1 AND (e.dry_run = 0 OR e.state = 'queued') ORDER BY e.id, i.id_rank, i.digest`

// Tombstones returns the ids of all erasures: of those that stand, or of those
// that only count and have not done so.
func (c *Catalog) Tombstones(ctx context.Context, dryRun bool) ([]modelwatch.Tombstone, error) {
	scan := func(r row) (t modelwatch.Tombstone, err error) {
		err = r.Scan(&t.Erasure, &t.Model, &t.Rank, &t.Digest)
		return t, err
	}
	return find(ctx, c, "read erased ids", scan, selectTombstones, flag(dryRun))
}

const selectUnerased = selectDataFiles + ` WHERE retired_at = 0 AND model = $1 AND erased_until < $2 ORDER BY id LIMIT $3`

// UnerasedFiles returns files of a model, at most limit by id, that may hold rows
// of its erasures up to a number.
func (c *Catalog) UnerasedFiles(ctx context.Context, model string, until int64, limit int) ([]modelwatch.DataFile, error) {
	return find(ctx, c, "find data files to erase from", scanDataFile, selectUnerased, model, until, limit)
}

const markClean = `UPDATE data_file SET erased_until = $1 WHERE erased_until < $1 AND id IN`

// MarkErased notes that files hold no row of the erasures up to a number.
func (c *Catalog) MarkErased(ctx context.Context, ids []int64, until int64) error {
	return c.change(ctx, "note data files as erased", func(ctx context.Context, tx *sql.Tx) error {
		_, err := execIn(ctx, tx, markClean, "", slices.Sorted(slices.Values(ids)), until)
		return err
	})
}

const countErased = `UPDATE erasure SET files = files + $1, row_count = row_count + $2, dead_letters = dead_letters + $3 WHERE id = $4`

// addErased counts the rows of a replacement for the erasures that they were of.
func addErased(ctx context.Context, tx *sql.Tx, rows map[int64]int64) error {
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if _, err := exec(ctx, tx, countErased, 1, rows[id], 0, id); err != nil {
			return err
		}
	}
	return nil
}

const finishDryRun = `UPDATE erasure SET state = 'done', files = $1, row_count = $2, dead_letters = $3, finished_at = $4
WHERE id = $5 AND dry_run = 1 AND state = 'queued'`

const forgetErasedIDs = `DELETE FROM erased_id WHERE erasure_id = $1`

// FinishDryRun stores what an erasure that only counts has counted, and forgets its ids.
func (c *Catalog) FinishDryRun(ctx context.Context, e modelwatch.Erasure) error {
	return c.change(ctx, "finish a dry run", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := exec(ctx, tx, finishDryRun, e.Files, e.Rows, e.DeadLetters, micros(c.now()), e.ID); err != nil {
			return err
		}
		_, err := exec(ctx, tx, forgetErasedIDs, e.ID)
		return err
	})
}

const selectUnerasedLetters = selectDeadLetters + ` WHERE d.erased_until < $1 ORDER BY d.id LIMIT $2`

// UnerasedLetters returns dead letters, at most limit by id, that may be of
// erasures up to a number.
func (c *Catalog) UnerasedLetters(ctx context.Context, until int64, limit int) ([]modelwatch.DeadLetter, error) {
	return find(ctx, c, "find dead letters to erase", scanDeadLetter, selectUnerasedLetters, until, limit)
}

const deleteErasedLetter = `DELETE FROM dead_letter WHERE id = $1`

const markLetters = `UPDATE dead_letter SET erased_until = $1 WHERE erased_until < $1 AND id IN`

// EraseLetters deletes dead letters, each for an erasure, and notes that others
// are of none up to a number.
func (c *Catalog) EraseLetters(ctx context.Context, erased map[int64]int64, kept []int64, until int64) error {
	return c.change(ctx, "erase dead letters", func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(erased)) {
			n, err := exec(ctx, tx, deleteErasedLetter, id)
			if err == nil {
				_, err = exec(ctx, tx, countErased, 0, 0, n, erased[id])
			}
			if err != nil {
				return err
			}
		}
		_, err := execIn(ctx, tx, markLetters, "", slices.Sorted(slices.Values(kept)), until)
		return err
	})
}

// A file that was merged of others has the place of the oldest.
const settleErased = `UPDATE erasure SET state = 'erased', erased_at = $1 WHERE state = 'queued' AND dry_run = 0
AND NOT EXISTS (SELECT 1 FROM data_file f WHERE f.model = erasure.model AND f.retired_at = 0 AND f.erased_until < erasure.id
	AND CASE WHEN f.place = 0 THEN f.id ELSE f.place END <= erasure.last_file)
AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.erased_until < erasure.id AND d.id <= erasure.last_letter)`

// An upload that was announced by then may hold the rows, too, until it is
// registered, or deleted: what a killed compaction or flush leaves.
const settleDone = `UPDATE erasure SET state = 'done', finished_at = $1 WHERE state = 'erased'
AND NOT EXISTS (SELECT 1 FROM data_file f WHERE f.model = erasure.model AND f.retired_at > 0 AND f.retired_at <= erasure.erased_at)
AND NOT EXISTS (SELECT 1 FROM upload_intent u WHERE u.state <> 'registered' AND u.buried_at = 0
	AND (u.owner = erasure.model OR u.created_at <= erasure.erased_at))`

// SettleErasures moves erasures on whose rows no reader can see any more, and
// those whose objects are deleted.
func (c *Catalog) SettleErasures(ctx context.Context) (moved int64, err error) {
	err = c.change(ctx, "settle erasures", func(ctx context.Context, tx *sql.Tx) error {
		now := micros(c.now())
		erased, err := exec(ctx, tx, settleErased, now)
		if err != nil {
			return err
		}
		done, err := exec(ctx, tx, settleDone, now)
		moved = erased + done
		return err
	})
	return moved, err
}
