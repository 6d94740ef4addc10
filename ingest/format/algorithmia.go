package format

import "context"

// algorithmia reads the messages of Algorithmia Insights: one flat object per
// execution, with what the platform knows of it and up to 25 metrics of the
// algorithm's own. The metrics are features, and so is duration_milliseconds.
type algorithmia struct{ *Options }

func newAlgorithmia(o *Options) (Format, error) { return algorithmia{o}, nil }

func (f algorithmia) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	all, fail := parseObject(r.Value)
	if fail != nil {
		return events, fail
	}
	e := Event{Time: find(all, "time")}
	if e.Time == nil {
		e.Time = find(all, "timestamp") // as the manual calls it
	}
	var metrics row
	for _, m := range all {
		switch m.Name {
		case "algorithm_name":
			e.Model = text(m.Value)
		case "algorithm_version":
			e.Version = text(m.Value)
		case "request_id":
			e.ID = text(m.Value)
		case "algorithm_owner":
			if v := present(m.Value); v != nil {
				e.Tags = append(e.Tags, m)
			}
		case "session_id":
			if v := present(m.Value); v != nil {
				e.Extra = append(e.Extra, m)
			}
		case "time", "timestamp":
		default:
			metrics = append(metrics, m)
		}
	}
	return f.flat(e, metrics, events), nil
}
