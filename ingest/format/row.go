package format

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// row is the named values of one prediction, in or out.
type row = []Member

// call is what a record says of one request to a model: what went in, what came
// out, or both.
type call struct {
	model, version, id string
	time               Value
	inputs, outputs    []row // nil: the record does not have them
	tags               []Member
	extra              []Member
	opaque             Value // what is told of a side that is bytes, not values
}

// events makes an event of each row. A request of one row has its own id, one of
// several has rows "<id>/<index>", so that both halves of a request, and labels
// for it, say the same id. What only went in or only came out is half a row.
func (o *Options) events(c *call, events []Event) ([]Event, error) {
	kind, n := modelwatch.KindPrediction, len(c.inputs)
	if c.inputs == nil || c.outputs == nil {
		// Only one half may say the model and the version: the configuration makes
		// them meet.
		c.model, c.version = cmp.Or(o.Model, c.model), cmp.Or(o.Version, c.version)
	}
	switch {
	case c.inputs == nil && c.outputs == nil:
		return events, invalid("the record has neither inputs nor outputs")
	case c.outputs == nil:
		kind = modelwatch.KindInput
	case c.inputs == nil:
		kind, n = modelwatch.KindOutput, len(c.outputs)
	case len(c.inputs) != len(c.outputs):
		return events, invalid("the request has %s and the response %s: they must be as many", plural(len(c.inputs), "row"), plural(len(c.outputs), "row"))
	}
	if n == 0 {
		return events, invalid("the request has no rows")
	}
	for i := range n {
		e := Event{Kind: kind, Model: c.model, Version: c.version, ID: rowID(c.id, i, n), Time: c.time, Tags: c.tags, Extra: c.extra}
		if c.inputs != nil {
			o.take(&e, c.inputs[i], false)
		}
		if c.outputs != nil {
			o.take(&e, c.outputs[i], true)
		}
		if c.opaque != nil {
			e.takeOpaque(c.opaque)
		}
		events = append(events, e)
	}
	return events, nil
}

// takeOpaque keeps what is told of bytes, under a name that is no column's.
func (e *Event) takeOpaque(v Value) {
	e.Opaque = true
	if m := (Member{"bin_data", v}); e.Kind == modelwatch.KindOutput {
		e.Prediction = append(e.Prediction, m)
	} else {
		e.Extra = append(e.Extra, m)
	}
}

// truths makes a label of each row of the truth about a request: what names it.
func (c *call) truths(rows []row, what string, events []Event) ([]Event, error) {
	if len(rows) == 0 {
		return events, failf(modelwatch.DeadNoLabel, "%s has no data", what)
	}
	for i, r := range rows {
		if len(r) != 1 {
			return events, failf(modelwatch.DeadNoLabel, "%s has %s in a row; it must be one", what, plural(len(r), "value"))
		}
		events = append(events, Event{
			Kind: modelwatch.KindLabel, Model: c.model, Version: c.version, ID: rowID(c.id, i, len(rows)), Time: c.time, Label: r[0].Value,
		})
	}
	return events, nil
}

func rowID(id string, i, n int) string {
	if n == 1 || id == "" {
		return id
	}
	return id + "/" + strconv.Itoa(i)
}

// part returns the part that a named value plays, "" if it is an ordinary one.
func (o *Options) part(name string) string { return o.parts[name] }

// take takes a row: values that play a part by configuration and, of outputs, by
// their names. Other inputs are features, other outputs are kept.
func (o *Options) take(e *Event, r row, out bool) {
	for _, m := range r {
		part := o.part(m.Name)
		switch {
		case m.Name == "-":
		case part != "":
			e.take(part, m)
		case out:
			e.takeOutput(m)
		default:
			e.Features = append(e.Features, m)
		}
	}
}

// flat appends the event of a row in which inputs, outputs and truth stand side
// by side: Columns says which is what, and the rest are features. A row with a
// prediction and its truth is two events of one id.
func (o *Options) flat(e Event, r row, events []Event) []Event {
	e.Kind = o.Kind
	o.take(&e, r, false)
	if e.Kind == "" {
		e.Kind = modelwatch.KindPrediction
	}
	if e.Kind == modelwatch.KindLabel || e.Label == nil {
		return append(events, e)
	}
	truth := Event{Kind: modelwatch.KindLabel, Model: e.Model, Version: e.Version, ID: e.ID, Time: e.Time, Label: e.Label}
	e.Label = nil
	return append(events, e, truth)
}

// take gives a value the part that Columns names; label is the truth.
func (e *Event) take(part string, m Member) {
	v := present(m.Value)
	switch part {
	case "id":
		e.ID = text(v)
	case "model":
		e.Model = text(v)
	case "version":
		e.Version = text(v)
	case "kind":
		e.Kind = modelwatch.Kind(text(v))
	case "time":
		e.Time = v
	case "label":
		e.Label = v
	case "group":
		e.Group = v
	case "weight":
		e.Weight = v
	case "predicted", "score":
		e.takeOutput(Member{part, m.Value})
	}
}

// takeOutput gives an output the meaning that its name has.
func (e *Event) takeOutput(m Member) {
	v := present(m.Value)
	class, isScore := strings.CutPrefix(m.Name, "score_")
	predicted := m.Name == "predicted" || m.Name == "predicted_label" // as SageMaker's own algorithms call it
	switch {
	case v == nil:
	case predicted && isNumber(v):
		// A version with classes takes a value for one, so what the number is need
		// not be known here.
		e.Prediction = append(e.Prediction, Member{"value", v})
	case predicted:
		e.Prediction = append(e.Prediction, Member{"label", v})
	case m.Name == "scores" && (v[0] == '{' || v[0] == '['):
		e.takeScores(v)
	case isScore && class != "":
		e.Scores = append(e.Scores, Member{class, v})
	default:
		e.Prediction = append(e.Prediction, m)
	}
}

// takeScores takes scores by class, or by the class's index.
func (e *Event) takeScores(v Value) {
	e.Scores = append(e.Scores, members(v)...)
	for i, score := range elements(v) {
		e.Scores = append(e.Scores, Member{strconv.Itoa(i), score})
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
