package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// visit is a row of a table with everything that groups look at.
type visit struct {
	amount          float64
	country, device string
	at              int64
	invalid         string
}

func visits(seed uint64, n int) []visit {
	rng := rand.New(rand.NewPCG(seed, 3))
	out := make([]visit, n)
	for i := range out {
		out[i] = visit{
			amount: rng.NormFloat64(), country: []string{"DE", "FR", "PL", ""}[min(rng.IntN(8), 3)], device: []string{"phone", "web"}[rng.IntN(2)],
			at: start.Add(time.Duration(rng.IntN(72)) * time.Hour).UnixMicro(),
		}
		switch rng.IntN(10) {
		case 0:
			out[i].amount = gone
		case 1:
			out[i].amount, out[i].invalid = gone, `{"amount":1e9}`
		case 2:
			out[i].at = 0
		}
	}
	return out
}

func visitColumns(rows []visit) []table.Column {
	var amounts []float64
	var countries, devices, invalid []string
	at := table.Column{Name: "at", Type: modelwatch.TypeTimestamp}
	for _, r := range rows {
		amounts, countries, devices, invalid = append(amounts, r.amount), append(countries, r.country), append(devices, r.device), append(invalid, r.invalid)
		at.Ints, at.Valid = append(at.Ints, r.at), append(at.Valid, r.at != 0)
	}
	return []table.Column{number("amount", amounts...), category("country", countries...), category("device", devices...), at, category(modelwatch.ColumnInvalid, invalid...)}
}

func visitTable(t testing.TB, rows []visit) *table.Reader { return tableOf(t, visitColumns(rows)...) }

