package engine

import (
	"context"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// viewColumn returns a column as it is counted: a view is a category or a number.
func viewColumn(c modelwatch.Column) modelwatch.Column {
	switch c.View {
	case modelwatch.ViewValue:
		return c
	case modelwatch.ViewHour, modelwatch.ViewWeekday:
		c.Type = modelwatch.TypeCategory
	default:
		c.Type = modelwatch.TypeNumber
	}
	c.View, c.Minimum, c.Maximum = modelwatch.ViewValue, nil, nil
	return c
}

// viewSource gives a column as one of its views sees it.
type viewSource struct {
	Source
	column *profile.SetColumn
}

// through returns the source through which the column is read.
func through(r Source, c *profile.SetColumn) Source {
	if c.View == modelwatch.ViewValue {
		return r
	}
	return viewSource{r, c}
}

func (s viewSource) viewed(f func(rows int, c *table.Column) error) func(rows int, c *table.Column) error {
	v := newViewer(s.column)
	return func(rows int, c *table.Column) error { return f(rows, v.of(rows, c)) }
}

func (s viewSource) ScanColumn(ctx context.Context, name string, f func(rows int, c *table.Column) error) error {
	return s.Source.ScanColumn(ctx, name, s.viewed(f))
}

// ScanColumnSpread is ScanColumn in the order of [scanSpread].
func (s viewSource) ScanColumnSpread(ctx context.Context, name string, f func(rows int, c *table.Column) error) error {
	return scanSpread(ctx, s.Source, name, s.viewed(f))
}

// Scan gives the first of the columns as the view sees it.
func (s viewSource) Scan(ctx context.Context, columns []string, f func(*table.Chunk) error) error {
	v := newViewer(s.column)
	return s.Source.Scan(ctx, columns, func(c *table.Chunk) error {
		seen := table.Chunk{Rows: c.Rows, Columns: append([]table.Column(nil), c.Columns...)}
		seen.Columns[0] = *v.of(c.Rows, &c.Columns[0])
		return f(&seen)
	})
}

// viewer computes a view of chunks of a column. Its slices are reused.
type viewer struct {
	column    *profile.SetColumn
	direction []float64 // of a projection
	out       table.Column
	lengths   []float64
}

func newViewer(c *profile.SetColumn) *viewer {
	v := &viewer{column: c}
	if k, ok := c.View.Projection(); ok && k < profile.Projections && c.Dimension > 0 {
		v.direction = profile.Directions(c.Seed, c.Dimension)[k]
	}
	return v
}

// of returns the view of a chunk. Values of another type, and vectors of another
// dimension than the baseline's, are missing there: the column itself counts them
// as invalid.
func (v *viewer) of(rows int, col *table.Column) *table.Column {
	v.out = table.Column{Name: col.Name, Valid: resize(v.out.Valid, rows), Floats: v.out.Floats, Index: v.out.Index, Dict: v.out.Dict}
	for i := range rows {
		v.out.Valid[i] = !col.Missing(i)
	}
	switch {
	case col.Type == "" || !fits(v.column.Type, col):
		v.out = table.Column{Name: col.Name, Valid: v.out.Valid}
		clear(v.out.Valid)
	case v.column.Type == modelwatch.TypeTimestamp:
		v.times(rows, col)
	case v.column.Type == modelwatch.TypeVector:
		v.vectors(rows, col)
	default:
		v.texts(rows, col)
	}
	return &v.out
}

var (
	hours = [...]string{"00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11",
		"12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23"}
	weekdays = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
)

func (v *viewer) times(rows int, col *table.Column) {
	o := &v.out
	o.Type, o.Index = modelwatch.TypeCategory, resize(o.Index, rows)
	const hour, day = int64(time.Hour / time.Microsecond), int64(24 * time.Hour / time.Microsecond)
	if v.column.View == modelwatch.ViewHour {
		o.Dict = hours[:]
	} else {
		o.Dict = weekdays[:]
	}
	for i, t := range col.Ints[:rows] {
		days := t / day
		if t%day < 0 {
			days--
		}
		if v.column.View == modelwatch.ViewHour {
			o.Index[i] = int32((t - days*day) / hour)
		} else {
			o.Index[i] = int32(((days+4)%7 + 7) % 7) // January 1, 1970 was a Thursday
		}
	}
}

func (v *viewer) texts(rows int, col *table.Column) {
	o := &v.out
	o.Type, o.Floats = modelwatch.TypeNumber, resize(o.Floats, rows)
	v.lengths = resize(v.lengths, len(col.Dict))
	for i, s := range col.Dict {
		v.lengths[i] = float64(utf8.RuneCountInString(s))
	}
	for i, d := range col.Index[:rows] {
		if o.Valid[i] {
			o.Floats[i] = v.lengths[d]
		}
	}
}

func (v *viewer) vectors(rows int, col *table.Column) {
	o := &v.out
	o.Type, o.Floats = modelwatch.TypeNumber, resize(o.Floats, rows)
	for i, x := range col.Vectors[:rows] {
		if len(x) != v.column.Dimension {
			o.Valid[i] = false
			continue
		}
		sum := 0.0
		if v.direction != nil {
			for k, e := range x {
				sum += v.direction[k] * float64(e)
			}
		} else {
			for _, e := range x {
				sum += float64(e) * float64(e)
			}
			sum = math.Sqrt(sum)
		}
		o.Floats[i] = sum
	}
}

// dimensions finds the most frequent length of the vectors of each vector column,
// the smaller one among equals; 0 if there are none.
func dimensions(ctx context.Context, r Source, columns []modelwatch.Column) (map[string]int, error) {
	out := map[string]int{}
	for _, c := range columns {
		if _, done := out[c.Column]; done || c.Type != modelwatch.TypeVector {
			continue
		}
		counts := map[int]int64{}
		err := r.ScanColumn(ctx, c.Column, func(rows int, col *table.Column) error {
			if col.Type != modelwatch.TypeVector {
				return nil
			}
			for i, x := range col.Vectors[:rows] {
				if !col.Missing(i) && len(x) <= profile.MaxDimension {
					counts[len(x)]++ // at most MaxDimension+1 entries
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		best := 0
		for d, n := range counts {
			if n > counts[best] || n == counts[best] && d < best {
				best = d
			}
		}
		out[c.Column] = best
	}
	return out, nil
}
