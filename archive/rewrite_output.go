package archive

import (
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

	halves  []half // by column; nil where no rows are paired
	flushes int32
	remaps  [][]remap // by column and source
}

// rewritePick is a row of the current chunk of a source. If it is paired, it is one
// row with that of another source.
type rewritePick struct {
	source, row     int32
	paired          bool
	other, otherRow int32
}

// half says from which row of a pair a column is taken.
type half uint8

const (
	ofFirst  half = iota
	ofEither      // the first that has a value
	ofBoth        // JSON objects, whose members come together
)

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
	o.picks = append(o.picks, rewritePick{source: int32(source), row: int32(row)})
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
		source, row := p.source, int(p.row)
		from := &sources[source].chunk.Columns[i]
		to.Valid[k] = hasValues(from) && !from.Missing(row)
		if p.paired && o.halves[i] != ofFirst {
			other := &sources[p.other].chunk.Columns[i]
			switch has := hasValues(other) && !other.Missing(int(p.otherRow)); {
			case has && !to.Valid[k]:
				to.Valid[k], from, source, row = true, other, p.other, int(p.otherRow)
			case has && o.halves[i] == ofBoth:
				to.Index[k] = int32(len(to.Dict))
				to.Dict = append(to.Dict, mergeObjects(from.Text(row), other.Text(int(p.otherRow))))
				continue
			}
		}
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
			to.Index[k] = o.word(to, from, &o.remaps[i][source], row)
		}
	}
}

// word returns the place of a text in the dictionary that is being gathered.
func (o *rewriteOutput) word(to, from *table.Column, m *remap, row int) int32 {
	at := from.Index[row]
	if m.flush[at] != o.flushes {
		m.flush[at], m.to[at] = o.flushes, int32(len(to.Dict))
		to.Dict = append(to.Dict, from.Dict[at])
	}
	return m.to[at]
}

// mergeObjects puts the members of two JSON objects into one; of a name that both
// have, the first one's counts, unless both are objects themselves. What is no
// object is left out.
func mergeObjects(a, b string) string {
	var x, y map[string]jsontext.Value
	if json.Unmarshal([]byte(a), &x) != nil {
		return b
	}
	if json.Unmarshal([]byte(b), &y) != nil {
		return a
	}
	for name, v := range y {
		have, ok := x[name]
		switch {
		case !ok:
			x[name] = v
		case len(have) > 0 && have[0] == '{' && len(v) > 0 && v[0] == '{':
			x[name] = jsontext.Value(mergeObjects(string(have), string(v)))
		}
	}
	out, err := json.Marshal(x, json.Deterministic(true))
	if err != nil {
		return a
	}
	return string(out)
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
