package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestPastRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for i := range 5 {
			compute(t, b, "drift", i, 1, feature("amount", "psi", float64(i)), feature("amount", "ks", 9), feature("city", "psi", 10+float64(i)))
		}
		compute(t, b, "drift", 2, 2, feature("amount", "psi", 22))
		compute(t, b, "other", 1, 1, feature("amount", "psi", 99))
		addClaimed(t, b, "drift", 1, 2) // still runs: the one before it stands
		end := func(i int) time.Time { return hour(i).End }

		windows := func(after, before time.Time, length time.Duration, limit int) (got []string) {
			runs, err := b.PastRuns(t.Context(), "fraud", "drift", length, after, before, limit)
			must(t, err)
			for _, r := range runs {
				got = append(got, fmt.Sprintf("%g/%d", start.Sub(r.Window.End).Hours(), r.Revision))
			}
			return got
		}
		ends := func(hours ...int) (got []string) {
			for _, h := range hours {
				revision := 1
				if h == 2 {
					revision = 2
				}
				got = append(got, fmt.Sprintf("%g/%d", start.Sub(end(h)).Hours(), revision))
			}
			return got
		}
		same(t, "all before", windows(time.Time{}, end(0), time.Hour, 9), ends(1, 2, 3, 4))
		same(t, "last two", windows(time.Time{}, end(0), time.Hour, 2), ends(1, 2))
		same(t, "between", windows(end(4), end(1), time.Hour, 9), ends(2, 3))
		same(t, "another length", windows(time.Time{}, end(0), 2*time.Hour, 9), []string(nil))

		runs, err := b.PastRuns(t.Context(), "fraud", "drift", time.Hour, time.Time{}, end(1), 1)
		must(t, err)
		ms, err := b.RunMeasurements(t.Context(), runs[0].ID, []string{"psi", "tvd"})
		must(t, err)
		same(t, "measurements", brief(ms), []string{"2/2 amount psi 22"})
		ms, err = b.RunMeasurements(t.Context(), runs[0].ID, nil)
		must(t, err)
		same(t, "no metrics", ms, []modelwatch.Measurement(nil))
	})
}
