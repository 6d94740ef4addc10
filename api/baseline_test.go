package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

const baselinesPath = "/v1/models/fraud/versions/1/baselines"

func setupBaselines(t *testing.T, change ...func(*api.Options)) *testBundle {
	t.Helper()
	b := setup(t, change...)
	b.putModel("fraud", modelwatch.TaskBinary)
	b.putVersion("fraud", "1")
	return b
}

func TestRegisterBaseline(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	first := b.want(http.StatusCreated, http.MethodPost, baselinesPath+"?score=y_pred_proba&label=repaid&id=row&time=ts&predicted=p&group=g&weight=w",
		"amount,country\n1,DE\n", "Content-Type", "text/csv; charset=utf-8")
	const want = `{"id":"b-20","model":"fraud","version":"1","status":"ready","content_sha256":"00","rows":3,"created_at":"2026-11-21T10:07:00Z","columns":[
{"name":"amount","type":"number","subject":"feature","bins":[{"upper":10.5},{"upper":null}],"counts":[2,1],"quantiles":[{"q":0.5,"value":10}],"mean":7.25,"missing":0,"invalid":1},
{"name":"country","type":"category","subject":"feature","bins":[{"value":"DE"},{"value":""},{"other":true}],"counts":[1,1,1],"missing":0,"invalid":0}]}`
	first.wantJSON(t, want)
	if got := first.Header.Get("Location"); got != baselinesPath+"/b-20" {
		t.Errorf("location %q", got)
	}
	req, body := b.baselines.request()
	mapping := modelwatch.ColumnMapping{ID: "row", Time: "ts", Score: "y_pred_proba", Predicted: "p", Label: "repaid", Group: "g", Weight: "w"}
	if req.ContentType != "text/csv" || req.Mapping != mapping || req.URI != "" || body != "amount,country\n1,DE\n" {
		t.Errorf("asked for %+v with %q", req, body)
	}
	b.want(http.StatusCreated, http.MethodPost, baselinesPath, "amount,country\n1,DE\n", "Content-Type", "text/csv").wantJSON(t, want)
	b.want(http.StatusOK, http.MethodGet, first.Header.Get("Location"), "").wantJSON(t, want)
	b.want(http.StatusOK, http.MethodGet, baselinesPath, "").wantJSON(t,
		`{"items":[{"id":"b-20","model":"fraud","version":"1","status":"ready","content_sha256":"00","rows":3,"created_at":"2026-11-21T10:07:00Z"}]}`)
	b.wantProblem(404, nil, http.MethodGet, baselinesPath+"/nosuch", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/fraud/versions/nosuch/baselines", "")
}

func TestRegisterBaselineTypes(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	for _, mediaType := range api.UploadTypes {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			b.want(http.StatusCreated, http.MethodPost, baselinesPath, "x", "Content-Type", mediaType, "Content-Encoding", encoding)
			if req, _ := b.baselines.request(); req.ContentType != mediaType || req.ContentEncoding != encoding {
				t.Errorf("%s, %s arrived as %+v", mediaType, encoding, req)
			}
		}
	}
	b.wantProblem(415, []string{"header.Content-Type"}, http.MethodPost, baselinesPath, "x", "Content-Type", "text/html")
	b.wantProblem(415, []string{"header.Content-Type"}, http.MethodPost, baselinesPath, "x")
	b.wantProblem(415, []string{"header.Content-Type"}, http.MethodPost, baselinesPath, "x", "Content-Type", ";")
	b.wantProblem(415, []string{"header.Content-Encoding"}, http.MethodPost, baselinesPath, "x", "Content-Type", "text/csv", "Content-Encoding", "br")
	b.wantProblem(422, []string{"query.scores"}, http.MethodPost, baselinesPath+"?scores=x", "x", "Content-Type", "text/csv")
}

