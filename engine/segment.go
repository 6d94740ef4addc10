package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// Values of segments that no file holds, and the bounds of segments.
const (
	SegmentOther   = "other"     // all that have no group of their own
	SegmentMissing = "(missing)" // rows without a value
	// MaxSegments is how many combinations of a crossing have a group of their own.
	MaxSegments = 100
	// MaxSegmentColumns is how many columns may be crossed.
	MaxSegmentColumns = 4
	// maxSegmentNumbers is how many distinct numbers a segment column may hold.
	maxSegmentNumbers = 1_000
)

// Crossing divides rows by the values of one column or, crossed, of several.
type Crossing struct {
	Columns []string
	// Known are the combinations, a value per column, with a group of their own.
	// All others make the group other.
	Known [][]string
}

// Crossings finds the combinations of values that a baseline holds, for each list
// of columns: those with most rows first, by value among equals, at most
// MaxSegments. The columns are categories, booleans or numbers of few values; a
// missing or infinite value is SegmentMissing. Memory is bounded as that of
// [profile.CategoryBuilder] is.
func Crossings(ctx context.Context, src Source, columns [][]string) ([]Crossing, error) {
	out := make([]Crossing, len(columns))
	for i, names := range columns {
		if err := checkCrossing(src, names); err != nil {
			return nil, err
		}
		known, err := findKnown(ctx, src, names)
		if err != nil {
			return nil, fmt.Errorf("find segments: %w", err)
		}
		out[i] = Crossing{Columns: slices.Clone(names), Known: known}
	}
	return out, nil
}

func checkCrossing(src Source, names []string) error {
	if len(names) == 0 || len(names) > MaxSegmentColumns {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "segments by %d columns: from 1 to %d can be crossed", len(names), MaxSegmentColumns)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "segments by %s: column %q is named twice", strings.Join(names, "*"), name)
		}
		c, ok := src.Column(name)
		switch {
		case !ok:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "segments by %s: there is no column %q", strings.Join(names, "*"), name)
		case c.Type == modelwatch.TypeTimestamp || c.Type == modelwatch.TypeVector:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "segments by %s: column %q is a %s; segments are by category, boolean or a number of few values", strings.Join(names, "*"), name, c.Type)
		}
	}
	return nil
}

func findKnown(ctx context.Context, src Source, names []string) ([][]string, error) {
	b := profile.NewCategoryBuilder()
	s := newSegmenter(Crossing{Columns: names})
	numbers := make([]map[string]bool, len(names))
	err := src.Scan(ctx, names, func(c *table.Chunk) error {
		for i := range names {
			s.columns[i].read(c.Rows, &c.Columns[i])
			if c.Columns[i].Type != modelwatch.TypeNumber {
				continue
			}
			if numbers[i] == nil {
				numbers[i] = map[string]bool{}
			}
			for _, v := range s.columns[i].dict {
				numbers[i][v] = true
			}
			if len(numbers[i]) > maxSegmentNumbers {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "segments by column %q: it is a number with more than %d values; segments are by category, boolean or a number of few values", names[i], maxSegmentNumbers)
			}
		}
		b.AddCategories(s.combine(c.Rows))
		return nil
	})
	if err != nil {
		return nil, err
	}
	keys := b.Grid().Categories()
	known := make([][]string, min(len(keys), MaxSegments))
	for i := range known {
		known[i] = splitKey(keys[i])
	}
	return known, nil
}

// segmenter finds the place of rows among the groups of a crossing.
type segmenter struct {
	columns []segmentColumn
	known   map[string]int32 // combination -> place
	other   int32
	missing int32 // a single column's; -1 where missing values are as any others

	dict  []string // combinations of a chunk
	index []int32
	at    map[[MaxSegmentColumns]int32]int32
	of    []int32
}

