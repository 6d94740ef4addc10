package table

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// Part is one file of a [Union].
type Part struct {
	Name   string // for messages
	Reader *Reader
}

// Union reads several files as one table, one after the other. It has every
// column of any of them; a column that a file lacks is missing in its rows. It is
// safe for concurrent use, as its readers are.
type Union struct {
	parts   []Part
	infos   []ColumnInfo
	byName  map[string]int
	of      []string // per column: the file that gave it its type
	skipped []Skipped
	rows    int64
}

// NewUnion makes one table of files in the given order. A column must have one
// type in all of them, or it is a CodeInvalid error that names two files: text and
// categories are one, as are integers of any kind and floats. A column without any
// value, whose type a file cannot tell, takes that of the others; to find out, it
// is read as far as its first value.
func NewUnion(ctx context.Context, parts ...Part) (*Union, error) {
	if len(parts) == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "there is no file to read")
	}
	u := &Union{parts: parts, byName: map[string]int{}}
	for i, p := range parts {
		if u.rows += p.Reader.Rows(); u.rows > MaxRows {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the files up to %s have %d rows: at most %d can be read", p.Name, u.rows, int64(MaxRows))
		}
		for _, c := range p.Reader.Columns() {
			if err := u.add(ctx, i, c); err != nil {
				return nil, err
			}
		}
	}
	err := u.skip()
	return u, err
}

// add takes in a column of part i.
func (u *Union) add(ctx context.Context, i int, c ColumnInfo) error {
	at, known := u.byName[c.Name]
	if !known {
		u.byName[c.Name] = len(u.infos)
		u.infos, u.of = append(u.infos, c), append(u.of, u.parts[i].Name)
		return nil
	}
	have := &u.infos[at]
	switch {
	case have.Type == c.Type:
		if have.Physical != c.Physical && c.Type == modelwatch.TypeNumber {
			have.Physical = PhysicalDefault
		}
		return nil
	case have.storesText() && c.storesText():
		have.Type = modelwatch.TypeText
		return nil
	}
	if empty, err := isEmpty(ctx, u.parts[i], c.Name); err != nil || empty {
		return err
	}
	for _, p := range u.parts[:i] {
		if empty, err := isEmpty(ctx, p, c.Name); err != nil {
			return err
		} else if !empty {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "column %q is a %s in %s but a %s in %s: declare its type, or compare the files apart",
				c.Name, have.Type, p.Name, c.Type, u.parts[i].Name)
		}
	}
	*have, u.of[at] = c, u.parts[i].Name
	return nil
}

func (c ColumnInfo) storesText() bool {
	return c.Type == modelwatch.TypeCategory || c.Type == modelwatch.TypeText
}

var errValue = errors.New("there is a value")

// isEmpty reports whether a part has no value of a column.
func isEmpty(ctx context.Context, p Part, name string) (bool, error) {
	err := p.Reader.ScanColumn(ctx, name, func(rows int, col *Column) error {
		for i := range rows {
			if !col.Missing(i) {
				return errValue
			}
		}
		return nil
	})
	if errors.Is(err, errValue) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", p.Name, err)
	}
	return true, nil
}

// skip gathers what cannot be read in any file, and refuses what can be read in
// some: its rows would be missing without a word.
func (u *Union) skip() error {
	seen := map[string]bool{}
	for _, p := range u.parts {
		for _, s := range p.Reader.Skipped() {
			if at, ok := u.byName[s.Name]; ok {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "column %q is a %s in %s but cannot be read in %s: %s",
					s.Name, u.infos[at].Type, u.of[at], p.Name, s.Reason)
			}
			if !seen[s.Name] {
				seen[s.Name] = true
				u.skipped = append(u.skipped, s)
			}
		}
	}
	return nil
}

// Rows is the number of rows of all files.
func (u *Union) Rows() int64 { return u.rows }

// Columns lists what can be read: the columns of the first file, then those that
// later ones add.
func (u *Union) Columns() []ColumnInfo { return append([]ColumnInfo(nil), u.infos...) }

// Column returns a column's place in the schema, false if no file has it.
func (u *Union) Column(name string) (ColumnInfo, bool) {
	at, ok := u.byName[name]
	if !ok {
		return ColumnInfo{}, false
	}
	return u.infos[at], true
}

// AsKeys is [Reader.AsKeys] of each file.
func (u *Union) AsKeys(names ...string) *Union {
	view := *u
	view.parts, view.infos = slices.Clone(u.parts), slices.Clone(u.infos)
	for i := range view.parts {
		view.parts[i].Reader = u.parts[i].Reader.AsKeys(names...)
	}
	for i, c := range view.infos {
		if at, ok := view.parts[0].Reader.Column(c.Name); ok && slices.Contains(names, c.Name) {
			view.infos[i] = at
		}
	}
	return &view
}

// Skipped lists the columns that cannot be read as one of our types.
func (u *Union) Skipped() []Skipped { return u.skipped }

// Scan is [Reader.Scan] of one file after the other. What cannot be read is an
// error that names the file.
func (u *Union) Scan(ctx context.Context, columns []string, f func(*Chunk) error) error {
	fixed := make([]floatsOfInts, len(columns))
	for _, p := range u.parts {
		var failed error
		err := p.Reader.Scan(ctx, columns, func(c *Chunk) error {
			for i := range c.Columns {
				fixed[i].fix(u, &c.Columns[i])
			}
			failed = f(c)
			return failed
		})
		if err != nil {
			return u.scanError(p, err, failed)
		}
	}
	return nil
}

// ScanColumn is [Reader.ScanColumn] of one file after the other.
func (u *Union) ScanColumn(ctx context.Context, name string, f func(rows int, c *Column) error) error {
	var fixed floatsOfInts
	for _, p := range u.parts {
		var failed error
		err := p.Reader.ScanColumn(ctx, name, func(rows int, c *Column) error {
			fixed.fix(u, c)
			failed = f(rows, c)
			return failed
		})
		if err != nil {
			return u.scanError(p, err, failed)
		}
	}
	return nil
}

// scanError returns an error of the caller's function as it is.
func (u *Union) scanError(p Part, err, failed error) error {
	if failed != nil || len(u.parts) == 1 {
		return err
	}
	return fmt.Errorf("%s: %w", p.Name, err)
}

// floatsOfInts gives the 64-bit integers of one file as the numbers that another
// file holds.
type floatsOfInts struct{ floats []float64 }

func (s *floatsOfInts) fix(u *Union, c *Column) {
	if c.Type != modelwatch.TypeNumber || len(c.Ints) == 0 || u.infos[u.byName[c.Name]].Physical == PhysicalInt64 {
		return
	}
	s.floats = s.floats[:0]
	for _, v := range c.Ints {
		s.floats = append(s.floats, float64(v))
	}
	c.Floats, c.Ints, c.Physical = s.floats, nil, PhysicalDefault
}
