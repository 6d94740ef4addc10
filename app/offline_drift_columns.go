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

// compareColumns builds, counts and measures one column after the other, some at
// a time, so that memory does not grow with the number of columns, but for what is measured and shown.
func (r *driftRun) compareColumns(ctx context.Context) error {
	crossings, err := r.crossings(ctx)
	if err != nil {
		return err
	}
	c := newCollected(len(r.columns))
	r.outlines = make([]outline, len(r.columns))
	var unweighed [2]int64
	var comparisons []engine.Comparison
	if r.learns() {
		comparisons = append(comparisons, r.learning())
	}
	comparisons = append(comparisons, engine.Comparison{
		Side: r.current.side(), Groups: r.groupOptions(r.chunk),
		Group: func(i int, g engine.Group, baseline, current *profile.SetColumn) error {
			if c.values[i] = append(c.values[i], r.measureColumn(baseline, current)); i == 0 { // all columns have the same
				c.groups = append(c.groups, g)
			}
			return nil
		},
		Whole: func(i int, baseline, current *profile.SetColumn) error {
			r.outlines[i] = r.outline(r.columns[i], baseline.Profile, current.Profile)
			if i == 0 { // rows without a weight are the same in all columns
				unweighed = [2]int64{baseline.Profile.InvalidWeights(), current.Profile.InvalidWeights()}
			}
			return nil
		},
	})
	bar := progressCount(r.opts.Streams.Err, len(r.columns), "comparing "+r.current.uri)
	stats, err := engine.Compare(ctx, engine.Reference{Side: r.baseline.side(), Columns: r.columns, Set: r.baseline.set, Crossings: crossings}, comparisons, engine.BuildOptions{
		Weight:   r.known.columns.Weight,
		Progress: func(done, _ int) { _ = bar.Set(done) }, // drawing only
	})
	_ = bar.Finish() // drawing only
	if err != nil {
		return err
	}
	if err := r.noteUnweighed(ctx, unweighed); err != nil {
		return err
	}
	for i := range comparisons {
		r.noteTimeless(comparisons[i].Name, stats[i])
	}
	r.take(c)
	return nil
}
