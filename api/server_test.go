package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// brokenStore fails in the way that the test says, where it says so.
type brokenStore struct {
	api.Store
	models func(ctx context.Context) error
	pages  int // measurements fail after that many pages
}

func (s *brokenStore) Models(ctx context.Context, page api.Page) ([]modelwatch.Model, string, error) {
	if s.models != nil {
		return nil, "", s.models(ctx)
	}
	return s.Store.Models(ctx, page)
}

func (s *brokenStore) Measurements(context.Context, api.MeasurementFilter) ([]modelwatch.Measurement, string, error) {
	if s.pages--; s.pages < 0 {
		return nil, "", errors.New("disk full")
	}
	return make([]modelwatch.Measurement, 1000), "more", nil
}

func breakModels(f func(context.Context) error) func(*api.Options) {
	return func(o *api.Options) { o.Store = &brokenStore{Store: o.Store, models: f} }
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		kind   string
		detail string
	}{
		{modelwatch.Errorf(modelwatch.CodeInvalid, "wrong"), 422, "invalid", "wrong"},
		{modelwatch.Errorf(modelwatch.CodeNotFound, "gone"), 404, "not_found", "gone"},
		{modelwatch.Errorf(modelwatch.CodeConflict, "moved"), 409, "conflict", "moved"},
		{modelwatch.Errorf(modelwatch.CodeFenced, "taken over"), 409, "fenced", "taken over"},
		{modelwatch.Wrap(modelwatch.CodeUnavailable, errors.New("secret"), "down"), 503, "unavailable", "down"},
		{modelwatch.Wrap(modelwatch.CodeInternal, errors.New("secret"), "secret"), 500, "internal", "its log has the cause"},
		{errors.New("secret"), 500, "internal", "its log has the cause"},
		{context.DeadlineExceeded, 500, "internal", "its log has the cause"}, // not the request's own
	} {
		t.Run(fmt.Sprint(tt.kind, tt.status), func(t *testing.T) {
			t.Parallel()
			b := setup(t, breakModels(func(context.Context) error { return tt.err }))
			p := b.wantProblem(tt.status, nil, http.MethodGet, "/v1/models", "")
			if p.Type != "urn:modelwatch:error:"+tt.kind || !strings.Contains(p.Detail, tt.detail) || strings.Contains(p.Detail, "secret") {
				t.Errorf("problem %+v", p)
			}
			hidden := strings.Contains(tt.err.Error(), "secret")
			if hidden != strings.Contains(b.logs.String(), "secret") {
				t.Errorf("the log says %s", b.logs)
			}
			_, err := b.client.Models(t.Context(), api.Page{})
			if e := asDomain(t, err); string(e.Code) != tt.kind || !strings.Contains(e.Message, tt.detail) {
				t.Errorf("client says %v", err)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	b := setup(t, breakModels(func(context.Context) error { panic("secret fault") }))
	p := b.wantProblem(500, nil, http.MethodGet, "/v1/models", "")
	if strings.Contains(fmt.Sprint(p), "secret") {
		t.Errorf("problem %+v", p)
	}
	id := strings.TrimPrefix(p.Instance, "urn:modelwatch:request:")
	if log := b.logs.String(); !strings.Contains(log, "secret fault") || !strings.Contains(log, "request_id="+id) || !strings.Contains(log, "status=500") {
		t.Errorf("log: %s", log)
	}
	b.want(http.StatusOK, http.MethodGet, "/healthz", "")
}

// A CSV answer that cannot be completed must not look like a whole one.
func TestCSVBreaksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Store = &brokenStore{Store: o.Store, pages: 2} })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.http.URL+"/v1/measurements", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/csv")
	resp, err := b.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(text) == 0 {
		t.Errorf("read %d bytes with %v, want an answer that breaks off", len(text), err)
	}
	if !strings.Contains(b.logs.String(), "disk full") {
		t.Error("the cause is not logged")
	}
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan error, 1)
	b := setup(t, breakModels(func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if _, err := b.client.Models(ctx, api.Page{}); !errors.Is(err, context.Canceled) {
		t.Errorf("client says %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the work ended with %v", err)
	}
	b.http.Close() // waits for the handler
	if log := b.logs.String(); !strings.Contains(log, "status=499") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log: %s", log)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Token = "s3cret" })
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml", "/docs"} {
		b.want(http.StatusOK, http.MethodGet, path, "")
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer s3cret2", "Basic s3cret", "s3cret"} {
		a := b.want(http.StatusUnauthorized, http.MethodGet, "/v1/models", "", "Authorization", header)
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
		b.wantProblem(401, nil, http.MethodPut, "/v1/models/x", "{}", "Authorization", header)
		b.wantProblem(401, nil, http.MethodGet, "/nosuch", "", "Authorization", header)
	}
	b.want(http.StatusOK, http.MethodGet, "/v1/models", "", "Authorization", "Bearer s3cret")
	b.want(http.StatusOK, http.MethodGet, "/v1/models", "", "Authorization", "bearer s3cret")
	if _, err := b.client.Models(t.Context(), api.Page{}); err != nil {
		t.Error(err)
	}
	if strings.Contains(b.logs.String(), "s3cret") {
		t.Error("the token is logged")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ready = []api.Check{{Name: "catalog"}, {Name: "archive s3://bucket"}}
	if a := b.want(http.StatusOK, http.MethodGet, "/readyz", ""); string(a.body) != "ok         catalog\nok         archive s3://bucket\n" {
		t.Errorf("ready says %s", a.body)
	}
	b.ready[1].Err = errors.New("no such bucket")
	if a := b.want(http.StatusServiceUnavailable, http.MethodGet, "/readyz", ""); string(a.body) != "ok         catalog\nnot ready  archive s3://bucket: no such bucket\n" {
		t.Errorf("ready says %s", a.body)
	}
	docs := b.want(http.StatusOK, http.MethodGet, "/docs", "")
	for _, want := range []string{"/v1/models/{model}/versions/{version}/baselines", "Register a training set", "Idempotency-Key", "1.2.3"} {
		if !strings.Contains(string(docs.body), want) {
			t.Errorf("docs lack %q", want)
		}
	}
	for _, external := range []string{"<script", "src=", "@import", "https://"} {
		if strings.Contains(string(docs.body), external) {
			t.Errorf("docs hold %q: they must load nothing", external)
		}
	}
	if a := b.want(http.StatusFound, http.MethodGet, "/", ""); a.Header.Get("Location") != "/docs" {
		t.Errorf("/ leads to %q", a.Header.Get("Location"))
	}
	b.wantProblem(404, nil, http.MethodGet, "/nosuch", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/nosuch", "")
	a := b.want(http.StatusMethodNotAllowed, http.MethodDelete, "/v1/models/x", "")
	if a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("content type %q", a.Header.Get("Content-Type"))
	}
}

func TestMetricsAndLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(http.StatusNotFound, http.MethodGet, "/v1/models/some-name", "", "X-Request-Id", "abc-123")
	b.want(http.StatusNotFound, http.MethodGet, "/wp-admin", "", "X-Request-Id", "bad id\tx")
	b.want(http.StatusMethodNotAllowed, "BREW", "/v1/models", "")
	text := string(b.want(http.StatusOK, http.MethodGet, "/metrics", "").body)
	for _, want := range []string{
		`modelwatch_http_requests_total{method="GET",route="/v1/models/{model}",status="404"} 1`,
		`modelwatch_http_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`modelwatch_http_requests_total{method="other",route="unmatched",status="405"} 1`,
		`modelwatch_http_request_duration_seconds_count{method="GET",route="/v1/models/{model}"} 1`,
		`modelwatch_http_requests_in_flight 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s in\n%s", want, text)
		}
	}
	log := b.logs.String()
	if n := strings.Count(log, "http request"); n < 3 {
		t.Errorf("%d lines of access log", n)
	}
	if !strings.Contains(log, "request_id=abc-123") || strings.Contains(log, "bad id") || !strings.Contains(log, "route=/v1/models/{model} status=404") {
		t.Errorf("log: %s", log)
	}
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantProblem(413, nil, http.MethodPut, "/v1/models/x", `{"task":"other","description":"`+strings.Repeat("x", 1<<20)+`"}`, "Content-Type", jsonType)
	b.wantProblem(415, []string{"body"}, http.MethodPut, "/v1/models/x", `<task/>`, "Content-Type", "text/xml")
	p := b.wantProblem(400, []string{"body"}, http.MethodPut, "/v1/models/x", `{"task":`+strings.Repeat("x", 1000), "Content-Type", jsonType)
	if echoed := p.Errors[0].Value.(string); len(echoed) > 250 {
		t.Errorf("%d bytes of a broken body come back", len(echoed))
	}
}

