package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

// comparison is one version's window against its baseline, or a segment of it.
type comparison struct {
	w                   *Worker
	a                   *attempt
	sides               Sides
	segment             map[string]string
	baseline, current   *profile.Set
	groups              map[string][]string
	importance          map[string]float64 // by column in the table
	members             []drift.Member     // the features that were measured
	measurements        []modelwatch.Measurement
	nBaseline, nCurrent int64    // rows; known once it is measured
	rows                SideRows // open while it is measured, once a column needs them
}

// measure returns what is measured of the job's columns, not judged yet.
func (c *comparison) measure(ctx context.Context) ([]modelwatch.Measurement, error) {
	c.nBaseline, c.nCurrent = rowsOf(c.baseline), rowsOf(c.current)
	err := c.columns(ctx)
	if c.rows != nil {
		err = errors.Join(err, c.rows.Close())
		c.rows = nil
	}
	if err != nil {
		return nil, err
	}
	drift.Correct(c.measurements)
	return c.measurements, nil
}

func (c *comparison) columns(ctx context.Context) error {
	for i, col := range c.baseline.Columns {
		match, exact := matchColumn(c.a.job.Columns, col.Column)
		if !match {
			continue
		}
		if err := c.column(ctx, col, c.current.Columns[i].Profile, exact); err != nil {
			return fmt.Errorf("column %s: %w", col.Name, err)
		}
		c.member(col.Column)
	}
	return nil
}

// member notes a feature that was measured.
func (c *comparison) member(col modelwatch.Column) {
	if col.Subject == modelwatch.SubjectFeature {
		c.members = append(c.members, drift.Member{Name: col.Name, Column: col.Column, Importance: c.importance[col.Column]})
	}
}

func (c *comparison) column(ctx context.Context, col profile.SetColumn, current *profile.Profile, exact bool) error {
	metrics, ok := columnMetrics(c.a.job, col.Column, exact)
	if !ok {
		return nil
	}
	values, err := c.values(ctx, col, current, metrics)
	for _, v := range values {
		c.measurements = append(c.measurements, c.measurement(v, col.Subject, col.Name))
	}
	return err
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
	m := c.a.measurement(v, c.sides.Training.Version, c.w.mature(c.a))
	m.Segment = c.segment
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
		for _, v := range drift.Summarise(over, len(drifted), c.nBaseline, c.nCurrent, wanted) {
			out = append(out, c.measurement(v, modelwatch.SubjectModel, ""))
		}
	}
	for _, m := range drift.Group(judged, c.members, c.groups) {
		out = append(out, c.measurement(m.Value, m.Subject, m.Name))
	}
	return out
}
