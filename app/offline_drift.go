package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// DriftOptions are the flags of modelwatch drift.
type DriftOptions struct {
	Baseline string
	Current  string
	Features []string
	OutputOptions
}

// Drift compares two files, column by column, and prints the result.
func Drift(ctx context.Context, opts DriftOptions) error {
	thresholds, err := parseThresholds(opts.Thresholds, drift.Metrics())
	if err != nil {
		return err
	}
	metrics, err := parseMetrics(opts.Metrics, drift.Metrics(), drift.Default())
	if err != nil {
		return err
	}
	if err := checkSummary(thresholds); err != nil {
		return err
	}
	metrics = withThresholds(metrics, thresholds)
	baseline, current, err := profileFiles(ctx, opts)
	if err != nil {
		return err
	}
	measured := measureSets(baseline, current, metrics, opts.MinimumRows)
	breached := judge(measured, thresholds)
	measured = append(measured, summarise(measured, metrics, len(opts.Metrics) == 0)...)
	breached = judge(measured, thresholds) || breached
	noteUnjudged(opts.Streams.Err, measured, thresholds)

	result := api.Result{
		Kind:         modelwatch.JobDrift,
		Baseline:     &api.Source{URI: opts.Baseline, Rows: baseline.rows},
		Current:      &api.Source{URI: opts.Current, Rows: current.rows},
		Columns:      resultColumns(baseline.set),
		Measurements: apiMeasurements(measured),
	}
	types := map[string]modelwatch.FeatureType{}
	for _, c := range baseline.set.Columns {
		types[c.Name] = c.Type
	}
	err = opts.write(rendering{result: result, table: func(w io.Writer, c canvas) error {
		fmt.Fprintf(w, "baseline  %s  %d rows\ncurrent   %s  %d rows\n\n", opts.Baseline, baseline.rows, opts.Current, current.rows)
		return writeDriftTable(w, c.palette, measured, types)
	}})
	if err == nil && breached && opts.FailOnBreach {
		return ErrBreached
	}
	return err
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

// profiled is one side of a comparison.
type profiled struct {
	rows int64
	set  *profile.Set
}

// profileFiles profiles the baseline, then the current file on its grids.
func profileFiles(ctx context.Context, opts DriftOptions) (baseline, current profiled, err error) {
	reader, closeFile, err := openTable(ctx, opts.Baseline, nil, opts.Streams)
	if err != nil {
		return baseline, current, err
	}
	defer closeFile()
	schema := tableSchema(reader)
	columns, err := selectColumns(schema.Profiled(), opts.Features, opts.Baseline)
	if err != nil {
		return baseline, current, err
	}
	if reader.Rows() == 0 {
		return baseline, current, modelwatch.Errorf(modelwatch.CodeInvalid, "%s has no rows: there is nothing to compare with", opts.Baseline)
	}
	baseline.rows = reader.Rows()
	if baseline.set, err = engine.BuildBaseline(ctx, reader, columns, engine.BuildOptions{}); err != nil {
		return baseline, current, fmt.Errorf("profile %s: %w", opts.Baseline, err)
	}
	now, closeNow, err := openTable(ctx, opts.Current, &schema, opts.Streams)
	if err != nil {
		return baseline, current, err
	}
	defer closeNow()
	current.rows = now.Rows()
	if current.set, err = engine.ProfileTable(ctx, now, baseline.set); err != nil {
		return baseline, current, fmt.Errorf("profile %s: %w", opts.Current, err)
	}
	noteColumns(opts.Streams.Err, now, baseline.set, current.set, schema)
	return baseline, current, nil
}

// tableSchema makes a schema of a file's columns: ours by their names, the rest
// features.
func tableSchema(r *table.Reader) modelwatch.Schema {
	var s modelwatch.Schema
	for _, c := range r.Columns() {
		switch {
		case c.Name == modelwatch.ColumnScore:
			s.Score = c.Type
		case c.Name == modelwatch.ColumnPredicted:
			s.Predicted = c.Type
		case c.Name == modelwatch.ColumnLabel:
			s.Label = c.Type
		case !modelwatch.Reserved(c.Name):
			s.Features = append(s.Features, modelwatch.Feature{Name: c.Name, Type: c.Type})
		}
	}
	s.SortFeatures()
	return s
}

// selectColumns keeps the columns that a pattern matches; none given keeps all.
func selectColumns(columns []modelwatch.Column, patterns []string, file string) ([]modelwatch.Column, error) {
	if len(patterns) == 0 {
		return columns, nil
	}
	used := map[string]bool{}
	var out []modelwatch.Column
	for _, c := range columns {
		for _, p := range patterns {
			if prefix, wild := strings.CutSuffix(p, "*"); c.Name == p || wild && strings.HasPrefix(c.Name, prefix) {
				used[p] = true
				out = append(out, c)
				break
			}
		}
	}
	for _, p := range patterns {
		if !used[p] {
			names := make([]string, len(columns))
			for i, c := range columns {
				names[i] = c.Name
			}
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "no column of %s matches %q; it has %s", file, p, strings.Join(names, ", "))
		}
	}
	return out, nil
}

func measureSets(baseline, current profiled, metrics []string, minimum int64) []modelwatch.Measurement {
	var out []modelwatch.Measurement
	for i, c := range baseline.set.Columns {
		wanted := applicable(metrics, c.Profile.Grid().Kind())
		if len(wanted) == 0 {
			continue
		}
		for _, v := range drift.Measure(c.Profile, current.set.Columns[i].Profile, wanted, drift.Options{MinimumRows: minimum}) {
			out = append(out, modelwatch.Measurement{Value: v, Kind: modelwatch.JobDrift, Subject: c.Subject, Name: c.Name})
		}
	}
	return out
}

// applicable drops what a column of that kind has no value for, so that a
// metric named for the numbers does not fill the categories with reasons.
func applicable(metrics []string, kind profile.Kind) []string {
	var out []string
	for _, m := range metrics {
		if drift.Applies(m, kind) {
			out = append(out, m)
		}
	}
	return out
}

// summarise adds the model's own values: how many columns are over a threshold.
// Where nobody named metrics, both are wanted.
func summarise(ms []modelwatch.Measurement, metrics []string, both bool) []modelwatch.Measurement {
	drifted, measured := map[string]bool{}, map[string]bool{}
	var nBaseline, nCurrent int64
	judged := false
	for _, m := range ms {
		if m.Value.Value != nil {
			measured[m.Name] = true
		}
		judged = judged || m.Threshold != nil
		if m.Breached {
			drifted[m.Name] = true
		}
		nBaseline, nCurrent = max(nBaseline, m.NBaseline), max(nCurrent, m.NCurrent)
	}
	if !judged {
		return nil
	}
	if both {
		metrics = nil
	}
	var out []modelwatch.Measurement
	for _, v := range drift.Summarise(len(drifted), len(measured), nBaseline, nCurrent, metrics) {
		out = append(out, modelwatch.Measurement{Value: v, Kind: modelwatch.JobDrift, Subject: modelwatch.SubjectModel})
	}
	return out
}

func resultColumns(set *profile.Set) []api.Column {
	out := make([]api.Column, len(set.Columns))
	for i, c := range set.Columns {
		out[i] = api.Column{Name: c.Name, Type: c.Type, Bins: apiBins(c.Profile.Grid())}
	}
	return out
}
