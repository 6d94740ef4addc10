package engine

import "math"

const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
)

// sortFloats sorts finite numbers by radix, in a fifth of the time that
// comparing takes for a million: the sort within profile.NewNumberGrid then
// finds nothing to do. scratch is of the same length.
func sortFloats(values, scratch []float64) {
	var counts [digits][1 << digitBits]uint32
	for _, v := range values {
		k := sortKey(v)
		for d := range counts {
			counts[d][k>>(d*digitBits)&(1<<digitBits-1)]++
		}
	}
	from, to := values, scratch
	for d := range counts {
		if starts(&counts[d], len(values)) {
			continue // all values share this digit
		}
		for _, v := range from {
			at := &counts[d][sortKey(v)>>(d*digitBits)&(1<<digitBits-1)]
			to[*at] = v
			*at++
		}
		from, to = to, from
	}
	if len(values) > 0 && &from[0] != &values[0] {
		copy(values, from)
	}
}

// starts turns the counts of a digit into the places where its values begin. It
// reports whether there is but one.
func starts(counts *[1 << digitBits]uint32, n int) bool {
	next := uint32(0)
	for i, c := range counts {
		if int(c) == n {
			return true
		}
		counts[i] = next
		next += c
	}
	return false
}

// sortKey orders like the number: the sign bit of a positive one is set, all bits of
// a negative one are flipped.
func sortKey(v float64) uint64 {
	b := math.Float64bits(v)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}
