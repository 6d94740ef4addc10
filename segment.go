package modelwatch

import "strings"

// Values of segments that no row holds, and the bounds of segments.
const (
	SegmentOther   = "other"     // all that have no group of their own
	SegmentMissing = "(missing)" // rows without a value
	// MaxSegments is how many combinations of a crossing have a group of their own.
	MaxSegments = 100
	// MaxSegmentColumns is how many columns may be crossed.
	MaxSegmentColumns = 4
)

// Crossing divides rows by the values of one column or, crossed, of several.
type Crossing struct {
	Columns []string
	// Known are the combinations, a value per column, with a group of their own.
	// All others make the group other.
	Known [][]string
}

// Places is how many groups the crossing may have: those of Known, other, and
// missing.
func (c Crossing) Places() int { return len(c.Known) + 2 }

// Segment names the group of a place: a value for each column.
func (c Crossing) Segment(place int) map[string]string {
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

// CrossingIndex finds the places of combinations of values among the groups of a
// crossing. A single column's missing values have a place of their own; crossed,
// a missing value is one like any other.
type CrossingIndex struct {
	known          map[string]int32 // by CrossingKey
	other, missing int32            // missing is -1 where such values are as any others
}

// Index makes the index of a crossing.
func (c Crossing) Index() *CrossingIndex {
	x := &CrossingIndex{known: make(map[string]int32, len(c.Known)), other: int32(len(c.Known)), missing: -1}
	others := make([]string, len(c.Columns))
	for i := range others {
		others[i] = SegmentOther
	}
	otherKey := CrossingKey(others)
	for i, values := range c.Known {
		key := CrossingKey(values)
		if x.known[key] = int32(i); key == otherKey {
			x.other = int32(i) // a value of that name and what is folded are one group
		}
	}
	if len(c.Columns) == 1 {
		x.missing = int32(len(c.Known)) + 1 // unless it is among those known
	}
	return x
}

// Place is the group of a combination of values, given as its CrossingKey.
func (x *CrossingIndex) Place(key string) int32 {
	if at, ok := x.known[key]; ok {
		return at
	}
	if x.missing >= 0 && key == SegmentMissing {
		return x.missing
	}
	return x.other
}

// CrossingKey makes one text of the values of a crossing's columns, in whose order
// they stand; a single one stays as it is.
func CrossingKey(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = strings.ReplaceAll(v, "\x00", "\x00\xff")
	}
	return strings.Join(parts, "\x00\x01") + "\x00\x01"
}

// SplitCrossingKey undoes CrossingKey.
func SplitCrossingKey(key string) []string {
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
