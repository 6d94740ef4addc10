package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// wideColumns are more columns than weighted tables are compared by at a time, of several types.
func wideColumns(shift int) (infos []modelwatch.Column, columns []table.Column) {
	for i := range 150 {
		name := fmt.Sprintf("x%03d", i)
		if i%5 == 4 {
			infos = append(infos, featureOf(name, modelwatch.TypeCategory))
			columns = append(columns, category(name, "a", "b", fmt.Sprint((i+shift)%7), "", "a"))
			continue
		}
		infos = append(infos, featureOf(name, modelwatch.TypeNumber))
		columns = append(columns, number(name, float64(i%10), float64(shift), gone, float64(i+shift), 2))
	}
	return infos, append(columns, number("w", 1, 2, 0.5, 3, -1), category(modelwatch.ColumnInvalid, "", "", `{"x000":"abc"}`, `{"x004":7}`, ""))
}

// Compared column by column, tables have the profiles that they have whole.
func TestCompare(t *testing.T) {
	t.Parallel()
	infos, left := wideColumns(0)
	_, right := wideColumns(3)
	baseline, current := tableOf(t, left...), tableOf(t, right...)
	for _, weight := range []string{"", "w"} {
		t.Run("weight "+weight, func(t *testing.T) {
			t.Parallel()
			opts := engine.BuildOptions{Weight: weight}
			want, err := engine.BuildBaseline(t.Context(), baseline, infos, opts)
			if err != nil {
				t.Fatal(err)
			}
			counted := want.Empty()
			_, err = engine.ProfileGroups(t.Context(), current, want, engine.GroupOptions{Weight: weight}, func(g engine.Group) error {
				return counted.Merge(g.Set)
			})
			if err != nil {
				t.Fatal(err)
			}
			sides := []engine.Side{{Name: "one", Source: baseline}, {Name: "two", Source: current}}
			for _, ref := range []engine.Reference{{Side: sides[0], Columns: infos}, {Columns: infos, Set: want}} {
				got := newPairs(len(infos))
				if _, err := engine.Compare(t.Context(), ref, []engine.Comparison{{Side: sides[1], Whole: got.take}}, opts); err != nil {
					t.Fatal(err)
				}
				got.check(t, want, counted, weight != "")
			}
		})
	}
}

// compareTables compares the whole of two tables.
func compareTables(t *testing.T, baseline, current engine.Side, columns []modelwatch.Column, opts engine.BuildOptions, f engine.EachPair) error {
	_, err := engine.Compare(t.Context(), engine.Reference{Side: baseline, Columns: columns}, []engine.Comparison{{Side: current, Whole: f}}, opts)
	return err
}

// pairs are the profiles that a comparison gave.
type pairs struct {
	mu                sync.Mutex
	baseline, current profile.Set
	given             []int
}

func newPairs(n int) *pairs {
	return &pairs{given: make([]int, n), baseline: profile.Set{Columns: make([]profile.SetColumn, n)}, current: profile.Set{Columns: make([]profile.SetColumn, n)}}
}

func (p *pairs) take(i int, baseline, current *profile.SetColumn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given[i]++
	p.baseline.Columns[i], p.current.Columns[i] = *baseline, *current
	return nil
}

// check compares bytes; of current profiles without squares, which have none, what is read.
func (p *pairs) check(t *testing.T, baseline, current *profile.Set, squares bool) {
	t.Helper()
	for i, n := range p.given {
		if n != 1 {
			t.Fatalf("column %d came %d times", i, n)
		}
	}
	if encoded(t, baseline) != encoded(t, &p.baseline) {
		t.Error("the baseline's profiles differ")
	}
	if squares && encoded(t, current) != encoded(t, &p.current) {
		t.Error("the current profiles differ")
	}
	for i := range current.Columns {
		want, got := current.Columns[i].Profile, p.current.Columns[i].Profile
		if readings(want) != readings(got) {
			t.Errorf("column %d: got %s, want %s", i, readings(got), readings(want))
		}
		if _, ok := got.SD(); ok && !squares {
			t.Errorf("column %d has a standard deviation, which nobody asks for", i)
		}
	}
}

