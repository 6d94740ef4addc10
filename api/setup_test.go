package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when every test happens.
var now = time.Date(2026, 11, 21, 10, 7, 0, 0, time.UTC)

// testBundle is a server over a real catalog, with what stands behind the rest
// of it in the test's hands.
type testBundle struct {
	t             *testing.T
	store         *catalog.Catalog
	baselines     *fakeBaselines
	distributions *fakeDistributions
	producer      *fakeProducer
	backfill      *fakeBackfill
	ready         []api.Check
	registry      *prometheus.Registry
	logs          *syncBuffer
	server        *api.Server
	http          *httptest.Server
	client        *api.Client
}

func setup(t *testing.T, change ...func(*api.Options)) *testBundle {
	t.Helper()
	b := &testBundle{
		t: t, store: openCatalog(t), distributions: &fakeDistributions{}, producer: &fakeProducer{}, backfill: &fakeBackfill{},
		registry: prometheus.NewRegistry(), logs: &syncBuffer{},
	}
	b.baselines = &fakeBaselines{store: b.store}
	opts := b.options()
	for _, f := range change {
		f(&opts)
	}
	server, err := api.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	b.server = server
	b.http = httptest.NewUnstartedServer(nil)
	b.http.Config = server.HTTPServer("")
	b.http.Start()
	t.Cleanup(b.http.Close)
	t.Cleanup(b.http.Client().CloseIdleConnections)
	b.client, err = api.NewClient(b.http.URL, opts.Token, b.http.Client())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *testBundle) options() api.Options {
	return api.Options{
		Store:         b.store,
		Baselines:     b.baselines,
		Distributions: b.distributions,
		Producer:      b.producer,
		Backfill:      b.backfill.run,
		ValidateCron: func(expr, _ string) error {
			if len(strings.Fields(expr)) != 5 {
				return fmt.Errorf("%q has not five fields", expr)
			}
			return nil
		},
		Ready:  func(context.Context) []api.Check { return b.ready },
		Ingest: fakeIngest{},
		Tombstones: func(model, id string) []modelwatch.Tombstone {
			return modelwatch.NewTombstones(modelwatch.Salt{}, modelwatch.PrivacyKey("key"), model, id)
		},
		Metrics: map[modelwatch.JobKind][]string{
			modelwatch.JobDrift:    {"psi", "js_distance", "ks", "missing_ratio"},
			modelwatch.JobBacktest: {"precision", "recall", "rmse", "mae"},
			modelwatch.JobQuality:  {"missing_ratio"},
		},
		GroupMetrics: []string{"psi_max", "ks_max"},
		TaskMetrics: map[modelwatch.Task][]string{
			modelwatch.TaskBinary:     {"precision", "recall"},
			modelwatch.TaskRegression: {"rmse", "mae"},
		},
		Sinks:    []string{"datadog"},
		Version:  "1.2.3",
		Log:      slog.New(slog.NewTextHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registry: b.registry,
		Now:      func() time.Time { return now },
	}
}

// migrated is an empty catalog's file: migrating one for each test would take
// most of the tests' time.
var migrated = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "api-catalog")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "catalog.db")
	c, err := catalog.Open(context.Background(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if _, err := c.Migrate(context.Background()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func openCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	empty, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(file, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

// call sends a request; header is pairs of names and values.
func (b *testBundle) call(method, path, body string, header ...string) answer {
	b.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+path, reader)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := *b.http.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp, text}
}

// want calls and fails the test unless the status is as expected.
func (b *testBundle) want(status int, method, path, body string, header ...string) answer {
	b.t.Helper()
	a := b.call(method, path, body, header...)
	if a.StatusCode != status {
		b.t.Fatalf("%s %s answered %d, want %d: %s", method, path, a.StatusCode, status, a.body)
	}
	return a
}

// wantJSON compares an answer's body with JSON text, regardless of the order of names.
func (a answer) wantJSON(t *testing.T, want string) {
	t.Helper()
	if diff := cmp.Diff(decode(t, []byte(want)), decode(t, a.body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, text)
	}
	return v
}

// wantProblem fails unless the answer is a problem of the status that names the
// locations, in order, and returns it.
func (b *testBundle) wantProblem(status int, locations []string, method, path, body string, header ...string) huma.ErrorModel {
	b.t.Helper()
	a := b.want(status, method, path, body, header...)
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		b.t.Errorf("content type %q, want application/problem+json", got)
	}
	var p huma.ErrorModel
	if err := json.Unmarshal(a.body, &p); err != nil {
		b.t.Fatal(err)
	}
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" {
		b.t.Errorf("problem is incomplete: %s", a.body)
	}
	if want := "urn:modelwatch:request:" + a.Header.Get("X-Request-Id"); p.Instance != want {
		b.t.Errorf("instance %q, want %q", p.Instance, want)
	}
	var got []string
	for _, d := range p.Errors {
		got = append(got, d.Location)
	}
	if diff := cmp.Diff(locations, got); diff != "" {
		b.t.Errorf("locations (-want +got):\n%s\n%s", diff, a.body)
	}
	return p
}

const jsonType = "application/json"

// putModel makes a model of the task known.
func (b *testBundle) putModel(name string, task modelwatch.Task) {
	b.t.Helper()
	if _, _, err := b.client.PutModel(b.t.Context(), name, api.ModelBody{Task: task}); err != nil {
		b.t.Fatal(err)
	}
}

