package archive

import (
	"bytes"
	"context"
	"fmt"
	"math"
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
// rows must have _rank, _id and _time without gaps; nothing in them is changed.
//
// Trying again after an error is safe: the key belongs to this attempt, and the
// same rows give the same bytes.
func (a *Archive) WriteDataFile(ctx context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error) {
	key := FileKey(spec)
	first, last, err := checkRows(rows)
	if err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file %s: %w", key, err)
	}
	body, err := encode(spec, rows)
	if err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file %s: %w", key, err)
	}
	if err := verify(ctx, body, rows, len(body)); err != nil {
		return modelwatch.DataFile{}, modelwatch.Wrap(modelwatch.CodeInternal, err, "write data file %s: what was encoded reads back differently", key)
	}
	sum := digest(body)
	if err := a.bucket.PutIfAbsent(ctx, key, body, sum); err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file: %w", err)
	}
	return modelwatch.DataFile{
		Key: key, Kind: spec.Kind, Model: spec.Model, Version: spec.Version,
		Rows: int64(rows.Len()), Bytes: int64(len(body)), Checksum: sum,
		MinTime: first, MaxTime: last,
		SamplingRate: spec.SamplingRate, SchemaRevision: spec.SchemaRevision, CommitID: spec.CommitID,
	}, nil
}

// checkRows says whether the rows may become a data file, and returns the span
// of their times.
func checkRows(rows table.Rows) (first, last time.Time, err error) {
	if rows.Len() == 0 {
		return first, last, modelwatch.Errorf(modelwatch.CodeInvalid, "no rows")
	}
	low, high, before := int64(math.MaxInt64), int64(math.MinInt64), int64(math.MinInt64)
	for _, key := range keyColumns {
		complete, err := eachPart(rows, key.name, func(from int, c *table.Column) error {
			switch key.name {
			case modelwatch.ColumnTime:
				low, high = min(low, slices.Min(c.Ints)), max(high, slices.Max(c.Ints))
			case modelwatch.ColumnRank:
				for i, rank := range c.Ints {
					if rank < before {
						return modelwatch.Errorf(modelwatch.CodeInvalid, "row %d has rank %d after %d: rows must be sorted by %s", from+i, rank, before, modelwatch.ColumnRank)
					}
					before = rank
				}
			}
			return nil
		})
		if err != nil {
			return first, last, err
		}
		if !complete {
			return first, last, modelwatch.Errorf(modelwatch.CodeInvalid, "column %s must be there with %s in each of the %d rows", key.name, key.what, rows.Len())
		}
	}
	return time.UnixMicro(low).UTC(), time.UnixMicro(high).UTC(), nil
}

// keyColumns are those by which rows are found.
var keyColumns = []struct{ name, what string }{
	{modelwatch.ColumnRank, "an integer"}, {modelwatch.ColumnTime, "a time"}, {modelwatch.ColumnID, "a text"},
}

// eachPart shows a column in parts. It stops, and reports false, where it is not there or has gaps.
func eachPart(rows table.Rows, name string, f func(from int, c *table.Column) error) (complete bool, err error) {
	at := slices.IndexFunc(rows.Infos(), func(c table.ColumnInfo) bool { return c.Name == name })
	if at < 0 {
		return false, nil
	}
	for from := 0; from < rows.Len(); from += table.RowGroupRows {
		n := min(rows.Len()-from, table.RowGroupRows)
		c := rows.Part(at, from, n)
		have := len(c.Ints)
		if name == modelwatch.ColumnID {
			have = len(c.Index)
		}
		if have != n || slices.Contains(c.Valid, false) {
			return false, nil
		}
		if err := f(from, &c); err != nil {
			return false, err
		}
	}
	return true, nil
}

