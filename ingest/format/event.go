package format

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// Value is one JSON value as it was sent; nil is none.
type Value = jsontext.Value

// Member is a value with its name.
type Member struct {
	Name  string
	Value Value
}

// Event is one event of modelwatch. What is empty was not sent.
type Event struct {
	Kind               modelwatch.Kind
	Model, Version, ID string
	Time               Value

	Features     []Member
	Prediction   []Member // score, label, value, and what else there is
	Scores       []Member // by class
	Attributions []Member
	Tags         []Member
	Extra        []Member // what is none of these

	Label, Group, Weight Value

	// Opaque: what went in or what came out was bytes that are no values. The event
	// says how many, and their checksum.
	Opaque bool

	// Raw, if it is set, is the whole event, as canonical JSON.
	Raw Value
}

// AppendJSON appends the event as canonical JSON, the format "modelwatch".
func (e *Event) AppendJSON(b []byte) []byte {
	if e.Raw != nil {
		return append(b, e.Raw...)
	}
	start := len(b)
	b = append(b, '{')
	for _, m := range [...]struct{ name, text string }{
		{"kind", string(e.Kind)}, {"model", e.Model}, {"version", e.Version}, {"id", e.ID},
	} {
		if m.text != "" {
			b = appendText(appendName(b, start, m.name), m.text)
		}
	}
	for _, m := range [...]Member{{"time", e.Time}, {"label", e.Label}, {"group", e.Group}, {"weight", e.Weight}} {
		if m.Value != nil {
			b = append(appendName(b, start, m.Name), m.Value...)
		}
	}
	b = appendObject(b, start, "features", e.Features)
	b = e.appendPrediction(b, start)
	b = appendObject(b, start, "attributions", e.Attributions)
	b = appendObject(b, start, "tags", e.Tags)
	for _, m := range e.Extra {
		b = append(appendName(b, start, m.Name), m.Value...)
	}
	return append(b, '}')
}

func (e *Event) appendPrediction(b []byte, start int) []byte {
	if len(e.Prediction)+len(e.Scores) == 0 {
		return b
	}
	b = append(appendName(b, start, "prediction"), '{')
	first := len(b) - 1
	for _, m := range e.Prediction {
		b = append(appendName(b, first, m.Name), m.Value...)
	}
	b = appendObject(b, first, "scores", e.Scores)
	return append(b, '}')
}

// appendObject appends a member of the object that begins at start, nothing if
// it would be empty.
func appendObject(b []byte, start int, name string, members []Member) []byte {
	if len(members) == 0 {
		return b
	}
	b = append(appendName(b, start, name), '{')
	first := len(b) - 1
	for _, m := range members {
		b = append(appendName(b, first, m.Name), m.Value...)
	}
	return append(b, '}')
}

// appendName appends the name of a member, with a comma if it is not the first
// of the object that begins at start.
func appendName(b []byte, start int, name string) []byte {
	if len(b) > start+1 {
		b = append(b, ',')
	}
	return append(appendText(b, name), ':')
}

// appendText appends a JSON string; what is not UTF-8 is replaced.
func appendText(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text)
	return b
}

func textValue(text string) Value { return appendText(nil, text) }
