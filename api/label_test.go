package api_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// fakeLabels keeps what it is asked for and counts two rows.
type fakeLabels struct {
	asked []api.LabelRequest
	body  string
	err   error
}

func (f *fakeLabels) SendLabels(_ context.Context, r api.LabelRequest) (int, error) {
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, err
		}
		f.body, r.Body = string(text), nil
	}
	f.asked = append(f.asked, r)
	return 2, f.err
}

func TestSendLabelTable(t *testing.T) {
	t.Parallel()
	const query = "?model=fraud&version=3&id=request&time=at&label=repaid"
	want := api.LabelRequest{Model: "fraud", Version: "3", Mapping: modelwatch.ColumnMapping{ID: "request", Time: "at", Label: "repaid"}}
	for _, tt := range []struct {
		name, mediaType, body, contentType, uri string
	}{
		{"csv", "text/csv; charset=utf-8", "request,repaid\n1,2", "text/csv", ""},
		{"parquet", "application/vnd.apache.parquet", "PAR1", "application/vnd.apache.parquet", ""},
		{"bytes", "application/octet-stream", "PAR1", "application/octet-stream", ""},
		{"uri", jsonType, ` {"uri":"s3://bucket/labels.parquet"}`, "", "s3://bucket/labels.parquet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeLabels{}
			b := setup(t, func(o *api.Options) { o.Labels = fake })
			b.want(http.StatusAccepted, http.MethodPost, "/v1/labels"+query, tt.body, "Content-Type", tt.mediaType).wantJSON(t, `{"accepted":2}`)
			want := want
			want.ContentType, want.URI = tt.contentType, tt.uri
			if diff := cmp.Diff([]api.LabelRequest{want}, fake.asked); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
			if tt.uri == "" && fake.body != tt.body {
				t.Errorf("the body is %q, want %q", fake.body, tt.body)
			}
			if len(b.producer.events) > 0 {
				t.Errorf("events were written: %q", b.producer.events)
			}
		})
	}
}

func TestSendLabelTableRefuses(t *testing.T) {
	t.Parallel()
	fake := &fakeLabels{}
	b := setup(t, func(o *api.Options) { o.Labels = fake })
	const uri = `{"uri":"s3://bucket/labels.csv"}`
	for _, tt := range []struct {
		name, query, mediaType, body string
		status                       int
		locations                    []string
	}{
		{"no model", "", "text/csv", "_id,_label\n1,2", 422, []string{"query.model"}},
		{"no model of a uri", "?id=x", jsonType, uri, 422, []string{"query.model"}},
		{"other uri", "?model=m", jsonType, `{"uri":"file:///etc/passwd"}`, 422, []string{"body.uri"}},
		{"uri of a number", "?model=m", jsonType, `{"uri":7}`, 422, []string{"body.uri"}},
		{"more than a uri", "?model=m", jsonType, `{"uri":"s3://bucket/x","model":"m","b":1}`, 422, []string{"body.b", "body.model"}},
		{"columns of a label", "?label=repaid", jsonType, `{"model":"m","id":"1","label":1}`, 422, []string{"query"}},
		{"columns of lines", "?model=m", linesType, `{"model":"m","id":"1","label":1}`, 422, []string{"query"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.wantProblem(tt.status, tt.locations, http.MethodPost, "/v1/labels"+tt.query, tt.body, "Content-Type", tt.mediaType)
		})
	}
	b.wantProblem(415, []string{"header.Content-Encoding"}, http.MethodPost, "/v1/labels?model=m", "x", "Content-Type", "text/csv", "Content-Encoding", "br")
	if len(fake.asked) > 0 || len(b.producer.events) > 0 {
		t.Errorf("written in spite of it: %+v, %q", fake.asked, b.producer.events)
	}
	fake.err = modelwatch.Errorf(modelwatch.CodeInvalid, "the table has no column _label")
	b.wantProblem(422, nil, http.MethodPost, "/v1/labels?model=m", "a\n1", "Content-Type", "text/csv")
}
