package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"github.com/modelwatch/modelwatch"
)

// csvPage is how many measurements are read at a time for a CSV answer.
const csvPage = 1000

// MeasurementQuery are the filters of the measurements.
type MeasurementQuery struct {
	Model   string   `query:"model"`
	Version string   `query:"version"`
	Job     string   `query:"job"`
	Run     string   `query:"run" doc:"Id of a run."`
	Metric  string   `query:"metric" example:"psi"`
	Subject string   `query:"subject" enum:"feature,prediction,label,attribution,group,model"`
	Name    string   `query:"name" doc:"The column."`
	Segment []string `query:"segment,explode" doc:"key:value; may be given several times, and all must match." example:"country:DE"`
	Latest  bool     `query:"latest" doc:"Only the newest window of each series."`
}

func (q MeasurementQuery) filter(span SpanQuery) (MeasurementFilter, error) {
	f := MeasurementFilter{
		Model: q.Model, Version: q.Version, Job: q.Job, Run: q.Run, Metric: q.Metric,
		Subject: modelwatch.Subject(q.Subject), Name: q.Name, From: span.From, To: span.To, Latest: q.Latest,
	}
	var faults faults
	for i, pair := range q.Segment {
		key, value, ok := strings.Cut(pair, ":")
		if !ok || key == "" {
			faults.add(fmt.Sprintf("query.segment[%d]", i), pair, "must be key:value, for example country:DE")
			continue
		}
		if f.Segment == nil {
			f.Segment = map[string]string{}
		}
		f.Segment[key] = value
	}
	if err := faults.err("the filter"); err != nil {
		return f, err
	}
	return f, span.check()
}

type measurementsOutput struct {
	Body func(huma.Context)
}

