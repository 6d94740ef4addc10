package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// maxBackfill bounds the span that one call may queue.
const maxBackfill = 3 * 366 * day

// Run is one computation of a job's window, as the API shows it.
type Run struct {
	ID              string              `json:"id"`
	Model           string              `json:"model"`
	Job             string              `json:"job"`
	Kind            modelwatch.JobKind  `json:"kind"`
	Window          Window              `json:"window"`
	Revision        int                 `json:"revision" doc:"1 is the window's first result; late rows and labels make further ones."`
	State           modelwatch.RunState `json:"state" enum:"queued,running,succeeded,failed,cancelled"`
	Attempts        int                 `json:"attempts"`
	Worker          string              `json:"worker,omitempty"`
	InputRows       int64               `json:"input_rows" doc:"Kept rows that the archive held for the window when the run read it."`
	DataFiles       int                 `json:"data_files" doc:"Data files read."`
	Rows            int64               `json:"rows" doc:"Rows read."`
	Error           string              `json:"error,omitempty"`
	NotBefore       *time.Time          `json:"not_before,omitempty"`
	CreatedAt       time.Time           `json:"created_at"`
	StartedAt       *time.Time          `json:"started_at,omitempty"`
	FinishedAt      *time.Time          `json:"finished_at,omitempty"`
	DurationSeconds *float64            `json:"duration_seconds,omitempty" doc:"From start to finish."`
}

func newRun(r modelwatch.Run) Run {
	out := Run{
		ID: r.ID, Model: r.Model, Job: r.Job, Kind: r.Kind, Window: newWindow(r.Window), Revision: r.Revision, State: r.State,
		Attempts: r.Attempts, Worker: r.Worker, InputRows: r.InputRows, DataFiles: r.DataFiles, Rows: r.Rows, Error: r.Error,
		NotBefore: optionalTime(r.NotBefore), CreatedAt: r.CreatedAt.UTC(),
		StartedAt: optionalTime(r.StartedAt), FinishedAt: optionalTime(r.FinishedAt),
	}
	if out.StartedAt != nil && out.FinishedAt != nil {
		seconds := r.FinishedAt.Sub(r.StartedAt).Seconds()
		out.DurationSeconds = &seconds
	}
	return out
}

// RunRequest says what a job is to be run for.
type RunRequest struct {
	Start *time.Time `json:"start,omitempty"`
	End   *time.Time `json:"end,omitempty" doc:"Without start and end: the window that ends now, on a border of five minutes."`
}

type runOutput struct {
	Body Run
}

func (s *Server) registerRuns() {
	call(s, huma.Operation{
		OperationID: "start-runs", Method: http.MethodPost, Path: "/v1/models/{model}/jobs/{job}/runs", Tags: []string{"jobs"},
		Summary: "Run a job now or for the past",
		Description: `A span as long as the job's window is one run: a new revision if the window has a result already. Any other span is a backfill:
the windows of the job's cron expression that end in it are queued, and those that have a run keep it.

The same Idempotency-Key again answers with the run that it made the first time. A backfill needs none, being idempotent by itself.`,
		DefaultStatus: http.StatusAccepted,
	}, s.startRuns)
	call(s, huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: "/v1/runs", Tags: []string{"results"},
		Summary: "List runs, the newest first",
	}, s.listRuns)
	call(s, huma.Operation{
		OperationID: "get-run", Method: http.MethodGet, Path: "/v1/runs/{id}", Tags: []string{"results"},
		Summary: "Show a run",
	}, s.getRun)
}

func (s *Server) startRuns(ctx context.Context, in *struct {
	JobPath
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Chosen by the caller; makes it safe to send the request again."`
	Body           *RunRequest
}) (*listOutput[Run], error) {
	job, err := s.opts.Store.Job(ctx, in.Model, in.Job)
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	window, err := s.requestedWindow(in.Body, job)
	if err != nil {
		return nil, err
	}
	var runs []modelwatch.Run
	if window.Duration() == job.Window {
		var run modelwatch.Run
		run, err = s.startRun(ctx, job, window, in.IdempotencyKey)
		runs = []modelwatch.Run{run}
	} else {
		runs, err = s.opts.Backfill(ctx, job, window)
	}
	if err != nil {
		return nil, fmt.Errorf("start runs: %w", err)
	}
	return &listOutput[Run]{Body: newList(runs, "", newRun)}, nil
}

func (s *Server) requestedWindow(r *RunRequest, job modelwatch.Job) (modelwatch.Window, error) {
	now := s.eventNow().UTC()
	if r == nil || r.Start == nil && r.End == nil {
		end := modelwatch.Bucket(now)
		return modelwatch.Window{Start: end.Add(-job.Window), End: end}, nil
	}
	var f faults
	switch {
	case r.Start == nil:
		f.add("body.start", nil, "is missing: give start and end, or neither for the window that ends now")
	case r.End == nil:
		f.add("body.end", nil, "is missing: give start and end, or neither for the window that ends now")
	case !r.Start.Before(*r.End):
		f.add("body.end", *r.End, "must be after start")
	case r.End.After(now):
		f.add("body.end", *r.End, "lies in the future: it is now %s", now.Format(time.RFC3339))
	case r.End.Sub(*r.Start) > maxBackfill:
		f.add("body.end", *r.End, "must be at most %s after start", modelwatch.FormatDuration(maxBackfill))
	}
	if err := f.err("the span"); err != nil {
		return modelwatch.Window{}, err
	}
	return modelwatch.Window{Start: r.Start.UTC(), End: r.End.UTC()}, nil
}

// startRun queues one window, in the revision after the newest that there is.
// The run's id comes from the idempotency key, so that the catalog itself
// recognises a request that is sent again.
func (s *Server) startRun(ctx context.Context, job modelwatch.Job, window modelwatch.Window, key string) (modelwatch.Run, error) {
	now := s.eventNow().UTC()
	run, _, err := s.opts.Store.AddRun(ctx, modelwatch.Run{
		ID: runID(job, key), Model: job.Model, Job: job.Name, Kind: job.Kind, Window: window,
		State: modelwatch.RunQueued, NotBefore: now, CreatedAt: now,
	})
	if key != "" && modelwatch.ErrorCode(err) == modelwatch.CodeConflict {
		return run, &modelwatch.Error{
			Code:    modelwatch.CodeConflict,
			Message: "the idempotency key was used for another window",
			Fields:  []modelwatch.FieldError{{Location: "header.Idempotency-Key", Message: "take another key for another request", Value: key}},
			Err:     err,
		}
	}
	return run, err
}

// runID derives a run's id from an idempotency key. Without one each call is a
// new request, whose id the store makes.
func runID(job modelwatch.Job, key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(job.Model + "/" + job.Name + "/" + key)) // names hold no slash
	return "key-" + hex.EncodeToString(sum[:16])
}

func (s *Server) listRuns(ctx context.Context, in *struct {
	Model string `query:"model"`
	Job   string `query:"job"`
	State string `query:"state" enum:"queued,running,succeeded,failed,cancelled"`
	SpanQuery
	PageQuery
}) (*listOutput[Run], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	runs, next, err := s.opts.Store.Runs(ctx, RunFilter{
		Page: in.page(), Model: in.Model, Job: in.Job, State: modelwatch.RunState(in.State), From: in.From, To: in.To,
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return &listOutput[Run]{Body: newList(runs, next, newRun)}, nil
}

func (s *Server) getRun(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*runOutput, error) {
	r, err := s.opts.Store.Run(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	return &runOutput{Body: newRun(r)}, nil
}
