package catalog

import (
	"context"
	"database/sql"
	"time"
)

const retireExpiredHead = `UPDATE data_file SET retired_at = $1, retired_by = 'retention' WHERE retired_at = 0 AND id IN (
	SELECT f.id FROM data_file f WHERE f.retired_at = 0 AND f.max_time < $2 AND f.max_time < $2 - 86400000000 * (
		SELECT CASE WHEN min(v.retention_days) > 0 THEN max(v.retention_days) ELSE 1000000 END
		FROM model_version v WHERE v.model = f.model AND (v.name = f.version OR f.version = '' AND v.name <> ''))
	ORDER BY f.id LIMIT $3 `

const retireExpiredTail = `)`

// RetireExpired retires data files, at most limit of them, whose last row is older
// than its version's retention at the time now, and returns how many. Files of
// labels that name no version stay as long as the longest retention of the
// model's versions, for ever if one of them has none. Counts stay.
func (c *Catalog) RetireExpired(ctx context.Context, now time.Time, limit int) (n int, err error) {
	query := retireExpiredHead + c.dialect.skipLocked + retireExpiredTail
	err = c.statement(ctx, "retire expired data files", func(ctx context.Context, r runner) error {
		retired, err := exec(ctx, r, query, micros(c.now()), micros(now), limit)
		n = int(retired)
		return err
	})
	return n, err
}

// ledgerBatch is how much one transaction of CleanLedger deletes.
const ledgerBatch = 500

const selectOldRanges = `SELECT DISTINCT r.commit_id FROM commit_range r JOIN ingest_commit c ON c.id = r.commit_id
WHERE c.created_at < $1 LIMIT $2`

const deleteOldRanges = `DELETE FROM commit_range WHERE commit_id IN`

// Commits of imports are what a file is known by that was imported before.
const selectOldCommits = `SELECT c.id FROM ingest_commit c WHERE c.created_at < $1 AND c.consumer_group <> 'import'
AND NOT EXISTS (SELECT 1 FROM data_file f WHERE f.commit_id = c.id)
AND NOT EXISTS (SELECT 1 FROM commit_range r WHERE r.commit_id = c.id)
AND NOT EXISTS (SELECT 1 FROM stream_gap g WHERE g.commit_id = c.id) LIMIT $2`

const deleteCommits = `DELETE FROM ingest_commit WHERE id IN`

// CleanLedger deletes what commits before a time have left but files, counts and
// gaps: the ranges of offsets that they account for, and the commits of which
// nothing is left, but for those of imports. It returns how many rows.
func (c *Catalog) CleanLedger(ctx context.Context, before time.Time) (deleted int64, err error) {
	ranges, err := c.cleanBy(ctx, "clean ranges of offsets", selectOldRanges, before, deleteOldRanges)
	if err != nil {
		return ranges, err
	}
	commits, err := c.cleanBy(ctx, "clean commits", selectOldCommits, before, deleteCommits)
	return ranges + commits, err
}

const selectOldRuns = `SELECT id FROM run WHERE created_at < $1 AND window_end < $1 AND state NOT IN ('queued', 'running')
AND NOT EXISTS (SELECT 1 FROM job_result j WHERE j.run_id = run.id) LIMIT $2`

const deleteMeasurementsOf = `DELETE FROM measurement WHERE run_id IN`

const deleteRuns = `DELETE FROM run WHERE id IN`

const deleteDeliveries = `DELETE FROM delivery WHERE window_end < $1 AND NOT EXISTS (SELECT 1 FROM outbox o
WHERE o.sink = delivery.sink AND o.model = delivery.model AND o.job = delivery.job AND o.window_start = delivery.window_start AND o.window_end = delivery.window_end)`

// CleanMeasurements deletes runs that were made before a time, for windows that
// ended before it, with their measurements, and the marks of their delivery. The
// newest results of each job stay. It returns how many rows.
func (c *Catalog) CleanMeasurements(ctx context.Context, before time.Time) (deleted int64, err error) {
	deleted, err = c.cleanBy(ctx, "clean measurements", selectOldRuns, before, deleteMeasurementsOf, deleteRuns)
	if err != nil {
		return deleted, err
	}
	err = c.change(ctx, "clean deliveries", func(ctx context.Context, tx *sql.Tx) error {
		n, err := exec(ctx, tx, deleteDeliveries, micros(before))
		deleted += n
		return err
	})
	return deleted, err
}

// cleanBy selects keys and deletes by them, until there are none.
func (c *Catalog) cleanBy(ctx context.Context, what, selectKeys string, before time.Time, deletes ...string) (deleted int64, err error) {
	for {
		found := 0
		var batch int64
		err := c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
			keys, err := all(ctx, tx, scanText, selectKeys, micros(before), ledgerBatch)
			if err != nil {
				return err
			}
			found, batch = len(keys), 0
			for _, query := range deletes {
				n, err := execIn(ctx, tx, query, "", keys)
				if err != nil {
					return err
				}
				batch += n
			}
			return nil
		})
		deleted += batch
		if err != nil || found < ledgerBatch {
			return deleted, err
		}
	}
}
