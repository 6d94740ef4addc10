package ingest

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// What one event may hold, and what of it is kept where it does not fit.
const (
	maxCategoryBytes = 64 << 10
	maxVectorLength  = 16 << 10
	maxInvalidBytes  = 1 << 10  // of one value in _invalid
	maxExtraBytes    = 16 << 10 // of all of _extra
)

var zero = []byte("0") //nolint:gochecknoglobals // a constant

var inf = math.Inf(1) //nolint:gochecknoglobals // a constant

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
	s := &e.slots[i]
	s.row, s.form = e.row, typ
	switch typ {
	case cellNumber:
		if c == '-' || c-'0' <= 9 {
			return e.readNumber(i)
		}
	case cellCategory, cellText:
		return e.readText(i, c)
	case cellBoolean:
		if c == 't' || c == 'f' {
			s.bits = 0
			if c == 't' {
				s.bits = 1
			}
			e.set = append(e.set, i)
			return e.literal()
		}
	case cellTimestamp:
		return e.readTimestamp(i, c)
	case cellVector:
		if c == '[' {
			return e.readVector(i)
		}
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
	e.slots[i].bits = math.Float64bits(f)
	e.set = append(e.set, i)
	return true
}

func (e *event) readText(i int32, c byte) bool {
	s := &e.slots[i]
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
		s.text = text
	case c == 't' || c == 'f':
		start := e.pos
		if !e.literal() {
			return false
		}
		s.text = e.data[start:e.pos]
	case c == '-' || c-'0' <= 9:
		f, raw, ok := e.number()
		if !ok {
			return false
		}
		s.text = e.canonical(f, raw)
	default:
		return e.misfit(i)
	}
	e.set = append(e.set, i)
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
	e.slots[i].bits = uint64(micros)
	e.set = append(e.set, i)
	return true
}

func (e *event) readVector(i int32) bool {
	start, from := e.pos, len(e.vectors)
	if e.vector() {
		e.slots[i].bits = uint64(from)<<32 | uint64(len(e.vectors))
		e.set = append(e.set, i)
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

// keepInvalid adds a value to _invalid. One that is too long is cut and marked:
// {"truncated":"...","bytes":123456}.
func (e *event) keepInvalid(col *column, raw []byte) {
	e.invalidValues++
	e.invalid = append(append(append(e.invalid, ','), col.label...), ':')
	if len(raw) <= maxInvalidBytes {
		e.invalid = append(e.invalid, raw...)
		return
	}
	cut := maxInvalidBytes
	for cut > 0 && !utf8.RuneStart(raw[cut]) {
		cut--
	}
	e.invalid = append(e.invalid, `{"truncated":`...)
	e.invalid, _ = jsontext.AppendQuote(e.invalid, raw[:cut])
	e.invalid = append(e.invalid, `,"bytes":`...)
	e.invalid = append(strconv.AppendInt(e.invalid, int64(len(raw)), 10), '}')
}

// extraID is an object of the event whose unknown members are kept.
type extraID uint8

const (
	extraTop extraID = iota
	extraFeatures
	extraPrediction
	extraScores
	extraAttributions
	extraTags
	extraCount
)

// stranger reads a member that its section does not know: it may become a
// column; else it is kept.
func (e *event) stranger(id sectionID, extra extraID, name, quoted []byte) bool {
	start := e.pos
	before := len(e.growths)
	if !e.frozen && e.layout.version != nil && e.layout.admits(id, name, before) && e.pos < len(e.data) {
		if typ, ok := e.infer(id); !ok {
			return false
		} else if typ != "" {
			e.growths = append(e.growths, growth{section: id, field: string(name), typ: typ})
			return true
		}
		e.pos = start
	}
	if e.expect("null") {
		return true // a missing value of an unknown column says nothing
	}
	return e.unknown(extra, quoted)
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

// unknown reads the value of an unknown member and keeps it in _extra.
func (e *event) unknown(id extraID, quoted []byte) bool {
	raw, ok := e.skip()
	if ok {
		e.keep(id, quoted, raw)
	}
	return ok
}

func (e *event) keepValue(id extraID, quoted string, v *value) {
	if !v.absent() {
		e.keep(id, []byte(quoted), v.raw)
	}
}

func (e *event) keep(id extraID, quoted, raw []byte) {
	e.unknownFields++
	n := len(quoted) + len(raw) + 2
	if e.extraLen+n > maxExtraBytes {
		e.truncated++
		return
	}
	e.extraLen += n
	b := append(append(e.extra[id], ','), quoted...)
	e.extra[id] = append(append(b, ':'), raw...)
}

// appendInvalid appends the row's _invalid object, nothing if all values fit.
func (e *event) appendInvalid(b []byte) []byte { return appendObject(b, e.invalid) }

// appendExtra appends the row's _extra object: the event without what the
// schema knows, in the event's own shape. Nothing if that is nothing.
func (e *event) appendExtra(b []byte) []byte {
	if e.unknownFields == 0 {
		return b
	}
	b = append(b, '{')
	first := len(b)
	if top := e.extra[extraTop]; len(top) > 0 {
		b = append(b, top[1:]...)
	}
	b = appendMember(b, first, "features", e.extra[extraFeatures])
	b = appendMember(b, first, "attributions", e.extra[extraAttributions])
	b = appendMember(b, first, "tags", e.extra[extraTags])
	prediction := e.extra[extraPrediction]
	if scores := e.extra[extraScores]; len(scores) > 0 {
		prediction = append(append(append(prediction, `,"scores":{`...), scores[1:]...), '}')
		e.extra[extraPrediction] = prediction
	}
	b = appendMember(b, first, "prediction", prediction)
	if e.truncated > 0 {
		b = appendMember(b, first, "_truncated", nil)
		b = strconv.AppendInt(b, int64(e.truncated), 10)
	}
	return append(b, '}')
}

// appendMember appends a member of an object that begins at first; its value is
// an object of these members, left out if there are none and name is not ours.
func appendMember(b []byte, first int, name string, members []byte) []byte {
	if len(members) == 0 && name[0] != '_' {
		return b
	}
	if len(b) > first {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), name...), `":`...)
	return appendObject(b, members)
}

func appendObject(b, members []byte) []byte {
	if len(members) == 0 {
		return b
	}
	return append(append(append(b, '{'), members[1:]...), '}')
}

// nameSet finds duplicates among the unknown names of one object. A few are
// compared one by one; more go into a map.
type nameSet struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// reset empties the set. A map that has become large is let go: emptying it would
// cost every later event what one has caused.
func (s *nameSet) reset() {
	s.n = 0
	if len(s.many) > 256 {
		s.many = nil
	}
	clear(s.many)
}

// add returns false if the name is there already.
func (s *nameSet) add(name []byte) bool {
	for _, f := range s.few[:min(s.n, len(s.few))] {
		if string(f) == string(name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
	}
	if _, ok := s.many[string(name)]; ok {
		return false
	}
	s.many[string(name)] = struct{}{}
	return true
}
