package profile

import (
	"cmp"
	"math"
	"slices"
)

// Limits of the builders: 8 MiB for a number column; for a category column as
// many values, and as many bytes of them.
const (
	sampleSize    = 1 << 20
	maxCounted    = 1 << 17
	maxValueBytes = 64 << 20
)

// NumberBuilder freezes the grid of a number column from values that arrive in
// chunks, in bounded memory.
//
// Up to 2^20 values, and for any number of values with at most MaxCuts distinct
// ones, the grid is that of [NewNumberGrid]. Beyond, the cuts come from between
// 2^19 and 2^20 values that a hash of their position picks, and the extremes
// from all: a quantile group then holds its share of the rows to within 0.2
// percentage points, as counted on the grid. The same values in the same order
// give the same grid.
type NumberBuilder struct {
	distinct map[float64]int64 // nil once there are more than MaxCuts
	sample   []float64
	seen     uint64
	shift    uint // a position is picked if its hash >> (64 - shift) is 0
	min, max float64
}

// NewNumberBuilder returns a builder without values.
func NewNumberBuilder() *NumberBuilder {
	return &NumberBuilder{distinct: map[float64]int64{}, min: math.Inf(1), max: math.Inf(-1)}
}

// AddFloats adds the valid and finite values, as [Profile.AddFloats] counts them.
func (b *NumberBuilder) AddFloats(values []float64, valid []bool) {
	for i, v := range values {
		if !present(valid, i) || !finite(v) {
			continue
		}
		v += 0 // -0 is 0
		b.min, b.max = min(b.min, v), max(b.max, v)
		b.count(v)
		b.pick(v)
	}
}

func (b *NumberBuilder) count(v float64) {
	if b.distinct == nil {
		return
	}
	if b.distinct[v]++; len(b.distinct) > MaxCuts {
		b.distinct = nil
	}
}

func (b *NumberBuilder) pick(v float64) {
	h := mix(b.seen)
	b.seen++
	if h>>(64-b.shift) != 0 {
		return
	}
	b.sample = append(b.sample, v)
	if len(b.sample) <= sampleSize {
		return
	}
	// Halve: the hash of a position is lost, but that of its place in the sample
	// serves as well, since it is independent of the value.
	b.shift++
	kept := b.sample[:0]
	for i, v := range b.sample {
		if mix(uint64(i)^uint64(b.shift)<<32)>>63 == 0 {
			kept = append(kept, v)
		}
	}
	b.sample = kept
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Grid freezes the grid of the values so far.
func (b *NumberBuilder) Grid() *Grid {
	if b.distinct != nil {
		return numberGridFromRuns(b.runs(), true)
	}
	values := b.sample
	if b.shift > 0 {
		values = append(slices.Clone(values), b.min, b.max)
	}
	return numberGridFromRuns(runsOf(sortedFinite(values)), false)
}

func (b *NumberBuilder) runs() []run {
	runs := make([]run, 0, len(b.distinct))
	for v, n := range b.distinct {
		runs = append(runs, run{v, n})
	}
	slices.SortFunc(runs, func(x, y run) int { return cmp.Compare(x.value, y.value) })
	var total int64
	for i := range runs {
		total += runs[i].upTo
		runs[i].upTo = total
	}
	return runs
}

// CategoryBuilder freezes the grid of a category column from values that arrive
// in chunks, in bounded memory.
//
// Up to 131,072 distinct values of together 64 MiB the grid is that of
// [NewCategoryGrid]. A column with more is an identifier rather than a category:
// whenever the limit is reached the rarer half is forgotten, so that the most
// frequent values keep their cells, and the grid does not know all categories.
type CategoryBuilder struct {
	counts map[string]int64
	bytes  int
	lossy  bool
	perKey []int64
}

// NewCategoryBuilder returns a builder without values.
func NewCategoryBuilder() *CategoryBuilder {
	return &CategoryBuilder{counts: map[string]int64{}}
}

// AddCategories adds the valid values, as [Profile.AddCategories] counts them.
func (b *CategoryBuilder) AddCategories(dict []string, index []int32, valid []bool) {
	b.perKey = append(b.perKey[:0], make([]int64, len(dict))...)
	for i, d := range index {
		if present(valid, i) {
			b.perKey[d]++
		}
	}
	for i, n := range b.perKey {
		if n > 0 {
			b.add(dict[i], n)
		}
	}
}

func (b *CategoryBuilder) add(value string, n int64) {
	before := len(b.counts)
	b.counts[value] += n
	if len(b.counts) == before {
		return
	}
	b.bytes += len(value)
	for len(b.counts) > maxCounted || b.bytes > maxValueBytes && len(b.counts) > 1 {
		b.forget()
	}
}

// forget drops the rarer half.
func (b *CategoryBuilder) forget() {
	b.lossy = true
	ordered := b.ordered()
	for _, c := range ordered[(len(ordered)+1)/2:] {
		delete(b.counts, c.Value)
		b.bytes -= len(c.Value)
	}
}

func (b *CategoryBuilder) ordered() []CategoryCount {
	counts := make([]CategoryCount, 0, len(b.counts))
	for v, n := range b.counts {
		counts = append(counts, CategoryCount{v, n})
	}
	return mergeCategories(counts)
}

// Grid freezes the grid of the values so far.
func (b *CategoryBuilder) Grid() *Grid { return categoryGrid(b.ordered(), b.lossy) }
