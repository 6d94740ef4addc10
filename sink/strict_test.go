package sink_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/sink"
	"github.com/modelwatch/modelwatch/sink/datadogtest"
)

// post sends points as the plainest client would.
func post(t rapid.TB, in *datadogtest.Intake, points []sink.Point) {
	var series []map[string]any
	for _, p := range points {
		kind := 3
		if p.Type == sink.Count {
			kind = 1
		}
		series = append(series, map[string]any{
			"metric": p.Metric, "type": kind, "tags": p.Tags, "interval": p.IntervalSeconds, "unit": p.Unit,
			"points": []map[string]any{{"timestamp": p.Time.Unix(), "value": p.Value}},
		})
	}
	body, err := json.Marshal(map[string]any{"series": series})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v2/series", bytes.NewReader(body))
	r.Header.Set("DD-API-KEY", "k")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	in.ServeHTTP(w, r)
	if w.Code != http.StatusAccepted {
		t.Fatalf("the intake answers %d: %s", w.Code, w.Body)
	}
}

// Whatever models, features and segments are called, Datadog takes the points
// as they are, and as many series as there were.
func TestPointsPassTheStrictIntake(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z_ .:-]{0,12}`), rapid.SampledFrom([]string{"a", "A", "a ", " a", "a_", "blank", "", "ſ", "S", "s"}))
	rapid.Check(t, func(t *rapid.T) {
		in := datadogtest.NewIntake(datadogtest.Options{Now: func() time.Time { return now }})
		features := rapid.SliceOfNDistinct(name, 1, 8, rapid.ID[string]).Draw(t, "features")
		version, job := name.Draw(t, "version"), name.Draw(t, "job")
		segmentKey, segment := name.Draw(t, "segment key"), rapid.SliceOfNDistinct(name, 1, 3, rapid.ID[string]).Draw(t, "segments")
		v := 0.5
		pub := modelwatch.Publication{WindowLabel: name.Draw(t, "window")}
		named := 0
		for _, f := range features {
			if f == "" {
				continue // a measurement of the model
			}
			named++
			for _, s := range segment {
				pub.Measurements = append(pub.Measurements, modelwatch.Measurement{
					Value: modelwatch.Value{Metric: "psi", Value: &v}, Model: "m", Version: version, Job: job, Name: f,
					Subject: modelwatch.SubjectFeature, Segment: map[string]string{segmentKey: s},
					Window: modelwatch.Window{End: now.Add(-rapid.SampledFrom([]time.Duration{0, time.Minute, 54 * time.Minute, 100 * time.Hour}).Draw(t, "age"))},
				})
			}
		}
		pub.Counts = []modelwatch.Count{{Metric: "modelwatch.volume.labels", Tags: map[string]string{"model": name.Draw(t, "counted")}, Value: 1, Time: now.Add(-30 * time.Hour), IntervalSeconds: 10}}
		points := sink.Points(pub, sink.MappingOptions{Now: now})
		post(t, in, points)
		if got, want := len(in.Find("modelwatch.drift.psi")), named*len(segment); got != want {
			t.Fatalf("%d series for %d features and %d segments: some became one", got, named, len(segment))
		}
	})
}
