package format

import (
	"context"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// kserve reads the events of KServe's inference logger: a CloudEvent with the
// body of the request and one with that of the response, of one id.
type kserve struct{ *Options }

func newKServe(o *Options) (Format, error) { return kserve{o}, nil }

func (f kserve) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	return eachCloudEvent(r, events, f.event)
}

func (f kserve) event(ce *cloudEvent, events []Event) ([]Event, error) {
	c := &call{id: ce.get("id"), time: ce.time(), tags: ce.tags("namespace", "component", "endpoint")}
	c.model = ce.get(f.attribute("model", "inferenceservicename"))
	c.version = ce.get(f.attribute("version", ""))
	return f.half(c, ce, events)
}

// attribute is the attribute that Columns names for a part.
func (o *Options) attribute(part, fallback string) string {
	if name := o.Columns[part]; name != "" {
		return strings.ToLower(name)
	}
	return fallback
}

// half takes an event whose data is a request or a response, which the end of the
// event's type tells.
func (o *Options) half(c *call, ce *cloudEvent, events []Event) ([]Event, error) {
	kind := ce.get("type")
	request, response := strings.HasSuffix(kind, ".request"), strings.HasSuffix(kind, ".response")
	if !request && !response {
		return events, failf(modelwatch.DeadUnknownKind, "the event's type is %q; it must end in .request or .response", shorten(kind))
	}
	s, rows := o.in(), &c.inputs
	if response {
		s, rows = o.out(), &c.outputs
	}
	v, behind, fail := splitBody(ce.data, ce.get(lengthHeader, lengthAttribute), s.tensorList())
	if fail != nil {
		return events, fail
	}
	s.behind, s.opaque = behind, &c.opaque
	if *rows, fail = s.body(v, false); fail != nil {
		return events, fail
	}
	return o.events(c, events)
}
