package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"

	"github.com/modelwatch/modelwatch"
)

const insertGap = `INSERT INTO stream_gap (consumer_group, topic_id, topic, partition_id, from_offset, to_offset, reason, owner, commit_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// addGap records what of a range could not be read. Where the log was cut back,
// other records have the offsets now that earlier commits have accounted for:
// those ranges end where the log did, and their dead letters give way.
func addGap(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit, r modelwatch.Range, now int64) error {
	if r.Skip == 0 {
		return nil
	}
	from, to, reason := r.From, r.Start(), modelwatch.GapDeleted
	if r.Skip < 0 {
		from, to, reason = r.Start(), r.From, modelwatch.GapTruncated
		if err := cutRanges(ctx, tx, commit, r); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, insertGap, commit.Group, topicID(r.Partition), r.Topic, r.Partition.Partition, from, to, reason,
		clean(commit.Owner), commit.ID, now)
	return err
}

const deleteRanges = `DELETE FROM commit_range
WHERE consumer_group = $1 AND topic_id = $2 AND partition_id = $3 AND from_offset >= $4`

const cutRange = `UPDATE commit_range SET to_offset = $4
WHERE consumer_group = $1 AND topic_id = $2 AND partition_id = $3 AND to_offset > $4`

// A dead letter keeps its place in lists under an id that no log has.
const detachDeadLetters = `UPDATE dead_letter SET topic_id = topic_id || '/' || $1
WHERE topic_id = $2 AND partition_id = $3 AND record_offset >= $4`

func cutRanges(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit, r modelwatch.Range) error {
	for _, query := range []string{deleteRanges, cutRange} {
		if _, err := tx.ExecContext(ctx, query, commit.Group, topicID(r.Partition), r.Partition.Partition, r.Start()); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, detachDeadLetters, commit.ID, topicID(r.Partition), r.Partition.Partition, r.Start())
	return err
}

const selectGaps = `SELECT topic_id, topic, partition_id, from_offset, to_offset, reason, owner, commit_id, created_at FROM stream_gap`

// Gaps lists the newest gaps of a consumer group first, at most limit.
func (c *Catalog) Gaps(ctx context.Context, group string, limit int) ([]modelwatch.Gap, error) {
	q := selectFrom(selectGaps)
	q.and("consumer_group = ?", clean(group))
	q.add(" ORDER BY id DESC LIMIT ?", limit)
	return find(ctx, c, "list gaps", scanGap, q.text.String(), q.args...)
}

func scanGap(r row) (g modelwatch.Gap, err error) {
	var id string
	err = r.Scan(&id, &g.Topic, &g.Partition.Partition, &g.From, &g.To, &g.Reason, &g.Owner, &g.CommitID, timeColumn{&g.CreatedAt})
	if err != nil {
		return g, err
	}
	_, err = hex.Decode(g.TopicID[:], []byte(id))
	return g, err
}
