package profile

import (
	"cmp"
	"slices"

	"github.com/dchest/siphash"
)

// CategoryCount is a category of the baseline and how often it occurs.
type CategoryCount struct {
	Value string
	Count int64
}

// NewCategoryGrid freezes the grid of a category column. Categories are ordered
// by count, the most frequent first, and by value among equals; the counts of
// an entry that is named twice add up.
//
// The first MaxCategories have a cell each. The next MaxFingerprints share one
// cell and are remembered by their 64-bit fingerprint, so that a value which the
// baseline never held is told from a rare one (two of 10^5 values share a
// fingerprint with odds of one in 10^9). Beyond that nothing can be told, and
// [Grid.KnowsCategories] is false.
func NewCategoryGrid(values []CategoryCount) *Grid {
	return categoryGrid(mergeCategories(values), false)
}

// categoryGrid builds the grid from categories in order; lossy says that the
// baseline held others beside.
func categoryGrid(counts []CategoryCount, lossy bool) *Grid {
	named := min(len(counts), MaxCategories)
	categories := make([]string, named)
	for i := range categories {
		categories[i] = counts[i].Value
	}
	rest := counts[named:]
	unbounded := lossy || len(rest) > MaxFingerprints
	if unbounded {
		rest = nil
	}
	prints := make([]uint64, 0, len(rest))
	for _, c := range rest {
		prints = append(prints, fingerprint(c.Value))
	}
	slices.Sort(prints)
	return newCategoryGrid(categories, slices.Compact(prints), unbounded)
}

func mergeCategories(values []CategoryCount) []CategoryCount {
	s := slices.Clone(values)
	slices.SortFunc(s, func(a, b CategoryCount) int { return cmp.Compare(a.Value, b.Value) })
	merged := s[:0]
	for _, c := range s {
		if n := len(merged); n > 0 && merged[n-1].Value == c.Value {
			merged[n-1].Count += c.Count
			continue
		}
		merged = append(merged, c)
	}
	slices.SortStableFunc(merged, func(a, b CategoryCount) int { return cmp.Compare(b.Count, a.Count) })
	return merged
}

func fingerprint(value string) uint64 { return siphash.Hash(0, 0, []byte(value)) }

func newCategoryGrid(categories []string, fingerprints []uint64, unbounded bool) *Grid {
	g := &Grid{
		kind: KindCategory, cells: len(categories) + 2, categories: categories,
		fingerprints: fingerprints, unbounded: unbounded,
		lookup: make(map[string]int32, len(categories)),
	}
	for i, c := range categories {
		g.lookup[c] = int32(i)
	}
	for i, c := range categories[:min(len(categories), CategoryBins)] {
		g.bins = append(g.bins, Bin{Value: c})
		g.ends = append(g.ends, i+1)
	}
	g.bins = append(g.bins, Bin{Other: true})
	g.ends = append(g.ends, g.cells)
	return g.seal()
}

// category returns the cell of a value.
func (g *Grid) category(value string) int32 {
	if i, ok := g.lookup[value]; ok {
		return i
	}
	other := int32(len(g.categories))
	if g.unbounded {
		return other
	}
	if _, seen := slices.BinarySearch(g.fingerprints, fingerprint(value)); seen {
		return other
	}
	return other + 1
}