// putVersion makes a version with a few columns known.
func (b *testBundle) putVersion(model, version string) {
	b.t.Helper()
	_, _, err := b.client.PutVersion(b.t.Context(), model, version, api.VersionBody{Schema: &api.Schema{
		Features: []api.Feature{{Name: "amount", Type: "number"}, {Name: "country", Type: "category"}, {Name: "card_age", Type: "number"}},
		Score:    "number", Label: "category",
		Columns: &api.ColumnMapping{Score: "y_pred_proba"},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// fakeBaselines stores what it is given, and profiles nothing.
type fakeBaselines struct {
	store     *catalog.Catalog
	status    modelwatch.BaselineStatus // of what is registered; "" is ready
	err       error
	firstRead chan string // gets the first bytes of a body as soon as they are read

	mu   sync.Mutex
	last api.RegisterRequest
	body []byte
}

func (f *fakeBaselines) Register(ctx context.Context, r api.RegisterRequest) (modelwatch.Baseline, *api.BaselineDetail, error) {
	var body []byte
	if r.Body != nil {
		if f.firstRead != nil {
			head := make([]byte, 4)
			if _, err := io.ReadFull(r.Body, head); err != nil {
				return modelwatch.Baseline{}, nil, fmt.Errorf("read head: %w", err)
			}
			f.firstRead <- string(head)
			body = head
		}
		rest, err := io.ReadAll(r.Body)
		if err != nil {
			return modelwatch.Baseline{}, nil, fmt.Errorf("read table: %w", err)
		}
		body = append(body, rest...)
	}
	f.mu.Lock()
	f.last, f.body = r, body
	f.mu.Unlock()
	if f.err != nil {
		return modelwatch.Baseline{}, nil, f.err
	}
	b := modelwatch.Baseline{
		ID: fmt.Sprintf("b-%d", len(body)), Model: r.Model, Version: r.Version, URI: r.URI, Status: modelwatch.BaselineReady,
		ContentSHA256: "00", Rows: 3, CreatedAt: now,
	}
	var detail *api.BaselineDetail
	if f.status != "" {
		b.Status = f.status
	} else {
		detail = testDetail()
	}
	return b, detail, f.store.PutBaseline(ctx, b)
}

func (f *fakeBaselines) Detail(context.Context, modelwatch.Baseline) (*api.BaselineDetail, error) {
	return testDetail(), f.err
}

func (f *fakeBaselines) request() (api.RegisterRequest, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, string(f.body)
}

func testDetail() *api.BaselineDetail {
	upper, mean := 10.5, 7.25
	return &api.BaselineDetail{Columns: []api.BaselineColumn{
		{
			Name: "amount", Type: "number", Subject: "feature", Bins: []api.Bin{api.NumberBin(&upper), api.NumberBin(nil)},
			Counts: []int64{2, 1}, Quantiles: []api.Quantile{{Q: 0.5, Value: 10}}, Mean: &mean, Missing: 0, Invalid: 1,
		},
		{
			Name: "country", Type: "category", Subject: "feature", Bins: []api.Bin{api.ValueBin("DE"), api.ValueBin(""), api.OtherBin()},
			Counts: []int64{1, 1, 1},
		},
	}}
}

type fakeDistributions struct {
	column string
	window modelwatch.Window
	err    error
}

func (f *fakeDistributions) Distribution(_ context.Context, model, version, column string, w modelwatch.Window) (*api.Distribution, error) {
	f.column, f.window = column, w
	if f.err != nil {
		return nil, f.err
	}
	return &api.Distribution{
		Model: model, Version: version, Name: column, Type: "category", Subject: "feature", Window: api.Window{Start: w.Start, End: w.End},
		Bins:     []api.Bin{api.ValueBin("DE"), api.OtherBin()},
		Baseline: api.Counts{ID: "b-1", Rows: 10, Counts: []int64{6, 4}},
		Current:  api.Counts{Rows: 5, Missing: 1, Counts: []int64{2, 2}},
	}, nil
}

type fakeProducer struct {
	mu     sync.Mutex
	events []string
	err    error
}

func (f *fakeProducer) Produce(_ context.Context, events [][]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	for _, e := range events {
		f.events = append(f.events, string(e))
	}
	return nil
}

type fakeBackfill struct {
	mu   sync.Mutex
	span modelwatch.Window
}

func (f *fakeBackfill) run(_ context.Context, job modelwatch.Job, span modelwatch.Window) ([]modelwatch.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.span = span
	return []modelwatch.Run{
		{ID: "r1", Model: job.Model, Job: job.Name, Kind: job.Kind, Window: modelwatch.Window{Start: span.Start, End: span.Start.Add(job.Window)}, Revision: 1, State: modelwatch.RunQueued},
	}, nil
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func asDomain(t *testing.T, err error) *modelwatch.Error {
	t.Helper()
	var e *modelwatch.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a domain error: %v", err)
	}
	return e
}

// dial connects to the server, for requests that no HTTP client would send.
func (b *testBundle) dial() *net.TCPConn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() }) // closed already where the server did
	return conn.(*net.TCPConn)
}

// complete claims the queued run with the oldest window and completes it with
// the measurements, whose runs, windows and revisions are filled in.
func (b *testBundle) complete(ms ...modelwatch.Measurement) modelwatch.Run {
	b.t.Helper()
	run, ok, err := b.store.ClaimRun(b.t.Context(), "worker", now.Add(time.Hour), time.Minute)
	if err != nil || !ok {
		b.t.Fatalf("claim run: %v, %v", ok, err)
	}
	for i := range ms {
		ms[i].RunID, ms[i].Model, ms[i].Job, ms[i].Kind = run.ID, run.Model, run.Job, run.Kind
		ms[i].Window, ms[i].Revision, ms[i].ComputedAt = run.Window, run.Revision, now
	}
	run.DataFiles, run.Rows = 2, 1000
	if err := b.store.CompleteRun(b.t.Context(), run, ms, nil); err != nil {
		b.t.Fatal(err)
	}
	return run
}
