package modelwatch

import "time"

// JobKind is what a job computes.
type JobKind string

// The kinds of jobs.
const (
	JobDrift    JobKind = "drift"
	JobBacktest JobKind = "backtest"
	JobQuality  JobKind = "quality"
)

// Job is a schedule: which metrics of which columns of a model are computed for
// which windows, against what, and where the results go.
type Job struct {
	Model    string
	Name     string
	Kind     JobKind
	Versions []string // names; "*" is every version
	Cron     string
	Timezone string
	Window   time.Duration
	Delay    time.Duration // a window is due this long after its end
	Metrics  []string
	Columns  []string // names in results; a trailing "*" matches a prefix
	Baseline BaselineRef
	// MinimumRows gates every value: under it there is none, with the reason too_few.
	MinimumRows int64
	Thresholds  []Threshold
	Sinks       []string
	// Segments are lists of columns: results are also computed for each combination
	// of their values. They are features, and in backtests tags and what was predicted.
	Segments [][]string
	// Compat is the preset of another tool whose numbers are reproduced, and Exact
	// measures distances by sorting the rows. Drift jobs only, not by segments.
	Compat string
	Exact  bool

	// LabelDelay is how long after its prediction a label usually arrives: a
	// backtest window is due that long after its end (plus Delay).
	LabelDelay time.Duration
	// Maturity is how long after its end a window is still recomputed when late
	// rows or labels change it.
	Maturity time.Duration

	// Revision goes up with each change of the body. Runs of an older one are kept.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// PlannedUntil: every window with an end up to here has its run. Windows
	// after it are found from the cron expression.
	PlannedUntil time.Time
}

// RunState is where a run stands.
type RunState string

// The states of a run.
const (
	RunQueued    RunState = "queued"
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// Run is one computation: a job, a window, a revision. Revision 1 is the first
// result of a window; late rows and labels make 2, 3, ...
type Run struct {
	ID       string
	Model    string
	Job      string
	Kind     JobKind
	Window   Window
	Revision int
	State    RunState

	// Token is the fencing token: it goes up with each claim, and results are
	// accepted only under the token last given out.
	Token      int64
	Worker     string
	LeaseUntil time.Time
	Attempts   int
	NotBefore  time.Time

	// InputRows is the number of kept rows that the archive held for the window
	// (and, for a backtest, of labels until maturity) when the run read it. A
	// window whose number has grown since gets a new revision.
	InputRows int64
	DataFiles int
	Rows      int64 // rows read
	Error     string

	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
}
