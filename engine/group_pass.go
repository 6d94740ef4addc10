package engine

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// groupPass reads a table once for the slots [from, from+n).
type groupPass struct {
	g       *grouper
	from, n int
	passes  int

	names   []string // columns to be read
	at      []int    // of the set's columns: their place among names
	invalid int      // places of further columns among names; -1: not read
	weight  int

	sets       []*profile.Set // per slot; nil: no rows yet
	rows       []int64
	placer     *placer
	tallies    *tallies
	named      [][]namedRow // per column of the set: what "_invalid" says of a piece
	counters   []counter    // per column of the set
	viewers    []*viewer
	weights    []float64 // of the rows of a piece
	workers    []groupWorker
	chunk      int   // of chunks by rows
	left, done int64 // rows to the end of the chunk; rows read
}

type namedRow struct {
	row     int
	outside bool
}

func newGroupPass(g *grouper, from, n, passes int) *groupPass {
	p := &groupPass{g: g, from: from, n: n, passes: passes, invalid: -1, weight: -1, left: g.opts.ChunkRows}
	p.done = g.stats.Rows * int64(g.stats.Passes)
	places := map[string]int{}
	need := func(name string) int {
		at, ok := places[name]
		if !ok {
			at = len(p.names)
			places[name] = at
			p.names = append(p.names, name)
		}
		return at
	}
	p.counters, p.viewers = make([]counter, len(g.like.Columns)), make([]*viewer, len(g.like.Columns))
	for j := range g.like.Columns {
		c := &g.like.Columns[j]
		p.at = append(p.at, need(c.Column.Column))
		p.counters[j] = newCounter(c)
		if c.View != modelwatch.ViewValue {
			p.viewers[j] = newViewer(c)
		}
	}
	if g.opts.Weight != "" {
		p.weight = need(g.opts.Weight)
	}
	if c, ok := g.src.Column(modelwatch.ColumnInvalid); ok && isText(c.Type) {
		p.invalid = need(modelwatch.ColumnInvalid)
	}
	p.placer = newPlacer(g.grouping, need)
	p.tallies = newTallies(setColumns(g.like))
	p.named = make([][]namedRow, len(g.like.Columns))
	p.workers = make([]groupWorker, min(runtime.GOMAXPROCS(0), max(1, len(g.like.Columns))))
	p.reset()
	return p
}

func (p *groupPass) reset() {
	p.sets = make([]*profile.Set, p.n)
	p.rows = make([]int64, p.n)
}

func (p *groupPass) run(ctx context.Context) error {
	err := p.g.src.Scan(ctx, p.names, func(c *table.Chunk) error {
		for from := 0; from < c.Rows; {
			n := c.Rows - from
			if p.g.opts.ChunkRows > 0 {
				n = int(min(int64(n), p.left))
			}
			p.piece(piece(c, from, n))
			from += n
			if p.left -= int64(n); p.g.opts.ChunkRows > 0 && p.left == 0 {
				if err := p.emitChunk(); err != nil {
					return err
				}
			}
		}
		p.done += int64(c.Rows)
		if p.g.opts.Progress != nil {
			p.g.opts.Progress(p.done, p.g.stats.Rows*int64(p.passes))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.g.opts.ChunkRows == 0 || p.left < p.g.opts.ChunkRows || p.chunk == 0 {
		return p.emitChunk()
	}
	return nil
}

// piece is a part of a chunk.
func piece(c *table.Chunk, from, n int) *table.Chunk {
	if n == c.Rows {
		return c
	}
	out := &table.Chunk{Rows: n, Columns: slices.Clone(c.Columns)}
	for i := range out.Columns {
		col := &out.Columns[i]
		col.Valid, col.Floats, col.Ints = cut(col.Valid, from, n), cut(col.Floats, from, n), cut(col.Ints, from, n)
		col.Bools, col.Index, col.Vectors = cut(col.Bools, from, n), cut(col.Index, from, n), cut(col.Vectors, from, n)
	}
	return out
}

func cut[T any](s []T, from, n int) []T {
	if len(s) == 0 {
		return nil
	}
	return s[from : from+n]
}

// piece counts rows that are in one chunk, if chunks are by rows.
func (p *groupPass) piece(c *table.Chunk) {
	if p.weight >= 0 {
		p.weights = weightsOf(p.weights, c.Rows, &c.Columns[p.weight])
	}
	p.placer.place(c)
	for i := range p.placer.divisions {
		p.divide(&p.placer.divisions[i])
	}
	p.nameInvalid(c)
	var next atomic.Int64
	work := func(w *groupWorker) {
		for j := int(next.Add(1) - 1); j < len(p.at); j = int(next.Add(1) - 1) {
			p.count(w, j, c)
		}
	}
	var wg sync.WaitGroup
	for i := range p.workers[1:] {
		wg.Go(func() { work(&p.workers[i+1]) })
	}
	work(&p.workers[0])
	wg.Wait()
}

// divide sorts the rows of a division by their slots, and gives the slots their sets.
func (p *groupPass) divide(d *division) {
	d.sorter.sort(d.places, p.from, p.n)
	for at := range p.n {
		if rows := d.sorter.of(at); len(rows) > 0 {
			p.rows[at] += int64(len(rows))
			if p.sets[at] == nil {
				p.sets[at] = p.g.like.Empty()
			}
		}
	}
}

// nameInvalid reads which values of the rows are invalid though they are missing.
func (p *groupPass) nameInvalid(c *table.Chunk) {
	for j := range p.named {
		p.named[j] = p.named[j][:0]
	}
	if p.invalid < 0 {
		return
	}
	col := &c.Columns[p.invalid]
	if !isText(col.Type) {
		return
	}
	for i := range c.Rows {
		if col.Missing(i) {
			continue
		}
		p.tallies.each(col.Text(i), func(j int, outside bool) {
			if rows := p.named[j]; c.Columns[p.at[j]].Missing(i) && (len(rows) == 0 || rows[len(rows)-1].row != i) {
				p.named[j] = append(rows, namedRow{i, outside})
			}
		})
	}
}

// count counts column j of a piece into the sets of the rows' slots.
func (p *groupPass) count(w *groupWorker, j int, c *table.Chunk) {
	col, counter := &c.Columns[p.at[j]], &p.counters[j]
	if p.viewers[j] != nil {
		col = p.viewers[j].of(c.Rows, col)
	}
	for i := range p.placer.divisions {
		d := &p.placer.divisions[i]
		for at := range p.n {
			if rows := d.sorter.of(at); len(rows) > 0 {
				counter.profile = p.sets[at].Columns[j].Profile
				w.count(counter, rows, c.Rows, col, p.weights)
			}
		}
		for _, n := range p.named[j] {
			if at := int(d.places[n.row]) - p.from; at >= 0 && at < p.n {
				counter.profile = p.sets[at].Columns[j].Profile
				counter.named(n.row, p.weights, n.outside)
			}
		}
	}
}

// emitChunk hands out the groups of the pass, of one chunk or of several periods.
func (p *groupPass) emitChunk() error {
	for at := range p.n {
		group, known := p.g.group(p.from+at, p.chunk)
		group.Rows, group.Set = p.rows[at], p.sets[at]
		if group.Rows == 0 {
			if !known {
				continue
			}
			group.Set = p.g.empty
		}
		if err := p.g.emit(group); err != nil {
			return err
		}
	}
	p.chunk++
	p.left = p.g.opts.ChunkRows
	if p.g.opts.ChunkPeriod == 0 {
		p.g.stats.Chunks = max(p.g.stats.Chunks, p.chunk)
	}
	p.reset()
	return nil
}
