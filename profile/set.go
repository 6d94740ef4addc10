package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/modelwatch/modelwatch"
)

// Set is the profiles of one table, a column each.
type Set struct {
	Columns []SetColumn
}

// SetColumn is a column of a table and its profile.
type SetColumn struct {
	modelwatch.Column
	Profile *Profile
	// Dimension is the length of the vectors of a vector column, the most frequent
	// one in the baseline; a vector of another is invalid. 0 for any other column.
	Dimension int
	// Seed fixes the directions on which a projection projects, see [Directions].
	Seed uint64
}

// with returns the column with another profile.
func (c SetColumn) with(p *Profile) SetColumn {
	c.Profile = p
	return c
}

// Column returns the column of that name in tables, nil if the set has none. It
// is the column itself, not one of its views.
func (s *Set) Column(name string) *SetColumn { return s.View(name, modelwatch.ViewValue) }

// View returns a view of the column of that name in tables, nil if the set has
// none.
func (s *Set) View(name string, view modelwatch.View) *SetColumn {
	for i := range s.Columns {
		if c := &s.Columns[i]; c.Column.Column == name && c.View == view {
			return c
		}
	}
	return nil
}

// InvalidWeights returns the number of rows whose weight is not a number from
// MinWeight to MaxWeight: they are in no other count.
func (s *Set) InvalidWeights() int64 {
	if len(s.Columns) == 0 {
		return 0
	}
	return s.Columns[0].Profile.InvalidWeights()
}

// Empty returns a set of the same columns and grids that has counted nothing.
func (s *Set) Empty() *Set {
	e := &Set{Columns: make([]SetColumn, len(s.Columns))}
	for i, c := range s.Columns {
		e.Columns[i] = c.with(c.Profile.Empty())
	}
	return e
}

// Clone returns a copy that shares nothing but the grids.
func (s *Set) Clone() *Set {
	e := &Set{Columns: make([]SetColumn, len(s.Columns))}
	for i, c := range s.Columns {
		e.Columns[i] = c.with(c.Profile.Clone())
	}
	return e
}

// Merge adds what t counted. It fails, and changes nothing, if the two are not
// of the same columns and grids.
func (s *Set) Merge(t *Set) error { return s.MergeWeighted(t, 1) }

// MergeWeighted adds what t counted, each row with w times its weight; see
// [Profile.MergeWeighted]. It fails, and changes nothing, if the two are not of the
// same columns and grids or the weight is not valid.
func (s *Set) MergeWeighted(t *Set, w float64) error {
	if len(s.Columns) != len(t.Columns) {
		return fmt.Errorf("merge profile sets: %d columns, not %d", len(t.Columns), len(s.Columns))
	}
	for i := range s.Columns {
		a, b := &s.Columns[i], &t.Columns[i]
		if !a.same(b) {
			return fmt.Errorf("merge profile sets: column %d is %q on grid %s, not %q on grid %s", i,
				b.resultName(), b.Profile.grid.id, a.resultName(), a.Profile.grid.id)
		}
	}
	parts := make([]*Profile, len(t.Columns))
	for i := range t.Columns {
		part, err := t.Columns[i].Profile.times(w)
		if err != nil {
			return err
		}
		parts[i] = part
	}
	for i := range s.Columns {
		if err := s.Columns[i].Profile.Merge(parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether two columns count the same on one grid.
func (c *SetColumn) same(d *SetColumn) bool {
	return c.Column.Column == d.Column.Column && c.View == d.View && c.Dimension == d.Dimension && c.Seed == d.Seed &&
		c.Profile.grid.same(d.Profile.grid)
}

func (c *SetColumn) resultName() string {
	if c.View == modelwatch.ViewValue {
		return c.Column.Column
	}
	return c.Column.Column + "." + string(c.View)
}

// GridID returns the first 16 hexadecimal digits of the SHA-256 of the encoded
// columns and grids. Sets with the same ID merge; a cached profile is keyed by it.
func (s *Set) GridID() string {
	b := appendUint(nil, uint64(len(s.Columns)))
	for i := range s.Columns {
		c := &s.Columns[i]
		b = appendColumn(b, &c.Column)
		if c.View != modelwatch.ViewValue || c.Dimension != 0 {
			b = appendView(append(b, viewMark), c) // apart from the digits of an id
		}
		b = append(b, c.Profile.grid.id...)
	}
	return shortHash(b)
}

// viewMark begins what sets without views do not have, so that their ids stay what
// they were.
const viewMark = 0xff

func shortHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}
