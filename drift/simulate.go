package drift

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// replicas is the number of pairs of samples behind a simulated null point:
	// the level of the point is then 5 % with a standard error of 0.7 %.
	replicas = 1000
	// wellFilled is the expected number of values, in each bin on either side,
	// from which the distances follow chi-square.
	wellFilled = 20
	// nearFloor is the expected proportion of a bin under which the floor of psi
	// matters.
	nearFloor = 3 * floor
	// mostWindows is the number of windows that are drawn for one baseline that
	// selects bins.
	mostWindows = 8
	// drawnOneByOne is the number of values up to which a sample is drawn value by
	// value. Beyond, its bins are drawn independently and divided by their total,
	// which has the same means and covariances to an order of 1/n.
	drawnOneByOne = 256
)

// sparse reports whether a bin is filled too little for the chi-square
// approximation, on either side, or too little to be selected by much else than
// chance.
func (b *bins) sparse() bool {
	return b.contest != nil && !(b.contest.excess() <= mostExcess) || b.leastPooled()*min(b.n, b.m) < wellFilled
}

// floorMatters reports whether the floor of psi is near the proportion of a bin.
func (b *bins) floorMatters() bool { return b.leastPooled() < nearFloor }

// leastPooled is the smallest proportion that a bin has of both sides together.
func (b *bins) leastPooled() float64 {
	least := 1.0
	for _, p := range b.pooled() {
		least = min(least, p)
	}
	return least
}

// pooled are the proportions of both sides together.
func (b *bins) pooled() []float64 {
	p := make([]float64, len(b.p))
	for i := range p {
		p[i] = (b.n*b.p[i] + b.m*b.q[i]) / (b.n + b.m)
	}
	return p
}

// simulated are values of a distance under no drift, in ascending order.
type simulated []float64

// simulate returns the distances of pairs of samples of n and m values from the
// pooled proportions.
func (b *bins) simulate(f distance) simulated {
	p, q := b.samples()
	empty := make([]float64, b.empty)
	pair := &bins{n: b.n, m: b.m, empty: b.empty}
	values, k := make(simulated, replicas), len(b.p)
	for i := range values {
		pair.p, pair.q = p[i*k:][:k], q[i*k:][:k]
		pair.flooredP = floored(pair.flooredP[:0], pair.p, empty)
		pair.flooredQ = floored(pair.flooredQ[:0], pair.q, empty)
		values[i] = f(pair)
	}
	slices.Sort(values)
	return values
}

// samples returns the proportions of the replicas, one after the other; they are
// drawn once for all distances. They depend on the bins alone: the same profiles
// give the same samples.
func (b *bins) samples() (p, q []float64) {
	if b.drawn[0] != nil {
		return b.drawn[0], b.drawn[1]
	}
	r := rand.New(rand.NewPCG(b.seed(), 0x6d6f64656c))
	pooled := b.pooled()
	k := len(pooled)
	p, q = make([]float64, replicas*k), make([]float64, replicas*k)
	if b.contest != nil {
		d := newDraws(b.contest, b.n, b.m)
		// Where the baseline is the larger side, its noise is a small part.
		windows := min(max(int(b.n/b.m), 1), mostWindows)
		for i := range replicas {
			d.draw(r, i%windows == 0, p[i*k:][:k], q[i*k:][:k])
		}
		b.drawn = [2][]float64{p, q}
		return p, q
	}
	x, y := newSampler(pooled, b.n), newSampler(pooled, b.m)
	for i := range replicas {
		x.draw(r, p[i*k:][:k])
		y.draw(r, q[i*k:][:k])
	}
	b.drawn = [2][]float64{p, q}
	return p, q
}

func (b *bins) seed() uint64 {
	h := fnv.New64a()
	var word [8]byte
	for _, x := range slices.Concat([]float64{b.n, b.m}, b.p, b.q) {
		bits := math.Float64bits(x)
		for i := range word {
			word[i] = byte(bits >> (8 * i))
		}
		_, _ = h.Write(word[:]) // a hash does not fail
	}
	return h.Sum64()
}

