package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

var errTrailing = errors.New("text behind the event")

// failure says why a record cannot be placed.
type failure struct {
	reason modelwatch.DeadLetterReason
	detail string
}

func failf(reason modelwatch.DeadLetterReason, format string, args ...any) *failure {
	return &failure{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// value is one value of the event as it was sent; raw is nil if it was not, and
// also if it was null.
type value struct {
	raw  []byte
	text []byte // what a string says
	str  bool
}

func (v *value) absent() bool { return v.raw == nil }

// field is a member of the event that the contract names.
type field uint8

const (
	fieldKind field = iota
	fieldModel
	fieldVersion
	fieldID
	fieldTime
	fieldLabel
	fieldGroup
	fieldWeight
	fieldCount
	// The objects.
	fieldFeatures
	fieldPrediction
	fieldAttributions
	fieldTags
	fieldUnknown
)

// fieldOf is on the path of each event: a switch is a few comparisons of words.
func fieldOf(name []byte) field {
	switch string(name) {
	case "kind":
		return fieldKind
	case "model":
		return fieldModel
	case "version":
		return fieldVersion
	case "id":
		return fieldID
	case "time":
		return fieldTime
	case "label":
		return fieldLabel
	case "group":
		return fieldGroup
	case "weight":
		return fieldWeight
	case "features":
		return fieldFeatures
	case "prediction":
		return fieldPrediction
	case "attributions":
		return fieldAttributions
	case "tags":
		return fieldTags
	}
	return fieldUnknown
}

// slot is what one event has for one column. It is set if row is the event's.
type slot struct {
	row  uint64
	form cellType // as stored: never cellByValue
	bits uint64   // number: IEEE bits; boolean: 0 or 1; timestamp: microseconds; vector: first and end in event.vectors
	text []byte   // category and text
}

// event is one record taken apart. It is reused: everything in it is valid until
// the next parse, and refers to the record's bytes.
type event struct {
	scanner
	layout *layout
	row    uint64 // number of this parse
	frozen bool   // members that are not known are kept, not grown
	header header // what the record's headers say, where the event does not
	slots  []slot
	set    []int32 // the columns with a value, in the order of the event

	fields    [fieldCount]value
	predicted [2]value // prediction.label, prediction.value
	score     value

	vectors  []float32
	invalid  []byte // members of _invalid: `,"amount":"abc"`
	extra    [extraCount][]byte
	extraLen int
	growths  []growth
	started  bool       // a section was read under this layout
	names    [3]nameSet // unknown names of the event, its prediction, and one of its sections

	invalidValues int // cells that hold a value that does not fit
	outOfRange    int // of them, those beyond the declared range
	unknownFields int // members that the schema does not know
	truncated     int // of them, those that did not fit into _extra
}

// layouts finds the layout of an event while it is read, nil if it is not known.
type layouts interface {
	peek(kind, model, version []byte) *layout
}

// parse takes the record apart as an event of the layout. If choose is not nil,
// the layout is only a guess, and is replaced as soon as the event says better.
func (e *event) parse(data []byte, l *layout, choose layouts) *failure {
	e.begin(data, l)
	if e.space() != '{' {
		return e.explain()
	}
	if fail, ok := e.members(choose); !ok {
		if fail == nil {
			fail = e.explain()
		}
		return fail
	}
	if e.space() != 0 || e.pos < len(data) {
		return e.explain()
	}
	e.finish()
	return nil
}

func (e *event) begin(data []byte, l *layout) {
	e.reset(data)
	e.row++
	e.use(l)
	e.fields, e.predicted, e.score = [fieldCount]value{}, [2]value{}, value{}
	e.set, e.vectors, e.invalid, e.growths = e.set[:0], e.vectors[:0], e.invalid[:0], e.growths[:0]
	for i := range e.extra {
		e.extra[i] = e.extra[i][:0]
	}
	e.started = false
	e.extraLen, e.invalidValues, e.outOfRange, e.unknownFields, e.truncated = 0, 0, 0, 0, 0
}

func (e *event) use(l *layout) {
	e.layout = l
	for len(e.slots) < len(l.columns) {
		e.slots = append(e.slots, slot{})
	}
}

// members reads the event's own members.
func (e *event) members(choose layouts) (*failure, bool) {
	if !e.take('{') {
		return nil, false
	}
	if e.pos < len(e.data) && e.data[e.pos] == '}' {
		e.pos++
		return nil, true
	}
	var seen uint32
	e.names[0].reset()
	for {
		start := e.pos
		name, ok := e.text()
		quoted := e.data[start:e.pos]
		if !ok || !e.take(':') {
			return nil, false
		}
		f := fieldOf(name)
		if f == fieldUnknown {
			ok = e.names[0].add(name) && e.unknown(extraTop, quoted)
		} else if seen&(1<<f) != 0 {
			return nil, false // a duplicate: explain names it
		} else {
			seen |= 1 << f
			ok = e.member(f, quoted, choose)
		}
		if !ok {
			return nil, false
		}
		if done, ok := e.next('}'); done || !ok {
			return nil, ok
		}
	}
}

// next reads what stands between two members or elements: done at the end.
func (e *event) next(end byte) (done, ok bool) {
	c := e.space()
	if c == end {
		e.pos++
		return true, true
	}
	return false, c == ',' && e.take(',')
}

func (e *event) member(f field, quoted []byte, choose layouts) bool {
	if f < fieldCount {
		return e.value(&e.fields[f])
	}
	if choose != nil && !e.started {
		if l := choose.peek(e.fields[fieldKind].text, e.model(), e.version()); l != nil && l != e.layout {
			e.use(l)
		}
	}
	e.started = true
	if e.layout.labels {
		return e.unknown(extraTop, quoted)
	}
	switch f {
	case fieldFeatures:
		return e.section(sectionFeatures, extraFeatures, quoted)
	case fieldAttributions:
		return e.section(sectionAttributions, extraAttributions, quoted)
	case fieldTags:
		return e.section(sectionTags, extraTags, quoted)
	}
	return e.prediction(quoted)
}

// value reads any value.
func (e *event) value(v *value) bool {
	if e.pos < len(e.data) && e.data[e.pos] == '"' {
		start := e.pos
		text, ok := e.text()
		v.raw, v.text, v.str = e.data[start:e.pos], text, true
		return ok
	}
	raw, ok := e.skip()
	if ok && string(raw) != "null" {
		v.raw = raw
	}
	return ok
}

// header is what a record's headers say about its event.
type header struct{ model, version []byte }

// model and version are what the event says, else what the headers say, else nil.
func (e *event) model() []byte {
	if e.fields[fieldModel].absent() {
		return e.header.model
	}
	return e.fields[fieldModel].text
}

func (e *event) version() []byte {
	if e.fields[fieldVersion].absent() {
		return e.header.version
	}
	return e.fields[fieldVersion].name()
}

// name is the text of a string, or a number as it was written: versions and ids
// are often sent as numbers.
func (v *value) name() []byte {
	if v.str {
		return v.text
	}
	if len(v.raw) > 0 && (v.raw[0] == '-' || v.raw[0]-'0' <= 9) {
		return v.raw
	}
	return nil
}

// section reads an object whose members are columns.
func (e *event) section(id sectionID, extra extraID, quoted []byte) bool {
	if e.pos >= len(e.data) || e.data[e.pos] != '{' {
		return e.notSection(quoted, extraTop)
	}
	if !e.take('{') {
		return false
	}
	if e.pos < len(e.data) && e.data[e.pos] == '}' {
		e.pos++
		return true
	}
	sec := &e.layout.sections[id]
	hint := &sec.first
	unknown := 0
	for {
		if i := *hint; i >= 0 && e.expect(e.layout.columns[i].quoted) {
			if !e.take(':') || e.slots[i].row == e.row || !e.read(i) {
				return false
			}
			hint = &e.layout.columns[i].follow
		} else {
			start := e.pos
			name, ok := e.text()
			if !ok {
				return false
			}
			quoted := e.data[start:e.pos]
			if !e.take(':') {
				return false
			}
			if i, ok := sec.index[string(name)]; ok {
				*hint = i
				if e.slots[i].row == e.row || !e.read(i) {
					return false
				}
				hint = &e.layout.columns[i].follow
			} else {
				if unknown == 0 {
					e.names[2].reset()
				}
				unknown++
				if !e.names[2].add(name) || !e.stranger(id, extra, name, quoted) {
					return false
				}
			}
		}
		if done, ok := e.next('}'); done || !ok {
			return ok
		}
	}
}

// expect skips the text if it is what comes next.
func (e *event) expect(text string) bool {
	if n := len(text); n > 0 && len(e.data)-e.pos >= n && string(e.data[e.pos:e.pos+n]) == text {
		e.pos += n
		return true
	}
	return false
}

// notSection handles an object of the event that is something else: null is as
// good as absent, the rest is kept.
func (e *event) notSection(quoted []byte, extra extraID) bool {
	if e.expect("null") {
		return true
	}
	return e.unknown(extra, quoted)
}

// prediction reads score, label, value and scores. Which of label and value
// becomes _predicted depends on the schema, so both are put off to finish.
func (e *event) prediction(quoted []byte) bool {
	if e.pos >= len(e.data) || e.data[e.pos] != '{' {
		return e.notSection(quoted, extraTop)
	}
	if !e.take('{') {
		return false
	}
	if e.pos < len(e.data) && e.data[e.pos] == '}' {
		e.pos++
		return true
	}
	names := &e.names[1]
	names.reset()
	for {
		start := e.pos
		name, ok := e.text()
		quoted := e.data[start:e.pos]
		if !ok || !e.take(':') || !names.add(name) {
			return false
		}
		switch string(name) {
		case "score":
			ok = e.value(&e.score)
		case "label":
			ok = e.value(&e.predicted[0])
		case "value":
			ok = e.value(&e.predicted[1])
		case "scores":
			ok = e.scores(quoted)
		default:
			ok = e.unknown(extraPrediction, quoted)
		}
		if !ok {
			return false
		}
		if done, ok := e.next('}'); done || !ok {
			return ok
		}
	}
}

func (e *event) scores(quoted []byte) bool {
	if e.pos < len(e.data) && e.data[e.pos] == '{' {
		return e.section(sectionScores, extraScores, quoted)
	}
	return e.notSection(quoted, extraPrediction)
}

// finish places the values that were put off.
func (e *event) finish() {
	if e.layout.labels {
		e.core(slotLabel, &e.fields[fieldLabel], modelwatch.ColumnLabel)
	} else {
		e.keepValue(extraTop, `"label"`, &e.fields[fieldLabel])
		e.core(slotScore, &e.score, modelwatch.ColumnScore)
		e.finishPredicted()
	}
	e.core(slotGroup, &e.fields[fieldGroup], "")
	e.core(slotWeight, &e.fields[fieldWeight], "")
}

// finishPredicted: a number column prefers prediction.value, any other
// prediction.label; undeclared, a label is a category and a value a number. The
// one that is not used is kept in _extra.
func (e *event) finishPredicted() {
	label, val := &e.predicted[0], &e.predicted[1]
	typ := e.layout.columns[slotPredicted].typ
	if label.absent() || typ == cellNumber && !val.absent() {
		e.keepValue(extraPrediction, `"label"`, label)
		e.core(slotPredicted, val, modelwatch.ColumnPredicted)
		return
	}
	e.keepValue(extraPrediction, `"value"`, val)
	if typ == cellByValue {
		e.grow(sectionCore, modelwatch.ColumnPredicted, modelwatch.TypeCategory)
		e.place(slotPredicted, cellCategory, label)
		return
	}
	e.core(slotPredicted, label, modelwatch.ColumnPredicted)
}

// core places a value into a column of ours. grow names the column if its type
// belongs to the schema.
func (e *event) core(slot int32, v *value, grow string) {
	if v.absent() {
		return
	}
	number := v.raw[0] == '-' || v.raw[0]-'0' <= 9
	typ := e.layout.columns[slot].typ
	if typ == cellByValue {
		typ = cellCategory
		if number {
			typ = cellNumber
		}
	}
	if grow != "" && v.raw[0] != '{' && v.raw[0] != '[' && (typ != cellNumber || number) {
		e.grow(sectionCore, grow, typ.featureType())
	}
	e.place(slot, typ, v)
}

// place converts a value that was read before.
func (e *event) place(slot int32, typ cellType, v *value) {
	end := e.pos
	data := e.data
	e.data, e.pos = v.raw, 0
	e.readAs(slot, typ) // was read once already: it is valid JSON
	e.data, e.pos = data, end
}

// grow notes a column that the schema of a version known from traffic alone
// does not have yet.
func (e *event) grow(id sectionID, name string, typ modelwatch.FeatureType) {
	v := e.layout.version
	if v == nil || !v.grows || e.frozen {
		return
	}
	s := &v.stored.Schema
	known := false
	switch name {
	case modelwatch.ColumnScore:
		known = s.Score != ""
	case modelwatch.ColumnPredicted:
		known = s.Predicted != ""
	case modelwatch.ColumnLabel:
		known = s.Label != ""
	}
	if !known {
		e.growths = append(e.growths, growth{section: id, field: name, typ: typ})
	}
}

// explain finds out with jsontext why a record is not an event.
func (e *event) explain() *failure {
	err := e.valid()
	if err == nil {
		if first := bytes.TrimLeft(e.data, " \t\r\n"); first[0] != '{' {
			return failf(modelwatch.DeadNotObject, "expected a JSON object, found %s", describe(first))
		}
		return failf(modelwatch.DeadInvalidJSON, "the event cannot be read at byte %d", e.pos)
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return failf(modelwatch.DeadInvalidJSON, "the text ends inside the event, after %d bytes", len(e.data))
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return failf(modelwatch.DeadDuplicateKey, "the name %q occurs twice, at %q", shorten(syntax.JSONPointer.LastToken()), shorten(string(syntax.JSONPointer)))
	}
	detail := fmt.Sprintf("not JSON at byte %d: %s", syntax.ByteOffset, strings.TrimPrefix(shorten(err.Error()), "jsontext: "))
	if rest := e.data[min(int(syntax.ByteOffset), len(e.data)):]; notANumber(rest) {
		detail += "; JSON has no NaN or Infinity: send null"
	}
	return &failure{reason: modelwatch.DeadInvalidJSON, detail: detail}
}

func notANumber(rest []byte) bool {
	rest = bytes.TrimPrefix(rest, []byte("-"))
	return bytes.HasPrefix(rest, []byte("NaN")) || bytes.HasPrefix(rest, []byte("Inf"))
}

// describe names the type of a JSON text.
func describe(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// shorten bounds what of a record gets into a sentence.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// plural is "1 byte", "2 bytes".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func quoteText(s string) string { return strconv.Quote(s) }
