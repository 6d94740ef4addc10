package app

import (
	"context"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/report"
)

// outline is what a result shows of a column's profiles. It takes a fiftieth of
// their memory, so that the profiles themselves need not be kept.
type outline struct {
	bins       []api.Bin
	identifier bool // too many categories to know a new one
	allInvalid bool // none of the current values is of the column's type
	page       report.Column
}

func (r *driftRun) outline(c modelwatch.Column, baseline, current *profile.Profile) outline {
	grid := baseline.Grid()
	o := outline{
		bins:       apiBins(grid),
		identifier: grid.Kind() == profile.KindCategory && c.View == modelwatch.ViewValue && !grid.KnowsCategories(),
		allInvalid: c.View == modelwatch.ViewValue && allInvalid(current),
	}
	if r.opts.Format == "html" {
		if o.page = reportColumn(c, baseline, current); o.page.Curve != nil {
			o.page.Curve.Reduce()
		}
	}
	return o
}

// columnwise reports whether a column's current profile is needed only until it is
// measured: no result is of several columns.
func (r *driftRun) columnwise() bool { return !r.byRows() && !r.byGroups() && !r.learns() }

// wholeSet reports whether the baseline's profiles of all columns are needed at the same time.
func (r *driftRun) wholeSet() bool {
	return r.opts.SaveProfile != "" || !r.byRows() && (r.byGroups() || r.learns())
}

// compareColumnwise builds, counts and measures one column after the other, some at
// a time, so that memory does not grow with the number of columns.
func (r *driftRun) compareColumnwise(ctx context.Context) error {
	values := make([][]modelwatch.Value, len(r.columns))
	r.outlines = make([]outline, len(r.columns))
	var unweighed [2]int64
	measure := func(i int, baseline, current *profile.SetColumn) error {
		values[i], r.outlines[i] = r.measureColumn(baseline, current), r.outline(r.columns[i], baseline.Profile, current.Profile)
		if i == 0 { // rows without a weight are the same in all columns
			unweighed = [2]int64{baseline.Profile.InvalidWeights(), current.Profile.InvalidWeights()}
		}
		return nil
	}
	bar := progressCount(r.opts.Streams.Err, len(r.columns), "comparing "+r.current.uri)
	opts := engine.BuildOptions{
		Weight:   r.known.columns.Weight,
		Progress: func(done, _ int) { _ = bar.Set(done) }, // drawing only
	}
	var err error
	if r.baseline.set == nil {
		err = engine.CompareTables(ctx, r.baseline.side(), r.current.side(), r.columns, opts, measure)
	} else {
		err = engine.CompareProfile(ctx, r.baseline.set, r.current.side(), opts, measure)
	}
	_ = bar.Finish() // drawing only
	if err != nil {
		return err
	}
	if err := r.noteUnweighed(ctx, unweighed); err != nil {
		return err
	}
	r.countCurrent(0, nil, nil, nil, r.current.rows)
	for i, c := range r.columns {
		for _, v := range values[i] {
			r.measured = append(r.measured, about(modelwatch.Measurement{}, c, v))
		}
		values[i] = nil
	}
	return nil
}
