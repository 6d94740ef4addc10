package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// pipeListener is a network in memory, whose deadlines pass on the test's clock.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	l.conns <- there
	return here, nil
}

// slowBaselines reads a body and then works for hours.
type slowBaselines struct {
	api.Baselines
	work time.Duration
}

func (s slowBaselines) Register(ctx context.Context, r api.RegisterRequest) (modelwatch.Baseline, *api.BaselineDetail, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return modelwatch.Baseline{}, nil, fmt.Errorf("read table: %w", err)
		}
		if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF { // as buffered readers do
			return modelwatch.Baseline{}, nil, fmt.Errorf("read past the end: %d, %w", n, err)
		}
	}
	select {
	case <-ctx.Done():
		return modelwatch.Baseline{}, nil, context.Cause(ctx)
	case <-time.After(s.work):
	}
	return modelwatch.Baseline{ID: "b", Model: r.Model, Version: r.Version, Status: modelwatch.BaselineReady}, nil, nil
}

// slowStore takes its time for each page of measurements.
type slowStore struct {
	api.Store
	pages int
	work  time.Duration
}

func (s *slowStore) Measurements(ctx context.Context, _ api.MeasurementFilter) ([]modelwatch.Measurement, string, error) {
	select {
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	case <-time.After(s.work):
	}
	s.pages--
	if s.pages == 0 {
		return make([]modelwatch.Measurement, 1), "", nil
	}
	return make([]modelwatch.Measurement, 1), "more", nil
}

// slowBody gives a byte each time the pause has passed.
type slowBody struct {
	left  int
	pause time.Duration
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(s.pause) // on the test's clock
	p[0] = 'x'
	return 1, nil
}

// inBubble runs f with a client of a server on a clock of its own.
func inBubble(t *testing.T, opts api.Options, f func(*testing.T, *api.Client, *http.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Log, opts.Registry = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
		server, err := api.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		hs := server.HTTPServer("")
		served := make(chan error)
		go func() { served <- hs.Serve(l) }()
		transport := &http.Transport{DialContext: l.dial, DisableKeepAlives: true}
		client, err := api.NewClient("http://server", "", &http.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		f(t, client, &http.Client{Transport: transport})
		transport.CloseIdleConnections()
		time.Sleep(time.Hour) // on the bubble's clock: lets go of bodies that nobody reads any more
		if err := hs.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// No deadline of ordinary requests ends an upload that keeps moving, nor the
// work that follows it.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	inBubble(t, api.Options{Baselines: slowBaselines{work: 3 * time.Hour}}, func(t *testing.T, c *api.Client, _ *http.Client) {
		start := time.Now()
		b, err := c.RegisterBaseline(t.Context(), api.RegisterRequest{
			Model: "m", Version: "1", ContentType: "text/csv", Body: &slowBody{left: 20, pause: 50 * time.Second},
		})
		if err != nil || b.ID != "b" {
			t.Errorf("registered %v, %v", b, err)
		}
		if took := time.Since(start); took < 3*time.Hour {
			t.Errorf("took %v", took)
		}
		if _, err := c.RegisterBaseline(t.Context(), api.RegisterRequest{Model: "m", Version: "1", URI: "s3://bucket/key"}); err != nil {
			t.Errorf("by uri: %v", err)
		}
	})
}

func TestUploadStandsStill(t *testing.T) {
	t.Parallel()
	inBubble(t, api.Options{Baselines: slowBaselines{}}, func(t *testing.T, c *api.Client, _ *http.Client) {
		_, err := c.RegisterBaseline(t.Context(), api.RegisterRequest{
			Model: "m", Version: "1", ContentType: "text/csv", Body: &slowBody{left: 3, pause: 2 * time.Minute},
		})
		if e := asDomain(t, err); e.Code != modelwatch.CodeUnavailable || !strings.Contains(e.Message, "stood still for more than 1m") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSlowCSV(t *testing.T) {
	t.Parallel()
	inBubble(t, api.Options{Store: &slowStore{pages: 20, work: 50 * time.Second}}, func(t *testing.T, _ *api.Client, c *http.Client) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server/v1/measurements", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/csv")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if lines := strings.Count(string(text), "\n"); err != nil || lines != 21 {
			t.Errorf("%d lines, %v, want 21", lines, err)
		}
	})
}

func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	inBubble(t, api.Options{Store: &slowStore{pages: 1, work: time.Hour}}, func(t *testing.T, c *api.Client, _ *http.Client) {
		_, err := c.Measurements(t.Context(), api.MeasurementFilter{})
		if e := asDomain(t, err); e.Code != modelwatch.CodeUnavailable || !strings.Contains(e.Message, "took longer than 1m") {
			t.Errorf("error %v", err)
		}
	})
}
