package engine

import (
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// rowBytes is about how much memory the values of columns take that are compared at
// the same time, unless those of one take more.
const rowBytes = 512 << 20

// RowOptions say how tables are compared by their rows. The zero value is fine.
type RowOptions struct {
	// Weight is the column of the rows' weights, as in BuildOptions.
	Weight string
	// ChunkRows makes a chunk of every so many current rows; 0 makes one of all.
	ChunkRows int64
	// Progress is that of BuildOptions.
	Progress func(done, columns int)
}

// Rows is one column of some rows.
type Rows struct {
	N       int64
	Profile *profile.Profile // on the baseline's grid
	// Sample are the values of a column of numbers, ascending where rows carry no
	// weights. Of others it is empty.
	Sample Sample
}

// EachRows takes the i-th column of a baseline and of the chunks of another table.
// The samples are valid until it returns. It may be called from several goroutines
// at once, in any order.
type EachRows func(i int, baseline Rows, current []Rows) error

// CompareRows is [Compare] of one table with the values of numbers. Each side of a column is
// read once, both at the same time. It takes the memory of two copies of a column's
// values, however many columns there are: 16 bytes a row and side, and that for several
// columns at the same time only where it stays below 512 MiB. With weights it is twice that, and
// columns are read more often.
func CompareRows(ctx context.Context, baseline, current Side, columns []modelwatch.Column, opts RowOptions, f EachRows) error {
	build, err := newSetBuilder(ctx, baseline.Source, columns, opts.Weight)
	if err != nil {
		return baseline.wrap(err)
	}
	c := rowComparison{baseline: baseline, current: current, opts: opts, build: build}
	if c.opts.ChunkRows <= 0 {
		c.opts.ChunkRows = max(current.Source.Rows(), 1)
	}
	if c.groups, err = newColumnGroups(ctx, current.Source, columns, GroupOptions{ChunkRows: c.opts.ChunkRows, Weight: opts.Weight}, 1); err != nil {
		return current.wrap(err)
	}
	each := 16 * max(baseline.Source.Rows()+current.Source.Rows(), 1)
	workers := int(min(max(rowBytes/each, 1), int64(runtime.GOMAXPROCS(0))))
	spaces := make(chan *rowSpace, workers)
	for range workers {
		spaces <- &rowSpace{}
	}
	return eachColumn(ctx, len(columns), BuildOptions{Workers: workers, Progress: opts.Progress}, func(ctx context.Context, i int) error {
		space := <-spaces
		defer func() { spaces <- space }()
		read := c.byGroups
		if columns[i].Type == modelwatch.TypeNumber && opts.Weight == "" {
			read = c.byValues
		}
		b, n, err := read(ctx, i, space)
		if err != nil {
			return err
		}
		return f(i, b, n)
	})
}

type rowComparison struct {
	baseline, current Side
	opts              RowOptions
	build             *setBuilder
	groups            *columnGroups // of the current rows
}

// rowSpace is memory for the values of one column, to be used again.
type rowSpace struct {
	values, scratch [2][]float64
}

// byValues reads a column of numbers once: its profiles are made from its values.
func (c *rowComparison) byValues(ctx context.Context, i int, space *rowSpace) (baseline Rows, current []Rows, err error) {
	var samples []Sample
	frozen := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		baseline, err = c.readBaseline(ctx, i, space)
		if err != nil {
			return c.baseline.wrap(err)
		}
		close(frozen)
		sortFloats(baseline.Sample.Floats, &space.scratch[0])
		return nil
	})
	g.Go(func() (err error) {
		rows := c.current.Source.Rows()
		space.values[1] = slices.Grow(space.values[1][:0], int(rows))
		samples, err = readSamples(ctx, c.current.Source, c.build.set.Columns[i].Column, "", c.opts.ChunkRows, space.values[1])
		if err != nil {
			return c.current.wrap(err)
		}
		select {
		case <-frozen:
		case <-ctx.Done():
			return ctx.Err()
		}
		for k := range samples {
			s := &samples[k]
			n := min(c.opts.ChunkRows, rows-int64(k)*c.opts.ChunkRows)
			current = append(current, Rows{N: n, Profile: profileSample(baseline.Profile.Grid(), s)})
			sortFloats(s.Floats, &space.scratch[1])
			s.Sorted = true
			current[k].Sample = *s
		}
		return nil
	})
	err = g.Wait()
	return baseline, current, err
}

func (c *rowComparison) readBaseline(ctx context.Context, i int, space *rowSpace) (Rows, error) {
	column := c.build.set.Columns[i].Column
	rows := c.baseline.Source.Rows()
	values := slices.Grow(space.values[0][:0], int(rows))
	p, err := c.build.number(ctx, c.baseline.Source, column, &values)
	if err != nil {
		return Rows{}, c.build.wrap(i, err)
	}
	addInvalid(p, c.build.invalid[i])
	space.values[0] = values
	return Rows{N: rows, Profile: p, Sample: Sample{
		Kind: profile.KindNumber, Floats: values, Sorted: true, Missing: p.Missing(), Invalid: p.Invalid(), OutOfRange: p.OutOfRange(),
	}}, nil
}

// manyValues is the number from which on sorting by radix is faster than by comparing.
const manyValues = 2048

func sortFloats(values []float64, scratch *[]float64) {
	if len(values) < manyValues {
		slices.Sort(values)
		return
	}
	*scratch = slices.Grow((*scratch)[:0], len(values))[:len(values)]
	profile.SortFloats(values, *scratch)
}

// profileSample counts numbers on a grid.
func profileSample(grid *profile.Grid, s *Sample) *profile.Profile {
	count := counter{profile: profile.New(grid)}
	count.profile.AddFloats(s.Floats, nil)
	count.missing(int(s.Missing + s.Invalid))
	count.profile.AddInvalid(s.Invalid)
	count.profile.AddOutOfRange(s.OutOfRange)
	return count.profile
}

// byGroups reads any column by what counts chunks, and a weighted column's values apart from that.
func (c *rowComparison) byGroups(ctx context.Context, i int, _ *rowSpace) (baseline Rows, current []Rows, err error) {
	frozen, err := c.build.column(ctx, i)
	if err != nil {
		return baseline, nil, c.baseline.wrap(err)
	}
	column := frozen.Column
	baseline = Rows{N: c.baseline.Source.Rows(), Profile: frozen.Profile}
	var samples []Sample
	if column.Type == modelwatch.TypeNumber {
		if samples, err = ReadSamples(ctx, c.baseline.Source, column, c.opts.Weight, 0); err != nil {
			return baseline, nil, c.baseline.wrap(err)
		}
		baseline.Sample = samples[0]
		if samples, err = ReadSamples(ctx, c.current.Source, column, c.opts.Weight, c.opts.ChunkRows); err != nil {
			return baseline, nil, c.current.wrap(err)
		}
	}
	err = c.groups.column(ctx, i, &frozen, false, func(g Group, counted *profile.SetColumn) error {
		rows := Rows{N: g.Rows, Profile: counted.Profile}
		if samples != nil {
			rows.Sample = samples[g.Chunk]
		}
		current = append(current, rows)
		return nil
	})
	return baseline, current, c.current.wrap(err)
}
