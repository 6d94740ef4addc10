package modelwatch

import "time"

// BaselineStatus is where a registration stands.
type BaselineStatus string

// The states of a registration.
const (
	BaselineProfiling BaselineStatus = "profiling"
	BaselineReady     BaselineStatus = "ready"
	BaselineFailed    BaselineStatus = "failed"
)

// Baseline is a registered training set: the frozen grid and drift bins, and
// the profile that windows are compared with.
type Baseline struct {
	ID            string // derived from model, version and content: the same file is the same baseline
	Model         string
	Version       string
	URI           string // where it came from; "" for an upload
	ContentSHA256 string
	Status        BaselineStatus
	Error         string // why Status is failed
	Rows          int64
	ProfileKey    string // object with the encoded profile.Set
	DataKey       string // object with the rows as Parquet
	CreatedAt     time.Time
}

// BaselineKind says what a job compares its window with.
type BaselineKind string

// The kinds of baselines a job may name.
const (
	BaselineTraining    BaselineKind = "training"
	BaselineWindow      BaselineKind = "window"
	BaselinePrevious    BaselineKind = "previous"
	BaselineRolling     BaselineKind = "rolling"
	BaselineSameWeekday BaselineKind = "same_weekday" // as many weeks before, by the job's time zone
	BaselineVersion     BaselineKind = "version"      // the same window of another version
)

// BaselineRef is a job's choice of baseline.
type BaselineRef struct {
	Kind   BaselineKind
	Window Window        // kind window
	Offset time.Duration // kind rolling: the baseline ends Offset before the window's end
	Length time.Duration // kind rolling
	// Weeks is how many weeks kind same_weekday looks back. A week whose window
	// touches one of Exclude is left out.
	Weeks   int
	Exclude []Window
	Version string // kind version
}
