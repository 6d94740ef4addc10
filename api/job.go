package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// JobBody is what a caller says about a job.
type JobBody struct {
	Kind     modelwatch.JobKind `json:"kind" enum:"drift,backtest,quality"`
	Versions []string           `json:"versions,omitempty" nullable:"false" maxItems:"1000" uniqueItems:"true" default:"*" doc:"Names of versions; * is every one."`
	Cron     string             `json:"cron" minLength:"1" maxLength:"200" example:"*/15 * * * *" doc:"When windows end: minute, hour, day of month, month, day of week."`
	Timezone string             `json:"timezone,omitempty" maxLength:"100" default:"UTC" doc:"IANA name of the zone that the cron expression is read in." example:"Europe/Berlin"`
	Window   string             `json:"window" example:"1h" doc:"Length of each window."`
	Delay    string             `json:"delay,omitempty" default:"5m" doc:"A window is computed this long after its end."`
	Metrics  []string           `json:"metrics,omitempty" nullable:"false" maxItems:"200" uniqueItems:"true" doc:"Names of metrics. Absent: the defaults of the kind." example:"psi,js_distance,ks"`
	Columns  []string           `json:"columns,omitempty" nullable:"false" maxItems:"10000" uniqueItems:"true" default:"*" doc:"Names as in results; a trailing * matches a prefix."`
	Baseline *BaselineRef       `json:"baseline,omitempty" doc:"What windows are compared with. Absent: training."`

	MinimumRows *int64      `json:"minimum_rows,omitempty" minimum:"1" default:"100" doc:"Under it a measurement has the reason too_few instead of a value."`
	Thresholds  []Threshold `json:"thresholds,omitempty" nullable:"false" maxItems:"1000"`
	Sinks       []string    `json:"sinks,omitempty" nullable:"false" maxItems:"20" uniqueItems:"true" doc:"Where results are delivered. Absent: nowhere, they are only kept." example:"datadog"`

	LabelDelay string `json:"label_delay,omitempty" example:"3d" doc:"Backtests: how long after its prediction a label usually arrives."`
	Maturity   string `json:"maturity,omitempty" example:"14d" doc:"How long after its end a window is computed again when late rows or labels change it. Absent: 14d for backtests, 1d otherwise."`

	Segments [][]string `json:"segments,omitempty" nullable:"false" maxItems:"10" doc:"Results are also computed for each value of a feature, and for each combination of several; backtests also by a key of the tags and by what was predicted. The segments are those of the newest baseline's rows, at most 100 each, and beside each value stands that of the baseline's rows of the same segment; the rest is the segment other. Where a backtest has no such baseline, they are those of each window." example:"[[\"country\"],[\"country\",\"device\"]]"`
	Compat   string     `json:"compat,omitempty" enum:"evidently,nannyml,azureml,sagemaker,sagemaker_simple,vertex" doc:"Kind drift: reproduce the numbers of that tool. Reads the rows of both sides, at most 5,000,000 each; not by segments."`
	Exact    bool       `json:"exact,omitempty" doc:"Kind drift: K-S and Wasserstein by sorting the rows of both sides, at most 5,000,000 each, instead of from the grid; not by segments."`
}

// BaselineRef is a job's choice of baseline.
type BaselineRef struct {
	Kind   string     `json:"kind" enum:"training,window,previous,rolling,same_weekday,version" doc:"training: the rows of the newest baseline; the others are archived traffic, counted on its bins."`
	Start  *time.Time `json:"start,omitempty" doc:"Kind window."`
	End    *time.Time `json:"end,omitempty" doc:"Kind window."`
	Offset string     `json:"offset,omitempty" example:"7d" doc:"Kind rolling: the baseline ends this long before the window's end."`
	Length string     `json:"length,omitempty" example:"7d" doc:"Kind rolling."`

	Weeks   int           `json:"weeks,omitempty" maximum:"52" doc:"Kind same_weekday: the windows that end at the same time, by the job's time zone, on the same weekday of so many weeks before, together." example:"6"`
	Exclude []ExcludeSpan `json:"exclude,omitempty" nullable:"false" maxItems:"100" doc:"Kind same_weekday: a week whose window touches one of these spans, such as a holiday, is left out."`
	Version string        `json:"version,omitempty" doc:"Kind version: the same window of another version of the model. That version itself is passed over." example:"3.0.0"`
}

