package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Files are of one hour each, and times are never before 1970.
const selectFileGroups = `SELECT kind, model, version, sampling_rate, min_time / 3600000000 AS hour_number, count(*), CAST(sum(bytes) AS BIGINT)
FROM data_file WHERE retired_at = 0 AND bytes < $1 AND created_at < $2
GROUP BY kind, model, version, sampling_rate, min_time / 3600000000
HAVING count(*) > 1 ORDER BY count(*) DESC, min_time / 3600000000, kind, model, version, sampling_rate LIMIT $3`

// FileGroups returns the partitions of the archive, apart by sampling rate, in
// which more than one file is smaller than a size and was registered before
// olderThan: those with the most files first. Files and Bytes count such only.
func (c *Catalog) FileGroups(ctx context.Context, smallerThan int64, olderThan time.Time, limit int) ([]modelwatch.FileGroup, error) {
	scan := func(r row) (g modelwatch.FileGroup, err error) {
		var hour int64
		err = r.Scan(&g.Kind, &g.Model, &g.Version, &g.SamplingRate, &hour, &g.Files, &g.Bytes)
		g.Hour = time.Unix(hour*3600, 0).UTC()
		return g, err
	}
	return find(ctx, c, "find data files to compact", scan, selectFileGroups, smallerThan, micros(olderThan), limit)
}

const selectGroupFiles = selectDataFiles + ` WHERE retired_at = 0 AND kind = $1 AND model = $2 AND version = $3 AND sampling_rate = $4
AND min_time >= $5 AND min_time < $6 AND bytes < $7 AND created_at < $8 ORDER BY CASE WHEN place = 0 THEN id ELSE place END`

// GroupFiles returns the files that FileGroups has counted in a group, by place.
func (c *Catalog) GroupFiles(ctx context.Context, g modelwatch.FileGroup, smallerThan int64, olderThan time.Time) ([]modelwatch.DataFile, error) {
	return find(ctx, c, "find data files to compact", scanDataFile, selectGroupFiles, g.Kind, g.Model, g.Version, g.SamplingRate,
		micros(g.Hour), micros(g.Hour.Add(time.Hour)), smallerThan, micros(olderThan))
}

const selectHalfFiles = selectDataFiles + ` WHERE kind IN ('input', 'output') AND retired_at = 0
ORDER BY model, version, CASE WHEN place = 0 THEN id ELSE place END LIMIT $1`

// HalfFiles returns the files of inputs and outputs that wait for each other, by
// model and version, and by place.
func (c *Catalog) HalfFiles(ctx context.Context, limit int) ([]modelwatch.DataFile, error) {
	return find(ctx, c, "find halves of predictions", scanDataFile, selectHalfFiles, limit)
}

// ReplaceDataFiles registers files and retires others in one transaction: readers
// see those before it or those after it. To counts of volumes is added what it says.
//
// CodeFenced says that a file was retired already or an upload condemned: another
// has won, and the uploads are orphans. A replacement whose ID is in the catalog
// is a success, so repeating one is safe, and one whose outcome was lost with the
// connection is resolved, as with CommitIngest.
func (c *Catalog) ReplaceDataFiles(ctx context.Context, r modelwatch.Replacement) error {
	if r.ID == "" || len(r.Retired) == 0 {
		return modelwatch.Errorf(modelwatch.CodeInternal, "a replacement needs an id and files to replace")
	}
	do := func(ctx context.Context, tx *sql.Tx) error { return c.replaceDataFiles(ctx, tx, r) }
	done := func(ctx context.Context) (bool, error) {
		n, err := findOne(ctx, c, scanCount, countCommit, r.ID)
		return n > 0, err
	}
	return c.settle(ctx, "replace data files "+r.ID, do, done)
}

const retireDataFiles = `UPDATE data_file SET retired_at = $1, retired_by = $2 WHERE retired_at = 0 AND id IN`

