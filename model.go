// Package modelwatch holds the domain of modelwatch: models, versions, schemas,
// baselines, jobs, windows, runs, measurements and data files, and the error
// codes that every other package speaks. It does no I/O and imports no other
// package of this module.
package modelwatch

import "time"

// Task is what a model predicts; it decides which backtest metrics apply.
type Task string

// The tasks a model may have.
const (
	TaskBinary     Task = "binary"
	TaskMulticlass Task = "multiclass"
	TaskRegression Task = "regression"
	TaskRanking    Task = "ranking"
	TaskOther      Task = "other"
)

// Model is one prediction service under watch.
type Model struct {
	Name        string
	Task        Task
	Positive    string // binary: the class counted as positive
	Description string
	Owner       string
	Tags        map[string]string
	// FeatureGroups are names for sets of columns, by their names in results; a
	// trailing "*" matches a prefix. Drift is measured of each group as a whole.
	FeatureGroups map[string][]string

	// Registered is false while the model is known from its traffic alone.
	Registered bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Version is one trained version of a model, with the schema of its rows.
type Version struct {
	Model         string
	Name          string
	Schema        Schema
	SamplingRate  float64 // in (0, 1]; 1 keeps every prediction
	RetentionDays int     // 0 keeps for ever
	// Rates are the sampling rates by event time, the earliest first, once
	// SamplingRate was changed under traffic. None: SamplingRate since ever.
	Rates []RateStep

	// Registered is false while the version is known from its traffic alone:
	// its schema was then inferred from events and still grows with them.
	Registered bool
	// SchemaRevision goes up by one with each change of Schema. Changing a
	// schema is a compare-and-set on it.
	SchemaRevision int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// RateStep is a sampling rate and the event time from which it holds.
type RateStep struct {
	From time.Time // zero: since ever
	Rate float64   // 0: what the deployment's configuration says
}

// rateNotice is how long before it takes effect a rate is known to the catalog:
// consumers that look at it every few seconds all know it in time, so that they
// decide alike, and decide the same when they read the events again.
const rateNotice = time.Minute

// ChangeRate returns the steps of a version whose rate, or whose registration,
// changes now. The new rate takes effect with the first time bucket that begins
// in a minute or later, so no bucket has two rates. A step that has not taken
// effect yet gives way.
func (v *Version) ChangeRate(rate float64, now time.Time) []RateStep {
	steps := v.Rates
	if len(steps) == 0 {
		first := RateStep{Rate: v.SamplingRate}
		if !v.Registered {
			first.Rate = 0
		}
		steps = []RateStep{first}
	}
	from := Bucket(now.Add(rateNotice + BucketSize - 1))
	for len(steps) > 1 && !steps[len(steps)-1].From.Before(from) {
		steps = steps[:len(steps)-1]
	}
	if steps[len(steps)-1].Rate == rate {
		return steps
	}
	return append(steps[:len(steps):len(steps)], RateStep{From: from, Rate: rate})
}
