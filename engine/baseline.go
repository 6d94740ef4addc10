package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// BuildOptions are the extras of building and profiling. The zero value is fine.
type BuildOptions struct {
	// Workers is how many columns are worked on at the same time; default GOMAXPROCS.
	Workers int
	// Weight is the column of the rows' weights, "" if they have none: a number that
	// says for how many rows each stands. Grids are then made of weights; a row
	// without a valid weight is counted nowhere but in InvalidWeights of the set.
	Weight string
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
// as profile.NumberBuilder makes it: its drift bins are exact quantiles up to
// 1,048,576 values, its finer cuts up to 131,072 of them, from provisional cuts beyond, for which row groups are read in an order that spreads
// over the table; that of a category from all its values, within the limits of
// profile.CategoryBuilder. The same table gives the same baseline.
//
// A column that is not of the given type in the table, or outside of the given
// range, is invalid where it has a value; one that the table lacks is missing.
func BuildBaseline(ctx context.Context, r Source, columns []modelwatch.Column, opts BuildOptions) (*profile.Set, error) {
	set, err := buildSet(ctx, r, columns, opts)
	if err != nil {
		return nil, fmt.Errorf("build baseline: %w", err)
	}
	return set, nil
}

func buildSet(ctx context.Context, r Source, columns []modelwatch.Column, opts BuildOptions) (*profile.Set, error) {
	b, err := newSetBuilder(ctx, r, columns, opts.Weight)
	if err != nil {
		return nil, err
	}
	set := &profile.Set{Columns: make([]profile.SetColumn, len(columns))}
	return set, eachColumn(ctx, len(columns), opts, func(ctx context.Context, i int) (err error) {
		set.Columns[i], err = b.column(ctx, i)
		return err
	})
}

// setBuilder builds the columns of a set one by one.
type setBuilder struct {
	src     Source
	set     *profile.Set // without profiles
	invalid []tally
	spare   numberBuilders
	weighed *columnGroups // nil: all rows have the same weight
}

// newSetBuilder takes the name of a column of weights, or "".
func newSetBuilder(ctx context.Context, r Source, columns []modelwatch.Column, weight string) (*setBuilder, error) {
	weighted, err := hasWeights(ctx, r, weight)
	if err != nil {
		return nil, err
	}
	set := &profile.Set{Columns: make([]profile.SetColumn, len(columns))}
	dims, err := dimensions(ctx, r, columns)
	if err != nil {
		return nil, err
	}
	for i, c := range columns {
		set.Columns[i] = profile.SetColumn{Column: c, Dimension: dims[c.Column]}
		if dims[c.Column] > 0 {
			set.Columns[i].Seed = profile.ProjectionSeed(c.Column)
		}
	}
	b := &setBuilder{src: r, set: set}
	if weighted {
		b.weighed, err = newColumnGroups(ctx, r, columns, GroupOptions{Weight: weight}, 1)
	} else {
		b.invalid, err = newTallies(columns).scan(ctx, r)
	}
	return b, err
}

// column builds the i-th column. It may be called from several goroutines at once.
func (b *setBuilder) column(ctx context.Context, i int) (profile.SetColumn, error) {
	c := b.set.Columns[i]
	if b.weighed != nil {
		c, err := buildWeighted(ctx, b.weighed, i, c)
		return c, b.wrap(i, err)
	}
	p, err := b.build(ctx, through(b.src, &c), &c)
	if err != nil {
		return c, b.wrap(i, err)
	}
	if c.View == modelwatch.ViewValue {
		addInvalid(p, b.invalid[i])
	}
	c.Profile = p
	return c, nil
}

func (b *setBuilder) wrap(i int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("column %s: %w", b.set.Columns[i].Name, err)
}

// eachColumn calls f for every column, some at a time.
func eachColumn(ctx context.Context, n int, opts BuildOptions, f func(ctx context.Context, i int) error) error {
	return newCrew(opts.workers()).each(ctx, inOrder(n), opts.Progress, f)
}

func (b *setBuilder) build(ctx context.Context, r Source, column *profile.SetColumn) (*profile.Profile, error) {
	c := viewColumn(column.Column)
	switch c.Type {
	case modelwatch.TypeNumber:
		return b.number(ctx, r, c, nil)
	case modelwatch.TypeCategory:
		return buildCategory(ctx, r, c)
	case modelwatch.TypeBoolean:
		return countColumn(ctx, r, c, profile.NewBooleanGrid())
	}
	whole := *column
	whole.Profile = profile.New(profile.NewPresenceGrid())
	count := newCounter(&whole)
	return whole.Profile, count.scan(ctx, r)
}

// countColumn profiles a whole column on a grid.
func countColumn(ctx context.Context, r Source, c modelwatch.Column, grid *profile.Grid) (*profile.Profile, error) {
	count := counter{column: c, profile: profile.New(grid)}
	return count.profile, count.scan(ctx, r)
}

func (c *counter) scan(ctx context.Context, r Source) error {
	return r.ScanColumn(ctx, c.column.Column, func(rows int, col *table.Column) error {
		c.add(rows, col)
		return nil
	})
}

// numberBuilders are builders to be used again. Each has the memory for a column's values, which the system had to clear.
type numberBuilders struct {
	mu   sync.Mutex
	free []*profile.NumberBuilder
}

func (b *numberBuilders) take() *profile.NumberBuilder {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) == 0 {
		return profile.NewNumberBuilder()
	}
	last := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	return last
}