// point95 is the smallest value that at most 5 % are above.
func (s simulated) point95() float64 { return s[len(s)-1-len(s)/20] }

// pValue is the share of values that are at least x. Where that is under 2 %, the
// tail of a scaled chi-square distribution of the same mean and variance takes
// its place, so that small p-values are told apart.
func (s simulated) pValue(x float64) float64 {
	i, _ := slices.BinarySearch(s, x)
	tail := len(s) / 50
	if above := len(s) - i; above >= tail {
		return float64(above+1) / float64(len(s)+1)
	}
	var mean, variance float64
	for _, v := range s {
		mean += v / float64(len(s))
	}
	for _, v := range s {
		variance += (v - mean) * (v - mean) / float64(len(s))
	}
	start, level := s[len(s)-tail], float64(tail+1)/float64(len(s)+1)
	if !(variance > 0) {
		return 1 / float64(len(s)+1) // it never varies, and x is beyond
	}
	scale, freedom := variance/(2*mean), 2*mean*mean/variance
	within := chiSurvival(start/scale, freedom)
	if !(within > 0) {
		return 0
	}
	return level * min(chiSurvival(x/scale, freedom)/within, 1)
}

// sampler draws proportions of a sample of size values.
type sampler struct {
	size float64
	upTo []float64 // cumulated shares; nil if bins are drawn independently
	bins []poisson
}

func newSampler(shares []float64, size float64) *sampler {
	s := &sampler{size: size}
	if size <= drawnOneByOne {
		var total compensated
		for _, p := range shares {
			total.add(p)
			s.upTo = append(s.upTo, total.value())
		}
		return s
	}
	for _, p := range shares {
		s.bins = append(s.bins, newPoisson(p*size))
	}
	return s
}

func (s *sampler) draw(r *rand.Rand, p []float64) {
	if s.upTo != nil {
		clear(p)
		for range max(int(math.Round(s.size)), 1) {
			i, _ := slices.BinarySearch(s.upTo, r.Float64())
			p[min(i, len(p)-1)]++
		}
	} else {
		for i := range s.bins {
			p[i] = s.bins[i].draw(r)
		}
	}
	normalise(p)
}

// poisson draws numbers of that mean: by inversion from a table up to
// normalFrom, as rounded normal ones with its skewness beyond.
type poisson struct {
	mean, root float64
	first      int
	upTo       []float64 // the probability of at most first+i
	guide      []int32   // where to start for a uniform number, by its first digits
}

const (
	normalFrom = 400
	guideSize  = 64
)

func newPoisson(mean float64) poisson {
	s := poisson{mean: mean, root: math.Sqrt(mean)}
	if mean >= normalFrom {
		return s
	}
	s.first = max(int(mean-8*s.root), 0)
	lg, _ := math.Lgamma(float64(s.first) + 1)
	p := math.Exp(float64(s.first)*math.Log(mean) - mean - lg)
	var total float64
	for k := s.first; k <= s.first+20 || float64(k) < mean+9*s.root; k++ {
		total += p
		s.upTo = append(s.upTo, total)
		p *= mean / float64(k+1)
	}
	s.guide = make([]int32, guideSize)
	at := 0
	for i := range s.guide {
		for at < len(s.upTo)-1 && s.upTo[at] < float64(i)/guideSize {
			at++
		}
		s.guide[i] = int32(at)
	}
	return s
}

// poissonAt is the quantile of a Poisson distribution for that of a standard normal
// one, by the expansion of Cornish and Fisher (1938).
func poissonAt(z, mean, root float64) float64 {
	return mean + root*z + (z*z-1)/6 + (z-z*z*z)/(72*root)
}

func (s *poisson) draw(r *rand.Rand) float64 {
	if s.upTo == nil {
		return max(math.Round(poissonAt(r.NormFloat64(), s.mean, s.root)), 0)
	}
	u := r.Float64()
	i := int(s.guide[int(u*guideSize)])
	for i < len(s.upTo)-1 && s.upTo[i] < u {
		i++
	}
	return float64(s.first + i)
}
