package profile

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
)

// Limits of a grid. They bound the memory and the encoding of a profile,
// whatever the column holds.
const (
	// MaxCuts is the number of distinct values up to which a number grid holds
	// every one of them, and the number of quantile groups beyond.
	MaxCuts = 2000
	// MaxCategories is the number of categories with a cell of their own.
	MaxCategories = 2000
	// MaxFingerprints is the number of further categories that are known by
	// their fingerprint, so that they are not taken for new ones.
	MaxFingerprints = 1 << 16
	// NumberBins is the number of baseline quantile groups that make the drift
	// bins of a number.
	NumberBins = 10
	// CategoryBins is the number of categories with a drift bin of their own;
	// one more bin holds all others.
	CategoryBins = 49
)

// Kind says how a grid divides its column.
type Kind uint8

// The kinds of grids.
const (
	KindPresence Kind = iota // no cells: rows, missing and invalid only
	KindNumber
	KindCategory
	KindBoolean
)

var kindNames = [...]string{"presence", "number", "category", "boolean"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Grid is the division of one column into cells, and of the cells into drift
// bins. It is immutable and may be shared by any number of profiles.
//
// A number grid with cuts c[0] < ... < c[k-1] has 2k+1 cells, in the order of
// the line: the open interval below c[0], the value c[0] itself, the open
// interval (c[0], c[1]), the value c[1], and so on to the open interval above
// c[k-1]. Cell 2i+1 is the value c[i]; cell 2i is what lies between its
// neighbours. Both F(c) and its left limit F(c-) are therefore known at every
// cut, which is what makes Kolmogorov-Smirnov exact where baseline values are
// cuts.
//
// A category grid has one cell per category, then a cell for the baseline's
// other categories, then a cell for values that the baseline did not hold. A
// boolean grid has the cells false and true. A presence grid has none.
//
// Drift bins are runs of neighbouring cells.
type Grid struct {
	kind  Kind
	id    string
	cells int
	bins  []Bin
	ends  []int // ends[i] is one past the last cell of bin i

	cuts   []float64              // number
	edges  []int                  // number: the cuts that close a drift bin
	exact  bool                   // number: every distinct value of the baseline is a cut
	finder atomic.Pointer[finder] // number: once values were counted

	categories   []string // category, most frequent first
	lookup       map[string]int32
	fingerprints []uint64 // category: sorted, of the categories beyond MaxCategories
	unbounded    bool     // category: there were more than the fingerprints hold
}

// Bin is one drift bin, as it is shown.
type Bin struct {
	Upper *float64 // number: the bin holds values in (previous Upper, Upper]; nil for the last, which is open
	Value string   // category and boolean
	Other bool     // category: every value without a bin of its own
}

// NewBooleanGrid returns the grid with the cells and bins false and true.
func NewBooleanGrid() *Grid {
	g := &Grid{kind: KindBoolean, cells: 2, ends: []int{1, 2}, bins: []Bin{{Value: "false"}, {Value: "true"}}}
	return g.seal()
}

// NewPresenceGrid returns the grid without cells, for columns of which only
// rows, missing and invalid values are counted: timestamps, text and vectors.
func NewPresenceGrid() *Grid {
	return (&Grid{kind: KindPresence}).seal()
}

// Kind returns how the grid divides its column.
func (g *Grid) Kind() Kind { return g.kind }

// ID returns the first 16 hexadecimal digits of the SHA-256 of the encoded
// grid. Grids with the same ID are the same.
func (g *Grid) ID() string { return g.id }

// Bins returns the drift bins.
func (g *Grid) Bins() []Bin { return slices.Clone(g.bins) }

// Cuts returns the cuts of a number grid, in ascending order. The caller must
// not change them.
func (g *Grid) Cuts() []float64 { return g.cuts }

// Exact reports whether every distinct value of the baseline is a cut.
func (g *Grid) Exact() bool { return g.kind == KindNumber && g.exact }

// Categories returns the categories that have a cell, most frequent first and
// by value among equals. The caller must not change them.
func (g *Grid) Categories() []string { return g.categories }

// KnowsCategories reports whether the grid can tell a value that the baseline
// held from one that it did not. It cannot when the baseline held more than
// MaxCategories+MaxFingerprints categories: such a column is an identifier.
func (g *Grid) KnowsCategories() bool { return g.kind == KindCategory && !g.unbounded }

// find returns what places numbers on the grid. It takes longer to make than a
// thousand values take to be counted.
func (g *Grid) find() *finder {
	f := g.finder.Load()
	if f == nil {
		f = newFinder(g.cuts)
		g.finder.Store(f)
	}
	return f
}

// Forget gives back the memory that counting numbers on the grid has taken beside the
// profile's. It is made anew when numbers are counted again.
func (g *Grid) Forget() { g.finder.Store(nil) }

func (g *Grid) same(h *Grid) bool { return g == h || g.id == h.id }

func (g *Grid) mustBe(k Kind, op string) {
	if g.kind != k {
		panic(fmt.Sprintf("profile: %s on a %s grid", op, g.kind))
	}
}
