package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/modelwatch/modelwatch"
)

// The paths outside of /v1.
const (
	healthPath  = "/healthz"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
	openAPIPath = "/openapi.yaml"
	docsPath    = "/docs"
)

const (
	// maxBodyBytes bounds a JSON body.
	maxBodyBytes = 1 << 20
	// readTimeout bounds the reading of a request that streams nothing.
	readTimeout = time.Minute
	// requestTimeout bounds the work for such a request.
	requestTimeout = time.Minute
	// streamIdle is how long a streamed body may stand still.
	streamIdle = time.Minute
	// maxNameBytes bounds the name of a model, version, job or column.
	maxNameBytes = 200
)

// Server answers the REST calls. Make it with New.
type Server struct {
	opts     Options
	token    string
	log      *slog.Logger
	now      func() time.Time
	eventNow func() time.Time
	router   chi.Router
	api      huma.API
	metrics  *httpMetrics
	spec     []byte
	docs     []byte
}

// New makes a server; it starts nothing. The options' Store, Baselines,
// Distributions, Backfill, ValidateCron, Ready, Log and Registry must be set.
func New(opts Options) (*Server, error) {
	s := &Server{opts: opts, token: opts.Token, log: opts.Log, now: opts.Now, router: chi.NewRouter()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.eventNow = opts.EventNow; s.eventNow == nil {
		s.eventNow = s.now
	}
	metrics, err := newHTTPMetrics(opts.Registry)
	if err != nil {
		return nil, err
	}
	s.metrics = metrics
	s.router.Use(identify, s.observe, s.recoverPanics, s.authenticate)
	s.router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, statusProblem(http.StatusNotFound, "no such path: %s lists what there is", docsPath))
	})
	s.router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, statusProblem(http.StatusMethodNotAllowed, "%s is not offered here: %s lists what is", r.Method, docsPath))
	})
	s.api = humachi.New(s.router, humaConfig(opts.Version))
	s.api.UseMiddleware(s.checkNames)
	s.registerOperations()
	if err := s.registerPages(); err != nil {
		return nil, err
	}
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// HTTPServer wraps the server with the timeouts that it relies on. Uploads and
// long answers lift the deadlines for themselves.
func (s *Server) HTTPServer(addr string) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + 2*requestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// OpenAPI is the description of the API as YAML, the same bytes each time.
func (s *Server) OpenAPI() []byte { return s.spec }

func (s *Server) registerOperations() {
	s.registerModels()
	s.registerVersions()
	s.registerBaselines()
	s.registerDistributions()
	s.registerJobs()
	s.registerRuns()
	s.registerMeasurements()
	s.registerEvents()
	s.registerLabels()
	s.registerDeadLetters()
	s.registerVolumes()
	s.registerIngest()
	s.registerErasures()
}

func (s *Server) registerPages() error {
	s.allowMore()
	spec, err := s.api.OpenAPI().YAML()
	if err != nil {
		return fmt.Errorf("render openapi description: %w", err)
	}
	s.spec = spec
	if s.docs, err = renderDocs(s.api.OpenAPI()); err != nil {
		return fmt.Errorf("render documentation: %w", err)
	}
	s.router.Get(healthPath, func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, http.StatusOK, textMediaType, []byte("ok\n"))
	})
	s.router.Get(readyPath, s.ready)
	s.router.Method(http.MethodGet, metricsPath, promhttp.HandlerFor(s.opts.Registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}))
	s.router.Get(openAPIPath, func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, http.StatusOK, "application/openapi+yaml", s.spec)
	})
	s.router.Get(docsPath, s.showDocs)
	s.router.Get("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, docsPath, http.StatusFound) })
	return nil
}

func humaConfig(version string) huma.Config {
	jsonFormat := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "modelwatch",
				Version:     version,
				Description: description,
				License:     nil,
			},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", Description: "The token of the server's configuration, if it has one."}},
			},
			Security: []map[string][]string{{"bearer": {}}, {}},
			Tags: []*huma.Tag{
				{Name: "models", Description: "What is watched: models, their versions and training sets."},
				{Name: "jobs", Description: "What is computed, when, against what."},
				{Name: "results", Description: "What came out."},
				{Name: "events", Description: "What goes in without a Kafka client, and what could not be read."},
			},
		},
		Formats:                      map[string]huma.Format{jsonMediaType: jsonFormat, "json": jsonFormat},
		DefaultFormat:                jsonMediaType,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{finishProblem},
	}
}

const description = `Watches machine-learning models: registers training sets, schedules drift and backtest jobs, and returns what they measured.

Lists are ` + "`{\"items\":[...],\"next_cursor\":\"...\"}`" + `; the cursor is absent on the last page. Times are RFC 3339, durations ` + "`15m`, `1h`, `7d`" + `.
Errors are RFC 9457 problems: ` + "`errors[].location`" + ` names the field, ` + "`type`" + ` the class, ` + "`instance`" + ` the request as the server's log knows it.
A PUT replaces the whole resource, and changes nothing when the body is the same again.`

// call registers an operation whose errors go through problem and whose work is
// bounded in time.
func call[I, O any](s *Server, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	stream(s, op, func(ctx context.Context, in *I) (*O, error) {
		return inTime(ctx, func(ctx context.Context) (*O, error) { return f(ctx, in) })
	})
}

// inTime bounds work by requestTimeout, and says so when that was the reason.
func inTime[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out, err := f(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = modelwatch.Wrap(modelwatch.CodeUnavailable, err, "the request took longer than %s: ask for less, or try again", modelwatch.FormatDuration(requestTimeout))
	}
	return out, err
}

// stream registers an operation that takes as long as its body does.
func stream[I, O any](s *Server, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBodyBytes
	op.BodyReadTimeout = readTimeout
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// checkNames refuses a path whose names no resource can have, before anything
// is asked for them.
func (s *Server) checkNames(ctx huma.Context, next func(huma.Context)) {
	var errs []error
	for _, p := range ctx.Operation().Parameters {
		if p.In != "path" {
			continue
		}
		name, fault := ctx.Param(p.Name), nameFault
		if p.Name == "column" {
			fault = columnFault
		}
		if message := fault(name); message != "" {
			errs = append(errs, &huma.ErrorDetail{Location: "path." + p.Name, Message: message, Value: name})
		}
	}
	if errs != nil {
		// The answer is all that is left to do: if it cannot be written, nobody reads it.
		_ = huma.WriteErr(s.api, ctx, http.StatusUnprocessableEntity, "the path names what cannot exist", errs...)
		return
	}
	next(ctx)
}

// nameFault says why a text cannot be the name of a model, version or job; "" if it can.
func nameFault(name string) string {
	switch {
	case name == "." || name == "..":
		return "must not be . or .., which paths give a meaning of their own"
	case strings.ContainsRune(name, '/'):
		return "must not contain a slash"
	}
	return columnFault(name)
}

// columnFault says why a text cannot be the name of a column, "" if it can.
// Tables are not ours: their columns may have a slash in their names.
func columnFault(name string) string {
	switch {
	case name == "":
		return "must not be empty"
	case len(name) > maxNameBytes:
		return fmt.Sprintf("has %d bytes: at most %d are allowed", len(name), maxNameBytes)
	case !utf8.ValidString(name):
		return "must be UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not contain control characters"
	}
	return ""
}

// requireModel returns the model or CodeNotFound.
func (s *Server) requireModel(ctx context.Context, name string) (modelwatch.Model, error) {
	m, err := s.opts.Store.Model(ctx, name)
	if err != nil {
		return modelwatch.Model{}, fmt.Errorf("read model: %w", err)
	}
	return m, nil
}
