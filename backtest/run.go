package backtest

import (
	"math/bits"
	"slices"
	"sort"
)

// run is a list of keys, each with a weight; no weights means that all are 1.
type run struct {
	keys    []uint64
	weights []float64
}

func (r *run) add(key uint64, w float64) {
	r.keys = append(r.keys, key)
	if w != 1 && r.weights == nil {
		r.weights = make([]float64, len(r.keys)-1, cap(r.keys))
		for i := range r.weights {
			r.weights[i] = 1
		}
	}
	if r.weights != nil {
		r.weights = append(r.weights, w)
	}
}

// extend adds rows of another run.
func (r *run) extend(o *run, from, to int) {
	if o.weights == nil && r.weights == nil {
		r.keys = append(r.keys, o.keys[from:to]...)
		return
	}
	for i := from; i < to; i++ {
		r.add(o.keys[i], o.weight(i))
	}
}

func (r *run) weight(i int) float64 {
	if r.weights == nil {
		return 1
	}
	return r.weights[i]
}

func (r *run) clear() { r.keys, r.weights = r.keys[:0], nil }

func (r *run) clone() run { return run{slices.Clone(r.keys), slices.Clone(r.weights)} }

// Less, Swap and Len order short runs.
func (r *run) Len() int           { return len(r.keys) }
func (r *run) Less(i, j int) bool { return r.keys[i] < r.keys[j] }
func (r *run) Swap(i, j int) {
	r.keys[i], r.keys[j] = r.keys[j], r.keys[i]
	r.weights[i], r.weights[j] = r.weights[j], r.weights[i]
}

const shortRun = 256

// sort orders the run by key.
func (r *run) sort() { r.sortWith(&run{}) }

// sortWith is sort with room to sort in.
func (r *run) sortWith(scratch *run) {
	n := len(r.keys)
	switch {
	case slices.IsSorted(r.keys):
	case n < shortRun && r.weights == nil:
		slices.Sort(r.keys)
	case n < shortRun:
		sort.Sort(r)
	case r.weights == nil:
		r.sortKeys(scratch)
	default:
		r.sortWeighted(scratch)
	}
}

// A digit is what sortKeys orders by at a time, and leadingDigits how many.
const (
	digitBits     = 11
	leadingDigits = 2
)

// sortKeys orders keys by radix, by the two leading digits of those bits that they
// do not share, and then the few that agree in these.
func (r *run) sortKeys(scratch *run) {
	var differ uint64
	for _, k := range r.keys {
		differ |= k ^ r.keys[0]
	}
	shift := uint(max(bits.Len64(differ)-leadingDigits*digitBits, 0))
	from, to := r.keys, slices.Grow(scratch.keys[:0], len(r.keys))[:len(r.keys)]
	for d := range uint(leadingDigits) {
		scatterKeys(from, to, shift+d*digitBits)
		from, to = to, from
	}
	if r.keys, scratch.keys = from, to; shift == 0 {
		return
	}
	for i := 0; i < len(from); {
		j := i + 1
		for j < len(from) && from[j]>>shift == from[i]>>shift {
			j++
		}
		if j > i+1 {
			slices.Sort(from[i:j])
		}
		i = j
	}
}

// scatterKeys orders keys by one digit, and leaves those that agree in it as they
// were.
func scatterKeys(from, to []uint64, shift uint) {
	const digits = 1 << digitBits
	var at [digits]int32
	for _, k := range from {
		at[k>>shift%digits]++
	}
	var sum int32
	for i, n := range at {
		at[i] = sum
		sum += n
	}
	for _, k := range from {
		place := &at[k>>shift%digits]
		to[*place] = k
		*place++
	}
}

// sortWeighted orders by radix, eight bits at a time from the lowest, leaving out
// those bits that all keys share.
func (r *run) sortWeighted(scratch *run) {
	n := len(r.keys)
	var histogram [8][256]int32
	for _, k := range r.keys {
		for d := range histogram {
			histogram[d][byte(k>>(8*d))]++
		}
	}
	from, to := *r, run{slices.Grow(scratch.keys[:0], n)[:n], slices.Grow(scratch.weights[:0], n)[:n]}
	for d := range histogram {
		h := &histogram[d]
		if int(h[byte(r.keys[0]>>(8*d))]) == n {
			continue // all keys share these bits
		}
		var at int32
		for i, c := range h {
			h[i] = at
			at += c
		}
		scatter(&from, &to, h, uint(8*d))
		from, to = to, from
	}
	*r, *scratch = from, to
}

func scatter(from, to *run, at *[256]int32, shift uint) {
	for i, k := range from.keys {
		b := byte(k >> shift)
		to.keys[at[b]], to.weights[at[b]] = k, from.weights[i]
		at[b]++
	}
}

// groups calls f with the mass of each key of a sorted run.
func (r *run) groups(f func(key uint64, m mass)) {
	for i := 0; i < len(r.keys); {
		j := i + 1
		for j < len(r.keys) && r.keys[j] == r.keys[i] {
			j++
		}
		f(r.keys[i], r.mass(i, j))
		i = j
	}
}

// mass sums the weights of rows from i to j.
func (r *run) mass(i, j int) mass {
	if r.weights == nil {
		return massOfRows(j - i)
	}
	var m mass
	for _, w := range r.weights[i:j] {
		x := massOf(w)
		m.add(&x)
	}
	return m
}
