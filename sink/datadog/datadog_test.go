package datadog_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/sink"
	"github.com/modelwatch/modelwatch/sink/datadog"
	"github.com/modelwatch/modelwatch/sink/datadogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

const key = "0123456789abcdef0123456789abcdef"

type testBundle struct {
	intake *datadogtest.Server
	client *datadog.Client
}

func setup(t *testing.T, change ...func(*datadog.Config)) *testBundle {
	t.Helper()
	intake := datadogtest.Start(t, datadogtest.Options{APIKey: key, Now: func() time.Time { return now }})
	cfg := datadog.Config{APIKey: key, URL: intake.URL, Timeout: 10 * time.Second, Now: func() time.Time { return now }}
	for _, f := range change {
		f(&cfg)
	}
	client, err := datadog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &testBundle{intake: intake, client: client}
}

func gauge(metric string, value float64, at time.Time, tags ...string) sink.Point {
	return sink.Point{Metric: metric, Type: sink.Gauge, Tags: tags, Value: value, Time: at}
}

// many makes n gauges of series of their own.
func many(n int) []sink.Point {
	points := make([]sink.Point, n)
	for i := range points {
		points[i] = gauge("modelwatch.drift.psi", float64(i), now, fmt.Sprintf("feature:f%d", i), "model:fraud")
	}
	return points
}

func (b *testBundle) deliver(t *testing.T, points []sink.Point) {
	t.Helper()
	retry, err := b.client.Deliver(t.Context(), points)
	if err != nil || retry {
		t.Fatalf("Deliver = %v, %v", retry, err)
	}
}

// stored is the number of points that the intake holds.
func (b *testBundle) stored() int {
	n := 0
	for _, s := range b.intake.Series() {
		n += len(s.Points)
	}
	return n
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(t, []sink.Point{
		gauge("modelwatch.drift.psi", 0.25, now, "feature:amount", "model:fraud"),
		{Metric: "modelwatch.run.duration", Type: sink.Gauge, Tags: []string{"model:fraud"}, Value: 1.5, Time: now, Unit: "second"},
		{Metric: "modelwatch.volume.predictions", Type: sink.Count, Tags: []string{"model:fraud"}, Value: 1200, Time: now.Add(-10 * time.Second), IntervalSeconds: 10},
		gauge("modelwatch.drift.psi", 0.5, now.Add(-time.Minute), "feature:amount", "model:fraud"),
	})

	if v, ok := b.intake.Value("modelwatch.drift.psi", []string{"model:fraud", "feature:amount"}, now); !ok || v != 0.25 {
		t.Errorf("psi = %v, %v, want 0.25", v, ok)
	}
	if v, ok := b.intake.Value("modelwatch.drift.psi", []string{"model:fraud", "feature:amount"}, now.Add(-time.Minute)); !ok || v != 0.5 {
		t.Errorf("psi a minute ago = %v, %v, want 0.5", v, ok)
	}
	count := b.intake.Find("modelwatch.volume.predictions")[0]
	if count.Type != 1 || count.Interval != 10 || count.Points[0] != (datadogtest.Point{Timestamp: now.Unix() - 10, Value: 1200}) {
		t.Errorf("count is stored as %+v", count)
	}
	if s := b.intake.Find("modelwatch.run.duration")[0]; s.Type != 3 || s.Unit != "second" {
		t.Errorf("gauge is stored as %+v", s)
	}
	requests := b.intake.Requests()
	if len(requests) != 1 || requests[0].Path != "/api/v2/series" || requests[0].Points != 4 {
		t.Errorf("requests = %+v, want one with 4 points", requests)
	}
	if requests[0].Wire >= requests[0].Bytes {
		t.Errorf("%d bytes on the wire for %d: not compressed", requests[0].Wire, requests[0].Bytes)
	}
}

func TestDeliverOneSecondTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := func(v float64) sink.Point {
		return sink.Point{Metric: "modelwatch.volume.labels", Type: sink.Count, Tags: []string{"model:a"}, Value: v, Time: now, IntervalSeconds: 10}
	}
	b.deliver(t, []sink.Point{gauge("m.g", 1, now), count(3), gauge("m.g", 2, now.Add(300*time.Millisecond)), count(4)})
	if got := b.intake.History("m.g", nil); len(got) != 1 || got[0].Value != 2 {
		t.Errorf("gauge points sent = %v, want the later one only", got)
	}
	if got := b.intake.History("modelwatch.volume.labels", []string{"model:a"}); len(got) != 1 || got[0].Value != 7 {
		t.Errorf("count points sent = %v, want their sum", got)
	}
}

