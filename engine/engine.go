// Package engine computes the profiles that metrics are functions of: of a
// training set, of a file, and of a window of the archive, whose data files it
// profiles at most once each.
package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// BuildOptions are the choices of BuildBaseline.
type BuildOptions struct {
	// Progress, if set, is called after each column; not at the same time twice.
	Progress func(done, of int)
}

// BuildBaseline freezes a grid for each of the columns from the rows of a table
// and counts them on it. Columns are read in parallel, each twice: for its grid
// and for its counts, so that memory does not grow with the rows.
func BuildBaseline(ctx context.Context, r *table.Reader, columns []modelwatch.Column, opts BuildOptions) (*profile.Set, error) {
	tallies, err := invalidOf(ctx, r)
	if err != nil {
		return nil, err
	}
	set := &profile.Set{Columns: make([]profile.SetColumn, len(columns))}
	var done atomic.Int64
	progress := make(chan struct{}, 1)
	err = eachColumn(ctx, len(columns), func(ctx context.Context, i int) error {
		grid, err := freeze(ctx, r, columns[i])
		if err != nil {
			return fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		p, err := profileColumn(ctx, r, columns[i].Column, grid)
		if err != nil {
			return fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		move(p, tallies[columns[i].Column])
		set.Columns[i] = profile.SetColumn{Column: columns[i], Profile: p}
		if n := done.Add(1); opts.Progress != nil {
			progress <- struct{}{}
			opts.Progress(int(n), len(columns))
			<-progress
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// freeze makes the grid of one column.
func freeze(ctx context.Context, r *table.Reader, column modelwatch.Column) (*profile.Grid, error) {
	switch column.Type {
	case modelwatch.TypeNumber:
		b := profile.NewNumberBuilder()
		err := r.ScanColumn(ctx, column.Column, func(_ int, c *table.Column) error {
			if c.Floats != nil {
				b.AddFloats(c.Floats, c.Valid)
			}
			return nil
		})
		return b.Grid(), err
	case modelwatch.TypeCategory:
		b := profile.NewCategoryBuilder()
		err := r.ScanColumn(ctx, column.Column, func(rows int, c *table.Column) error {
			if c.Index != nil {
				b.AddCategories(c.Dict, c.Index, c.Valid)
				return nil
			}
			if !allMissing(c) && c.Vectors == nil {
				var text counter
				text.asText(c, 0, rows)
				b.AddCategories(text.dict, text.index, c.Valid)
			}
			return nil
		})
		return b.Grid(), err
	case modelwatch.TypeBoolean:
		return profile.NewBooleanGrid(), nil
	}
	return profile.NewPresenceGrid(), nil
}

// ProfileTable counts the rows of a table on the grids of another. A column that
// the table lacks is all missing; one that has another type there is invalid.
func ProfileTable(ctx context.Context, r *table.Reader, like *profile.Set) (*profile.Set, error) {
	tallies, err := invalidOf(ctx, r)
	if err != nil {
		return nil, err
	}
	set := like.Empty()
	err = eachColumn(ctx, len(set.Columns), func(ctx context.Context, i int) error {
		c := &set.Columns[i]
		p, err := profileColumn(ctx, r, c.Column.Column, c.Profile.Grid())
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		move(p, tallies[c.Column.Column])
		c.Profile = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

func profileColumn(ctx context.Context, r *table.Reader, name string, g *profile.Grid) (*profile.Profile, error) {
	p, count := profile.New(g), newCounter(g)
	err := r.ScanColumn(ctx, name, func(rows int, c *table.Column) error {
		count.add(p, c, 0, rows)
		return nil
	})
	return p, err
}

// invalidOf reads what a table's _invalid column says, by column.
func invalidOf(ctx context.Context, r *table.Reader) (map[string]tally, error) {
	tallies := map[string]tally{}
	if _, ok := r.Column(modelwatch.ColumnInvalid); !ok {
		return tallies, nil
	}
	err := r.ScanColumn(ctx, modelwatch.ColumnInvalid, func(rows int, c *table.Column) error {
		countInvalid(tallies, c, 0, rows)
		return nil
	})
	return tallies, err
}

// move takes what is invalid out of what is missing: a value that did not fit is
// stored as missing, beside its text. More than is missing cannot have been.
func move(p *profile.Profile, t tally) {
	n := min(t.invalid, p.Missing())
	p.AddInvalid(n)
	p.AddOutOfRange(min(t.outOfRange, n))
}

// eachColumn runs f for 0 ... n-1 on as many goroutines as there are processors.
func eachColumn(ctx context.Context, n int, f func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(ctx, i)
		})
	}
	return g.Wait()
}

// Engine profiles windows of an archive.
type Engine struct {
	archive *archive.Archive
	opts    Options
}

// Options bounds what a window's profile takes. Zero values mean the defaults.
type Options struct {
	// Files is how many data files are profiled at the same time; default the
	// number of processors.
	Files int
}

// New makes an engine on an archive.
func New(a *archive.Archive, opts Options) *Engine {
	if opts.Files <= 0 {
		opts.Files = runtime.GOMAXPROCS(0)
	}
	return &Engine{archive: a, opts: opts}
}

// Stats are what a window's profile took.
type Stats struct {
	Files     int
	Rows      int64 // in the window
	CacheHits int   // files whose profile had been stored
}

// WindowProfile counts the rows of the files that fall into the window on the
// grids of like, which gives the columns and their order. Each file's profiles,
// one per time bucket, are made once and stored beside its object; only the
// buckets that the window cuts are counted anew from the rows. Files are merged
// in the order of their ids, so that the same files give the same bytes. A row is
// counted as often as it stands in the archive: once per record of Kafka.
func (e *Engine) WindowProfile(ctx context.Context, files []modelwatch.DataFile, w modelwatch.Window, like *profile.Set) (*profile.Set, Stats, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b modelwatch.DataFile) int { return int(a.ID - b.ID) })
	grid := like.GridID()
	parts := make([]*profile.Set, len(files))
	hits := make([]bool, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(e.opts.Files)
	for i, f := range files {
		g.Go(func() (err error) {
			parts[i], hits[i], err = e.fileProfile(gctx, f, w, like, grid)
			if err != nil {
				return fmt.Errorf("profile %s: %w", f.Key, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, Stats{}, err
	}
	set, stats := like.Empty(), Stats{Files: len(files)}
	for i, part := range parts {
		if err := set.Merge(part); err != nil {
			return nil, Stats{}, err
		}
		if hits[i] {
			stats.CacheHits++
		}
	}
	if len(set.Columns) > 0 {
		stats.Rows = set.Columns[0].Profile.Rows()
	}
	return set, stats, nil
}
