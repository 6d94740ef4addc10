package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

const drainLimit = 15 * time.Second

// serveHTTP adds the HTTP part on a listener that is open already, so that an
// address in use is an error at the start and ":0" works. It answers until ctx
// ends, then drains.
func (s *service) serveHTTP(handler http.Handler) error {
	listener, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "listen on %s", s.cfg.Listen)
	}
	s.cfg.Listen = listener.Addr().String()
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 3 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.front = append(s.front, part{"http", func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(listener) }()
		s.log.Info("listening", "address", s.cfg.Listen, "roles", s.roles)
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
		defer cancel()
		err := server.Shutdown(drain)
		if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}})
	return nil
}

// probes answers for a process without the api role: health, readiness, metrics.
func (s *service) probes() http.Handler {
	r := chi.NewRouter()
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	r.Get("/readyz", func(w http.ResponseWriter, req *http.Request) {
		status, text := http.StatusOK, ""
		for _, c := range s.readyChecks(req.Context()) {
			line := "ok"
			if c.Err != nil {
				status, line = http.StatusServiceUnavailable, c.Err.Error()
			}
			text += c.Name + ": " + line + "\n"
		}
		writeText(w, status, text)
	})
	r.Handle("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	return r
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client has gone: nobody to tell
}

const checkLimit = 5 * time.Second

// readyChecks asks every dependency at the same time, each for a few seconds.
func (s *service) readyChecks(ctx context.Context) []api.Check {
	checks := make([]api.Check, len(s.ready))
	var wg sync.WaitGroup
	for i, r := range s.ready {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkLimit)
			defer cancel()
			checks[i] = api.Check{Name: r.name, Err: r.check(ctx)}
		})
	}
	wg.Wait()
	return checks
}
