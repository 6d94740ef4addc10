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
	upTo      []float64 // the cumulated probabilities of these to have the least count
	candidate poisson   // how many have
	remaining float64   // the rate of what is in none of these

	upToBin []float64 // scratch of window
}

func newDraws(c *contest, n, m float64) *draws {
	d := &draws{contest: c, n: n, m: m, x: make([]poisson, len(c.rates)), y: make([]poisson, len(c.rates)), remaining: c.rest}
	d.least = d.leastCount()
	var total float64
	for i, rate := range c.rates {
		p := atLeast(d.least, n*rate)
		if p >= seldom {
			d.often = append(d.often, i)
			continue
		}
		total += p
		d.seldom, d.upTo = append(d.seldom, i), append(d.upTo, total)
		d.remaining += rate * (1 - atLeast(d.least-1, n*rate)) // the mean count of those under the least
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

// atLeast is about the probability that a count with that mean is at least x.
func atLeast(x, mean float64) float64 {
	if x <= 0 {
		return 1
	}
	return math.Erfc((deviate(x-0.5)-deviate(mean))/math.Sqrt2) / 2
}

// draw sets the proportions of both samples in the bins, the last of which is that
// of the categories that are not selected.
func (d *draws) draw(r *rand.Rand, p, q []float64) {
	outside := newPoisson(d.n * d.remaining)
	other := outside.draw(r)
	d.keys = d.keys[:0]
	for _, i := range d.often {
		if d.x[i].mean == 0 {
			d.x[i] = newPoisson(d.n * d.rates[i])
		}
		d.take(r, d.x[i].draw(r), i)
	}
	for range int(d.candidate.draw(r)) {
		at, _ := slices.BinarySearch(d.upTo, r.Float64()*d.upTo[len(d.upTo)-1])
		i := d.seldom[min(at, len(d.seldom)-1)]
		d.take(r, drawAtLeast(r, d.least, d.n*d.rates[i]), i)
	}
	slices.Sort(d.keys)
	first := max(len(d.keys)-d.chosen, 0)
	for _, key := range d.keys[:first] {
		other += float64(key >> 32)
	}
	clear(p)
	for k, key := range d.keys[first:] {
		p[k] = float64(key >> 32)
	}
	p[d.chosen] = other
	normalise(p)
	d.window(r, d.keys[first:], q)
	normalise(q)
}

// window draws the counts of the second sample in the bins of those categories.
func (d *draws) window(r *rand.Rand, selected []uint64, q []float64) {
	clear(q)
	if d.m <= drawnOneByOne {
		d.upToBin = d.upToBin[:0]
		total := 0.0
		for _, key := range selected {
			total += d.rates[key&0xffff]
			d.upToBin = append(d.upToBin, total)
		}
		for range max(int(math.Round(d.m)), 1) {
			k, _ := slices.BinarySearch(d.upToBin, r.Float64())
			if k == len(selected) {
				k = d.chosen
			}
			q[k]++
		}
		return
	}
	rest := 1.0
	for k, key := range selected {
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

// drawAtLeast draws a count of at least x.
func drawAtLeast(r *rand.Rand, x, mean float64) float64 {
	z := math.Sqrt2 * math.Erfcinv(2*atLeast(x, mean)*(1-r.Float64()))
	half := (deviate(mean) + z) / 2
	return max(math.Round(half*half-3./8), x)
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
