package table

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Rewrite replaces the file by one with other columns. f is given each chunk of
// the old file, which it must not change, and returns the rows to be written.
func (s *Spooled) Rewrite(ctx context.Context, columns []ColumnInfo, f func(*Chunk) (*Chunk, error)) (err error) {
	reader, err := s.Reader()
	if err != nil {
		return err
	}
	to, err := os.CreateTemp(filepath.Dir(s.Path), "modelwatch-*.parquet")
	if err != nil {
		return fmt.Errorf("create temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, to.Close(), os.Remove(to.Name()))
		}
	}()
	out := bufio.NewWriterSize(to, 1<<20)
	w, err := NewWriter(out, columns, reader.Metadata())
	if err != nil {
		return err
	}
	names := make([]string, 0, len(reader.Columns()))
	for _, c := range reader.Columns() {
		names = append(names, c.Name)
	}
	err = reader.Scan(ctx, names, func(c *Chunk) error {
		rows, err := f(c)
		if err != nil {
			return err
		}
		return w.Write(rows)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(w.Close(), out.Flush()); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("replace temporary file: %w", err)
	}
	s.file, s.Path, s.Columns = to, to.Name(), columns
	return nil
}
