package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

// spoolWindow makes a table of the version's archived traffic of a window: the rows
// as they stand in the archive, without labels. The same window of the same files
// gives the same table, and so the same baseline.
func (b *baselines) spoolWindow(ctx context.Context, version modelwatch.Version, w modelwatch.Window) (_ *table.Spooled, err error) {
	files, err := b.catalog.DataFiles(ctx, modelwatch.DataFileFilter{Model: version.Model, Version: version.Name, Kind: modelwatch.KindPrediction, Window: w})
	if err != nil {
		return nil, fmt.Errorf("list data files: %w", err)
	}
	rows, err := b.engine.WindowSource(ctx, files, w)
	if err != nil {
		return nil, fmt.Errorf("read archived traffic: %w", err)
	}
	if rows.Rows() == 0 {
		return nil, &modelwatch.Error{Code: modelwatch.CodeInvalid, Message: fmt.Sprintf("version %s of model %s has no archived traffic in the window", version.Name, version.Model),
			Fields: []modelwatch.FieldError{{Location: "body.window", Message: "holds no rows"}}}
	}
	f, err := os.CreateTemp("", "modelwatch-window-*.parquet")
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := copyWindow(ctx, rows, f); err != nil {
		return nil, fmt.Errorf("copy archived traffic: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("copy archived traffic: %w", err)
	}
	known := version.Schema.Columns
	version.Schema.Columns = modelwatch.ColumnMapping{} // the archive has columns under our names
	spooled, err := table.Spool(ctx, table.Source{Name: "archived traffic", Format: table.FormatParquet, ReaderAt: f, Size: info.Size()}, spoolOptions(version, modelwatch.ColumnMapping{}))
	if err == nil {
		spooled.Schema.Columns = known
	}
	return spooled, err
}

// unwanted are columns of the archive that a training set has no use for.
var unwanted = []string{modelwatch.ColumnRank, modelwatch.ColumnReceivedAt, modelwatch.ColumnExtra} //nolint:gochecknoglobals // a constant

// copyWindow writes the rows as one file.
func copyWindow(ctx context.Context, rows *engine.WindowSource, f *os.File) error {
	columns := slices.DeleteFunc(rows.Columns(), func(c table.ColumnInfo) bool { return slices.Contains(unwanted, c.Name) })
	out := bufio.NewWriterSize(f, 1<<20)
	w, err := table.NewWriter(out, columns, nil)
	if err != nil {
		return err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	err = rows.Scan(ctx, names, func(c *table.Chunk) error {
		out := &table.Chunk{Rows: c.Rows, Columns: slices.Clone(c.Columns)}
		for i, want := range columns {
			col := &out.Columns[i]
			switch {
			case col.Type == "":
				*col = absentColumn(want, c.Rows)
			case col.Type != want.Type && !(isText(col.Type) && isText(want.Type)):
				return modelwatch.Errorf(modelwatch.CodeInvalid, "column %q is a %s in some files of the window and a %s in others: take a window in which it is one of them", want.Name, want.Type, col.Type)
			}
			col.Name, col.Type = want.Name, want.Type
		}
		return w.Write(out)
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// absentColumn has no value in any row.
func absentColumn(c table.ColumnInfo, rows int) table.Column {
	col := table.Column{Name: c.Name, Type: c.Type, Physical: c.Physical, Valid: make([]bool, rows)}
	switch {
	case c.Type == modelwatch.TypeBoolean:
		col.Bools = make([]bool, rows)
	case isText(c.Type):
		col.Index, col.Dict = make([]int32, rows), []string{""}
	case c.Type == modelwatch.TypeVector:
		col.Vectors = make([][]float32, rows)
	case c.Type == modelwatch.TypeTimestamp || c.Physical == table.PhysicalInt64 || c.Physical == table.PhysicalTime:
		col.Ints = make([]int64, rows)
	default:
		col.Floats = make([]float64, rows)
	}
	return col
}