func (s *Server) registerMeasurements() {
	const path = "/v1/measurements"
	stream(s, huma.Operation{
		OperationID: "list-measurements", Method: http.MethodGet, Path: path, Tags: []string{"results"},
		Summary: "List measurements",
		Description: `With Accept: text/csv the answer is a table with a header line, and holds everything that matches unless limit is given.
Only the newest revision of each window is listed, unless a run is named.`,
	}, s.listMeasurements)
	s.operation(path, http.MethodGet).Responses["200"].Content = map[string]*huma.MediaType{
		jsonMediaType: {Schema: s.schemaOf(List[Measurement]{}, "")},
		csvMediaType:  {Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

func (s *Server) listMeasurements(ctx context.Context, in *struct {
	Accept string `header:"Accept" hidden:"true"`
	MeasurementQuery
	SpanQuery
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"How many items at most: 100 if not given, and all of them in CSV."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"next_cursor of the page before."`
}) (*measurementsOutput, error) {
	filter, err := in.filter(in.SpanQuery)
	if err != nil {
		return nil, err
	}
	asCSV := negotiation.SelectQValueFast(in.Accept, []string{jsonMediaType, csvMediaType}) == csvMediaType
	filter.Page = Page{Limit: in.Limit, Cursor: in.Cursor}
	switch {
	case in.Limit > 0:
	case asCSV:
		filter.Limit = csvPage
	default:
		filter.Limit = 100
	}
	var next string
	ms, err := inTime(ctx, func(ctx context.Context) (ms []modelwatch.Measurement, err error) {
		ms, next, err = s.opts.Store.Measurements(ctx, filter)
		return ms, err
	})
	if err != nil {
		return nil, fmt.Errorf("list measurements: %w", err)
	}
	if !asCSV {
		page := newList(ms, next, NewMeasurement)
		return &measurementsOutput{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", jsonMediaType)
			hc.SetStatus(http.StatusOK)
			s.cutOff(hc.Context(), s.api.Marshal(hc.BodyWriter(), jsonMediaType, page))
		}}, nil
	}
	if in.Limit > 0 {
		next = ""
	}
	filter.Cursor = next
	return &measurementsOutput{Body: func(hc huma.Context) { s.sendCSV(hc, ms, filter) }}, nil
}

// sendCSV writes the first page and, while the filter has a cursor, those after it.
func (s *Server) sendCSV(hc huma.Context, ms []modelwatch.Measurement, filter MeasurementFilter) {
	_, w := humachi.Unwrap(hc)
	control := http.NewResponseController(w)
	hc.SetHeader("Content-Type", csvMediaType+"; charset=utf-8")
	hc.SetStatus(http.StatusOK)
	out := newMeasurementWriter(hc.BodyWriter())
	for {
		// A writer that knows no deadlines, as in tests, has none to be moved.
		_ = control.SetWriteDeadline(time.Now().Add(streamIdle))
		s.cutOff(hc.Context(), out.write(newList(ms, "", NewMeasurement).Items))
		if filter.Cursor == "" {
			return
		}
		var err error
		ms, filter.Cursor, err = s.opts.Store.Measurements(hc.Context(), filter)
		s.cutOff(hc.Context(), err)
	}
}

// cutOff ends an answer that has begun and cannot be completed: the connection
// is broken, because a short answer would look like a whole one.
func (s *Server) cutOff(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		_ = s.problem(ctx, err) // logs it; the status has gone out already
	}
	panic(http.ErrAbortHandler)
}

// measurementWriter writes measurements as CSV, a page at a time.
type measurementWriter struct {
	w      *csv.Writer
	header bool
}

func newMeasurementWriter(w io.Writer) *measurementWriter {
	return &measurementWriter{w: csv.NewWriter(w)}
}

// measurementColumns are the columns of the CSV form, in order. New ones go to the end.
var measurementColumns = []string{
	"window_start", "window_end", "model", "version", "job", "kind", "revision", "run",
	"segment", "subject", "name", "metric", "class", "k",
	"value", "reason", "lower", "upper", "p_value", "null_95", "standard_error",
	"threshold_lower", "threshold_upper", "breached",
	"baseline", "n_baseline", "n_current", "label_coverage", "mature", "chunk", "computed_at",
	"effective_n_baseline", "effective_n_current", "adjusted_p_value", "baseline_value", "constant_value",
}

func (mw *measurementWriter) write(ms []Measurement) error {
	if !mw.header {
		mw.header = true
		if err := mw.w.Write(measurementColumns); err != nil {
			return fmt.Errorf("write csv header: %w", err)
		}
	}
	for _, m := range ms {
		if err := mw.w.Write(m.record()); err != nil {
			return fmt.Errorf("write csv line: %w", err)
		}
	}
	mw.w.Flush()
	return mw.w.Error()
}

// WriteCSV writes measurements as a CSV table with a header line: the form that
// the REST calls and the command line share. A field that does not apply is empty.
func WriteCSV(w io.Writer, ms []Measurement) error { return newMeasurementWriter(w).write(ms) }

// record is the measurement in the order of measurementColumns.
func (m Measurement) record() []string {
	var window Window
	if m.Window != nil {
		window = *m.Window
	}
	var bounds Bounds
	if m.Threshold != nil {
		bounds = *m.Threshold
	}
	return []string{
		csvTime(window.Start), csvTime(window.End), m.Model, m.Version, m.Job, string(m.Kind), csvCount(m.Revision), m.Run,
		csvSegment(m.Segment), string(m.Subject), m.Name, m.Metric, m.Class, csvCount(m.K),
		csvFloat(m.Value), string(m.Reason), csvFloat(m.Lower), csvFloat(m.Upper), csvFloat(m.PValue), csvFloat(m.Null95), csvFloat(m.StandardError),
		csvFloat(bounds.Lower), csvFloat(bounds.Upper), csvBool(m.Breached),
		m.Baseline, csvInt(m.NBaseline), strconv.FormatInt(m.NCurrent, 10), csvFloat(m.LabelCoverage), csvBool(m.Mature), csvChunk(m.Chunk), csvTime(deref(m.ComputedAt)),
		csvFloat(m.EffectiveBaseline), csvFloat(m.EffectiveCurrent), csvFloat(m.AdjustedP), csvFloat(m.BaselineValue), csvFloat(m.ConstantValue),
	}
}
