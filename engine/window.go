package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// Stats are what a window's profile took.
type Stats struct {
	Files     int
	Rows      int64 // in the window
	CacheHits int   // files whose profile had been stored
}

// WindowProfile counts the rows of the files that fall into the window on the
// grids of like, which gives the columns and their order.
//
// Each file's profiles, one of all its rows and one per time bucket, are made
// once and stored beside its object; only the buckets that the window cuts are
// counted anew from the rows, by _time. Profiles are merged in the order of file
// ids and buckets. Rows of files that were sampled at different rates weigh one
// over their file's rate. A row counts as often as it stands in the archive, once per
// record of Kafka: a request id that was sent twice is two rows here, while a join of
// predictions with labels takes it once. At most Options.Files files are held at a time.
func (e *Engine) WindowProfile(ctx context.Context, files []modelwatch.DataFile, w modelwatch.Window, like *profile.Set) (*profile.Set, Stats, error) {
	return e.WindowsProfile(ctx, files, []modelwatch.Window{w}, like)
}

// WindowsProfile is WindowProfile of several windows, which do not overlap.
func (e *Engine) WindowsProfile(ctx context.Context, files []modelwatch.DataFile, windows []modelwatch.Window, like *profile.Set) (*profile.Set, Stats, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b modelwatch.DataFile) int { return int(a.ID - b.ID) })
	ctx, cancel := context.WithCancel(ctx)
	parts := e.fileParts(ctx, files, windows, like)
	set, stats := like.Empty(), Stats{Files: len(files)}
	var failed error
	for p := range parts { // to its end, also after a failure: who was started is waited for
		switch {
		case failed != nil:
		case p.err != nil:
			failed = p.err
		default:
			failed = set.MergeWeighted(p.set, p.weight)
		}
		if failed != nil {
			cancel()
		} else if p.hit {
			stats.CacheHits++
		}
	}
	cancel()
	if failed != nil {
		return nil, Stats{}, fmt.Errorf("profile window: %w", failed)
	}
	if len(set.Columns) > 0 {
		stats.Rows = set.Columns[0].Profile.Rows()
	}
	return set, stats, nil
}

// part is what one file gives to one window.
type part struct {
	set    *profile.Set
	weight float64
	hit    bool
	err    error
}

// fileParts profiles the files, some at a time, and yields them in their order.
// The channel is closed when every goroutine has ended.
func (e *Engine) fileParts(ctx context.Context, files []modelwatch.DataFile, windows []modelwatch.Window, like *profile.Set) <-chan part {
	grid, weight := like.GridID(), fileWeights(files, windows)
	out := make(chan part)
	waiting := make(chan chan part, e.files-1)
	go func() {
		defer close(waiting)
		for _, f := range files {
			for _, w := range windows {
				if len(windows) > 1 && outside(f, w) {
					continue
				}
				one := make(chan part, 1)
				waiting <- one
				go func() {
					p := part{weight: weight(f)}
					if p.err = ctx.Err(); p.err == nil {
						p.set, p.hit, p.err = e.fileProfile(ctx, f, w, like, grid)
					}
					if p.err != nil {
						p.err = fmt.Errorf("file %s: %w", f.Key, p.err)
					}
					one <- p
				}()
			}
		}
	}()
	go func() {
		defer close(out)
		for one := range waiting {
			out <- <-one
		}
	}()
	return out
}

// fileWeights weighs the rows of files that were sampled at different rates by one
// over their file's rate. Where all have one rate nothing is weighted: proportions
// are the same, and volumes are never estimated from the sample.
func fileWeights(files []modelwatch.DataFile, windows []modelwatch.Window) func(modelwatch.DataFile) float64 {
	one := func(modelwatch.DataFile) float64 { return 1 }
	first := math.NaN()
	for _, f := range files {
		if outsideAll(f, windows) {
			continue
		}
		weight := rateWeight(f)
		if !math.IsNaN(first) && weight != first {
			return rateWeight
		}
		first = weight
	}
	return one
}

func rateWeight(f modelwatch.DataFile) float64 {
	if f.SamplingRate > 0 && f.SamplingRate < 1 {
		return 1 / f.SamplingRate
	}
	return 1
}

// outside reports whether a file is known to have no rows in the window.
func outside(f modelwatch.DataFile, w modelwatch.Window) bool {
	return !f.MinTime.IsZero() && !f.MaxTime.IsZero() && (f.MaxTime.Before(w.Start) || !f.MinTime.Before(w.End))
}

func outsideAll(f modelwatch.DataFile, windows []modelwatch.Window) bool {
	return !slices.ContainsFunc(windows, func(w modelwatch.Window) bool { return !outside(f, w) })
}

// fileProfile is the profile of the rows of one file that fall into the window.
func (e *Engine) fileProfile(ctx context.Context, f modelwatch.DataFile, w modelwatch.Window, like *profile.Set, grid string) (*profile.Set, bool, error) {
	c := &counted{e: e, file: f, like: like, grid: grid}
	switch {
	case outside(f, w):
		return like.Empty(), false, nil
	case f.MinTime.IsZero() || f.MaxTime.IsZero():
	case !f.MinTime.Before(w.Start) && f.MaxTime.Before(w.End):
		return c.whole(ctx)
	}
	all, hit, err := c.buckets(ctx)
	if err != nil {
		return nil, false, err
	}
	set, cut := like.Empty(), false
	for _, b := range all {
		switch {
		case whole(b.start, w):
			part, err := like.DecodeCounts(b.counts)
			if err == nil {
				err = set.Merge(part)
			}
			if err != nil {
				return nil, false, err
			}
		case b.start.Before(w.End) && b.start.Add(modelwatch.BucketSize).After(w.Start):
			cut = true
		}
	}
	if cut {
		edges, err := e.edges(ctx, f, w, like)
		if err == nil {
			err = set.Merge(edges)
		}
		if err != nil {
			return nil, false, err
		}
	}
	return set, hit, nil
}

// edges profiles the rows of the window that are in buckets which it cuts.
func (e *Engine) edges(ctx context.Context, f modelwatch.DataFile, w modelwatch.Window, like *profile.Set) (*profile.Set, error) {
	all, err := e.count(ctx, f, like, func(t time.Time) (int64, bool) {
		return 0, w.Contains(t) && !whole(modelwatch.Bucket(t), w)
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return like.Empty(), nil
	}
	return all[0].set, nil
}

// whole reports whether a bucket lies within the window.
func whole(start time.Time, w modelwatch.Window) bool {
	return !start.Before(w.Start) && !start.Add(modelwatch.BucketSize).After(w.End)
}
