package datadogtest_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch/sink/datadogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func newIntake() *datadogtest.Intake {
	return datadogtest.NewIntake(datadogtest.Options{APIKey: "good", Now: func() time.Time { return now }})
}

// request is a submission that the intake takes.
func request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v2/series", strings.NewReader(body))
	r.Header.Set("DD-API-KEY", "good")
	r.Header.Set("Content-Type", "application/json")
	return r
}

func serve(in *datadogtest.Intake, r *http.Request) (status int, answer string) {
	w := httptest.NewRecorder()
	in.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// series is one series of one point, with changes.
func series(change ...string) string {
	fields := map[string]string{
		"metric": `"m.a"`, "type": "3", "tags": `["model:a"]`,
		"points": fmt.Sprintf(`[{"timestamp":%d,"value":1}]`, now.Unix()),
	}
	for _, c := range change {
		key, value, _ := strings.Cut(c, "=")
		fields[key] = value
		if value == "" {
			delete(fields, key)
		}
	}
	var parts []string
	for key, value := range fields {
		parts = append(parts, fmt.Sprintf("%q:%s", key, value))
	}
	return `{"series":[{` + strings.Join(parts, ",") + `}]}`
}

func at(age time.Duration) string {
	return fmt.Sprintf(`points=[{"timestamp":%d,"value":1}]`, now.Add(-age).Unix())
}

func TestIntakeIsStrict(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 201)
	tests := []struct {
		name string
		body string
		want string // part of the complaint; "" is taken
	}{
		{"plain", series(), ""},
		{"count", series("type=1", "interval=10"), ""},
		{"everything", series("unit=\"second\"", "source_type_name=\"s\"", `resources=[{"name":"h","type":"host"}]`, `metadata={"origin":{"product":1}}`), ""},
		{"no tags", series("tags="), ""},
		{"letters of others", series(`tags=["city:köln","k:1.2-3/4_5:6"]`), ""},
		{"59 minutes old", series(at(59 * time.Minute)), ""},
		{"9 minutes ahead", series(at(-9 * time.Minute)), ""},
		{"not JSON", `{"series":[`, "expected format"},
		{"two objects", series() + "{}", "text after"},
		{"unknown field", series("colour=\"red\""), "unknown field"},
		{"unknown field of a point", series(`points=[{"timestamp":1,"value":1,"x":1}]`), "unknown field"},
		{"no series", `{"series":[]}`, "series is missing or empty"},
		{"value as text", series(fmt.Sprintf(`points=[{"timestamp":%d,"value":"1"}]`, now.Unix())), "expected format"},
		{"value not finite", series(fmt.Sprintf(`points=[{"timestamp":%d,"value":1e999}]`, now.Unix())), "expected format"},
		{"value NaN", series(fmt.Sprintf(`points=[{"timestamp":%d,"value":NaN}]`, now.Unix())), "expected format"},
		{"value missing", series(fmt.Sprintf(`points=[{"timestamp":%d}]`, now.Unix())), "needs a timestamp and a value"},
		{"time missing", series(`points=[{"value":1}]`), "needs a timestamp and a value"},
		{"points missing", series("points="), "points is missing"},
		{"points empty", series("points=[]"), "points is missing"},
		{"type missing", series("type="), "type must be"},
		{"type unknown", series("type=4"), "type must be"},
		{"interval negative", series("interval=-1"), "negative"},
		{"61 minutes old", series(at(61 * time.Minute)), "old, the limit is 1h0m0s"},
		{"11 minutes ahead", series(at(-11 * time.Minute)), "ahead, the limit is 10m0s"},
		{"metric missing", series("metric="), "is empty"},
		{"metric begins with a digit", series(`metric="1.a"`), "begin with a letter"},
		{"metric with a space", series(`metric="a b"`), "has the character"},
		{"metric with a letter of others", series(`metric="größe"`), "has the character"},
		{"metric with a run of underscores", series(`metric="a__b"`), "underscores"},
		{"metric with an underscore beside a dot", series(`metric="a_.b"`), "underscores"},
		{"metric with an empty part", series(`metric="a..b"`), "empty part"},
		{"metric too long", series(`metric="` + long + `"`), "longer than 200"},
		{"tag upper case", series(`tags=["model:A"]`), "not lower case"},
		{"tag with a space", series(`tags=["model:a b"]`), "has the character"},
		{"tag begins with a digit", series(`tags=["1a:b"]`), "begin with a letter"},
		{"tag ends with an underscore", series(`tags=["a:b_"]`), "underscores"},
		{"tag with a run of underscores", series(`tags=["a:b__c"]`), "underscores"},
		{"tag without value", series(`tags=["a:"]`), "has no value"},
		{"tag empty", series(`tags=[""]`), "is empty"},
		{"tag too long", series(`tags=["a:` + long + `"]`), "longer than 200"},
		{"tag twice", series(`tags=["a:b","a:b"]`), "stands twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := newIntake()
			status, answer := serve(in, request(tt.body))
			if tt.want == "" {
				if status != 202 || answer != `{"errors":[]}` || len(in.Series()) != 1 {
					t.Fatalf("answer = %d %s", status, answer)
				}
				return
			}
			var body struct{ Errors []string }
			if err := json.Unmarshal([]byte(answer), &body); status != 400 || err != nil || len(body.Errors) != 1 || !strings.Contains(body.Errors[0], tt.want) {
				t.Fatalf("answer = %d %s, want 400 with %q", status, answer, tt.want)
			}
			rejections := in.Rejections()
			if len(rejections) != 1 || rejections[0].Message != body.Errors[0] || len(in.Series()) != 0 {
				t.Errorf("rejections = %+v, %d series stored", rejections, len(in.Series()))
			}
		})
	}
}

