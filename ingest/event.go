package ingest

import "slices"

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

// fieldKeys are the names as JSON, as they usually stand before a value; "": none.
var fieldKeys = [fieldUnknown + 1]string{
	`"kind":`, `"model":`, `"version":`, `"id":`, `"time":`, `"label":`, `"group":`, `"weight":`, "",
	`"features":`, `"prediction":`, `"attributions":`, `"tags":`, "",
}

// fieldSections are the sections that members are.
var fieldSections = [fieldUnknown + 1]sectionID{fieldFeatures: sectionFeatures, fieldAttributions: sectionAttributions, fieldTags: sectionTags}

// sectionExtras are where what a section does not know is kept.
var sectionExtras = [sectionCount]extraID{sectionFeatures: extraFeatures, sectionScores: extraScores, sectionAttributions: extraAttributions, sectionTags: extraTags}

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

// columnSet is a set of columns, by their place in the layout.
type columnSet []uint64

func (s columnSet) has(i int32) bool { return s[i>>6]>>(i&63)&1 != 0 }
func (s columnSet) add(i int32)      { s[i>>6] |= 1 << (i & 63) }

// grow makes room for n columns.
func (s *columnSet) grow(n int) {
	for len(*s)*64 < n {
		*s = append(*s, 0)
	}
}

// event is one record taken apart. It is reused: everything in it is valid until
// the next parse, and refers to the record's bytes.
type event struct {
	scanner
	layout *layout
	frozen bool   // members that are not known are kept, not grown
	sifted bool   // the event is sampled away: its values are checked, not converted
	header header // what the record's headers say, where the event does not

	// What the event has for each column.
	named columnSet           // its name came
	set   columnSet           // it has a value
	words []uint64            // number: IEEE bits; boolean: 0 or 1; timestamp: microseconds; vector: first and end in vectors
	texts [][]byte            // category and text
	long  []int32             // the columns with a text or a vector
	forms [coreSlots]cellType // how core columns are stored: never cellByValue

	fields    [fieldCount]value
	order     [fieldUnknown + 1]field // the member that came after each in the last event, and after fieldCount the first
	predicted [3]value                // of the prediction: score, label, value
	follow    [4]uint8                // which of these came after each in the last event, and after the last the first
	heading   heading
	recalled  bool // the event began with the heading
	shape     shape
	marks     []mark // the values of an event that is not of the shape
	shapeless bool   // other things stand between them
	edge      window // of a value near the end of the record, zeros behind it

	vectors  []float32
	invalid  []byte // members of _invalid: `,"amount":"abc"`
	extra    [extraCount][]byte
	extraLen int
	growths  []growth
	started  bool       // a section was read under this layout
	name     []byte     // of the member that is being read, if its section does not know it
	names    [3]nameSet // unknown names of the event, its prediction, and one of its sections

	invalidValues int  // cells that hold a value that does not fit
	outOfRange    int  // of them, those beyond the declared range
	unknownFields int  // members that the schema does not know
	truncated     int  // of them, those that did not fit into _extra
	dropped       int  // values and members that privacy rules kept out
	opaque        bool // what went in or what came out was bytes that are no values
	redacted      bool // the record was a dead letter whose private values were replaced
}

// layouts judges an event while it is read.
type layouts interface {
	// peek finds its layout, nil if it is not known.
	peek(kind, model, version []byte) *layout
	// sampledAway is true once it is certain that the event's row is not kept.
	sampledAway(*event) bool
}

// parse takes the record apart as an event of the layout. If choose is not nil,
// the layout is only a guess, and is replaced as soon as the event says better.
func (e *event) parse(data []byte, l *layout, choose layouts) *failure {
	e.begin(data, l)
	if e.space() != '{' {
		return e.explain()
	}
	if !e.members(choose) || e.space() != 0 || e.pos < len(data) {
		return e.explain()
	}
	switch {
	case e.recalled && len(e.shape.parts) == 0:
		e.learnShape()
	case !e.recalled && e.fields[fieldKind].str:
		e.learn()
	}
	e.finish()
	return nil
}

