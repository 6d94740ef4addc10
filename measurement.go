package modelwatch

import "time"

// Subject is what a measurement is about.
type Subject string

// The subjects of measurements.
const (
	SubjectFeature     Subject = "feature"
	SubjectPrediction  Subject = "prediction"
	SubjectLabel       Subject = "label"
	SubjectAttribution Subject = "attribution"
	SubjectGroup       Subject = "group"
	SubjectModel       Subject = "model"
)

// Reason says why a measurement has no value.
type Reason string

// The closed list of reasons.
const (
	ReasonTooFew        Reason = "too_few"
	ReasonEmpty         Reason = "empty"
	ReasonConstant      Reason = "constant"
	ReasonAllMissing    Reason = "all_missing"
	ReasonSingleClass   Reason = "single_class"
	ReasonNoPositive    Reason = "no_positive"
	ReasonNoLabels      Reason = "no_labels"
	ReasonNotApplicable Reason = "not_applicable"
	ReasonZeroDivision  Reason = "zero_division"
)

// Value is one computed number, or the reason why there is none: Value is nil
// exactly when Reason is set. It is what packages drift and backtest return.
type Value struct {
	Metric        string
	Class         string // per-class metrics
	K             int    // per-cut-off metrics
	Value         *float64
	Reason        Reason
	Lower, Upper  *float64 // a proven bound or a 95 % interval
	PValue        *float64
	Null95        *float64 // the 95 % point under no drift for these n, m and bins
	StandardError *float64
	NBaseline     int64
	NCurrent      int64
	// EffectiveBaseline and EffectiveCurrent are Kish's (sum w)^2 / sum w^2 of
	// the rows behind a value, where rows carry weights; nil where none does.
	EffectiveBaseline, EffectiveCurrent *float64
	// AdjustedP is PValue corrected for the number of features that were tested
	// together.
	AdjustedP *float64
	// BaselineValue is the metric of the baseline's own rows, ConstantValue that
	// of the best constant prediction for the current rows. Backtests only.
	BaselineValue, ConstantValue *float64
}

// Measurement is a Value of one run, about one subject and segment.
type Measurement struct {
	Value
	RunID    string
	Model    string
	Version  string
	Job      string
	Kind     JobKind
	Window   Window
	Revision int
	Chunk    int // offline only
	Segment  map[string]string
	Subject  Subject
	Name     string // the column; "" for the model
	Baseline string // the baseline's kind or id

	Threshold *Bounds
	Breached  bool

	LabelCoverage *float64 // backtests
	Mature        bool
	ComputedAt    time.Time
}

// Publication is what one sink is asked to deliver: the results of a run, or
// counts since the last report. It is the payload of an outbox row.
type Publication struct {
	Run          *Run
	WindowLabel  string // the job's window as the user wrote it: "1h"
	Measurements []Measurement
	Counts       []Count
}

// Count is a number of events since the last report, stamped so that no two
// reports of one series share a second.
type Count struct {
	Metric string // full name: "modelwatch.volume.predictions"
	Tags   map[string]string
	Value  int64
	Time   time.Time
	// IntervalSeconds is the span that the count covers.
	IntervalSeconds int64
}

// OutboxEntry is one publication waiting for one sink.
type OutboxEntry struct {
	ID          int64
	Sink        string
	Publication Publication
	Attempts    int
	NotBefore   time.Time
	CreatedAt   time.Time
}
