package ingest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// section reads an object whose members are columns.
func (e *event) section(id sectionID, extra extraID, quoted []byte) bool {
	if e.pos >= len(e.data) || e.data[e.pos] != '{' {
		return e.notSection(quoted, extraTop)
	}
	if e.open() {
		return true
	}
	sec := &e.layout.sections[id]
	hint := &sec.first
	e.names[2].reset()
	for {
		var done, ok bool
		if hint, done, ok = e.streak(hint); done || !ok {
			return ok
		}
		start := e.pos
		i, ok := e.lookUp(sec)
		quoted := e.data[start:e.pos]
		switch {
		case !ok || !e.take(':'):
			return false
		case i < 0:
			ok = e.stranger(id, extra, quoted)
		case e.named.has(i):
			return false
		default:
			e.named.add(i)
			*hint, hint = i, &e.layout.columns[i].follow
			ok = e.cell(i)
		}
		if !ok {
			return false
		}
		if done, ok := e.next('}'); done || !ok {
			return ok
		}
	}
}

// streak reads members for as long as each has the name that came here in the last
// event. It returns the hint for the next one; done says that there is none. Most
// values are as their columns want them, and are read here; cell reads the rest.
func (e *event) streak(hint *int32) (next *int32, done, ok bool) {
	d, at := e.data, e.pos
	for i := *hint; i >= 0; i = *hint {
		if hasRun {
			e.pos = at
			if hint, done = e.run(hint); done {
				return hint, true, true
			}
			if at, i = e.pos, *hint; i < 0 {
				break
			}
		}
		col := &e.layout.columns[i]
		pos := at + len(col.key)
		if pos < valueAt || pos >= len(d) {
			break
		}
		v := &e.edge
		if pos <= len(d)-windowRest {
			v = (*window)(d[pos-valueAt : pos+windowRest : pos+windowRest])
		} else {
			e.edge = window{}
			copy(e.edge[:], d[pos-valueAt:])
		}
		if !col.endsBefore(v) || len(col.key) > valueAt && !col.beginsAt(d, at) || e.named.has(i) {
			break
		}
		e.named.add(i)
		hint = &col.follow
		if end := e.usual(v, col, i, pos); end != 0 && v.at(end) == ',' && v.at(end+1) == '"' {
			at = pos + end + 1 - valueAt
			continue
		} else if e.pos = pos + end - valueAt; end == 0 {
			e.pos = pos
			e.space()
			if !e.cell(i) {
				return hint, false, false
			}
		}
		if done, ok := e.next('}'); done || !ok {
			return hint, done, ok
		}
		at = e.pos
	}
	e.pos = at
	return hint, false, true
}

// usual takes the value at pos, which the window shows, into column i, if it is a number
// within bounds or a text without escapes, as the column wants it. It returns where it
// ends in the window; else 0.
func (e *event) usual(v *window, col *column, i int32, pos int) (end int) {
	switch {
	case e.sifted:
		return v.pass()
	case col.typ == cellNumber:
		end = v.comma()
		f, ok := v.number(end)
		if !ok || f < col.min || f > col.max {
			return 0
		}
		e.setWord(i, math.Float64bits(f))
	case col.typ == cellCategory || col.typ == cellText:
		if end = v.plain(); end != 0 {
			e.setText(i, e.data[pos+1:pos+end-valueAt-1])
		}
	}
	return end
}

// cell reads the value of column i. One that is sampled away must be JSON all the
// same.
func (e *event) cell(i int32) bool {
	if !e.sifted || e.layout.columns[i].typ == cellVector {
		return e.read(i)
	}
	return e.pass()
}

// lookUp reads the name of a member and finds its column, -1 if there is none.
// The name is in e.name then, and no member of its section had it before.
func (e *event) lookUp(sec *section) (int32, bool) {
	name, ok := e.text()
	if !ok {
		return 0, false
	}
	if i, ok := sec.index[string(name)]; ok {
		return i, true
	}
	e.name = name
	return -1, e.names[2].add(name)
}

// open reads the brace of an object, and the other one if nothing is between.
func (e *event) open() (empty bool) {
	e.take('{')
	if e.pos < len(e.data) && e.data[e.pos] == '}' {
		e.pos++
		return true
	}
	return false
}

// notSection handles an object of the event that is something else: null is as
// good as absent, the rest is kept.
func (e *event) notSection(quoted []byte, extra extraID) bool {
	e.shapeless = true
	if e.expect("null") {
		return true
	}
	return e.unknown(extra, quoted)
}

// predictionKeys are the names of values as JSON, as they usually stand before them.
var predictionKeys = [3]string{`"score":`, `"label":`, `"value":`}

