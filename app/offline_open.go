package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

// openFile is a table file, open for reading. Parquet is read in place, also from
// a bucket, where only the columns that are asked for are fetched; CSV, JSON lines
// and packed files are turned into Parquet in a temporary file first.
type openFile struct {
	name   string
	object archive.Object
	reader *table.Reader
	spool  *table.Spooled // nil for Parquet
}

func (f *openFile) close() {
	if f.spool != nil {
		_ = f.spool.Close() // a temporary file that stays is no error of the user's
	}
	f.object.Close()
}

// tables are the files of one input, open for reading.
type tables struct {
	uri      string // as the user wrote it
	files    []*openFile
	disputes []dispute
}

// dispute is a column of inferred type that is not of one type in all files: it is
// a category in all.
type dispute struct {
	column string
	files  [2]string
	types  [2]modelwatch.FeatureType
}

// Close closes the files and removes temporary ones.
func (t *tables) Close() {
	for _, f := range t.files {
		f.close()
	}
}

// source is the files as one table.
func (t *tables) source(ctx context.Context) (engine.Source, error) {
	if len(t.files) == 1 {
		return t.files[0].reader, nil
	}
	parts := make([]table.Part, len(t.files))
	for i, f := range t.files {
		parts[i] = table.Part{Name: f.name, Reader: f.reader}
	}
	return table.NewUnion(ctx, parts...)
}

// skipped lists the columns of the files that cannot be read.
func (t *tables) skipped() []table.Skipped {
	var out []table.Skipped
	for _, f := range t.files {
		columns := f.reader.Skipped()
		if f.spool != nil {
			columns = f.spool.Skipped
		}
		for _, c := range columns {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// openTables opens what an input names. The types of columns of CSV and JSON
// lines are those of like, and inferred from every value of every file where it
// says nothing; nil infers all.
func openTables(ctx context.Context, input string, like *modelwatch.Schema, streams Streams) (_ *tables, err error) {
	found, err := findTables(ctx, input)
	if err != nil {
		return nil, err
	}
	t := &tables{uri: input}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	for _, file := range found {
		object, err := file.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", file.name, err)
		}
		if len(found) > 1 && object.Size() == 0 { // Spark leaves such parts
			object.Close()
			fmt.Fprintf(streams.Err, "note: %s is empty\n", file.name)
			continue
		}
		f := &openFile{name: file.name, object: object}
		t.files = append(t.files, f)
		if err := f.open(ctx, like, streams); err != nil {
			return nil, err
		}
	}
	if len(t.files) == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s: every file is empty", input)
	}
	if err := t.agree(ctx, like, streams); err != nil {
		return nil, err
	}
	return t, nil
}

// open makes the file's reader.
func (f *openFile) open(ctx context.Context, like *modelwatch.Schema, streams Streams) (err error) {
	if !isParquet(f.object) {
		return f.convert(ctx, like, streams)
	}
	if f.reader, err = table.OpenParquet(f.object, f.object.Size()); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// convert turns the file into Parquet with the types that like declares.
func (f *openFile) convert(ctx context.Context, like *modelwatch.Schema, streams Streams) (err error) {
	if f.spool != nil {
		_ = f.spool.Close() // as in close
		f.spool = nil
	}
	bar := progress(streams.Err, -1, "reading "+f.name)
	f.spool, err = table.Spool(ctx, table.Source{Name: f.name, ReaderAt: f.object, Size: f.object.Size()}, table.SpoolOptions{
		Schema:   like,
		Progress: func(bytes, _ int64) { _ = bar.Set64(bytes) }, // drawing only
	})
	_ = bar.Finish() // drawing only
	if err != nil {
		return err
	}
	f.reader, err = f.spool.Reader()
	return err
}

func isParquet(r io.ReaderAt) bool {
	magic := make([]byte, 4)
	n, _ := r.ReadAt(magic, 0) // what cannot be read is no Parquet; reading it again says why
	return n == 4 && string(magic) == "PAR1"
}

// agree gives a column one type in all the files: one file's numbers may be another's
// words, and then, unless its type is declared, they are categories in both.
func (t *tables) agree(ctx context.Context, like *modelwatch.Schema, streams Streams) error {
	types, disputed := map[string]modelwatch.FeatureType{}, map[string]bool{}
	first := map[string]string{} // the file that a type is from
	for _, f := range t.files {
		for _, c := range f.reader.Columns() {
			known, ok := types[c.Name]
			if ok && (known == c.Type || isText(known) && isText(c.Type)) {
				continue
			}
			empty, err := hasNoValue(ctx, f, c)
			switch {
			case err != nil:
				return err
			case empty:
				disputed[c.Name] = true
			case !ok:
				types[c.Name], first[c.Name] = c.Type, f.name
			default:
				t.dispute(c, first, f.name, known, like)
				types[c.Name], disputed[c.Name] = modelwatch.TypeCategory, true
			}
		}
	}
	if len(t.files) < 2 || len(disputed) == 0 {
		return nil
	}
	agreed := modelwatch.Schema{}
	if like != nil {
		agreed = *like
	}
	features := slices.Clone(agreed.Features)
	for name, kind := range types {
		if f, declared := agreed.Feature(name); declared {
			types[name] = f.Type
		} else {
			features = append(features, modelwatch.Feature{Name: name, Type: kind})
		}
	}
	agreed.Features = features
	agreed.SortFeatures()
	return t.reread(ctx, agreed, types, disputed, streams)
}

// dispute notes that a column whose type is not declared is of another type in a
// file than in the first.
func (t *tables) dispute(c table.ColumnInfo, first map[string]string, file string, known modelwatch.FeatureType, like *modelwatch.Schema) {
	if like != nil {
		if _, declared := like.Feature(c.Name); declared {
			return
		}
	}
	if from, ok := first[c.Name]; ok {
		t.disputes = append(t.disputes, dispute{c.Name, [2]string{from, file}, [2]modelwatch.FeatureType{known, c.Type}})
		delete(first, c.Name)
	}
}

// hasNoValue reports whether a column of inferred type is a category for want of
// any value: it then says nothing about its type.
func hasNoValue(ctx context.Context, f *openFile, c table.ColumnInfo) (bool, error) {
	if f.spool == nil || c.Type != modelwatch.TypeCategory {
		return false, nil
	}
	found := errors.New("found")
	err := f.reader.ScanColumn(ctx, c.Name, func(rows int, col *table.Column) error {
		for i := range rows {
			if !col.Missing(i) {
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		return false, nil
	}
	return err == nil, err
}

// reread reads the files again where a column is not of the agreed type.
func (t *tables) reread(ctx context.Context, agreed modelwatch.Schema, types map[string]modelwatch.FeatureType, disputed map[string]bool, streams Streams) error {
	for _, f := range t.files {
		if !slices.ContainsFunc(f.reader.Columns(), func(c table.ColumnInfo) bool {
			want, ok := types[c.Name]
			return ok && disputed[c.Name] && want != c.Type
		}) {
			continue
		}
		if err := f.convert(ctx, &agreed, streams); err != nil {
			return err
		}
	}
	return nil
}
