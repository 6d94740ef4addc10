package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

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
}) (*feedOutput, error) {
	filter, err := in.filter(in.SpanQuery)
	if err != nil {
		return nil, err
	}
	return feed[modelwatch.Measurement, Measurement]{
		what: "measurements", convert: NewMeasurement,
		list: func(ctx context.Context, p Page) ([]modelwatch.Measurement, string, error) {
			filter.Page = p
			return s.opts.Store.Measurements(ctx, filter)
		},
		mediaType: csvMediaType, charset: "; charset=utf-8", batch: csvPage,
		open: func(w io.Writer, alive func()) func(context.Context, []modelwatch.Measurement) error {
			out := newMeasurementWriter(w)
			return func(_ context.Context, ms []modelwatch.Measurement) error {
				alive()
				return out.write(newList(ms, "", NewMeasurement).Items)
			}
		},
	}.answer(ctx, s, in.Accept, Page{Limit: in.Limit, Cursor: in.Cursor})
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
