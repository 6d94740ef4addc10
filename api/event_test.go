package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

const linesType = "application/x-ndjson"

func TestSendEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, mediaType, body string
		want                        []string
	}{
		{"one object", "/v1/events", jsonType, ` {"kind":"prediction", "id":"1"} `, []string{`{"kind":"prediction", "id":"1"}`}},
		{"no content type", "/v1/events", "", `{"id":"1"}`, []string{`{"id":"1"}`}},
		{"lines", "/v1/events", linesType, "{\"id\":\"1\"}\r\n\n{\"id\":\"2\"}", []string{`{"id":"1"}`, `{"id":"2"}`}},
		{"other lines", "/v1/events", "application/jsonl", "{\"id\":\"1\"}\n", []string{`{"id":"1"}`}},
		{"label", "/v1/labels", jsonType, `{"id":"1"}`, []string{`{"kind":"label","id":"1"}`}},
		{"empty label", "/v1/labels", jsonType, `{ }`, []string{`{"kind":"label"}`}},
		{"labels", "/v1/labels", linesType, "{\"kind\":\"label\",\"id\":\"1\"}\n{\"id\":\"2\"}", []string{`{"kind":"label","id":"1"}`, `{"kind":"label","id":"2"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.want(http.StatusAccepted, http.MethodPost, tt.path, tt.body, "Content-Type", tt.mediaType).
				wantJSON(t, fmt.Sprintf(`{"accepted":%d}`, len(tt.want)))
			if diff := cmp.Diff(tt.want, b.producer.events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendEventsRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tooLong := `{"id":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, tt := range []struct {
		name, path, mediaType, body string
		status                      int
		locations                   []string
	}{
		{"empty", "/v1/events", jsonType, ``, 422, []string{"body"}},
		{"no lines", "/v1/events", linesType, "\n\n", 422, []string{"body"}},
		{"array", "/v1/events", jsonType, `[{"id":"1"}]`, 422, []string{"body"}},
		{"text", "/v1/events", jsonType, `"x"`, 422, []string{"body"}},
		{"two objects", "/v1/events", jsonType, "{\"id\":\"1\"}\n{\"id\":\"2\"}", 422, []string{"body"}},
		{"broken lines", "/v1/events", linesType, "{\"id\":\"1\"}\n\n{\"id\"\n7\n{}", 422, []string{"body line 3", "body line 4"}},
		{"long line", "/v1/events", linesType, "{}\n" + tooLong, 422, []string{"body line 2"}},
		{"too much", "/v1/events", linesType, strings.Repeat("{}\n", 3<<20), 413, nil},
		{"prediction as label", "/v1/labels", linesType, "{}\n{\"kind\":\"prediction\"}", 422, []string{"body line 2"}},
		{"csv of events", "/v1/events", "text/csv", "id,label\n1,2", 415, []string{"header.Content-Type"}},
		{"uri among lines", "/v1/labels", linesType, "{}\n{\"uri\":\"s3://bucket/labels.parquet\"}", 422, []string{"body line 2"}},
		{"html", "/v1/labels", "text/html", "x", 415, []string{"header.Content-Type"}},
	} {
		b.wantProblem(tt.status, tt.locations, http.MethodPost, tt.path, tt.body, "Content-Type", tt.mediaType)
	}
	b.wantProblem(415, []string{"header.Content-Encoding"}, http.MethodPost, "/v1/events", "{}", "Content-Encoding", "gzip")
	p := b.wantProblem(422, manyLines(20), http.MethodPost, "/v1/events", strings.Repeat("x\n", 1000), "Content-Type", linesType)
	if p.Errors[0].Value != "x" {
		t.Errorf("shown value %v", p.Errors[0].Value)
	}
	if len(b.producer.events) > 0 {
		t.Errorf("%d events were written in spite of it", len(b.producer.events))
	}
}

func manyLines(n int) (locations []string) {
	for i := range n {
		locations = append(locations, fmt.Sprintf("body line %d", i+1))
	}
	return locations
}

func TestSendEventsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.producer.err = modelwatch.Wrap(modelwatch.CodeUnavailable, errors.New("dial tcp: secret-host"), "kafka does not answer")
	a := b.want(http.StatusServiceUnavailable, http.MethodPost, "/v1/events", "{}")
	if a.Header.Get("Retry-After") == "" || strings.Contains(string(a.body), "secret-host") {
		t.Errorf("retry-after %q, body %s", a.Header.Get("Retry-After"), a.body)
	}
	if !strings.Contains(b.logs.String(), "secret-host") {
		t.Error("the cause is not logged")
	}
}