// readings is what is read of a profile, but for its standard deviation, which a current one may lack.
func readings(p *profile.Profile) string {
	mean, _ := p.Mean()
	low, _ := p.Min()
	high, _ := p.Max()
	below, above := p.Tails()
	return fmt.Sprint(p.Rows(), p.Count(), p.Missing(), p.Invalid(), p.OutOfRange(), p.InvalidWeights(), p.Cells(), p.CellMass(), mean, low, high, below, above)
}

// failingSource has features that cannot be read.
type failingSource struct{ *table.Reader }

var errUnreadable = errors.New("unreadable")

func (s failingSource) Scan(ctx context.Context, names []string, f func(*table.Chunk) error) error {
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "x") }) {
		return errUnreadable
	}
	return s.Reader.Scan(ctx, names, f)
}

func (s failingSource) ScanColumn(ctx context.Context, name string, f func(int, *table.Column) error) error {
	if strings.HasPrefix(name, "x") {
		return errUnreadable
	}
	return s.Reader.ScanColumn(ctx, name, f)
}

func (s failingSource) ScanColumnSpread(ctx context.Context, name string, f func(int, *table.Column) error) error {
	return s.ScanColumn(ctx, name, f)
}

func (s failingSource) ScanColumnGroups(ctx context.Context, name string, _ func() (int, bool), f func(int, *table.Column) error) error {
	return s.ScanColumn(ctx, name, f)
}

// failure is a comparison that fails, and how its error begins.
type failure struct {
	baseline, current engine.Source
	weight, want      string
}

func checkFailures(t *testing.T, tests map[string]failure, compare func(baseline, current engine.Side, weight string) error) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := compare(engine.Side{Name: "one", Source: test.baseline}, engine.Side{Name: "two", Source: test.current}, test.weight)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s...", err, test.want)
			}
		})
	}
}

// An error says in which of the two tables it is, and one of the receiver's is its own.
func TestCompareFails(t *testing.T) {
	t.Parallel()
	infos, columns := wideColumns(0)
	good := tableOf(t, columns...)
	broken := failingSource{good}
	enough := errors.New("enough")
	checkFailures(t, map[string]failure{
		"baseline":          {broken, good, "", "profile one: column x"},
		"current":           {good, broken, "", "profile two: column x"},
		"weighted baseline": {broken, good, "w", "profile one: "},
		"weighted current":  {good, broken, "w", "profile two: "},
		"receiver":          {good, good, "", "enough"},
		"weighted receiver": {good, good, "w", "enough"},
	}, func(baseline, current engine.Side, weight string) error {
		return compareTables(t, baseline, current, infos, engine.BuildOptions{Weight: weight},
			func(int, *profile.SetColumn, *profile.SetColumn) error { return enough })
	})
}

// rowTable has numbers of every kind of trouble, more of them than are sorted by comparing.
func rowTable(t *testing.T, seed uint64, n int) *table.Reader {
	rng := rand.New(rand.NewPCG(seed, 3))
	values, ranged, weights := make([]float64, n), make([]float64, n), make([]float64, n)
	texts, invalid := make([]string, n), make([]string, n)
	for i := range n {
		values[i], ranged[i], weights[i] = rng.NormFloat64(), math.Floor(12*rng.Float64()), float64(rng.IntN(3))
		texts[i] = fmt.Sprint(rng.IntN(4))
		switch rng.IntN(9) {
		case 0:
			values[i], invalid[i] = gone, `{"x":"abc"}`
		case 1:
			values[i], ranged[i] = math.NaN(), gone
		case 2:
			values[i], ranged[i] = math.Copysign(0, -1), math.Inf(1)
		case 3:
			values[i], ranged[i] = 0, gone
		}
	}
	return tableOf(t, number("x", values...), number("ranged", ranged...), category("c", texts...), number("w", weights...), category(modelwatch.ColumnInvalid, invalid...))
}