func (c *Catalog) replaceDataFiles(ctx context.Context, tx *sql.Tx, r modelwatch.Replacement) error {
	now := micros(c.now())
	n, err := exec(ctx, tx, insertCommit, r.ID, "", clean(r.Owner), now)
	if err != nil || n == 0 {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(r.Retired)))
	retired, err := execIn(ctx, tx, retireDataFiles, "", ids, now, clean(r.Reason))
	if err != nil {
		return err
	}
	if int(retired) != len(ids) {
		return modelwatch.Errorf(modelwatch.CodeFenced, "%d of %d data files were replaced by another", len(ids)-int(retired), len(ids))
	}
	added := modelwatch.IngestCommit{ID: r.ID, Files: r.Files}
	if err := registerUploads(ctx, tx, objectKeys(added)); err != nil {
		return err
	}
	if err := c.addDataFiles(ctx, tx, added); err != nil {
		return err
	}
	if len(r.Volumes) > 0 {
		if err := addVolumes(ctx, tx, r.Volumes); err != nil {
			return err
		}
	}
	if err := markErased(ctx, tx, r, ids); err != nil {
		return err
	}
	return addErased(ctx, tx, r.Erased)
}

const markErasedFiles = `UPDATE data_file SET erased_until = $1 WHERE commit_id = $2`

// markErased notes up to which erasure the new files are known to hold none of
// the rows: as far as the least of those they are made of, if nobody says more.
func markErased(ctx context.Context, tx *sql.Tx, r modelwatch.Replacement, ids []int64) error {
	until := r.ErasedUntil
	for i, id := range ids {
		if r.ErasedUntil > 0 || len(r.Files) == 0 {
			break
		}
		one, err := scanCount(tx.QueryRowContext(ctx, selectErasedUntil, id))
		if err != nil {
			return err
		}
		if i == 0 || one < until {
			until = one
		}
	}
	if until == 0 || len(r.Files) == 0 {
		return nil
	}
	_, err := exec(ctx, tx, markErasedFiles, until, r.ID)
	return err
}

const selectErasedUntil = `SELECT erased_until FROM data_file WHERE id = $1`

const selectRetiredFiles = `SELECT id, object_key, model FROM data_file WHERE retired_at > 0 AND retired_at < $1 ORDER BY retired_at, id LIMIT $2 `

const condemnFiles = `INSERT INTO upload_intent (object_key, owner, state, created_at) VALUES `

const condemnRegistered = ` ON CONFLICT (object_key) DO UPDATE SET state = 'dead', owner = excluded.owner`

const deleteDataFiles = `DELETE FROM data_file WHERE id IN`

// CondemnRetired forgets data files that were retired before a time, at most
// limit of them, and makes their uploads dead: CondemnIntents returns their keys
// from then on. A reader that still has such a file in its list will find its
// object gone. It returns how many there were.
func (c *Catalog) CondemnRetired(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = c.change(ctx, "condemn retired data files", func(ctx context.Context, tx *sql.Tx) error {
		var ids []int64
		scan := func(r row) (values []any, err error) {
			var id int64
			var key, model string
			err = r.Scan(&id, &key, &model)
			ids = append(ids, id)
			return []any{key, model, "dead", micros(before)}, err
		}
		rows, err := all(ctx, tx, scan, selectRetiredFiles+c.dialect.skipLocked, micros(before), limit)
		if err != nil {
			return err
		}
		n = len(ids)
		if _, err := insertRows(ctx, tx, condemnFiles, condemnRegistered, rows); err != nil {
			return err
		}
		_, err = execIn(ctx, tx, deleteDataFiles, "", ids)
		return err
	})
	return n, err
}

// HoldLease takes or extends a named lease for an owner, false if another holds it.
func (c *Catalog) HoldLease(ctx context.Context, name, owner string, lease time.Duration) (held bool, err error) {
	err = c.change(ctx, "hold lease "+name, func(ctx context.Context, tx *sql.Tx) error {
		held, err = lead(ctx, tx, name, owner, c.now(), lease)
		return err
	})
	return held, err
}
