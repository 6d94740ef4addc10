package catalog

import (
	"context"
	"database/sql"

	"github.com/modelwatch/modelwatch"
)

const baselineColumns = `model, version, id, uri, content_sha256, status, error, row_count, profile_key, data_key, created_at`

func scanBaseline(r row) (b modelwatch.Baseline, err error) {
	err = r.Scan(&b.Model, &b.Version, &b.ID, &b.URI, &b.ContentSHA256, &b.Status, &b.Error, &b.Rows, &b.ProfileKey, &b.DataKey,
		timeColumn{&b.CreatedAt})
	return b, err
}

const upsertBaseline = `INSERT INTO baseline (` + baselineColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (model, version, id) DO UPDATE SET uri = excluded.uri, content_sha256 = excluded.content_sha256,
	status = excluded.status, error = excluded.error, row_count = excluded.row_count,
	profile_key = excluded.profile_key, data_key = excluded.data_key`

// PutBaseline stores a baseline, or the next state of one; it keeps the time
// when it was first stored. The version must exist, else CodeNotFound.
func (c *Catalog) PutBaseline(ctx context.Context, b modelwatch.Baseline) error {
	if b.CreatedAt.IsZero() {
		b.CreatedAt = c.now()
	}
	what := "store baseline " + b.ID + " of version " + b.Version + " of model " + b.Model
	return c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := scanVersion(tx.QueryRowContext(ctx, selectVersion, b.Model, b.Version)); err != nil {
			return noVersion(err, b.Model, b.Version)
		}
		_, err := tx.ExecContext(ctx, upsertBaseline, b.Model, b.Version, b.ID, clean(b.URI), b.ContentSHA256, b.Status,
			clean(b.Error), b.Rows, b.ProfileKey, b.DataKey, micros(b.CreatedAt))
		return err
	})
}

const selectBaseline = `SELECT ` + baselineColumns + ` FROM baseline WHERE model = $1 AND version = $2 AND id = $3`

// Baseline returns a baseline by its id.
func (c *Catalog) Baseline(ctx context.Context, model, version, id string) (modelwatch.Baseline, error) {
	b, err := findOne(ctx, c, scanBaseline, selectBaseline, clean(model), clean(version), clean(id))
	return b, c.wrap(missing(err, "there is no baseline %q of version %q of model %q", id, version, model), "read baseline "+id)
}

const selectBaselines = `SELECT ` + baselineColumns + ` FROM baseline`

// Baselines lists the baselines of a version, newest first.
func (c *Catalog) Baselines(ctx context.Context, model, version string, page Page) (baselines []modelwatch.Baseline, next string, err error) {
	after, ok, err := startAfter(page, "baselines")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectBaselines)
	q.and("model = ? AND version = ?", clean(model), clean(version))
	if ok {
		q.and("(created_at < ? OR (created_at = ? AND id < ?))", after.Time, after.Time, after.Text)
	}
	q.add(" ORDER BY created_at DESC, id DESC LIMIT ?", pageSize(page)+1)
	baselines, err = find(ctx, c, "list baselines", scanBaseline, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(baselines, page, func(b modelwatch.Baseline) key {
		return key{List: "baselines", Time: micros(b.CreatedAt), Text: b.ID}
	})
}

const selectLatestBaseline = `SELECT ` + baselineColumns + ` FROM baseline
WHERE model = $1 AND version = $2 AND status = 'ready' ORDER BY created_at DESC, id DESC LIMIT 1`

// LatestBaseline returns the newest baseline of a version that is ready;
// CodeNotFound if there is none.
func (c *Catalog) LatestBaseline(ctx context.Context, model, version string) (modelwatch.Baseline, error) {
	b, err := findOne(ctx, c, scanBaseline, selectLatestBaseline, clean(model), clean(version))
	return b, c.wrap(missing(err, "version %q of model %q has no baseline that is ready", version, model), "read the newest baseline")
}
