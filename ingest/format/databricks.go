package format

import "context"

// databricks reads rows of an inference table as JSON: one object per request,
// in which request and response are JSON in strings.
type databricks struct{ *Options }

func newDatabricks(o *Options) (Format, error) { return databricks{o}, nil }

func (f databricks) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	all, fail := parseObject(r.Value)
	if fail != nil {
		return events, fail
	}
	if status := find(all, "status_code"); status != nil && text(status) != "200" {
		return events, nil // the request failed: nothing was predicted
	}
	meta := find(all, "request_metadata")
	if len(meta) > 0 && meta[0] == '"' {
		if meta, fail = parse([]byte(text(meta))); fail != nil {
			return events, fail
		}
	}
	c := &call{
		id:      first(all, "client_request_id", "databricks_request_id"),
		model:   first(members(meta), "model_name", "endpoint_name"),
		version: first(members(meta), "model_version"),
		time:    find(all, "timestamp_ms"),
	}
	if c.time == nil {
		c.time = find(all, "request_time")
	}
	if c.inputs, fail = f.payload(f.in(), all, "request"); fail != nil {
		return events, fail
	}
	if c.outputs, fail = f.payload(f.out(), all, "response"); fail != nil {
		return events, fail
	}
	return f.events(c, events)
}

// payload takes a body that is JSON in a string, or JSON.
func (f databricks) payload(s side, all []Member, name string) ([]row, *Failure) {
	v := find(all, name)
	if v == nil {
		return nil, nil
	}
	if v[0] == '"' {
		var fail *Failure
		if v, fail = parse([]byte(text(v))); fail != nil {
			fail.Detail = name + ": " + fail.Detail
			return nil, fail
		}
	}
	return s.body(v, true)
}

// first returns the text of the first of the members that is there.
func first(all []Member, names ...string) string {
	for _, name := range names {
		if t := text(find(all, name)); t != "" {
			return t
		}
	}
	return ""
}
