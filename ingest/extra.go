package ingest

import (
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// keepInvalid adds a value to _invalid. One that is too long is cut and marked:
// {"truncated":"...","bytes":123456}.
func (e *event) keepInvalid(col *column, raw []byte) {
	e.invalidValues++
	if p := e.layout.private; p != nil {
		raw = p.misfit(raw, e.redacted)
	}
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
func (e *event) stranger(id sectionID, extra extraID, quoted []byte) bool {
	start := e.pos
	before := len(e.growths)
	if !e.frozen && e.layout.version != nil && e.layout.admits(id, e.name, before) && e.pos < len(e.data) {
		if typ, ok := e.infer(id); !ok {
			return false
		} else if typ != "" {
			e.growths = append(e.growths, growth{section: id, field: string(e.name), typ: e.privateType(id, typ)})
			return true
		}
		e.pos = start
	}
	if e.expect("null") {
		return true // a missing value of an unknown column says nothing
	}
	return e.unknown(extra, quoted)
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
	if e.layout.private != nil {
		if raw = e.private(id, quoted, raw); raw == nil {
			e.dropped++
			return
		}
	}
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
