package profile

// Limits of the builder of a category column: values, and bytes of them.
const (
	maxCounted    = 1 << 17
	maxValueBytes = 64 << 20
)

// CategoryBuilder freezes the grid of a category column from values that arrive
// in chunks, in bounded memory.
//
// Up to 131,072 distinct values of together 64 MiB the grid is that of
// [NewCategoryGrid]. A column with more is an identifier rather than a category:
// whenever the limit is reached the rarer half is forgotten, so that the most
// frequent values keep their cells, and the grid does not know all categories.
type CategoryBuilder struct {
	rows   Profile // what does not depend on the grid; it has none yet
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
	b.rows.addIndexes(b.perKey, index, valid)
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

// Build freezes the grid of the values so far and returns their profile on it:
// what adding them to an empty one gives. The profile is nil where values were
// forgotten and have to be counted in another pass.
func (b *CategoryBuilder) Build() (*Grid, *Profile) {
	counts := b.ordered()
	grid := categoryGrid(counts, b.lossy)
	if b.lossy {
		return grid, nil
	}
	p := b.rows
	p.grid, p.cells = grid, make([]int64, grid.cells)
	for i, c := range counts {
		p.cells[min(i, len(grid.categories))] += c.Count
	}
	return grid, &p
}
