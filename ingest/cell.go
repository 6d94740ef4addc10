package ingest

import (
	"math"
	"strconv"

	"github.com/modelwatch/modelwatch"
)

// What one event may hold, and what of it is kept where it does not fit.
const (
	maxCategoryBytes = 64 << 10
	maxVectorLength  = 16 << 10
	maxInvalidBytes  = 1 << 10  // of one value in _invalid
	maxExtraBytes    = 16 << 10 // of all of _extra
)

var zero = []byte("0")

// setWord gives column i its value.
func (e *event) setWord(i int32, w uint64) {
	e.words[i] = w
	e.set.add(i)
}

// setText gives column i a text, which must stay as it is until the next event.
func (e *event) setText(i int32, text []byte) {
	e.texts[i] = text
	e.set.add(i)
	e.long = append(e.long, i)
}

func truthBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// read takes the value at pos into column i.
func (e *event) read(i int32) bool { return e.readAs(i, e.layout.columns[i].typ) }

// readAs takes the value at pos into column i. A value that does not fit the
// type is not an error: the cell is missing and the value stands in _invalid.
// It returns false only for what is not JSON.
//
//   - number: a JSON number that a float64 can hold, within the declared range.
//     Text is invalid even if it looks like a number: "12.5" would be read as
//     one type today and another tomorrow.
//   - category, text: strings up to 64 KiB; numbers and booleans as their
//     canonical text.
//   - boolean: true and false.
//   - timestamp: RFC 3339 text, or seconds, milli-, micro- or nanoseconds since
//     1970, told apart by magnitude.
//   - vector: an array of numbers.
func (e *event) readAs(i int32, typ cellType) bool {
	if e.pos >= len(e.data) {
		return false
	}
	c := e.data[e.pos]
	switch typ {
	case cellNumber:
		if c == '-' || c-'0' <= 9 {
			return e.readNumber(i)
		}
	case cellCategory, cellText:
		return e.readText(i, c)
	case cellBoolean:
		if c == 't' || c == 'f' {
			e.setWord(i, truthBit(c == 't'))
			return e.literal()
		}
	case cellTimestamp:
		return e.readTimestamp(i, c)
	case cellVector:
		if c == '[' {
			return e.readVector(i)
		}
	case cellPrivate:
		return e.readPrivate(i, c)
	}
	return e.misfit(i)
}

func (e *event) readNumber(i int32) bool {
	f, raw, ok := e.number()
	if !ok {
		return false
	}
	col := &e.layout.columns[i]
	if f > math.MaxFloat64 || f < -math.MaxFloat64 {
		e.keepInvalid(col, raw)
		return true
	}
	if col.bounded && (f < col.min || f > col.max) {
		e.outOfRange++
		e.keepInvalid(col, raw)
		return true
	}
	e.setWord(i, math.Float64bits(f))
	return true
}

func (e *event) readText(i int32, c byte) bool {
	var out []byte
	switch {
	case c == '"':
		start := e.pos
		text, ok := e.text()
		if !ok {
			return false
		}
		if len(text) > maxCategoryBytes {
			e.keepInvalid(&e.layout.columns[i], e.data[start:e.pos])
			return true
		}
		out = text
	case c == 't' || c == 'f':
		start := e.pos
		if !e.literal() {
			return false
		}
		out = e.data[start:e.pos]
	case c == '-' || c-'0' <= 9:
		f, raw, ok := e.number()
		if !ok {
			return false
		}
		out = e.canonical(f, raw)
	default:
		return e.misfit(i)
	}
	e.setText(i, out)
	return true
}

// canonical is the text of a number as a category: an integer as it was
// written, whatever its length, anything else as the shortest text that reads
// back as the same float64: 1.0 and 1 are the same category, 1e3 and 1000 too.
// The archive writes number labels the same way when it compares them with
// predicted categories.
func (e *event) canonical(f float64, raw []byte) []byte {
	integer := true
	for _, c := range raw {
		integer = integer && (c == '-' || c-'0' <= 9)
	}
	if integer && string(raw) != "-0" {
		return raw
	}
	if f == 0 {
		return zero
	}
	from := len(e.scratch)
	e.scratch = strconv.AppendFloat(e.scratch, f, 'g', -1, 64)
	return e.scratch[from:]
}

func (e *event) readTimestamp(i int32, c byte) bool {
	start := e.pos
	var micros int64
	var ok bool
	switch {
	case c == '"':
		text, good := e.text()
		if !good {
			return false
		}
		micros, ok = parseTime(text)
	case c == '-' || c-'0' <= 9:
		f, raw, good := e.number()
		if !good {
			return false
		}
		micros, ok = epochTime(f, raw)
	default:
		return e.misfit(i)
	}
	if !ok {
		e.keepInvalid(&e.layout.columns[i], e.data[start:e.pos])
		return true
	}
	e.setWord(i, uint64(micros))
	return true
}

func (e *event) readVector(i int32) bool {
	start, from := e.pos, len(e.vectors)
	if e.vector() {
		e.setWord(i, uint64(from)<<32|uint64(len(e.vectors)))
		e.long = append(e.long, i)
		return true
	}
	e.pos, e.vectors = start, e.vectors[:from]
	return e.misfit(i)
}

// vector reads an array of finite numbers; false if it is anything else.
func (e *event) vector() bool {
	from := len(e.vectors)
	e.take('[')
	if e.pos < len(e.data) && e.data[e.pos] == ']' {
		e.pos++
		return true
	}
	for {
		f, _, ok := e.number()
		v := float32(f)
		if !ok || math.IsInf(float64(v), 0) || len(e.vectors)-from >= maxVectorLength {
			return false
		}
		e.vectors = append(e.vectors, v)
		if done, ok := e.next(']'); done || !ok {
			return ok
		}
	}
}

// misfit reads a value of the wrong JSON type. null is merely missing.
func (e *event) misfit(i int32) bool {
	raw, ok := e.skip()
	if !ok {
		return false
	}
	if string(raw) != "null" {
		e.keepInvalid(&e.layout.columns[i], raw)
	}
	return true
}

// infer reads a value and returns the type of a column that begins with it, ""
// if there is none.
func (e *event) infer(id sectionID) (modelwatch.FeatureType, bool) {
	c := e.data[e.pos]
	switch {
	case c == '"':
		text, ok := e.text()
		switch {
		case !ok || id == sectionScores || id == sectionAttributions:
			return "", ok
		case id == sectionTags:
			return modelwatch.TypeCategory, true
		}
		return inferText(text), true
	case c == '-' || c-'0' <= 9:
		_, _, ok := e.number()
		if id == sectionTags {
			return modelwatch.TypeCategory, ok
		}
		return modelwatch.TypeNumber, ok
	case id == sectionScores || id == sectionAttributions:
		return "", true
	case c == 't' || c == 'f':
		ok := e.literal()
		if id == sectionTags {
			return modelwatch.TypeCategory, ok
		}
		return modelwatch.TypeBoolean, ok
	case c == '[' && id == sectionFeatures:
		from := len(e.vectors)
		ok := e.vector() && len(e.vectors) > from
		e.vectors = e.vectors[:from]
		if ok {
			return modelwatch.TypeVector, true
		}
	}
	return "", true
}

// inferText: a full time stamp is a time, a long text is text, all else a
// category.
func inferText(text []byte) modelwatch.FeatureType {
	if len(text) > 1024 {
		return modelwatch.TypeText
	}
	if _, ok := parseTime(text); ok && len(text) >= len("2006-01-02T15:04:05Z") {
		return modelwatch.TypeTimestamp
	}
	return modelwatch.TypeCategory
}