func TestIntakeHeaders(t *testing.T) {
	t.Parallel()
	var zipped, deflated bytes.Buffer
	gz, zl := gzip.NewWriter(&zipped), zlib.NewWriter(&deflated)
	io.WriteString(io.MultiWriter(gz, zl), series())
	gz.Close()
	zl.Close()
	tests := []struct {
		name   string
		body   string
		header [2]string
		want   int
	}{
		{"wrong key", series(), [2]string{"DD-API-KEY", "bad"}, 403},
		{"no key", series(), [2]string{"DD-API-KEY", ""}, 403},
		{"form", series(), [2]string{"Content-Type", "application/x-www-form-urlencoded"}, 400},
		{"no content type", series(), [2]string{"Content-Type", ""}, 400},
		{"with charset", series(), [2]string{"Content-Type", "application/json; charset=utf-8"}, 202},
		{"gzip", zipped.String(), [2]string{"Content-Encoding", "gzip"}, 202},
		{"deflate", deflated.String(), [2]string{"Content-Encoding", "deflate"}, 202},
		{"not gzip", series(), [2]string{"Content-Encoding", "gzip"}, 400},
		{"gzip cut short", zipped.String()[:40], [2]string{"Content-Encoding", "gzip"}, 400},
		{"unknown encoding", series(), [2]string{"Content-Encoding", "br"}, 400},
		{"gzip unannounced", zipped.String(), [2]string{"X", ""}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request(tt.body)
			r.Header.Set(tt.header[0], tt.header[1])
			if status, answer := serve(newIntake(), r); status != tt.want {
				t.Errorf("answer = %d %s, want %d", status, answer, tt.want)
			}
		})
	}
}

func TestIntakeSizes(t *testing.T) {
	t.Parallel()
	points := func(n int) string {
		text := strings.Repeat(fmt.Sprintf(`{"timestamp":%d,"value":1},`, now.Unix()), n)
		return series("points=[" + strings.TrimSuffix(text, ",") + "]")
	}
	zip := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	pad := strings.Repeat(" ", datadogtest.MaxWireBytes-len(series()))
	huge := strings.Repeat(" ", datadogtest.MaxDecompressedBytes-len(series()))
	tests := []struct {
		name, body string
		want       int
	}{
		{"points at the limit", zip(points(10_000)), 202},
		{"a point over", zip(points(10_001)), 413},
		{"wire bytes at the limit", series() + pad, 202},
		{"a wire byte over", series() + pad + " ", 413},
		{"decompressed bytes at the limit", zip(series() + huge), 202},
		{"a decompressed byte over", zip(series() + huge + " "), 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := newIntake()
			r := request(tt.body)
			if tt.body[0] != '{' {
				r.Header.Set("Content-Encoding", "gzip")
			}
			status, answer := serve(in, r)
			if status != tt.want {
				t.Errorf("answer = %d %s, want %d", status, answer, tt.want)
			}
			if rejected := len(in.Rejections()) == 1; rejected != (tt.want == 413) {
				t.Errorf("rejections = %+v", in.Rejections())
			}
			if got := in.Requests()[0]; got.Wire != len(tt.body) || got.Status != tt.want {
				t.Errorf("request = %+v, %d bytes were sent", got, len(tt.body))
			}
		})
	}
}