func TestDeliverSplits(t *testing.T) {
	t.Parallel()
	random := func(i, n int) string { // text that gzip cannot shorten by much
		var b strings.Builder
		x := uint64(i)*0x9e3779b97f4a7c15 + 1
		for b.Len() < n {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			fmt.Fprintf(&b, "%016x", x)
		}
		return b.String()[:n]
	}
	oneSeries := make([]sink.Point, 25_000)
	for i := range oneSeries {
		oneSeries[i] = gauge("m.g", float64(i), now.Add(-time.Duration(i%3000)*time.Second), fmt.Sprintf("part:p%d", i/3000))
	}
	wide := make([]sink.Point, 9_000)
	for i := range wide {
		wide[i] = gauge("m.g", 1, now, "a:"+strings.Repeat("x", 190), "b:"+strings.Repeat("y", 190), "c:"+strings.Repeat("z", 190), "d:"+strings.Repeat("w", 190), fmt.Sprintf("i:%d", i))
	}
	dense := make([]sink.Point, 9_000)
	for i := range dense {
		dense[i] = gauge("m.g", 1, now, "i:"+random(i, 190))
	}
	tests := []struct {
		name     string
		points   []sink.Point
		requests int // at least
	}{
		{"exactly the limit of points", many(10_000), 1},
		{"one more", many(10_001), 2},
		{"long series", oneSeries, 3},
		{"decompressed size", wide, 2},
		{"compressed size", dense, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deliver(t, tt.points)
			if got := b.stored(); got != len(tt.points) {
				t.Errorf("%d points are stored, want %d", got, len(tt.points))
			}
			// The client knows the limits: the intake had nothing to refuse.
			if got := b.intake.Rejections(); len(got) > 0 {
				t.Errorf("the intake refused %+v", got[0])
			}
			got := b.intake.Requests()
			if len(got) < tt.requests || len(got) > 2*tt.requests {
				t.Errorf("%d requests, want %d to %d", len(got), tt.requests, 2*tt.requests)
			}
		})
	}
}

func TestDeliverHalvesOn413(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.intake.Fail(3, http.StatusRequestEntityTooLarge)
	b.deliver(t, many(8))
	if got := b.stored(); got != 8 {
		t.Errorf("%d points are stored, want 8", got)
	}
	var sizes []int
	for _, r := range b.intake.Requests() {
		sizes = append(sizes, r.Points)
	}
	// 8, 4 and 2 are refused as too large; then 1, 1, 2 and 4 go through.
	if fmt.Sprint(sizes) != "[0 0 0 1 1 2 4]" {
		t.Errorf("points per request = %v", sizes)
	}
}

func TestDeliverRejectsOnePointThatIsTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.intake.Fail(1, http.StatusRequestEntityTooLarge)
	retry, err := b.client.Deliver(t.Context(), many(1))
	var r *sink.Rejection
	if retry || !errors.As(err, &r) || len(r.Points) != 1 {
		t.Fatalf("Deliver = %v, %v, want a rejection of one point", retry, err)
	}
}

func TestDeliverIsolatesRefusedPoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	points := many(1000)
	bad := map[int]bool{0: true, 499: true, 500: true, 999: true}
	for i := range bad {
		points[i].Tags = []string{"Feature:Not Lower Case"}
		points[i].Time = now.Add(-time.Duration(i) * time.Second)
	}
	points[7].Value = math.Inf(1)
	bad[7] = true
	retry, err := b.client.Deliver(t.Context(), points)
	var r *sink.Rejection
	if retry || !errors.As(err, &r) {
		t.Fatalf("Deliver = %v, %v, want a rejection", retry, err)
	}
	if len(r.Points) != len(bad) {
		t.Fatalf("%d points rejected, want %d", len(r.Points), len(bad))
	}
	last := -1
	for _, p := range r.Points {
		if !bad[p.Index] || p.Index <= last {
			t.Errorf("point %d rejected after %d", p.Index, last)
		}
		last = p.Index
	}
	if got := b.stored(); got != len(points)-len(bad) {
		t.Errorf("%d points are stored, want %d", got, len(points)-len(bad))
	}
	if !strings.Contains(r.Points[1].Message, "not a number") || !strings.Contains(r.Points[0].Message, "is not lower case") {
		t.Errorf("messages = %q, %q", r.Points[0].Message, r.Points[1].Message)
	}
}

