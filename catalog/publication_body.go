package catalog

import (
	"time"

	"github.com/modelwatch/modelwatch"
)

// publicationBody is the payload of an outbox row as JSON. The names are those
// of the stored rows: they may be added to and are never renamed.
type publicationBody struct {
	Run          *runBody          `json:"run,omitempty"`
	WindowLabel  string            `json:"window_label,omitempty"`
	Measurements []measurementBody `json:"measurements,omitempty"`
	Counts       []countBody       `json:"counts,omitempty"`
}

type runBody struct {
	ID         string              `json:"id"`
	Model      string              `json:"model"`
	Job        string              `json:"job"`
	Kind       modelwatch.JobKind  `json:"kind"`
	Window     windowBody          `json:"window"`
	Revision   int                 `json:"revision"`
	State      modelwatch.RunState `json:"state"`
	Token      int64               `json:"token,omitempty"`
	Worker     string              `json:"worker,omitempty"`
	LeaseUntil time.Time           `json:"lease_until,omitzero"`
	Attempts   int                 `json:"attempts,omitempty"`
	NotBefore  time.Time           `json:"not_before,omitzero"`
	InputRows  int64               `json:"input_rows,omitempty"`
	DataFiles  int                 `json:"data_files,omitempty"`
	Rows       int64               `json:"rows,omitempty"`
	Error      string              `json:"error,omitempty"`
	CreatedAt  time.Time           `json:"created_at,omitzero"`
	StartedAt  time.Time           `json:"started_at,omitzero"`
	FinishedAt time.Time           `json:"finished_at,omitzero"`
}

type measurementBody struct {
	valueBody
	RunID         string             `json:"run_id,omitempty"`
	Model         string             `json:"model,omitempty"`
	Version       string             `json:"version,omitempty"`
	Job           string             `json:"job,omitempty"`
	Kind          modelwatch.JobKind `json:"kind,omitempty"`
	Window        windowBody         `json:"window,omitzero"`
	Revision      int                `json:"revision,omitempty"`
	Chunk         int                `json:"chunk,omitempty"`
	Segment       map[string]string  `json:"segment,omitempty"`
	Subject       modelwatch.Subject `json:"subject,omitempty"`
	Name          string             `json:"name,omitempty"`
	Baseline      string             `json:"baseline,omitempty"`
	Threshold     *boundsBody        `json:"threshold,omitempty"`
	Breached      bool               `json:"breached,omitempty"`
	LabelCoverage *float64           `json:"label_coverage,omitempty"`
	Mature        bool               `json:"mature,omitempty"`
	ComputedAt    time.Time          `json:"computed_at,omitzero"`
}

type valueBody struct {
	Metric        string            `json:"metric"`
	Class         string            `json:"class,omitempty"`
	K             int               `json:"k,omitempty"`
	Value         *float64          `json:"value,omitempty"`
	Reason        modelwatch.Reason `json:"reason,omitempty"`
	Lower         *float64          `json:"lower,omitempty"`
	Upper         *float64          `json:"upper,omitempty"`
	PValue        *float64          `json:"p_value,omitempty"`
	Null95        *float64          `json:"null_95,omitempty"`
	StandardError *float64          `json:"standard_error,omitempty"`
	NBaseline     int64             `json:"n_baseline,omitempty"`
	NCurrent      int64             `json:"n_current,omitempty"`

	EffectiveBaseline *float64 `json:"effective_n_baseline,omitempty"`
	EffectiveCurrent  *float64 `json:"effective_n_current,omitempty"`
	AdjustedP         *float64 `json:"adjusted_p_value,omitempty"`
	BaselineValue     *float64 `json:"baseline_value,omitempty"`
	ConstantValue     *float64 `json:"constant_value,omitempty"`
}

type boundsBody struct {
	Upper *float64 `json:"upper,omitempty"`
	Lower *float64 `json:"lower,omitempty"`
}

type countBody struct {
	Metric          string            `json:"metric"`
	Tags            map[string]string `json:"tags,omitempty"`
	Value           int64             `json:"value"`
	Time            time.Time         `json:"time,omitzero"`
	IntervalSeconds int64             `json:"interval_seconds,omitempty"`
}

func newPublicationBody(p modelwatch.Publication) publicationBody {
	b := publicationBody{
		WindowLabel:  p.WindowLabel,
		Measurements: convert(p.Measurements, newMeasurementBody),
		Counts:       convert(p.Counts, func(c modelwatch.Count) countBody { return countBody(c) }),
	}
	if p.Run != nil {
		b.Run = newRunBody(*p.Run)
	}
	return b
}

func (b publicationBody) publication() modelwatch.Publication {
	p := modelwatch.Publication{
		WindowLabel:  b.WindowLabel,
		Measurements: convert(b.Measurements, measurementBody.measurement),
		Counts:       convert(b.Counts, func(c countBody) modelwatch.Count { return modelwatch.Count(c) }),
	}
	if b.Run != nil {
		p.Run = b.Run.run()
	}
	return p
}

func newRunBody(r modelwatch.Run) *runBody {
	return &runBody{
		ID: r.ID, Model: r.Model, Job: r.Job, Kind: r.Kind, Window: newWindowBody(r.Window), Revision: r.Revision, State: r.State,
		Token: r.Token, Worker: r.Worker, LeaseUntil: r.LeaseUntil, Attempts: r.Attempts, NotBefore: r.NotBefore,
		InputRows: r.InputRows, DataFiles: r.DataFiles, Rows: r.Rows, Error: r.Error,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
}

func (b *runBody) run() *modelwatch.Run {
	return &modelwatch.Run{
		ID: b.ID, Model: b.Model, Job: b.Job, Kind: b.Kind, Window: b.Window.window(), Revision: b.Revision, State: b.State,
		Token: b.Token, Worker: b.Worker, LeaseUntil: b.LeaseUntil, Attempts: b.Attempts, NotBefore: b.NotBefore,
		InputRows: b.InputRows, DataFiles: b.DataFiles, Rows: b.Rows, Error: b.Error,
		CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, FinishedAt: b.FinishedAt,
	}
}

func newMeasurementBody(m modelwatch.Measurement) measurementBody {
	return measurementBody{
		valueBody: valueBody(m.Value),
		RunID:     m.RunID, Model: m.Model, Version: m.Version, Job: m.Job, Kind: m.Kind, Window: newWindowBody(m.Window),
		Revision: m.Revision, Chunk: m.Chunk, Segment: m.Segment, Subject: m.Subject, Name: m.Name, Baseline: m.Baseline,
		Threshold: (*boundsBody)(m.Threshold), Breached: m.Breached, LabelCoverage: m.LabelCoverage, Mature: m.Mature, ComputedAt: m.ComputedAt,
	}
}

func (b measurementBody) measurement() modelwatch.Measurement {
	return modelwatch.Measurement{
		Value: modelwatch.Value(b.valueBody),
		RunID: b.RunID, Model: b.Model, Version: b.Version, Job: b.Job, Kind: b.Kind, Window: b.Window.window(),
		Revision: b.Revision, Chunk: b.Chunk, Segment: b.Segment, Subject: b.Subject, Name: b.Name, Baseline: b.Baseline,
		Threshold: (*modelwatch.Bounds)(b.Threshold), Breached: b.Breached, LabelCoverage: b.LabelCoverage, Mature: b.Mature, ComputedAt: b.ComputedAt,
	}
}
