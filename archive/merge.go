package archive

import (
	"container/heap"
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// side is one side of a join: its files, and which of their rows take part.
type side struct {
	files   []modelwatch.DataFile
	columns []string // the value, then the score where there is one
	fields  modelwatch.JoinedFields
	better  func(a, b *row) bool
	window  modelwatch.Window // zero: any time
	limit   int64             // ranks from here on are of no interest; 0: all are
}

func (s *side) takes(micros int64) bool {
	if s.window.End.IsZero() {
		return true
	}
	return micros >= s.window.Start.UnixMicro() && micros < s.window.End.UnixMicro()
}

// further are the columns of fields, in the order of use: scores of classes,
// segments, the group.
func (s *side) further() []string {
	var names []string
	for _, class := range s.fields.Classes {
		names = append(names, modelwatch.PrefixScore+class)
	}
	names = append(names, s.fields.Segments...)
	if s.fields.Group {
		names = append(names, modelwatch.ColumnGroup)
	}
	return names
}

// merger merges sources into groups: the distinct ids of one rank, each with
// the row that counts.
type merger struct {
	heap    sourceHeap
	sources []source // all of them, to be closed
	better  func(a, b *row) bool
	group   []row
}

type sourceHeap []source

func (h sourceHeap) Len() int           { return len(h) }
func (h sourceHeap) Less(i, j int) bool { return h[i].current().rank < h[j].current().rank }
func (h sourceHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sourceHeap) Push(x any)        { *h = append(*h, x.(source)) }
func (h *sourceHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	*h = (*h)[:last]
	return s
}

// next returns the next group, empty at the end. It is valid until the next call.
func (m *merger) next() ([]row, error) {
	m.group = m.group[:0]
	for len(m.heap) > 0 {
		top := m.heap[0]
		r := top.current()
		if len(m.group) > 0 && r.rank != m.group[0].rank {
			break
		}
		m.add(r)
		more, err := top.advance()
		if err != nil {
			return nil, err
		}
		if more {
			heap.Fix(&m.heap, 0)
		} else {
			heap.Pop(&m.heap)
		}
	}
	return m.group, nil
}

func (m *merger) add(r *row) {
	for i := range m.group {
		if m.group[i].id == r.id {
			if m.better(r, &m.group[i]) {
				m.group[i] = *r
			}
			return
		}
	}
	m.group = append(m.group, *r)
}

// merging is the work of one join: what it has opened, and its temporary files.
type merging struct {
	archive *Archive
	ctx     context.Context
	dir     string // of temporary files; "" until one is needed
	runs    int    // temporary files made
}

// rowBytes is about what one decoded row of an open file takes.
const rowBytes = 160

// fieldBytes is that of one of the further columns.
const fieldBytes = 24

// cost estimates what an open file holds in memory.
func (s *side) cost(f *modelwatch.DataFile) int64 {
	return 64<<10 + min(f.Rows, table.RowGroupRows)*(rowBytes+fieldBytes*int64(len(s.further())))
}

// batches splits files into runs that may be open at the same time, each within
// half of the memory, because a join has two sides.
func (a *Archive) batches(s *side) [][]modelwatch.DataFile {
	var out [][]modelwatch.DataFile
	files := s.files
	start, sum := 0, int64(0)
	for i := range files {
		c := s.cost(&files[i])
		if n := i - start; n > 1 && (sum+c > a.opts.MergeBytes/2 || n >= a.opts.MaxOpenFiles/2) {
			out = append(out, files[start:i])
			start, sum = i, 0
		}
		sum += c
	}
	if start < len(files) {
		out = append(out, files[start:])
	}
	return out
}

// open returns the merged rows of one side, merging parts of it into temporary
// files first if it is too large to be read at once.
func (m *merging) open(s *side) (*merger, error) {
	batches := m.archive.batches(s)
	if len(batches) <= 1 {
		return m.openFiles(s.files, s)
	}
	var runs []string
	for _, files := range batches {
		path, err := m.spill(m.openFiles(files, s))
		if err != nil {
			return nil, err
		}
		runs = append(runs, path)
	}
	for len(runs) > m.archive.opts.MaxOpenFiles/2 {
		var fewer []string
		for part := range slices.Chunk(runs, max(2, m.archive.opts.MaxOpenFiles/2)) {
			path, err := m.spill(openRuns(part, s.better))
			if err != nil {
				return nil, err
			}
			fewer = append(fewer, path)
		}
		runs = fewer
	}
	return openRuns(runs, s.better)
}

// openFiles opens data files side by side: each costs a few round trips.
func (m *merging) openFiles(files []modelwatch.DataFile, s *side) (*merger, error) {
	return newMerger(s.better, len(files), func(i int) (source, error) {
		return m.archive.openFileSource(m.ctx, &files[i], s)
	})
}

// newMerger opens n sources and moves each to its first row. Nothing stays open
// after an error.
func newMerger(better func(a, b *row) bool, n int, open func(i int) (source, error)) (*merger, error) {
	sources := make([]source, n)
	more := make([]bool, n)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error {
			src, err := open(i)
			if err != nil {
				return err
			}
			sources[i] = src
			more[i], err = src.advance()
			return err
		})
	}
	err := g.Wait()
	m := &merger{better: better}
	for i, src := range sources {
		if src != nil {
			m.sources = append(m.sources, src)
		}
		if more[i] {
			m.heap = append(m.heap, src)
		}
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	heap.Init(&m.heap)
	return m, nil
}

func (m *merger) close() error {
	var errs []error
	for _, s := range m.sources {
		errs = append(errs, s.Close())
	}
	m.sources, m.heap = nil, nil
	return errors.Join(errs...)
}
