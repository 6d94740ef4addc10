package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// groupedTable has columns of every type and their views, some rows without a valid weight or a time.
func groupedTable(t testing.TB, seed uint64, n int) (*table.Reader, []modelwatch.Column) {
	t.Helper()
	rows := visits(seed, n)
	weights := make([]float64, n)
	for i := range rows {
		weights[i] = []float64{1, 2, 0.5, -1}[i%4]
	}
	columns := append(weightedColumns(rows, func(int) int { return 1 }), number("w", weights...))
	hour := featureOf("at.hour", modelwatch.TypeTimestamp)
	hour.Column, hour.View = "at", modelwatch.ViewHour
	return tableOf(t, columns...), append(allTypes(), hour, featureOf("absent", modelwatch.TypeNumber))
}

// grouped is what came of one column of a group, as text.
type grouped struct {
	Key      string
	Rows     int64
	Readings string
}

// byColumn gathers what Compare hands out, by column.
type byColumn struct {
	mu     sync.Mutex
	groups [][]grouped
}

func (b *byColumn) group(i int, g engine.Group, baseline, current *profile.SetColumn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups[i] = append(b.groups[i], newGrouped(g, baseline.Profile, current.Profile))
	return nil
}

func newGrouped(g engine.Group, baseline, current *profile.Profile) grouped {
	key := fmt.Sprint(g.Chunk, " ", modelwatch.SegmentKey(g.Segment))
	if g.Window != nil {
		key += fmt.Sprint(" ", g.Window.Start.Unix(), g.Window.Duration())
	}
	return grouped{key, g.Rows, readings(baseline) + " against " + readings(current)}
}

