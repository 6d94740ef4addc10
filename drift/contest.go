package drift

import (
	"cmp"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch/profile"
)

// The bins of a category column are the categories that were most frequent in
// the baseline. Where several are about as frequent, those that chance favoured
// are picked, and the next sample has fewer of each: without drift the distances
// are larger than between two samples on bins that were fixed beforehand. Of 100
// categories that are equally frequent, 45 windows in 100 would be over the null
// point of fixed bins. The null point of such a column allows for the selection:
// by calculation, or by samples that go through the same selection.

const (
	// pastNoise is the number of standard deviations that a count does not stray.
	pastNoise = 5
	// contestStep is the resolution of frequencies, in standard deviations of a count.
	contestStep = 0.2
	// contestRounds is how often the estimate of the frequencies is corrected. The
	// first few do most of it.
	contestRounds = 12
	// noContest is the addition to chi-square, by the selection, that is let pass:
	// its standard deviation is 10.
	noContest = 0.02
)

// contest is the selection of the bins of a category column.
type contest struct {
	rates  []float64 // relative frequencies of the categories that may be selected
	rest   float64   // relative frequency of all others together
	chosen int       // how many are

	noncentrality
}

// newContest returns nil where nothing was selected (there are few categories, or
// the grid was frozen on other rows than the baseline's), or none is chosen by
// chance.
func newContest(baseline, current *profile.Profile, n, m float64) *contest {
	named := len(baseline.Grid().Categories())
	if named <= profile.CategoryBins || !mostFrequentFirst(baseline.Cells()[:named]) {
		return nil
	}
	p, q := proportions(baseline.CellMass()), proportions(current.CellMass())
	counts := make([]float64, named) // of both sides together
	for i := range counts {
		counts[i] = n*p[i] + m*q[i]
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	d := newDeviates(counts, profile.CategoryBins, math.Sqrt((n+m)/n))
	d.correct()
	c := &contest{chosen: profile.CategoryBins, rest: 1}
	for i := range d.last {
		rate := d.count(i) / (n + m)
		c.rates = append(c.rates, rate)
		c.rest -= rate
	}
	c.rest = max(c.rest, 0)
	c.noncentrality = c.noncentral(n)
	if newSelection(c, n, m, 0).mean-float64(c.chosen) < noContest {
		return nil
	}
	return c
}

func mostFrequentFirst(counts []int64) bool {
	return counts[len(counts)-1] > 0 && slices.IsSortedFunc(counts, func(a, b int64) int { return cmp.Compare(b, a) })
}

// deviate is a count on a scale where the noise of each is 1: 2 sqrt(x + 3/8),
// after Anscombe (1948).
func deviate(x float64) float64 { return 2 * math.Sqrt(x+3./8) }

// deviates are the counts of the categories on that scale.
type deviates struct {
	seen        []float64 // in descending order
	at          []float64 // the current estimate without noise, in descending order
	first, last int       // those that are estimated: from first up to last
}

// newDeviates takes counts in descending order, of which so many are selected by
// a sample that has that many times the noise.
func newDeviates(counts []float64, chosen int, noise float64) *deviates {
	d := &deviates{seen: make([]float64, len(counts))}
	for i, x := range counts {
		d.seen[i] = deviate(x)
	}
	d.at = slices.Clone(d.seen)
	edge, reach := d.seen[chosen-1], pastNoise*(1+noise)
	for d.last = chosen; d.last < len(counts) && d.seen[d.last] > edge-reach; {
		d.last++
	}
	for d.first < chosen-1 && d.seen[d.first] > edge+reach {
		d.first++
	}
	return d
}

// count is the estimated count of the i-th most frequent.
func (d *deviates) count(i int) float64 {
	z := max(d.at[i], 0) / 2
	return max(z*z-3./8, 0)
}

// correct moves the estimates until samples of them would be as spread out as what
// was seen: until the expected count of the i-th most frequent is the i-th count
// that was seen. The counts themselves are too far apart, because noise has been
// added to the frequencies behind them.
func (d *deviates) correct() {
	expected := make([]float64, d.last)
	larger := make([]float64, 2*reachCells+1) // the probability of being above a point, by how many steps below it
	for i := range larger {
		larger[i] = math.Erfc(float64(i-reachCells)*contestStep/math.Sqrt2) / 2
	}
	for range contestRounds {
		d.expect(expected, larger)
		for i := d.first; i < d.last; i++ {
			d.at[i] += d.seen[i] - expected[i]
		}
		slices.Sort(d.at)
		slices.Reverse(d.at)
	}
}

// expect sets the deviates that are expected of the i-th largest of a sample, from
// first up to last: where the expected number of larger ones is i + 1/2.
func (d *deviates) expect(expected, larger []float64) {
	copy(expected, d.seen)
	top := d.at[d.first] + 2*pastNoise
	held, above := d.histogram(top, d.at[d.last-1]-2*pastNoise)
	i, before := d.first, above
	for k := range held {
		number := above
		for j := max(k-reachCells, 0); j < min(k+reachCells+1, len(held)); j++ {
			number += held[j] * larger[j-k+reachCells]
		}
		if k >= reachCells {
			above += held[k-reachCells]
		}
		for ; i < d.last && number >= float64(i)+0.5; i++ {
			part := min(max((float64(i)+0.5-before)/(number-before), 0), 1)
			expected[i] = top - (float64(k-1)+part)*contestStep
		}
		before = number
	}
}

const reachCells = int(pastNoise / contestStep)

// histogram counts the estimates between top and bottom in steps from the top
// down, each shared by the two steps that it is between, and those above the top.
func (d *deviates) histogram(top, bottom float64) (held []float64, above float64) {
	held = make([]float64, int((top-bottom)/contestStep)+2)
	for _, z := range d.at {
		k := (top - z) / contestStep
		if k < 0 {
			above++
			continue
		}
		if i := int(k); i+1 < len(held) {
			share := k - float64(i)
			held[i] += 1 - share
			held[i+1] += share
		}
	}
	return held, above
}
