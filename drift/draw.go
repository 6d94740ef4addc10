package drift

import (
	"math"
	"math/rand/v2"
	"slices"
)

// seldom is the probability of being selected under which categories are not drawn
// one by one.
const seldom = 0.1

// draws are pairs of samples of n and m values, on bins that are selected by the
// first. Of the many categories that are seldom selected, only those are drawn that
// come near it, so that their number costs nothing.
type draws struct {
	*contest
	n, m  float64
	x, y  []poisson // made when they are first wanted
	keys  []uint64  // the candidates of a sample, by count
	least float64   // a count that the selected ones have

	often     []int     // categories that are drawn one by one
	seldom    []int     // the others
	reach     []float64 // the probabilities of these to have the least count
	upTo      []float64 // the cumulated rates of these to have the least count
	candidate poisson   // how many are drawn as having it, some of them twice
	below     []float64 // the mean counts of these if they have less
	remaining float64   // the mean count of what is in none of these, had all of these less
	drawn     []int32   // by category, the last sample that had it as a candidate
	sample    int32

	selected []uint64 // those of the keys that get a bin
	others   float64  // the count of all others

	upToBin []float64 // scratch of window
}

func newDraws(c *contest, n, m float64) *draws {
	d := &draws{contest: c, n: n, m: m, x: make([]poisson, len(c.rates)), y: make([]poisson, len(c.rates)), remaining: n * c.rest, drawn: make([]int32, len(c.rates))}
	d.least = d.leastCount()
	var total float64
	for i, rate := range c.rates {
		p := atLeast(d.least, n*rate)
		if p >= seldom {
			d.often = append(d.often, i)
			continue
		}
		total -= math.Log1p(-p) // drawn once or more often with probability p
		below := n * rate * (1 - atLeast(d.least-1, n*rate)) / (1 - p)
		d.seldom, d.reach = append(d.seldom, i), append(d.reach, p)
		d.upTo, d.below = append(d.upTo, total), append(d.below, below)
		d.remaining += below
	}
	d.candidate = newPoisson(total)
	return d
}

// leastCount is a count that more categories than are chosen have in practically
// every sample.
func (d *draws) leastCount() float64 {
	enough := float64(d.chosen) + pastNoise*math.Sqrt(float64(d.chosen))
	lo, hi := 0.0, d.n
	for range 40 {
		mid := (lo + hi) / 2
		var expected float64
		for _, rate := range d.rates {
			expected += atLeast(mid, d.n*rate)
		}
		if expected >= enough {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Floor(lo)
}

// atLeast is about the probability that a Poisson count with that mean is at least
// x, which is that of a gamma variable of shape x being at most the mean: by the cube
// root of Wilson and Hilferty (1931).
func atLeast(x, mean float64) float64 {
	if x <= 0 {
		return 1
	}
	return math.Erfc(3*math.Sqrt(x/2)*(1-1/(9*x)-math.Cbrt(mean/x))) / 2
}

// draw sets the proportions of both samples in the bins, the last of which is that
// of the categories that are not selected. The first sample is drawn anew or once more
// that of the last time.
func (d *draws) draw(r *rand.Rand, anew bool, p, q []float64) {
	if anew {
		d.selectBins(r)
	}
	clear(p)
	for k, key := range d.selected {
		p[k] = float64(key >> 32)
	}
	p[d.chosen] = d.others
	normalise(p)
	d.window(r, q)
	normalise(q)
}

// selectBins draws the first sample.
func (d *draws) selectBins(r *rand.Rand) {
	d.keys = d.keys[:0]
	d.sample++
	remaining := d.remaining
	for _, i := range d.often {
		if d.x[i].mean == 0 {
			d.x[i] = newPoisson(d.n * d.rates[i])
		}
		d.take(r, d.x[i].draw(r), i)
	}
	for range int(d.candidate.draw(r)) {
		at, _ := slices.BinarySearch(d.upTo, r.Float64()*d.upTo[len(d.upTo)-1])
		at = min(at, len(d.seldom)-1)
		if i := d.seldom[at]; d.drawn[i] != d.sample {
			d.drawn[i] = d.sample
			remaining -= d.below[at]
			z := math.Sqrt2 * math.Erfcinv(2*d.reach[at]*(1-r.Float64()))
			mean := d.n * d.rates[i]
			d.take(r, max(math.Round(poissonAt(z, mean, math.Sqrt(mean))), d.least), i)
		}
	}
	outside := newPoisson(max(remaining, 0))
	d.others = outside.draw(r)
	slices.Sort(d.keys)
	first := max(len(d.keys)-d.chosen, 0)
	for _, key := range d.keys[:first] {
		d.others += float64(key >> 32)
	}
	d.selected = d.keys[first:]
}

// window draws the counts of the second sample in the bins.
func (d *draws) window(r *rand.Rand, q []float64) {
	clear(q)
	if d.m <= drawnOneByOne {
		d.upToBin = d.upToBin[:0]
		total := 0.0
		for _, key := range d.selected {
			total += d.rates[key&0xffff]
			d.upToBin = append(d.upToBin, total)
		}
		for range max(int(math.Round(d.m)), 1) {
			k, _ := slices.BinarySearch(d.upToBin, r.Float64())
			if k == len(d.selected) {
				k = d.chosen
			}
			q[k]++
		}
		return
	}
	rest := 1.0
	for k, key := range d.selected {
		i := key & 0xffff
		if d.y[i].mean == 0 {
			d.y[i] = newPoisson(d.m * d.rates[i])
		}
		q[k] = d.y[i].draw(r)
		rest -= d.rates[i]
	}
	outside := newPoisson(d.m * max(rest, 0))
	q[d.chosen] = outside.draw(r)
}

// take makes a category a candidate. Among equal counts chance decides.
func (d *draws) take(r *rand.Rand, count float64, i int) {
	d.keys = append(d.keys, uint64(count)<<32|uint64(r.Uint32())&^0xffff|uint64(i))
}

func normalise(p []float64) {
	var total float64
	for _, x := range p {
		total += x
	}
	for i := range p {
		p[i] /= total
	}
}