func (e *event) begin(data []byte, l *layout) {
	e.reset(data)
	e.use(l)
	e.fields, e.predicted = [fieldCount]value{}, [3]value{}
	clear(e.named)
	clear(e.set)
	e.long, e.vectors, e.invalid, e.growths = e.long[:0], e.vectors[:0], e.invalid[:0], e.growths[:0]
	for i := range e.extra {
		e.extra[i] = e.extra[i][:0]
	}
	e.marks = e.marks[:0]
	e.started, e.sifted, e.shapeless = false, false, false
	e.extraLen, e.invalidValues, e.outOfRange, e.unknownFields, e.truncated = 0, 0, 0, 0, 0
	e.dropped, e.opaque = 0, false
}

func (e *event) use(l *layout) {
	e.layout = l
	if n := len(l.columns); len(e.words) < n {
		e.words, e.texts = append(e.words, make([]uint64, n-len(e.words))...), append(e.texts, make([][]byte, n-len(e.texts))...)
		e.long = slices.Grow(e.long, n)
		e.named.grow(n)
		e.set.grow(n)
	}
}

// members reads the event's own members.
func (e *event) members(choose layouts) bool {
	seen, hint := e.recall()
	if seen != 0 {
		if e.keepsShape(choose) {
			return true
		}
		seen, hint = e.recall()
	}
	if seen == 0 && e.open() {
		return true
	}
	e.names[0].reset()
	for {
		f, quoted, ok := e.fieldName(hint)
		hint = &e.order[f]
		switch {
		case !ok:
			return false
		case f == fieldUnknown:
			e.shapeless = true
			ok = e.names[0].add(e.name) && e.unknown(extraTop, quoted)
		case seen&(1<<f) != 0:
			return false // a duplicate: explain names it
		default:
			seen |= 1 << f
			ok = e.member(f, quoted, choose)
		}
		if !ok {
			return false
		}
		if done, ok := e.next('}'); done || !ok {
			return ok
		}
	}
}

// fieldName reads the name of a member and what stands before its value. It tries
// the one first that came here in the last event. One that is unknown is in e.name.
func (e *event) fieldName(hint *field) (f field, quoted []byte, ok bool) {
	start := e.pos
	if key := fieldKeys[*hint]; e.expect(key) {
		e.space()
		return *hint, e.data[start : start+len(key)-1], true
	}
	e.name, ok = e.text()
	quoted = e.data[start:e.pos]
	if !ok || !e.take(':') {
		return 0, nil, false
	}
	*hint = fieldOf(e.name)
	return *hint, quoted, true
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
	start := e.pos
	if f < fieldCount {
		ok := e.value(&e.fields[f])
		e.mark(role(f), start)
		return ok
	}
	e.settle(choose)
	if e.layout.labels {
		e.shapeless = true
		return e.unknown(extraTop, quoted)
	}
	if f == fieldPrediction {
		return e.prediction(quoted)
	}
	id := fieldSections[f]
	ok := e.section(id, sectionExtras[id], quoted)
	e.mark(roleSection+role(id), start)
	return ok
}

// settle looks for the layout, if it is only guessed, before the first value that needs
// it.
func (e *event) settle(choose layouts) {
	if choose != nil && !e.started {
		if l := choose.peek(e.fields[fieldKind].text, e.model(), e.version()); l != nil {
			if l != e.layout {
				e.use(l)
			}
			e.sifted = choose.sampledAway(e)
		}
	}
	e.started = true
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

// expect skips the text if it is what comes next.
func (e *event) expect(text string) bool {
	if n := len(text); n > 0 && len(e.data)-e.pos >= n && string(e.data[e.pos:e.pos+n]) == text {
		e.pos += n
		return true
	}
	return false
}
