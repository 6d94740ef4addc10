package schedule

import (
	"context"
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

// qualityMetrics are the metrics of quality jobs: what is wrong with values,
// not how they are distributed.
var qualityMetrics = []string{drift.MissingRatio, drift.InvalidRatio, drift.NewCategoryRatio, drift.OutOfRangeRatio} //nolint:gochecknoglobals // a constant

// measureDrift compares the window with the baseline of each version. A version
// without a registered baseline has no grid to be measured on: it is passed
// over, with a warning if it has traffic or is asked for by name.
func (w *Worker) measureDrift(ctx context.Context, a *attempt) error {
	traffic, err := w.windowFiles(ctx, a)
	if err != nil {
		return err
	}
	versions, err := w.candidates(ctx, a.job, traffic)
	if err != nil {
		return err
	}
	for _, version := range versions {
		baseline, err := w.opts.Store.LatestBaseline(ctx, a.job.Model, version)
		if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
			if len(traffic[version]) > 0 || !allVersions(a.job) {
				a.warn("version %s has no baseline", version)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("find baseline of version %s: %w", version, err)
		}
		if err := w.measureVersion(ctx, a, baseline, traffic[version]); err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
	}
	return nil
}

// measureVersion compares the window of one version with what the job says.
func (w *Worker) measureVersion(ctx context.Context, a *attempt, b modelwatch.Baseline, files []modelwatch.DataFile) error {
	training, err := w.opts.Baselines.Profile(ctx, b)
	if err != nil {
		return fmt.Errorf("read baseline %s: %w", b.ID, err)
	}
	baseline, err := w.baselineProfile(ctx, a, b, training)
	if err != nil {
		return err
	}
	current, err := w.opts.Windows.WindowProfile(ctx, files, a.run.Window, training)
	if err != nil {
		return fmt.Errorf("profile window: %w", err)
	}
	a.run.Rows += rowsOf(current)
	c := comparison{w: w, a: a, version: b.Version, baseline: baseline, current: current}
	c.measure()
	return nil
}

// baselineProfile is what the window is compared with: the training set's own
// counts, or another window's counts on the training set's grid.
func (w *Worker) baselineProfile(ctx context.Context, a *attempt, b modelwatch.Baseline, training *profile.Set) (*profile.Set, error) {
	span, ok, err := baselineSpan(a.job.Baseline, a.run.Window)
	if err != nil || !ok {
		return training, err
	}
	files, err := w.opts.Store.DataFiles(ctx, modelwatch.DataFileFilter{Model: b.Model, Version: b.Version, Kind: modelwatch.KindPrediction, Window: span})
	if err != nil {
		return nil, fmt.Errorf("list data files of the baseline: %w", err)
	}
	a.run.DataFiles += len(files)
	set, err := w.opts.Windows.WindowProfile(ctx, files, span, training)
	if err != nil {
		return nil, fmt.Errorf("profile baseline: %w", err)
	}
	return set, nil
}

// baselineSpan is the span of archived traffic that a window is compared with,
// ok false if it is the training set.
func baselineSpan(ref modelwatch.BaselineRef, w modelwatch.Window) (span modelwatch.Window, ok bool, err error) {
	switch ref.Kind {
	case modelwatch.BaselineTraining, "":
		return span, false, nil
	case modelwatch.BaselineWindow:
		return ref.Window, true, nil
	case modelwatch.BaselinePrevious:
		return modelwatch.Window{Start: w.Start.Add(-w.Duration()), End: w.Start}, true, nil
	case modelwatch.BaselineRolling:
		end := w.End.Add(-ref.Offset)
		return modelwatch.Window{Start: end.Add(-ref.Length), End: end}, true, nil
	}
	return span, false, modelwatch.Errorf(modelwatch.CodeUnimplemented, "baseline kind %q is not known", ref.Kind)
}

// comparison is one version's window against its baseline.
type comparison struct {
	w                 *Worker
	a                 *attempt
	version           string
	baseline, current *profile.Set
}

func (c *comparison) measure() {
	first := len(c.a.measurements)
	for i, col := range c.baseline.Columns {
		if match, exact := matchColumn(c.a.job.Columns, col.Name); match {
			c.column(col, c.current.Columns[i].Profile, exact)
		}
	}
	if c.a.job.Kind == modelwatch.JobDrift {
		c.summarise(c.a.measurements[first:])
	}
}

func (c *comparison) column(col profile.SetColumn, current *profile.Profile, exact bool) {
	metrics, ok := columnMetrics(c.a.job, col.Profile.Grid().Kind(), exact)
	if !ok {
		return
	}
	opts := drift.Options{MinimumRows: c.a.job.MinimumRows}
	for _, v := range drift.Measure(col.Profile, current, metrics, opts) {
		c.add(v, col.Subject, col.Name)
	}
}

// columnMetrics lists the metrics of one column, ok false if there are none. Nil
// is the default ones. Of the metrics that do not apply to a column only a
// column that is named in full gets to hear.
func columnMetrics(job modelwatch.Job, kind profile.Kind, exact bool) (metrics []string, ok bool) {
	metrics = slices.Clone(job.Metrics)
	if job.Kind == modelwatch.JobQuality {
		if len(metrics) == 0 {
			metrics, exact = slices.Clone(qualityMetrics), false
		}
		metrics = slices.DeleteFunc(metrics, func(m string) bool { return !slices.Contains(qualityMetrics, m) })
	} else if len(metrics) == 0 {
		return nil, true
	}
	if !exact {
		metrics = slices.DeleteFunc(metrics, func(m string) bool { return !drift.Applies(m, kind) })
	}
	return metrics, len(metrics) > 0
}

// add appends a measurement and judges it.
func (c *comparison) add(v modelwatch.Value, subject modelwatch.Subject, name string) {
	m := c.a.measurement(v, c.version, c.w.mature(c.a))
	m.Subject, m.Name, m.Baseline = subject, name, string(c.a.job.Baseline.Kind)
	if m.Baseline == "" {
		m.Baseline = string(modelwatch.BaselineTraining)
	}
	m.Judge(c.a.job.Thresholds, modelwatch.Past{})
	c.a.measurements = append(c.a.measurements, m)
}

// summarise adds drifted_features and drifted_share where the job asks for them
// or has thresholds by which features can be called drifted.
func (c *comparison) summarise(ms []modelwatch.Measurement) {
	var wanted []string
	for _, m := range c.a.job.Metrics {
		if m == drift.DriftedFeatures || m == drift.DriftedShare {
			wanted = append(wanted, m)
		}
	}
	drifted, measured := countDrifted(ms)
	if len(wanted) == 0 && measured == 0 {
		return
	}
	for _, v := range drift.Summarise(drifted, measured, rowsOf(c.baseline), rowsOf(c.current), wanted) {
		c.add(v, modelwatch.SubjectModel, "")
	}
}

// countDrifted counts the features that were judged by a threshold on a
// distance, and those of them that are over it. P-values are corrected for
// their number before they count.
func countDrifted(ms []modelwatch.Measurement) (drifted, measured int) {
	over := make(map[string]bool)
	tests := make(map[string][]modelwatch.Measurement)
	for _, m := range ms {
		if m.Subject != modelwatch.SubjectFeature || m.Threshold == nil || m.Value.Value == nil || slices.Contains(qualityMetrics, m.Metric) {
			continue
		}
		isTest := m.Metric == drift.KSP || m.Metric == drift.Chi2P
		if isTest {
			tests[m.Metric] = append(tests[m.Metric], m)
		}
		over[m.Name] = over[m.Name] || m.Breached && !isTest
	}
	for _, family := range tests {
		p := make([]float64, len(family))
		for i, m := range family {
			p[i] = *m.Value.Value
		}
		for i, adjusted := range drift.AdjustP(p) {
			limit := family[i].Threshold.Lower
			over[family[i].Name] = over[family[i].Name] || limit != nil && adjusted < *limit
		}
	}
	for _, is := range over {
		if is {
			drifted++
		}
	}
	return drifted, len(over)
}

func rowsOf(s *profile.Set) int64 {
	var rows int64
	for _, c := range s.Columns {
		rows = max(rows, c.Profile.Rows())
	}
	return rows
}
