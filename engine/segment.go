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

// Values of segments that no row holds, and the bounds of segments.
const (
	SegmentOther      = modelwatch.SegmentOther
	SegmentMissing    = modelwatch.SegmentMissing
	MaxSegments       = modelwatch.MaxSegments
	MaxSegmentColumns = modelwatch.MaxSegmentColumns
	// maxSegmentNumbers is how many distinct numbers a segment column may hold.
	maxSegmentNumbers = 1_000
)

// Crossing is the domain's.
type Crossing = modelwatch.Crossing

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
		known[i] = modelwatch.SplitCrossingKey(keys[i])
	}
	return known, nil
}

// segmenter finds the place of rows among the groups of a crossing.
type segmenter struct {
	columns []segmentColumn
	groups  *modelwatch.CrossingIndex

	dict  []string // combinations of a chunk
	index []int32
	at    map[[MaxSegmentColumns]int32]int32
	of    []int32
}

func newSegmenter(c Crossing) *segmenter {
	return &segmenter{columns: make([]segmentColumn, len(c.Columns)), groups: c.Index(), at: map[[MaxSegmentColumns]int32]int32{}}
}

// place sets the places of a chunk's rows, whose columns have been read.
func (s *segmenter) place(rows int, places []int32) {
	dict, index, _ := s.combine(rows)
	s.of = resize(s.of, len(dict))
	for i, key := range dict {
		s.of[i] = s.groups.Place(key)
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
			s.dict = append(s.dict, modelwatch.CrossingKey(values))
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
