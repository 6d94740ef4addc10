package drift

import "math"

// selection is what the selection of bins does to chi-square, without a simulation:
// to X / (1/n + 1/m), where X is the sum of (q-p)^2 / r over the bins, r the rates.
// Given the baseline, m X is noncentral chi-square, and the noncentrality is m/n times
//
//	L = sum over selected (x-nu)^2/nu + (sum over others (x-nu))^2/nu' - (sum over all (x-nu))^2/n
//
// of counts x, Poisson with the means nu, of which nu' belongs to the others. Moments
// of L are those of sums over categories, each selected where its count is above
// one that as many categories exceed as are chosen.
//
// A distance has its own denominators instead of r: of p, which is too large, and q.
// What that does is allowed for to the first order of (p-r)/r.
type selection struct{ mean, variance, third float64 } // cumulants of X / (1/n + 1/m)

// mostExcess is the mean of (p-r)/r up to which that will do.
const mostExcess = 0.1

// newSelection takes the power of p in the denominator of a distance.
func newSelection(c *contest, n, m, power float64) selection {
	k, ratio := float64(c.chosen), m/n
	l := c.noncentrality
	shrunk := 1 / (1 + power*l.growing/l.mean)
	mean := ratio * l.mean * shrunk
	variance := ratio * ratio * l.variance * shrunk * shrunk
	unit := 1 + ratio
	// The third cumulant of L is taken for 4 times the second, as that of
	// chi-square is: it is of little consequence.
	return selection{
		mean:     (k + (2-3*power)*l.fixed + mean) / unit,
		variance: (2*k + (20-24*power)*l.fixed + 4*mean*shrunk + variance) / (unit * unit),
		third:    (8*k + 24*mean + 12*variance + 4*ratio*variance) / (unit * unit * unit),
	}
}

// gamma are the freedom, the centre and the scale of the chi-square distribution
// that has these three cumulants when it is moved and stretched.
func (s selection) gamma() (freedom, centre, scale float64) {
	freedom = 8 * s.variance * s.variance * s.variance / (s.third * s.third)
	scale = math.Sqrt(s.variance / (2 * freedom))
	return freedom, s.mean - scale*freedom, scale
}

func (s selection) point95() float64 {
	freedom, centre, scale := s.gamma()
	return centre + scale*chiPoint95(freedom)
}

func (s selection) survival(x float64) float64 {
	freedom, centre, scale := s.gamma()
	return chiSurvival(max(x-centre, 0)/scale, freedom)
}

// noncentrality describes L.
type noncentrality struct {
	mean, variance float64
	// fixed and growing are the sums over the bins of (p-r)/r, once plain and once
	// times the bin's term in L.
	fixed, growing float64
}

// excess is the mean of (p-r)/r over the bins.
func (c *contest) excess() float64 { return c.fixed / float64(c.chosen) }

// noncentral calculates L for a baseline of n values. A sum over those that are chosen
// varies like one over those above a fixed edge, less their number times what the
// term at the edge is.
func (c *contest) noncentral(n float64) (l noncentrality) {
	moments := make([]upper, len(c.rates))
	edge := c.edge(n)
	var squares, surplus, share, uncertain, rise, atEdge, squareAtEdge float64
	density := 1e-12 // stays that if it is certain which are chosen
	for i, rate := range c.rates {
		u := newUpper(edge, n*rate)
		moments[i] = u
		squares += u.moment[2]
		surplus += u.root * u.moment[1]
		share += rate * u.moment[0]
		uncertain += u.moment[0] * (1 - u.moment[0])
		density += u.density
		rise += 2 * u.density * u.at / u.root
		atEdge += u.density * u.root * u.at
		squareAtEdge += u.density * u.at * u.at
		l.fixed += u.moment[1] / u.root
		l.growing += (u.moment[3] - u.moment[0]/u.root) / u.root
	}
	others := max(n*(1-share), 1)
	slope := -2 * surplus / others // of the others' term
	spread := n * c.rest           // variance of the others' sum
	l.variance = slope * slope * n * c.rest
	for _, u := range moments {
		spread += u.variance(0, u.root, -atEdge/density)
		l.variance += u.variance(1, slope*u.root, (squareAtEdge-slope*atEdge)/density)
	}
	term := (surplus*surplus + spread) / others
	l.mean = squares + term - 1
	// As many are chosen in every sample: where more are above the edge, those that
	// are left out have less than the others.
	l.mean -= (rise - slope*density) / density * uncertain / density / 2
	l.fixed -= surplus / others
	l.growing -= term * surplus / others
	return l
}

// edge is the count that as many categories are expected to exceed as are chosen.
func (c *contest) edge(n float64) float64 {
	lo, hi := 0.0, n
	x := n * c.rates[c.chosen-1]
	for range 40 {
		var above, density float64
		for _, rate := range c.rates {
			u := newUpper(x, n*rate)
			above += u.moment[0]
			density += u.density
		}
		surplus := above - float64(c.chosen)
		switch {
		case math.Abs(surplus) < 1e-3:
			return x
		case surplus > 0:
			lo = x
		default:
			hi = x
		}
		if x += surplus / density; !(x > lo && x < hi) {
			x = (lo + hi) / 2
		}
	}
	return x
}

// upper are moments of a standardised Poisson count, z = (x - nu) / sqrt(nu), where
// it is above an edge: E[z^r; z > at].
type upper struct {
	at, root float64
	moment   [5]float64
	density  float64 // of the count, at the edge
}

// newUpper is by Edgeworth's expansion to the order of 1/nu.
func newUpper(edge, nu float64) upper {
	nu = max(nu, 1e-6)
	root := math.Sqrt(nu)
	u := upper{root: root, at: (edge - nu) / root}
	const far = 9
	if u.at > far {
		return u
	}
	t := max(u.at, -far)
	e := 1 / max(nu, 10) // the expansion is none of fewer
	s := math.Sqrt(e) / 6
	expansion := [...]float64{1 - e/12, -3 * s, 3 * e / 8, s, -e / 6, 0, e / 72}
	var normal [len(expansion) + len(u.moment) - 1]float64 // E[z^r; z > t] of the normal distribution
	power := math.Exp(-t*t/2) / math.Sqrt(2*math.Pi)
	normal[0], normal[1] = math.Erfc(t/math.Sqrt2)/2, power
	for r := 2; r < len(normal); r++ {
		power *= t
		normal[r] = power + float64(r-1)*normal[r-2]
	}
	power = normal[1] / root
	for j, x := range expansion {
		u.density += x * power
		power *= t
		for r := range u.moment {
			u.moment[r] += x * normal[r+j]
		}
	}
	u.density = max(u.density, 0)
	return u
}

// variance is that of (square z^2 - slope z - level; z > at) + slope z.
func (u *upper) variance(square, slope, level float64) float64 {
	m := &u.moment
	mean := square*m[2] - slope*m[1] - level*m[0]
	return square*square*m[4] - (slope*slope+2*square*level)*m[2] + level*level*m[0] + slope*slope - mean*mean
}
