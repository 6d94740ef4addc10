package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// weighedColumns is how many columns of weighted tables are compared at a time:
// they are counted in one pass over their rows, which holds the profiles of all of them.
const weighedColumns = 64

// Side is a table to be compared, with its name for errors.
type Side struct {
	Name   string
	Source Source
}

func (s Side) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("profile %s: %w", s.Name, err)
}

// EachPair takes the profiles of the i-th column of two tables on the same grid. It
// may be called from several goroutines at once, in any order. The current profile may have no
// standard deviation: distances are in units of the baseline's.
type EachPair func(i int, baseline, current *profile.SetColumn) error

// CompareTables builds the profiles that [BuildBaseline] makes of a baseline and
// [ProfileTable] of another table on its grids, and gives both of each column to f.
// Nothing else keeps them, so that memory is that of a few columns however many
// there are.
func CompareTables(ctx context.Context, baseline, current Side, columns []modelwatch.Column, opts BuildOptions, f EachPair) error {
	if opts.Weight != "" {
		return compareWeighted(ctx, current, len(columns), opts, f, func(from, to int) (*profile.Set, error) {
			set, err := buildSet(ctx, baseline.Source, columns[from:to], BuildOptions{Workers: opts.Workers, Weight: opts.Weight})
			return set, baseline.wrap(err)
		})
	}
	build, err := newSetBuilder(ctx, baseline.Source, columns)
	if err != nil {
		return baseline.wrap(err)
	}
	count, err := newTableCounter(ctx, current.Source, columns, opts.workers())
	if err != nil {
		return current.wrap(err)
	}
	count.skipSquares = true
	return count.crew.each(ctx, numbersFirst(columns), opts.Progress, func(ctx context.Context, i int) error {
		b, err := build.column(ctx, i)
		if err != nil {
			return baseline.wrap(err)
		}
		c, err := count.column(ctx, i, &b)
		if err != nil {
			return current.wrap(err)
		}
		return f(i, &b, &c)
	})
}

// CompareProfile is [CompareTables] with the profile of a baseline in place of its rows.
func CompareProfile(ctx context.Context, baseline *profile.Set, current Side, opts BuildOptions, f EachPair) error {
	if opts.Weight != "" {
		return compareWeighted(ctx, current, len(baseline.Columns), opts, f, func(from, to int) (*profile.Set, error) {
			return &profile.Set{Columns: baseline.Columns[from:to]}, nil
		})
	}
	columns := setColumns(baseline)
	count, err := newTableCounter(ctx, current.Source, columns, opts.workers())
	if err != nil {
		return current.wrap(err)
	}
	count.skipSquares = true
	return count.crew.each(ctx, numbersFirst(columns), opts.Progress, func(ctx context.Context, i int) error {
		c, err := count.column(ctx, i, &baseline.Columns[i])
		if err != nil {
			return current.wrap(err)
		}
		err = f(i, &baseline.Columns[i], &c)
		c.Profile.Grid().Forget()
		return err
	})
}

// compareWeighted compares blocks of n columns, of which build gives the baseline.
func compareWeighted(ctx context.Context, current Side, n int, opts BuildOptions, f EachPair, build func(from, to int) (*profile.Set, error)) error {
	for from := 0; from < n; from += weighedColumns {
		to := min(from+weighedColumns, n)
		set, err := build(from, to)
		if err != nil {
			return err
		}
		var counted *profile.Set
		_, err = ProfileGroups(ctx, current.Source, set, GroupOptions{Weight: opts.Weight}, func(g Group) error {
			counted = g.Set
			return nil
		})
		if err != nil {
			return current.wrap(err)
		}
		for i := range set.Columns {
			if err := f(from+i, &set.Columns[i], &counted.Columns[i]); err != nil {
				return err
			}
		}
		if opts.Progress != nil {
			opts.Progress(to, n)
		}
	}
	return nil
}
