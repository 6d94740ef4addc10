package modelwatch

import (
	"math"
	"time"
)

// JoinedBatch is a run of joined rows, column by column: what a join of large
// files hands over where a call for each row would cost more than counting it.
// A slice that is nil holds nothing for any row, else it has Rows elements. The
// receiver must not keep the slices, nor change them.
type JoinedBatch struct {
	Rows   int
	Places []int64 // of each row in the predictions: 0 is the first

	Scores      []float64   // NaN: the row has none
	ClassScores [][]float64 // multiclass: by class, then by row; NaN: the row has none
	Predicted   JoinedColumn
	Label       JoinedColumn
	Weights     []float64 // nil: 1 each; NaN: the row has none that can be used
	Times       []int64   // microseconds UTC; MinTime: the row has none
	Group       JoinedColumn
	Segments    []JoinedColumn // the columns that the join was asked for
}

// MinTime is the time, in microseconds, of a row that has none.
const MinTime = math.MinInt64

// JoinedColumn are the values of one column of a batch: as classes (Codes) or as
// numbers (Values), whichever the join was asked for.
type JoinedColumn struct {
	// Codes are places in Classes, -1 where the row has no value. A join uses the
	// same codes and the same Classes for predictions and labels, throughout;
	// Classes only grows.
	Codes   []int32
	Classes []string
	// Values are NaN where the row has no finite number.
	Values []float64
}

// Class returns row i's class, and whether it has one.
func (c *JoinedColumn) Class(i int) (string, bool) {
	if c.Codes == nil || c.Codes[i] < 0 {
		return "", false
	}
	return c.Classes[c.Codes[i]], true
}

// Value returns row i's number, and whether it has one.
func (c *JoinedColumn) Value(i int) (float64, bool) {
	if c.Values == nil || math.IsNaN(c.Values[i]) {
		return 0, false
	}
	return c.Values[i], true
}

// take keeps the given rows of a column.
func (c *JoinedColumn) take(from *JoinedColumn, rows []int32) {
	c.Classes = from.Classes
	c.Codes, c.Values = taken(c.Codes, from.Codes, rows), taken(c.Values, from.Values, rows)
}

// Row returns row i without its id, which batches do not have. scores is room for
// Joined.Scores, one a class.
func (b *JoinedBatch) Row(i int, scores []float64) Joined {
	j := Joined{Weight: 1}
	if b.Scores != nil && !math.IsNaN(b.Scores[i]) {
		j.Score, j.HasScore = b.Scores[i], true
	}
	if b.ClassScores != nil {
		j.Scores = scores[:0]
		for _, column := range b.ClassScores {
			j.Scores = append(j.Scores, column[i])
		}
	}
	if b.Weights != nil {
		j.Weight = b.Weights[i]
	}
	if b.Times != nil && b.Times[i] != MinTime {
		j.Time = time.UnixMicro(b.Times[i]).UTC()
	}
	j.Group, j.HasGroup = b.Group.Class(i)
	j.Predicted, j.PredictedValue, j.HasPredicted = b.Predicted.both(i)
	j.Label, j.LabelValue, j.HasLabel = b.Label.both(i)
	return j
}

// both returns row i's value in the form that the column has.
func (c *JoinedColumn) both(i int) (text string, value float64, ok bool) {
	if c.Values != nil {
		value, ok = c.Value(i)
		return "", value, ok
	}
	text, ok = c.Class(i)
	return text, math.NaN(), ok
}

// Take makes b the given rows of another batch, in the given order. Slices of b
// are reused.
func (b *JoinedBatch) Take(from *JoinedBatch, rows []int32) {
	b.Rows = len(rows)
	b.Places, b.Times = taken(b.Places, from.Places, rows), taken(b.Times, from.Times, rows)
	b.Scores, b.Weights = taken(b.Scores, from.Scores, rows), taken(b.Weights, from.Weights, rows)
	b.Predicted.take(&from.Predicted, rows)
	b.Label.take(&from.Label, rows)
	b.Group.take(&from.Group, rows)
	b.ClassScores = resized(b.ClassScores, len(from.ClassScores))
	for i := range b.ClassScores {
		b.ClassScores[i] = taken(b.ClassScores[i], from.ClassScores[i], rows)
	}
	b.Segments = resized(b.Segments, len(from.Segments))
	for i := range b.Segments {
		b.Segments[i].take(&from.Segments[i], rows)
	}
}

func taken[T any](into, from []T, rows []int32) []T {
	if from == nil {
		return nil
	}
	into = resized(into, len(rows))
	if into == nil {
		into = []T{} // of no rows, but not absent
	}
	for k, i := range rows {
		into[k] = from[i]
	}
	return into
}

func resized[T any](s []T, n int) []T {
	if n == 0 {
		return s[:0]
	}
	if cap(s) < n {
		grown := make([]T, n)
		copy(grown, s[:cap(s)])
		return grown
	}
	return s[:n]
}
