package format

import "context"

// mlserver reads the topics of MLServer's Kafka consumer: requests and responses
// of the V2 protocol, whose key is their id.
type mlserver struct{ *Options }

func newMLServer(o *Options) (Format, error) { return mlserver{o}, nil }

func (f mlserver) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	v, fail := parse(r.Value)
	if fail != nil {
		return events, fail
	}
	all := members(v)
	c := &call{id: string(r.Key), model: r.header("mlserver-model"), version: r.header("mlserver-version")}
	if c.id == "" {
		c.id = text(find(all, "id"))
	}
	if c.model == "" {
		c.model = text(find(all, "model_name"))
	}
	if c.version == "" {
		c.version = text(find(all, "model_version"))
	}
	if find(all, "outputs") != nil {
		c.outputs, fail = f.out().body(v, false)
	} else {
		c.inputs, fail = f.in().body(v, false)
	}
	if fail != nil {
		return events, fail
	}
	return f.events(c, events)
}
