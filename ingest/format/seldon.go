package format

import (
	"context"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// seldon reads the topics of Seldon Core 2, whose records are messages of the V2
// protocol in protobuf, and what the request logger of Seldon Core 1 sends.
type seldon struct {
	*Options
	inference *inference
}

func newSeldon(o *Options) (Format, error) {
	i, err := newInference()
	return seldon{o, i}, err
}

func (f seldon) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	switch {
	case len(r.Value) > 0 && (r.Value[0] == '{' && r.header("ce_type", "ce-type", "type") == "" || strings.HasPrefix(r.header("content-type"), "application/cloudevents")):
	case r.header("ce_type", "ce-type") != "":
	case r.header("type") != "":
		return f.version1(plainEvent(r), events)
	default:
		return f.version2(r, events)
	}
	return eachCloudEvent(r, events, f.version1)
}

// plainEvent is a record that Seldon Core 1 has produced itself: its headers are
// named as the attributes of the CloudEvent would be.
func plainEvent(r *Record) *cloudEvent {
	c := &cloudEvent{data: r.Value}
	for _, h := range r.Headers {
		c.attributes = append(c.attributes, Member{strings.ToLower(h.Key), textValue(string(h.Value))})
	}
	return c
}

func (f seldon) version1(ce *cloudEvent, events []Event) ([]Event, error) {
	c := &call{id: ce.get("requestid", "id"), time: ce.time(), tags: ce.tags("namespace", "endpoint", "modelid")}
	c.model = ce.get(f.attribute("model", "inferenceservicename"))
	c.version = ce.get(f.attribute("version", ""))
	if !strings.HasSuffix(ce.get("type"), ".feedback") {
		return f.half(c, ce, events)
	}
	v, fail := parseData(ce.data)
	if fail != nil {
		return events, fail
	}
	return f.feedback(c, members(v), events)
}

// feedback takes the truth that a client has sent after a prediction.
func (f seldon) feedback(c *call, all []Member, events []Event) ([]Event, error) {
	truth := find(all, "truth")
	if truth == nil {
		return events, failf(modelwatch.DeadNoLabel, "the feedback has no truth")
	}
	for _, side := range []string{"response", "request"} {
		if puid := text(find(members(find(members(find(all, side)), "meta")), "puid")); puid != "" {
			c.id = puid // of the prediction; the feedback's own id is another
			break
		}
	}
	plain := (&Options{}).out()
	rows, fail := plain.body(truth, false)
	if fail != nil {
		return events, fail
	}
	return c.truths(rows, "the truth", events)
}

// version2 takes a record of a topic <prefix>.<namespace>.<model|pipeline>.<name>.<inputs|outputs>.
func (f seldon) version2(r *Record, events []Event) ([]Event, error) {
	if len(r.Value) == 0 {
		return events, failf(modelwatch.DeadEmpty, "the record has no value")
	}
	parts := strings.Split(r.Topic, ".")
	last := parts[len(parts)-1]
	response := last == "outputs" || f.Kind == modelwatch.KindOutput
	if !response && last != "inputs" && f.Kind != modelwatch.KindInput {
		return events, failf(modelwatch.DeadUnknownKind, "the topic %q ends in neither .inputs nor .outputs, and no kind is configured", r.Topic)
	}
	m, fail := f.message(r.Value, response)
	if fail != nil {
		return events, fail
	}
	c := &call{id: r.header("x-request-id"), model: m.model, version: f.Version}
	if c.id == "" {
		c.id = string(r.Key)
	}
	if c.id == "" {
		c.id = m.id
	}
	if n := len(parts); n >= 4 && (last == "inputs" || last == "outputs") {
		c.model = parts[n-2]
	}
	if response {
		c.outputs, fail = f.out().tensors(m.tensors)
	} else {
		c.inputs, fail = f.in().tensors(m.tensors)
	}
	if fail != nil {
		return events, fail
	}
	return f.events(c, events)
}

// message takes the bytes, and also those behind the header of a schema registry:
// a zero byte, four of the schema's id, and the message's place in the schema.
func (f seldon) message(b []byte, response bool) (*message, *Failure) {
	if b[0] != 0 || len(b) < 6 {
		return f.inference.decode(b, response)
	}
	b = b[5:]
	m, fail := f.inference.decode(b, response)
	for range 3 { // no message of the protocol begins with what may stand for the place
		if fail == nil || len(b) < 2 {
			break
		}
		b = b[1:]
		m, fail = f.inference.decode(b, response)
	}
	return m, fail
}
