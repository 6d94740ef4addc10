package format

import (
	"context"
	"strings"
)

// azureml reads the objects of Azure ML's data collector: CloudEvents whose data
// is a list of rows. Inputs and outputs come apart, and the same place in lists of
// the same correlation id is the same prediction.
type azureml struct{ *Options }

func newAzureML(o *Options) (Format, error) { return azureml{o}, nil }

func (f azureml) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	return eachCloudEvent(r, events, f.event)
}

func (f azureml) event(ce *cloudEvent, events []Event) ([]Event, error) {
	if ce.blob {
		return events, invalid("the data is in a blob of its own, because it is larger than 4 MB")
	}
	c := &call{id: ce.get("correlationid", "xrequestid", "x-request-id"), time: ce.time()}
	c.model, c.version = endpoint(ce.get("source"))
	kind := ce.get("type")
	name := kind[strings.LastIndexByte(kind, '.')+1:]
	v, fail := parseData(ce.data)
	if fail != nil {
		return events, fail
	}
	if v[0] == '"' { // JSON in JSON
		if v, fail = parse([]byte(text(v))); fail != nil {
			return events, fail
		}
	}
	var rows []row
	switch name {
	case "model_outputs", "response":
		c.outputs, fail = f.out().body(v, true)
	case "model_inputs", "request":
		c.inputs, fail = f.in().body(v, true)
	default: // of the user's own, such as model_inputs_outputs: columns say what is what
		rows, fail = f.in().body(v, true)
	}
	if fail != nil {
		return events, fail
	}
	if rows == nil {
		return f.events(c, events)
	}
	for i, r := range rows {
		events = f.flat(Event{Model: c.model, Version: c.version, ID: rowID(c.id, i, len(rows)), Time: c.time}, r, events)
	}
	return events, nil
}

// endpoint finds the names of the endpoint and of the deployment in the resource
// .../onlineEndpoints/<endpoint>/deployments/<deployment>.
func endpoint(source string) (model, version string) {
	parts := strings.Split(source, "/")
	for i := 0; i+1 < len(parts); i++ {
		switch strings.ToLower(parts[i]) {
		case "onlineendpoints":
			model = parts[i+1]
		case "deployments":
			version = parts[i+1]
		}
	}
	return model, version
}