func encode(spec modelwatch.FileSpec, rows table.Rows) ([]byte, error) {
	columns := rows.Infos()
	var buf bytes.Buffer
	buf.Grow(3 * rows.Len() * len(columns)) // what values of ours take, a little less
	w, err := newFileWriter(&buf, spec, columns)
	if err != nil {
		return nil, err
	}
	if err := w.Finish(rows); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// verifyTurns is how many files of one shape it takes until each of their columns has been compared.
const verifyTurns = 8

// verify opens the encoded file as a reader will and compares its rows, its
// columns, the three columns by which rows are found, and an eighth of the others:
// which, follows from turn. Writers of Parquet have lost values silently
// before; an object is for ever, so it is looked at once while its rows are still
// in memory.
func verify(ctx context.Context, body []byte, rows table.Rows, turn int) error {
	r, err := table.OpenParquet(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return err
	}
	if r.Rows() != int64(rows.Len()) {
		return fmt.Errorf("%d rows, wrote %d", r.Rows(), rows.Len())
	}
	have, want := r.Columns(), rows.Infos()
	if len(have) != len(want) {
		return fmt.Errorf("%d columns, wrote %d", len(have), len(want))
	}
	for i := range have {
		if have[i].Name != want[i].Name {
			return fmt.Errorf("column %d is %q, wrote %q", i, have[i].Name, want[i].Name)
		}
		if !isKey(want[i].Name) && (i+turn)%verifyTurns != 0 {
			continue
		}
		if err := verifyColumn(ctx, r, rows, i, want[i].Name); err != nil {
			return err
		}
	}
	return nil
}

func isKey(name string) bool {
	return slices.ContainsFunc(keyColumns, func(key struct{ name, what string }) bool { return key.name == name })
}

// verifyColumn compares a column, bit by bit.
func verifyColumn(ctx context.Context, r *table.Reader, rows table.Rows, at int, name string) error {
	row := 0
	err := r.ScanColumnInPlace(ctx, name, func(n int, got *table.Column) error {
		if n > rows.Len()-row {
			return fmt.Errorf("more than the %d rows written", rows.Len())
		}
		want := rows.Part(at, row, n)
		if i := difference(got, &want, n); i < n {
			return fmt.Errorf("row %d differs in %s", row+i, name)
		}
		row += n
		return nil
	})
	if err != nil {
		return err
	}
	if row != rows.Len() {
		return fmt.Errorf("%d rows scanned, wrote %d", row, rows.Len())
	}
	return nil
}

// difference returns the first of n rows in which two columns differ; n if there is none.
func difference(got, want *table.Column, n int) int {
	switch {
	case want.Floats != nil:
		return differing(got, want, n, min(len(got.Floats), len(want.Floats)), func(i int) bool {
			return math.Float64bits(got.Floats[i]) == math.Float64bits(want.Floats[i])
		})
	case want.Ints != nil:
		return differing(got, want, n, min(len(got.Ints), len(want.Ints)), func(i int) bool { return got.Ints[i] == want.Ints[i] })
	case want.Bools != nil:
		return differing(got, want, n, min(len(got.Bools), len(want.Bools)), func(i int) bool { return got.Bools[i] == want.Bools[i] })
	case want.Index != nil:
		return differing(got, want, n, min(len(got.Index), len(want.Index)), func(i int) bool { return got.Dict[got.Index[i]] == want.Dict[want.Index[i]] })
	case want.Vectors != nil:
		return differing(got, want, n, min(len(got.Vectors), len(want.Vectors)), func(i int) bool { return slices.Equal(got.Vectors[i], want.Vectors[i]) })
	}
	for i := range n { // none is wanted
		if !got.Missing(i) {
			return i
		}
	}
	return n
}

// differing is difference of columns that have values of one kind, of which both have so
// many at least. It is small enough to become a loop of its own for each kind.
func differing(got, want *table.Column, n, have int, same func(i int) bool) int {
	if have < n {
		return 0
	}
	for i := range n {
		if missing := got.Missing(i); missing != want.Missing(i) || !missing && !same(i) {
			return i
		}
	}
	return n
}