func (b *numberBuilders) give(builder *profile.NumberBuilder) {
	builder.Reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, builder)
}

// number reads a number column once where its grid and the counts on it
// come of the same pass (profile.NumberBuilder), else a second time. If keep is not
// nil, its valid values are added there, in any order.
func (b *setBuilder) number(ctx context.Context, r Source, c modelwatch.Column, keep *[]float64) (*profile.Profile, error) {
	n := b.spare.take()
	defer b.spare.give(n)
	n.Grow(r.Rows())
	var limits ranged
	var missing, invalid, outside int64
	err := scanSpread(ctx, r, c.Column, func(rows int, col *table.Column) error {
		if col.Type == "" || !fits(c.Type, col) {
			present := presentRows(rows, col)
			missing += int64(rows)
			invalid += present
			return nil
		}
		valid, beyond := limits.valid(&c, rows, col)
		outside += beyond
		n.AddFloats(col.Floats[:rows], valid)
		if keep != nil {
			*keep = appendFinite(*keep, col.Floats[:rows], valid)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	grid, p := n.Build()
	if p == nil {
		return countColumn(ctx, r, c, grid)
	}
	count := counter{column: c, profile: p}
	count.missing(int(missing))
	p.AddInvalid(invalid + outside)
	p.AddOutOfRange(outside)
	return p, nil
}

// appendFinite adds the finite values of the rows that are valid; nil: all are.
func appendFinite(to, values []float64, valid []bool) []float64 {
	for i, v := range values {
		if v-v == 0 && (valid == nil || valid[i]) {
			to = append(to, v)
		}
	}
	return to
}

// scanSpread scans a column in an order that spreads over the table, if the
// source knows one.
func scanSpread(ctx context.Context, r Source, name string, f func(rows int, c *table.Column) error) error {
	type spreader interface {
		ScanColumnSpread(ctx context.Context, name string, f func(rows int, c *table.Column) error) error
	}
	if s, ok := r.(spreader); ok {
		return s.ScanColumnSpread(ctx, name, f)
	}
	return r.ScanColumn(ctx, name, f)
}

// buildCategory reads a category column once, and again where it has more values
// than profile.CategoryBuilder counts.
func buildCategory(ctx context.Context, r Source, c modelwatch.Column) (*profile.Profile, error) {
	b := profile.NewCategoryBuilder()
	var t texts
	var missing, invalid int64
	err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
		if col.Type == "" || !fits(c.Type, col) {
			missing += int64(rows)
			invalid += presentRows(rows, col)
			return nil
		}
		dict, index := t.of(rows, col)
		b.AddCategories(dict, index, col.Valid)
		return nil
	})
	if err != nil {
		return nil, err
	}
	grid, p := b.Build()
	if p == nil {
		return countColumn(ctx, r, c, grid)
	}
	count := counter{column: c, profile: p}
	count.missing(int(missing))
	p.AddInvalid(invalid)
	return p, nil
}
