package engine

import (
	"math"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// fits reports whether a file's column can be counted as the type that the
// baseline has. Numbers, booleans and times count under their text where the
// baseline has categories: one file's "7" is another's 7.
func fits(want modelwatch.FeatureType, col *table.Column) bool {
	switch {
	case col.Type == want && col.Physical != table.PhysicalInt64, isText(col.Type) && isText(want):
		return true
	}
	return want == modelwatch.TypeCategory && col.Type != modelwatch.TypeVector
}

func isText(t modelwatch.FeatureType) bool {
	return t == modelwatch.TypeCategory || t == modelwatch.TypeText
}

// counter counts chunks of one column on one profile. Its slices are reused.
type counter struct {
	column  modelwatch.Column
	profile *profile.Profile

	limits  ranged
	floats  []float64
	index   []int32
	bools   []bool
	gone    []bool // all false
	texts   texts
	changed bool // a chunk was not of the column's type
}

// add counts the rows of a chunk. Values of another type than the column's are
// invalid, and so are numbers outside of its declared range.
func (c *counter) add(rows int, col *table.Column) {
	if col.Type == "" {
		c.missing(rows)
		return
	}
	if !fits(c.column.Type, col) {
		c.refuse(rows, col)
		return
	}
	switch c.profile.Grid().Kind() {
	case profile.KindNumber:
		c.numbers(rows, col)
	case profile.KindCategory:
		dict, index := c.texts.of(rows, col)
		c.profile.AddCategories(dict, index, col.Valid)
	case profile.KindBoolean:
		c.profile.AddBools(col.Bools[:rows], col.Valid)
	default:
		c.profile.AddPresence(rows, col.Valid)
	}
}

func (c *counter) numbers(rows int, col *table.Column) {
	valid, outside := c.limits.valid(&c.column, rows, col)
	c.profile.AddFloats(col.Floats[:rows], valid)
	c.profile.AddInvalid(outside)
	c.profile.AddOutOfRange(outside)
}

// ranged finds the values within a column's declared range. Its slice is reused.
type ranged struct{ flags []bool }

// valid flags the rows that have a value which is not outside of the range, nil
// if all do, and says how many are.
func (r *ranged) valid(c *modelwatch.Column, rows int, col *table.Column) (valid []bool, outside int64) {
	if c.Minimum == nil && c.Maximum == nil {
		return col.Valid, 0
	}
	r.flags = resize(r.flags, rows)
	for i, v := range col.Floats[:rows] {
		r.flags[i] = !col.Missing(i)
		if r.flags[i] && beyond(c, v) {
			r.flags[i] = false
			outside++
		}
	}
	return r.flags, outside
}

// beyond reports whether a finite number is outside of the column's declared range.
func beyond(c *modelwatch.Column, v float64) bool {
	return !math.IsInf(v, 0) && (c.Minimum != nil && v < *c.Minimum || c.Maximum != nil && v > *c.Maximum)
}

// refuse counts every value of a column of another type as invalid.
func (c *counter) refuse(rows int, col *table.Column) {
	c.changed = true
	c.missing(rows)
	c.profile.AddInvalid(presentRows(rows, col))
}

// presentRows counts the rows that have a value.
func presentRows(rows int, col *table.Column) int64 {
	if col.Type == "" {
		return 0 // the table lacks the column
	}
	present := int64(rows)
	for _, ok := range col.Valid {
		if !ok {
			present--
		}
	}
	return present
}

// missing counts rows without a value.
func (c *counter) missing(rows int) {
	for n := min(rows, 1<<16); rows > 0; n = min(rows, 1<<16) {
		c.gone = resize(c.gone, n)
		switch c.profile.Grid().Kind() {
		case profile.KindNumber:
			c.floats = resize(c.floats, n)
			c.profile.AddFloats(c.floats, c.gone)
		case profile.KindCategory:
			c.index = resize(c.index, n)
			c.profile.AddCategories(nil, c.index, c.gone)
		case profile.KindBoolean:
			c.bools = resize(c.bools, n)
			c.profile.AddBools(c.bools, c.gone)
		default:
			c.profile.AddPresence(n, c.gone)
		}
		rows -= n
	}
}

// addInvalid moves what the file's "_invalid" column says from missing to invalid.
func addInvalid(p *profile.Profile, t tally) {
	n := min(t.invalid, p.Missing()) // a file of others may say anything
	p.AddInvalid(n)
	p.AddOutOfRange(min(t.outside, n))
}

// texts gives columns as categories, whatever their type.
type texts struct {
	dict  []string
	index []int32
	known map[float64]int32
}

func (t *texts) of(rows int, col *table.Column) (dict []string, index []int32) {
	if isText(col.Type) {
		return col.Dict, col.Index[:rows]
	}
	if t.known == nil {
		t.known = map[float64]int32{}
	}
	clear(t.known)
	t.dict, t.index = t.dict[:0], resize(t.index, rows)
	for i := range rows {
		t.index[i] = 0
		if !col.Missing(i) {
			t.index[i] = t.place(col, i)
		}
	}
	return t.dict, t.index
}

func (t *texts) place(col *table.Column, i int) int32 {
	var key float64
	switch {
	case col.Type == modelwatch.TypeBoolean:
		if col.Bools[i] {
			key = 1
		}
	case len(col.Ints) > 0:
		return t.add(textOf(col, i)) // too fine for a float
	default:
		key = col.Floats[i]
	}
	at, ok := t.known[key]
	if !ok {
		at = t.add(textOf(col, i))
		t.known[key] = at // a NaN is never found again, which costs an entry a row and no more
	}
	return at
}

func (t *texts) add(s string) int32 {
	t.dict = append(t.dict, s)
	return int32(len(t.dict) - 1)
}

func textOf(col *table.Column, i int) string {
	switch {
	case col.Type == modelwatch.TypeBoolean:
		return strconv.FormatBool(col.Bools[i])
	case col.Type == modelwatch.TypeTimestamp:
		return time.UnixMicro(col.Ints[i]).UTC().Format(time.RFC3339Nano)
	case len(col.Ints) > 0:
		return strconv.FormatInt(col.Ints[i], 10)
	}
	return archive.FormatNumber(col.Floats[i])
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
