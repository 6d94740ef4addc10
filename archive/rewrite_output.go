package archive

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// rewriteRowsAtOnce is how many rows are gathered before they are written.
const rewriteRowsAtOnce = 8192

// rewriteOutput gathers rows of several chunks in a given order and writes them.
type rewriteOutput struct {
	writer  *table.Writer
	columns []table.ColumnInfo
	picks   []rewritePick
	chunk   table.Chunk
	digests digests
	times   int // the column of _time
	rows    int64
	minTime int64
	maxTime int64

	flushes int32
	remaps  [][]remap // by column and source
}

// rewritePick is a row of the current chunk of a source.
type rewritePick struct {
	source int32
	row    int32
}

// remap says where the words of a source's dictionary are in the one that is
// being gathered. An entry holds if it was made for the same flush.
type remap struct {
	flush []int32
	to    []int32
}

func newRewriteOutput(w *table.Writer, columns []table.ColumnInfo) rewriteOutput {
	o := rewriteOutput{
		writer: w, columns: columns, digests: newDigests(len(columns)), minTime: math.MaxInt64, maxTime: math.MinInt64,
		remaps: make([][]remap, len(columns)),
	}
	for i, c := range columns {
		o.chunk.Columns = append(o.chunk.Columns, table.Column{Name: c.Name, Type: c.Type, Physical: c.Physical})
		if c.Name == modelwatch.ColumnTime {
			o.times = i
		}
	}
	return o
}

// pick adds a row.
func (o *rewriteOutput) pick(sources []*rewriteSource, source, row int) error {
	o.picks = append(o.picks, rewritePick{int32(source), int32(row)})
	if len(o.picks) < rewriteRowsAtOnce {
		return nil
	}
	return o.flush(sources)
}

// renew makes room for the dictionaries of a source's next chunk.
func (o *rewriteOutput) renew(source int, c *table.Chunk) {
	for i := range c.Columns {
		for len(o.remaps[i]) <= source {
			o.remaps[i] = append(o.remaps[i], remap{})
		}
		m := &o.remaps[i][source]
		if n := len(c.Columns[i].Dict); len(m.to) < n {
			m.flush, m.to = make([]int32, n), make([]int32, n)
		}
	}
}

// flush writes the rows that were picked.
func (o *rewriteOutput) flush(sources []*rewriteSource) error {
	if len(o.picks) == 0 {
		return nil
	}
	o.flushes++
	o.chunk.Rows = len(o.picks)
	for i := range o.chunk.Columns {
		o.gather(i, sources)
	}
	for _, t := range o.chunk.Columns[o.times].Ints {
		o.minTime, o.maxTime = min(o.minTime, t), max(o.maxTime, t)
	}
	o.digests.add(&o.chunk)
	o.rows += int64(o.chunk.Rows)
	o.picks = o.picks[:0]
	return o.writer.Write(&o.chunk)
}

// gather fills column i with the rows that were picked.
func (o *rewriteOutput) gather(i int, sources []*rewriteSource) {
	to, n := &o.chunk.Columns[i], len(o.picks)
	to.Valid = sized(to.Valid, n)
	info := o.columns[i]
	switch {
	case info.Physical == table.PhysicalInt64, info.Type == modelwatch.TypeTimestamp:
		to.Ints = sized(to.Ints, n)
	case info.Type == modelwatch.TypeNumber:
		to.Floats = sized(to.Floats, n)
	case info.Type == modelwatch.TypeBoolean:
		to.Bools = sized(to.Bools, n)
	case info.Type == modelwatch.TypeVector:
		to.Vectors = sized(to.Vectors, n)
	default:
		to.Index, to.Dict = sized(to.Index, n), to.Dict[:0]
	}
	for k, p := range o.picks {
		from := &sources[p.source].chunk.Columns[i]
		row := int(p.row)
		to.Valid[k] = hasValues(from) && !from.Missing(row)
		if !to.Valid[k] {
			continue
		}
		switch {
		case len(to.Floats) > 0:
			to.Floats[k] = from.Floats[row]
		case len(to.Ints) > 0:
			to.Ints[k] = from.Ints[row]
		case len(to.Bools) > 0:
			to.Bools[k] = from.Bools[row]
		case len(to.Vectors) > 0:
			to.Vectors[k] = from.Vectors[row]
		default:
			to.Index[k] = o.word(to, from, i, p)
		}
	}
}

// word returns the place of a text in the dictionary that is being gathered.
func (o *rewriteOutput) word(to, from *table.Column, column int, p rewritePick) int32 {
	m := &o.remaps[column][p.source]
	at := from.Index[p.row]
	if m.flush[at] != o.flushes {
		m.flush[at], m.to[at] = o.flushes, int32(len(to.Dict))
		to.Dict = append(to.Dict, from.Dict[at])
	}
	return m.to[at]
}

// hasValues is false of a column that its file lacks.
func hasValues(c *table.Column) bool {
	return len(c.Floats)+len(c.Ints)+len(c.Bools)+len(c.Index)+len(c.Vectors) > 0
}

// sized returns a slice of n zeros.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, rewriteRowsAtOnce))
	}
	s = s[:n]
	clear(s)
	return s
}
