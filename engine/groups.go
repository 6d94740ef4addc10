package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// Bounds of groups.
const (
	// MaxPeriods is how many periods the rows of a table may fall into.
	MaxPeriods = 10_000
	// defaultGroupBytes is about how much memory the profiles of one pass take.
	defaultGroupBytes = 256 << 20
	// maxGroupPasses is how often a table may be read for its groups.
	maxGroupPasses = 64
)

// GroupOptions say how rows are divided: into chunks, by rows or by time, and
// within each by segments. The zero value makes one group of all rows.
type GroupOptions struct {
	// Weight is the column of the rows' weights, as in BuildOptions.
	Weight string
	// Crossings are the divisions into segments, as [Crossings] found them in the
	// baseline, so that both sides have the same. The whole population is always a
	// group too.
	Crossings []Crossing
	// ChunkRows makes a chunk of every so many rows, in the order of the table.
	ChunkRows int64
	// ChunkPeriod makes a chunk of every period that has rows, by the column Time.
	// Periods are aligned to UTC: days begin at midnight, weeks on Monday.
	ChunkPeriod time.Duration
	// Time is the timestamp column of chunks by time; default "_time".
	Time string
	// MemoryBytes is about how much the profiles of groups may take at a time;
	// default 256 MiB.
	MemoryBytes int64
	// Progress, if set, is called as rows are counted, from one goroutine. A table
	// that is read several times has as many times its rows.
	Progress func(done, total int64)
}

// Group is the profile of some rows of a table.
type Group struct {
	Chunk   int                // number of the chunk, from 0
	Window  *modelwatch.Window // of a chunk by time
	Segment map[string]string  // column -> value; nil: the whole population
	Rows    int64              // also those without a valid weight, which Set.InvalidWeights counts
	// Set is counted on the grids of the baseline. It is the receiver's, except
	// that all groups without rows share one.
	Set *profile.Set

	place int // of the segment in its chunk: 0 is the whole population
}

// GroupStats say what became of the rows of a table.
type GroupStats struct {
	Rows   int64
	NoTime int64 // rows without a time, which are in no chunk by time
	Chunks int
	Passes int // how often the table was read
}

// ProfileGroups counts the rows of a table by chunk and segment on the grids of a
// baseline, and calls emit for each group, from one goroutine: chunk by chunk, the
// whole population first, then the segments in the order of the crossings. Known
// segments come in every chunk, also without rows; the groups of other and missing
// values where they have rows. An error of emit ends the count and is returned.
//
// Memory does not grow with the rows. Where the profiles of all groups would take
// more than GroupOptions.MemoryBytes, the table is read several times, each time for some of
// the groups, which are then emitted in that order; more than 64 readings, or
// 10,000 periods, are refused with an error that says what to change.
func ProfileGroups(ctx context.Context, src Source, like *profile.Set, opts GroupOptions, emit func(Group) error) (GroupStats, error) {
	stats, err := profileGroups(ctx, src, like, opts, emit)
	if err != nil {
		return GroupStats{}, fmt.Errorf("profile groups: %w", err)
	}
	return stats, nil
}

func profileGroups(ctx context.Context, src Source, like *profile.Set, opts GroupOptions, emit func(Group) error) (GroupStats, error) {
	base, err := newGrouping(ctx, src, opts)
	if err != nil {
		return GroupStats{}, err
	}
	g := &grouper{grouping: base, like: like, emit: emit, empty: like.Empty()}
	err = g.run(ctx)
	return g.stats, err
}

// grouping is how the rows of a table are divided. A group has a slot: in chunks by time,
// slots are numbered by period and within a period by segment, else by segment
// alone, and the profiles of a slot are handed out at the end of each chunk.
type grouping struct {
	src  Source
	opts GroupOptions

	periods []int64 // starts, ascending; chunks by time only
	width   int     // slots in a chunk
	slots   int
	stats   GroupStats
}

func newGrouping(ctx context.Context, src Source, opts GroupOptions) (*grouping, error) {
	g := &grouping{src: src, opts: opts, width: 1}
	if err := g.check(); err != nil {
		return nil, err
	}
	if g.opts.MemoryBytes <= 0 {
		g.opts.MemoryBytes = defaultGroupBytes
	}
	g.stats.Rows = src.Rows()
	for _, c := range opts.Crossings {
		g.width += c.Places()
	}
	g.slots = g.width
	if opts.ChunkPeriod > 0 {
		if err := g.findPeriods(ctx); err != nil {
			return nil, err
		}
		g.slots *= len(g.periods)
		g.stats.Chunks = len(g.periods)
	}
	return g, nil
}

// passes is how many slots of so many bytes are counted at a time, and how often the rows are
// read for all of them. what is what takes the bytes, for the error that refuses too many.
func (g *grouping) passes(bytes int64, what string) (each, passes int, err error) {
	each = int(max(1, g.opts.MemoryBytes/max(bytes, 1)))
	if passes = (g.slots + each - 1) / each; passes > maxGroupPasses {
		return 0, 0, modelwatch.Errorf(modelwatch.CodeInvalid, "%d groups of %s are more than can be counted: at most %d; take longer chunks, fewer segments or fewer columns", g.slots, what, each*maxGroupPasses)
	}
	return each, passes, nil
}

