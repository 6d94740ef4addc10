package simulate

import "math"

// random is a splitmix64 stream. A new one costs two multiplications, so that
// every event has its own and follows from its number alone.
type random struct{ state uint64 }

const golden = 0x9e3779b97f4a7c15

// newRandom is the n-th stream of a kind. Streams of the same seed and kind
// never begin at the same state.
func newRandom(seed uint64, stream, n int64) random {
	return random{mix(seed+uint64(stream)*golden) + mix(uint64(n))}
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *random) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// float is uniform in [0, 1).
func (r *random) float() float64 { return float64(r.next()>>11) / (1 << 53) }

// exponential has mean 1.
func (r *random) exponential() float64 { return -math.Log1p(-r.float()) }

// normal has mean 0 and standard deviation 1 (Box and Muller; the second value is not used).
func (r *random) normal() float64 {
	radius := math.Sqrt(2 * r.exponential())
	return radius * math.Cos(2*math.Pi*r.float())
}

// chance is true with probability p.
func (r *random) chance(p float64) bool { return r.float() < p }

// choice is a category with the share that it has, in a list of shares that add up to 1.
type choice struct {
	name  string
	share float64
}

// pick draws an index of choices.
func (r *random) pick(choices []choice) int {
	u := r.float()
	for i := range choices {
		if u -= choices[i].share; u < 0 {
			return i
		}
	}
	return len(choices) - 1
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
