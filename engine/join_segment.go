package engine

import (
	"slices"

	"github.com/modelwatch/modelwatch"
)

// JoinSegments finds the segments of joined rows: the groups of a crossing, as
// ProfileGroups has them.
type JoinSegments struct {
	crossing Crossing
	groups   *modelwatch.CrossingIndex
	columns  []int // in the segments of a batch
	known    map[[MaxSegmentColumns]int32]int32
	out      []int32
}

// NewJoinSegments returns the segments of a crossing whose columns are among
// those that a join was asked for.
func NewJoinSegments(c Crossing, columns []string) *JoinSegments {
	j := &JoinSegments{crossing: c, groups: c.Index(), known: map[[MaxSegmentColumns]int32]int32{}}
	for _, name := range c.Columns {
		j.columns = append(j.columns, slices.Index(columns, name))
	}
	return j
}

// Places returns the place of each row's segment. The slice is valid until the next call.
func (j *JoinSegments) Places(b *modelwatch.JoinedBatch) []int32 {
	j.out = resize(j.out, b.Rows)
	for i := range j.out {
		var key [MaxSegmentColumns]int32
		for k, column := range j.columns {
			key[k] = b.Segments[column].Codes[i]
		}
		place, ok := j.known[key]
		if !ok {
			place = j.find(b, i)
			if len(j.known) < MaxJoinClasses {
				j.known[key] = place
			}
		}
		j.out[i] = place
	}
	return j.out
}

func (j *JoinSegments) find(b *modelwatch.JoinedBatch, i int) int32 {
	values := make([]string, len(j.columns))
	for k, column := range j.columns {
		var ok bool
		if values[k], ok = b.Segments[column].Class(i); !ok {
			values[k] = SegmentMissing
		}
	}
	return j.groups.Place(modelwatch.CrossingKey(values))
}

// Known is how many segments have a place whether or not there are rows: those
// from 0 up.
func (j *JoinSegments) Known() int { return len(j.crossing.Known) }

// Segment returns the segment of a place: a value for each column.
func (j *JoinSegments) Segment(place int32) map[string]string { return j.crossing.Segment(int(place)) }
