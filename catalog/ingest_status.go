package catalog

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

const selectPartitions = `SELECT s.topic, s.topic_id, s.partition_id, s.next_offset, s.owner_epoch, s.leader_epoch, s.owner,
coalesce((SELECT i.created_at FROM commit_range r JOIN ingest_commit i ON i.id = r.commit_id
	WHERE r.consumer_group = s.consumer_group AND r.topic_id = s.topic_id AND r.partition_id = s.partition_id
	ORDER BY r.from_offset DESC LIMIT 1), 0),
coalesce(recent.records, 0), coalesce(gaps.deleted, 0), coalesce(gaps.truncated, 0)
FROM stream_cursor s
LEFT JOIN (SELECT r.topic_id, r.partition_id, CAST(sum(r.to_offset - CASE WHEN r.from_offset < 0 THEN 0 ELSE r.from_offset END) AS BIGINT) AS records
	FROM ingest_commit i JOIN commit_range r ON r.commit_id = i.id
	WHERE i.created_at >= $1 AND r.consumer_group = $2 GROUP BY r.topic_id, r.partition_id) recent
	ON recent.topic_id = s.topic_id AND recent.partition_id = s.partition_id
LEFT JOIN (SELECT topic_id, partition_id, CAST(sum(CASE WHEN reason = 'deleted' THEN to_offset - from_offset ELSE 0 END) AS BIGINT) AS deleted,
	CAST(sum(CASE WHEN reason = 'truncated' THEN to_offset - from_offset ELSE 0 END) AS BIGINT) AS truncated
	FROM stream_gap WHERE consumer_group = $2 GROUP BY topic_id, partition_id) gaps
	ON gaps.topic_id = s.topic_id AND gaps.partition_id = s.partition_id
WHERE s.consumer_group = $2
ORDER BY s.topic, s.partition_id, s.updated_at DESC, s.topic_id`

// PartitionStates returns where the archive stands in each partition that a
// group has taken, by topic and partition; of a topic that was made again the
// partitions that moved last come first. Commits since a time count as recent.
// A first commit counts from offset 0, wherever the log began.
func (c *Catalog) PartitionStates(ctx context.Context, group string, since time.Time) ([]modelwatch.PartitionState, error) {
	return find(ctx, c, "list partitions", scanPartition, selectPartitions, micros(since), group)
}

func scanPartition(r row) (p modelwatch.PartitionState, err error) {
	var id string
	err = r.Scan(&p.Topic, &id, &p.Partition.Partition, &p.Next, &p.Epoch, &p.LeaderEpoch, &p.Owner,
		timeColumn{&p.CommittedAt}, &p.Recent, &p.Deleted, &p.Truncated)
	if err != nil {
		return p, err
	}
	if _, err = hex.Decode(p.TopicID[:], []byte(id)); err != nil {
		return p, fmt.Errorf("scan topic id %q: %w", id, err)
	}
	return p, nil
}

// maxStatusRows bounds lists that traffic can make any length of: those with the
// highest counts are returned.
const maxStatusRows = 1000

// CROSS JOIN, so that SQLite too asks the index for each model.
const selectVersionVolumes = `SELECT v.model, v.version, v.kind, CAST(sum(v.seen) AS BIGINT), CAST(sum(v.kept) AS BIGINT), CAST(sum(v.rejected) AS BIGINT)
FROM model m CROSS JOIN volume v
WHERE v.model = m.name AND v.bucket_start > $1 AND v.bucket_start < $2
GROUP BY v.model, v.version, v.kind ORDER BY sum(v.seen) + sum(v.rejected) DESC, v.model, v.version, v.kind LIMIT $3`

// VersionVolumes adds up the buckets of event time that a window touches, of all
// models, those with the most events first, at most 1000.
func (c *Catalog) VersionVolumes(ctx context.Context, w modelwatch.Window) ([]modelwatch.Volume, error) {
	scan := func(r row) (v modelwatch.Volume, err error) {
		v.BucketStart = modelwatch.Bucket(w.Start)
		err = r.Scan(&v.Model, &v.Version, &v.Kind, &v.Seen, &v.Kept, &v.Rejected)
		return v, err
	}
	return find(ctx, c, "add up volumes", scan, selectVersionVolumes, micros(w.Start.Add(-modelwatch.BucketSize)), micros(w.End), maxStatusRows)
}

const selectRejected = `SELECT model, reason, count(*) FROM dead_letter WHERE created_at >= $1
GROUP BY model, reason ORDER BY count(*) DESC, model, reason LIMIT $2`

// Rejected counts the dead letters since a time by model and reason, the most
// first, at most 1000 counts. It sees those that are still kept.
func (c *Catalog) Rejected(ctx context.Context, since time.Time) ([]modelwatch.RejectedCount, error) {
	scan := func(r row) (n modelwatch.RejectedCount, err error) {
		err = r.Scan(&n.Model, &n.Reason, &n.Count)
		return n, err
	}
	return find(ctx, c, "count rejected records", scan, selectRejected, micros(since), maxStatusRows)
}

const selectUploads = `SELECT
coalesce(sum(CASE WHEN state = 'pending' THEN 1 ELSE 0 END), 0),
coalesce(min(CASE WHEN state = 'pending' THEN created_at END), 0),
coalesce(sum(CASE WHEN state = 'dead' AND buried_at = 0 THEN 1 ELSE 0 END), 0)
FROM upload_intent WHERE state <> 'registered'`

// Uploads counts the objects that are announced and not registered.
func (c *Catalog) Uploads(ctx context.Context) (modelwatch.UploadState, error) {
	scan := func(r row) (u modelwatch.UploadState, err error) {
		err = r.Scan(&u.Pending, timeColumn{&u.OldestPending}, &u.Condemned)
		return u, err
	}
	u, err := findOne(ctx, c, scan, selectUploads)
	return u, c.wrap(err, "count uploads")
}