func TestIntakeLastWriteWins(t *testing.T) {
	t.Parallel()
	in := newIntake()
	for _, v := range []string{"1", "2", "3"} {
		stamp := now.Unix()
		if v == "3" {
			stamp--
		}
		status, answer := serve(in, request(series(fmt.Sprintf(`points=[{"timestamp":%d,"value":%s}]`, stamp, v), `tags=["b:2","a:1"]`)))
		if status != 202 {
			t.Fatalf("answer = %d %s", status, answer)
		}
	}
	tags := []string{"a:1", "b:2"}
	if v, ok := in.Value("m.a", tags, now); !ok || v != 2 {
		t.Errorf("value = %v, %v, want the last, 2", v, ok)
	}
	if _, ok := in.Value("m.a", tags[:1], now); ok {
		t.Error("a series with other tags was found")
	}
	if _, ok := in.Value("m.a", tags, now.Add(time.Second)); ok {
		t.Error("a value at another second was found")
	}
	got := in.Find("m.a", "b:2")
	want := []datadogtest.Point{{Timestamp: now.Unix() - 1, Value: 3}, {Timestamp: now.Unix(), Value: 2}}
	if len(got) != 1 || fmt.Sprint(got[0].Points) != fmt.Sprint(want) || fmt.Sprint(got[0].Tags) != "[a:1 b:2]" {
		t.Errorf("series = %+v, want points %v", got, want)
	}
	if h := in.History("m.a", tags); len(h) != 3 || h[0].Value != 1 {
		t.Errorf("history = %v, want all three", h)
	}
	if sum := in.Sum("m.a"); sum != 5 {
		t.Errorf("sum = %v, want 5", sum)
	}
	if len(in.Find("m.a", "c:3")) != 0 || len(in.Find("m.b")) != 0 {
		t.Error("series that do not exist were found")
	}
}

func TestIntakeHistorical(t *testing.T) {
	t.Parallel()
	in := datadogtest.NewIntake(datadogtest.Options{Now: func() time.Time { return now }, Historical: true})
	if status, answer := serve(in, request(series(at(1000*time.Hour)))); status != 202 {
		t.Errorf("answer = %d %s", status, answer)
	}
	if status, _ := serve(in, request(series(at(-time.Hour)))); status != 400 {
		t.Errorf("a point an hour ahead is answered with %d", status)
	}
}

func TestIntakeValidate(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{"good": 200, "bad": 403, "": 403} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/validate", nil)
		r.Header.Set("DD-API-KEY", key)
		if status, _ := serve(newIntake(), r); status != want {
			t.Errorf("key %q is answered with %d, want %d", key, status, want)
		}
	}
	if status, _ := serve(newIntake(), httptest.NewRequest(http.MethodGet, "/api/v1/series", nil)); status != 404 {
		t.Errorf("an unknown path is answered with %d", status)
	}
}

func TestServerFaults(t *testing.T) {
	t.Parallel()
	srv := datadogtest.Start(t, datadogtest.Options{Now: func() time.Time { return now }})
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	send := func(ctx context.Context) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/api/v2/series", strings.NewReader(series()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("DD-API-KEY", "any")
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	srv.Fail(1, 503)
	srv.Throttle(1, time.Minute)
	srv.Cut(1)
	srv.CutAnswer(1)
	srv.Complain(1, "hm")
	srv.Hang(1)
	if resp, err := send(t.Context()); err != nil || resp.StatusCode != 503 {
		t.Errorf("answer = %v, %v, want 503", resp, err)
	}
	if resp, err := send(t.Context()); err != nil || resp.StatusCode != 429 || resp.Header.Get("X-RateLimit-Reset") != "60" {
		t.Errorf("answer = %v, %v, want 429 for a minute", resp, err)
	}
	if resp, err := send(t.Context()); err == nil || len(srv.Series()) != 0 {
		t.Errorf("answer = %v, want none, and nothing taken", resp)
	}
	if resp, err := send(t.Context()); err == nil || len(srv.Series()) != 1 {
		t.Errorf("answer = %v, want none, but the series taken", resp)
	}
	if resp, err := send(t.Context()); err != nil || resp.StatusCode != 202 {
		t.Errorf("answer = %v, %v, want 202", resp, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if err := srv.Await(ctx, func() bool { return len(srv.Requests()) == 6 }); err != nil {
			t.Error(err)
		}
	}()
	if resp, err := send(ctx); err == nil {
		t.Errorf("answer = %v, want none", resp)
	}
	if resp, err := send(t.Context()); err != nil || resp.StatusCode != 202 {
		t.Errorf("answer = %v, %v once the faults are over", resp, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := srv.Await(ended, func() bool { return false }); err == nil {
		t.Error("Await of what never comes ended well")
	}
}
