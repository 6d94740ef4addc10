package profile

import (
	"math"
	"math/big"
)

// Grid returns the grid that the profile counts on.
func (p *Profile) Grid() *Grid { return p.grid }

// Rows returns the number of rows, whatever they hold.
func (p *Profile) Rows() int64 { return p.rows }

// Count returns the number of rows with a value: neither missing nor invalid.
func (p *Profile) Count() int64 { return p.count }

// Missing returns the number of rows without a value.
func (p *Profile) Missing() int64 { return max(p.absent-p.moved, 0) }

// Invalid returns the number of rows with something that is not a value of the
// column's type and range. NaN and infinities are invalid.
func (p *Profile) Invalid() int64 { return p.invalid }

// OutOfRange returns how many of the invalid rows were outside of the declared
// range.
func (p *Profile) OutOfRange() int64 { return p.outOfRange }

// Unseen returns the number of values that the baseline did not hold, for a
// category column; 0 for any other. It is a lower bound, 0, where the grid does
// not know all categories of the baseline.
func (p *Profile) Unseen() int64 {
	if p.grid.kind != KindCategory {
		return 0
	}
	return p.cells[len(p.cells)-1]
}

// Cells returns the counts per cell. The caller must not change them.
func (p *Profile) Cells() []int64 { return p.cells }

// BinCounts returns the counts per drift bin, in the order of [Grid.Bins].
func (p *Profile) BinCounts() []int64 {
	counts := make([]int64, len(p.grid.ends))
	from := 0
	for i, end := range p.grid.ends {
		for _, n := range p.cells[from:end] {
			counts[i] += n
		}
		from = end
	}
	return counts
}

// Min returns the smallest value of a number column, false if there is none.
func (p *Profile) Min() (float64, bool) {
	if !p.hasMoments() {
		return 0, false
	}
	return p.moments.min, true
}

// Max returns the largest value of a number column, false if there is none.
func (p *Profile) Max() (float64, bool) {
	if !p.hasMoments() {
		return 0, false
	}
	return p.moments.max, true
}

func (p *Profile) hasMoments() bool { return p.moments != nil && p.count > 0 }

func (p *Profile) hasSquares() bool { return p.hasMoments() && !p.moments.unsquared }

// sums returns the sum of the values and their number, weighted: their quotient is
// in units of 2^sumUnit.
func (p *Profile) sums() (sum, n *big.Int) {
	if p.weighted == nil {
		return p.moments.sum.int(), big.NewInt(p.count)
	}
	m := p.weighted.mass()
	return p.weighted.moments.sum.int(), m.int()
}

// Mean returns the mean of a number column, sum w x / sum w, false if it has no
// value. It is the double nearest to the true mean.
func (p *Profile) Mean() (float64, bool) {
	if !p.hasMoments() {
		return 0, false
	}
	sum, n := p.sums()
	return min(max(scaled(sum, n, sumUnit), p.moments.min), p.moments.max), true
}

// SD returns the population standard deviation of a number column,
// sqrt(sum w (x - mean)^2 / sum w), false if it has no value or skipped squares. It is accurate to one
// unit in the last place, whatever the ratio of mean to spread.
func (p *Profile) SD() (float64, bool) {
	if !p.hasSquares() {
		return 0, false
	}
	if p.weighted == nil {
		return PopulationSD(p.count, &p.moments.sum, &p.moments.squares)
	}
	d, n := p.deviations()
	return root(d, n.Mul(n, n)), true
}

// SampleSD returns the sample standard deviation of a number column,
// sqrt(sum (x - mean)^2 / (n-1)), false if it has fewer than two values or skipped squares. With
// weights it is sqrt(sum w (x - mean)^2 / (W - sum w^2 / W)), where W = sum w: the
// same where all weights are equal.
func (p *Profile) SampleSD() (float64, bool) {
	if !p.hasSquares() {
		return 0, false
	}
	if p.weighted == nil {
		return SampleSD(p.count, &p.moments.sum, &p.moments.squares)
	}
	d, n := p.deviations()
	n.Mul(n, n).Sub(n, bigInt(p.weighted.valueSquares[:]))
	if p.count < 2 || n.Sign() <= 0 {
		return 0, false
	}
	return root(d, n), true
}

