package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// columnGroups counts the groups of a table column by column. Which rows are in which group is
// found once, and takes two bytes a row for each crossing and for chunks by time, less where
// rows of a group follow each other; chunks by rows take nothing.
type columnGroups struct {
	*grouping
	columns []modelwatch.Column
	runs    []rowRuns      // of each division
	invalid []invalidRow   // rows with an "_invalid" object
	named   [][]namedValue // of each column
	spaces  sync.Pool
}

// invalidRow is a row that has an "_invalid" object, and its slots by division.
type invalidRow struct {
	row   int64
	slots []int32
}

// namedValue is what an "_invalid" object says of a column.
type namedValue struct {
	at      int32 // of the row among those with such an object
	outside bool
}

// newColumnGroups reads what says where rows belong. The groups are counted by workers at the same time, which
// share the memory that opts allows.
func newColumnGroups(ctx context.Context, src Source, columns []modelwatch.Column, opts GroupOptions, workers int) (*columnGroups, error) {
	base, err := newGrouping(ctx, src, opts)
	if err != nil {
		return nil, err
	}
	base.opts.MemoryBytes /= int64(workers)
	g := &columnGroups{grouping: base, columns: columns, named: make([][]namedValue, len(columns))}
	g.spaces.New = func() any { return &groupSpace{} }
	err = g.assign(ctx)
	return g, err
}

// assign finds the slots of all rows.
func (g *columnGroups) assign(ctx context.Context) error {
	var names []string
	need := func(name string) int {
		if at := slices.Index(names, name); at >= 0 {
			return at
		}
		names = append(names, name)
		return len(names) - 1
	}
	p := newPlacer(g.grouping, need)
	invalid := -1
	if c, ok := g.src.Column(modelwatch.ColumnInvalid); ok && isText(c.Type) {
		invalid = need(modelwatch.ColumnInvalid)
	}
	g.runs = make([]rowRuns, len(p.divisions))
	if len(names) == 0 {
		g.runs[0].addOne(int(g.stats.Rows), 0)
		return nil
	}
	t, row := newTallies(g.columns), int64(0)
	return g.src.Scan(ctx, names, func(c *table.Chunk) error {
		p.place(c)
		for i := range p.divisions {
			d := &p.divisions[i]
			g.runs[i].add(d.places, g.slots, &d.sorter)
		}
		if invalid >= 0 && isText(c.Columns[invalid].Type) {
			g.nameInvalid(t, p, row, &c.Columns[invalid])
		}
		row += int64(c.Rows)
		return nil
	})
}

// nameInvalid takes in what the "_invalid" column of a chunk says, the first row of which is given.
func (g *columnGroups) nameInvalid(t *tallies, p *placer, first int64, col *table.Column) {
	for i := range p.divisions[0].places {
		if col.Missing(i) {
			continue
		}
		at := int32(len(g.invalid))
		t.each(col.Text(i), func(j int, outside bool) {
			if named := g.named[j]; len(named) == 0 || named[len(named)-1].at != at {
				g.named[j] = append(named, namedValue{at, outside})
			}
		})
		r := invalidRow{row: first + int64(i)}
		for k := range p.divisions {
			r.slots = append(r.slots, p.divisions[k].places[i])
		}
		g.invalid = append(g.invalid, r)
	}
}

