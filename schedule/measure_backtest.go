package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
)

// measureBacktest scores the predictions of the window, version by version,
// with the labels that have arrived. A version that the job names is reported
// even if it has no predictions.
func (w *Worker) measureBacktest(ctx context.Context, a *attempt) error {
	model, err := w.opts.Store.Model(ctx, a.job.Model)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	predictions, err := w.windowFiles(ctx, a)
	if err != nil {
		return err
	}
	labels, err := w.opts.Store.DataFiles(ctx, modelwatch.DataFileFilter{Model: a.job.Model, Kind: modelwatch.KindLabel, Window: labelSpan(a.job, a.run.Window)})
	if err != nil {
		return fmt.Errorf("list label files: %w", err)
	}
	a.run.DataFiles += len(labels)
	versions := slices.Sorted(maps.Keys(predictions))
	if !allVersions(a.job) {
		versions = slices.Compact(slices.Sorted(slices.Values(a.job.Versions)))
	}
	var all []results
	for _, version := range versions {
		s, err := w.newScoring(ctx, a, model, version)
		if err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
		board, err := s.board(s.learnt.crossings)
		if err == nil {
			err = w.opts.Labels.JoinLabels(ctx, predictions[version], labels, a.run.Window, s.fields, board.add)
		}
		if err == nil {
			err = board.whole.Err()
		}
		if err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
		a.run.Rows += board.whole.Rows()
		if n := board.whole.Unscored(); n > 0 {
			a.warn("version %s: %d predictions carry nothing that a %s model can be scored by", version, n, model.Task)
		}
		all = append(all, results{measurements: s.measure(w, board), learnt: s.learnt.chunks})
	}
	return w.judge(ctx, a, all)
}

// scoring is how the rows of one version are scored, and what its baseline's own
// rows say.
type scoring struct {
	a       *attempt
	version string
	config  backtest.Config
	fields  modelwatch.JoinedFields
	columns [][]int // of each of the job's segments, in fields.Segments
	learnt  learnt
}

func (w *Worker) newScoring(ctx context.Context, a *attempt, model modelwatch.Model, version string) (*scoring, error) {
	s := &scoring{a: a, version: version, config: backtest.Config{Task: model.Task, Positive: model.Positive, Metrics: scoredMetrics(a.job, model.Task)}}
	v, err := w.opts.Store.Version(ctx, model.Name, version)
	if err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		return nil, fmt.Errorf("read version: %w", err)
	}
	switch model.Task {
	case modelwatch.TaskMulticlass:
		s.config.Classes, s.fields.Classes = v.Schema.Classes, v.Schema.Classes
	case modelwatch.TaskRanking:
		s.fields.Group = true
	}
	s.fields.Segments, s.columns = segmentColumns(a.job.Segments, v.Schema)
	s.learnt, err = w.learnBacktest(ctx, s)
	return s, err
}

// scoredMetrics are the metrics that a backtest measures.
func scoredMetrics(job modelwatch.Job, task modelwatch.Task) []string {
	metrics := slices.Clone(job.Metrics)
	if len(metrics) == 0 {
		metrics = slices.Clone(backtest.Default(task))
		for _, t := range job.Thresholds {
			if !slices.Contains(metrics, t.Metric) {
				metrics = append(metrics, t.Metric)
			}
		}
	}
	return metrics
}

// segmentColumns lists the columns of all of a job's segments, and where those of
// each stand in that list.
func segmentColumns(segments [][]string, schema modelwatch.Schema) (columns []string, places [][]int) {
	for _, names := range segments {
		at := make([]int, len(names))
		for i, name := range names {
			column := schema.SegmentColumn(name)
			if at[i] = slices.Index(columns, column); at[i] < 0 {
				at[i] = len(columns)
				columns = append(columns, column)
			}
		}
		places = append(places, at)
	}
	return columns, places
}

func (s *scoring) board(crossings []modelwatch.Crossing) (*scoreboard, error) {
	return newScoreboard(s.config, crossings, s.columns)
}

func (s *scoring) options() backtest.Options {
	return backtest.Options{MinimumRows: s.a.job.MinimumRows}
}

// measure returns the values of every group of rows, with those of the same
// segment of the baseline beside.
func (s *scoring) measure(w *Worker, board *scoreboard) []modelwatch.Measurement {
	mature := w.mature(s.a)
	var out []modelwatch.Measurement
	for _, g := range board.groups() {
		values := g.scorer.Values(s.config.Metrics, s.options())
		backtest.Compare(values, s.learnt.own[modelwatch.SegmentKey(g.segment)])
		var coverage *float64
		if c, ok := g.scorer.Accumulator().LabelCoverage(); ok {
			coverage = &c
		}
		for _, v := range values {
			m := s.a.measurement(v, s.version, mature)
			m.Subject, m.Segment, m.LabelCoverage = modelwatch.SubjectModel, g.segment, coverage
			out = append(out, m)
		}
	}
	return out
}
