package api

import (
	"encoding/json"
	"math"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// Result is the one JSON for results: the offline commands print it, and its
// columns and measurements are those of the REST calls.
type Result struct {
	Kind          modelwatch.JobKind `json:"kind"`
	Baseline      *Source            `json:"baseline,omitempty"`
	Current       *Source            `json:"current,omitempty"`
	Columns       []Column           `json:"columns,omitempty" nullable:"false"`
	SchemaChanges []SchemaChange     `json:"schema_changes,omitempty" nullable:"false"`
	Measurements  []Measurement      `json:"measurements" nullable:"false"`
}

// SchemaChange is a column that is not the same on both sides. A side that lacks
// the column has no type. A column of another type is measured as invalid, but
// numbers, booleans and times where the baseline has categories are counted under
// their text; one that the current side lacks is measured as missing, and one that
// the baseline lacks is not measured.
type SchemaChange struct {
	Column   string                 `json:"column"`
	Baseline modelwatch.FeatureType `json:"baseline,omitempty"`
	Current  modelwatch.FeatureType `json:"current,omitempty"`
}

// Source is one side of a comparison.
type Source struct {
	URI  string `json:"uri"`
	Rows int64  `json:"rows"`
}

// Column is a column with the bins that its binned metrics share.
type Column struct {
	Name string                 `json:"name"`
	Type modelwatch.FeatureType `json:"type"`
	Bins []Bin                  `json:"bins,omitempty" nullable:"false"`
}

// Bin is one drift bin: a range of numbers up to and including Upper, where nil
// is the open end; or one Value of a category; or every Other value.
type Bin struct {
	Upper *float64
	Value *string
	Other bool
}

// NumberBin is the bin that ends with upper; nil or an infinity is the open end.
func NumberBin(upper *float64) Bin {
	if upper != nil && (math.IsInf(*upper, 0) || math.IsNaN(*upper)) {
		upper = nil
	}
	return Bin{Upper: upper}
}

// ValueBin is the bin of one category.
func ValueBin(value string) Bin { return Bin{Value: &value} }

// OtherBin is where every unseen value falls.
func OtherBin() Bin { return Bin{Other: true} }

// MarshalJSON writes {"upper":x}, {"upper":null}, {"value":"x"} or {"other":true}.
func (b Bin) MarshalJSON() ([]byte, error) {
	switch {
	case b.Other:
		return []byte(`{"other":true}`), nil
	case b.Value != nil:
		return json.Marshal(struct {
			Value string `json:"value"`
		}{*b.Value})
	}
	return json.Marshal(struct {
		Upper *float64 `json:"upper"`
	}{b.Upper})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *Bin) UnmarshalJSON(text []byte) error {
	var v struct {
		Upper *float64 `json:"upper"`
		Value *string  `json:"value"`
		Other bool     `json:"other"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*b = Bin(v)
	return nil
}

// Schema describes a bin in OpenAPI.
func (Bin) Schema(huma.Registry) *huma.Schema {
	one := func(name string, s *huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, Required: []string{name}, Properties: map[string]*huma.Schema{name: s}, AdditionalProperties: false}
	}
	return &huma.Schema{
		Description: "One drift bin.",
		OneOf: []*huma.Schema{
			one("upper", &huma.Schema{Type: huma.TypeNumber, Nullable: true, Description: "The largest number in the bin; null is the open end."}),
			one("value", &huma.Schema{Type: huma.TypeString, Description: "The category."}),
			one("other", &huma.Schema{Type: huma.TypeBoolean, Description: "True: every value that has no bin of its own."}),
		},
	}
}

// Measurement is one number about one subject, or the reason why there is
// none. A field that does not apply is absent; value is absent exactly when
// reason is present.
type Measurement struct {
	Run      string             `json:"run,omitempty" doc:"Id of the run."`
	Model    string             `json:"model,omitempty"`
	Version  string             `json:"version,omitempty"`
	Job      string             `json:"job,omitempty"`
	Kind     modelwatch.JobKind `json:"kind,omitempty"`
	Revision int                `json:"revision,omitempty" doc:"Late rows and labels make a new revision of a window."`

	Chunk   *int               `json:"chunk,omitempty" doc:"Offline only: which chunk of the current data."`
	Window  *Window            `json:"window,omitempty"`
	Segment map[string]string  `json:"segment,omitempty" doc:"The slice of the population; absent for all of it."`
	Subject modelwatch.Subject `json:"subject" enum:"feature,prediction,label,attribution,group,model"`
	Name    string             `json:"name,omitempty" doc:"The column; absent for the subject model."`
	Metric  string             `json:"metric"`
	Class   string             `json:"class,omitempty" doc:"Of a metric per class."`
	K       int                `json:"k,omitempty" doc:"Of a metric per cut-off."`

	Value         *float64          `json:"value,omitempty"`
	Reason        modelwatch.Reason `json:"reason,omitempty" enum:"too_few,empty,constant,all_missing,single_class,no_positive,no_labels,not_applicable,zero_division" doc:"Why there is no value."`
	Lower         *float64          `json:"lower,omitempty" doc:"A proven bound, or the lower end of a 95 % interval."`
	Upper         *float64          `json:"upper,omitempty" doc:"A proven bound, or the upper end of a 95 % interval."`
	PValue        *float64          `json:"p_value,omitempty"`
	Null95        *float64          `json:"null_95,omitempty" doc:"95 % point of the value under no drift, for these sizes and bins."`
	StandardError *float64          `json:"standard_error,omitempty"`
	AdjustedP     *float64          `json:"adjusted_p_value,omitempty" doc:"p_value corrected for the number of features that were tested together."`
	BaselineValue *float64          `json:"baseline_value,omitempty" doc:"Backtests: the metric over the baseline's own rows."`
	ConstantValue *float64          `json:"constant_value,omitempty" doc:"Backtests: the metric of the best constant prediction."`

	Threshold *Bounds `json:"threshold,omitempty"`
	Breached  *bool   `json:"breached,omitempty" doc:"Present where a threshold applies."`

	Baseline          string     `json:"baseline,omitempty" doc:"Kind or id of the baseline."`
	NBaseline         *int64     `json:"n_baseline,omitempty"`
	NCurrent          int64      `json:"n_current"`
	EffectiveBaseline *float64   `json:"effective_n_baseline,omitempty" doc:"What n_baseline is worth where rows carry weights."`
	EffectiveCurrent  *float64   `json:"effective_n_current,omitempty" doc:"What n_current is worth where rows carry weights."`
	LabelCoverage     *float64   `json:"label_coverage,omitempty" doc:"Backtests: share of predictions whose label has arrived."`
	Mature            *bool      `json:"mature,omitempty" doc:"Backtests: no later label changes the value any more."`
	ComputedAt        *time.Time `json:"computed_at,omitempty"`
}

// Bounds are the limits that were applied.
type Bounds struct {
	Upper *float64 `json:"upper,omitempty"`
	Lower *float64 `json:"lower,omitempty"`
}

// NewMeasurement is a measurement as every output shows it. A measurement
// without a run is an offline one: it carries its chunk instead.
func NewMeasurement(m modelwatch.Measurement) Measurement {
	out := Measurement{
		Run: m.RunID, Model: m.Model, Version: m.Version, Job: m.Job, Kind: m.Kind, Revision: m.Revision,
		Segment: m.Segment, Subject: m.Subject, Name: m.Name, Metric: m.Metric, Class: m.Class, K: m.K,
		Value: finite(m.Value.Value), Reason: m.Reason, Lower: finite(m.Lower), Upper: finite(m.Upper),
		PValue: finite(m.PValue), Null95: finite(m.Null95), StandardError: finite(m.StandardError),
		AdjustedP: finite(m.AdjustedP), BaselineValue: finite(m.BaselineValue), ConstantValue: finite(m.ConstantValue),
		Baseline: m.Baseline, NCurrent: m.NCurrent,
		EffectiveBaseline: finite(m.EffectiveBaseline), EffectiveCurrent: finite(m.EffectiveCurrent),
		LabelCoverage: finite(m.LabelCoverage), ComputedAt: optionalTime(m.ComputedAt),
	}
	switch {
	case out.Reason != "":
		out.Value = nil
	case out.Value == nil: // neither a number nor a reason: what is left to say is that it does not apply
		out.Reason = modelwatch.ReasonNotApplicable
	}
	if m.RunID == "" {
		chunk := m.Chunk
		out.Chunk = &chunk
	}
	if m.Window != (modelwatch.Window{}) {
		w := newWindow(m.Window)
		out.Window = &w
	}
	if m.Threshold != nil {
		breached := m.Breached
		out.Threshold = &Bounds{Upper: finite(m.Threshold.Upper), Lower: finite(m.Threshold.Lower)}
		out.Breached = &breached
	}
	backtest := m.Kind == modelwatch.JobBacktest
	if backtest {
		mature := m.Mature
		out.Mature = &mature
	}
	if !backtest || m.NBaseline > 0 {
		n := m.NBaseline
		out.NBaseline = &n
	}
	return out
}

// finite drops what JSON cannot hold.
func finite(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return nil
	}
	return v
}