// Columns compared by their rows have the profiles and the values that they have when these are read apart.
func TestCompareRows(t *testing.T) {
	t.Parallel()
	ranged := featureOf("ranged", modelwatch.TypeNumber)
	ranged.Minimum, ranged.Maximum = ptr(1.0), ptr(10.0)
	columns := []modelwatch.Column{featureOf("x", modelwatch.TypeNumber), ranged, featureOf("c", modelwatch.TypeCategory), featureOf("c", modelwatch.TypeNumber), featureOf("absent", modelwatch.TypeNumber)}
	baseline, current := rowTable(t, 1, 9_000), rowTable(t, 2, 7_500)
	for _, opts := range []engine.RowOptions{{}, {ChunkRows: 3_000}, {ChunkRows: 1_500}, {Weight: "w"}, {Weight: "w", ChunkRows: 4_000}} {
		t.Run(fmt.Sprintf("%+v", opts), func(t *testing.T) {
			t.Parallel()
			want, err := engine.BuildBaseline(t.Context(), baseline, columns, engine.BuildOptions{Weight: opts.Weight})
			if err != nil {
				t.Fatal(err)
			}
			var groups []engine.Group
			_, err = engine.ProfileGroups(t.Context(), current, want, engine.GroupOptions{Weight: opts.Weight, ChunkRows: opts.ChunkRows}, func(g engine.Group) error {
				groups = append(groups, g)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			seen := 0
			err = engine.CompareRows(t.Context(), engine.Side{Name: "one", Source: baseline}, engine.Side{Name: "two", Source: current}, columns, opts, func(i int, b engine.Rows, n []engine.Rows) error {
				mu.Lock()
				defer mu.Unlock()
				seen++
				if got, want := counts(b.Profile), counts(want.Columns[i].Profile); got != want || b.N != 9_000 {
					t.Errorf("baseline of %s: got %.200s, want %.200s", columns[i].Name, got, want)
				}
				if len(n) != len(groups) {
					t.Fatalf("%d chunks, want %d", len(n), len(groups))
				}
				for k, g := range groups {
					if got, want := counts(n[k].Profile), counts(g.Set.Columns[i].Profile); got != want || n[k].N != g.Rows {
						t.Errorf("chunk %d of %s: %d rows, got %.200s, want %d, %.200s", k, columns[i].Name, n[k].N, got, g.Rows, want)
					}
				}
				sameSamples(t, baseline, columns[i], opts.Weight, 0, []engine.Rows{b})
				sameSamples(t, current, columns[i], opts.Weight, opts.ChunkRows, n)
				return nil
			})
			if err != nil || seen != len(columns) {
				t.Errorf("%d columns: %v", seen, err)
			}
		})
	}
}

func sameSamples(t *testing.T, src engine.Source, column modelwatch.Column, weight string, chunk int64, got []engine.Rows) {
	t.Helper()
	if column.Type != modelwatch.TypeNumber {
		return
	}
	want, err := engine.ReadSamples(t.Context(), src, column, weight, chunk)
	if err != nil {
		t.Fatal(err)
	}
	for k := range want {
		if weight == "" {
			slices.Sort(want[k].Floats)
		}
		if s := got[k].Sample; !slices.Equal(s.Floats, want[k].Floats) || !slices.Equal(s.Weights, want[k].Weights) || s.Sorted != (weight == "") {
			t.Errorf("chunk %d of %s: other values", k, column.Name)
		}
	}
}

// By rows too, an error says in which table it is.
func TestCompareRowsFails(t *testing.T) {
	t.Parallel()
	infos, columns := wideColumns(0)
	good := tableOf(t, columns...)
	broken := failingSource{good}
	enough := errors.New("enough")
	checkFailures(t, map[string]failure{
		"baseline":          {broken, good, "", "profile one: column x"},
		"current":           {good, broken, "", "profile two: read column x"},
		"weighted baseline": {broken, good, "w", "profile one: "},
		"weighted current":  {good, broken, "w", "profile two: "},
		"receiver":          {good, good, "", "enough"},
		"weighted receiver": {good, good, "w", "enough"},
	}, func(baseline, current engine.Side, weight string) error {
		return engine.CompareRows(t.Context(), baseline, current, infos, engine.RowOptions{Weight: weight},
			func(int, engine.Rows, []engine.Rows) error { return enough })
	})
}
