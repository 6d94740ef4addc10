package archive

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Keys of a data file's own metadata: what a reader without the catalog needs
// to know to weigh and to attribute its rows.
const (
	MetadataKind           = "modelwatch.kind"
	MetadataModel          = "modelwatch.model"
	MetadataVersion        = "modelwatch.version"
	MetadataSamplingRate   = "modelwatch.sampling_rate"
	MetadataSchemaRevision = "modelwatch.schema_revision"
)

// WriteDataFile encodes rows that are sorted by _rank, reads the result back,
// uploads it under FileKey(spec) and returns what the catalog registers. The
// chunk must hold _rank, _id and _time without gaps; nothing in it is changed.
//
// Trying again after an error is safe: the key belongs to this attempt, and the
// same rows give the same bytes.
func (a *Archive) WriteDataFile(ctx context.Context, spec modelwatch.FileSpec, chunk *table.Chunk) (modelwatch.DataFile, error) {
	key := FileKey(spec)
	min, max, err := checkRows(chunk)
	if err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file %s: %w", key, err)
	}
	body, err := encode(spec, chunk)
	if err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file %s: %w", key, err)
	}
	if err := verify(ctx, body, chunk); err != nil {
		return modelwatch.DataFile{}, modelwatch.Wrap(modelwatch.CodeInternal, err, "write data file %s: what was encoded reads back differently", key)
	}
	sum := digest(body)
	if err := a.bucket.PutIfAbsent(ctx, key, body, sum); err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file: %w", err)
	}
	return modelwatch.DataFile{
		Key: key, Kind: spec.Kind, Model: spec.Model, Version: spec.Version,
		Rows: int64(chunk.Rows), Bytes: int64(len(body)), Checksum: sum,
		MinTime: min, MaxTime: max,
		SamplingRate: spec.SamplingRate, SchemaRevision: spec.SchemaRevision, CommitID: spec.CommitID,
	}, nil
}

// checkRows says whether the chunk may become a data file, and returns the span
// of its times.
func checkRows(c *table.Chunk) (min, max time.Time, err error) {
	if c.Rows == 0 {
		return min, max, modelwatch.Errorf(modelwatch.CodeInvalid, "no rows")
	}
	ranks, times, ids := c.Column(modelwatch.ColumnRank), c.Column(modelwatch.ColumnTime), c.Column(modelwatch.ColumnID)
	switch {
	case ranks == nil || slices.Contains(ranks.Valid, false) || len(ranks.Ints) != c.Rows:
		return min, max, modelwatch.Errorf(modelwatch.CodeInvalid, "column %s must be there with an integer in each of the %d rows", modelwatch.ColumnRank, c.Rows)
	case times == nil || slices.Contains(times.Valid, false) || len(times.Ints) != c.Rows:
		return min, max, modelwatch.Errorf(modelwatch.CodeInvalid, "column %s must be there with a time in each of the %d rows", modelwatch.ColumnTime, c.Rows)
	case ids == nil || slices.Contains(ids.Valid, false) || len(ids.Index) != c.Rows:
		return min, max, modelwatch.Errorf(modelwatch.CodeInvalid, "column %s must be there with a text in each of the %d rows", modelwatch.ColumnID, c.Rows)
	}
	for i := 1; i < c.Rows; i++ {
		if ranks.Ints[i] < ranks.Ints[i-1] {
			return min, max, modelwatch.Errorf(modelwatch.CodeInvalid, "row %d has rank %d after %d: rows must be sorted by %s", i, ranks.Ints[i], ranks.Ints[i-1], modelwatch.ColumnRank)
		}
	}
	return time.UnixMicro(slices.Min(times.Ints)).UTC(), time.UnixMicro(slices.Max(times.Ints)).UTC(), nil
}

func encode(spec modelwatch.FileSpec, c *table.Chunk) ([]byte, error) {
	columns := make([]table.ColumnInfo, len(c.Columns))
	for i := range c.Columns {
		columns[i] = table.ColumnInfo{Name: c.Columns[i].Name, Type: c.Columns[i].Type, Physical: c.Columns[i].Physical}
	}
	var buf bytes.Buffer
	buf.Grow(c.Bytes() / 2) // files of ours are somewhat smaller
	w, err := newFileWriter(&buf, spec, columns)
	if err != nil {
		return nil, err
	}
	if err := w.Finish(c); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// verify opens the encoded file as a reader will and compares its rows, its
// columns, and the three columns by which rows are found. Writers of Parquet
// have lost values silently before; an object is for ever, so it is looked at
// once while its rows are still in memory.
func verify(ctx context.Context, body []byte, c *table.Chunk) error {
	r, err := table.OpenParquet(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return err
	}
	if r.Rows() != int64(c.Rows) {
		return fmt.Errorf("%d rows, wrote %d", r.Rows(), c.Rows)
	}
	have := r.Columns()
	if len(have) != len(c.Columns) {
		return fmt.Errorf("%d columns, wrote %d", len(have), len(c.Columns))
	}
	for i := range have {
		if have[i].Name != c.Columns[i].Name {
			return fmt.Errorf("column %d is %q, wrote %q", i, have[i].Name, c.Columns[i].Name)
		}
	}
	ranks, times, ids := c.Column(modelwatch.ColumnRank), c.Column(modelwatch.ColumnTime), c.Column(modelwatch.ColumnID)
	row := 0
	err = r.Scan(ctx, []string{modelwatch.ColumnRank, modelwatch.ColumnTime, modelwatch.ColumnID}, func(got *table.Chunk) error {
		for i := range got.Rows {
			if row >= c.Rows {
				return fmt.Errorf("more than the %d rows written", c.Rows)
			}
			if got.Columns[0].Ints[i] != ranks.Ints[row] || got.Columns[1].Ints[i] != times.Ints[row] || got.Columns[2].Text(i) != ids.Text(row) {
				return fmt.Errorf("row %d differs", row)
			}
			row++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if row != c.Rows {
		return fmt.Errorf("%d rows scanned, wrote %d", row, c.Rows)
	}
	return nil
}
