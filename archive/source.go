package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// source yields rows in the order of ranks.
type source interface {
	// advance moves to the next row and returns false at the end.
	advance() (bool, error)
	// current is the row moved to, until the next advance.
	current() *row
	io.Closer
}

// fileSource reads one data file, chunk by chunk.
type fileSource struct {
	file   *modelwatch.DataFile
	side   *side
	closer io.Closer
	pull   func() (*table.Chunk, error, bool)
	stop   func()

	chunk   *table.Chunk
	at      int // the next row of chunk
	seq     int64
	value   Values
	further []Values // of side.fields, in the order of side.further
	row     row
}

// openFileSource opens a file; it stands before its first row.
func (a *Archive) openFileSource(ctx context.Context, f *modelwatch.DataFile, s *side) (source, error) {
	r, closer, err := a.OpenDataFile(ctx, *f)
	if err != nil {
		return nil, err
	}
	columns := slices.Concat([]string{modelwatch.ColumnRank, modelwatch.ColumnID, modelwatch.ColumnTime}, s.columns, s.further())
	for _, name := range columns[:3] {
		if _, ok := r.Column(name); !ok {
			closer.Close()
			return nil, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s has no column %s", f.Key, name)
		}
	}
	src := &fileSource{file: f, side: s, closer: closer, further: make([]Values, len(s.further()))}
	src.row.file, src.row.weight, src.row.rank = place(f), weight(f), -1
	src.pull, src.stop = iter.Pull2(chunks(ctx, r, columns))
	return src, nil
}

// chunks turns Scan inside out. A chunk is valid until the next one is asked for.
func chunks(ctx context.Context, r *table.Reader, columns []string) iter.Seq2[*table.Chunk, error] {
	return func(yield func(*table.Chunk, error) bool) {
		err := r.Scan(ctx, columns, func(c *table.Chunk) error {
			if !yield(c, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("scan stopped")

func (s *fileSource) Close() error {
	s.stop()
	return s.closer.Close()
}

func (s *fileSource) current() *row { return &s.row }

func (s *fileSource) advance() (bool, error) {
	for {
		for s.chunk == nil || s.at >= s.chunk.Rows {
			if ok, err := s.load(); !ok {
				return false, err
			}
		}
		i := s.at
		s.at++
		s.seq++
		kept, err := s.take(i)
		if err != nil {
			return false, err
		}
		if s.side.limit > 0 && s.row.rank >= s.side.limit {
			s.chunk, s.at = nil, 0
			s.stop()
			return false, nil
		}
		if kept {
			return true, nil
		}
	}
}

func (s *fileSource) load() (bool, error) {
	c, err, ok := s.pull()
	if err != nil {
		return false, fmt.Errorf("read data file %s: %w", s.file.Key, err)
	}
	if !ok {
		return false, nil
	}
	s.chunk, s.at = c, 0
	s.value.Use(&c.Columns[3])
	for i := range s.further {
		s.further[i].Use(&c.Columns[3+len(s.side.columns)+i])
	}
	return true, nil
}

// take makes row i of the chunk the current one and reports whether it takes part.
func (s *fileSource) take(i int) (bool, error) {
	ranks, ids, times := &s.chunk.Columns[0], &s.chunk.Columns[1], &s.chunk.Columns[2]
	if ranks.Missing(i) || ids.Missing(i) || times.Missing(i) {
		return false, nil
	}
	rank := ranks.Ints[i]
	if rank < s.row.rank {
		return false, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: row %d has rank %d after %d, the file is not sorted by %s", s.file.Key, s.seq-1, rank, s.row.rank, modelwatch.ColumnRank)
	}
	r := &s.row
	r.rank, r.time, r.seq = rank, times.Ints[i], s.seq
	if !s.side.takes(r.time) {
		return false, nil
	}
	r.id = ids.Dict[ids.Index[i]]
	r.text, r.value, r.hasValue = s.value.At(i)
	r.score, r.hasScore = 0, false
	if len(s.side.columns) > 1 {
		r.score, r.hasScore = number(&s.chunk.Columns[4], i)
	}
	if len(s.further) > 0 {
		s.takeFurther(i)
	}
	return true, nil
}

// takeFurther sets the row's fields, in slices of its own: a merger keeps rows.
func (s *fileSource) takeFurther(i int) {
	r, fields, rest := &s.row, &s.side.fields, s.further
	if n := len(fields.Classes); n > 0 {
		r.scores = make([]float64, n)
		for k := range r.scores {
			var ok bool
			if _, r.scores[k], ok = rest[k].At(i); !ok || math.IsInf(r.scores[k], 0) {
				r.scores[k] = math.NaN()
			}
		}
		rest = rest[n:]
	}
	if n := len(fields.Segments); n > 0 {
		r.segments = make([]string, n)
		for k := range r.segments {
			text, value, ok := rest[k].At(i)
			if r.segments[k] = text; !ok || math.IsInf(value, 0) || text == "NaN" {
				r.segments[k] = modelwatch.SegmentMissing
			}
		}
		rest = rest[n:]
	}
	if fields.Group {
		r.group, _, r.hasGroup = rest[0].At(i)
	}
}
