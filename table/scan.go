package table

import (
	"context"
	"math/bits"

	"golang.org/x/sync/errgroup"
)

const (
	// scanBytes is about how much a chunk of numbers takes.
	scanBytes   = 32 << 20
	minScanRows = 1_024
	// windowBytes is how much of the compressed bytes a scan holds, all columns together.
	windowBytes = 64 << 20
	maxWindow   = 8 << 20
	minWindow   = 64 << 10
)

// scan is one pass over some columns of a file.
type scan struct {
	r       *Reader
	cursors []*cursor // nil where the file lacks the column
	chunk   Chunk
	take    func() (group int, more bool) // which row group is read next
	rows    int                           // most rows in a chunk
	inPlace bool                          // of one column: chunks end where its pages do
	workers int
}

func newScan(r *Reader, columns []string, workers int) *scan {
	n := max(1, len(columns))
	s := &scan{r: r, workers: min(workers, n), take: r.all()}
	s.rows = min(RowGroupRows, max(minScanRows, scanBytes/(8*n)))
	w := min(maxWindow, max(minWindow, int64(windowBytes/n)))
	s.cursors = make([]*cursor, len(columns))
	s.chunk.Columns = make([]Column, len(columns))
	for i, name := range columns {
		at, ok := r.byName[name]
		if !ok {
			s.chunk.Columns[i].Name = name
			continue
		}
		f := &r.fields[at]
		c := &cursor{r: r, f: f, window: w}
		c.pages.lend()
		s.cursors[i] = c
		s.chunk.Columns[i] = Column{Name: name, Type: f.info.Type, Physical: f.info.Physical}
	}
	return s
}

// run makes the pass. The scan is of no use after it.
func (s *scan) run(ctx context.Context, f func(*Chunk) error) error {
	defer func() {
		for _, c := range s.cursors {
			if c != nil {
				c.pages.giveBack()
			}
		}
	}()
	for {
		g, more := s.take()
		if !more {
			return nil
		}
		group := &s.r.groups[g]
		for _, c := range s.cursors {
			if c != nil {
				c.start(g, group.NumRows)
			}
		}
		for left := group.NumRows; left > 0; {
			n := int(min(left, int64(s.rows)))
			if err := ctx.Err(); err != nil {
				return err
			}
			if s.inPlace && s.cursors[0] != nil {
				var err error
				if n, err = s.cursors[0].ahead(n); err != nil {
					return err
				}
			}
			if err := s.decode(n); err != nil {
				return err
			}
			if err := f(&s.chunk); err != nil {
				return err
			}
			left -= int64(n)
		}
	}
}

// all takes the row groups as they are in the file.
func (r *Reader) all() func() (int, bool) {
	next := -1
	return func() (int, bool) {
		next++
		return next, next < len(r.groups)
	}
}

// inOrder takes the row groups that are listed.
func inOrder(groups []int) func() (int, bool) {
	return func() (group int, more bool) {
		if len(groups) == 0 {
			return 0, false
		}
		group, groups = groups[0], groups[1:]
		return group, true
	}
}

// spread returns 0 to n-1 in the order of their reversed bits (van der Corput's sequence).
func spread(n int) []int {
	order := make([]int, 0, n)
	width := bits.Len(uint(max(n-1, 0)))
	for i := range 1 << width {
		if at := int(bits.Reverse64(uint64(i)) >> (64 - width)); at < n {
			order = append(order, at)
		}
	}
	return order
}

// decode fills the chunk with the next n rows, columns in parallel.
func (s *scan) decode(n int) error {
	s.chunk.Rows = n
	if s.workers <= 1 {
		for i := range s.cursors {
			if err := s.decodeColumn(i, n); err != nil {
				return err
			}
		}
		return nil
	}
	var g errgroup.Group
	g.SetLimit(s.workers)
	for i := range s.cursors {
		g.Go(func() error { return s.decodeColumn(i, n) })
	}
	return g.Wait()
}

func (s *scan) decodeColumn(i, n int) error {
	col := &s.chunk.Columns[i]
	if s.cursors[i] == nil {
		col.Valid = grown(col.Valid, n)
		clear(col.Valid)
		return nil
	}
	return s.cursors[i].next(col, n)
}
