package schedule

import (
	"context"
	"fmt"

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
		if other := a.job.Baseline; other.Kind == modelwatch.BaselineVersion && other.Version == version {
			if !allVersions(a.job) {
				a.warn("version %s is what others are compared with: it is not compared with itself", version)
			}
			continue
		}
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
		all = append(all, r...)
	}
	return w.judge(ctx, a, all)
}

// measureVersion compares the window of one version with what the job says: the
// whole population first, then its segments.
func (w *Worker) measureVersion(ctx context.Context, a *attempt, b modelwatch.Baseline, files []modelwatch.DataFile, groups map[string][]string) ([]results, error) {
	training, err := w.opts.Baselines.Profile(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("read baseline %s: %w", b.ID, err)
	}
	reference, err := w.reference(ctx, a, b)
	if err != nil {
		return nil, err
	}
	sides := Sides{Training: b, Baseline: reference, Current: Traffic{Files: files, Windows: []modelwatch.Window{a.run.Window}}}
	c := comparison{w: w, a: a, sides: sides, groups: groups, baseline: training}
	if reference != nil {
		if c.baseline, err = w.opts.Windows.WindowProfile(ctx, *reference, training); err != nil {
			return nil, fmt.Errorf("profile baseline: %w", err)
		}
	}
	if c.current, err = w.opts.Windows.WindowProfile(ctx, sides.Current, training); err != nil {
		return nil, fmt.Errorf("profile window: %w", err)
	}
	a.run.Rows += rowsOf(c.current)
	if c.importance, err = w.importance(ctx, b); err != nil {
		return nil, err
	}
	r := results{}
	if r.measurements, err = c.measure(ctx); err != nil {
		return nil, err
	}
	if r.learnt, err = w.learnDrift(ctx, c, training); err != nil {
		return nil, err
	}
	if a.job.Kind == modelwatch.JobDrift {
		r.summarise = c.summarise
	}
	segments, err := c.segments(ctx, training)
	return append([]results{r}, segments...), err
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

func rowsOf(s *profile.Set) int64 {
	var rows int64
	for _, c := range s.Columns {
		rows = max(rows, c.Profile.Rows())
	}
	return rows
}