// prediction reads score, label, value and scores. Which of label and value
// becomes _predicted depends on the schema, so both are put off to finish.
func (e *event) prediction(quoted []byte) bool {
	if e.pos >= len(e.data) || e.data[e.pos] != '{' {
		return e.notSection(quoted, extraTop)
	}
	if e.open() {
		e.shapeless = true // no value of it would ask for the layout
		return true
	}
	e.names[1].reset()
	seen, hint := 0, &e.follow[len(predictionKeys)]
	for {
		i, quoted, ok := e.predictionName(hint)
		hint = &e.follow[i]
		switch {
		case !ok || seen&(1<<i) != 0:
			return false
		case i < len(predictionKeys):
			seen |= 1 << i
			start := e.pos
			ok = e.value(&e.predicted[i])
			e.mark(rolePredicted+role(i), start)
		case !e.names[1].add(e.name):
			return false
		case string(e.name) == "scores":
			ok = e.scores(quoted)
		default:
			e.shapeless = true
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

// predictionName is fieldName for a member of the prediction: i is that of its key.
func (e *event) predictionName(hint *uint8) (i int, quoted []byte, ok bool) {
	start := e.pos
	if i := int(*hint); i < len(predictionKeys) && e.expect(predictionKeys[i]) {
		e.space()
		return i, nil, true
	}
	e.name, ok = e.text()
	quoted = e.data[start:e.pos]
	if !ok || !e.take(':') {
		return len(predictionKeys), nil, false
	}
	switch string(e.name) {
	case "score":
	case "label":
		i = 1
	case "value":
		i = 2
	default:
		i = len(predictionKeys)
	}
	*hint = uint8(i)
	return i, quoted, true
}

func (e *event) scores(quoted []byte) bool {
	if e.pos >= len(e.data) || e.data[e.pos] != '{' {
		return e.notSection(quoted, extraPrediction)
	}
	start := e.pos
	ok := e.section(sectionScores, extraScores, quoted)
	e.mark(roleSection+role(sectionScores), start)
	return ok
}

// finish places the values that were put off.
func (e *event) finish() {
	if e.layout.labels {
		e.core(slotLabel, &e.fields[fieldLabel], modelwatch.ColumnLabel)
	} else {
		e.keepValue(extraTop, `"label"`, &e.fields[fieldLabel])
		e.core(slotScore, &e.predicted[0], modelwatch.ColumnScore)
		e.finishPredicted()
	}
	e.core(slotGroup, &e.fields[fieldGroup], "")
	e.core(slotWeight, &e.fields[fieldWeight], "")
}

// finishPredicted: a number column prefers prediction.value, any other
// prediction.label; undeclared, a label is a category and a value a number. The
// one that is not used is kept in _extra.
func (e *event) finishPredicted() {
	label, val := &e.predicted[1], &e.predicted[2]
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
	e.named.add(slot)
	e.forms[slot] = typ
	if e.placeUsual(slot, typ, v) {
		return
	}
	end := e.pos
	data := e.data
	e.data, e.pos = v.raw, 0
	if slot == slotLabel || slot == slotPredicted {
		e.data = truth(typ, v.raw)
	}
	e.readAs(slot, typ) // was read once already: it is valid JSON
	e.data, e.pos = data, end
}

// placeUsual is place for what is as its column wants it, and short.
func (e *event) placeUsual(slot int32, typ cellType, v *value) bool {
	switch {
	case e.sifted:
		return true
	case typ == cellNumber && !v.str && len(v.raw) <= 24:
		w := &e.edge
		*w = window{}
		f, ok := w.number(valueAt + copy(w[valueAt:], v.raw))
		col := &e.layout.columns[slot]
		if ok = ok && f >= col.min && f <= col.max; ok {
			e.setWord(slot, math.Float64bits(f))
		}
		return ok
	case typ == cellCategory && v.str && len(v.text) <= maxCategoryBytes:
		e.setText(slot, v.text)
		return true
	}
	return false
}

// truth lets labels and predictions be sent as booleans or as 0 and 1, whichever
// the schema says: training sets and services often differ in that, and a label
// must not be lost for it. Features are held to their type.
func truth(typ cellType, raw []byte) []byte {
	switch {
	case typ == cellBoolean && string(raw) == "1":
		return []byte("true")
	case typ == cellBoolean && string(raw) == "0":
		return []byte("false")
	case typ == cellNumber && string(raw) == "true":
		return []byte("1")
	case typ == cellNumber && string(raw) == "false":
		return []byte("0")
	}
	return raw
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