// visitUnion is the same rows in several files.
func visitUnion(t testing.TB, rows []visit) *table.Union {
	t.Helper()
	var parts []table.Part
	for i := 0; len(rows) > 0; i++ {
		n := min(len(rows), 301)
		parts = append(parts, table.Part{Name: fmt.Sprint(i), Reader: visitTable(t, rows[:n])})
		rows = rows[n:]
	}
	u, err := table.NewUnion(t.Context(), parts...)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func visitBaseline(t testing.TB) (*profile.Set, []engine.Crossing) {
	t.Helper()
	r := visitTable(t, visits(1, 3_000))
	set, err := engine.BuildBaseline(t.Context(), r, []modelwatch.Column{featureOf("amount", modelwatch.TypeNumber), featureOf("country", modelwatch.TypeCategory), featureOf("device", modelwatch.TypeCategory)}, engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	crossings, err := engine.Crossings(t.Context(), r, [][]string{{"country"}, {"country", "device"}})
	if err != nil {
		t.Fatal(err)
	}
	return set, crossings
}

func segmentName(s map[string]string) string { return s["country"] + "*" + s["device"] }

// Every group is the profile of a table of its rows alone.
func TestProfileGroups(t *testing.T) {
	t.Parallel()
	like, crossings := visitBaseline(t)
	rows := visits(2, 2_000)
	rows[5].country, rows[6].country = "JP", "other"
	country := func(v visit) string {
		switch v.country {
		case "":
			return "(missing)"
		case "JP", "other":
			return "other"
		}
		return v.country
	}
	divide := func(rows []visit) map[string][]visit {
		out := map[string][]visit{"*": rows}
		for _, v := range rows {
			single, both := country(v)+"*", country(v)+"*"+v.device
			if country(v) == "other" {
				both = "other*other"
			}
			out[single], out[both] = append(out[single], v), append(out[both], v)
		}
		return out
	}
	tests := []struct {
		name   string
		opts   engine.GroupOptions
		chunks func() [][]visit
		noTime bool
	}{
		{"whole", engine.GroupOptions{}, func() [][]visit { return [][]visit{rows} }, false},
		{"in many passes", engine.GroupOptions{MemoryBytes: 300 << 10, ChunkRows: 700}, func() [][]visit { return slices.Collect(slices.Chunk(rows, 700)) }, false},
		{"by rows", engine.GroupOptions{ChunkRows: 333}, func() [][]visit { return slices.Collect(slices.Chunk(rows, 333)) }, false},
		{"by rows that end with the table", engine.GroupOptions{ChunkRows: 500}, func() [][]visit { return slices.Collect(slices.Chunk(rows, 500)) }, false},
		{"by time", engine.GroupOptions{ChunkPeriod: 24 * time.Hour, Time: "at"}, func() [][]visit {
			days := make([][]visit, 4)
			for _, v := range rows {
				if v.at != 0 {
					day := int(time.UnixMicro(v.at).Sub(start.Truncate(24*time.Hour)) / (24 * time.Hour))
					days[day] = append(days[day], v)
				}
			}
			return days
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := tt.opts
			opts.Crossings = crossings
			for name, src := range map[string]engine.Source{"file": visitTable(t, rows), "files": visitUnion(t, rows)} {
				got := map[string]engine.Group{}
				stats, err := engine.ProfileGroups(t.Context(), src, like, opts, func(g engine.Group) error {
					got[fmt.Sprint(g.Chunk, segmentName(g.Segment))] = g
					if g.Window != nil && (!g.Window.Start.Equal(start.Truncate(24*time.Hour).AddDate(0, 0, g.Chunk)) || g.Window.Duration() != 24*time.Hour) {
						t.Errorf("chunk %d is %v", g.Chunk, g.Window)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				chunks, want := tt.chunks(), 0
				for i, chunk := range chunks {
					for segment, rows := range divide(chunk) {
						want++
						g, ok := got[fmt.Sprint(i, segment)]
						if !ok || g.Rows != int64(len(rows)) {
							t.Fatalf("%s, chunk %d, segment %s: %d rows, want %d", name, i, segment, g.Rows, len(rows))
						}
						set, err := engine.ProfileTable(t.Context(), visitTable(t, rows), like)
						if err != nil {
							t.Fatal(err)
						}
						if encoded(t, set) != encoded(t, g.Set) {
							t.Errorf("%s, chunk %d, segment %s: another profile than that of its rows", name, i, segment)
						}
					}
				}
				for _, g := range got {
					if g.Rows == 0 {
						want++
					}
				}
				noTime := int64(0)
				for _, v := range rows {
					if v.at == 0 && tt.noTime {
						noTime++
					}
				}
				if passes := opts.MemoryBytes > 0; passes != (stats.Passes > 1) {
					t.Errorf("%d passes", stats.Passes)
				}
				if len(got) != want || stats.Chunks != len(chunks) || stats.NoTime != noTime || stats.Rows != int64(len(rows)) {
					t.Errorf("%s: %d groups, want %d; %+v, %d rows without a time", name, len(got), want, stats, noTime)
				}
			}
		})
	}
}

// A known segment without rows comes as a group without rows; an unknown one does not.
func TestProfileGroupsWithoutRows(t *testing.T) {
	t.Parallel()
	like, crossings := visitBaseline(t)
	var rows []visit
	for _, v := range visits(3, 100) {
		if v.country == "DE" {
			rows = append(rows, v)
		}
	}
	var got []string
	var progress []int64
	opts := engine.GroupOptions{Crossings: crossings[:1], Progress: func(done, total int64) { progress = append(progress, done, total) }}
	_, err := engine.ProfileGroups(t.Context(), visitTable(t, rows), like, opts, func(g engine.Group) error {
		got = append(got, fmt.Sprintf("%v %v", g.Segment["country"], g.Rows == int64(len(rows))))
		if g.Set.Columns[0].Profile.Rows() != g.Rows {
			t.Errorf("segment %v: %d rows in the set, %d in the group", g.Segment, g.Set.Columns[0].Profile.Rows(), g.Rows)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got) // the order of segments is that of their rows in the baseline
	if diff := cmp.Diff([]string{" true", "(missing) false", "DE true", "FR false", "PL false"}, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if n := int64(len(rows)); !slices.Equal(progress, []int64{n, n}) {
		t.Errorf("progress %v", progress)
	}
}

func TestCrossings(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 300 {
		names = append(names, slices.Repeat([]string{fmt.Sprintf("c%03d", i)}, 1+i/3)...)
	}
	odd := category("odd", "a\x00b", "", "a", "a\x00\x01")
	odd.Index, odd.Valid = append(odd.Index, slices.Repeat([]int32{0}, len(names)-4)...), append(odd.Valid, slices.Repeat([]bool{true}, len(names)-4)...)
	flag := boolean("flag", slices.Repeat([]bool{true}, len(names))...)
	code := number("code", slices.Repeat([]float64{7}, len(names))...)
	code.Floats[1] = 8
	code.Valid[2] = false
	r := tableOf(t, category("c", names...), odd, flag, code)
	got, err := engine.Crossings(t.Context(), r, [][]string{{"c"}, {"code"}, {"odd", "flag"}})
	if err != nil {
		t.Fatal(err)
	}
	if known := got[0].Known; len(known) != engine.MaxSegments || known[0][0] != "c297" || known[99][0] != "c198" {
		t.Errorf("%d known, from %v to %v", len(known), known[0], known[len(known)-1])
	}
	if diff := cmp.Diff([][]string{{"7"}, {"(missing)"}, {"8"}}, got[1].Known); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"a\x00b", "true"}, {"(missing)", "true"}, {"a", "true"}, {"a\x00\x01", "true"}}, got[2].Known); diff != "" {
		t.Errorf("crossed (-want +got):\n%s", diff)
	}
}

func TestGroupsRefuse(t *testing.T) {
	t.Parallel()
	like, _ := visitBaseline(t)
	rows := visits(4, 2_000)
	r := visitTable(t, rows)
	crossings := []struct {
		columns []string
		want    string
	}{
		{nil, "segments by 0 columns: from 1 to 4 can be crossed"},
		{[]string{"nope"}, `segments by nope: there is no column "nope"`},
		{[]string{"country", "country"}, `column "country" is named twice`},
		{[]string{"at"}, `column "at" is a timestamp`},
		{[]string{"amount"}, `it is a number with more than 1000 values`},
	}
	for _, tt := range crossings {
		_, err := engine.Crossings(t.Context(), r, [][]string{tt.columns})
		if err == nil || !strings.Contains(err.Error(), tt.want) || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("%v: %v, want %s", tt.columns, err, tt.want)
		}
	}
	groups := []struct {
		name string
		opts engine.GroupOptions
		want string
	}{
		{"both", engine.GroupOptions{ChunkRows: 1, ChunkPeriod: time.Hour}, "chunks are either of 1 rows or of 1h0m0s"},
		{"negative", engine.GroupOptions{ChunkRows: -1}, "neither may be negative"},
		{"no time", engine.GroupOptions{ChunkPeriod: time.Hour}, `there is no column "_time"; name the column of times`},
		{"not a time", engine.GroupOptions{ChunkPeriod: time.Hour, Time: "amount"}, `column "amount" is a number, not a timestamp`},
		{"segment", engine.GroupOptions{Crossings: []engine.Crossing{{Columns: []string{"nope"}}}}, `there is no column "nope"`},
	}
	for _, tt := range groups {
		_, err := engine.ProfileGroups(t.Context(), r, like, tt.opts, func(engine.Group) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	stop := errors.New("stop")
	if _, err := engine.ProfileGroups(t.Context(), r, like, engine.GroupOptions{ChunkRows: 10}, func(engine.Group) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of emit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.ProfileGroups(ctx, r, like, engine.GroupOptions{}, func(engine.Group) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	times := timestamp("at", make([]int64, engine.MaxPeriods+1)...)
	for i := range times.Ints {
		times.Ints[i] = int64(i) * int64(time.Hour/time.Microsecond)
	}
	_, err := engine.ProfileGroups(t.Context(), tableOf(t, times), like, engine.GroupOptions{ChunkPeriod: time.Hour, Time: "at"}, func(engine.Group) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "in more than 10000 of them; take longer chunks") {
		t.Errorf("too many periods: %v", err)
	}
}
