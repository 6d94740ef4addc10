package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

func scanVolume(r row) (v modelwatch.Volume, err error) {
	err = r.Scan(&v.Model, &v.Version, &v.Kind, timeColumn{&v.BucketStart}, &v.Seen, &v.Kept, &v.Rejected)
	return v, err
}

const selectKeptRows = `SELECT CAST(coalesce(sum(kept), 0) AS BIGINT) FROM volume`

// KeptRows returns how many rows the archive took in, in the buckets of event
// time that the window touches. Version "" is every version.
func (c *Catalog) KeptRows(ctx context.Context, model, version string, kind modelwatch.Kind, w modelwatch.Window) (int64, error) {
	q := selectFrom(selectKeptRows)
	q.and("model = ?", clean(model))
	q.andText("version", version)
	q.and("kind = ?", kind)
	q.andBuckets(w)
	n, err := findOne(ctx, c, scanCount, q.text.String(), q.args...)
	return n, c.wrap(err, "count kept rows")
}

const selectVolumes = `SELECT model, version, kind, bucket_start, seen, kept, rejected FROM volume`

// Volumes returns the counts of a model in the buckets that the window touches,
// by time, version and kind.
func (c *Catalog) Volumes(ctx context.Context, model string, w modelwatch.Window) ([]modelwatch.Volume, error) {
	q := selectFrom(selectVolumes)
	q.and("model = ?", clean(model))
	q.andBuckets(w)
	q.add(" ORDER BY bucket_start, version, kind")
	return find(ctx, c, "read volumes", scanVolume, q.text.String(), q.args...)
}

// andBuckets keeps buckets that overlap a window; a zero time is open.
func (q *selection) andBuckets(w modelwatch.Window) {
	if !w.Start.IsZero() {
		q.and("bucket_start > ?", micros(w.Start.Add(-modelwatch.BucketSize)))
	}
	if !w.End.IsZero() {
		q.and("bucket_start < ?", micros(w.End))
	}
}

const upsertVolumes = `INSERT INTO volume (model, version, kind, bucket_start, seen, kept, rejected) VALUES `

const addToVolume = ` ON CONFLICT (model, version, kind, bucket_start) DO UPDATE
SET seen = volume.seen + excluded.seen, kept = volume.kept + excluded.kept, rejected = volume.rejected + excluded.rejected`

const upsertVolumeTotals = `INSERT INTO volume_total (model, version, kind, seen, rejected, reported_seen, reported_rejected) VALUES `

const addToVolumeTotal = ` ON CONFLICT (model, version, kind) DO UPDATE
SET seen = volume_total.seen + excluded.seen, rejected = volume_total.rejected + excluded.rejected`

// addVolumes adds counts to their buckets and to the totals. Every commit
// touches the rows in the same order: two that share some wait, never deadlock.
func addVolumes(ctx context.Context, tx *sql.Tx, volumes []modelwatch.Volume) error {
	buckets := mergeVolumes(volumes, func(v modelwatch.Volume) modelwatch.Volume {
		v.Model, v.Version, v.BucketStart = clean(v.Model), clean(v.Version), modelwatch.Bucket(v.BucketStart)
		return v
	})
	rows := make([][]any, len(buckets))
	for i, v := range buckets {
		rows[i] = []any{v.Model, v.Version, v.Kind, micros(v.BucketStart), v.Seen, v.Kept, v.Rejected}
	}
	if _, err := insertRows(ctx, tx, upsertVolumes, addToVolume, rows); err != nil {
		return err
	}
	totals := mergeVolumes(buckets, func(v modelwatch.Volume) modelwatch.Volume {
		v.BucketStart = modelwatch.Bucket(buckets[0].BucketStart)
		return v
	})
	rows = make([][]any, len(totals))
	for i, v := range totals {
		rows[i] = []any{v.Model, v.Version, v.Kind, v.Seen, v.Rejected, 0, 0}
	}
	_, err := insertRows(ctx, tx, upsertVolumeTotals, addToVolumeTotal, rows)
	return err
}

// mergeVolumes normalises the keys, sorts by them and adds up equal ones.
func mergeVolumes(volumes []modelwatch.Volume, normal func(modelwatch.Volume) modelwatch.Volume) []modelwatch.Volume {
	sorted := make([]modelwatch.Volume, len(volumes))
	for i, v := range volumes {
		sorted[i] = normal(v)
	}
	slices.SortFunc(sorted, compareVolumes)
	merged := sorted[:0]
	for _, v := range sorted {
		if n := len(merged); n > 0 && compareVolumes(merged[n-1], v) == 0 {
			merged[n-1].Seen += v.Seen
			merged[n-1].Kept += v.Kept
			merged[n-1].Rejected += v.Rejected
			continue
		}
		merged = append(merged, v)
	}
	return merged
}

func compareVolumes(a, b modelwatch.Volume) int {
	return cmp.Or(
		strings.Compare(a.Model, b.Model),
		strings.Compare(a.Version, b.Version),
		cmp.Compare(a.Kind, b.Kind),
		a.BucketStart.Compare(b.BucketStart),
	)
}
