package engine

import (
	"math"
	"strconv"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

// Bounds of what a join keeps the text of.
const (
	// MaxJoinClasses is how many distinct classes and segments a join tells apart.
	// More are taken for a number that was called a class.
	MaxJoinClasses = 1 << 20
	// MaxJoinGroups is how many groups of a ranking it tells apart.
	MaxJoinGroups = 1 << 22
)

// joinClasses gives the values of columns the codes of classes, the same for
// equal texts, so that a row costs a look-up of a number, not a string.
type joinClasses struct {
	limit  int
	names  []string
	codes  map[string]int32
	small  [256]int32 // of the integers, plus one
	floats map[float64]int32
	bools  [2]int32 // plus one
}

func newJoinClasses(limit int) *joinClasses {
	return &joinClasses{limit: limit, codes: map[string]int32{}, floats: map[float64]int32{}}
}

func (c *joinClasses) code(class string) int32 {
	code, ok := c.codes[class]
	if !ok {
		code = int32(len(c.names))
		c.names = append(c.names, class)
		c.codes[class] = code
	}
	return code
}

// float is the code of a number's text.
func (c *joinClasses) float(x float64) int32 {
	if i := uint8(int64(x)); float64(i) == x {
		if c.small[i] == 0 {
			c.small[i] = c.code(archive.FormatNumber(x)) + 1
		}
		return c.small[i] - 1
	}
	code, ok := c.floats[x]
	if !ok {
		code = c.code(archive.FormatNumber(x))
		c.floats[x] = code
	}
	return code
}

func (c *joinClasses) bool(b bool) int32 {
	i := 0
	if b {
		i = 1
	}
	if c.bools[i] == 0 {
		c.bools[i] = c.code(strconv.FormatBool(b)) + 1
	}
	return c.bools[i] - 1
}

// joinColumn reads one column of the files that are joined.
type joinColumn struct {
	name    string
	part    string // of the files: "predictions", "labels"
	places  []int32
	numbers []float64

	// What stands where a number should, and where first.
	strange JoinPlaces
	text    string
}

// codesOf gives the rows' classes, -1 where there is none: a number that is not
// finite, and the text NaN, are none.
func (j *joinColumn) codesOf(c *joinClasses, rows int, col *table.Column, into []int32) ([]int32, error) {
	into = resize(into, rows)
	switch {
	case len(col.Floats) > 0:
		for i, x := range col.Floats[:rows] {
			into[i] = -1
			if x-x == 0 && !col.Missing(i) {
				into[i] = c.float(x)
			}
		}
	case len(col.Index) > 0:
		j.words(c, col, into)
	case len(col.Bools) > 0:
		for i, b := range col.Bools[:rows] {
			into[i] = -1
			if !col.Missing(i) {
				into[i] = c.bool(b)
			}
		}
	case len(col.Ints) > 0:
		for i, v := range col.Ints[:rows] {
			into[i] = -1
			if !col.Missing(i) {
				into[i] = c.integer(v)
			}
		}
	default:
		for i := range into {
			into[i] = -1
		}
	}
	if len(c.names) > c.limit {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "column %q of the %s makes more than %d distinct values: is it a number?", j.name, j.part, c.limit)
	}
	return into, nil
}

func (c *joinClasses) integer(v int64) int32 {
	if v>>53 == v>>63 { // exact as a float
		return c.float(float64(v))
	}
	return c.code(strconv.FormatInt(v, 10))
}

// words looks the words up that occur, each once a chunk.
func (j *joinColumn) words(c *joinClasses, col *table.Column, into []int32) {
	const unknown = -2
	j.places = resize(j.places, len(col.Dict))
	for i := range j.places {
		j.places[i] = unknown
	}
	for i := range into {
		into[i] = -1
		if col.Missing(i) {
			continue
		}
		at := col.Index[i]
		if j.places[at] == unknown {
			j.places[at] = -1
			if word := col.Dict[at]; word != "NaN" {
				j.places[at] = c.code(word)
			}
		}
		into[i] = j.places[at]
	}
}

// valuesOf gives the rows' numbers, NaN where there is none. first is the place
// of the chunk's first row in the file; below zero, what is strange has been
// counted before.
func (j *joinColumn) valuesOf(rows int, col *table.Column, into []float64, first int64) []float64 {
	into = resize(into, rows)
	switch {
	case len(col.Floats) > 0:
		copy(into, col.Floats)
		for i, x := range into {
			if x-x != 0 || col.Missing(i) {
				into[i] = math.NaN()
			}
		}
	case len(col.Index) > 0:
		j.parse(col, into, first)
	case len(col.Vectors) > 0 || len(col.Bools)+len(col.Ints) == 0:
		for i := range into {
			into[i] = math.NaN()
		}
	default:
		for i := range into {
			into[i] = math.NaN()
			switch {
			case col.Missing(i):
			case len(col.Bools) > 0:
				into[i] = 0
				if col.Bools[i] {
					into[i] = 1
				}
			case len(col.Ints) > 0:
				into[i] = float64(col.Ints[i])
			}
		}
	}
	return into
}

// parse reads numbers that a file holds as texts.
func (j *joinColumn) parse(col *table.Column, into []float64, first int64) {
	j.numbers = j.numbers[:0]
	for _, s := range col.Dict {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || x-x != 0 {
			x = math.NaN()
		}
		j.numbers = append(j.numbers, x)
	}
	for i := range into {
		into[i] = math.NaN()
		if col.Missing(i) {
			continue
		}
		into[i] = j.numbers[col.Index[i]]
		if math.IsNaN(into[i]) && first >= 0 {
			if j.strange.add(first + int64(i)); j.strange.Rows == 1 {
				j.text = col.Dict[col.Index[i]]
			}
		}
	}
}

// keysOf gives the rows' ids as keys, and says which rows have one. Text and
// integers come as keys already.
func keysOf(rows int, col *table.Column, keys []int64, ok []bool) ([]int64, []bool) {
	keys, ok = resize(keys, rows), resize(ok, rows)
	for i := range rows {
		ok[i] = !col.Missing(i)
	}
	switch {
	case col.Physical == table.PhysicalKey:
		copy(keys, col.Ints)
	case len(col.Ints) > 0:
		for i, v := range col.Ints[:rows] {
			keys[i] = table.IntKey(v)
		}
	case len(col.Floats) > 0:
		for i, x := range col.Floats[:rows] {
			ok[i] = ok[i] && x-x == 0
			if v := int64(x); math.Abs(x) <= 1<<53 && float64(v) == x {
				keys[i] = table.IntKey(v)
			} else {
				keys[i] = table.TextKey(archive.FormatNumber(x))
			}
		}
	case len(col.Bools) > 0:
		for i, b := range col.Bools[:rows] {
			keys[i] = table.TextKey(strconv.FormatBool(b))
		}
	default:
		for i := range ok {
			ok[i] = false // vectors are no ids
		}
	}
	return keys, ok
}
