// Package report draws the result of a comparison as one HTML file that needs
// nothing else: no network, no server, no font, no image.
//
// The page is made of text and tables, which html/template writes, and of charts,
// which a script of the page draws from numbers in the page when they scroll into
// view. The same report always gives the same bytes.
package report

import (
	"bufio"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
)

// DrawnColumns is the number of columns that have charts, those that matter
// most. All others stand in the overview with their values.
const DrawnColumns = 1000

// Report is what one page shows. The zero value of a field leaves its part of
// the page out.
type Report struct {
	Kind      modelwatch.JobKind // drift or backtest
	Title     string             // "" is the name of the kind
	Generated string             // when and by what, in the caller's words; the package reads no clock
	Baseline  Side
	Current   Side // of a backtest: the predictions
	Labels    Side // of a backtest, where they come from elsewhere

	Notes         []string // sentences that the reader should know before the numbers
	SchemaChanges []SchemaChange

	// Columns are the columns that were compared, in any order. A measurement of a
	// column that is not among them is shown without a distribution.
	Columns []Column
	// Measurements are the results over all current rows: of columns, groups and
	// the model, of the whole population and of segments. Chunk and Window are not
	// looked at. Without a measurement of a metric, that of the last chunk is shown.
	Measurements []modelwatch.Measurement
	// Chunks are the parts of the current rows, oldest first.
	Chunks []Chunk
}

// Side is one of the two things that are compared.
type Side struct {
	Name string // a file, a folder, a pattern
	Rows int64
}

// SchemaChange is a difference between the columns of the two sides.
type SchemaChange struct {
	Column string
	Change string // "number in the baseline, text now"
}

// Column is a column of the report, and how its values are distributed on both sides.
type Column struct {
	Name       string
	Type       modelwatch.FeatureType
	Subject    modelwatch.Subject
	Unit       string  // of numbers, for the axes
	Importance float64 // relative weight; 0 if unknown

	Bins     []Bin // the drift bins, in their order
	Curve    *Curve
	Baseline Quality
	Current  Quality
}

// Bin is one drift bin with the share of the values that fall into it.
type Bin struct {
	Upper *float64 // number: values up to and including it; nil for the last, which is open
	Value string   // category and boolean
	Other bool     // category: every value without a bin of its own

	Baseline, Current float64 // in [0, 1]
}

// Quality is what share of all rows of a side holds no usable value. All are in
// [0, 1]. New, of the current side, is the share of values that the baseline did not hold.
type Quality struct {
	Missing, Invalid, New float64
}

// Curve holds the cumulative distributions of a number, F of the baseline and G
// of the current side, at ascending X. A step is two points with the same X, the
// left limit first. Between two points the curves are drawn as straight lines.
type Curve struct {
	X                 []float64
	Baseline, Current []float64

	reduced bool
	kept    *drawnCurve
}

// Reduce lets go of the points that are not drawn, which are most of those of a
// fine grid. The page is the same.
func (c *Curve) Reduce() {
	c.kept = c.drawn()
	c.X, c.Baseline, c.Current, c.reduced = nil, nil, nil, true
}

// Chunk is one part of the current rows, in the order of the file or of time.
type Chunk struct {
	Label        string // "2026-11-21", "rows 5001 to 10000"
	Rows         int64
	Measurements []modelwatch.Measurement // as in Report
}

// Write writes the page. Numbers that are not finite are left out. It fails
// only where w does, or where the report is of a kind that has no page.
func Write(w io.Writer, r Report) error {
	if r.Kind != modelwatch.JobDrift && r.Kind != modelwatch.JobBacktest {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "no report of kind %q: there are %s and %s", r.Kind, modelwatch.JobDrift, modelwatch.JobBacktest)
	}
	p, err := newPage(&r)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := layout().Execute(out, p); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
