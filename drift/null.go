package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// What a distance amounts to under no drift: both sides are then samples of one
// distribution, for which the two sides pooled stand in.

// smooth says how a distance relates to the sum X of (q-p)^2/p when it is small:
// it is scale X, or the root of that. Under no drift X / (1/n + 1/m) is
// chi-square with B-1 degrees of freedom, B the number of bins with a value on
// either side, unless the bins were selected by chance (see selection).
type smooth struct {
	scale   float64
	root    bool
	floored bool    // computed from proportions with the floor of psi
	power   float64 // its denominator is like p^power q^(1-power)
}

// null95 returns the 95 % point of the distance under no drift.
func (s smooth) null95(b *bins) float64 {
	x := s.scale * b.point95(s.power) * b.noise()
	if s.root {
		return math.Sqrt(x)
	}
	return x
}

// pValue returns the probability of a larger distance under no drift.
func (s smooth) pValue(b *bins, distance float64) float64 {
	if s.root {
		distance *= distance
	}
	distance /= s.scale * b.noise()
	if b.contest != nil {
		return b.selection(s.power).survival(distance)
	}
	return chi2Survival(distance, len(b.p)-1)
}

// point95 is that of X / (1/n + 1/m) under no drift, for denominators like p^power q^(1-power).
func (b *bins) point95(power float64) float64 {
	if b.contest != nil {
		return b.selection(power).point95()
	}
	return chi2Quantile(len(b.p) - 1)
}

func (b *bins) selection(power float64) selection {
	return newSelection(b.contest, b.n, b.m, power)
}

// noise is 1/n + 1/m.
func (b *bins) noise() float64 { return 1/b.n + 1/b.m }

// chi2Quantile is the 95 % point, 0 without freedom.
func chi2Quantile(freedom int) float64 {
	if freedom < 1 {
		return 0
	}
	return chiPoint95(float64(freedom))
}

func chiPoint95(freedom float64) float64 { return distuv.ChiSquared{K: freedom}.Quantile(0.95) }

// chi2Survival is the probability of more than x, 1 without freedom.
func chi2Survival(x float64, freedom int) float64 {
	if freedom < 1 {
		return 1
	}
	return chiSurvival(x, float64(freedom))
}

func chiSurvival(x, freedom float64) float64 {
	return min(max(distuv.ChiSquared{K: freedom}.Survival(x), 0), 1)
}

// deviations are the standard deviations of q-p per bin under no drift.
func (b *bins) deviations() []float64 {
	sd := make([]float64, len(b.p))
	for i := range sd {
		pooled := (b.n*b.p[i] + b.m*b.q[i]) / (b.n + b.m)
		sd[i] = math.Sqrt(pooled * (1 - pooled) * b.noise())
	}
	return sd
}

// lInfinityNull solves sum 2 Phi(-x/sd) = 0.05 for the largest of |q-p|: the
// union bound, close because two bins are seldom extreme together.
func (b *bins) lInfinityNull() float64 {
	sd := b.deviations()
	if len(sd) == 2 {
		sd = sd[:1] // both differ by the same
	}
	lo, hi := 0.0, 1.0
	for range 60 {
		mid := (lo + hi) / 2
		var p float64
		for _, s := range sd {
			if s > 0 {
				p += math.Erfc(mid / (s * math.Sqrt2))
			}
		}
		if p > 0.05 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// tvdNull takes half the sum of |q-p| for gamma distributed with its mean and
// variance; q-p is normal with the covariances of a multinomial.
func (b *bins) tvdNull() float64 {
	pooled := func(i int) float64 { return (b.n*b.p[i] + b.m*b.q[i]) / (b.n + b.m) }
	return foldedSum(b.deviations(), func(i, j int) float64 {
		p, q := pooled(i), pooled(j)
		return -math.Sqrt(p * q / ((1 - p) * (1 - q)))
	}) / 2
}

// foldedSum returns the 95 % point of the sum of |Z_i| of normal Z with these
// standard deviations and correlations, from the gamma distribution of the same
// mean and variance by the cube root of Wilson and Hilferty (1931). Its shape is
// at least 1.75, that of a single |Z|, where the error is under 1 %.
func foldedSum(sd []float64, correlation func(i, j int) float64) float64 {
	var mean, variance float64
	for i, s := range sd {
		mean += s * math.Sqrt(2/math.Pi)
		variance += s * s * (1 - 2/math.Pi)
		for j := range i {
			r := min(max(correlation(i, j), -1), 1)
			variance += 2 * s * sd[j] * (2 / math.Pi) * (math.Sqrt(1-r*r) + r*math.Asin(r) - 1)
		}
	}
	if mean == 0 {
		return 0
	}
	ratio := math.Sqrt(max(variance, 0)) / mean // 1/sqrt(shape)
	root := 1 - ratio*ratio/9 + z95OneSided*ratio/3
	return mean * root * root * root
}

// z95OneSided is the 95 % point of the normal distribution.
const z95OneSided = 1.6448536269514722

// stretches is the number of pieces of a grid that transportNull tells apart.
const stretches = 64

// transportNull returns the 95 % point of the integral of |F - G| under no
// drift. F - G is then sqrt(1/n + 1/m) times a Brownian bridge at the pooled
// distribution function H; the integral is taken as a sum over stretches of the
// grid that contribute alike, and its distribution as in foldedSum.
func (c *comparison) transportNull() float64 {
	weights, places := c.bridge()
	var widest float64
	for _, w := range weights {
		widest = max(widest, w)
	}
	if widest == 0 {
		return 0
	}
	for i := range weights {
		weights[i] /= widest // squares of widths may be out of range
	}
	x := foldedSum(weights, func(i, j int) float64 {
		s, t := min(places[i], places[j]), max(places[i], places[j])
		return math.Sqrt(s * (1 - t) / (t * (1 - s)))
	})
	return x * widest * math.Sqrt(1/c.n+1/c.m)
}

// bridge divides the integral of sqrt(H(1-H)) over the grid into stretches:
// weights are their contributions, places the values of H there.
func (c *comparison) bridge() (weights, places []float64) {
	total := 0.0
	c.walkBridge(func(w, _ float64) { total += w })
	var weight, place float64
	c.walkBridge(func(w, h float64) {
		weight, place = weight+w, place+w*h
		if weight >= total/stretches && weight > 0 {
			weights, places = append(weights, weight), append(places, place/weight)
			weight, place = 0, 0
		}
	})
	if weight > 0 {
		weights, places = append(weights, weight), append(places, place/weight)
	}
	return weights, places
}

// walkBridge calls f for each open cell between cuts with its width times
// sqrt(H(1-H)), and H in its middle.
func (c *comparison) walkBridge(f func(w, h float64)) {
	cuts := c.baseline.Grid().Cuts()
	s := c.steps()
	for i := 1; i < len(cuts); i++ {
		if h := (c.pooled(s, 2*i) + c.pooled(s, 2*i+1)) / 2; h > 0 && h < 1 {
			f((cuts[i]-cuts[i-1])*math.Sqrt(h*(1-h)), h)
		}
	}
}

// pooled is the distribution function of both sides together after i cells.
func (c *comparison) pooled(s *steps, i int) float64 {
	return (c.n*s.f(i) + c.m*s.g(i)) / (c.n + c.m)
}
