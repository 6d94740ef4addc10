package engine_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// ungrouped is a source whose columns one worker counts alone.
type ungrouped struct{ engine.Source }

// severalGroups is a table of a few row groups with all that a number can be.
func severalGroups(t *testing.T, seed uint64) (*table.Reader, []modelwatch.Column) {
	t.Helper()
	const rows = 5*table.RowGroupRows/2 + 1
	rng := rand.New(rand.NewPCG(seed, 1))
	numbers, words := make([]float64, rows), make([]string, rows)
	for i := range numbers {
		switch numbers[i] = math.Exp(20 * rng.NormFloat64()); rng.IntN(100) {
		case 0:
			numbers[i] = gone
		case 1:
			numbers[i] = math.Inf(1)
		case 2:
			numbers[i] = -numbers[i]
		}
		words[i] = strconv.Itoa(rng.IntN(300))
	}
	r := tableOf(t, number("x", numbers...), category("c", words...))
	if r.Groups() < 3 {
		t.Fatalf("%d row groups", r.Groups())
	}
	return r, []modelwatch.Column{featureOf("c", modelwatch.TypeCategory), featureOf("x", modelwatch.TypeNumber), featureOf("absent", modelwatch.TypeNumber)}
}

// However many workers count a column, and whatever parts of it, the profile is the same.
func TestIdleWorkersHelp(t *testing.T) {
	t.Parallel()
	baseline, infos := severalGroups(t, 1)
	current, _ := severalGroups(t, 2)
	want := newPairs(len(infos))
	one := engine.BuildOptions{Workers: 1}
	if err := compareTables(t, engine.Side{Source: baseline}, engine.Side{Source: ungrouped{current}}, infos, one, want.take); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2, 7} {
		got := newPairs(len(infos))
		opts := engine.BuildOptions{Workers: workers}
		if err := compareTables(t, engine.Side{Source: baseline}, engine.Side{Source: current}, infos, opts, got.take); err != nil {
			t.Fatal(err)
		}
		got.check(t, &want.baseline, &want.current, false)
	}
}

// failingGroups fails at its last row group.
type failingGroups struct {
	*table.Reader
	err error
}

func (f failingGroups) ScanColumnGroups(ctx context.Context, name string, next func() (int, bool), use func(int, *table.Column) error) error {
	return f.Reader.ScanColumnGroups(ctx, name, next, func(rows int, c *table.Column) error {
		if rows < table.RowGroupRows { // the last one
			return f.err
		}
		return use(rows, c)
	})
}

func TestIdleWorkersStop(t *testing.T) {
	t.Parallel()
	r, infos := severalGroups(t, 1)
	broken := errors.New("broken")
	err := compareTables(t, engine.Side{Name: "one", Source: r}, engine.Side{Name: "two", Source: failingGroups{r, broken}},
		infos[1:2], engine.BuildOptions{Workers: 3}, func(int, *profile.SetColumn, *profile.SetColumn) error {
			t.Error("a column was compared")
			return nil
		})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}
