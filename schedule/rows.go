package schedule

import (
	"context"
	"fmt"
	"maps"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

// maxSampleRows is how many rows of a side are read for what a profile cannot
// answer: a column of them is held in memory, and sorted.
const maxSampleRows = 5_000_000

// Traffic are the rows of data files that fall into windows, which do not overlap.
type Traffic struct {
	Files   []modelwatch.DataFile
	Windows []modelwatch.Window
}

// Sides are the rows that are compared: Current with Baseline, or, if that is nil,
// with the rows of the training set, which in any case has frozen the grids and
// the segments.
type Sides struct {
	Training modelwatch.Baseline
	Baseline *Traffic
	Current  Traffic
}

// Rows reads rows again, for what profiles do not answer.
type Rows interface {
	// Segments calls f for each segment of the training set, and for the rest, with
	// the profiles of its rows on both sides. f must not keep them. An error of f
	// ends it and is returned.
	Segments(ctx context.Context, s Sides, by [][]string, grids *profile.Set, f func(segment map[string]string, baseline, current *profile.Set) error) error
	// Open opens both sides to read columns of them. More rows than limit on a side
	// are refused with CodeInvalid.
	Open(ctx context.Context, s Sides, limit int64) (SideRows, error)
	// ChunkSamples reads a column of the training set, whole and in the chunks of
	// BaselineProfiles.Chunks.
	ChunkSamples(ctx context.Context, b modelwatch.Baseline, column modelwatch.Column, n int, limit int64) (whole drift.Sample, chunks []drift.Sample, err error)
}

// SideRows are the rows of both sides, of which one column after the other is read.
type SideRows interface {
	Samples(ctx context.Context, column modelwatch.Column) (baseline, current drift.Sample, err error)
	Close() error
}

// segments compares the segments that the job asks for, each with its own rows of
// the baseline. Nothing is learnt for them.
func (c *comparison) segments(ctx context.Context, training *profile.Set) ([]results, error) {
	if len(c.a.job.Segments) == 0 {
		return nil, nil
	}
	var all []results
	err := c.w.opts.Rows.Segments(ctx, c.sides, c.a.job.Segments, training, func(segment map[string]string, baseline, current *profile.Set) error {
		part := comparison{w: c.w, a: c.a, sides: c.sides, segment: maps.Clone(segment), groups: c.groups, importance: c.importance, baseline: baseline, current: current}
		ms, err := part.measure(ctx)
		if err != nil {
			return err
		}
		r := results{measurements: ms}
		if c.a.job.Kind == modelwatch.JobDrift {
			part.baseline, part.current = nil, nil // which are not to be kept
			r.summarise = part.summarise
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure segments: %w", err)
	}
	return all, nil
}

// values measures one column in the way that the job asks for.
func (c *comparison) values(ctx context.Context, col profile.SetColumn, current *profile.Profile, metrics []string) ([]modelwatch.Value, error) {
	job := &c.a.job
	opts := drift.Options{MinimumRows: job.MinimumRows, View: col.View}
	exact := job.Exact && col.Profile.Grid().Kind() == profile.KindNumber
	switch {
	case job.Compat == "" && !exact:
		return drift.Measure(col.Profile, current, metrics, opts), nil
	case col.View != modelwatch.ViewValue && job.Compat != "":
		return nil, nil // no other tool has views
	case col.View != modelwatch.ViewValue:
		return drift.Measure(col.Profile, current, metrics, opts), nil
	}
	if c.rows == nil {
		rows, err := c.w.opts.Rows.Open(ctx, c.sides, maxSampleRows)
		if err != nil {
			return nil, err
		}
		c.rows = rows
	}
	x, y, err := c.rows.Samples(ctx, col.Column)
	if err != nil {
		return nil, err
	}
	if job.Compat == "" {
		return drift.MeasureExact(col.Profile, current, x, y, metrics, opts), nil
	}
	return compat(job.Compat, x, y, col.Column, metrics, opts)
}

// compat measures a column as another tool does: without metrics by that tool's
// default, and the quality ratios.
func compat(preset string, x, y drift.Sample, column modelwatch.Column, metrics []string, opts drift.Options) ([]modelwatch.Value, error) {
	values, err := drift.MeasureCompat(preset, x, y, metrics, opts)
	if err == nil && len(metrics) == 0 {
		var more []modelwatch.Value
		more, err = drift.MeasureCompat(preset, x, y, []string{drift.MissingRatio, drift.InvalidRatio}, opts)
		values = append(values, more...)
	}
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "measure column %s", column.Name)
	}
	return values, nil
}
