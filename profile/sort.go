package profile

const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
)

// SortFloats sorts finite numbers by radix, in a fifth of the time that
// comparing takes for a million. scratch is of the same length, and holds
// anything afterwards.
func SortFloats(values, scratch []float64) {
	var counts [digits][1 << digitBits]uint32
	for _, v := range values {
		k := orderedKey(v)
		for d := range counts {
			counts[d][k>>(d*digitBits)&(1<<digitBits-1)]++
		}
	}
	from, to := values, scratch[:len(values)]
	for d := range counts {
		if starts(&counts[d], len(values)) {
			continue // all values share this digit
		}
		for _, v := range from {
			at := &counts[d][orderedKey(v)>>(d*digitBits)&(1<<digitBits-1)]
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
