package profile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// WeightedNumberBuilder is a [NumberBuilder] of rows with weights: quantile groups
// hold equal shares of the weight. Up to 2^20 values the grid is made from all of
// them, beyond from those at pseudo-random positions and the extremes of all. Rows
// without a valid weight have no part in it.
type WeightedNumberBuilder struct {
	held     []weightedValue
	seen     uint64
	shift    uint // a position is held if its hash >> (64 - shift) is 0
	min, max float64
}

type weightedValue struct{ value, weight float64 }

// NewWeightedNumberBuilder returns a builder without values.
func NewWeightedNumberBuilder() *WeightedNumberBuilder {
	return &WeightedNumberBuilder{min: math.Inf(1), max: math.Inf(-1)}
}

// AddFloats adds rows, as [Profile.AddFloatsWeighted] counts them.
func (b *WeightedNumberBuilder) AddFloats(values []float64, valid []bool, weights []float64) {
	for i, v := range values {
		if !present(valid, i) || !finite(v) || !ValidWeight(weights[i]) {
			continue
		}
		v += 0 // -0 is 0
		b.min, b.max = min(b.min, v), max(b.max, v)
		at := mix(b.seen)
		b.seen++
		if at>>(64-b.shift) == 0 {
			b.held = append(b.held, weightedValue{v, weights[i]})
		}
		for len(b.held) > sampleSize {
			b.shift++
			b.held = halved(b.held, b.shift)
		}
	}
}

// Grid freezes the grid of the values so far.
func (b *WeightedNumberBuilder) Grid() *Grid {
	values := slices.Clone(b.held)
	if b.shift > 0 {
		values = append(values, weightedValue{b.min, MinWeight}, weightedValue{b.max, MinWeight})
	}
	slices.SortFunc(values, func(x, y weightedValue) int {
		return cmp.Or(cmp.Compare(x.value, y.value), cmp.Compare(x.weight, y.weight))
	})
	grid, _ := numberGrid(&listedRuns{list: weightedRuns(values), all: b.shift == 0})
	return grid
}

// weightedRuns makes runs whose ranks are weights: as they are if all are whole
// numbers, else in 2^50ths of their sum.
func weightedRuns(values []weightedValue) []run {
	const ranks = 1 << 50
	total, whole := 0.0, true
	for _, v := range values {
		total += v.weight
		whole = whole && v.weight == math.Trunc(v.weight)
	}
	unit := 1.0
	if !whole || total >= ranks {
		unit = ranks / total
	}
	var list []run
	sum, last := 0.0, int64(0)
	for i, v := range values {
		sum += v.weight
		if i+1 < len(values) && values[i+1].value == v.value {
			continue
		}
		upTo := max(int64(math.Round(sum*unit)), last+1)
		list = append(list, run{v.value, upTo - last, upTo})
		last = upTo
	}
	return list
}

// WeightedCategoryBuilder is a [CategoryBuilder] of rows with weights: categories
// are ordered by the sum of their weights.
type WeightedCategoryBuilder struct {
	masses map[string]mass
	bytes  int
	lossy  bool
	perKey []mass
}

// NewWeightedCategoryBuilder returns a builder without values.
func NewWeightedCategoryBuilder() *WeightedCategoryBuilder {
	return &WeightedCategoryBuilder{masses: map[string]mass{}}
}

// AddCategories adds rows, as [Profile.AddCategoriesWeighted] counts them.
func (b *WeightedCategoryBuilder) AddCategories(dict []string, index []int32, valid []bool, weights []float64) {
	b.perKey = append(b.perKey[:0], make([]mass, len(dict))...)
	for i, d := range index {
		if present(valid, i) && ValidWeight(weights[i]) {
			b.perKey[d].add(newWeight(weights[i]))
		}
	}
	for i := range b.perKey {
		if !b.perKey[i].isZero() {
			b.add(dict[i], &b.perKey[i])
		}
	}
}

func (b *WeightedCategoryBuilder) add(value string, m *mass) {
	have, known := b.masses[value]
	have.merge(m)
	if b.masses[value] = have; known {
		return
	}
	b.bytes += len(value)
	for len(b.masses) > maxCounted || b.bytes > maxValueBytes && len(b.masses) > 1 {
		b.lossy = true
		ordered := b.ordered()
		for _, c := range ordered[(len(ordered)+1)/2:] {
			delete(b.masses, c.Value)
			b.bytes -= len(c.Value)
		}
	}
}

// ordered lists the categories, the heaviest first, by value among equals. Their
// counts are not set.
func (b *WeightedCategoryBuilder) ordered() []CategoryCount {
	type entry struct {
		value string
		key   [24]byte // ascends with the mass
	}
	entries := make([]entry, 0, len(b.masses))
	for v, m := range b.masses {
		e := entry{value: v}
		for i, l := range m {
			binary.BigEndian.PutUint64(e.key[8*(len(m)-1-i):], l)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y entry) int {
		return cmp.Or(bytes.Compare(y.key[:], x.key[:]), cmp.Compare(x.value, y.value))
	})
	counts := make([]CategoryCount, len(entries))
	for i, e := range entries {
		counts[i].Value = e.value
	}
	return counts
}

// Grid freezes the grid of the values so far.
func (b *WeightedCategoryBuilder) Grid() *Grid { return categoryGrid(b.ordered(), b.lossy) }
