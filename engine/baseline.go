package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// maxGridRows is the number of rows up to which a number's grid is made from
// every value: they are held in memory, one column per worker. Beyond, it is made
// from the sample of profile.NumberBuilder.
const maxGridRows = 1 << 20

// BuildOptions are the extras of building and profiling. The zero value is fine.
type BuildOptions struct {
	// Workers is how many columns are worked on at the same time; default GOMAXPROCS.
	Workers int
	// Progress, if set, is called after each column, from any goroutine but
	// never from two at once.
	Progress func(done, columns int)
}

func (o BuildOptions) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// BuildBaseline freezes a grid for each column of a training set and profiles
// the set on them. The counts are exact, of every row. The grid of a number is made
// from all its values up to 1,048,576 rows, from a sample of them beyond
// (profile.NumberBuilder); that of a category from all its values, within the
// limits of profile.CategoryBuilder. The same table gives the same baseline.
//
// A column that is not of the given type in the table, or outside of the given
// range, is invalid where it has a value; one that the table lacks is missing.
func BuildBaseline(ctx context.Context, r Source, columns []modelwatch.Column, opts BuildOptions) (*profile.Set, error) {
	invalid, err := newTallies(columns).scan(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("build baseline: %w", err)
	}
	set := &profile.Set{Columns: make([]profile.SetColumn, len(columns))}
	err = eachColumn(ctx, len(columns), opts, func(ctx context.Context, i int) error {
		p, err := buildColumn(ctx, r, columns[i])
		if err != nil {
			return fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		addInvalid(p, invalid[i])
		set.Columns[i] = profile.SetColumn{Column: columns[i], Profile: p}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("build baseline: %w", err)
	}
	return set, nil
}

// eachColumn calls f for every column, some at a time.
func eachColumn(ctx context.Context, n int, opts BuildOptions, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(opts.workers())
	var mu sync.Mutex
	done := 0
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(ctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; opts.Progress != nil {
				opts.Progress(done, n)
			}
			return nil
		})
	}
	return g.Wait()
}

func buildColumn(ctx context.Context, r Source, c modelwatch.Column) (*profile.Profile, error) {
	switch c.Type {
	case modelwatch.TypeNumber:
		if r.Rows() <= maxGridRows {
			return buildNumber(ctx, r, c)
		}
		grid, err := sampledGrid(ctx, r, c)
		if err != nil {
			return nil, err
		}
		return countColumn(ctx, r, c, grid)
	case modelwatch.TypeCategory:
		grid, err := categoryGrid(ctx, r, c)
		if err != nil {
			return nil, err
		}
		return countColumn(ctx, r, c, grid)
	case modelwatch.TypeBoolean:
		return countColumn(ctx, r, c, profile.NewBooleanGrid())
	}
	return countColumn(ctx, r, c, profile.NewPresenceGrid())
}

// countColumn profiles a whole column on a grid.
func countColumn(ctx context.Context, r Source, c modelwatch.Column, grid *profile.Grid) (*profile.Profile, error) {
	count := counter{column: c, profile: profile.New(grid)}
	err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
		count.add(rows, col)
		return nil
	})
	return count.profile, err
}

// buildNumber reads a number column once: what is counted are the values that
// the grid was made from.
func buildNumber(ctx context.Context, r Source, c modelwatch.Column) (*profile.Profile, error) {
	values := make([]float64, 0, r.Rows())
	var missing, invalid, outside int64
	err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
		for i := range rows {
			switch {
			case col.Missing(i):
				missing++
			case !fits(c.Type, col):
				invalid++
			case col.Floats[i]-col.Floats[i] != 0: // NaN or an infinity
				invalid++
			case beyond(&c, col.Floats[i]):
				invalid++
				outside++
			default:
				values = append(values, col.Floats[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sortFloats(values, make([]float64, len(values)))
	count := counter{column: c, profile: profile.New(profile.NewNumberGrid(values))}
	count.profile.AddFloats(values, nil)
	count.missing(int(missing + invalid))
	count.profile.AddInvalid(invalid)
	count.profile.AddOutOfRange(outside)
	return count.profile, nil
}

func sampledGrid(ctx context.Context, r Source, c modelwatch.Column) (*profile.Grid, error) {
	b := profile.NewNumberBuilder()
	var valid []bool
	err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
		if col.Type == "" || !fits(c.Type, col) {
			return nil
		}
		valid = resize(valid, rows)
		for i := range rows {
			valid[i] = !col.Missing(i) && !beyond(&c, col.Floats[i])
		}
		b.AddFloats(col.Floats[:rows], valid)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.Grid(), nil
}

func categoryGrid(ctx context.Context, r Source, c modelwatch.Column) (*profile.Grid, error) {
	b := profile.NewCategoryBuilder()
	var t texts
	err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
		if col.Type != "" && fits(c.Type, col) {
			dict, index := t.of(rows, col)
			b.AddCategories(dict, index, col.Valid)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.Grid(), nil
}
