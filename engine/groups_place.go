package engine

import (
	"slices"

	"github.com/modelwatch/modelwatch/table"
)

// placer finds the slots of the rows of chunks, division by division.
type placer struct {
	g         *grouping
	time      int // place of the column of times in a chunk; -1: it is not read
	divisions []division
	periods   []int32 // of the rows of a chunk
}

// division is a way of dividing the rows of a chunk: not at all, or by a crossing.
type division struct {
	segmenter *segmenter // nil: not at all
	columns   []int      // of the crossing: their places in a chunk
	first     int        // slot of its first segment within a chunk
	places    []int32    // slots of the rows; nowhere for those without a time
	sorter    sorter
}

// newPlacer asks for the columns that it needs by their names, and is given their places.
func newPlacer(g *grouping, need func(name string) int) *placer {
	p := &placer{g: g, time: -1, divisions: []division{{}}}
	if len(g.periods) > 0 {
		p.time = need(g.time())
	}
	first := 1
	for _, c := range g.opts.Crossings {
		d := division{segmenter: newSegmenter(c), first: first}
		for _, name := range c.Columns {
			d.columns = append(d.columns, need(name))
		}
		p.divisions = append(p.divisions, d)
		first += c.Places()
	}
	return p
}

func (p *placer) place(c *table.Chunk) {
	if p.time >= 0 {
		p.placePeriods(c)
	}
	for i := range p.divisions {
		p.divide(&p.divisions[i], c)
	}
}

// placePeriods finds the periods of the rows; nowhere for those without a time.
func (p *placer) placePeriods(c *table.Chunk) {
	p.periods = resize(p.periods, c.Rows)
	col := &c.Columns[p.time]
	last, at := int64(0), nowhere
	for i := range c.Rows {
		if col.Missing(i) || len(col.Ints) == 0 {
			p.periods[i] = nowhere
			continue
		}
		start := periodStart(col.Ints[i], p.g.opts.ChunkPeriod)
		if at == nowhere || start != last {
			at, _ = slices.BinarySearch(p.g.periods, start)
			last = start
		}
		p.periods[i] = int32(at)
	}
}

func (p *placer) divide(d *division, c *table.Chunk) {
	d.places = resize(d.places, c.Rows)
	if d.segmenter == nil {
		clear(d.places)
	} else {
		for i, at := range d.columns {
			d.segmenter.columns[i].read(c.Rows, &c.Columns[at])
		}
		d.segmenter.place(c.Rows, d.places)
	}
	for i := range d.places {
		switch {
		case p.time < 0:
			d.places[i] += int32(d.first)
		case p.periods[i] == nowhere:
			d.places[i] = nowhere
		default:
			d.places[i] += int32(d.first) + p.periods[i]*int32(p.g.width)
		}
	}
}

// groupWorker counts rows of columns. Its slices are reused.
type groupWorker struct {
	gatherer gatherer
	weights  []float64
}

// count counts the picked ones of some rows of a column, which is all where there are as many. Weights are
// those of all rows; nil: 1 each.
func (w *groupWorker) count(c *counter, picked []int32, rows int, col *table.Column, weights []float64) {
	c.weights = weights
	if len(picked) == rows {
		c.add(rows, col)
		return
	}
	if weights != nil {
		w.weights = pick(w.weights, weights, picked)
		c.weights = w.weights
	}
	c.add(len(picked), w.gatherer.pick(col, picked))
}

// named counts a row that is missing in the column as invalid, since the "_invalid" column
// names its value.
func (c *counter) named(row int, weights []float64, outside bool) {
	if c.weights = nil; weights != nil {
		c.weights = weights[row : row+1]
	}
	c.invalid(1, func(int) bool { return true }, outside)
}

const (
	// maxRun is how many rows a run of several slots has at most.
	maxRun = 1 << 16
	// minRun is from how many rows on those of one slot are a run of their own.
	minRun = 1 << 12
)

// rowRun are consecutive rows of a table, sorted by their slots. Those of one slot may be any number,
// and take no more memory for it.
type rowRun struct {
	rows  int
	slot  int32    // where order is nil, that of all rows, which may be nowhere
	slots []int32  // that have rows, ascending
	ends  []int32  // of their rows in order
	order []uint16 // the rows, from the first of the run on
}

// rowRuns are all rows of a table, as one division has them.
type rowRuns []rowRun

// add appends rows, of which places are the slots, among so many.
func (r *rowRuns) add(places []int32, slots int, s *sorter) {
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n] == places[0] {
			n++
		}
		if n == len(places) || n >= minRun {
			r.addOne(n, places[0])
		} else {
			n = min(len(places), maxRun)
			r.addSorted(places[:n], slots, s)
		}
		places = places[n:]
	}
}

func (r *rowRuns) addOne(rows int, slot int32) {
	if last := len(*r) - 1; last >= 0 && (*r)[last].order == nil && (*r)[last].slot == slot {
		(*r)[last].rows += rows
		return
	}
	*r = append(*r, rowRun{rows: rows, slot: slot})
}

func (r *rowRuns) addSorted(places []int32, slots int, s *sorter) {
	s.sort(places, 0, slots)
	run := rowRun{rows: len(places), order: make([]uint16, len(s.order))}
	for i, row := range s.order {
		run.order[i] = uint16(row)
	}
	for at := range slots {
		if len(s.of(at)) > 0 {
			run.slots, run.ends = append(run.slots, int32(at)), append(run.ends, int32(s.ends[at]))
		}
	}
	*r = append(*r, run)
}

// runCursor goes through the rows of a division once.
type runCursor struct {
	runs rowRuns
	row  int     // of the first run that is left
	next []int32 // of its slots: their next place in order
}

// walk takes the next rows. It calls one for rows that follow each other, from the from-th of those that are
// walked on, and some for others: from + row for each row of order. Rows that are nowhere are left out.
func (c *runCursor) walk(rows int, one func(slot, from, rows int), some func(slot, from int, order []uint16)) {
	for from := 0; from < rows; {
		run := &c.runs[0]
		n := min(rows-from, run.rows-c.row)
		switch {
		case run.order != nil:
			c.walkRun(run, from, c.row+n, some)
		case run.slot != nowhere:
			one(int(run.slot), from, n)
		}
		from += n
		if c.row += n; c.row == run.rows {
			c.runs, c.row, c.next = c.runs[1:], 0, c.next[:0]
		}
	}
}

// walkRun takes the rows of a run up to the to-th. Its next row is the from-th that is walked.
func (c *runCursor) walkRun(run *rowRun, from, to int, some func(slot, from int, order []uint16)) {
	if len(c.next) == 0 {
		c.next = append(append(c.next, 0), run.ends[:len(run.ends)-1]...)
	}
	for k, slot := range run.slots {
		left := run.order[c.next[k]:run.ends[k]]
		n := len(left)
		if to < run.rows {
			n, _ = slices.BinarySearch(left, uint16(to))
		}
		if n > 0 {
			some(int(slot), from-c.row, left[:n])
			c.next[k] += int32(n)
		}
	}
}