func TestRegisterBaselineByURI(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	b.want(http.StatusCreated, http.MethodPost, baselinesPath+"?score=s", `{"uri":"s3://bucket/train.parquet"}`, "Content-Type", jsonType)
	if req, _ := b.baselines.request(); req.URI != "s3://bucket/train.parquet" || req.Body != nil || req.Mapping.Score != "s" {
		t.Errorf("asked for %+v", req)
	}
	for _, tt := range []struct {
		body     string
		status   int
		location []string
	}{
		{`{"uri":`, 400, []string{"body"}},
		{`[]`, 400, []string{"body"}},
		{`{}`, 422, []string{"body.uri"}},
		{`{"uri":7}`, 422, []string{"body.uri"}},
		{`{"uri":"file:///etc/passwd"}`, 422, []string{"body.uri"}},
		{`{"uri":"s3://"}`, 422, []string{"body.uri"}},
		{`{"uri":"s3://b/k","z":1,"a":2}`, 422, []string{"body.a", "body.z"}},
		{`{"uri":"s3://b/k","window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-02T00:00:00Z"}}`, 422, []string{"body.window"}},
		{`{"window":"yesterday"}`, 422, []string{"body.window"}},
		{`{"window":{"start":"2026-01-01T00:00:00Z","until":7}}`, 422, []string{"body.window"}},
		{`{"window":{"start":"2026-01-01T00:00:00Z"}}`, 422, []string{"body.window.end"}},
		{`{"window":{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}}`, 422, []string{"body.window.end"}},
		{`{"window":{"start":"2024-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}}`, 422, []string{"body.window.end"}},
	} {
		b.wantProblem(tt.status, tt.location, http.MethodPost, baselinesPath, tt.body, "Content-Type", jsonType)
	}
	large := `{"uri":"` + strings.Repeat("x", 1<<20) + `"}`
	b.wantProblem(413, nil, http.MethodPost, baselinesPath, large, "Content-Type", jsonType)
}

