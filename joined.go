package modelwatch

import "time"

// Joined is one prediction, with its label if one has arrived.
//
// Predicted and label come as text, for classes, and as number, for regression,
// whichever of the two their column holds: a number's text is its shortest
// decimal form ("1", not "1.0"), a boolean's is "true" or "false" and its number
// 1 or 0. A text that is not a number has the value NaN.
type Joined struct {
	ID   string
	Time time.Time // of the prediction

	Score    float64
	HasScore bool

	// Scores are a multiclass model's probabilities, in the order of classes that
	// who reads them was told; NaN is a missing one. Nil where there are none. The
	// slice is valid until the next row.
	Scores []float64

	// Group is what the rows of one ranking have in common.
	Group    string
	HasGroup bool

	Predicted      string
	PredictedValue float64
	HasPredicted   bool

	Label      string
	LabelValue float64
	HasLabel   bool

	// Segments are the values of JoinedFields.Segments, as text like a class;
	// SegmentMissing stands where there is none. The slice is valid until the next row.
	Segments []string

	// Weight is one over the sampling rate in force for the row: how many
	// predictions it stands for.
	Weight float64
}

// JoinedFields are what a join reads of predictions beside their score and what
// they predict.
type JoinedFields struct {
	Classes  []string // of a multiclass model: whose probabilities are Joined.Scores
	Group    bool
	Segments []string // columns of the table
}
