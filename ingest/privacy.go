package ingest

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// maxPrivateDepth bounds how deep rules look into a value that no schema knows.
// What is deeper is dropped.
const maxPrivateDepth = 32

// privacy is the rules of one version, or of all versions of a model. A nil
// privacy changes nothing, and costs the path of an event nothing.
type privacy struct {
	rules map[string]modelwatch.PrivacyRule
	// known are the columns that the schema names; nil unless all others are dropped.
	known map[string]struct{}
	// hash is nil where the deployment has no key: what would be hashed is dropped.
	hash *modelwatch.Pseudonyms
	ids  bool // ids and groups are pseudonyms
}

// newPrivacy returns nil where there is nothing to do.
func newPrivacy(p modelwatch.Privacy, s *modelwatch.Schema, key modelwatch.PrivacyKey, ids bool) *privacy {
	if p.Empty() && !ids {
		return nil
	}
	out := &privacy{rules: p.Columns, ids: ids}
	if len(key) > 0 {
		out.hash = modelwatch.NewPseudonyms(key)
	}
	if p.AllowList {
		out.known = map[string]struct{}{}
		for _, f := range s.Features {
			out.known[f.Name] = struct{}{}
		}
		for prefix, names := range map[string][]string{
			modelwatch.PrefixScore: s.Classes, modelwatch.PrefixAttribution: s.Attributions, modelwatch.PrefixTag: s.Tags,
		} {
			for _, name := range names {
				out.known[prefix+name] = struct{}{}
			}
		}
	}
	return out
}

// rule returns the rule of a column.
func (p *privacy) rule(column string) (modelwatch.PrivacyRule, bool) {
	if p == nil {
		return modelwatch.PrivacyRule{}, false
	}
	if r, ok := p.rules[column]; ok {
		return r, true
	}
	if p.ids && column == modelwatch.ColumnGroup {
		return modelwatch.PrivacyRule{Action: modelwatch.PrivacyHash}, true
	}
	return modelwatch.PrivacyRule{}, false
}

// admits reports whether a column may become known from traffic.
func (p *privacy) admits(column string) bool {
	rule, ruled := p.rule(column)
	if _, known := p.known[column]; p.closed() && !known && !ruled {
		return false
	}
	return rule.Action != modelwatch.PrivacyDrop
}

// closed reports that fields which the schema does not name are dropped.
func (p *privacy) closed() bool { return p != nil && p.known != nil }

// text applies a rule to a text; ok is false if nothing is to be written. done
// says that the text may have been replaced already, when it was kept among the
// dead letters: a pseudonym then stays as it is. The result is appended to b.
func (p *privacy) text(b []byte, rule modelwatch.PrivacyRule, text []byte, done bool) (out []byte, ok bool) {
	switch rule.Action {
	case modelwatch.PrivacyHash:
		switch {
		case done && modelwatch.IsPseudonym(text):
			return append(b, text...), true
		case p.hash != nil:
			return p.hash.Append(b, text), true
		}
	case modelwatch.PrivacyTruncate:
		return append(b, rule.Truncate(text)...), true
	}
	return b, false
}

// readPrivate takes the value at pos into column i, as far as its rule lets it.
// Whatever has no text, such as an object, is dropped.
func (e *event) readPrivate(i int32, c byte) bool {
	col := &e.layout.columns[i]
	start := e.pos
	var text []byte
	var ok bool
	switch {
	case c == '"':
		text, ok = e.text()
	case c == '-' || c-'0' <= 9:
		var f float64
		f, text, ok = e.number()
		if ok {
			text = e.canonical(f, text)
		}
	case c == 't' || c == 'f':
		ok = e.literal()
		text = e.data[start:e.pos]
	default:
		raw, good := e.skip()
		if good && string(raw) != "null" {
			e.dropped++
		}
		return good
	}
	if !ok {
		return false
	}
	if col.base != cellCategory && col.base != cellText {
		e.dropped++
		return true
	}
	from := len(e.scratch)
	out, kept := e.layout.private.text(e.scratch, col.rule, text, e.redacted)
	if !kept {
		e.dropped++
		return true
	}
	e.scratch = out
	e.setText(i, out[from:])
	return true
}

// private returns what of an unknown member may be kept; nil if nothing.
func (e *event) private(id extraID, quoted, raw []byte) []byte {
	p := e.layout.private
	name, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil
	}
	out, ok := p.member(nil, extraPrefix(id)+string(name), raw, e.redacted, 0)
	if !ok {
		return nil
	}
	return out
}

func extraPrefix(id extraID) string {
	switch id {
	case extraScores:
		return modelwatch.PrefixScore
	case extraAttributions:
		return modelwatch.PrefixAttribution
	case extraTags:
		return modelwatch.PrefixTag
	}
	return ""
}

// member appends what may be written of a member that is a column, or none; ok is
// false if it is left out.
func (p *privacy) member(b []byte, column string, raw []byte, done bool, depth int) (out []byte, ok bool) {
	rule, ruled := p.rule(column)
	if !ruled {
		if _, known := p.known[column]; p.closed() && !known {
			return b, false
		}
		return p.value(b, raw, done, depth+1)
	}
	var text []byte
	switch kind := jsontext.Value(raw).Kind(); kind {
	case 'n':
		return append(b, raw...), true
	case '"':
		var err error
		if text, err = jsontext.AppendUnquote(nil, raw); err != nil {
			return b, false
		}
	case '0', 't', 'f':
		text = raw
	default:
		return b, false
	}
	text, ok = p.text(nil, rule, text, done)
	if !ok {
		return b, false
	}
	b, err := jsontext.AppendQuote(b, text)
	return b, err == nil
}