func TestRegisterBaselineOfWindowOrStatistics(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	window := modelwatch.Window{Start: now.Add(-time.Hour), End: now}
	statistics := `{"version":0.0,"dataset":{"item_count":3},"features":[]}`
	for _, r := range []api.RegisterRequest{{Window: &window}, {Statistics: []byte(statistics)}} {
		r.Model, r.Version = "fraud", "1"
		if _, err := b.client.RegisterBaseline(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got, _ := b.baselines.request()
		if got.Body != nil || got.URI != "" || string(got.Statistics) != string(r.Statistics) || (got.Window == nil) != (r.Window == nil) || got.Window != nil && *got.Window != window {
			t.Errorf("asked for %+v", got)
		}
	}
}

func TestRegisterBaselineProfiling(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	b.baselines.status = modelwatch.BaselineProfiling
	a := b.want(http.StatusAccepted, http.MethodPost, baselinesPath, "x", "Content-Type", "text/csv")
	const want = `{"id":"b-1","model":"fraud","version":"1","status":"profiling","content_sha256":"00","rows":3,"created_at":"2026-11-21T10:07:00Z"}`
	a.wantJSON(t, want)
	b.want(http.StatusOK, http.MethodGet, a.Header.Get("Location"), "").wantJSON(t, want)
}

func TestRegisterBaselineFails(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	b.baselines.err = &modelwatch.Error{Code: modelwatch.CodeInvalid, Message: "the table cannot be read", Fields: []modelwatch.FieldError{
		{Location: "line 3, column amount", Message: "is not a number", Value: "x"},
	}}
	b.wantProblem(422, []string{"line 3, column amount"}, http.MethodPost, baselinesPath, "x", "Content-Type", "text/csv")
	b.baselines.err = modelwatch.Errorf(modelwatch.CodeNotFound, "there is no version")
	b.wantProblem(404, nil, http.MethodPost, baselinesPath, "x", "Content-Type", "text/csv")
}

// The first bytes reach the profiler while the last are not written yet: an
// upload that were held back would block here.
func TestRegisterBaselineStreams(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	b.baselines.firstRead = make(chan string)
	read, write := io.Pipe()
	done := make(chan error, 1)
	var got api.Baseline
	go func() {
		var err error
		got, err = b.client.RegisterBaseline(t.Context(), api.RegisterRequest{Model: "fraud", Version: "1", ContentType: "text/csv", Body: read})
		done <- err
	}()
	if _, err := io.WriteString(write, "head"); err != nil {
		t.Fatal(err)
	}
	if head := <-b.baselines.firstRead; head != "head" {
		t.Errorf("first bytes are %q", head)
	}
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range 8 { // far more than any limit on a JSON body
		if _, err := write.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("b-%d", 4+8<<20); got.ID != want || len(got.Columns) != 2 {
		t.Errorf("registered %+v, want %s", got, want)
	}
}

// A table that ends before its time must not become a baseline, and the fault
// is not the server's.
func TestRegisterBaselineBreaksOff(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	conn := b.dial()
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\nshort", baselinesPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "HTTP/1.1 400") || !strings.Contains(string(text), "before its announced end") {
		t.Errorf("answered %s", text)
	}
}

func TestClientRegistersByURI(t *testing.T) {
	t.Parallel()
	b := setupBaselines(t)
	got, err := b.client.RegisterBaseline(t.Context(), api.RegisterRequest{
		Model: "fraud", Version: "1", URI: "s3://bucket/key", Mapping: modelwatch.ColumnMapping{Label: "y"},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := b.baselines.request()
	if req.URI != "s3://bucket/key" || req.Mapping.Label != "y" {
		t.Errorf("asked for %+v", req)
	}
	shown, err := b.client.Baseline(t.Context(), "fraud", "1", got.ID)
	if err != nil {
		t.Fatal(err)
	}
	if bins := shown.Columns[0].Bins; *bins[0].Upper != 10.5 || bins[1].Upper != nil || bins[1].Other {
		t.Errorf("bins came back as %+v", bins)
	}
	list, err := b.client.Baselines(t.Context(), "fraud", "1", api.Page{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/v1/models/fraud/versions/1/columns/card%2Ftype/distribution"
	const span = "?start=2026-11-21T09:00:00%2B01:00&end=2026-11-21T09:00:00Z"
	b.want(http.StatusOK, http.MethodGet, path+span, "").wantJSON(t, `{"model":"fraud","version":"1","name":"card/type","type":"category","subject":"feature",
"window":{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T09:00:00Z"},"bins":[{"value":"DE"},{"other":true}],
"baseline":{"id":"b-1","rows":10,"missing":0,"invalid":0,"counts":[6,4]},"current":{"rows":5,"missing":1,"invalid":0,"counts":[2,2]}}`)
	if b.distributions.column != "card/type" || b.distributions.window.Start.Hour() != 8 {
		t.Errorf("asked for %q, %v", b.distributions.column, b.distributions.window)
	}
	b.wantProblem(422, []string{"path.model", "path.version", "path.column"}, http.MethodGet, "/v1/models/a%2Fb/versions/%00/columns/%09/distribution"+span, "")
	b.wantProblem(422, []string{"query.start", "query.end"}, http.MethodGet, path, "")
	b.wantProblem(422, []string{"query.end"}, http.MethodGet, path+"?start=2026-11-21T09:00:00Z&end=2026-11-21T09:00:00Z", "")
	b.wantProblem(422, []string{"query.end"}, http.MethodGet, path+"?start=2020-11-21T09:00:00Z&end=2026-11-21T09:00:00Z", "")
	b.wantProblem(422, []string{"query.start"}, http.MethodGet, path+"?start=yesterday&end=2026-11-21T09:00:00Z", "")
	b.distributions.err = modelwatch.Errorf(modelwatch.CodeNotFound, "there is no column")
	b.wantProblem(404, nil, http.MethodGet, path+span, "")
}