// column counts the i-th column on the grid of like, and calls emit for each group, as ProfileGroups does,
// but chunk by chunk always. Groups without rows share a profile. It may be called from several goroutines at once.
func (g *columnGroups) column(ctx context.Context, i int, like *profile.SetColumn, skipSquares bool, emit func(Group, *profile.SetColumn) error) error {
	each := g.slots
	if g.opts.ChunkPeriod > 0 {
		var err error
		if each, _, err = g.passes(profileBytes(like.Profile, g.opts.Weight != ""), "a column"); err != nil {
			return err
		}
	}
	empty := like.Profile.Empty()
	if skipSquares {
		empty.SkipSquares()
	}
	space, _ := g.spaces.Get().(*groupSpace)
	defer g.spaces.Put(space)
	for from := 0; from < g.slots; from += each {
		p := newColumnPass(g, i, like, empty, from, min(each, g.slots-from))
		p.space, p.emit = space, emit
		if err := p.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// scan reads a column as its view sees it, with the weights of its rows.
func (g *columnGroups) scan(ctx context.Context, c *profile.SetColumn, f func(rows int, col *table.Column, weights []float64) error) error {
	src := through(g.src, c)
	if g.opts.Weight == "" {
		return src.ScanColumn(ctx, c.Column.Column, func(rows int, col *table.Column) error { return f(rows, col, nil) })
	}
	var weights []float64
	return src.Scan(ctx, []string{c.Column.Column, g.opts.Weight}, func(chunk *table.Chunk) error {
		weights = weightsOf(weights, chunk.Rows, &chunk.Columns[1])
		return f(chunk.Rows, &chunk.Columns[0], weights)
	})
}

// groupSpace is memory for one pass, to be used again.
type groupSpace struct {
	worker  groupWorker
	picked  [][]int32 // rows of a piece, by slot
	touched []int     // slots that have some
}

// columnPass reads a column once for the slots [from, from+n).
type columnPass struct {
	g     *columnGroups
	like  *profile.SetColumn
	empty *profile.Profile
	emit  func(Group, *profile.SetColumn) error
	space *groupSpace

	from, n  int
	profiles []*profile.Profile // nil: no rows yet
	rows     []int64
	counter  counter
	cursors  []runCursor // of each division
	named    []namedValue
	row      int64 // rows read
	chunk    int   // of chunks by rows
	left     int64 // rows to the end of the chunk
}

func newColumnPass(g *columnGroups, i int, like *profile.SetColumn, empty *profile.Profile, from, n int) *columnPass {
	p := &columnPass{g: g, like: like, empty: empty, from: from, n: n, counter: newCounter(like), named: g.named[i], left: g.opts.ChunkRows}
	for _, runs := range g.runs {
		p.cursors = append(p.cursors, runCursor{runs: runs})
	}
	p.reset()
	return p
}

func (p *columnPass) reset() { p.profiles, p.rows = make([]*profile.Profile, p.n), make([]int64, p.n) }

func (p *columnPass) run(ctx context.Context) error {
	err := p.g.scan(ctx, p.like, func(rows int, col *table.Column, weights []float64) error {
		for from := 0; from < rows; {
			n := rows - from
			if p.g.opts.ChunkRows > 0 {
				n = int(min(int64(n), p.left))
			}
			p.piece(n, pieceOf(rows, col, from, n), cut(weights, from, n))
			from += n
			if p.left -= int64(n); p.g.opts.ChunkRows > 0 && p.left == 0 {
				if err := p.emitChunk(); err != nil {
					return err
				}
			}
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

// pieceOf is a part of a chunk of one column.
func pieceOf(rows int, col *table.Column, from, n int) *table.Column {
	if n == rows {
		return col
	}
	return &piece(&table.Chunk{Rows: rows, Columns: []table.Column{*col}}, from, n).Columns[0]
}

// piece counts rows that are in one chunk, if chunks are by rows.
func (p *columnPass) piece(rows int, col *table.Column, weights []float64) {
	s := p.space
	s.picked = resize(s.picked, p.n)
	for i := range p.cursors {
		p.cursors[i].walk(rows, func(slot, from, n int) {
			if at := slot - p.from; p.take(at, n) {
				p.counter.weights = cut(weights, from, n)
				p.counter.add(n, pieceOf(rows, col, from, n))
			}
		}, func(slot, from int, order []uint16) {
			at := slot - p.from
			if at < 0 || at >= p.n {
				return
			}
			if len(s.picked[at]) == 0 {
				s.touched = append(s.touched, at)
			}
			picked := slices.Grow(s.picked[at], len(order))
			for _, row := range order {
				picked = append(picked, int32(from)+int32(row))
			}
			s.picked[at] = picked
		})
		for _, at := range s.touched {
			p.take(at, len(s.picked[at]))
			s.worker.count(&p.counter, s.picked[at], rows, col, weights)
			s.picked[at] = s.picked[at][:0]
		}
		s.touched = s.touched[:0]
	}
	p.countNamed(rows, col, weights)
	p.row += int64(rows)
}

// take makes the counter count so many rows of a slot, counted from the pass's first. It returns false for those of
// other passes.
func (p *columnPass) take(at, rows int) bool {
	if at < 0 || at >= p.n {
		return false
	}
	if p.profiles[at] == nil {
		p.profiles[at] = p.empty.Empty()
	}
	p.rows[at] += int64(rows)
	p.counter.profile = p.profiles[at]
	return true
}

// countNamed counts what the "_invalid" column names.
func (p *columnPass) countNamed(rows int, col *table.Column, weights []float64) {
	for len(p.named) > 0 {
		n := p.named[0]
		r := &p.g.invalid[n.at]
		row := int(r.row - p.row)
		if row >= rows {
			return
		}
		if p.named = p.named[1:]; !col.Missing(row) {
			continue
		}
		for _, slot := range r.slots {
			if slot != nowhere && p.take(int(slot)-p.from, 0) {
				p.counter.named(row, weights, n.outside)
			}
		}
	}
}

// emitChunk hands out the groups of the pass, of one chunk or of several periods.
func (p *columnPass) emitChunk() error {
	for at := range p.n {
		group, known := p.g.group(p.from+at, p.chunk)
		group.Rows = p.rows[at]
		c := *p.like
		if c.Profile = p.profiles[at]; group.Rows == 0 {
			if !known {
				continue
			}
			c.Profile = p.empty
		}
		if err := p.emit(group, &c); err != nil {
			return err
		}
	}
	p.chunk++
	p.left = p.g.opts.ChunkRows
	p.reset()
	return nil
}
