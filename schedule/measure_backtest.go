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
		s, err := backtest.NewScorer(model.Task, model.Positive)
		if err != nil {
			return err
		}
		err = w.opts.Labels.JoinLabels(ctx, predictions[version], labels, a.run.Window, s.Add)
		if err == nil {
			err = s.Err()
		}
		if err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
		a.run.Rows += s.Rows()
		if n := s.Unscored(); n > 0 {
			a.warn("version %s: %d predictions carry nothing that a %s model can be scored by", version, n, model.Task)
		}
		all = append(all, results{version: version, measurements: w.score(a, version, s.Accumulator())})
	}
	return w.judge(ctx, a, all)
}

func (w *Worker) score(a *attempt, version string, acc *backtest.Accumulator) []modelwatch.Measurement {
	var coverage *float64
	if c, ok := acc.LabelCoverage(); ok {
		coverage = &c
	}
	mature := w.mature(a)
	var out []modelwatch.Measurement
	for _, v := range acc.Values(a.job.Metrics, backtest.Options{MinimumRows: a.job.MinimumRows}) {
		m := a.measurement(v, version, mature)
		m.Subject, m.LabelCoverage = modelwatch.SubjectModel, coverage
		out = append(out, m)
	}
	return out
}
