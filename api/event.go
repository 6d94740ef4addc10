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
	"strings"

	"github.com/danielgtaylor/huma/v2"
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
	const path = "/v1/events"
	call(s, huma.Operation{
		OperationID: "send-events", Method: http.MethodPost, Path: path, Tags: []string{"events"},
		Summary: "Send events without a Kafka client",
		Description: `One JSON object, or JSON lines with an object each; at most 8 MiB, and 1 MiB for each. They are written to Kafka and
take the same way as all others. If one line is no JSON object, nothing is written and the answer names the lines. Sending
the same events again is safe: the first of each id counts.`,
		DefaultStatus: http.StatusAccepted,
	}, func(ctx context.Context, in *EventsInput) (*acceptedOutput, error) {
		lines, body, err := in.Upload.eventText()
		if err != nil {
			return nil, err
		}
		return s.sendEvents(ctx, body, lines, "")
	})
	s.describeBody(path, "", eventContent(map[string]any{
		"kind": "prediction", "model": "fraud", "version": "3.1.0", "id": "req-1", "time": "2026-11-21T10:00:00Z",
		"features": map[string]any{"amount": 12.5, "country": "DE"}, "prediction": map[string]any{"score": 0.93, "label": "fraud"},
	}))
}

// eventContent describes bodies of events.
func eventContent(example any) map[string]*huma.MediaType {
	event := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Examples: []any{example}}
	lines := &huma.Schema{Type: huma.TypeString, Description: "An object per line."}
	return map[string]*huma.MediaType{
		jsonMediaType: {Schema: event}, linesMediaType: {Schema: lines}, "application/jsonl": {Schema: lines},
	}
}

func (s *Server) sendEvents(ctx context.Context, body []byte, lines bool, kind string) (*acceptedOutput, error) {
	events, err := splitEvents(body, lines, kind)
	if err != nil {
		return nil, err
	}
	if err := s.opts.Producer.Produce(ctx, events); err != nil {
		return nil, fmt.Errorf("write events: %w", err)
	}
	return &acceptedOutput{Body: Accepted{Accepted: len(events)}}, nil
}

// eventText reads a body of events and tells from the content type whether it has
// an object per line. others are what else the call takes, for the error.
func (u *Upload) eventText(others ...string) (lines bool, body []byte, err error) {
	t, err := u.mediaType()
	if err != nil {
		return false, nil, err
	}
	switch t {
	case linesMediaType, "application/jsonl", "application/x-jsonlines":
		lines = true
	case jsonMediaType, "":
	default:
		known := append([]string{jsonMediaType, linesMediaType, "application/jsonl"}, others...)
		return false, nil, headerProblem(http.StatusUnsupportedMediaType, "Content-Type", t, "must be one of %s", strings.Join(known, ", "))
	}
	body, err = u.text(maxEventsBytes)
	return lines, body, err
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
		return nil, errors.New("has a uri and no id: send a uri by itself, as application/json")
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
