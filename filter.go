package modelwatch

import "time"

// Page asks for a part of a list: at most Limit items after Cursor, which is ""
// for the first part and otherwise the cursor that came with the part before.
type Page struct {
	Limit  int
	Cursor string
}

// RunFilter selects runs. A zero field does not restrict.
type RunFilter struct {
	Page
	Model string
	Job   string
	State RunState
	From  time.Time // windows that end after it
	To    time.Time // windows that start before it
}

// MeasurementFilter selects measurements. A zero field does not restrict.
type MeasurementFilter struct {
	Page
	Model   string
	Version string
	Job     string
	Run     string
	Metric  string
	Subject Subject
	Name    string
	Segment map[string]string // every pair must match
	From    time.Time         // windows that end after it
	To      time.Time         // windows that start before it
	// Latest keeps the newest window of each series, in its newest revision.
	Latest bool
}

// DeadLetterFilter selects dead letters. A zero field does not restrict.
type DeadLetterFilter struct {
	Page
	Model  string
	Reason DeadLetterReason
	Topic  string
	// TopicPrefix begins the topic, as ingest's ImportTopic begins those of imported files.
	TopicPrefix string
	State       DeadLetterState
	From        time.Time // written at or after it
	To          time.Time // written before it
}

// DataFileFilter selects data files that readers may see. A zero field does not restrict.
type DataFileFilter struct {
	Model   string
	Version string
	Kind    Kind
	Window  Window // files whose rows may fall into it
}
