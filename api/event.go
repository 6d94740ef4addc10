package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

const (
	// maxEventsBytes bounds the body of one call: all of it is checked before
	// any of it is written.
	maxEventsBytes = 8 << 20
	// maxEventBytes bounds one event, as Kafka's usual limit does.
	maxEventBytes = 1 << 20
	// maxEventFaults is how many bad lines one answer names.
	maxEventFaults = 20
)

// Accepted is the answer to events.
type Accepted struct {
	Accepted int `json:"accepted" doc:"How many events were written."`
}

type acceptedOutput struct {
	Body Accepted
}

// EventsInput is a body of events. It is exported because huma fills fields of
// exported types only.
type EventsInput struct {
	Upload Upload
}

func (s *Server) registerEvents() {
	for _, op := range [...]struct {
		id, path, summary, kind string
	}{
		{"send-events", "/v1/events", "Send events", ""},
		{"send-labels", "/v1/labels", "Send labels", "label"},
	} {
		call(s, huma.Operation{
			OperationID: op.id, Method: http.MethodPost, Path: op.path, Tags: []string{"events"},
			Summary: op.summary + " without a Kafka client",
			Description: `One JSON object, or JSON lines with an object each; at most 8 MiB, and 1 MiB for each. They are written to Kafka and
take the same way as all others. If one line is no JSON object, nothing is written and the answer names the lines. Sending
the same events again is safe: the first of each id counts.`,
			DefaultStatus: http.StatusAccepted,
		}, func(ctx context.Context, in *EventsInput) (*acceptedOutput, error) {
			return s.sendEvents(ctx, in, op.kind)
		})
		event := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Examples: []any{eventExample(op.kind)}}
		lines := &huma.Schema{Type: huma.TypeString, Description: "An object per line."}
		s.describeBody(op.path, "", map[string]*huma.MediaType{
			jsonMediaType: {Schema: event}, "application/x-ndjson": {Schema: lines}, "application/jsonl": {Schema: lines},
		})
	}
}

func eventExample(kind string) any {
	if kind == "label" {
		return map[string]any{"model": "fraud", "id": "req-1", "time": "2026-11-23T10:00:00Z", "label": "fraud"}
	}
	return map[string]any{
		"kind": "prediction", "model": "fraud", "version": "3.1.0", "id": "req-1", "time": "2026-11-21T10:00:00Z",
		"features": map[string]any{"amount": 12.5, "country": "DE"}, "prediction": map[string]any{"score": 0.93, "label": "fraud"},
	}
}

func (s *Server) sendEvents(ctx context.Context, in *EventsInput, kind string) (*acceptedOutput, error) {
	if s.opts.Producer == nil {
		return nil, modelwatch.Errorf(modelwatch.CodeUnimplemented, "this server has no Kafka topic to write to: see kafka in its configuration")
	}
	lines, err := in.Upload.jsonLines()
	if err != nil {
		return nil, err
	}
	body, err := in.Upload.text(maxEventsBytes)
	if err != nil {
		return nil, err
	}
	events, err := splitEvents(body, lines, kind)
	if err != nil {
		return nil, err
	}
	if err := s.opts.Producer.Produce(ctx, events); err != nil {
		return nil, fmt.Errorf("write events: %w", err)
	}
	return &acceptedOutput{Body: Accepted{Accepted: len(events)}}, nil
}

// jsonLines tells from the content type whether the body has an object per line.
func (u *Upload) jsonLines() (bool, error) {
	t, err := u.mediaType()
	if err != nil {
		return false, err
	}
	switch t {
	case "application/x-ndjson", "application/jsonl", "application/x-jsonlines":
		return true, nil
	case jsonMediaType, "":
		return false, nil
	case "text/csv", "application/vnd.apache.parquet":
		return false, &modelwatch.Error{
			Code:    modelwatch.CodeUnimplemented,
			Message: "events and labels as Parquet or CSV are not offered by this version yet: send JSON lines",
			Fields:  []modelwatch.FieldError{{Location: "header.Content-Type", Message: "not offered by this version yet", Value: t}},
		}
	}
	return false, headerProblem(http.StatusUnsupportedMediaType, "Content-Type", t, "must be %s, application/x-ndjson or application/jsonl", jsonMediaType)
}

// text reads a body of bounded size.
func (u *Upload) text(limit int) ([]byte, error) {
	if encoding := u.ctx.Header("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, headerProblem(http.StatusUnsupportedMediaType, "Content-Encoding", encoding, "must be absent here")
	}
	body, err := io.ReadAll(io.LimitReader(u, int64(limit)+1))
	switch {
	case err != nil:
		return nil, u.fault()
	case len(body) > limit:
		return nil, statusProblem(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", limit)
	}
	return body, nil
}

// splitEvents takes the body apart and checks every part before any is used.
func splitEvents(body []byte, lines bool, kind string) ([][]byte, error) {
	var events [][]byte
	var f faults
	if !lines {
		event, err := checkEvent(bytes.TrimSpace(body), kind)
		if errors.Is(err, errLabelsByURI) {
			return nil, err
		}
		if err != nil {
			f.add("body", string(body), "%s", err)
		}
		return [][]byte{event}, f.err("the event, which was not written,")
	}
	scanner := bufio.NewScanner(bytes.NewReader(body))
	scanner.Buffer(nil, maxEventsBytes+1)
	for n := 1; scanner.Scan() && len(f) < maxEventFaults; n++ {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		event, err := checkEvent(line, kind)
		if err != nil {
			f.add(fmt.Sprintf("body line %d", n), string(line), "%s", err)
			continue
		}
		events = append(events, event)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("split lines: %w", err)
	}
	if len(f) == 0 && len(events) == 0 {
		f.add("body", nil, "is empty: send one JSON object per line")
	}
	if err := f.err("the body, of which nothing was written,"); err != nil {
		return nil, err
	}
	return events, nil
}

// errLabelsByURI refuses a body that says where labels are.
var errLabelsByURI = &modelwatch.Error{ //nolint:gochecknoglobals // a constant
	Code:    modelwatch.CodeUnimplemented,
	Message: "labels by uri are not offered by this version yet: send them as JSON lines",
	Fields:  []modelwatch.FieldError{{Location: "body.uri", Message: "not offered by this version yet"}},
}

// checkEvent makes sure of a JSON object, and of its kind where the call
// decides it, and returns a copy to be written.
func checkEvent(text []byte, kind string) ([]byte, error) {
	if len(text) > maxEventBytes {
		return nil, fmt.Errorf("has %d bytes: at most %d are allowed", len(text), maxEventBytes)
	}
	var event map[string]json.RawMessage // no struct: its fields would match names in other case too
	if len(text) == 0 || text[0] != '{' {
		return nil, errors.New("is not a JSON object")
	}
	if err := json.Unmarshal(text, &event); err != nil {
		return nil, fmt.Errorf("is not valid JSON: %w", err)
	}
	if kind == "" {
		return bytes.Clone(text), nil
	}
	if _, elsewhere := event["uri"]; elsewhere && event["id"] == nil {
		return nil, errLabelsByURI
	}
	given, ok := event["kind"]
	if !ok {
		rest := bytes.TrimSpace(text[1:])
		head := `{"kind":"` + kind + `"`
		if rest[0] != '}' {
			head += ","
		}
		return append([]byte(head), rest...), nil
	}
	if string(given) != `"`+kind+`"` {
		return nil, fmt.Errorf("has the kind %s: this call takes the kind %q only, or none", cut(string(given), maxEchoBytes), kind)
	}
	return bytes.Clone(text), nil
}
