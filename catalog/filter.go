package catalog

import (
	"time"

	"github.com/modelwatch/modelwatch"
)

// The limits of a page: what a zero Limit means, and the most that one call returns.
const (
	DefaultPageLimit = 100
	MaximumPageLimit = 10_000
)

// Page asks for a part of a list: at most Limit items after Cursor, which is ""
// for the first part and otherwise what came with the part before. A cursor
// that no list of this kind has given out is CodeInvalid.
type Page struct {
	Limit  int // 0 or less: DefaultPageLimit; over MaximumPageLimit: that
	Cursor string
}

// RunFilter selects runs. A zero field does not restrict.
type RunFilter struct {
	Page
	Model string
	Job   string
	State modelwatch.RunState
	From  time.Time // windows that end after it
	To    time.Time // windows that start before it
}

// MeasurementFilter selects measurements. A zero field does not restrict.
//
// Unless Run is set, only the newest revision of each window is returned.
type MeasurementFilter struct {
	Page
	Model   string
	Version string
	Job     string
	Run     string // the results of this run, superseded or not
	Metric  string
	Subject modelwatch.Subject
	Name    string
	Segment map[string]string // every pair must match
	From    time.Time         // windows that end after it
	To      time.Time         // windows that start before it
	// Latest keeps the newest window of each series: of each job, version,
	// subject, name, metric, class, k and segment.
	Latest bool
}

// DataFileFilter selects data files. A zero field does not restrict.
type DataFileFilter struct {
	Model   string
	Version string
	Kind    modelwatch.Kind
	Window  modelwatch.Window // files with a row in it; a zero end is open
}

// DeadLetterFilter selects dead letters. A zero field does not restrict.
type DeadLetterFilter struct {
	Page
	Model  string
	Reason modelwatch.DeadLetterReason
	Topic  string
	From   time.Time // written at or after it
	To     time.Time // written before it
}
