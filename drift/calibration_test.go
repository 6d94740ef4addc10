package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// column draws the profiles of a baseline and of windows without drift.
type column struct {
	name string
	// simulated says that most null points are: there are a third as many windows.
	simulated bool
	baseline  func(r *rand.Rand, n int) *profile.Profile
	window    func(r *rand.Rand, baseline *profile.Profile, n int) *profile.Profile
}

// numberColumn freezes the grid on the baseline's own values, as the service
// does. Where values are continuous, nothing depends on how they are distributed.
func numberColumn(name string, draw func(*rand.Rand) float64) column {
	values := func(r *rand.Rand, n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = draw(r)
		}
		return x
	}
	return column{
		name: name,
		baseline: func(r *rand.Rand, n int) *profile.Profile {
			x := values(r, n)
			p := profile.New(profile.NewNumberGrid(x))
			p.AddFloats(x, nil)
			return p
		},
		window: func(r *rand.Rand, baseline *profile.Profile, n int) *profile.Profile {
			p := baseline.Empty()
			p.AddFloats(values(r, n), nil)
			return p
		},
	}
}

// categoryColumn has categories of these weights.
func categoryColumn(name string, weights []float64) column {
	dict, upTo, total := make([]string, len(weights)), make([]float64, len(weights)), 0.0
	for i, w := range weights {
		total += w
		dict[i], upTo[i] = fmt.Sprintf("c%04d", i), total
	}
	guide := make([]int32, 1<<12) // where to start for a uniform number, by its first digits
	for i := range guide {
		at, _ := slices.BinarySearch(upTo, float64(i)/float64(len(guide))*total)
		guide[i] = int32(at)
	}
	rows := func(r *rand.Rand, n int) []int32 {
		index := make([]int32, n)
		for i := range index {
			u := r.Float64()
			at := guide[int(u*float64(len(guide)))]
			for upTo[at] < u*total {
				at++
			}
			index[i] = at
		}
		return index
	}
	return column{
		name: name,
		baseline: func(r *rand.Rand, n int) *profile.Profile {
			index := rows(r, n)
			b := profile.NewCategoryBuilder()
			b.AddCategories(dict, index, nil)
			p := profile.New(b.Grid())
			p.AddCategories(dict, index, nil)
			return p
		},
		window: func(r *rand.Rand, baseline *profile.Profile, n int) *profile.Profile {
			p := baseline.Empty()
			p.AddCategories(dict, rows(r, n), nil)
			return p
		},
	}
}

func zipf(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(i+1)
	}
	return w
}

func equal(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func calibrationColumns() []column {
	simulated := func(c column) column {
		c.simulated = true
		return c
	}
	return []column{
		numberColumn("uniform number", (*rand.Rand).Float64),
		numberColumn("normal number", (*rand.Rand).NormFloat64),
		categoryColumn("5 categories", []float64{5, 4, 3, 2, 1}),
		simulated(categoryColumn("300 categories", zipf(300))),
		simulated(categoryColumn("100 equally frequent categories", equal(100))),
	}
}

// calibration counts windows without drift that are over a limit.
type calibration struct {
	windows int
	over    map[string]int // by metric: over the null point
	flat    [3]int         // psi > 0.1, psi > 0.25, js_distance > 0.1
}

const (
	windowsPerBaseline = 5
	calibrationRows    = 50_000 // of the baseline
)

// calibrate measures windows of that many rows against baselines that are drawn
// anew for every few windows.
func calibrate(col column, metrics []string, rows int) *calibration {
	r := rand.New(rand.NewPCG(1, uint64(rows)))
	c := &calibration{windows: calibrationWindows, over: make(map[string]int)}
	if col.simulated {
		c.windows /= 3
	}
	for range c.windows / windowsPerBaseline {
		b := col.baseline(r, calibrationRows)
		for range windowsPerBaseline {
			c.add(Measure(b, col.window(r, b, rows), metrics, Options{}))
		}
	}
	return c
}

func (c *calibration) add(values []modelwatch.Value) {
	for _, v := range values {
		x := *v.Value
		c.over[v.Metric] += count(x > *v.Null95)
		switch v.Metric {
		case PSI:
			c.flat[0] += count(x > 0.1)
			c.flat[1] += count(x > 0.25)
		case JSDistance:
			c.flat[2] += count(x > 0.1)
		}
	}
}

// The experiment behind the null points: of 6,000 windows without drift, 5 % +-
// 1 % are over the null point of psi and of js_distance, or of 2,000 where these are
// simulated. The standard error is 0.3 and 0.5 to 0.6 points. Beside it stand the
// customary flat limits. `go test -run Calibration -v ./drift` prints the rows of the
// table in docs/metrics.md. Under the race detector, which it has nothing to tell,
// it has a twentieth of the windows.
func TestCalibration(t *testing.T) {
	if testing.Short() {
		t.Skip("draws hundreds of millions of rows")
	}
	t.Parallel()
	metrics := []string{PSI, JSDistance}
	for _, col := range calibrationColumns() {
		for _, rows := range []int{500, 5000, 50_000} {
			t.Run(fmt.Sprintf("%s/%d", col.name, rows), func(t *testing.T) {
				t.Parallel()
				c := calibrate(col, metrics, rows)
				var row strings.Builder
				for _, k := range []int{c.over[PSI], c.over[JSDistance], c.flat[0], c.flat[1], c.flat[2]} {
					fmt.Fprintf(&row, " %.1f %% |", 100*float64(k)/float64(c.windows))
				}
				t.Logf("| %s | %d |%s", col.name, rows, row.String())
				for _, m := range metrics {
					if share := float64(c.over[m]) / float64(c.windows); math.Abs(share-0.05) > calibrationTolerance {
						t.Errorf("%s is over its null point in %.1f %% of the windows", m, 100*share)
					}
				}
			})
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
