package archive

import (
	"math"
	"strconv"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// row is what a join needs of one row of a data file.
type row struct {
	rank     int64
	id       string
	time     int64 // microseconds UTC
	file     int64 // place of the data file
	seq      int64 // place in the file
	text     string
	value    float64
	hasValue bool
	score    float64
	hasScore bool
	weight   float64

	// Of JoinedFields. The slices are the row's own and never change.
	scores   []float64 // NaN: none
	segments []string
	group    string
	hasGroup bool
}

// earlier and later decide which of two rows of one id counts. They order all
// rows, so the outcome does not depend on the order of reading.
func earlier(a, b *row) bool {
	if a.time != b.time {
		return a.time < b.time
	}
	if a.file != b.file {
		return a.file < b.file
	}
	return a.seq < b.seq
}

func later(a, b *row) bool { return earlier(b, a) }

// Values gives both forms of the values of one column, whatever its type.
type Values struct {
	col     *table.Column
	numbers []float64 // of Dict
	texts   map[float64]string
}

// maxTexts bounds the cache of formatted numbers: enough for classes; the
// values of a regression are formatted one by one.
const maxTexts = 1024

// Use takes the column of the next chunk; it is read until the one after.
func (v *Values) Use(c *table.Column) {
	v.col = c
	if len(c.Index) == 0 {
		return
	}
	v.numbers = v.numbers[:0]
	for _, s := range c.Dict {
		v.numbers = append(v.numbers, parseNumber(s))
	}
}

// At returns row i's value as text and as number, and whether it has one.
func (v *Values) At(i int) (string, float64, bool) {
	c := v.col
	if c == nil || c.Missing(i) {
		return "", 0, false
	}
	switch {
	case len(c.Floats) > 0:
		return v.format(c.Floats[i]), c.Floats[i], true
	case len(c.Index) > 0:
		return c.Dict[c.Index[i]], v.numbers[c.Index[i]], true
	case len(c.Bools) > 0:
		if c.Bools[i] {
			return "true", 1, true
		}
		return "false", 0, true
	case len(c.Ints) > 0:
		return strconv.FormatInt(c.Ints[i], 10), float64(c.Ints[i]), true
	}
	return "", 0, false
}

func (v *Values) format(x float64) string {
	if s, ok := v.texts[x]; ok {
		return s
	}
	s := FormatNumber(x)
	if v.texts == nil {
		v.texts = make(map[float64]string)
	}
	if len(v.texts) < maxTexts {
		v.texts[x] = s
	}
	return s
}

// FormatNumber is the text of a number that stands for a class: integers up to
// 2^53 in digits, anything else in the shortest form that reads back the same.
func FormatNumber(x float64) string {
	if x == 0 {
		return "0" // minus zero too
	}
	if math.Trunc(x) == x && math.Abs(x) <= 1<<53 {
		return strconv.FormatInt(int64(x), 10)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

func parseNumber(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) {
		return math.NaN()
	}
	return x
}

// number returns row i's value as a finite number.
func number(c *table.Column, i int) (float64, bool) {
	if c.Missing(i) {
		return 0, false
	}
	var x float64
	switch {
	case len(c.Floats) > 0:
		x = c.Floats[i]
	case len(c.Index) > 0:
		x = parseNumber(c.Dict[c.Index[i]])
	default:
		return 0, false
	}
	return x, !math.IsNaN(x) && !math.IsInf(x, 0)
}

func weight(f *modelwatch.DataFile) float64 {
	if f.SamplingRate > 0 && f.SamplingRate < 1 {
		return 1 / f.SamplingRate
	}
	return 1
}
