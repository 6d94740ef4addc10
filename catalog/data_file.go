package catalog

import (
	"context"
	"database/sql"

	"github.com/modelwatch/modelwatch"
)

const dataFileColumns = `object_key, kind, model, version, row_count, bytes, checksum, min_time, max_time, sampling_rate,
schema_revision, commit_id, created_at`

func scanDataFile(r row) (f modelwatch.DataFile, err error) {
	err = r.Scan(&f.ID, &f.Key, &f.Kind, &f.Model, &f.Version, &f.Rows, &f.Bytes, &f.Checksum,
		timeColumn{&f.MinTime}, timeColumn{&f.MaxTime}, &f.SamplingRate, &f.SchemaRevision, &f.CommitID, timeColumn{&f.CreatedAt}, &f.Place)
	if f.Place == 0 {
		f.Place = f.ID
	}
	return f, err
}

const selectDataFiles = `SELECT id, ` + dataFileColumns + `, place FROM data_file`

// DataFiles returns the registered files, by id, that may hold rows of the
// filter's window: those whose span of event time touches it.
func (c *Catalog) DataFiles(ctx context.Context, f DataFileFilter) ([]modelwatch.DataFile, error) {
	q := selectFrom(selectDataFiles)
	q.and("retired_at = 0")
	q.andText("model", f.Model)
	q.andText("version", f.Version)
	q.andText("kind", string(f.Kind))
	if !f.Window.Start.IsZero() {
		q.and("max_time >= ?", micros(f.Window.Start))
	}
	if !f.Window.End.IsZero() {
		q.and("min_time < ?", micros(f.Window.End))
	}
	q.add(" ORDER BY id")
	return find(ctx, c, "find data files", scanDataFile, q.text.String(), q.args...)
}

const insertDataFiles = `INSERT INTO data_file (` + dataFileColumns + `, retired_at, place) VALUES `

// addDataFiles registers the files of a commit under its id.
func (c *Catalog) addDataFiles(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit) error {
	now := c.now()
	rows := make([][]any, len(commit.Files))
	for i, f := range commit.Files {
		if f.CreatedAt.IsZero() {
			f.CreatedAt = now
		}
		rows[i] = []any{
			f.Key, f.Kind, f.Model, f.Version, f.Rows, f.Bytes, f.Checksum, micros(f.MinTime), micros(f.MaxTime), f.SamplingRate,
			f.SchemaRevision, commit.ID, micros(f.CreatedAt), 0, f.Place,
		}
	}
	_, err := insertRows(ctx, tx, insertDataFiles, "", rows)
	return err
}
