package drift

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The null point allows for the selection where chance has a say in it, and only
// for a baseline that made the selection.
func TestContest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		column column
		want   bool
	}{
		{categoryColumn("49", equal(49)), false},
		{categoryColumn("50", equal(50)), false}, // all have a bin, whichever is the last
		{categoryColumn("60", equal(60)), true},
		{categoryColumn("2500", equal(2500)), true},
	} {
		t.Run(test.column.name, func(t *testing.T) {
			b := test.column.baseline(r, 30_000)
			w := test.column.window(r, b, 20_000)
			c := newComparison(b, w, Options{})
			if got := c.bins().contest != nil; got != test.want {
				t.Errorf("contest: %t, want %t", got, test.want)
			}
			if newComparison(w, w, Options{}).bins().contest != nil {
				t.Error("a baseline on a grid that was frozen by others selects nothing")
			}
		})
	}
}

// Every null point is a positive number, whatever the sizes.
func TestContestOfAnySize(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	col := categoryColumn("categories", equal(400))
	for _, n := range []int{150, 5000} {
		b := col.baseline(r, n)
		for _, m := range []int{1, 5, 200, 300, 20_000} {
			w := col.window(r, b, m)
			for _, v := range Measure(b, w, []string{PSI, JSDistance, KL, Hellinger, TVD, LInfinity, Chi2}, Options{MinimumRows: 1}) {
				if v.Null95 == nil || !(*v.Null95 > 0) || math.IsInf(*v.Null95, 0) {
					t.Errorf("%d against %d rows: %s has the null point %v", m, n, v.Metric, v.Null95)
				}
			}
		}
	}
}

// The frequencies behind counts are as far apart as their samples show them to be.
func TestDeviatesAreCorrected(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	col := categoryColumn("categories", equal(500))
	b := col.baseline(r, 50_000)
	w := col.window(r, b, 50_000)
	c := newContest(b, w, 50_000, 50_000)
	var mean, variance float64
	for _, x := range c.rates {
		mean += x * 500 / float64(len(c.rates))
	}
	for _, x := range c.rates {
		variance += (x*500 - mean) * (x*500 - mean) / float64(len(c.rates))
	}
	// The counts of both sides together have the standard deviation 0.07.
	if math.Abs(mean-1) > 0.02 || math.Sqrt(variance) > 0.03 {
		t.Errorf("equal frequencies are estimated with the mean %v and the standard deviation %v, want 1 and little", mean, math.Sqrt(variance))
	}
}

// What the selection amounts to: of 100 equally frequent categories, 45 windows in 100
// are over the null point of bins that are given beforehand.
func TestFixedBinsDoNotAllowForTheSelection(t *testing.T) {
	t.Parallel()
	const windows, rows = 1000, 5000
	r := rand.New(rand.NewPCG(7, 8))
	col, over := categoryColumn("categories", equal(100)), 0
	for range windows {
		b := col.baseline(r, rows)
		w := col.window(r, b, rows)
		bins := newBins(b.BinMass(), w.BinMass(), rows, rows)
		over += count(bins.psi() > chi2Quantile(len(bins.p)-1)*bins.noise())
	}
	if share := float64(over) / windows; math.Abs(share-0.45) > 0.06 { // four standard errors
		t.Errorf("%.3f of the windows, want 0.45", share)
	}
}