// ExcludeSpan is a span of time that is not compared with.
type ExcludeSpan struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Threshold is a limit on one metric: one of constant (upper, lower), over, change
// or difference against a reference, learn. A value over its limit is a breach.
type Threshold struct {
	Metric string   `json:"metric"`
	Name   string   `json:"name,omitempty" doc:"Only this column; absent for every one."`
	Upper  *float64 `json:"upper,omitempty"`
	Lower  *float64 `json:"lower,omitempty"`

	Over       string   `json:"over,omitempty" enum:"null" doc:"null: the 95 % point of the value under no drift is the upper limit."`
	Change     string   `json:"change,omitempty" example:"+50%" doc:"Relative change against a reference: a rise by more than +50%, a fall by more than -20%. No limit where the reference is 0 or absent."`
	Difference *float64 `json:"difference,omitempty" example:"0.05" doc:"Distance from a reference: 0.05 is a breach above reference + 0.05, -0.05 one below reference - 0.05."`
	Against    string   `json:"against,omitempty" example:"7d" doc:"The reference of change and difference: the same series so long before (the window that ends nearest, at most an hour and a 24th of it away), or version:NAME, the same window of that version."`
	Learn      *Learn   `json:"learn,omitempty" doc:"Limits from the metric over ten consecutive chunks of the training set's own rows: for drift and quality each chunk against the whole set, for backtests the metric of the chunk, whose rows then have predictions and the truth, by segment too. Segments of drift and quality have none."`

	For string `json:"for,omitempty" example:"2 of 3" doc:"Breached when so many of the last windows, this one included, are over the limit. Windows without a value are not."`
}

// Learn are limits learnt from the baseline's own chunks.
type Learn struct {
	SD float64 `json:"sd" exclusiveMinimum:"0" maximum:"1000" doc:"Mean and so many population standard deviations, on the side where the metric is bad, within its range."`
}

func newThreshold(t modelwatch.Threshold) Threshold {
	out := Threshold{Metric: t.Metric, Name: t.Name, Upper: t.Upper, Lower: t.Lower, Against: t.Against.String(), For: t.For.String()}
	if t.OverNull {
		out.Over = overNull
	}
	if t.ChangePercent != 0 {
		out.Change = modelwatch.FormatChange(t.ChangePercent)
	}
	if t.Difference != 0 {
		out.Difference = &t.Difference
	}
	if t.Learn != nil {
		out.Learn = &Learn{SD: t.Learn.SD}
	}
	return out
}

const overNull = "null"

// Job is a job as the API shows it.
type Job struct {
	Model string `json:"model"`
	Name  string `json:"name"`
	JobBody
	Revision     int64      `json:"revision" doc:"Goes up with each change of the body."`
	PlannedUntil *time.Time `json:"planned_until,omitempty" doc:"Every window that ends up to here has its run."`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

func newJob(j modelwatch.Job) Job {
	minimum := j.MinimumRows
	body := JobBody{
		Kind: j.Kind, Versions: j.Versions, Cron: j.Cron, Timezone: j.Timezone,
		Window: modelwatch.FormatDuration(j.Window), Delay: modelwatch.FormatDuration(j.Delay),
		Metrics: j.Metrics, Columns: j.Columns, Baseline: newBaselineRef(j.Baseline),
		MinimumRows: &minimum, Segments: j.Segments, Compat: j.Compat, Exact: j.Exact, Sinks: j.Sinks, Maturity: modelwatch.FormatDuration(j.Maturity),
	}
	if j.LabelDelay > 0 {
		body.LabelDelay = modelwatch.FormatDuration(j.LabelDelay)
	}
	for _, t := range j.Thresholds {
		body.Thresholds = append(body.Thresholds, newThreshold(t))
	}
	return Job{
		Model: j.Model, Name: j.Name, JobBody: body, Revision: j.Revision, PlannedUntil: optionalTime(j.PlannedUntil),
		CreatedAt: j.CreatedAt.UTC(), UpdatedAt: j.UpdatedAt.UTC(),
	}
}

func newBaselineRef(r modelwatch.BaselineRef) *BaselineRef {
	if r.Kind == "" {
		return nil
	}
	out := &BaselineRef{Kind: string(r.Kind)}
	switch r.Kind {
	case modelwatch.BaselineWindow:
		out.Start, out.End = optionalTime(r.Window.Start), optionalTime(r.Window.End)
	case modelwatch.BaselineRolling:
		out.Offset, out.Length = modelwatch.FormatDuration(r.Offset), modelwatch.FormatDuration(r.Length)
	case modelwatch.BaselineSameWeekday:
		out.Weeks = r.Weeks
		for _, x := range r.Exclude {
			out.Exclude = append(out.Exclude, ExcludeSpan{Start: x.Start.UTC(), End: x.End.UTC()})
		}
	case modelwatch.BaselineVersion:
		out.Version = r.Version
	}
	return out
}

// JobPath is the path of a job.
type JobPath struct {
	ModelPath
	Job string `path:"job" doc:"Name of the job: 1 to 200 bytes without control characters or slash." example:"drift-hourly"`
}

type jobOutput struct {
	Body Job
}

type putJobOutput struct {
	Status int
	Body   Job
}

func (s *Server) registerJobs() {
	const path = "/v1/models/{model}/jobs/{job}"
	call(s, huma.Operation{
		OperationID: "put-job", Method: http.MethodPut, Path: path, Tags: []string{"jobs"},
		Summary:     "Schedule a job",
		Description: "201 when the job is new, 200 otherwise. The same body again changes nothing; another one raises the revision and keeps the runs there are.",
	}, s.putJob)
	s.alsoAnswers(path, http.MethodPut, http.StatusCreated)
	call(s, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: path, Tags: []string{"jobs"},
		Summary: "Show a job",
	}, s.getJob)
	call(s, huma.Operation{
		OperationID: "delete-job", Method: http.MethodDelete, Path: path, Tags: []string{"jobs"},
		Summary:     "Delete a job",
		Description: "No further windows are computed. Its runs and measurements stay.",
	}, s.deleteJob)
	call(s, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/v1/models/{model}/jobs", Tags: []string{"jobs"},
		Summary: "List the jobs of a model",
	}, s.listJobs)
}