func TestHTTPServerTimeouts(t *testing.T) {
	t.Parallel()
	s := setup(t).server.HTTPServer(":0")
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 30*time.Second || s.IdleTimeout <= 0 || s.WriteTimeout <= 0 || s.MaxHeaderBytes > 1<<20 {
		t.Errorf("timeouts of %+v", s)
	}
}

func TestNewTwiceOnOneRegistry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := api.New(b.options()); modelwatch.ErrorCode(err) != modelwatch.CodeInternal {
		t.Errorf("error %v", err)
	}
}

func TestVolume(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	const path = "/v1/models/fraud/volume"
	const span = "?start=2026-11-21T10:00:00Z&end=2026-11-21T11:00:00Z"
	b.want(http.StatusOK, http.MethodGet, path+span, "").wantJSON(t, `{"items":[]}`)
	b.ingest(modelwatch.IngestCommit{Volumes: []modelwatch.Volume{
		{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: now.Truncate(time.Hour), Seen: 10, Kept: 3, Rejected: 1},
	}})
	b.want(http.StatusOK, http.MethodGet, path+span, "").wantJSON(t,
		`{"items":[{"version":"1","kind":"prediction","start":"2026-11-21T10:00:00Z","seen":10,"kept":3,"rejected":1}]}`)
	b.wantProblem(422, []string{"query.start", "query.end"}, http.MethodGet, path, "")
	b.wantProblem(422, []string{"query.end"}, http.MethodGet, path+"?start=2026-01-01T00:00:00Z&end=2026-11-21T11:00:00Z", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/nosuch/volume"+span, "")
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters", "").wantJSON(t, `{"items":[]}`)
	b.ingest(modelwatch.IngestCommit{DeadLetters: []modelwatch.DeadLetter{
		{Topic: "events", Partition: 2, Offset: 7, Reason: modelwatch.DeadInvalidJSON, Detail: "unexpected end", Key: []byte("k"), Value: []byte{0xff, '{'}, Time: now},
		{Topic: "events", Partition: 2, Offset: 8, Reason: modelwatch.DeadNoID, Detail: "no id", Model: "fraud", Value: []byte("{}"), Time: now},
	}})
	items := decode(t, b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters?reason=invalid_json&topic=events", "").body).(map[string]any)["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("listed %v", items)
	}
	item := items[0].(map[string]any)
	if item["value"] != "/3s=" || item["key"] != "aw==" || item["offset"] != 7.0 || item["reason"] != "invalid_json" || item["detail"] != "unexpected end" {
		t.Errorf("dead letter is %v", item)
	}
	if item["value_bytes"] != 2.0 || item["state"] != "open" || item["replayed_at"] != nil || item["truncated"] != nil {
		t.Errorf("dead letter is %v", item)
	}
	for query, want := range map[string]int{"": 2, "?model=fraud": 1, "?topic=other": 0, "?limit=1": 1, "?state=open": 2, "?state=replayed": 0} {
		got := decode(t, b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters"+query, "").body).(map[string]any)["items"].([]any)
		if len(got) != want {
			t.Errorf("%s: %d dead letters, want %d", query, len(got), want)
		}
	}
	b.wantProblem(422, []string{"query.limit"}, http.MethodGet, "/v1/dead-letters?limit=x", "")
	b.wantProblem(422, []string{"query.state"}, http.MethodGet, "/v1/dead-letters?state=x", "")
	b.wantProblem(422, nil, http.MethodGet, "/v1/dead-letters?reason=x", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/dead-letters/99", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/dead-letters/99/value", "")
	b.wantProblem(422, []string{"path.id"}, http.MethodGet, "/v1/dead-letters/x", "")
	b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters/summary?model=fraud", "").wantJSON(t, `{"total":1,"items":[{"reason":"no_id","state":"open","count":1,"bytes":2}]}`)

	value := b.want(http.StatusOK, http.MethodGet, fmt.Sprintf("/v1/dead-letters/%v/value", item["id"]), "")
	if string(value.body) != "\xff{" || value.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(value.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("value %q, %v", value.body, value.Header)
	}
	lines := b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters", "", "Accept", "application/x-ndjson")
	if got := strings.Count(string(lines.body), "\n"); got != 2 || lines.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d lines of %s", got, lines.Header.Get("Content-Type"))
	}
}

// fakeDeadLetters has the bytes of letters in its hands, and publishes nothing.
type fakeDeadLetters struct {
	filter api.DeadLetterFilter
	dryRun bool
	err    error
}

func (f *fakeDeadLetters) Value(_ context.Context, d modelwatch.DeadLetter) ([]byte, error) {
	return []byte("part " + d.Object.Key), f.err
}

func (f *fakeDeadLetters) Replay(_ context.Context, filter api.DeadLetterFilter, dryRun bool) (api.ReplayResult, error) {
	f.filter, f.dryRun = filter, dryRun
	return api.ReplayResult{Matched: 3, Replayed: 2, Skipped: map[string]int{"truncated": 1}, NextCursor: "c"}, f.err
}

func TestReplayDeadLetters(t *testing.T) {
	t.Parallel()
	fake := &fakeDeadLetters{}
	b := setup(t, func(o *api.Options) { o.DeadLetters = fake })
	request := api.ReplayRequest{Model: "m", Reason: "no_id", Topic: "t", State: "produced", From: &now, DryRun: true, Limit: 7, Cursor: "x"}
	got, err := b.client.ReplayDeadLetters(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(api.ReplayResult{Matched: 3, Replayed: 2, Skipped: map[string]int{"truncated": 1}, NextCursor: "c"}, got); diff != "" {
		t.Error(diff)
	}
	want := api.DeadLetterFilter{Page: api.Page{Limit: 7, Cursor: "x"}, Model: "m", Reason: "no_id", Topic: "t", State: "produced", From: now}
	if diff := cmp.Diff(want, fake.filter); diff != "" || !fake.dryRun {
		t.Errorf("dry run %v, filter (-want +got):\n%s", fake.dryRun, diff)
	}
	b.wantProblem(422, []string{"query.to"}, http.MethodPost, "/v1/dead-letters/replay", `{"from":"2026-11-21T10:00:00Z","to":"2026-11-21T09:00:00Z"}`, "Content-Type", jsonType)
	b.wantProblem(422, []string{"body.state"}, http.MethodPost, "/v1/dead-letters/replay", `{"state":"replayed"}`, "Content-Type", jsonType)

	part := modelwatch.DeadLetter{Topic: "events", Partition: 2, Reason: modelwatch.DeadTooLarge, Size: 20, Object: modelwatch.ObjectPart{Key: "k", Length: 6}}
	if err := b.store.IntendUpload(t.Context(), []string{"k"}, "o"); err != nil {
		t.Fatal(err)
	}
	b.ingest(modelwatch.IngestCommit{DeadLetters: []modelwatch.DeadLetter{part}})
	letters, err := b.client.DeadLetters(t.Context(), api.DeadLetterFilter{})
	if err != nil || len(letters.Items) != 1 || letters.Items[0].Value != nil {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	value, err := b.client.DeadLetterValue(t.Context(), letters.Items[0].ID)
	if err != nil || string(value) != "part k" {
		t.Errorf("value %q, %v", value, err)
	}
	fake.err = modelwatch.Errorf(modelwatch.CodeNotFound, "its object is gone")
	b.wantProblem(404, nil, http.MethodGet, fmt.Sprintf("/v1/dead-letters/%d/value", letters.Items[0].ID), "")
	lines := b.want(http.StatusOK, http.MethodGet, "/v1/dead-letters", "", "Accept", "application/x-ndjson")
	if !strings.Contains(string(lines.body), `"value_bytes":20`) {
		t.Errorf("the line of a letter whose object is gone is %s", lines.body)
	}
}

// ingest commits as a consumer would.
func (b *testBundle) ingest(commit modelwatch.IngestCommit) {
	b.t.Helper()
	part := modelwatch.Partition{Topic: "events", Partition: 2}
	cursors, err := b.store.TakePartitions(b.t.Context(), "g", "o", []modelwatch.Partition{part})
	if err != nil {
		b.t.Fatal(err)
	}
	commit.ID, commit.Group, commit.Owner = "c1", "g", "o"
	commit.Ranges = []modelwatch.Range{{Partition: part, From: cursors[part].Next, To: 100, Epoch: cursors[part].Epoch}}
	if err := b.store.CommitIngest(b.t.Context(), commit); err != nil {
		b.t.Fatal(err)
	}
}