// wantGroups are the groups of every column by the profiles of all columns together.
func wantGroups(t testing.TB, baseline, current engine.Source, set *profile.Set, opts engine.GroupOptions) (groups [][]grouped, whole *profile.Set) {
	t.Helper()
	segments := map[string]*profile.Set{}
	_, err := engine.ProfileGroups(t.Context(), baseline, set, engine.GroupOptions{Weight: opts.Weight, Crossings: opts.Crossings}, func(g engine.Group) error {
		segments[modelwatch.SegmentKey(g.Segment)] = g.Set
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	segments[""], whole = set, set.Empty()
	groups = make([][]grouped, len(set.Columns))
	_, err = engine.ProfileGroups(t.Context(), current, set, opts, func(g engine.Group) error {
		against := segments[modelwatch.SegmentKey(g.Segment)]
		if against == nil {
			against = set.Empty()
		}
		for i := range set.Columns {
			groups[i] = append(groups[i], newGrouped(g, against.Columns[i].Profile, g.Set.Columns[i].Profile))
		}
		if g.Segment == nil {
			return whole.Merge(g.Set)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return groups, whole
}

// Column by column, groups have the profiles that they have when all columns are counted together.
func TestCompareGroups(t *testing.T) {
	t.Parallel()
	baseline, infos := groupedTable(t, 1, 3_000)
	current, _ := groupedTable(t, 2, 2_100)
	crossings, err := engine.Crossings(t.Context(), baseline, [][]string{{"country"}, {"device", "country"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]engine.GroupOptions{
		"whole":                        {},
		"by rows":                      {ChunkRows: 333},
		"by rows that end with it":     {ChunkRows: 700},
		"by time":                      {ChunkPeriod: 12 * time.Hour, Time: "at"},
		"by segment":                   {Crossings: crossings},
		"by rows and segment":          {ChunkRows: 500, Crossings: crossings},
		"by time and segment":          {ChunkPeriod: 24 * time.Hour, Time: "at", Crossings: crossings},
		"by time, in many passes":      {ChunkPeriod: time.Hour, Time: "at", Crossings: crossings, MemoryBytes: 2 << 20},
		"weighted":                     {Weight: "w"},
		"weighted by rows and segment": {Weight: "w", ChunkRows: 500, Crossings: crossings},
		"weighted by time":             {Weight: "w", ChunkPeriod: 24 * time.Hour, Time: "at"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := engine.BuildOptions{Weight: opts.Weight, Workers: 2}
			set, err := engine.BuildBaseline(t.Context(), baseline, infos, build)
			if err != nil {
				t.Fatal(err)
			}
			want, whole := wantGroups(t, baseline, current, set, opts)
			for _, known := range []*profile.Set{nil, set} {
				ref := engine.Reference{Side: engine.Side{Name: "one", Source: baseline}, Columns: infos, Set: known, Crossings: opts.Crossings}
				got, pairs := byColumn{groups: make([][]grouped, len(infos))}, newPairs(len(infos))
				cut := opts
				cut.Crossings, cut.Weight = nil, ""
				stats, err := engine.Compare(t.Context(), ref, []engine.Comparison{{Side: engine.Side{Name: "two", Source: current}, Groups: cut, Group: got.group, Whole: pairs.take}}, build)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got.groups); diff != "" {
					t.Errorf("groups (-want +got):\n%.2000s", diff)
				}
				pairs.check(t, set, whole, opts.Weight != "")
				if stats[0].Rows != current.Rows() || (stats[0].NoTime > 0) != (opts.ChunkPeriod > 0) {
					t.Errorf("%+v", stats)
				}
			}
		})
	}
}

// Several tables are compared with the same segments, each cut in its own way.
func TestCompareSeveral(t *testing.T) {
	t.Parallel()
	baseline, infos := groupedTable(t, 1, 1_000)
	current, _ := groupedTable(t, 2, 900)
	crossings, err := engine.Crossings(t.Context(), baseline, [][]string{{"device"}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := engine.BuildBaseline(t.Context(), baseline, infos, engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sources, cuts := []engine.Source{baseline, current}, []engine.GroupOptions{{ChunkRows: 100}, {ChunkPeriod: 24 * time.Hour, Time: "at"}}
	got := []byColumn{{groups: make([][]grouped, len(infos))}, {groups: make([][]grouped, len(infos))}}
	var comparisons []engine.Comparison
	for i := range got {
		comparisons = append(comparisons, engine.Comparison{Side: engine.Side{Source: sources[i]}, Groups: cuts[i], Group: got[i].group})
	}
	done := 0
	opts := engine.BuildOptions{Progress: func(n, of int) { done = n + 100*of }}
	if _, err := engine.Compare(t.Context(), engine.Reference{Side: engine.Side{Source: baseline}, Columns: infos, Crossings: crossings}, comparisons, opts); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		cut := cuts[i]
		cut.Crossings = crossings
		want, _ := wantGroups(t, baseline, sources[i], set, cut)
		if diff := cmp.Diff(want, got[i].groups); diff != "" {
			t.Errorf("table %d (-want +got):\n%.2000s", i, diff)
		}
	}
	if n := len(infos); done != n+100*n {
		t.Errorf("progress %d", done)
	}
}

// However rows follow each other, and however they come in chunks, each is counted in its group and in no other: the
// groups of a division add up to its whole.
func TestGroupsOfManyRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var values, segments []float64
		var times []int64
		lengths := rapid.SliceOfN(rapid.SampledFrom([]int{1, 1, 700, 700, 4_095, 4_096, 5_000, 66_000}), 1, 3).Draw(r, "lengths")
		for k, n := range lengths {
			sorted := rapid.Bool().Draw(r, "sorted")
			for i := range n {
				values = append(values, float64(i%9))
				if sorted {
					segments, times = append(segments, float64(k%3)), append(times, int64(k)*3_600_000_000)
				} else {
					segments, times = append(segments, float64(i%5)), append(times, int64(i%4)*3_600_000_000)
				}
			}
		}
		src := tableOf(t, number("x", values...), number("s", segments...), timestamp("at", times...))
		crossings, err := engine.Crossings(t.Context(), src, [][]string{{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		opts := engine.GroupOptions{Crossings: crossings}
		if rapid.Bool().Draw(r, "by time") {
			opts.ChunkPeriod, opts.Time = time.Hour, "at"
		} else {
			opts.ChunkRows = int64(rapid.SampledFrom([]int{0, 3_000, 65_536, 100_000}).Draw(r, "chunk"))
		}
		infos := []modelwatch.Column{featureOf("x", modelwatch.TypeNumber)}
		set, err := engine.BuildBaseline(t.Context(), src, infos, engine.BuildOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := wantGroups(t, src, src, set, opts)
		got := byColumn{groups: make([][]grouped, 1)}
		ref := engine.Reference{Side: engine.Side{Source: src}, Columns: infos, Crossings: crossings}
		if _, err := engine.Compare(t.Context(), ref, []engine.Comparison{{Side: engine.Side{Source: src}, Groups: opts, Group: got.group}}, engine.BuildOptions{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.groups); diff != "" {
			r.Errorf("groups (-want +got):\n%.1000s", diff)
		}
		var whole, parts int64
		for _, g := range got.groups[0] {
			if !strings.Contains(g.Key, `"s"`) {
				whole += g.Rows
			} else {
				parts += g.Rows
			}
		}
		if n := int64(len(values)); whole != n || parts != n {
			r.Errorf("%d rows in chunks, %d in segments, want %d", whole, parts, n)
		}
	})
}

// An error of the receiver ends a comparison by groups, and what is refused names its table.
func TestCompareGroupsFails(t *testing.T) {
	t.Parallel()
	src, infos := groupedTable(t, 1, 500)
	enough := errors.New("enough")
	side := engine.Side{Name: "two", Source: src}
	ref := engine.Reference{Side: engine.Side{Name: "one", Source: src}, Columns: infos}
	tests := map[string]struct {
		opts  engine.GroupOptions
		group func(int, engine.Group, *profile.SetColumn, *profile.SetColumn) error
		want  string
	}{
		"receiver":  {engine.GroupOptions{ChunkRows: 100}, func(int, engine.Group, *profile.SetColumn, *profile.SetColumn) error { return enough }, "enough"},
		"no time":   {engine.GroupOptions{ChunkPeriod: time.Hour}, nil, `profile two: chunks by time: there is no column "_time"`},
		"too many":  {engine.GroupOptions{ChunkPeriod: time.Hour, Time: "at", MemoryBytes: 1}, nil, "profile two: column "},
		"two kinds": {engine.GroupOptions{ChunkPeriod: time.Hour, ChunkRows: 1, Time: "at"}, nil, "profile two: chunks are either of 1 rows or of 1h0m0s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := engine.Compare(t.Context(), ref, []engine.Comparison{{Side: side, Groups: test.opts, Group: test.group}}, engine.BuildOptions{})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s...", err, test.want)
			}
		})
	}
	broken := failingSource{src}
	columns := slices.Clone(infos)
	columns[0].Column = "x"
	_, err := engine.Compare(t.Context(), engine.Reference{Side: ref.Side, Columns: columns}, []engine.Comparison{{Side: engine.Side{Name: "two", Source: broken}, Groups: engine.GroupOptions{ChunkRows: 7}}}, engine.BuildOptions{})
	if !errors.Is(err, errUnreadable) || !strings.HasPrefix(err.Error(), "profile two: column amount: ") {
		t.Errorf("a column that cannot be read: %v", err)
	}
}
