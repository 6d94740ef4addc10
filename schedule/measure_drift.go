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
	model, err := w.opts.Store.Model(ctx, a.job.Model)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	var all []results
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
		r, err := w.measureVersion(ctx, a, baseline, traffic[version], model.FeatureGroups)
		if err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
		all = append(all, r)
	}
	return w.judge(ctx, a, all)
}

// measureVersion compares the window of one version with what the job says.
func (w *Worker) measureVersion(ctx context.Context, a *attempt, b modelwatch.Baseline, files []modelwatch.DataFile, groups map[string][]string) (results, error) {
	r := results{version: b.Version}
	training, err := w.opts.Baselines.Profile(ctx, b)
	if err != nil {
		return r, fmt.Errorf("read baseline %s: %w", b.ID, err)
	}
	baseline, err := w.baselineProfile(ctx, a, b, training)
	if err != nil {
		return r, err
	}
	current, err := w.opts.Windows.WindowProfile(ctx, files, a.run.Window, training)
	if err != nil {
		return r, fmt.Errorf("profile window: %w", err)
	}
	a.run.Rows += rowsOf(current)
	c := &comparison{w: w, a: a, version: b.Version, baseline: baseline, current: current, groups: groups}
	if c.importance, err = w.importance(ctx, b); err != nil {
		return r, err
	}
	r.measurements = c.measure()
	if r.learnt, err = w.learnDrift(ctx, c, b, training); err != nil {
		return r, err
	}
	if a.job.Kind == modelwatch.JobDrift {
		r.summarise = c.summarise
	}
	return r, nil
}

// importance returns the importance of a version's features.
func (w *Worker) importance(ctx context.Context, b modelwatch.Baseline) (map[string]float64, error) {
	version, err := w.opts.Store.Version(ctx, b.Model, b.Version)
	if err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		return nil, fmt.Errorf("read version: %w", err)
	}
	importance := make(map[string]float64, len(version.Schema.Features))
	for _, f := range version.Schema.Features {
		importance[f.Name] = f.Importance
	}
	return importance, nil
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
	groups            map[string][]string
	importance        map[string]float64 // by column in the table
	members           []drift.Member     // the features that were measured
	measurements      []modelwatch.Measurement
}

// measure returns what is measured of the job's columns, not judged yet.
func (c *comparison) measure() []modelwatch.Measurement {
	for i, col := range c.baseline.Columns {
		match, exact := matchColumn(c.a.job.Columns, col.Column)
		if !match {
			continue
		}
		c.column(col, c.current.Columns[i].Profile, exact)
		if col.Subject == modelwatch.SubjectFeature {
			c.members = append(c.members, drift.Member{Name: col.Name, Column: col.Column.Column, Importance: c.importance[col.Column.Column]})
		}
	}
	drift.Correct(c.measurements)
	return c.measurements
}

func (c *comparison) column(col profile.SetColumn, current *profile.Profile, exact bool) {
	metrics, ok := columnMetrics(c.a.job, col.Column, exact)
	if !ok {
		return
	}
	opts := drift.Options{MinimumRows: c.a.job.MinimumRows, View: col.View}
	for _, v := range drift.Measure(col.Profile, current, metrics, opts) {
		c.measurements = append(c.measurements, c.measurement(v, col.Subject, col.Name))
	}
}

// columnMetrics lists the metrics of one column, ok false if there are none. Nil
// is the default ones. Of the metrics that do not apply to a column only a
// column that is named in full gets to hear.
func columnMetrics(job modelwatch.Job, column modelwatch.Column, exact bool) (metrics []string, ok bool) {
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
		metrics = slices.DeleteFunc(metrics, func(m string) bool { return !drift.AppliesTo(m, column) })
	}
	return metrics, len(metrics) > 0
}

func (c *comparison) measurement(v modelwatch.Value, subject modelwatch.Subject, name string) modelwatch.Measurement {
	m := c.a.measurement(v, c.version, c.w.mature(c.a))
	m.Subject, m.Name, m.Baseline = subject, name, string(c.a.job.Baseline.Kind)
	if m.Baseline == "" {
		m.Baseline = string(modelwatch.BaselineTraining)
	}
	return m
}

// summarise makes of judged measurements what is said of groups and of the
// model: drifted_features and drifted_share where the job asks for them or has
// thresholds by which features can be called drifted, and averages.
func (c *comparison) summarise(judged []modelwatch.Measurement) []modelwatch.Measurement {
	var wanted []string
	for _, m := range c.a.job.Metrics {
		if m == drift.DriftedFeatures || m == drift.DriftedShare {
			wanted = append(wanted, m)
		}
	}
	drifted := drift.Drifted(judged)
	over := 0
	for _, is := range drifted {
		if is {
			over++
		}
	}
	var out []modelwatch.Measurement
	if len(wanted) > 0 || len(drifted) > 0 {
		for _, v := range drift.Summarise(over, len(drifted), rowsOf(c.baseline), rowsOf(c.current), wanted) {
			out = append(out, c.measurement(v, modelwatch.SubjectModel, ""))
		}
	}
	for _, m := range drift.Group(judged, c.members, c.groups) {
		out = append(out, c.measurement(m.Value, m.Subject, m.Name))
	}
	return out
}

func rowsOf(s *profile.Set) int64 {
	var rows int64
	for _, c := range s.Columns {
		rows = max(rows, c.Profile.Rows())
	}
	return rows
}