func TestDeliverGivesUpSearching(t *testing.T) {
	t.Parallel()
	b := setup(t)
	points := many(2000)
	for i := range points {
		points[i].Tags = []string{fmt.Sprintf("Bad:%d", i)}
	}
	retry, err := b.client.Deliver(t.Context(), points)
	var r *sink.Rejection
	if retry || !errors.As(err, &r) || len(r.Points) != len(points) {
		t.Fatalf("Deliver = %v, %v, want a rejection of all points", retry, err)
	}
	if got := len(b.intake.Requests()); got > 250 {
		t.Errorf("%d requests were spent on points that are all refused", got)
	}
}

func TestDeliver202WithErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The two halves of the payload are sent again; the first is complained of once more.
	b.intake.Complain(2, "metric is not wanted")
	retry, err := b.client.Deliver(t.Context(), many(2))
	var r *sink.Rejection
	if retry || !errors.As(err, &r) || len(r.Points) != 1 || r.Points[0].Index != 0 {
		t.Fatalf("Deliver = %v, %v, want a rejection of point 0", retry, err)
	}
	if !strings.Contains(err.Error(), "metric is not wanted") {
		t.Errorf("error %q does not say what Datadog said", err)
	}
}

func TestDeliverFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  func(*datadogtest.Server)
		reason sink.Reason
		after  time.Duration
		slow   bool
		text   string
	}{
		{"key refused", func(s *datadogtest.Server) { s.Fail(1, 403) }, sink.ReasonForbidden, 0, true, "DD_API_KEY"},
		{"unauthorised", func(s *datadogtest.Server) { s.Fail(1, 401) }, sink.ReasonForbidden, 0, true, "DD_SITE (datadoghq.com)"},
		{"throttled", func(s *datadogtest.Server) { s.Throttle(1, 90*time.Second) }, sink.ReasonThrottled, 90 * time.Second, false, "429"},
		{"request timeout", func(s *datadogtest.Server) { s.Fail(1, 408) }, sink.ReasonTimeout, 0, false, "408"},
		{"server fault", func(s *datadogtest.Server) { s.Fail(1, 500) }, sink.ReasonServerError, 0, false, "Internal Server Error"},
		{"unavailable", func(s *datadogtest.Server) { s.Fail(1, 503) }, sink.ReasonServerError, 0, false, "503"},
		{"not found", func(s *datadogtest.Server) { s.Fail(1, 404) }, sink.ReasonMisdirected, 0, true, "not Datadog's intake"},
		{"redirect", func(s *datadogtest.Server) { s.Fail(1, 302) }, sink.ReasonMisdirected, 0, true, "302"},
		{"connection cut", func(s *datadogtest.Server) { s.Cut(1) }, sink.ReasonUnreachable, 0, false, "cannot be reached"},
		{"answer cut", func(s *datadogtest.Server) { s.CutAnswer(1) }, sink.ReasonUnreachable, 0, false, "cannot be reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tt.fault(b.intake)
			retry, err := b.client.Deliver(t.Context(), many(3))
			var f *sink.Failure
			if !retry || !errors.As(err, &f) {
				t.Fatalf("Deliver = %v, %v, want a failure that may pass", retry, err)
			}
			if f.Reason != tt.reason || f.RetryAfter != tt.after || f.Slow != tt.slow || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("failure = %+v (%v)", f, err)
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("error shows the key: %v", err)
			}
			b.deliver(t, many(3)) // nothing was lost, and twice does no harm
			if got := b.stored(); got != 3 {
				t.Errorf("%d points are stored, want 3", got)
			}
		})
	}
}

func TestDeliverTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *datadog.Config) { c.Timeout = 50 * time.Millisecond })
	b.intake.Hang(1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	retry, err := b.client.Deliver(ctx, many(1))
	var f *sink.Failure
	if !retry || !errors.As(err, &f) || f.Reason != sink.ReasonTimeout || ctx.Err() != nil {
		t.Fatalf("Deliver = %v, %v, want a timeout of the request", retry, err)
	}
}

// Following a redirect, Go turns a POST into a GET without a body: whatever it
// answers, nothing has been delivered.
func TestDeliverDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		http.Redirect(w, r, "/login", http.StatusFound)
	}))
	defer srv.Close()
	b := setup(t, func(c *datadog.Config) { c.URL = srv.URL })
	retry, err := b.client.Deliver(t.Context(), many(1))
	var f *sink.Failure
	if !retry || !errors.As(err, &f) || f.Reason != sink.ReasonMisdirected {
		t.Fatalf("Deliver = %v, %v, want a failure", retry, err)
	}
}

func TestDeliverStopsWithContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.intake.Hang(1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if err := b.intake.Await(ctx, func() bool { return len(b.intake.Requests()) == 1 }); err != nil {
			t.Error(err)
		}
	}()
	retry, err := b.client.Deliver(ctx, many(1))
	if !retry || !errors.Is(err, context.Canceled) {
		t.Fatalf("Deliver = %v, %v, want the end of the context", retry, err)
	}
}

func TestDeliverPartThenRetry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	points := many(10_500)
	points[10_499] = sink.Point{Metric: "modelwatch.volume.labels", Type: sink.Count, Tags: []string{"model:a"}, Value: 5, Time: now, IntervalSeconds: 10}
	points[0], points[10_499] = points[10_499], points[0]
	b.intake.CutAnswer(1) // the first of two requests is taken, and nobody knows
	if retry, err := b.client.Deliver(t.Context(), points); !retry || err == nil {
		t.Fatalf("Deliver = %v, %v, want a failure", retry, err)
	}
	b.deliver(t, points)
	if got := b.stored(); got != len(points) {
		t.Errorf("%d points are stored, want %d", got, len(points))
	}
	if got := b.intake.Sum("modelwatch.volume.labels"); got != 5 {
		t.Errorf("the count adds up to %v, want 5", got)
	}
}

func TestRetryAfterHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header, value string
		want                time.Duration
	}{
		{"reset in seconds", "X-RateLimit-Reset", "17", 17 * time.Second},
		{"retry after seconds", "Retry-After", "30", 30 * time.Second},
		{"retry after date", "Retry-After", "Sat, 21 Nov 2026 10:02:00 GMT", 2 * time.Minute},
		{"date that has passed", "Retry-After", "Sat, 21 Nov 2026 09:00:00 GMT", 0},
		{"nonsense", "Retry-After", "soon", 0},
		{"negative", "X-RateLimit-Reset", "-5", 0},
		{"absurd", "X-RateLimit-Reset", "1e300", 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(tt.header, tt.value)
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			defer srv.Close()
			b := setup(t, func(c *datadog.Config) { c.URL = srv.URL })
			_, err := b.client.Deliver(t.Context(), many(1))
			var f *sink.Failure
			if !errors.As(err, &f) || f.RetryAfter != tt.want {
				t.Errorf("failure = %+v, want to wait %s", f, tt.want)
			}
		})
	}
}

func TestDeliverTakesAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer srv.Close()
	b := setup(t, func(c *datadog.Config) { c.URL = srv.URL + "/behind/a/path/" })
	b.deliver(t, many(1))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.client.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	wrong := setup(t, func(c *datadog.Config) { c.APIKey, c.URL = "wrong", b.intake.URL })
	err := wrong.client.Check(t.Context())
	if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), "check DD_API_KEY") {
		t.Errorf("Check with a wrong key = %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	nobody := setup(t, func(c *datadog.Config) { c.URL = gone.URL })
	if err := nobody.client.Check(t.Context()); modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
		t.Errorf("Check of nobody = %v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  datadog.Config
		want string // "" is success
	}{
		{"defaults", datadog.Config{APIKey: key}, ""},
		{"another site", datadog.Config{APIKey: key, Site: "us5.datadoghq.com"}, ""},
		{"no key", datadog.Config{APIKey: " "}, "set DD_API_KEY"},
		{"site with scheme", datadog.Config{APIKey: key, Site: "https://datadoghq.eu"}, `leave out "https://"`},
		{"address of the pages", datadog.Config{APIKey: key, Site: "app.datadoghq.eu"}, `leave out "app."`},
		{"site with path", datadog.Config{APIKey: key, Site: "datadoghq.eu/api"}, "must be like"},
		{"short name", datadog.Config{APIKey: key, Site: "eu"}, "must be like"},
		{"url without scheme", datadog.Config{APIKey: key, URL: "localhost:8080"}, "must be like"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := datadog.New(tt.cfg)
			switch {
			case tt.want == "" && (err != nil || c.Name() != "datadog"):
				t.Errorf("New = %v, %v", c, err)
			case tt.want != "" && (modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
		})
	}
}
