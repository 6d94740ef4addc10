package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

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

// Reference is what tables are compared with.
type Reference struct {
	Side    // without a source where Set is all that is known, and there are no crossings
	Columns []modelwatch.Column
	// Set is the profile that [BuildBaseline] makes of the columns; nil: each column's is
	// built when it is compared.
	Set *profile.Set
	// Crossings are the divisions into segments, as [Crossings] found them in the rows. A
	// segment is compared with the same segment of the reference.
	Crossings []Crossing
}

// Comparison is one table that is compared with a reference. Both of its functions may be called from
// several goroutines at once, in any order of columns. The current profiles may have no standard
// deviation: distances are in units of the baseline's.
type Comparison struct {
	Side
	// Groups say how the rows are cut into chunks; weights and crossings are the reference's.
	Groups GroupOptions
	// Group takes the profiles of the i-th column in one group, in which the set is nil, and in the same segment of the
	// reference. The groups of a column come one after the other as [ProfileGroups] has them, chunk by chunk, and
	// are the same for all columns.
	Group func(i int, group Group, baseline, current *profile.SetColumn) error
	// Whole takes the profiles of the i-th column in all rows that are in a chunk, after its groups.
	Whole EachPair
}

// EachPair takes the profiles of the i-th column of two tables on the same grid.
type EachPair func(i int, baseline, current *profile.SetColumn) error

// Compare builds the profiles that [BuildBaseline] makes of a reference and [ProfileGroups]
// of other tables on its grids, and gives both of each column to the comparisons.
// Nothing else keeps them, so that memory is that of a few columns however many
// there are. The reference's groups are counted once for all comparisons. Stats are those of each comparison; they
// do not count chunks and passes.
func Compare(ctx context.Context, ref Reference, comparisons []Comparison, opts BuildOptions) ([]GroupStats, error) {
	c := &comparer{ref: ref, weight: opts.Weight, crew: newCrew(opts.workers())}
	if err := c.open(ctx, comparisons); err != nil {
		return nil, err
	}
	if err := c.crew.each(ctx, numbersFirst(ref.Columns), opts.Progress, c.column); err != nil {
		return nil, err
	}
	stats := make([]GroupStats, len(c.sides))
	for i := range c.sides {
		stats[i] = c.sides[i].stats()
	}
	return stats, nil
}

type comparer struct {
	ref      Reference
	weight   string
	crew     *crew
	build    *setBuilder   // nil where there is a set
	segments *columnGroups // of the reference; nil: it has none
	sides    []comparedSide
}

// comparedSide is a comparison, whose rows are counted whole or by groups.
type comparedSide struct {
	Comparison
	whole  *tableCounter
	groups *columnGroups
}

func (s *comparedSide) stats() GroupStats {
	if s.groups == nil {
		return GroupStats{Rows: s.Source.Rows()}
	}
	return s.groups.stats
}

// open reads what is needed before the first column.
func (c *comparer) open(ctx context.Context, comparisons []Comparison) (err error) {
	if c.ref.Set == nil {
		if c.build, err = newSetBuilder(ctx, c.ref.Source, c.ref.Columns, c.weight); err != nil {
			return c.ref.wrap(err)
		}
	}
	if len(c.ref.Crossings) > 0 {
		opts := GroupOptions{Weight: c.weight, Crossings: c.ref.Crossings}
		if c.segments, err = newColumnGroups(ctx, c.ref.Source, c.ref.Columns, opts, c.crew.workers); err != nil {
			return c.ref.wrap(err)
		}
	}
	for _, each := range comparisons {
		s := comparedSide{Comparison: each}
		o := each.Groups
		if o.Weight, o.Crossings = c.weight, c.ref.Crossings; o.Weight == "" && len(o.Crossings) == 0 && o.ChunkRows == 0 && o.ChunkPeriod == 0 {
			s.whole, err = newTableCounter(ctx, each.Source, c.ref.Columns, c.crew)
		} else {
			s.groups, err = newColumnGroups(ctx, each.Source, c.ref.Columns, o, c.crew.workers)
		}
		if err != nil {
			return each.wrap(err)
		}
		c.sides = append(c.sides, s)
	}
	return nil
}

// column compares the i-th column.
func (c *comparer) column(ctx context.Context, i int) error {
	baseline, err := c.reference(ctx, i)
	if err != nil {
		return c.ref.wrap(err)
	}
	segments, err := c.segmented(ctx, i, &baseline)
	if err != nil {
		return c.ref.wrap(err)
	}
	for k := range c.sides {
		if err := c.sides[k].column(ctx, i, segments, c.weight == ""); err != nil {
			return err
		}
	}
	if c.ref.Set != nil {
		baseline.Profile.Grid().Forget()
	}
	return nil
}

func (c *comparer) reference(ctx context.Context, i int) (profile.SetColumn, error) {
	if c.ref.Set != nil {
		return c.ref.Set.Columns[i], nil
	}
	return c.build.column(ctx, i)
}

// segmented are the reference's profiles of a column by the place of the segment, the whole
// population's first. Segments that have no rows share one.
func (c *comparer) segmented(ctx context.Context, i int, baseline *profile.SetColumn) ([]*profile.SetColumn, error) {
	segments := []*profile.SetColumn{baseline}
	if c.segments == nil {
		return segments, nil
	}
	empty := *baseline
	empty.Profile = baseline.Profile.Empty()
	for len(segments) < c.segments.width {
		segments = append(segments, &empty)
	}
	err := c.segments.column(ctx, i, baseline, false, func(g Group, column *profile.SetColumn) error {
		if g.place > 0 {
			segments[g.place] = column
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", baseline.Name, err)
	}
	return segments, nil
}

// column counts the i-th column, of which segments are the reference's, and hands it out. A profile without
// squares takes less time.
func (s *comparedSide) column(ctx context.Context, i int, segments []*profile.SetColumn, skipSquares bool) error {
	baseline := segments[0]
	all := *baseline
	if s.groups == nil {
		var err error
		if all, err = s.whole.column(ctx, i, baseline, skipSquares); err != nil {
			return s.wrap(err)
		}
		if err := s.hand(i, Group{Rows: s.Source.Rows()}, baseline, &all); err != nil {
			return err
		}
		return s.finish(i, baseline, &all)
	}
	all.Profile = nil
	var failed error
	err := s.groups.column(ctx, i, baseline, skipSquares, func(g Group, current *profile.SetColumn) error {
		if failed = s.hand(i, g, segments[g.place], current); failed != nil || g.place > 0 || g.Rows == 0 {
			return failed
		}
		if all.Profile == nil {
			all.Profile = current.Profile
			return nil
		}
		return all.Profile.Merge(current.Profile)
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return s.wrap(fmt.Errorf("column %s: %w", baseline.Name, err))
	case all.Profile == nil:
		all.Profile = baseline.Profile.Empty()
	}
	return s.finish(i, baseline, &all)
}

func (s *comparedSide) hand(i int, g Group, baseline, current *profile.SetColumn) error {
	if s.Group == nil {
		return nil
	}
	return s.Group(i, g, baseline, current)
}

func (s *comparedSide) finish(i int, baseline, current *profile.SetColumn) error {
	if s.Whole == nil {
		return nil
	}
	return s.Whole(i, baseline, current)
}
