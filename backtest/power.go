package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch/profile"
)

// labelPowers are the sums behind the standard error of r2.
type labelPowers struct {
	y, y2, y3, y4     profile.Sum
	d2, d2y, d2y2, d4 profile.Sum // d = e
	lost              bool
}

// maxOffset is the ratio of mean to spread of labels up to which their fourth
// moment is worth something when it is computed from raw powers.
const maxOffset = 1000

func (p *labelPowers) add(d2, y float64, w *weight) {
	y2 := y * y
	for i, x := range [...]float64{y, y2, y2 * y, y2 * y2, d2, d2 * y, d2 * y2, d2 * d2} {
		if x *= w.value; x-x != 0 {
			p.lost = true
			return
		}
		p.sums()[i].Add(x)
	}
}

func (p *labelPowers) sums() [8]*profile.Sum {
	return [...]*profile.Sum{&p.y, &p.y2, &p.y3, &p.y4, &p.d2, &p.d2y, &p.d2y2, &p.d4}
}

func (p *labelPowers) merge(o *labelPowers) {
	p.lost = p.lost || o.lost
	for i, s := range p.sums() {
		s.Merge(o.sums()[i])
	}
}

// variance returns the mean of (d^2 - q (y - mean)^2)^2 / sd^4, n times the
// variance of 1 - q by the delta method, for q = sum d^2 / sum (y - mean)^2. It
// is false where the powers are out of range or the mean is so large that they
// cancel.
func (p *labelPowers) variance(c *count, mean, sd, q float64) (float64, bool) {
	if p.lost || math.Abs(mean) > maxOffset*sd || c.n < 2 {
		return 0, false
	}
	w := c.w.exact()
	m := func(s *profile.Sum) float64 { return ratio(s.Exact(), w) }
	// In units of sd, to stay within range.
	a, v := mean/sd, sd*sd
	y1, y2, y3, y4 := m(&p.y)/sd, m(&p.y2)/v, m(&p.y3)/v/sd, m(&p.y4)/v/v
	fourth := y4 - 4*a*y3 + 6*a*a*y2 - 4*a*a*a*y1 + a*a*a*a
	cross := m(&p.d2y2)/v/v - 2*a*m(&p.d2y)/v/sd + a*a*m(&p.d2)/v
	x := m(&p.d4)/v/v - 2*q*cross + q*q*fourth
	return max(x, 0), x-x == 0
}
