package table

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// maxRawBytes is how much of an invalid value is kept.
const maxRawBytes = 256

// builder gathers one column of a spooled chunk from texts or JSON values.
type builder struct {
	t        target
	store    storage
	rows     int
	missing  int
	elements int // of vectors
	col      Column
	words    words
	invalid  *invalids
	key      []byte // the name as a JSON string and a colon
}

// newBuilder makes a builder with room for a number of rows: growing step by
// step would leave as much garbage again.
func newBuilder(t target, invalid *invalids, rows int) *builder {
	b := &builder{t: t, invalid: invalid}
	b.store, _ = t.info.storage() // a layout's types are known ones
	b.col = Column{Name: t.info.Name, Type: t.info.Type, Physical: t.info.Physical}
	b.key = appendKey(nil, t.info.Name)
	b.reserve(rows)
	return b
}

func (b *builder) reserve(rows int) {
	c := &b.col
	c.Valid = make([]bool, 0, rows)
	switch b.store {
	case storeFloats:
		c.Floats = make([]float64, 0, rows)
	case storeInts, storeTimes:
		c.Ints = make([]int64, 0, rows)
	case storeBools:
		c.Bools = make([]bool, 0, rows)
	case storeStrings:
		c.Index = make([]int32, 0, rows)
	}
}

func appendKey(dst []byte, name string) []byte {
	dst, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(name, "\uFFFD"))
	return append(dst, ':')
}

func (b *builder) reset() {
	c := &b.col
	c.Floats, c.Ints, c.Bools, c.Index, c.Vectors = c.Floats[:0], c.Ints[:0], c.Bools[:0], c.Index[:0], c.Vectors[:0]
	c.Valid = c.Valid[:0]
	b.rows, b.missing, b.elements = 0, 0, 0
	b.words.reset()
}

// finish returns the column; it is valid until reset.
func (b *builder) finish() Column {
	b.words.flush()
	c := b.col
	c.Dict = b.words.dict
	if b.missing == 0 {
		c.Valid = nil
	}
	return c
}

func (b *builder) present() {
	b.rows++
	b.col.Valid = append(b.col.Valid, true)
}

func (b *builder) addMissing() {
	c := &b.col
	switch b.store {
	case storeFloats:
		c.Floats = append(c.Floats, 0)
	case storeInts, storeTimes:
		c.Ints = append(c.Ints, 0)
	case storeBools:
		c.Bools = append(c.Bools, false)
	case storeStrings:
		c.Index = append(c.Index, 0)
	case storeVectors:
		c.Vectors = append(c.Vectors, nil)
	}
	c.Valid = append(c.Valid, false)
	b.rows++
	b.missing++
}

// text appends a value of a CSV file.
func (b *builder) text(s string) {
	if b.store == storeStrings {
		if s == "" || b.t.info.Name != modelwatch.ColumnID && missingText(s) {
			b.addMissing()
			return
		}
		b.word(s)
		return
	}
	s = strings.TrimSpace(s)
	if missingText(s) || !b.scalar(s) {
		if !missingText(s) {
			b.invalidText(s)
		}
		b.addMissing()
	}
}

func (b *builder) word(s string) {
	b.col.Index = append(b.col.Index, b.words.place(s))
	b.present()
}

// scalar appends a text that is neither missing nor of a string column. It
// reports false if the value does not fit the type or the range.
func (b *builder) scalar(s string) bool {
	switch b.store {
	case storeFloats:
		v, ok := parseNumber(s)
		return ok && b.number(v)
	case storeInts:
		v, err := strconv.ParseInt(s, 10, 64)
		return err == nil && b.integer(v)
	case storeTimes:
		v, ok := parseDeclaredTime(s)
		return ok && b.integer(v)
	case storeBools:
		v, ok := parseBool(s)
		return ok && b.boolean(v)
	default:
		v, ok := parseVector(s)
		if ok {
			b.col.Vectors = append(b.col.Vectors, v)
			b.elements += len(v)
			b.present()
		}
		return ok
	}
}

func (b *builder) number(v float64) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) || b.t.outside(v) {
		return false
	}
	b.col.Floats = append(b.col.Floats, v)
	b.present()
	return true
}

func (t *target) outside(v float64) bool {
	return t.min != nil && v < *t.min || t.max != nil && v > *t.max
}

func (b *builder) integer(v int64) bool {
	b.col.Ints = append(b.col.Ints, v)
	b.present()
	return true
}

func (b *builder) boolean(v bool) bool {
	b.col.Bools = append(b.col.Bools, v)
	b.present()
	return true
}

