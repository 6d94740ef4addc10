package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

const runsPath = "/v1/models/fraud/jobs/hourly/runs"

func setupRuns(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	if _, _, err := b.client.PutJob(t.Context(), "fraud", "hourly", jobBody()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *testBundle) startRuns(body string, header ...string) []any {
	b.t.Helper()
	a := b.want(http.StatusAccepted, http.MethodPost, runsPath, body, append([]string{"Content-Type", jsonType}, header...)...)
	return decode(b.t, a.body).(map[string]any)["items"].([]any)
}

func TestStartRun(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	const span = `{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T10:00:00+01:00"}`
	first := b.startRuns(span)[0].(map[string]any)
	id := first["id"].(string)
	delete(first, "id")
	want := map[string]any{
		"model": "fraud", "job": "hourly", "kind": "drift", "revision": 1.0, "state": "queued", "attempts": 0.0,
		"window":     map[string]any{"start": "2026-11-21T08:00:00Z", "end": "2026-11-21T09:00:00Z"},
		"input_rows": 0.0, "data_files": 0.0, "rows": 0.0, "not_before": "2026-11-21T10:07:00Z", "created_at": "2026-11-21T10:07:00Z",
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	shown := decode(t, b.want(http.StatusOK, http.MethodGet, "/v1/runs/"+id, "").body).(map[string]any)
	delete(shown, "id")
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("shown run (-want +got):\n%s", diff)
	}
	// The same window again, as a new request: the next revision.
	if again := b.startRuns(span)[0].(map[string]any); again["revision"] != 2.0 {
		t.Errorf("run again is %v", again)
	}
}

func TestStartRunNow(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	for _, body := range []string{"", "{}"} {
		run := b.startRuns(body)[0].(map[string]any)
		if got := fmt.Sprint(run["window"]); got != "map[end:2026-11-21T10:05:00Z start:2026-11-21T09:05:00Z]" {
			t.Errorf("window is %s", got)
		}
	}
	l, err := b.client.StartRuns(t.Context(), "fraud", "hourly", modelwatch.Window{}, "")
	if err != nil || len(l.Items) != 1 || l.Items[0].Revision != 3 {
		t.Errorf("client started %v, %v", l, err)
	}
}

func TestStartRunIdempotency(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	const span = `{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T09:00:00Z"}`
	first := b.startRuns(span, "Idempotency-Key", "k1")
	if diff := cmp.Diff(first, b.startRuns(span, "Idempotency-Key", "k1")); diff != "" {
		t.Errorf("the same key made another run:\n%s", diff)
	}
	if other := b.startRuns(span, "Idempotency-Key", "k2"); cmp.Equal(first, other) {
		t.Error("another key made the same run")
	}
	b.wantProblem(409, []string{"header.Idempotency-Key"}, http.MethodPost, runsPath,
		`{"start":"2026-11-21T07:00:00Z","end":"2026-11-21T08:00:00Z"}`, "Content-Type", jsonType, "Idempotency-Key", "k1")
	runs, err := b.client.Runs(t.Context(), api.RunFilter{})
	if err != nil || len(runs.Items) != 2 {
		t.Errorf("there are %v, %v: want two", runs, err)
	}
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	runs := b.startRuns(`{"start":"2026-11-20T00:00:00Z","end":"2026-11-21T00:00:00Z"}`)
	if len(runs) != 1 || runs[0].(map[string]any)["id"] != "r1" {
		t.Errorf("backfill answered %v", runs)
	}
	if got := b.backfill.span.Duration(); got != 24*time.Hour {
		t.Errorf("backfilled %v", b.backfill.span)
	}
}

func TestStartRunRefuses(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	for body, location := range map[string]string{
		`{"start":"2026-11-21T08:00:00Z"}`:                               "body.end",
		`{"end":"2026-11-21T08:00:00Z"}`:                                 "body.start",
		`{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T08:00:00Z"}`:  "body.end",
		`{"start":"2026-11-21T10:00:00Z","end":"2026-11-21T11:00:00Z"}`:  "body.end",
		`{"start":"2000-11-21T10:00:00Z","end":"2026-11-21T10:00:00Z"}`:  "body.end",
		`{"start":"yesterday","end":"2026-11-21T11:00:00Z"}`:             "body.start",
		`{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T08:00:00Z "}`: "body.end",
		`{"begin":"2026-11-21T08:00:00Z"}`:                               "body.begin",
	} {
		b.wantProblem(422, []string{location}, http.MethodPost, runsPath, body, "Content-Type", jsonType)
	}
	b.wantProblem(404, nil, http.MethodPost, "/v1/models/fraud/jobs/nosuch/runs", `{}`, "Content-Type", jsonType)
	b.wantProblem(404, nil, http.MethodGet, "/v1/runs/nosuch", "")
	b.wantProblem(422, []string{"query.state"}, http.MethodGet, "/v1/runs?state=done", "")
	b.wantProblem(422, []string{"query.to"}, http.MethodGet, "/v1/runs?from=2026-11-21T08:00:00Z&to=2026-11-21T07:00:00Z", "")
}

func TestListRuns(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	for _, hour := range []int{6, 7, 8} {
		start := time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC)
		if _, err := b.client.StartRuns(t.Context(), "fraud", "hourly", modelwatch.Window{Start: start, End: start.Add(time.Hour)}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		filter api.RunFilter
		want   int
	}{
		"all":           {api.RunFilter{}, 3},
		"another model": {api.RunFilter{Model: "x"}, 0},
		"job":           {api.RunFilter{Model: "fraud", Job: "hourly", State: modelwatch.RunQueued}, 3},
		"state":         {api.RunFilter{State: modelwatch.RunFailed}, 0},
		"from":          {api.RunFilter{From: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}, 1},
		"to":            {api.RunFilter{To: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}, 2},
	} {
		var n int
		for _, err := range api.All(func(page api.Page) (api.List[api.Run], error) {
			f := tt.filter
			f.Page = api.Page{Limit: 2, Cursor: page.Cursor}
			return b.client.Runs(t.Context(), f)
		}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != tt.want {
			t.Errorf("%s: %d runs, want %d", name, n, tt.want)
		}
	}
}

func TestRunTimes(t *testing.T) {
	t.Parallel()
	b := setupRuns(t)
	b.startRuns(`{"start":"2026-11-21T08:00:00Z","end":"2026-11-21T09:00:00Z"}`)
	run := b.complete()
	shown, err := b.client.Run(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if shown.State != modelwatch.RunSucceeded || shown.DurationSeconds == nil || *shown.DurationSeconds < 0 || shown.FinishedAt == nil {
		t.Errorf("finished run is %+v", shown)
	}
}
