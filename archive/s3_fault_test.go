package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// quick keeps the attempts and shortens the waits.
var quick = archive.Retry{Attempts: 4, MaxBackoff: time.Millisecond, AttemptTimeout: 5 * time.Second}

// faulty is an HTTP proxy in front of S3. fault sees each request before it is
// passed on, with its number, and reports whether it has dealt with it.
type faulty struct {
	*httptest.Server
	pass     http.Handler
	mu       sync.Mutex
	requests int
	fault    func(n int, w http.ResponseWriter, r *http.Request) (done bool)
}

func newFaulty(t *testing.T, r archive.Retry) (*faulty, archive.Bucket) {
	t.Helper()
	server := testserver.S3(t)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p := &faulty{pass: &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{
		URI:      "s3://" + server.Bucket(t) + "/p",
		Endpoint: p.URL, Region: server.Region, PathStyle: true,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Retry: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, b
}

func (p *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests++
	n, fault := p.requests, p.fault
	p.mu.Unlock()
	if fault == nil || !fault(n, w, r) {
		p.pass.ServeHTTP(w, r)
	}
}

// set installs a fault and counts requests from one again.
func (p *faulty) set(f func(n int, w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.fault = 0, f
}

func (p *faulty) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	io.WriteString(w, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>made by the test</Message></Error>`)
}

func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestS3PutSurvives(t *testing.T) {
	t.Parallel()
	faults := map[string]func(p *faulty, n int, w http.ResponseWriter, r *http.Request) bool{
		"slow down": func(_ *faulty, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 3 {
				refuse(w, http.StatusServiceUnavailable, "SlowDown")
			}
			return n <= 3
		},
		"internal error": func(_ *faulty, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				refuse(w, http.StatusInternalServerError, "InternalError")
			}
			return n <= 2
		},
		"conditional conflict": func(_ *faulty, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				refuse(w, http.StatusConflict, "ConditionalRequestConflict")
			}
			return n <= 2
		},
		"too many requests": func(_ *faulty, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				refuse(w, http.StatusTooManyRequests, "")
			}
			return n <= 2
		},
		"connection cut": func(_ *faulty, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				cut(w)
			}
			return n <= 2
		},
		"landed, answer lost": func(p *faulty, n int, w http.ResponseWriter, r *http.Request) bool {
			if n > 1 {
				return false
			}
			p.pass.ServeHTTP(httptest.NewRecorder(), r)
			cut(w)
			return true
		},
		"damaged on the way": func(_ *faulty, n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				body, _ := io.ReadAll(r.Body)
				body[len(body)/2] ^= 1
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			return false
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b := newFaulty(t, quick)
			p.set(func(n int, w http.ResponseWriter, r *http.Request) bool { return fault(p, n, w, r) })
			body := bytes.Repeat([]byte("row "), 1000)
			if err := b.PutIfAbsent(t.Context(), "key", body, hexSum(body)); err != nil {
				t.Fatal(err)
			}
			if p.seen() < 2 {
				t.Fatalf("%d requests: the fault did not happen", p.seen())
			}
			p.set(nil)
			have, err := b.Read(t.Context(), "key")
			if err != nil || !bytes.Equal(have, body) {
				t.Fatalf("read %d bytes, %v; want the %d written", len(have), err, len(body))
			}
		})
	}
}

func TestS3Unavailable(t *testing.T) {
	t.Parallel()
	p, b := newFaulty(t, quick)
	body := []byte("x")
	if err := b.PutIfAbsent(t.Context(), "there", body, hexSum(body)); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), "there")
	if err != nil {
		t.Fatal(err)
	}
	operations := map[string]func() error{
		"put":   func() error { return b.PutIfAbsent(t.Context(), "key", body, hexSum(body)) },
		"open":  func() error { _, err := b.Open(t.Context(), "key"); return err },
		"read":  func() error { _, err := o.ReadAt(make([]byte, 1), 0); return err },
		"list":  func() error { return drain(b, t.Context()) },
		"check": func() error { return b.Check(t.Context()) },
	}
	for name, operation := range operations {
		p.set(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		})
		err := operation()
		if modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable || !strings.Contains(err.Error(), b.URI()) {
			t.Errorf("%s: %v, want an unavailable that names %s", name, err, b.URI())
		}
		if name != "check" && p.seen() != quick.Attempts {
			t.Errorf("%s: %d attempts, want %d", name, p.seen(), quick.Attempts)
		}
	}
}

func drain(b archive.Bucket, ctx context.Context) error {
	for _, err := range b.List(ctx, "") {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestS3Silent has a server that accepts requests and never answers.
func TestS3Silent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{
		URI: "s3://bucket", Endpoint: server.URL, PathStyle: true, AccessKey: "k", SecretKey: "s",
		Retry: archive.Retry{Attempts: 2, MaxBackoff: time.Millisecond, AttemptTimeout: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = b.Read(t.Context(), "key"); modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
		t.Errorf("read: %v, want unavailable", err)
	}
}

// TestS3Slow has a server that does what it is asked and answers half a minute later:
// that is an answer, not a failure to be repeated.
func TestS3Slow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for half a minute")
	}
	p, b := newFaulty(t, archive.Retry{})
	p.set(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		rec := httptest.NewRecorder()
		p.pass.ServeHTTP(rec, r)
		select {
		case <-time.After(31 * time.Second):
		case <-r.Context().Done():
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
		return true
	})
	body := []byte("slow")
	if err := b.PutIfAbsent(t.Context(), "key", body, hexSum(body)); err != nil {
		t.Error(err)
	}
	if n := p.seen(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestS3BodyCut(t *testing.T) {
	t.Parallel()
	p, b := newFaulty(t, quick)
	body := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := b.PutIfAbsent(t.Context(), "key", body, hexSum(body)); err != nil {
		t.Fatal(err)
	}
	half := func(n int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		rec := httptest.NewRecorder()
		p.pass.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		w.(http.Flusher).Flush()
		cut(w)
		return true
	}
	p.set(func(n int, w http.ResponseWriter, r *http.Request) bool { return n <= 3 && half(n, w, r) })
	have, err := b.Read(t.Context(), "key")
	if err != nil || !bytes.Equal(have, body) {
		t.Fatalf("read %d bytes, %v; want the %d written", len(have), err, len(body))
	}
	p.set(half)
	if _, err := b.Read(t.Context(), "key"); modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
		t.Errorf("read: %v, want unavailable", err)
	}
}

func TestS3Refused(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	open := func(bucket, secret string) archive.Bucket {
		b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: "s3://" + bucket, Endpoint: server.Endpoint, Region: server.Region,
			PathStyle: true, AccessKey: server.AccessKey, SecretKey: secret, Retry: quick})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	name := server.Bucket(t)
	for want, b := range map[string]archive.Bucket{
		"refuses the credentials": open(name, "wrong"),
		"does not exist":          open("absent-"+name, server.SecretKey),
	} {
		err := b.Check(t.Context())
		if modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("check: %v, want an unavailable that says %q", err, want)
		}
	}
}

// TestS3Replaced replaces an object while it is open: its reader must not get a
// mixture.
func TestS3Replaced(t *testing.T) {
	t.Parallel()
	b := openS3(t, testserver.S3(t), "p", quick)
	put := func(body string) {
		if err := b.Put(t.Context(), "key", strings.NewReader(body), int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	o, err := b.Open(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	put("behind")
	if _, err := o.ReadAt(make([]byte, 6), 0); modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
		t.Errorf("read: %v, want a conflict", err)
	}
}

// overwriting is a store that ignores If-None-Match.
type overwriting struct{ archive.Bucket }

func (b overwriting) PutIfAbsent(ctx context.Context, key string, body []byte, _ string) error {
	return b.Put(ctx, key, bytes.NewReader(body), int64(len(body)))
}

func TestCheckFindsOverwriting(t *testing.T) {
	t.Parallel()
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	err = archive.CheckBucket(t.Context(), overwriting{b})
	var e *modelwatch.Error
	if !errors.As(err, &e) || e.Code != modelwatch.CodeInvalid || !strings.Contains(e.Message, "If-None-Match") {
		t.Errorf("check: %v, want an invalid that names If-None-Match", err)
	}
}

func TestOpenBucketRefuses(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"", "s3://", "s3:///prefix", "s3://bucket/a/../b", "gs://bucket", "file://%zz"} {
		if _, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: uri}); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("OpenBucket(%q): %v, want invalid", uri, err)
		}
	}
}