// invalidText keeps a value as received. A finite number is kept as a JSON
// number, so that a value out of range can be told from one of another type.
func (b *builder) invalidText(s string) {
	if v, ok := parseNumber(s); ok && !math.IsInf(v, 0) && b.store == storeFloats {
		b.invalid.add(b.key, strconv.AppendFloat(b.invalid.scratch[:0], v, 'g', -1, 64))
		return
	}
	b.invalid.add(b.key, quoted(b.invalid.scratch[:0], s))
}

// quoted appends at most maxRawBytes of a text as a JSON string.
func quoted(dst []byte, s string) []byte {
	if len(s) > maxRawBytes {
		s = s[:maxRawBytes]
	}
	dst, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	return dst
}

// json appends a value of a JSON line.
func (b *builder) json(v jsonValue) {
	switch {
	case v.kind == 'n', v.kind == '"' && missingText(strings.TrimSpace(v.text)) && (b.t.info.Name != modelwatch.ColumnID || v.text == ""):
		b.addMissing()
		return
	case b.jsonFits(v):
		return
	}
	raw := v.raw
	if len(raw) > maxRawBytes {
		raw = quoted(b.invalid.scratch[:0], string(raw))
	}
	b.invalid.add(b.key, raw)
	b.addMissing()
}

func (b *builder) jsonFits(v jsonValue) bool {
	switch b.store {
	case storeStrings:
		if v.kind == '{' || v.kind == '[' {
			return false
		}
		b.word(v.text)
		return true
	case storeVectors:
		return v.kind == '[' && b.scalar(v.text)
	case storeFloats, storeInts:
		return v.kind == '0' && b.scalar(v.text)
	case storeBools:
		return (v.kind == 't' || v.kind == 'f') && b.boolean(v.kind == 't')
	default:
		return (v.kind == '"' || v.kind == '0') && b.scalar(strings.TrimSpace(v.text))
	}
}

// parseVector reads a JSON array of numbers.
func parseVector(s string) ([]float32, bool) {
	inner, ok := strings.CutPrefix(s, "[")
	if inner, ok2 := strings.CutSuffix(inner, "]"); ok && ok2 {
		v := []float32{}
		if strings.TrimSpace(inner) == "" {
			return v, true
		}
		for part := range strings.SplitSeq(inner, ",") {
			x, ok := parseNumber(strings.TrimSpace(part))
			if !ok {
				return nil, false
			}
			v = append(v, float32(x))
		}
		return v, true
	}
	return nil, false
}

// invalids gathers the "_invalid" column: for each row a JSON object of the
// values that did not fit, missing where every value did.
type invalids struct {
	rows    int // complete rows
	row     []byte
	scratch []byte
	at      []int32 // rows that have an object
	text    []string
	size    int // of text
}

// add notes a value of the current row. raw is JSON and may be b.scratch.
func (v *invalids) add(key, raw []byte) {
	if len(v.row) == 0 {
		v.row = append(v.row, '{')
	} else {
		v.row = append(v.row, ',')
	}
	v.row = append(append(v.row, key...), raw...)
	v.scratch = raw[:0]
}

// merge takes over the members of an "_invalid" object that the source has itself.
func (v *invalids) merge(object string) {
	members, ok := strings.CutPrefix(strings.TrimSpace(object), "{")
	if members, ok2 := strings.CutSuffix(members, "}"); ok && ok2 && strings.TrimSpace(members) != "" && jsontext.Value(object).IsValid() {
		if len(v.row) == 0 {
			v.row = append(v.row, '{')
		} else {
			v.row = append(v.row, ',')
		}
		v.row = append(v.row, members...)
	}
}

// end completes the current row.
func (v *invalids) end() {
	if len(v.row) > 0 {
		v.at = append(v.at, int32(v.rows))
		v.text = append(v.text, string(append(v.row, '}')))
		v.size += len(v.row) + 1
		v.row = v.row[:0]
	}
	v.rows++
}

// column returns the gathered rows and starts afresh.
func (v *invalids) column() Column {
	c := Column{Name: modelwatch.ColumnInvalid, Type: modelwatch.TypeText}
	if len(v.at) > 0 {
		c.Valid, c.Index, c.Dict = make([]bool, v.rows), make([]int32, v.rows), v.text
		for i, row := range v.at {
			c.Valid[row], c.Index[row] = true, int32(i)
		}
	}
	v.rows, v.size, v.at, v.text = 0, 0, v.at[:0], nil
	return c
}
