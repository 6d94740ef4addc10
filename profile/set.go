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
}

// Column returns the column of that name in tables, nil if the set has none.
func (s *Set) Column(name string) *SetColumn {
	for i := range s.Columns {
		if s.Columns[i].Column.Column == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// Empty returns a set of the same columns and grids that has counted nothing.
func (s *Set) Empty() *Set {
	e := &Set{Columns: make([]SetColumn, len(s.Columns))}
	for i, c := range s.Columns {
		e.Columns[i] = SetColumn{c.Column, c.Profile.Empty()}
	}
	return e
}

// Clone returns a copy that shares nothing but the grids.
func (s *Set) Clone() *Set {
	e := &Set{Columns: make([]SetColumn, len(s.Columns))}
	for i, c := range s.Columns {
		e.Columns[i] = SetColumn{c.Column, c.Profile.Clone()}
	}
	return e
}

// Merge adds what t counted. It fails, and changes nothing, if the two are not
// of the same columns and grids.
func (s *Set) Merge(t *Set) error {
	if len(s.Columns) != len(t.Columns) {
		return fmt.Errorf("merge profile sets: %d columns, not %d", len(t.Columns), len(s.Columns))
	}
	for i := range s.Columns {
		a, b := &s.Columns[i], &t.Columns[i]
		if a.Column.Column != b.Column.Column || !a.Profile.grid.same(b.Profile.grid) {
			return fmt.Errorf("merge profile sets: column %d is %q on grid %s, not %q on grid %s", i,
				b.Column.Column, b.Profile.grid.id, a.Column.Column, a.Profile.grid.id)
		}
	}
	for i := range s.Columns {
		if err := s.Columns[i].Profile.Merge(t.Columns[i].Profile); err != nil {
			return err
		}
	}
	return nil
}

// GridID returns the first 16 hexadecimal digits of the SHA-256 of the encoded
// columns and grids. Sets with the same ID merge; a cached profile is keyed by it.
func (s *Set) GridID() string {
	b := appendUint(nil, uint64(len(s.Columns)))
	for i := range s.Columns {
		b = appendColumn(b, &s.Columns[i].Column)
		b = append(b, s.Columns[i].Profile.grid.id...)
	}
	return shortHash(b)
}

func shortHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}
