package engine

import (
	"math"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// counter adds chunks of one column, of whatever type its file gives it, to
// profiles of one grid. Numbers, booleans and times in a column that the
// baseline knows as a category count under their text; any other difference of
// type makes the values invalid.
type counter struct {
	kind   profile.Kind
	absent []bool   // all false
	floats []float64
	dict   []string
	index  []int32
	known  map[float64]int32
}

func newCounter(g *profile.Grid) *counter { return &counter{kind: g.Kind()} }

// add counts the rows from (inclusive) to (exclusive) of a column into p.
func (c *counter) add(p *profile.Profile, col *table.Column, from, to int) {
	if from >= to {
		return
	}
	valid := col.Valid
	if valid != nil {
		valid = valid[from:to]
	}
	rows := to - from
	switch {
	case c.kind == profile.KindPresence:
		p.AddPresence(rows, valid)
	case allMissing(col):
		c.addInvalid(p, c.none(rows))
	case c.kind == profile.KindNumber && col.Floats != nil:
		p.AddFloats(col.Floats[from:to], valid)
	case c.kind == profile.KindBoolean && col.Bools != nil:
		p.AddBools(col.Bools[from:to], valid)
	case c.kind == profile.KindCategory && col.Index != nil:
		p.AddCategories(col.Dict, col.Index[from:to], valid)
	case c.kind == profile.KindCategory && col.Vectors == nil:
		c.asText(col, from, to)
		p.AddCategories(c.dict, c.index, valid)
	default:
		if valid == nil {
			valid = make([]bool, rows)
			for i := range valid {
				valid[i] = true
			}
		}
		c.addInvalid(p, valid)
	}
}

func allMissing(col *table.Column) bool {
	return col.Floats == nil && col.Bools == nil && col.Index == nil && col.Ints == nil && col.Vectors == nil
}

func (c *counter) none(rows int) []bool {
	if len(c.absent) < rows {
		c.absent = make([]bool, rows)
	}
	return c.absent[:rows]
}

// addInvalid counts the rows as missing, and those that have a value as invalid.
func (c *counter) addInvalid(p *profile.Profile, valid []bool) {
	rows := len(valid)
	switch none := c.none(rows); c.kind {
	case profile.KindNumber:
		if len(c.floats) < rows {
			c.floats = make([]float64, rows)
		}
		p.AddFloats(c.floats[:rows], none)
	case profile.KindBoolean:
		p.AddBools(none, none)
	default:
		p.AddCategories(nil, make([]int32, rows), none)
	}
	invalid := int64(0)
	for _, v := range valid {
		if v {
			invalid++
		}
	}
	p.AddInvalid(invalid)
}

// asText turns numbers, booleans and times into categories.
func (c *counter) asText(col *table.Column, from, to int) {
	if c.known == nil {
		c.known = map[float64]int32{}
	}
	clear(c.known)
	c.dict, c.index = c.dict[:0], c.index[:0]
	for i := from; i < to; i++ {
		key := 0.0
		switch {
		case col.Missing(i):
		case col.Floats != nil:
			key = col.Floats[i]
		case col.Bools != nil && col.Bools[i]:
			key = 1
		case col.Ints != nil:
			key = float64(col.Ints[i])
		}
		if math.IsNaN(key) {
			key = math.Inf(1)
		}
		at, ok := c.known[key]
		if !ok {
			at = int32(len(c.dict))
			c.known[key] = at
			c.dict = append(c.dict, textOf(col, i))
		}
		c.index = append(c.index, at)
	}
}

func textOf(col *table.Column, i int) string {
	switch {
	case col.Missing(i):
		return ""
	case col.Floats != nil:
		return strconv.FormatFloat(col.Floats[i], 'g', -1, 64)
	case col.Bools != nil:
		return strconv.FormatBool(col.Bools[i])
	case col.Physical == table.PhysicalTime || col.Type == modelwatch.TypeTimestamp:
		return time.UnixMicro(col.Ints[i]).UTC().Format(time.RFC3339Nano)
	}
	return strconv.FormatInt(col.Ints[i], 10)
}