// deviations returns W sum w x^2 - (sum w x)^2 and W, of weighted values.
func (p *Profile) deviations() (d, n *big.Int) {
	sum, n := p.sums()
	d = bigInt(p.weighted.moments.squares[:])
	return d.Mul(d, n).Sub(d, sum.Mul(sum, sum)), n
}

// MeanDifference returns mean(p) - mean(q), without the cancellation of
// subtracting the two; false if a side has no value.
func MeanDifference(p, q *Profile) (float64, bool) {
	if !p.hasMoments() || !q.hasMoments() {
		return 0, false
	}
	a, n := p.sums()
	b, m := q.sums()
	a.Sub(a.Mul(a, m), b.Mul(b, n))
	d := scaled(a, n.Mul(n, m), sumUnit)
	return min(max(d, -math.MaxFloat64), math.MaxFloat64), true
}

// Quantile returns the q-quantile of a number column: the smallest value x with
// F(x) >= q. It is exact where that value is a cut, which it is for every
// quantile of a baseline whose grid is [Grid.Exact]; inside an open cell it is
// interpolated linearly between the ends of the cell, or the extreme values.
// With weights F is that of the weights. It is false if the column has no value or q is not in [0, 1].
func (p *Profile) Quantile(q float64) (float64, bool) {
	if !p.hasMoments() || !(q >= 0 && q <= 1) {
		return 0, false
	}
	if p.weighted != nil {
		return p.weightedQuantile(q), true
	}
	m := p.moments
	target := max(int64(math.Ceil(q*float64(p.count))), 1)
	if target >= p.count {
		return m.max, true
	}
	var before int64
	for cell, n := range p.cells {
		if before+n < target {
			before += n
			continue
		}
		return p.within(cell, float64(target-before)/float64(n)), true
	}
	return m.max, true
}

func (p *Profile) weightedQuantile(q float64) float64 {
	mass := p.CellMass()
	total := 0.0
	for _, m := range mass {
		total += m
	}
	before := 0.0
	for cell, m := range mass {
		if m > 0 && before+m >= q*total {
			return p.within(cell, min(max((q*total-before)/m, 0), 1))
		}
		before += m
	}
	return p.moments.max
}

// within returns the value at the share t of a cell.
func (p *Profile) within(cell int, t float64) float64 {
	m := p.moments
	if cell%2 == 1 {
		return p.grid.cuts[cell/2]
	}
	lo, hi := m.min, m.max
	if cell > 0 {
		lo = max(lo, p.grid.cuts[cell/2-1])
	}
	if cell < len(p.cells)-1 {
		hi = min(hi, p.grid.cuts[cell/2])
	}
	return min(max(lo*(1-t)+hi*t, m.min), m.max)
}

// Tails returns the integrals of the distribution function below the first cut
// of a number grid, and of its complement above the last: the means, over all n
// values, of max(c[0] - x, 0) and of max(x - c[k-1], 0). They are what a distance
// needs to know of values that have no cell of finite width. Both are 0 without
// cuts, and +Inf where they are beyond the range of a double.
func (p *Profile) Tails() (below, above float64) {
	if !p.hasMoments() || len(p.grid.cuts) == 0 {
		return 0, 0
	}
	first, last := p.grid.cuts[0], p.grid.cuts[len(p.grid.cuts)-1]
	end := len(p.cells) - 1
	if w := p.weighted; w != nil {
		_, n := p.sums()
		below = -tailMean(w.moments.below.int(), first, w.cells[0].int(), n)
		above = tailMean(w.moments.above.int(), last, w.cells[end].int(), n)
	} else {
		n := big.NewInt(p.count)
		below = -tailMean(p.moments.below.int(), first, big.NewInt(p.cells[0]), n)
		above = tailMean(p.moments.above.int(), last, big.NewInt(p.cells[end]), n)
	}
	return max(below, 0), max(above, 0)
}

// tailMean returns (s - k*cut) / n.
func tailMean(s *big.Int, cut float64, k, n *big.Int) float64 {
	if k.Sign() == 0 {
		return 0
	}
	var c Sum
	c.Add(cut)
	return scaled(s.Sub(s, k.Mul(k, c.int())), n, sumUnit)
}
