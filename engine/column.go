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
	column    modelwatch.Column
	profile   *profile.Profile
	dimension int       // of the vectors of a vector column; 0: any
	weights   []float64 // of the rows to be added; nil: 1 each

	limits  ranged
	floats  []float64
	index   []int32
	bools   []bool
	gone    []bool // all false
	texts   texts
	picked  []float64
	right   []bool
	changed bool // a chunk was not of the column's type
}

// newCounter counts a column of a set, or its view, on the column's profile.
func newCounter(c *profile.SetColumn) counter {
	return counter{column: viewColumn(c.Column), profile: c.Profile, dimension: c.Dimension}
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
		c.categories(dict, index, col.Valid)
	case profile.KindBoolean:
		c.booleans(col.Bools[:rows], col.Valid)
	default:
		if c.dimension > 0 && c.column.Type == modelwatch.TypeVector {
			c.vectors(rows, col)
		} else {
			c.presence(rows, col.Valid)
		}
	}
}

// vectors counts those of another dimension than the baseline's as invalid.
func (c *counter) vectors(rows int, col *table.Column) {
	c.right = resize(c.right, rows)
	for i, x := range col.Vectors[:rows] {
		c.right[i] = !col.Missing(i) && len(x) == c.dimension
	}
	c.presence(rows, c.right)
	c.invalid(rows, func(i int) bool { return !c.right[i] && !col.Missing(i) }, false)
}

// invalid moves the rows that are so from missing to invalid.
func (c *counter) invalid(rows int, is func(i int) bool, outside bool) {
	n := int64(0)
	c.picked = c.picked[:0]
	for i := range rows {
		if is(i) {
			if n++; c.weights != nil {
				c.picked = append(c.picked, c.weights[i])
			}
		}
	}
	if c.weights == nil {
		c.profile.AddInvalid(n)
	} else {
		c.profile.AddInvalidWeighted(c.picked)
	}
	switch {
	case !outside:
	case c.weights == nil:
		c.profile.AddOutOfRange(n)
	default:
		c.profile.AddOutOfRangeWeighted(c.picked)
	}
}

func (c *counter) numbersOf(values []float64, valid []bool) {
	if c.weights == nil {
		c.profile.AddFloats(values, valid)
	} else {
		c.profile.AddFloatsWeighted(values, valid, c.weights[:len(values)])
	}
}

func (c *counter) categories(dict []string, index []int32, valid []bool) {
	if c.weights == nil {
		c.profile.AddCategories(dict, index, valid)
	} else {
		c.profile.AddCategoriesWeighted(dict, index, valid, c.weights[:len(index)])
	}
}

func (c *counter) booleans(values, valid []bool) {
	if c.weights == nil {
		c.profile.AddBools(values, valid)
	} else {
		c.profile.AddBoolsWeighted(values, valid, c.weights[:len(values)])
	}
}

func (c *counter) presence(rows int, valid []bool) {
	if c.weights == nil {
		c.profile.AddPresence(rows, valid)
	} else {
		c.profile.AddPresenceWeighted(valid, c.weights[:rows])
	}
}

func (c *counter) numbers(rows int, col *table.Column) {
	valid, outside := c.limits.valid(&c.column, rows, col)
	c.numbersOf(col.Floats[:rows], valid)
	if outside > 0 {
		c.invalid(rows, func(i int) bool { return !valid[i] && !col.Missing(i) }, true)
	}
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
	c.invalid(rows, func(i int) bool { return !col.Missing(i) }, false)
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
	all := c.weights
	defer func() { c.weights = all }()
	for n := min(rows, 1<<16); rows > 0; n = min(rows, 1<<16) {
		c.gone = resize(c.gone, n)
		switch c.profile.Grid().Kind() {
		case profile.KindNumber:
			c.floats = resize(c.floats, n)
			c.numbersOf(c.floats, c.gone)
		case profile.KindCategory:
			c.index = resize(c.index, n)
			c.categories(nil, c.index, c.gone)
		case profile.KindBoolean:
			c.bools = resize(c.bools, n)
			c.booleans(c.bools, c.gone)
		default:
			c.presence(n, c.gone)
		}
		if rows -= n; c.weights != nil {
			c.weights = c.weights[n:]
		}
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
