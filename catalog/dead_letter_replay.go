package catalog

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

const queueReplay = `INSERT INTO dead_letter_replay (topic_id, partition_id, record_offset, state, redacted, commit_id, updated_at)
VALUES ($1, $2, $3, 'queued', $4, '', $5)
ON CONFLICT (topic_id, partition_id, record_offset) DO UPDATE
SET state = 'queued', redacted = excluded.redacted, updated_at = excluded.updated_at
WHERE dead_letter_replay.state = $6`

// QueueReplays makes letters ready to be published again and returns those that
// were: a letter whose state has changed since it was read is left to whoever
// has changed it. From then on ingest knows their replays.
func (c *Catalog) QueueReplays(ctx context.Context, letters []modelwatch.DeadLetter) (queued []modelwatch.DeadLetter, err error) {
	letters = slices.SortedFunc(slices.Values(letters), func(a, b modelwatch.DeadLetter) int { return compareRecords(a.Record(), b.Record()) })
	now := micros(c.now())
	err = c.change(ctx, "queue replays", func(ctx context.Context, tx *sql.Tx) error {
		queued = queued[:0]
		for _, d := range letters {
			n, err := exec(ctx, tx, queueReplay, hex.EncodeToString(d.TopicID[:]), d.Partition, d.Offset, flag(d.Redacted), now, d.State)
			if err != nil {
				return err
			}
			if n == 1 {
				queued = append(queued, d)
			}
		}
		return nil
	})
	return queued, err
}

const replayProduced = `UPDATE dead_letter_replay SET state = 'produced', updated_at = $1
WHERE topic_id = $2 AND partition_id = $3 AND record_offset = $4 AND state = 'queued'`

// ReplaysProduced notes that the brokers have the replays. One that ingest has
// settled meanwhile stays as it is.
func (c *Catalog) ReplaysProduced(ctx context.Context, records []modelwatch.RecordID) error {
	records = slices.SortedFunc(slices.Values(records), compareRecords)
	now := micros(c.now())
	return c.change(ctx, "note replays", func(ctx context.Context, tx *sql.Tx) error {
		for _, r := range records {
			if _, err := exec(ctx, tx, replayProduced, now, hex.EncodeToString(r.TopicID[:]), r.Partition, r.Offset); err != nil {
				return err
			}
		}
		return nil
	})
}

const selectReplay = `SELECT r.state, r.redacted, CASE WHEN d.id IS NULL THEN 0 ELSE 1 END FROM dead_letter_replay r
LEFT JOIN dead_letter d ON d.topic_id = r.topic_id AND d.partition_id = r.partition_id AND d.record_offset = r.record_offset
WHERE r.topic_id = $1 AND r.partition_id = $2 AND r.record_offset = $3`

// Replay returns what is known of a replay; ok is false if nobody has asked for it.
func (c *Catalog) Replay(ctx context.Context, record modelwatch.RecordID) (state modelwatch.ReplayState, ok bool, err error) {
	scan := func(r row) (s modelwatch.ReplayState, err error) {
		var redacted, kept int64
		err = r.Scan(&s.State, &redacted, &kept)
		s.Redacted, s.Kept = redacted != 0, kept != 0
		return s, err
	}
	state, err = findOne(ctx, c, scan, selectReplay, hex.EncodeToString(record.TopicID[:]), record.Partition, record.Offset)
	if errors.Is(err, sql.ErrNoRows) {
		return state, false, nil
	}
	return state, err == nil, c.wrap(err, "look up a replay")
}

const settleReplay = `UPDATE dead_letter_replay SET state = $1, commit_id = $2, updated_at = $3
WHERE topic_id = $4 AND partition_id = $5 AND record_offset = $6 AND state <> 'replayed'`

const refuseAgain = `UPDATE dead_letter SET reason = $1, detail = $2, model = $3 WHERE topic_id = $4 AND partition_id = $5 AND record_offset = $6`