func newSegmenter(c Crossing) *segmenter {
	s := &segmenter{
		columns: make([]segmentColumn, len(c.Columns)), known: map[string]int32{},
		other: int32(len(c.Known)), missing: -1, at: map[[MaxSegmentColumns]int32]int32{},
	}
	others := make([]string, len(c.Columns))
	for i := range others {
		others[i] = SegmentOther
	}
	for i, values := range c.Known {
		s.known[joinKey(values)] = int32(i)
		if slices.Equal(values, others) {
			s.other = int32(i) // a value of that name and what is folded are one group
		}
	}
	if at, ok := s.known[SegmentMissing]; len(c.Columns) == 1 && ok {
		s.missing = at
	} else if len(c.Columns) == 1 {
		s.missing = int32(len(c.Known)) + 1
	}
	return s
}

// places is how many groups the crossing may have.
func (c Crossing) places() int { return len(c.Known) + 2 }

// values are the segment of a place.
func (c Crossing) values(place int) map[string]string {
	values := make(map[string]string, len(c.Columns))
	for i, name := range c.Columns {
		switch {
		case place < len(c.Known):
			values[name] = c.Known[place][i]
		case place == len(c.Known):
			values[name] = SegmentOther
		default:
			values[name] = SegmentMissing
		}
	}
	return values
}

// place sets the places of a chunk's rows, whose columns have been read.
func (s *segmenter) place(rows int, places []int32) {
	dict, index, _ := s.combine(rows)
	s.of = resize(s.of, len(dict))
	for i, key := range dict {
		at, ok := s.known[key]
		switch {
		case ok:
			s.of[i] = at
		case s.missing >= 0 && key == SegmentMissing:
			s.of[i] = s.missing
		default:
			s.of[i] = s.other
		}
	}
	for i, d := range index {
		places[i] = s.of[d]
	}
}

// combine gives the combination of each row as a category: all rows have one.
func (s *segmenter) combine(rows int) (dict []string, index []int32, valid []bool) {
	if len(s.columns) == 1 {
		return s.columns[0].dict, s.columns[0].index, nil
	}
	s.dict, s.index = s.dict[:0], resize(s.index, rows)
	clear(s.at)
	values := make([]string, len(s.columns))
	for i := range rows {
		var key [MaxSegmentColumns]int32
		for j := range s.columns {
			key[j] = s.columns[j].index[i]
		}
		at, ok := s.at[key]
		if !ok {
			for j := range s.columns {
				values[j] = s.columns[j].dict[key[j]]
			}
			at = int32(len(s.dict))
			s.at[key] = at
			s.dict = append(s.dict, joinKey(values))
		}
		s.index[i] = at
	}
	return s.dict, s.index, nil
}

// segmentColumn is a column of a chunk as categories, SegmentMissing among them.
type segmentColumn struct {
	dict  []string
	index []int32
	texts texts
}

func (s *segmentColumn) read(rows int, col *table.Column) {
	s.index = resize(s.index, rows)
	if col.Type == "" || col.Type == modelwatch.TypeVector {
		s.dict = append(s.dict[:0], SegmentMissing)
		clear(s.index)
		return
	}
	var valid []bool
	if len(col.Floats) > 0 {
		valid = resize([]bool(nil), rows)
		for i, v := range col.Floats[:rows] {
			valid[i] = !col.Missing(i) && !math.IsNaN(v) && !math.IsInf(v, 0)
		}
	} else {
		valid = col.Valid
	}
	c := *col
	c.Valid = valid
	dict, index := s.texts.of(rows, &c)
	s.dict = append(append(s.dict[:0], dict...), SegmentMissing)
	for i, d := range index {
		if valid != nil && !valid[i] {
			d = int32(len(dict))
		}
		s.index[i] = d
	}
}

// joinKey makes one text of several, in whose order they stand; one stays as it is.
func joinKey(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = strings.ReplaceAll(v, "\x00", "\x00\xff")
	}
	return strings.Join(parts, "\x00\x01") + "\x00\x01"
}

// splitKey undoes joinKey.
func splitKey(key string) []string {
	rest, ok := strings.CutSuffix(key, "\x00\x01")
	if !ok {
		return []string{key}
	}
	parts := strings.Split(rest, "\x00\x01")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "\x00\xff", "\x00")
	}
	return parts
}
