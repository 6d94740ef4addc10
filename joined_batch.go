package modelwatch

// JoinedBatch is a run of joined rows, column by column: what a join of large
// files hands over where a call for each row would cost more than counting it.
// A slice that is nil holds nothing for any row, else it has Rows elements. The
// receiver must not keep the slices.
type JoinedBatch struct {
	Rows   int
	Places []int64 // of each row in the predictions: 0 is the first

	Scores       []float64   // NaN: the row has none
	ScoreClasses []string    // multiclass: the classes that ClassScores are of
	ClassScores  [][]float64 // by class, then by row; NaN: the row has none
	Predicted    JoinedColumn
	Label        JoinedColumn
	Weights      []float64 // nil: 1 each
	Times        []int64   // microseconds UTC; MinTime: the row has none
	Group        JoinedColumn
	Segments     []JoinedColumn // the columns that the join was asked for
}

// MinTime is the time, in microseconds, of a row that has none.
const MinTime = -1 << 63

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
	if c.Values == nil || c.Values[i] != c.Values[i] {
		return 0, false
	}
	return c.Values[i], true
}
