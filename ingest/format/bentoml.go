package format

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
)

// bentoml reads the lines that BentoML's monitoring writes: flat objects, of which
// Columns says which member is the prediction. Lines that describe the columns
// are passed over.
type bentoml struct {
	*Options
	zone *time.Location
}

func newBentoML(o *Options) (Format, error) {
	zone, err := time.LoadLocation(o.Timezone) // "" is UTC
	return bentoml{o, zone}, err
}

func (f bentoml) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	all, fail := parseObject(r.Value)
	if fail != nil {
		return events, fail
	}
	if find(all, "meta_data") != nil && find(all, "columns") != nil {
		return events, nil
	}
	e := Event{ID: text(find(all, "request_id"))}
	var rest row
	for _, m := range all {
		switch {
		case f.part(m.Name) != "":
			rest = append(rest, m)
		case m.Name == "timestamp":
			if e.Time, fail = f.local(m.Value); fail != nil {
				return events, fail
			}
		case m.Name == "trace_id":
			e.Extra = append(e.Extra, m)
		case m.Name != "request_id":
			rest = append(rest, m)
		}
	}
	return f.flat(e, rest, events), nil
}

// local reads a time without a zone: the producer's local one.
func (f bentoml) local(v Value) (Value, *Failure) {
	if present(v) == nil || v[0] != '"' || f.zone == time.UTC {
		return present(v), nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999", text(v), f.zone)
	if err != nil {
		return nil, failf(modelwatch.DeadInvalidTime, "timestamp is %s; it must be as 2006-01-02T15:04:05.999999", shorten(string(v)))
	}
	return timeValue(t), nil
}
