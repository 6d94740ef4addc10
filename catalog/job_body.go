package catalog

import (
	"time"

	"github.com/modelwatch/modelwatch"
)

// jobBody is what the user may change of a job, as JSON. Two jobs with the same
// text are the same job. The names are those of the stored rows: they may be
// added to and are never renamed.
type jobBody struct {
	Versions              []string        `json:"versions,omitempty"`
	Cron                  string          `json:"cron,omitempty"`
	Timezone              string          `json:"timezone,omitempty"`
	WindowNanoseconds     time.Duration   `json:"window_nanoseconds,omitempty"`
	DelayNanoseconds      time.Duration   `json:"delay_nanoseconds,omitempty"`
	Metrics               []string        `json:"metrics,omitempty"`
	Columns               []string        `json:"columns,omitempty"`
	Baseline              baselineRefBody `json:"baseline,omitzero"`
	MinimumRows           int64           `json:"minimum_rows,omitempty"`
	Thresholds            []thresholdBody `json:"thresholds,omitempty"`
	Sinks                 []string        `json:"sinks,omitempty"`
	Segments              [][]string      `json:"segments,omitempty"`
	Compat                string          `json:"compat,omitempty"`
	Exact                 bool            `json:"exact,omitempty"`
	LabelDelayNanoseconds time.Duration   `json:"label_delay_nanoseconds,omitempty"`
	MaturityNanoseconds   time.Duration   `json:"maturity_nanoseconds,omitempty"`
}

type baselineRefBody struct {
	Kind              modelwatch.BaselineKind `json:"kind,omitempty"`
	Window            windowBody              `json:"window,omitzero"`
	OffsetNanoseconds time.Duration           `json:"offset_nanoseconds,omitempty"`
	LengthNanoseconds time.Duration           `json:"length_nanoseconds,omitempty"`
	Weeks             int                     `json:"weeks,omitempty"`
	Exclude           []windowBody            `json:"exclude,omitempty"`
	Version           string                  `json:"version,omitempty"`
}

type windowBody struct {
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
}

type thresholdBody struct {
	Metric string   `json:"metric"`
	Name   string   `json:"name,omitempty"`
	Upper  *float64 `json:"upper,omitempty"`
	Lower  *float64 `json:"lower,omitempty"`

	OverNull       bool          `json:"over_null,omitempty"`
	ChangePercent  float64       `json:"change_percent,omitempty"`
	Difference     float64       `json:"difference,omitempty"`
	LagNanoseconds time.Duration `json:"lag_nanoseconds,omitempty"`
	AgainstVersion string        `json:"against_version,omitempty"`
	LearnSD        float64       `json:"learn_sd,omitempty"`
	WindowsOver    int           `json:"windows_over,omitempty"`
	WindowsOf      int           `json:"windows_of,omitempty"`
}

func newThresholdBody(t modelwatch.Threshold) thresholdBody {
	b := thresholdBody{
		Metric: t.Metric, Name: t.Name, Upper: t.Upper, Lower: t.Lower, OverNull: t.OverNull,
		ChangePercent: t.ChangePercent, Difference: t.Difference, LagNanoseconds: t.Against.Lag, AgainstVersion: t.Against.Version,
		WindowsOver: t.For.K, WindowsOf: t.For.N,
	}
	if t.Learn != nil {
		b.LearnSD = t.Learn.SD
	}
	return b
}

func (b thresholdBody) threshold() modelwatch.Threshold {
	t := modelwatch.Threshold{
		Metric: b.Metric, Name: b.Name, Upper: b.Upper, Lower: b.Lower, OverNull: b.OverNull,
		ChangePercent: b.ChangePercent, Difference: b.Difference, Against: modelwatch.Against{Lag: b.LagNanoseconds, Version: b.AgainstVersion},
		For: modelwatch.Share{K: b.WindowsOver, N: b.WindowsOf},
	}
	if b.LearnSD != 0 {
		t.Learn = &modelwatch.Learn{SD: b.LearnSD}
	}
	return t
}

func newWindowBody(w modelwatch.Window) windowBody {
	return windowBody{Start: w.Start.UTC(), End: w.End.UTC()}
}

func (b windowBody) window() modelwatch.Window {
	return modelwatch.Window{Start: b.Start.UTC(), End: b.End.UTC()}
}

func newJobBody(j modelwatch.Job) jobBody {
	return jobBody{
		Versions: j.Versions, Cron: j.Cron, Timezone: j.Timezone,
		WindowNanoseconds: j.Window, DelayNanoseconds: j.Delay,
		Metrics: j.Metrics, Columns: j.Columns,
		Baseline: baselineRefBody{
			Kind: j.Baseline.Kind, Window: newWindowBody(j.Baseline.Window),
			OffsetNanoseconds: j.Baseline.Offset, LengthNanoseconds: j.Baseline.Length,
			Weeks: j.Baseline.Weeks, Exclude: convert(j.Baseline.Exclude, newWindowBody), Version: j.Baseline.Version,
		},
		MinimumRows: j.MinimumRows,
		Thresholds:  convert(j.Thresholds, newThresholdBody),
		Sinks:       j.Sinks,
		Segments:    j.Segments, Compat: j.Compat, Exact: j.Exact,
		LabelDelayNanoseconds: j.LabelDelay, MaturityNanoseconds: j.Maturity,
	}
}

// fill sets the fields of a job that the body holds.
func (b jobBody) fill(j *modelwatch.Job) {
	j.Versions, j.Cron, j.Timezone = b.Versions, b.Cron, b.Timezone
	j.Window, j.Delay = b.WindowNanoseconds, b.DelayNanoseconds
	j.Metrics, j.Columns = b.Metrics, b.Columns
	j.Baseline = modelwatch.BaselineRef{
		Kind: b.Baseline.Kind, Window: b.Baseline.Window.window(),
		Offset: b.Baseline.OffsetNanoseconds, Length: b.Baseline.LengthNanoseconds,
		Weeks: b.Baseline.Weeks, Exclude: convert(b.Baseline.Exclude, windowBody.window), Version: b.Baseline.Version,
	}
	j.MinimumRows = b.MinimumRows
	j.Thresholds = convert(b.Thresholds, thresholdBody.threshold)
	j.Sinks = b.Sinks
	j.Segments, j.Compat, j.Exact = b.Segments, b.Compat, b.Exact
	j.LabelDelay, j.Maturity = b.LabelDelayNanoseconds, b.MaturityNanoseconds
}
