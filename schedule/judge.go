package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// maxPastRuns bounds how many windows one threshold looks for around those it
// compares with.
const maxPastRuns = 2000

// measurement makes a value one of the attempt's results.
func (a *attempt) measurement(v modelwatch.Value, version string, mature bool) modelwatch.Measurement {
	return modelwatch.Measurement{
		Value: v, RunID: a.run.ID, Model: a.run.Model, Version: version, Job: a.run.Job, Kind: a.job.Kind,
		Window: a.run.Window, Revision: a.run.Revision, Mature: mature,
	}
}

// mature reports whether the window of an attempt is past the time in which
// late rows still change it.
func (w *Worker) mature(a *attempt) bool {
	return !w.opts.EventNow().Before(a.run.Window.End.Add(a.job.Maturity))
}

// results are what was measured of one version, or of one segment of it.
type results struct {
	measurements []modelwatch.Measurement
	// learnt are values of the metrics over the baseline's chunks, for thresholds
	// that learn.
	learnt map[modelwatch.Series][]float64
	// summarise, if set, makes further measurements of those that are judged.
	summarise func(judged []modelwatch.Measurement) []modelwatch.Measurement
}

// judge judges what was measured by the job's thresholds. It comes after all
// versions are measured, because they may be compared with each other. What is
// made of judged measurements is judged last.
func (w *Worker) judge(ctx context.Context, a *attempt, all []results) error {
	history, err := w.history(ctx, a)
	if err != nil {
		return fmt.Errorf("read earlier measurements: %w", err)
	}
	for i := range all {
		history.Add(all[i].measurements...)
	}
	summaries := make([][]modelwatch.Measurement, len(all))
	for i := range all {
		r := &all[i]
		a.judge(r.measurements, history, r.learnt)
		if r.summarise != nil {
			summaries[i] = r.summarise(r.measurements)
			history.Add(summaries[i]...)
		}
	}
	for i := range all {
		a.judge(summaries[i], history, all[i].learnt)
		a.measurements = append(append(a.measurements, all[i].measurements...), summaries[i]...)
	}
	return nil
}

func (a *attempt) judge(ms []modelwatch.Measurement, history *modelwatch.History, learnt map[modelwatch.Series][]float64) {
	for i := range ms {
		m := &ms[i]
		m.Judge(a.job.Thresholds, modelwatch.Past{Windows: history.Windows(m), Chunks: learnt[m.Series()]})
	}
}

// history reads the earlier measurements that the job's thresholds look back on:
// those of the last windows, and for each of them and this one those of the
// windows that it is compared with. Windows of another length than this one's,
// from before the job was changed, are of another series.
func (w *Worker) history(ctx context.Context, a *attempt) (*modelwatch.History, error) {
	history := modelwatch.NewHistory(nil)
	metrics, back, lags := looks(a.job.Thresholds)
	if back == 0 && len(lags) == 0 {
		return history, nil
	}
	span := a.run.Window
	past := func(after, before time.Time, limit int) ([]modelwatch.Run, error) {
		return w.opts.Store.PastRuns(ctx, a.run.Model, a.run.Job, span.Duration(), after, before, limit)
	}
	var runs []modelwatch.Run
	oldest := span.End
	if back > 0 {
		var err error
		if runs, err = past(time.Time{}, span.End, back); err != nil {
			return nil, err
		}
		if len(runs) > 0 {
			oldest = runs[len(runs)-1].Window.End
		}
	}
	for _, lag := range lags {
		gap := modelwatch.MaximumGap + time.Microsecond // both ends of PastRuns are open
		before := span.End.Add(gap - lag)
		if before.After(span.End) {
			before = span.End
		}
		more, err := past(oldest.Add(-lag-gap), before, maxPastRuns)
		if err != nil {
			return nil, err
		}
		runs = append(runs, more...)
	}
	slices.SortFunc(runs, func(x, y modelwatch.Run) int { return strings.Compare(x.ID, y.ID) })
	runs = slices.CompactFunc(runs, func(x, y modelwatch.Run) bool { return x.ID == y.ID })
	for _, run := range runs {
		ms, err := w.opts.Store.RunMeasurements(ctx, run.ID, metrics)
		if err != nil {
			return nil, err
		}
		history.Add(ms...)
	}
	return history, nil
}

// looks says what thresholds look back on: the measurements of which metrics, how
// many windows, and from each of them how far.
func looks(thresholds []modelwatch.Threshold) (metrics []string, back int, lags []time.Duration) {
	for _, t := range thresholds {
		if t.For.N <= 1 && t.Against.Lag == 0 {
			continue
		}
		metrics = append(metrics, t.Metric)
		back = max(back, t.For.N-1)
		if t.Against.Lag > 0 {
			lags = append(lags, t.Against.Lag)
		}
	}
	slices.Sort(metrics)
	slices.Sort(lags)
	return slices.Compact(metrics), back, slices.Compact(lags)
}

// learns are the metrics that thresholds are learnt for, those of groups by the
// metric that they are of.
func learns(thresholds []modelwatch.Threshold) []string {
	var metrics []string
	for _, t := range thresholds {
		if t.Learn != nil {
			metrics = append(metrics, drift.GroupedMetric(t.Metric))
		}
	}
	slices.Sort(metrics)
	return slices.Compact(metrics)
}
