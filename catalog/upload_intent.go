package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

const insertIntents = `INSERT INTO upload_intent (object_key, owner, state, created_at, commit_id) VALUES `

// IntendUpload announces objects before they are written, so that one which is
// never registered can be found. A key that was announced before is CodeConflict.
func (c *Catalog) IntendUpload(ctx context.Context, keys []string, owner string) error {
	return c.change(ctx, "announce uploads", func(ctx context.Context, tx *sql.Tx) error {
		return c.addIntents(ctx, tx, keys, owner, "")
	})
}

func (c *Catalog) addIntents(ctx context.Context, tx *sql.Tx, keys []string, owner, commit string) error {
	now := micros(c.now())
	rows := make([][]any, len(keys))
	for i, k := range slices.Sorted(slices.Values(keys)) {
		rows[i] = []any{k, clean(owner), "pending", now, commit}
	}
	_, err := insertRows(ctx, tx, insertIntents, "", rows)
	return err
}

const insertClaims = `INSERT INTO upload_claim (commit_id, consumer_group, topic_id, partition_id, from_offset, owner_epoch) VALUES `

const keepClaim = ` ON CONFLICT (commit_id, consumer_group, topic_id, partition_id) DO NOTHING`

// IntendIngest announces the objects of a commit together with the cursors that
// it builds on. Should one of those move, or be taken by another owner, the
// objects are garbage from then on. If one has already, the error is CodeFenced,
// and nothing need be written. A key that was announced before is CodeConflict.
func (c *Catalog) IntendIngest(ctx context.Context, intent modelwatch.IngestIntent) error {
	return c.change(ctx, "announce uploads of commit "+intent.CommitID, func(ctx context.Context, tx *sql.Tx) error {
		if err := c.addIntents(ctx, tx, intent.Keys, intent.Owner, intent.CommitID); err != nil {
			return err
		}
		rows := make([][]any, len(intent.Ranges))
		for i, r := range sortedRanges(intent.Ranges) {
			rows[i] = []any{intent.CommitID, intent.Group, topicID(r.Partition), r.Partition.Partition, r.From, r.Epoch}
		}
		if _, err := insertRows(ctx, tx, insertClaims, keepClaim, rows); err != nil {
			return err
		}
		lost, err := scanCount(tx.QueryRowContext(ctx, countLostClaims, intent.CommitID))
		if err == nil && lost > 0 {
			err = modelwatch.Errorf(modelwatch.CodeFenced, "%d of %d cursors are no longer what commit %s builds on", lost, len(intent.Ranges), intent.CommitID)
		}
		return err
	})
}

// lostClaim holds for a claim whose commit can never succeed.
const lostClaim = `NOT EXISTS (
	SELECT 1 FROM stream_cursor s WHERE s.consumer_group = c.consumer_group AND s.topic_id = c.topic_id
	AND s.partition_id = c.partition_id AND s.next_offset = c.from_offset AND s.owner_epoch = c.owner_epoch)`

const countLostClaims = `SELECT count(*) FROM upload_claim c WHERE c.commit_id = $1 AND ` + lostClaim

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

// An intent without a claim says nothing by which it could be known to be lost,
// so age has to do.
const condemnIntentsHead = `WITH old AS (
	SELECT object_key FROM upload_intent WHERE state = 'pending' AND commit_id = '' AND created_at < $1
	ORDER BY created_at, object_key LIMIT $2 `

const condemnClaimsHead = `WITH old AS (
	SELECT object_key FROM upload_intent WHERE state = 'pending' AND commit_id IN (
		SELECT c.commit_id FROM upload_claim c WHERE ` + lostClaim + `)
	ORDER BY created_at, object_key LIMIT $1 `

const condemnTail = `)
UPDATE upload_intent SET state = 'dead' WHERE state = 'pending' AND object_key IN (SELECT object_key FROM old)`

// A claim serves as long as an upload of its commit is pending.
const dropClaims = `DELETE FROM upload_claim WHERE commit_id NOT IN (
	SELECT commit_id FROM upload_intent WHERE state = 'pending')`

const selectDeadIntents = `SELECT object_key FROM upload_intent
WHERE state = 'dead' AND (buried_at = 0 OR buried_at < $1) ORDER BY created_at, object_key LIMIT $2`

// buriedFor is how long a condemned intent is remembered after its object was
// deleted. A writer that slept all the while may still write the object, which
// nobody sees and which is deleted at the end of that time.
const buriedFor = 24 * time.Hour

// CondemnIntents gives up on uploads that can never be registered, because a
// cursor that their commit builds on has moved or was taken by another, and on
// pending ones that name no commit and were announced before olderThan. It
// returns the keys of dead objects, at most limit: delete those, then forget
// them. A condemned object can no longer be registered, however late its writer
// wakes up. Keys that were not forgotten come again.
func (c *Catalog) CondemnIntents(ctx context.Context, olderThan time.Time, limit int) (keys []string, err error) {
	lock := c.dialect.skipLocked + condemnTail
	err = c.change(ctx, "condemn uploads", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, condemnIntentsHead+lock, micros(olderThan), limit); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, condemnClaimsHead+lock, limit); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, dropClaims); err != nil {
			return err
		}
		keys, err = all(ctx, tx, scanText, selectDeadIntents, micros(c.now().Add(-buriedFor)), limit)
		return err
	})
	return keys, err
}

const forgetIntents = `DELETE FROM upload_intent WHERE state = 'dead' AND buried_at > 0 AND buried_at < $1 AND object_key IN`

const buryIntents = `UPDATE upload_intent SET buried_at = $1 WHERE state = 'dead' AND buried_at = 0 AND object_key IN`

// ForgetIntents is told that the objects of condemned intents are deleted. The
// intents come once more a day later, and are removed then.
func (c *Catalog) ForgetIntents(ctx context.Context, keys []string) error {
	keys = slices.Sorted(slices.Values(keys))
	now := c.now()
	return c.change(ctx, "forget condemned uploads", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := execIn(ctx, tx, forgetIntents, "", keys, micros(now.Add(-buriedFor))); err != nil {
			return err
		}
		_, err := execIn(ctx, tx, buryIntents, "", keys, micros(now))
		return err
	})
}