func (s *Server) putJob(ctx context.Context, in *struct {
	JobPath
	Body JobBody
}) (*putJobOutput, error) {
	model, err := s.requireModel(ctx, in.Model)
	if err != nil {
		return nil, err
	}
	check := jobCheck{opts: &s.opts, task: model.Task}
	if check.columns, check.tags, err = s.knownColumns(ctx, in.Model); err != nil {
		return nil, err
	}
	job, err := check.job(in.Body)
	if err != nil {
		return nil, err
	}
	// A new job begins with the first window that ends from now on; what lies
	// before is a backfill, to be asked for.
	job.Model, job.Name, job.PlannedUntil = in.Model, in.Job, s.eventNow().UTC()
	stored, changed, err := s.opts.Store.PutJob(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("store job: %w", err)
	}
	return &putJobOutput{Status: createdOrOK(changed && stored.Revision == 1), Body: newJob(stored)}, nil
}

func (s *Server) getJob(ctx context.Context, in *JobPath) (*jobOutput, error) {
	j, err := s.opts.Store.Job(ctx, in.Model, in.Job)
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	return &jobOutput{Body: newJob(j)}, nil
}

func (s *Server) deleteJob(ctx context.Context, in *JobPath) (*struct{}, error) {
	if err := s.opts.Store.DeleteJob(ctx, in.Model, in.Job); err != nil {
		return nil, fmt.Errorf("delete job: %w", err)
	}
	return nil, nil
}

func (s *Server) listJobs(ctx context.Context, in *struct {
	ModelPath
	PageQuery
}) (*listOutput[Job], error) {
	if _, err := s.requireModel(ctx, in.Model); err != nil {
		return nil, err
	}
	jobs, next, err := s.opts.Store.Jobs(ctx, in.Model, in.page())
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return &listOutput[Job]{Body: newList(jobs, next, newJob)}, nil
}

// knownColumns are the names that results of the model may have, by all of its
// versions, nil while no version has a schema; and the keys of its tags.
func (s *Server) knownColumns(ctx context.Context, model string) (known, tags map[string]bool, err error) {
	tags = map[string]bool{}
	page := Page{Limit: 1000}
	for {
		versions, next, err := s.opts.Store.Versions(ctx, model, page)
		if err != nil {
			return nil, nil, fmt.Errorf("list versions: %w", err)
		}
		for _, v := range versions {
			for _, c := range v.Schema.Profiled() {
				if known == nil {
					known = map[string]bool{}
				}
				known[c.Name] = true
			}
			for _, tag := range v.Schema.Tags {
				tags[tag] = true
			}
			if known != nil && v.Schema.Label != "" {
				known[labelName(v.Schema)] = true
			}
		}
		if next == "" {
			return known, tags, nil
		}
		page.Cursor = next
	}
}

func labelName(s modelwatch.Schema) string {
	if s.Columns.Label != "" {
		return s.Columns.Label
	}
	return "label"
}
