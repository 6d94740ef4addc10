package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

const takePartition = `INSERT INTO stream_cursor (consumer_group, topic_id, partition_id, topic, next_offset, owner_epoch, owner, updated_at, leader_epoch)
VALUES ($1, $2, $3, $4, -1, 0, $5, $6, -1)
ON CONFLICT (consumer_group, topic_id, partition_id) DO UPDATE
SET owner_epoch = stream_cursor.owner_epoch + 1, owner = excluded.owner, topic = excluded.topic, updated_at = excluded.updated_at
RETURNING next_offset, owner_epoch, leader_epoch`

// TakePartitions makes owner the owner of partitions and returns where the
// archive stands in each. Whoever owned one before is fenced from then on: its
// commits carry an older epoch. A partition that is taken for the first time
// has Next and LeaderEpoch -1, and epoch 0.
func (c *Catalog) TakePartitions(ctx context.Context, group, owner string, parts []modelwatch.Partition) (map[modelwatch.Partition]modelwatch.Cursor, error) {
	sorted := slices.SortedFunc(slices.Values(parts), comparePartitions)
	sorted = slices.Compact(sorted)
	now := micros(c.now())
	var cursors map[modelwatch.Partition]modelwatch.Cursor
	err := c.change(ctx, "take partitions", func(ctx context.Context, tx *sql.Tx) error {
		cursors = make(map[modelwatch.Partition]modelwatch.Cursor, len(sorted))
		for _, p := range sorted {
			var cursor modelwatch.Cursor
			err := tx.QueryRowContext(ctx, takePartition, group, topicID(p), p.Partition, p.Topic, clean(owner), now).Scan(&cursor.Next, &cursor.Epoch, &cursor.LeaderEpoch)
			if err != nil {
				return err
			}
			cursors[p] = cursor
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return cursors, nil
}

// comparePartitions is the one order in which cursors are locked.
func comparePartitions(a, b modelwatch.Partition) int {
	return cmp.Or(
		slices.Compare(a.TopicID[:], b.TopicID[:]),
		cmp.Compare(a.Partition, b.Partition),
		strings.Compare(a.Topic, b.Topic),
	)
}

// sortedRanges returns a copy in the order in which cursors are locked.
func sortedRanges(ranges []modelwatch.Range) []modelwatch.Range {
	return slices.SortedFunc(slices.Values(ranges), func(a, b modelwatch.Range) int {
		return cmp.Or(comparePartitions(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
}

const insertCommit = `INSERT INTO ingest_commit (id, consumer_group, owner, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO NOTHING`

// CommitIngest adds a flush to the archive, all of it or nothing: it moves the
// cursor of each range, registers the files, adds the counts and keeps the dead
// letters. From then on readers see the files.
//
// CodeFenced says that a cursor has moved, that another owner took a partition,
// or that an upload was condemned: drop what was held and read on from where
// TakePartitions says. A commit whose ID is in the catalog already is a success,
// so repeating one is safe. A commit whose outcome was lost with the connection
// is resolved before CommitIngest returns; see Catalog.settle.
func (c *Catalog) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	commit.Ranges = sortedRanges(commit.Ranges)
	do := func(ctx context.Context, tx *sql.Tx) error { return c.commitIngest(ctx, tx, commit) }
	done := func(ctx context.Context) (bool, error) {
		n, err := findOne(ctx, c, scanCount, countCommit, commit.ID)
		return n > 0, err
	}
	return c.settle(ctx, "commit ingest "+commit.ID, do, done)
}

// HasCommit reports whether a commit is in the catalog.
func (c *Catalog) HasCommit(ctx context.Context, id string) (bool, error) {
	n, err := findOne(ctx, c, scanCount, countCommit, clean(id))
	return n > 0, c.wrap(err, "look up commit "+id)
}

const countCommit = `SELECT count(*) FROM ingest_commit WHERE id = $1`

func checkCommit(commit modelwatch.IngestCommit) error {
	if commit.ID == "" {
		return modelwatch.Errorf(modelwatch.CodeInternal, "an ingest commit needs an id")
	}
	for _, r := range commit.Ranges {
		if r.From < -1 || r.To < 0 || r.To < r.Start() || r.Skip != 0 && (r.From < 0 || r.Start() < 0) {
			return modelwatch.Errorf(modelwatch.CodeInternal, "the range [%d, %d) of %s/%d, of which %d are skipped, is not one of offsets",
				r.From, r.To, r.Topic, r.Partition.Partition, r.Skip)
		}
	}
	return nil
}

// commitIngest first claims the commit's id. Should an earlier attempt with it
// still be open in a lost connection, that waits until the attempt has ended.
func (c *Catalog) commitIngest(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit) error {
	now := micros(c.now())
	n, err := exec(ctx, tx, insertCommit, commit.ID, commit.Group, clean(commit.Owner), now)
	if err != nil || n == 0 {
		return err
	}
	if err := moveCursors(ctx, tx, commit, now); err != nil {
		return err
	}
	if err := registerUploads(ctx, tx, objectKeys(commit)); err != nil {
		return err
	}
	if err := c.addDataFiles(ctx, tx, commit); err != nil {
		return err
	}
	if err := settleReplays(ctx, tx, commit, now); err != nil {
		return err
	}
	if err := c.addDeadLetters(ctx, tx, commit); err != nil {
		return err
	}
	// Last, because it is these rows that concurrent commits share.
	return addVolumes(ctx, tx, commit.Volumes)
}

// objectKeys are the objects that a commit registers: its files, and what holds
// its dead letters.
func objectKeys(commit modelwatch.IngestCommit) []string {
	keys := make([]string, 0, len(commit.Files)+1)
	for _, f := range commit.Files {
		keys = append(keys, f.Key)
	}
	letters := map[string]bool{"": true}
	for i := range commit.DeadLetters {
		if key := commit.DeadLetters[i].Object.Key; !letters[key] {
			letters[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

const moveCursor = `UPDATE stream_cursor SET next_offset = $1, leader_epoch = $2, updated_at = $3
WHERE consumer_group = $4 AND topic_id = $5 AND partition_id = $6 AND next_offset = $7 AND owner_epoch = $8`

const insertRanges = `INSERT INTO commit_range (consumer_group, topic_id, partition_id, from_offset, to_offset, commit_id) VALUES `

func moveCursors(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit, now int64) error {
	var rows [][]any
	for _, r := range commit.Ranges {
		n, err := exec(ctx, tx, moveCursor, r.To, r.LeaderEpoch, now, commit.Group, topicID(r.Partition), r.Partition.Partition, r.From, r.Epoch)
		if err != nil {
			return err
		}
		if n != 1 {
			return modelwatch.Errorf(modelwatch.CodeFenced, "the cursor of %s/%d is not at %d under epoch %d: another owner has taken the partition or committed to it",
				r.Topic, r.Partition.Partition, r.From, r.Epoch)
		}
		if err := addGap(ctx, tx, commit, r, now); err != nil {
			return err
		}
		if r.To > r.Start() {
			rows = append(rows, []any{commit.Group, topicID(r.Partition), r.Partition.Partition, r.Start(), r.To, commit.ID})
		}
	}
	_, err := insertRows(ctx, tx, insertRanges, "", rows)
	return err
}
