package api_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func ptr[T any](v T) *T { return &v }

// setupMeasurements completes one run an hour with n measurements each.
func setupMeasurements(t *testing.T, runs, n int) *testBundle {
	t.Helper()
	b := setupRuns(t)
	for hour := range runs {
		start := time.Date(2026, 11, 20, hour, 0, 0, 0, time.UTC)
		if _, err := b.client.StartRuns(t.Context(), "fraud", "hourly", modelwatch.Window{Start: start, End: start.Add(time.Hour)}, ""); err != nil {
			t.Fatal(err)
		}
		var ms []modelwatch.Measurement
		for i := range n {
			ms = append(ms, modelwatch.Measurement{
				Value:   modelwatch.Value{Metric: "psi", Value: ptr(0.25), Null95: ptr(0.01), NBaseline: 100, NCurrent: int64(1000*hour + i)},
				Version: "1", Subject: modelwatch.SubjectFeature, Name: fmt.Sprintf("f%04d", i), Baseline: "training",
				Threshold: &modelwatch.Bounds{Upper: ptr(0.2)}, Breached: true,
			})
		}
		b.complete(ms...)
	}
	return b
}

func TestListMeasurements(t *testing.T) {
	t.Parallel()
	b := setupMeasurements(t, 3, 2)
	a := b.want(http.StatusOK, http.MethodGet, "/v1/measurements?name=f0001&from=2026-11-20T02:30:00Z", "")
	item := decode(t, a.body).(map[string]any)["items"].([]any)[0].(map[string]any)
	if item["run"] == "" {
		t.Error("no run")
	}
	delete(item, "run")
	want := map[string]any{
		"model": "fraud", "version": "1", "job": "hourly", "kind": "drift", "revision": 1.0,
		"window":  map[string]any{"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"},
		"subject": "feature", "name": "f0001", "metric": "psi", "value": 0.25, "null_95": 0.01,
		"threshold": map[string]any{"upper": 0.2}, "breached": true, "baseline": "training",
		"n_baseline": 100.0, "n_current": 2001.0, "computed_at": "2026-11-21T10:07:00Z",
	}
	if diff := cmp.Diff(want, item); diff != "" {
		t.Errorf("measurement (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{
		"": 6, "model=fraud&version=1&job=hourly&metric=psi&subject=feature": 6, "model=x": 0, "version=2": 0, "metric=ks": 0,
		"subject=model": 0, "name=f0000": 3, "latest=true": 2, "to=2026-11-20T02:00:00Z": 4, "segment=country:DE": 0, "limit=4": 4,
		"run=nosuch": 0,
	} {
		a := b.want(http.StatusOK, http.MethodGet, "/v1/measurements?"+query, "")
		if got := len(decode(t, a.body).(map[string]any)["items"].([]any)); got != want {
			t.Errorf("%s: %d measurements, want %d", query, got, want)
		}
	}
	b.wantProblem(422, []string{"query.segment[1]"}, http.MethodGet, "/v1/measurements?segment=a:b&segment=c", "")
	b.wantProblem(422, []string{"query.subject"}, http.MethodGet, "/v1/measurements?subject=row", "")
	b.wantProblem(422, []string{"query.latest"}, http.MethodGet, "/v1/measurements?latest=perhaps", "")
	b.wantProblem(422, []string{"query.to"}, http.MethodGet, "/v1/measurements?from=2026-11-20T02:30:00Z&to=2026-11-20T02:30:00Z", "")
}

func TestClientMeasurements(t *testing.T) {
	t.Parallel()
	b := setupMeasurements(t, 2, 3)
	n := 0
	for m, err := range api.All(func(page api.Page) (api.List[api.Measurement], error) {
		return b.client.Measurements(t.Context(), api.MeasurementFilter{
			Page: api.Page{Limit: 4, Cursor: page.Cursor}, Model: "fraud", From: now.AddDate(0, 0, -7), To: now,
		})
	}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Value == nil || *m.Value != 0.25 || m.Window == nil {
			t.Errorf("measurement came back as %+v", m)
		}
		n++
	}
	if n != 6 {
		t.Errorf("%d measurements, want 6", n)
	}
	latest, err := b.client.Measurements(t.Context(), api.MeasurementFilter{Latest: true, Segment: map[string]string{"a": "b"}})
	if err != nil || len(latest.Items) != 0 {
		t.Errorf("of the segment there are %v, %v", latest, err)
	}
}

// listStore has n measurements, and gives out as many at a time as it is asked for.
type listStore struct {
	api.Store
	n int
}

func (s listStore) Measurements(_ context.Context, f api.MeasurementFilter) (ms []modelwatch.Measurement, next string, err error) {
	start := 0
	if f.Cursor != "" {
		if start, err = strconv.Atoi(f.Cursor); err != nil {
			return nil, "", err
		}
	}
	end := min(start+f.Limit, s.n)
	for i := start; i < end; i++ {
		ms = append(ms, modelwatch.Measurement{
			Value: modelwatch.Value{Metric: "psi", Value: ptr(0.25)}, RunID: "r", Subject: modelwatch.SubjectFeature,
			Name: strconv.Itoa(i), Threshold: &modelwatch.Bounds{Upper: ptr(0.2)}, Breached: true,
		})
	}
	if end < s.n {
		next = strconv.Itoa(end)
	}
	return ms, next, nil
}

func TestMeasurementsAsCSV(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Store = listStore{o.Store, 2500} })
	rows := b.csv("/v1/measurements", "text/csv")
	if len(rows) != 1+2500 {
		t.Fatalf("%d lines, want a header and 2500", len(rows))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i, row := range rows[1:] {
		cell := func(name string) string { return row[column[name]] }
		if cell("name") != strconv.Itoa(i) || cell("value") != "0.25" || cell("breached") != "true" || cell("reason") != "" || cell("threshold_upper") != "0.2" {
			t.Fatalf("line %d is %v", i, row)
		}
	}
	if rows := b.csv("/v1/measurements?limit=7", "application/json;q=0.1, text/csv"); len(rows) != 8 {
		t.Errorf("%d lines, want a header and 7", len(rows))
	}
	if rows := b.csv("/v1/measurements?cursor=2400", "text/csv"); len(rows) != 101 {
		t.Errorf("%d lines, want a header and 100", len(rows))
	}
	if a := b.want(http.StatusOK, http.MethodGet, "/v1/measurements", "", "Accept", "text/html,*/*"); a.Header.Get("Content-Type") != jsonType {
		t.Errorf("a browser gets %s", a.Header.Get("Content-Type"))
	}
	b.wantProblem(422, []string{"query.subject"}, http.MethodGet, "/v1/measurements?subject=row", "", "Accept", "text/csv")
}

func (b *testBundle) csv(path, accept string) [][]string {
	b.t.Helper()
	a := b.want(http.StatusOK, http.MethodGet, path, "", "Accept", accept)
	if got := a.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		b.t.Errorf("content type %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}
