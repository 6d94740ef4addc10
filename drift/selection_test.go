package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// trueContest is that of categories whose frequencies are known.
func trueContest(weights []float64, n float64) *contest {
	var total float64
	for _, w := range weights {
		total += w
	}
	c := &contest{chosen: 49}
	for _, w := range weights { // in descending order
		c.rates = append(c.rates, w/total)
	}
	c.noncentrality = c.noncentral(n)
	return c
}

// everyCategory draws chi-square of two samples on bins that the first selects, one
// category after the other.
func everyCategory(r *rand.Rand, c *contest, x, y []poisson) float64 {
	n, m := make([]float64, len(x)), make([]float64, len(x))
	order := make([]int, len(x))
	for i := range x {
		n[i], m[i], order[i] = x[i].draw(r), y[i].draw(r), i
	}
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(i, j int) int { return int(n[j] - n[i]) })
	p, q := make([]float64, c.chosen+1), make([]float64, c.chosen+1)
	var b bins
	for k, i := range order {
		p[min(k, c.chosen)] += n[i]
		q[min(k, c.chosen)] += m[i]
		b.n, b.m = b.n+n[i], b.m+m[i]
	}
	b.p, b.q = proportions(p), proportions(q)
	value, _ := b.chi2()
	return value
}

func meanAndVariance(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}

// The moments of chi-square under a selection, and the point that 5 % are above, are
// those of samples whose bins are selected; so are those of the samples behind
// simulated null points.
func TestSelectionAgreesWithSamples(t *testing.T) {
	t.Parallel()
	const samples = min(calibrationWindows, 4000)
	for i, test := range []struct {
		name    string
		weights []float64
		n, m    float64
	}{
		{"nothing is left to chance", append(slices.Repeat([]float64{100}, 49), slices.Repeat([]float64{10}, 30)...), 50_000, 50_000},
		{"50 equal", equal(50), 50_000, 500_000},
		{"60 equal", equal(60), 20_000, 10_000},
		{"100 equal", equal(100), 50_000, 50_000},
		{"100 equal, a small window", equal(100), 50_000, 5000},
		{"300 of Zipf's law", zipf(300), 50_000, 100_000},
		{"600 of Zipf's law", zipf(600), 100_000, 200_000},
		{"400 equal", equal(400), 150_000, 150_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(i)))
			c := trueContest(test.weights, test.n)
			if c.excess() > mostExcess {
				t.Fatalf("excess %v: this is simulated", c.excess())
			}
			s := newSelection(c, test.n, test.m, test.n/(test.n+test.m))
			x, y := make([]poisson, len(c.rates)), make([]poisson, len(c.rates))
			for i, rate := range c.rates {
				x[i], y[i] = newPoisson(test.n*rate), newPoisson(test.m*rate)
			}
			d := newDraws(c, test.n, test.m)
			b := &bins{p: make([]float64, c.chosen+1), q: make([]float64, c.chosen+1), n: test.n, m: test.m}
			for name, draw := range map[string]func() float64{
				"every category": func() float64 { return everyCategory(r, c, x, y) },
				"draws": func() float64 {
					d.draw(r, true, b.p, b.q)
					value, _ := b.chi2()
					return value
				},
			} {
				values, over := make([]float64, samples), 0
				for k := range values {
					values[k] = draw()
					over += count(values[k] > s.point95())
				}
				mean, variance := meanAndVariance(values)
				share := float64(over) / samples
				got := fmt.Sprintf("%s: mean %.2f, variance %.1f, over %.3f; calculated %.2f, %.1f", name, mean, variance, share, s.mean, s.variance)
				// Four standard errors, and a little for what is of higher order.
				if math.Abs(mean-s.mean) > 4*math.Sqrt(variance/samples)+0.01*s.mean ||
					math.Abs(variance/s.variance-1) > 4*math.Sqrt(2.5/samples)+0.03 || math.Abs(share-0.05) > 4*math.Sqrt(0.05*0.95/samples)+0.005 {
					t.Error(got)
				} else {
					t.Log(got)
				}
			}
		})
	}
}