// settleReplays is what makes a replay exactly once: a record that has its place
// already fences the commit that would place it again.
func settleReplays(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit, now int64) error {
	replays := slices.SortedFunc(slices.Values(commit.Replays), func(a, b modelwatch.Replay) int { return compareRecords(a.Record, b.Record) })
	for _, r := range replays {
		state, id, topic := modelwatch.DeadLetterReplayed, commit.ID, hex.EncodeToString(r.Record.TopicID[:])
		if r.Reason != "" {
			state, id = modelwatch.DeadLetterOpen, ""
		}
		n, err := exec(ctx, tx, settleReplay, state, id, now, topic, r.Record.Partition, r.Record.Offset)
		if err != nil {
			return err
		}
		if n != 1 {
			return modelwatch.Errorf(modelwatch.CodeFenced, "the replay of record %s was placed by another commit", r.Record)
		}
		if r.Reason == "" {
			continue
		}
		if _, err := exec(ctx, tx, refuseAgain, r.Reason, clean(r.Detail), clean(r.Model), topic, r.Record.Partition, r.Record.Offset); err != nil {
			return err
		}
	}
	return nil
}

// compareRecords is the one order in which replays are locked.
func compareRecords(a, b modelwatch.RecordID) int {
	return cmp.Or(bytes.Compare(a.TopicID[:], b.TopicID[:]), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

// pruneBatch is how many letters one transaction deletes.
const pruneBatch = 1000

const selectOldest = `SELECT d.id ` + fromDeadLetters + ` WHERE (d.created_at < $1 OR d.id <= $2)
AND (coalesce(r.state, 'open') NOT IN ('queued', 'produced') OR r.updated_at < $1) ORDER BY d.id LIMIT $3`

const selectLimit = `SELECT id FROM dead_letter ORDER BY id DESC LIMIT 1 OFFSET $1`

const deleteLetters = `DELETE FROM dead_letter WHERE id IN`

const condemnLetterObjects = `UPDATE upload_intent SET state = 'dead'
WHERE object_key >= $1 AND object_key < $2 AND state = 'registered'
AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.object_key = upload_intent.object_key)`

const forgetReplays = `DELETE FROM dead_letter_replay WHERE updated_at < $1 AND NOT EXISTS (SELECT 1 FROM dead_letter d
WHERE d.topic_id = dead_letter_replay.topic_id AND d.partition_id = dead_letter_replay.partition_id AND d.record_offset = dead_letter_replay.record_offset)`

// PruneDeadLetters deletes letters that were written before olderThan, and the
// oldest ones beyond the newest keep, and returns how many. Letters on their way
// back are spared until they are that old too. Objects that no letter needs any
// more are condemned: garbage collection deletes them.
func (c *Catalog) PruneDeadLetters(ctx context.Context, olderThan time.Time, keep int64) (deleted int64, err error) {
	limit, err := findOne(ctx, c, scanCount, selectLimit, keep)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, c.wrap(err, "count dead letters")
	}
	for {
		var n int64
		err := c.change(ctx, "prune dead letters", func(ctx context.Context, tx *sql.Tx) error {
			ids, err := all(ctx, tx, scanCount, selectOldest, micros(olderThan), limit, pruneBatch)
			if err != nil {
				return err
			}
			n, err = execIn(ctx, tx, deleteLetters, "", ids)
			return err
		})
		deleted += n
		if err != nil {
			return deleted, err
		}
		if n < pruneBatch {
			break
		}
	}
	err = c.change(ctx, "condemn objects of dead letters", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := exec(ctx, tx, forgetReplays, micros(olderThan)); err != nil {
			return err
		}
		last := modelwatch.DeadLetterPrefix[:len(modelwatch.DeadLetterPrefix)-1] + "0" // what follows the slash
		_, err := exec(ctx, tx, condemnLetterObjects, modelwatch.DeadLetterPrefix, last)
		return err
	})
	return deleted, err
}
