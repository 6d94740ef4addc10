package app

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/drift"
)

// DriftOptions are the flags of modelwatch drift.
type DriftOptions struct {
	Baseline        string
	Current         string
	Features        []string
	Schema          string
	Segments        []string
	Weight          string
	Chunk           string
	Time            string
	LearnThresholds string
	Compat          string
	Exact           bool
	SaveProfile     string
	DryRun          bool
	OutputOptions
}

// driftRun is one call of Drift: what is asked for, what was read, and what came
// out.
type driftRun struct {
	opts       DriftOptions
	known      *declared
	thresholds []modelwatch.Threshold
	metrics    []string
	chunk      chunking
	segments   [][]string

	baseline, current side
	columns           []modelwatch.Column // to be compared
	outlines          []outline           // of the columns; nil where a preset compares them
	changes           []api.SchemaChange

	measured []modelwatch.Measurement
	learnt   learner
	chunks   []driftChunk
}

// driftChunk is one part of the current rows.
type driftChunk struct {
	window *modelwatch.Window
	rows   int64
	before int64 // rows of the chunks before it
}

// Drift compares two tables, column by column, and prints the result.
func Drift(ctx context.Context, opts DriftOptions) error {
	r, err := planDrift(opts)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return err
	}
	if opts.DryRun {
		return r.describe(opts.Streams.Out)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(r.gcPercent()))
	if err := r.freeze(ctx); err != nil {
		return err
	}
	if err := r.measure(ctx); err != nil {
		return err
	}
	breached := r.judge()
	r.note(opts.Streams.Err)
	err = opts.write(rendering{result: r.result, table: r.draw, page: r.page})
	if err == nil && breached && opts.FailOnBreach {
		return ErrBreached
	}
	return err
}

// gcPercent is the pace of the garbage collector. What is held of a few columns is some tens of
// megabytes, and collecting more often only takes time; what is held of thousands
// is hundreds, and waiting until as much again has gathered would take twice the memory.
func (r *driftRun) gcPercent() int {
	const fewColumns, few, many = 200, 300, 25
	if len(r.columns) <= fewColumns {
		return few
	}
	return many
}

// planDrift reads the flags.
func planDrift(opts DriftOptions) (*driftRun, error) {
	r := &driftRun{opts: opts, learnt: learner{values: map[modelwatch.Series][]float64{}}}
	r.baseline.uri, r.current.uri = opts.Baseline, opts.Current
	var err error
	if r.thresholds, err = parseThresholds(opts.Thresholds, append(drift.Metrics(), drift.GroupMetrics()...)); err != nil {
		return nil, err
	}
	if r.metrics, err = r.wanted(); err != nil {
		return nil, err
	}
	if err := checkSummary(r.thresholds); err != nil {
		return nil, err
	}
	if r.known, err = loadSchema(opts.Schema); err != nil {
		return nil, err
	}
	r.known.columns.Time = orText(opts.Time, r.known.columns.Time)
	r.known.columns.Weight = orText(opts.Weight, r.known.columns.Weight)
	if r.chunk, err = parseChunk(opts.Chunk); err != nil {
		return nil, err
	}
	if r.segments, err = parseSegments(opts.Segments); err != nil {
		return nil, err
	}
	if err := r.parseLearn(opts.LearnThresholds); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// wanted lists the metrics to be measured, those of thresholds included. A preset
// has defaults of its own.
func (r *driftRun) wanted() ([]string, error) {
	metrics, err := parseMetrics(r.opts.Metrics, drift.Metrics(), drift.Default())
	if err != nil {
		return nil, err
	}
	if r.opts.Compat != "" && len(r.opts.Metrics) == 0 {
		metrics = nil
	}
	return withThresholds(metrics, r.thresholds), nil
}

// check refuses what does not go together.
func (r *driftRun) check() error {
	raw := ""
	switch {
	case r.opts.Compat != "" && r.opts.Exact:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--compat and --exact: a preset reads every row anyway, give one of the two")
	case r.opts.Compat != "":
		raw = "--compat"
	case r.opts.Exact:
		raw = "--exact"
	}
	switch {
	case raw != "" && len(r.segments) > 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s and --segments: rows are not sorted by segment; compare the segments' files, or leave %s out", raw, raw)
	case raw != "" && r.chunk.period > 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s and --chunk %s: only chunks by rows go with it, for example --chunk 5000", raw, r.opts.Chunk)
	case r.opts.Compat != "" && r.known.columns.Weight != "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--compat and weights: %s knows no weights", r.opts.Compat)
	case r.opts.Time != "" && r.chunk.period == 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--time %s: it is the time of chunks, so say how long they are, for example --chunk 1d", r.opts.Time)
	}
	for _, t := range r.thresholds {
		if t.Against.Version != "" {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "threshold of %s: version %s is not known here; two files have no versions", t.Metric, t.Against.Version)
		}
		if t.Against.Lag > 0 && r.chunk.period == 0 {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "threshold of %s: a change in time needs chunks by time, for example --chunk 1d --time COLUMN", t.Metric)
		}
	}
	return nil
}

// checkSummary refuses a threshold on how many columns drifted where none says
// from when on a column has.
func checkSummary(thresholds []modelwatch.Threshold) error {
	summary := ""
	for _, t := range thresholds {
		if t.Metric != drift.DriftedFeatures && t.Metric != drift.DriftedShare {
			return nil
		}
		summary = t.Metric
	}
	if summary == "" {
		return nil
	}
	return modelwatch.Errorf(modelwatch.CodeInvalid, "threshold of %s: it counts the columns that are over a threshold, so give one for them too, for example psi=0.2", summary)
}

// result is the run's result as every format has it.
func (r *driftRun) result() api.Result {
	return api.Result{
		Kind:          modelwatch.JobDrift,
		Baseline:      &api.Source{URI: r.baseline.uri, Rows: r.baseline.rows},
		Current:       &api.Source{URI: r.current.uri, Rows: r.current.rows},
		Columns:       r.resultColumns(),
		SchemaChanges: r.changes,
		Measurements:  apiMeasurements(r.measured),
	}
}

func (r *driftRun) resultColumns() []api.Column {
	out := make([]api.Column, len(r.columns))
	for i, c := range r.columns {
		out[i] = api.Column{Name: c.Name, Type: c.Type}
		if r.outlines != nil {
			out[i].Bins = r.outlines[i].bins
		}
	}
	return out
}

// draw prints the result as a table.
func (r *driftRun) draw(w io.Writer, c canvas) error {
	fmt.Fprintf(w, "baseline  %s  %d rows\ncurrent   %s  %d rows\n\n", r.baseline.uri, r.baseline.rows, r.current.uri, r.current.rows)
	return writeDriftTable(w, c, r.view())
}