// value appends a value without what rules cover inside it, by the names of
// members at any depth.
func (p *privacy) value(b, raw []byte, done bool, depth int) (out []byte, ok bool) {
	first := bytes.TrimLeft(raw, " \t\r\n")
	if len(first) == 0 || first[0] != '{' && first[0] != '[' || len(p.rules) == 0 && !p.closed() {
		return append(b, raw...), true
	}
	if depth > maxPrivateDepth || first[0] == '{' && p.closed() {
		return b, false // the schema names nothing in there
	}
	if first[0] == '{' {
		return p.object(b, raw, func(b []byte, name string, raw []byte) ([]byte, bool) {
			if _, ruled := p.rules[name]; ruled {
				return p.member(b, name, raw, done, depth)
			}
			return p.value(b, raw, done, depth+1)
		})
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return b, false
	}
	b = append(b, '[')
	for n := 0; d.PeekKind() != ']'; n++ {
		element, err := d.ReadValue()
		if err != nil {
			return b, false
		}
		if n > 0 {
			b = append(b, ',')
		}
		if b, ok = p.value(b, element, done, depth+1); !ok {
			b = append(b, "null"...)
		}
	}
	return append(b, ']'), true
}

// misfit is what _invalid may hold of a value that does not fit its column: it may
// be an object, with anything inside.
func (p *privacy) misfit(raw []byte, done bool) []byte {
	kept, ok := p.value(nil, raw, done, 0)
	if !ok {
		return []byte("null")
	}
	return kept
}

// object appends an object with the members that keep lets through. It is false
// for anything but an object.
func (p *privacy) object(b, raw []byte, keep func(b []byte, name string, raw []byte) ([]byte, bool)) (out []byte, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return b, false
	}
	start := len(b)
	b = append(b, '{')
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return b[:start], false
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return b[:start], false
		}
		before := len(b)
		if before > start+1 {
			b = append(b, ',')
		}
		if b, err = jsontext.AppendQuote(b, name); err != nil {
			return b[:start], false
		}
		kept := false
		if b, kept = keep(append(b, ':'), name, value); !kept {
			b = b[:before]
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return b[:start], false
	}
	return append(b, '}'), true
}

// event appends an event in modelwatch's own JSON without what may not be
// written. It is false for what is no such event.
func (p *privacy) event(b, raw []byte) (out []byte, ok bool) {
	if !jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true)) {
		return b, false
	}
	return p.object(b, raw, func(b []byte, name string, raw []byte) ([]byte, bool) {
		scalar := len(raw) > 0 && raw[0] != '{' && raw[0] != '['
		switch fieldOf([]byte(name)) {
		case fieldID, fieldGroup:
			if p.ids {
				return p.pseudonym(b, raw)
			}
			return append(b, raw...), scalar
		case fieldKind, fieldModel, fieldVersion, fieldTime, fieldLabel, fieldWeight:
			return append(b, raw...), scalar
		case fieldFeatures:
			return p.columns(b, raw, "")
		case fieldAttributions:
			return p.columns(b, raw, modelwatch.PrefixAttribution)
		case fieldTags:
			return p.columns(b, raw, modelwatch.PrefixTag)
		case fieldPrediction:
			return p.object(b, raw, p.prediction)
		}
		return p.member(b, name, raw, false, 0)
	})
}

func (p *privacy) prediction(b []byte, name string, raw []byte) ([]byte, bool) {
	switch name {
	case "score", "label", "value":
		return append(b, raw...), len(raw) > 0 && raw[0] != '{' && raw[0] != '['
	case "scores":
		return p.columns(b, raw, modelwatch.PrefixScore)
	}
	return p.member(b, name, raw, false, 0)
}

// columns is object for a section whose members are columns.
func (p *privacy) columns(b, raw []byte, prefix string) ([]byte, bool) {
	return p.object(b, raw, func(b []byte, name string, raw []byte) ([]byte, bool) {
		return p.member(b, prefix+name, raw, false, 0)
	})
}

// pseudonym appends the pseudonym of an id: text, or a number as it was written.
func (p *privacy) pseudonym(b, raw []byte) ([]byte, bool) {
	text := raw
	switch jsontext.Value(raw).Kind() {
	case '"':
		var err error
		if text, err = jsontext.AppendUnquote(nil, raw); err != nil {
			return b, false
		}
	case '0':
	default:
		return append(b, "null"...), true // it was no id
	}
	out, ok := p.text(nil, modelwatch.PrivacyRule{Action: modelwatch.PrivacyHash}, text, false)
	if !ok {
		return b, false
	}
	b, err := jsontext.AppendQuote(b, out)
	return b, err == nil
}

// privateType is the type of a column that a value makes known: what is hashed or
// cut is a text, whatever came first.
func (e *event) privateType(id sectionID, typ modelwatch.FeatureType) modelwatch.FeatureType {
	if _, ok := e.layout.private.rule(columnPrefix(id) + string(e.name)); ok {
		return modelwatch.TypeCategory
	}
	return typ
}
