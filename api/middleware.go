package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

type contextKey int

const requestIDKey contextKey = iota

// requestIDHeader carries the id of a request, in both directions.
const requestIDHeader = "X-Request-Id"

// requestID is the id under which the log knows the request.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// identify gives each request an id: the caller's if it is short and printable, else a new one.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !usableRequestID(id) {
			var b [12]byte
			_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
			id = hex.EncodeToString(b[:])
		}
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey, id)))
	})
}

// usableRequestID keeps what others send from breaking log lines and URNs.
func usableRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.:", c) >= 0:
		default:
			return false
		}
	}
	return true
}

type httpMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newHTTPMetrics(registry prometheus.Registerer) (*httpMetrics, error) {
	m := &httpMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "modelwatch_http_requests_total",
			Help: "HTTP requests answered, by method, route pattern and status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "modelwatch_http_request_duration_seconds",
			Help:    "Time from the first byte of a request to the end of its answer, by method and route pattern.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 60, 300},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "modelwatch_http_requests_in_flight",
			Help: "HTTP requests being answered now.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight} {
		if err := registry.Register(c); err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInternal, err, "register http metrics")
		}
	}
	return m, nil
}

// observe writes the access log, a line per request, and counts. Probes and
// scrapes log at debug: they would drown the rest.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		start := s.now()
		s.metrics.inFlight.Inc()
		defer func() {
			s.metrics.inFlight.Dec()
			s.record(r, ww, s.now().Sub(start))
		}()
		next.ServeHTTP(ww, r)
	})
}

func (s *Server) record(r *http.Request, w middleware.WrapResponseWriter, took time.Duration) {
	route := "unmatched" // a path of the caller's must never become a label
	if rc := chi.RouteContext(r.Context()); rc != nil && rc.RoutePattern() != "" {
		route = rc.RoutePattern()
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	status := w.Status()
	if status == 0 {
		status = statusClientGone
	}
	s.metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	s.metrics.seconds.WithLabelValues(method, route).Observe(took.Seconds())

	level := slog.LevelInfo
	if quiet(r.URL.Path) {
		level = slog.LevelDebug
	}
	s.log.LogAttrs(r.Context(), level, "http request",
		slog.String("request_id", requestID(r.Context())),
		slog.String("method", method), slog.String("path", r.URL.Path), slog.String("route", route),
		slog.Int("status", status), slog.Int("bytes", w.BytesWritten()), slog.Duration("duration", took),
		slog.String("remote", r.RemoteAddr))
}

// recoverPanics keeps one request's fault from ending the process, and says
// 500 if nothing was said yet.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) { // an answer broken off on purpose
				panic(http.ErrAbortHandler)
			}
			s.log.ErrorContext(r.Context(), "request panicked",
				slog.String("request_id", requestID(r.Context())), slog.String("path", r.URL.Path),
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
				panic(http.ErrAbortHandler) // the answer has begun: only cutting it off tells the caller
			}
			writeProblem(w, r, internalProblem())
		}()
		next.ServeHTTP(w, r)
	})
}

// open are the paths that need no token: probes, scrapes and the API's own
// description, which hold nothing of the models watched but their names.
func open(path string) bool {
	return quiet(path) || path == openAPIPath || path == docsPath || path == "/"
}

// quiet are the paths that machines ask for all the time.
func quiet(path string) bool { return path == healthPath || path == readyPath || path == metricsPath }

// authenticate asks for the bearer token on all paths but the open ones. Tokens
// are compared by their hashes, so that the time taken tells nothing of either.
func (s *Server) authenticate(next http.Handler) http.Handler {
	if s.token == "" {
		return next
	}
	want := sha256.Sum256([]byte(s.token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="modelwatch"`)
			writeProblem(w, r, statusProblem(http.StatusUnauthorized, "this call needs the header Authorization: Bearer <token>, with the token of the server's configuration"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
