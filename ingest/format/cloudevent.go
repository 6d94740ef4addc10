package format

import (
	"encoding/base64"
	"strings"
)

// cloudEvent is a CloudEvents 1.0 envelope: its attributes and its data.
type cloudEvent struct {
	attributes []Member // strings, by name in lower case
	data       []byte
	blob       bool // the data is not JSON: it came as base64
}

func (c *cloudEvent) get(names ...string) string {
	for _, name := range names {
		if t := text(find(c.attributes, name)); t != "" {
			return t
		}
	}
	return ""
}

// cloudEvents takes a record in the structured mode, in the batched mode, or in
// the binary mode, in which the attributes are headers: ce_id, or ce-id where a
// bridge copied them from HTTP.
func cloudEvents(r *Record) ([]cloudEvent, *Failure) {
	kind := strings.ToLower(r.header("content-type"))
	structured := strings.HasPrefix(kind, "application/cloudevents")
	if !structured && r.header("ce_type", "ce-type") != "" {
		c := cloudEvent{data: r.Value}
		for _, h := range r.Headers {
			name := strings.ToLower(h.Key)
			switch {
			case len(name) > 3 && (strings.HasPrefix(name, "ce_") || strings.HasPrefix(name, "ce-")):
				c.attributes = append(c.attributes, Member{name[3:], textValue(string(h.Value))})
			case name == lengthHeader:
				c.attributes = append(c.attributes, Member{name, textValue(string(h.Value))})
			}
		}
		return []cloudEvent{c}, nil
	}
	v, fail := parse(r.Value)
	if fail != nil {
		return nil, fail
	}
	list := []Value{v}
	if v[0] == '[' {
		list = elements(v)
	}
	var out []cloudEvent
	for _, one := range list {
		c, fail := structuredEvent(one)
		if fail != nil {
			return nil, fail
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, invalid("the batch of events is empty")
	}
	return out, nil
}

// eachCloudEvent appends the events that one gives for each CloudEvent of a record.
func eachCloudEvent(r *Record, events []Event, one func(*cloudEvent, []Event) ([]Event, error)) ([]Event, error) {
	list, fail := cloudEvents(r)
	if fail != nil {
		return events, fail
	}
	for i := range list {
		if len(events) > maxRows {
			return events, tooMany(len(events))
		}
		var err error
		if events, err = one(&list[i], events); err != nil {
			return events, err
		}
	}
	return events, nil
}

func structuredEvent(v Value) (c cloudEvent, fail *Failure) {
	all := members(v)
	if find(all, "specversion") == nil || find(all, "type") == nil {
		return c, invalid("the record is no CloudEvent: there are neither headers ce_type and ce_id nor members specversion and type")
	}
	for _, m := range all {
		switch m.Name {
		case "data":
			c.data = m.Value
		case "data_base64":
			var err error
			if c.data, err = base64.StdEncoding.DecodeString(text(m.Value)); err != nil {
				return c, invalid("data_base64 is not base64: %v", err)
			}
		case "datainblob":
			c.blob = text(m.Value) == "true" || string(m.Value) == "true"
		default:
			c.attributes = append(c.attributes, Member{strings.ToLower(m.Name), m.Value})
		}
	}
	return c, nil
}

// parseData is parse for the data of an event.
func parseData(data []byte) (Value, *Failure) {
	if len(data) == 0 || string(data) == "null" {
		return nil, noData()
	}
	return parse(data)
}

func noData() *Failure { return invalid("the event has no data") }

// time is the event's, nil if it has none. Azure's collector has seconds since 1970
// where the specification has text.
func (c *cloudEvent) time() Value {
	v := find(c.attributes, "time")
	if n := Value(text(v)); isNumber(n) && n.IsValid() {
		return n
	}
	return v
}

// tags are the attributes of those names.
func (c *cloudEvent) tags(names ...string) []Member {
	var out []Member
	for _, name := range names {
		if v := find(c.attributes, name); v != nil && text(v) != "" {
			out = append(out, Member{name, v})
		}
	}
	return out
}
