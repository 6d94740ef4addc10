package ingest

import "math/bits"

// stage holds the last rows of a builder, row by row, because the pages of its columns
// are far apart: a row would touch all of them, and few fit into a processor's nearest
// cache at once. Each page gets its share of all rows at one go.
type stage struct {
	words []uint64 // rows of so many columns as the builder has
	rows  int
}

// A builder has a stage from this row on. What has fewer rows takes as little memory as
// can be. Pages begin and end at a multiple of stageRows.
const (
	stageFrom = 2 * stageRows
	stageRows = 32
)

// hold is fill by way of the stage.
func (b *builder) hold(e *event, at int) {
	for k := range b.set {
		b.note(k, e.set[k], at)
	}
	n := len(b.columns)
	if b.stage.words == nil {
		b.stage.words = b.lent.get(stageRows * n)[:stageRows*n]
		b.bytes += int64(8 * cap(b.stage.words))
	}
	copy(b.stage.words[b.stage.rows*n:][:n], e.words)
	b.stage.rows++
}

// pour empties the stage into the pages of the columns that have any. Rows get words in
// columns, too, that they have no value for: these may be anything.
func (b *builder) pour() {
	rows, n := b.stage.rows, len(b.columns)
	if rows == 0 {
		return
	}
	first := (b.rows - rows) % pageRows
	for k, some := range b.some {
		for ; some != 0; some &= some - 1 {
			i := k<<6 | bits.TrailingZeros64(some)
			to, from := b.columns[i].tail[first:first+rows], b.stage.words[i:]
			for r := range to {
				to[r] = from[r*n]
			}
		}
	}
	b.stage.rows = 0
}

// dropStage pours the stage and gives it back.
func (b *builder) dropStage() {
	b.pour()
	if b.stage.words != nil {
		b.bytes -= int64(8 * cap(b.stage.words))
		b.lent.put(b.stage.words)
		b.stage.words = nil
	}
}
