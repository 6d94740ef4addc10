// Package datadogtest is a stand-in for Datadog's metrics intake that is
// stricter than the original: what Datadog would drop without a word, change on
// arrival or merge with something else is refused with 400 here and written
// down, so that a test sees it. It speaks HTTP and imports nothing of Datadog's.
package datadogtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The limits of POST /api/v2/series.
const (
	MaxWireBytes         = 512_000
	MaxDecompressedBytes = 5_242_880
	MaxPoints            = 10_000
)

// Options of an Intake.
type Options struct {
	// APIKey is the key that is taken; every other is answered with 403. "" takes any but the empty one.
	APIKey string
	// Now is the intake's clock; nil is time.Now.
	Now func() time.Time
	// Historical takes points however old, as an organisation with historical
	// metrics ingestion does.
	Historical bool
}

// Point is one stored value.
type Point struct {
	Timestamp int64 // seconds since 1970
	Value     float64
}

// Series is what is stored of one metric and set of tags.
type Series struct {
	Metric   string
	Type     int // 0 unspecified, 1 count, 2 rate, 3 gauge
	Tags     []string
	Interval int64
	Unit     string
	Points   []Point // the last value of each second, by time
}

// Request is one request that reached the intake.
type Request struct {
	Path   string
	Status int // 0 when it was not answered
	Wire   int // bytes of the body as sent
	Bytes  int // bytes after decompression
	Points int
}

// Rejection is why a request was refused with 400 or 413.
type Rejection struct {
	Status  int
	Metric  string // "" when it is about the request as a whole
	Tags    []string
	Message string
}

// Intake is an http.Handler that answers as Datadog does: POST /api/v2/series
// and GET /api/v1/validate. A payload is stored as a whole or not at all. It may
// be used by several goroutines.
type Intake struct {
	opts Options

	mu         sync.Mutex
	series     map[string]*stored
	history    map[string][]Point
	requests   []Request
	rejections []Rejection
	faults     []fault
	changed    chan struct{} // closed and replaced with each request
	closed     chan struct{}
	closeOnce  sync.Once
}

type stored struct {
	Series
	points map[int64]float64
}

// NewIntake returns an empty intake.
func NewIntake(opts Options) *Intake {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Intake{
		opts: opts, series: map[string]*stored{}, history: map[string][]Point{},
		changed: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Close ends requests that are left hanging.
func (in *Intake) Close() { in.closeOnce.Do(func() { close(in.closed) }) }

// ServeHTTP implements http.Handler. A request is noted before it is answered,
// so that its sender finds it among Requests.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := Request{Path: r.URL.Path}
	f := in.nextFault(r)
	body, wire, unread := readBody(r)
	rec.Wire, rec.Bytes = wire, len(body)

	var rep reply
	switch {
	case f != nil && !f.stored:
		rep = f.reply
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/validate":
		rep = in.validate(r)
	case r.Method == http.MethodPost && r.URL.Path == "/api/v2/series":
		rec.Points, rep = in.submit(r, body, unread)
		if f != nil && rep.status == http.StatusAccepted {
			rep = f.reply
		}
	default:
		rep = failure(http.StatusNotFound, "Not found: "+r.Method+" "+r.URL.Path)
	}
	rec.Status = rep.status
	in.note(rec)
	in.send(w, r, &rep)
}

func (in *Intake) note(rec Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.requests = append(in.requests, rec)
	close(in.changed)
	in.changed = make(chan struct{})
}

func (in *Intake) keyIsGood(r *http.Request) bool {
	key := r.Header.Get("DD-API-KEY")
	return key != "" && (in.opts.APIKey == "" || key == in.opts.APIKey)
}

func (in *Intake) validate(r *http.Request) reply {
	if !in.keyIsGood(r) {
		return failure(http.StatusForbidden, "Forbidden")
	}
	return reply{status: http.StatusOK, body: `{"valid":true}`}
}

// submit takes what was sent to POST /api/v2/series, or says why not.
func (in *Intake) submit(r *http.Request, body []byte, unread *refusal) (points int, rep reply) {
	if !in.keyIsGood(r) {
		return 0, failure(http.StatusForbidden, "Forbidden")
	}
	p, refused := in.check(r, body, unread)
	if refused != nil {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.rejections = append(in.rejections, Rejection{refused.status, refused.metric, refused.tags, refused.message})
		return 0, failure(refused.status, refused.message)
	}
	return in.store(p), reply{status: http.StatusAccepted, body: `{"errors":[]}`}
}

func (in *Intake) store(p *payload) (points int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range p.Series {
		s := &p.Series[i]
		id := identity(s.Metric, s.Tags)
		st, ok := in.series[id]
		if !ok {
			st = &stored{points: map[int64]float64{}}
			in.series[id] = st
		}
		st.Series = Series{Metric: s.Metric, Type: *s.Type, Tags: slices.Sorted(slices.Values(s.Tags)), Interval: s.Interval, Unit: s.Unit}
		for _, pt := range s.Points {
			st.points[*pt.Timestamp] = *pt.Value
			in.history[id] = append(in.history[id], Point{*pt.Timestamp, *pt.Value})
			points++
		}
	}
	return points
}

func identity(metric string, tags []string) string {
	return metric + "\x00" + strings.Join(slices.Sorted(slices.Values(tags)), "\x00")
}

// Series lists what is stored, by metric and tags.
func (in *Intake) Series() []Series {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := make([]Series, 0, len(in.series))
	for _, id := range slices.Sorted(maps.Keys(in.series)) {
		st := in.series[id]
		s := st.Series
		s.Tags = slices.Clone(s.Tags)
		for _, ts := range slices.Sorted(maps.Keys(st.points)) {
			s.Points = append(s.Points, Point{ts, st.points[ts]})
		}
		out = append(out, s)
	}
	return out
}

// Find lists the series of a metric that carry all the given tags.
func (in *Intake) Find(metric string, tags ...string) []Series {
	return slices.DeleteFunc(in.Series(), func(s Series) bool {
		return s.Metric != metric || slices.ContainsFunc(tags, func(t string) bool { return !slices.Contains(s.Tags, t) })
	})
}

// Value is the stored value of exactly that series at that second.
func (in *Intake) Value(metric string, tags []string, at time.Time) (float64, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	st, ok := in.series[identity(metric, tags)]
	if !ok {
		return 0, false
	}
	v, ok := st.points[at.Unix()]
	return v, ok
}

// Sum adds up the stored points of every series of a metric with the given tags.
// Of counts it is the number that Datadog would show.
func (in *Intake) Sum(metric string, tags ...string) float64 {
	sum := 0.0
	for _, s := range in.Find(metric, tags...) {
		for _, p := range s.Points {
			sum += p.Value
		}
	}
	return sum
}

// History lists every point that was taken for exactly that series, in order of
// arrival, including those that a later one overwrote.
func (in *Intake) History(metric string, tags []string) []Point {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.history[identity(metric, tags)])
}

// Requests lists every request so far.
func (in *Intake) Requests() []Request {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.requests)
}

// Rejections lists why requests were refused. A healthy sender has none.
func (in *Intake) Rejections() []Rejection {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.rejections)
}

// Await returns nil as soon as the condition holds, asking again after each
// request, or an error when ctx ends first.
func (in *Intake) Await(ctx context.Context, condition func() bool) error {
	for {
		in.mu.Lock()
		changed := in.changed
		in.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await the intake: %w after %d requests", ctx.Err(), len(in.Requests()))
		}
	}
}
