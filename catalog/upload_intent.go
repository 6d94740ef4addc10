package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

const insertIntents = `INSERT INTO upload_intent (object_key, owner, state, created_at) VALUES `

// IntendUpload announces objects before they are written, so that one which is
// never registered can be found. A key that was announced before is CodeConflict.
func (c *Catalog) IntendUpload(ctx context.Context, keys []string, owner string) error {
	now := micros(c.now())
	rows := make([][]any, len(keys))
	for i, k := range slices.Sorted(slices.Values(keys)) {
		rows[i] = []any{k, clean(owner), "pending", now}
	}
	return c.change(ctx, "announce uploads", func(ctx context.Context, tx *sql.Tx) error {
		_, err := insertRows(ctx, tx, insertIntents, "", rows)
		return err
	})
}

const registerIntents = `UPDATE upload_intent SET state = 'registered' WHERE state = 'pending' AND object_key IN`

// registerUploads turns pending intents into registered ones. One that is
// missing or condemned means that garbage collection may have the object.
func registerUploads(ctx context.Context, tx *sql.Tx, keys []string) error {
	slices.Sort(keys)
	n, err := execIn(ctx, tx, registerIntents, "", keys)
	if err != nil {
		return err
	}
	if int(n) != len(keys) {
		return modelwatch.Errorf(modelwatch.CodeFenced, "%d of %d uploads are no longer pending: they were condemned or registered by another", len(keys)-int(n), len(keys))
	}
	return nil
}

const condemnIntentsHead = `WITH old AS (
	SELECT object_key FROM upload_intent WHERE state = 'pending' AND created_at < $1 ORDER BY created_at, object_key LIMIT $2 `

const condemnIntentsTail = `)
UPDATE upload_intent SET state = 'dead' WHERE object_key IN (SELECT object_key FROM old)`

const selectDeadIntents = `SELECT object_key FROM upload_intent WHERE state = 'dead' ORDER BY created_at, object_key LIMIT $1`

// CondemnIntents gives up on uploads that were announced before olderThan and
// are still pending, and returns the keys of dead objects, at most limit: delete
// those, then forget them. A condemned object can no longer be registered,
// however late its writer wakes up. Keys that were not forgotten come again.
func (c *Catalog) CondemnIntents(ctx context.Context, olderThan time.Time, limit int) (keys []string, err error) {
	query := condemnIntentsHead + c.dialect.skipLocked + condemnIntentsTail
	err = c.change(ctx, "condemn uploads", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, query, micros(olderThan), limit); err != nil {
			return err
		}
		keys, err = all(ctx, tx, scanText, selectDeadIntents, limit)
		return err
	})
	return keys, err
}

const forgetIntents = `DELETE FROM upload_intent WHERE state = 'dead' AND object_key IN`

// ForgetIntents removes condemned intents whose objects are deleted.
func (c *Catalog) ForgetIntents(ctx context.Context, keys []string) error {
	return c.change(ctx, "forget condemned uploads", func(ctx context.Context, tx *sql.Tx) error {
		_, err := execIn(ctx, tx, forgetIntents, "", slices.Sorted(slices.Values(keys)))
		return err
	})
}