// group is that of a slot, in a chunk by rows or in that which the slot says. It is known if
// the baseline had its segment.
func (g *grouping) group(slot, chunk int) (_ Group, known bool) {
	group := Group{Chunk: chunk, place: slot % g.width}
	if g.opts.ChunkPeriod > 0 {
		group.Chunk = slot / g.width
		start := time.UnixMicro(g.periods[group.Chunk]).UTC()
		group.Window = &modelwatch.Window{Start: start, End: start.Add(g.opts.ChunkPeriod)}
	}
	place := group.place - 1
	if place < 0 {
		return group, true
	}
	for _, c := range g.opts.Crossings {
		if place < c.Places() {
			group.Segment, known = c.Segment(place), place < len(c.Known)
			break
		}
		place -= c.Places()
	}
	return group, known
}

// grouper is one call of ProfileGroups.
type grouper struct {
	*grouping
	like  *profile.Set
	emit  func(Group) error
	empty *profile.Set
}

func (g *grouper) run(ctx context.Context) error {
	each, passes, err := g.passes(setBytes(g.like, g.opts.Weight != ""), fmt.Sprintf("%d columns", len(g.like.Columns)))
	if err != nil {
		return err
	}
	for from := 0; from < g.slots; from += each {
		p := newGroupPass(g, from, min(each, g.slots-from), passes)
		if err := p.run(ctx); err != nil {
			return err
		}
		g.stats.Passes++
	}
	return nil
}

func (g *grouping) check() error {
	o := &g.opts
	switch {
	case o.ChunkRows < 0 || o.ChunkPeriod < 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks of %d rows or %v: neither may be negative", o.ChunkRows, o.ChunkPeriod)
	case o.ChunkRows > 0 && o.ChunkPeriod > 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks are either of %d rows or of %v", o.ChunkRows, o.ChunkPeriod)
	case o.ChunkPeriod%time.Microsecond != 0:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks of %v: a period is whole microseconds", o.ChunkPeriod)
	}
	if o.Weight != "" {
		if err := checkWeight(g.src, o.Weight); err != nil {
			return err
		}
	}
	for _, c := range o.Crossings {
		if err := checkCrossing(g.src, c.Columns); err != nil {
			return err
		}
		for _, values := range c.Known {
			if len(values) != len(c.Columns) {
				return modelwatch.Errorf(modelwatch.CodeInternal, "a segment of %d values for %d columns", len(values), len(c.Columns))
			}
		}
	}
	return nil
}

func (g *grouping) time() string {
	if g.opts.Time == "" {
		return modelwatch.ColumnTime
	}
	return g.opts.Time
}

// findPeriods lists the periods that have rows, and counts the rows without a time.
func (g *grouping) findPeriods(ctx context.Context) error {
	c, ok := g.src.Column(g.time())
	switch {
	case !ok:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks by time: there is no column %q; name the column of times", g.time())
	case c.Type != modelwatch.TypeTimestamp && c.Physical != table.PhysicalTime:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks by time: column %q is a %s, not a timestamp", g.time(), c.Type)
	}
	found := map[int64]bool{}
	err := g.src.ScanColumn(ctx, g.time(), func(rows int, c *table.Column) error {
		last, some := int64(0), false
		for i := range rows {
			if c.Missing(i) || len(c.Ints) == 0 {
				g.stats.NoTime++
				continue
			}
			start := periodStart(c.Ints[i], g.opts.ChunkPeriod)
			if some && start == last {
				continue
			}
			last, some = start, true
			if found[start] = true; len(found) > MaxPeriods {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "chunks of %v: column %q has times in more than %d of them; take longer chunks", g.opts.ChunkPeriod, g.time(), MaxPeriods)
			}
		}
		return nil
	})
	for start := range found {
		g.periods = append(g.periods, start)
	}
	slices.Sort(g.periods)
	return err
}

// epochMicros is the time from Monday, January 1 of year 1, on which periods are
// aligned as time.Truncate aligns them, to 1970.
const epochMicros = 62135596800 * 1_000_000

// periodStart is the beginning of the period of a time, both in microseconds since 1970.
func periodStart(micros int64, period time.Duration) int64 {
	p := period.Microseconds()
	rest := (micros%p + epochMicros%p) % p
	if rest < 0 {
		rest += p
	}
	return micros - rest
}

// setBytes is about how much the counts of a set take.
func setBytes(s *profile.Set, weighted bool) int64 {
	bytes := int64(0)
	for _, c := range s.Columns {
		bytes += profileBytes(c.Profile, weighted)
	}
	return max(bytes, 1)
}

func profileBytes(p *profile.Profile, weighted bool) int64 {
	cell := int64(8)
	if weighted {
		cell = 32
	}
	return cell*int64(len(p.Cells())) + 3<<10
}
