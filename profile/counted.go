package profile

import (
	"fmt"
	"math"
	"slices"
)

// Histogram is what is known of a number column that was counted elsewhere.
type Histogram struct {
	// Bounds are the ends of the buckets, ascending, one more than Counts: bucket i
	// holds the values in [Bounds[i], Bounds[i+1]), the last one its upper bound too.
	Bounds []float64
	Counts []int64
	Mean   float64
	SD     float64 // population standard deviation
	Absent int64   // rows without a value
}

// FromHistogram makes the profile of a number column of its histogram. The buckets
// become the drift bins, whose counts are exact; where values lie within a bucket
// is not known, so that K-S and Wasserstein come with the bounds that this leaves.
// Bins are shown by the largest number below each bound. Mean and deviation are
// those given, the deviation to within rounding of the squares, about 1e-16 of
// mean^2/SD^2. A column whose bounds are all equal is constant.
//
// It fails for bounds that are not finite and ascending, and for negative counts.
func FromHistogram(h Histogram) (*Profile, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	n := int64(0)
	for _, c := range h.Counts {
		n += c
	}
	if n == 0 {
		p := New(newNumberGrid(nil, nil, true))
		p.rows, p.absent = h.Absent, h.Absent
		return p, nil
	}
	first, last := h.Bounds[0], h.Bounds[len(h.Bounds)-1]
	var p *Profile
	if first == last {
		p = New(newNumberGrid([]float64{first}, nil, true))
		p.cells[1] = n
	} else {
		p = h.cells()
	}
	p.count, p.rows, p.absent = n, n+h.Absent, h.Absent
	p.moments.min, p.moments.max = first, last
	p.moments.sum.Add(h.Mean * float64(n))
	p.moments.squares.Add(math.Sqrt(float64(n)) * math.Hypot(h.SD, h.Mean))
	return p, nil
}

func (h *Histogram) check() error {
	switch {
	case len(h.Counts) == 0:
		return fmt.Errorf("no buckets")
	case len(h.Bounds) != len(h.Counts)+1:
		return fmt.Errorf("%d bounds of %d buckets", len(h.Bounds), len(h.Counts))
	case len(h.Counts) > MaxCuts:
		return fmt.Errorf("%d buckets, at most %d are allowed", len(h.Counts), MaxCuts)
	case h.Absent < 0:
		return fmt.Errorf("%d missing values", h.Absent)
	}
	sum := int64(0)
	for i, n := range h.Counts {
		if n < 0 || n > math.MaxInt64/4-sum {
			return fmt.Errorf("bucket %d counts %d values", i, n)
		}
		sum += n
	}
	const most = math.MaxFloat64 / 4 // so that neither neighbours nor sums overflow
	for i, b := range h.Bounds {
		if !(math.Abs(b) <= most) || i > 0 && b < h.Bounds[i-1] {
			return fmt.Errorf("bound %v of a bucket is not a number that ascends", b)
		}
	}
	if !(math.Abs(h.Mean)*float64(max(sum, 1)) <= most) || !(h.SD >= 0 && h.SD <= most/math.Sqrt(float64(max(sum, 1)))) {
		return fmt.Errorf("mean %v and standard deviation %v are not those of numbers", h.Mean, h.SD)
	}
	return nil
}

// cells makes a profile with a cut just outside of both ends and just below each
// bound between, where the distribution function is known. Empty buckets at equal
// bounds have no place of their own.
func (h *Histogram) cells() *Profile {
	down, up := math.Inf(-1), math.Inf(1)
	cuts, counts := []float64{math.Nextafter(h.Bounds[0], down)}, []int64{}
	for i, n := range h.Counts {
		end := math.Nextafter(h.Bounds[i+1], down)
		if i == len(h.Counts)-1 {
			end = math.Nextafter(h.Bounds[i+1], up)
		}
		if k := len(counts); end <= cuts[len(cuts)-1] && k > 0 {
			counts[k-1] += n
			continue
		} else if end <= cuts[len(cuts)-1] {
			end = h.Bounds[i+1]
		}
		cuts, counts = append(cuts, end), append(counts, n)
	}
	edges := make([]int, 0, len(counts)-1)
	for i := range len(counts) - 1 {
		edges = append(edges, i+1)
	}
	p := New(newNumberGrid(cuts, edges, false))
	for i, n := range counts {
		p.cells[2*(i+1)] = n
	}
	return p
}

// FromCategories makes the profile of a category column that was counted elsewhere:
// its categories, the number of values of further categories whose names are not
// known, and that of rows without a value. It fails for negative counts.
func FromCategories(values []CategoryCount, further, absent int64) (*Profile, error) {
	if further < 0 || absent < 0 || slices.ContainsFunc(values, func(c CategoryCount) bool { return c.Count < 0 }) {
		return nil, fmt.Errorf("a count is negative")
	}
	merged := mergeCategories(values)
	p := New(categoryGrid(merged, further > 0))
	for _, c := range merged {
		p.cells[p.grid.category(c.Value)] += c.Count
		p.count += c.Count
	}
	p.cells[len(p.grid.categories)] += further
	p.count += further
	p.rows, p.absent = p.count+absent, absent
	return p, nil
}
