package sink

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

var testNow = time.Date(2026, 11, 21, 10, 7, 30, 0, time.UTC)

func value(v float64) *float64 { return &v }

// driftOf is a measurement as a drift job makes it.
func driftOf(metric, name string, v float64) modelwatch.Measurement {
	return modelwatch.Measurement{
		Value: modelwatch.Value{Metric: metric, Value: value(v), NBaseline: 50_000, NCurrent: 5000},
		RunID: "run-1", Model: "fraud", Version: "3.1.0", Job: "hourly", Kind: modelwatch.JobDrift,
		Window:  modelwatch.Window{Start: testNow.Add(-67*time.Minute - 30*time.Second), End: testNow.Add(-7*time.Minute - 30*time.Second)},
		Subject: modelwatch.SubjectFeature, Name: name, Baseline: "training",
	}
}

func runOf(m modelwatch.Measurement) *modelwatch.Run {
	return &modelwatch.Run{
		ID: m.RunID, Model: m.Model, Job: m.Job, Kind: m.Kind, Window: m.Window, Revision: 1,
		StartedAt: testNow.Add(-2500 * time.Millisecond), FinishedAt: testNow,
	}
}

// render1 gives one measurement's point as text.
func render1(t *testing.T, m modelwatch.Measurement) string {
	t.Helper()
	points := Points(modelwatch.Publication{Measurements: []modelwatch.Measurement{m}, WindowLabel: "1h"}, MappingOptions{Now: testNow})
	return points[0].Metric + " " + strings.Join(points[0].Tags, " ")
}

func TestPointsNamesAndTags(t *testing.T) {
	t.Parallel()
	base := "job:hourly model:fraud model_version:3.1.0"
	tests := []struct {
		name   string
		change func(*modelwatch.Measurement)
		want   string
	}{
		{"drift of a feature", func(m *modelwatch.Measurement) {},
			"modelwatch.drift.psi baseline:training feature:amount " + base + " subject:feature window:1h"},
		{"drift of a prediction", func(m *modelwatch.Measurement) { m.Subject, m.Name = modelwatch.SubjectPrediction, "score" },
			"modelwatch.drift.psi baseline:training feature:score " + base + " subject:prediction window:1h"},
		{"drift of the model", func(m *modelwatch.Measurement) {
			m.Subject, m.Name, m.Metric = modelwatch.SubjectModel, "", "drifted_features"
		}, "modelwatch.drift.drifted_features baseline:training " + base + " subject:model window:1h"},
		{"drift of a group", func(m *modelwatch.Measurement) { m.Subject, m.Name = modelwatch.SubjectGroup, "Money" },
			"modelwatch.drift.psi baseline:training feature_group:money " + base + " subject:group window:1h"},
		{"largest of the model", func(m *modelwatch.Measurement) {
			m.Subject, m.Name, m.Metric = modelwatch.SubjectModel, "", "psi_max"
		}, "modelwatch.drift.psi_max baseline:training " + base + " subject:model window:1h"},
		{"segments", func(m *modelwatch.Measurement) {
			m.Segment = map[string]string{"device": "Mobile", "country": "DE"}
		}, "modelwatch.drift.psi baseline:training country:de device:mobile feature:amount " + base + " subject:feature window:1h"},
		{"segment by a key of ours", func(m *modelwatch.Measurement) { m.Segment = map[string]string{"Model": "x", "host": "h", "2fa": "on"} },
			"modelwatch.drift.psi baseline:training feature:amount " + base + " segment_2fa:on segment_host:h segment_model:x subject:feature window:1h"},
		{"segment without a value", func(m *modelwatch.Measurement) { m.Segment = map[string]string{"country": ""} },
			"modelwatch.drift.psi baseline:training country:blank feature:amount " + base + " subject:feature window:1h"},
		{"quality from a drift job", func(m *modelwatch.Measurement) { m.Metric = "missing_ratio" },
			"modelwatch.quality.missing_ratio feature:amount " + base + " window:1h"},
		{"quality job", func(m *modelwatch.Measurement) { m.Metric, m.Kind = "row_count", modelwatch.JobQuality },
			"modelwatch.quality.row_count feature:amount " + base + " window:1h"},
		{"backtest", func(m *modelwatch.Measurement) {
			m.Metric, m.Kind, m.Subject, m.Name, m.Mature = "auc_roc", modelwatch.JobBacktest, modelwatch.SubjectModel, "", true
		}, "modelwatch.backtest.auc_roc " + base + " mature:true window:1h"},
		{"backtest per class and cut-off", func(m *modelwatch.Measurement) {
			m.Metric, m.Kind, m.Subject, m.Name, m.Class, m.K = "precision", modelwatch.JobBacktest, modelwatch.SubjectModel, "", "Very High", 10
		}, "modelwatch.backtest.precision class:very_high " + base + " k:10 mature:false window:1h"},
		{"estimate", func(m *modelwatch.Measurement) {
			m.Metric, m.Kind, m.Subject, m.Name = "estimated_accuracy", modelwatch.JobBacktest, modelwatch.SubjectModel, ""
		}, "modelwatch.estimated.accuracy " + base + " mature:false window:1h"},
		{"attribution", func(m *modelwatch.Measurement) { m.Subject = modelwatch.SubjectAttribution },
			"modelwatch.attribution.psi feature:amount " + base + " window:1h"},
		{"no version", func(m *modelwatch.Measurement) { m.Version = "" },
			"modelwatch.drift.psi baseline:training feature:amount job:hourly model:fraud subject:feature window:1h"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := driftOf("psi", "amount", 0.3)
			tt.change(&m)
			got := render1(t, m)
			wantFields := strings.Fields(tt.want)
			slices.Sort(wantFields[1:])
			if want := strings.Join(wantFields, " "); got != want {
				t.Errorf("point is\n %s, want\n %s", got, want)
			}
		})
	}
}

func TestPointsOfARun(t *testing.T) {
	t.Parallel()
	psi, none, infinite := driftOf("psi", "amount", 0.3), driftOf("psi", "city", 0), driftOf("kl", "amount", math.Inf(1))
	none.Value.Value, none.Reason, none.NCurrent = nil, modelwatch.ReasonTooFew, 12
	infinite.NCurrent = 4990
	segment := driftOf("psi", "amount", 0.1)
	segment.Segment, segment.NCurrent = map[string]string{"country": "DE"}, 9_999_999
	other := driftOf("psi", "amount", 0.2)
	other.Version, other.NCurrent, other.LabelCoverage = "3.2.0", 70, value(0.75)

	pub := modelwatch.Publication{
		Run: runOf(psi), WindowLabel: "1h",
		Measurements: []modelwatch.Measurement{psi, none, infinite, segment, other},
	}
	points := Points(pub, MappingOptions{Now: testNow, Tags: map[string]string{"env": "Prod", "model": "not this"}})
	var got []string
	for _, p := range points {
		got = append(got, fmt.Sprintf("%s %s %v %s", p.Metric, p.Type, p.Value, strings.Join(p.Tags, " ")))
		if !p.Time.Equal(psi.Window.End) {
			t.Errorf("%s is stamped %s, want the window's end, %s", p.Metric, p.Time, psi.Window.End)
		}
	}
	want := []string{
		"modelwatch.drift.psi gauge 0.3 baseline:training env:prod feature:amount job:hourly model:fraud model_version:3.1.0 subject:feature window:1h",
		"modelwatch.drift.psi gauge 0.1 baseline:training country:de env:prod feature:amount job:hourly model:fraud model_version:3.1.0 subject:feature window:1h",
		"modelwatch.drift.psi gauge 0.2 baseline:training env:prod feature:amount job:hourly model:fraud model_version:3.2.0 subject:feature window:1h",
		"modelwatch.sample_size gauge 5000 env:prod job:hourly model:fraud model_version:3.1.0 window:1h",
		"modelwatch.sample_size gauge 70 env:prod job:hourly model:fraud model_version:3.2.0 window:1h",
		"modelwatch.label_coverage gauge 0.75 env:prod job:hourly model:fraud model_version:3.2.0 window:1h",
		"modelwatch.run.duration gauge 2.5 env:prod job:hourly kind:drift model:fraud",
		"modelwatch.run.lag gauge 450 env:prod job:hourly kind:drift model:fraud",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
}

func TestPointsOfALaterRevisionHaveNoLag(t *testing.T) {
	t.Parallel()
	m := driftOf("psi", "amount", 0.3)
	run := runOf(m)
	run.Revision = 2
	for _, p := range Points(modelwatch.Publication{Run: run}, MappingOptions{Now: testNow}) {
		if p.Metric == "modelwatch.run.lag" {
			t.Errorf("a later revision has a lag of %v s", p.Value)
		}
	}
}

func TestPointsOfAFailedRunHaveNoLag(t *testing.T) {
	t.Parallel()
	run := runOf(driftOf("psi", "amount", 0.3))
	run.State = modelwatch.RunFailed
	points := Points(modelwatch.Publication{Run: run}, MappingOptions{Now: testNow})
	if len(points) != 1 || points[0].Metric != "modelwatch.run.duration" {
		t.Errorf("points = %+v, want the duration alone", points)
	}
}

func TestPointTimes(t *testing.T) {
	t.Parallel()
	end := func(age time.Duration) modelwatch.Measurement {
		m := driftOf("psi", "amount", 0.3)
		m.Window = modelwatch.Window{Start: testNow.Add(-age - time.Hour), End: testNow.Add(-age)}
		return m
	}
	tests := []struct {
		name       string
		age        time.Duration
		timestamps Timestamps
		wantAge    time.Duration
	}{
		{"recent", 10 * time.Minute, TimestampsNow, 10 * time.Minute},
		{"just under 55 minutes", 55*time.Minute - time.Second, TimestampsNow, 55*time.Minute - time.Second},
		{"55 minutes", 55 * time.Minute, TimestampsNow, 0},
		{"days", 72 * time.Hour, TimestampsNow, 0},
		{"zero value is now", 72 * time.Hour, "", 0},
		{"days with historical ingestion", 72 * time.Hour, TimestampsWindow, 72 * time.Hour},
		{"a little ahead", -time.Minute, TimestampsNow, -time.Minute},
		{"far ahead", -time.Hour, TimestampsNow, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pub := modelwatch.Publication{Measurements: []modelwatch.Measurement{end(tt.age)}}
			p := Points(pub, MappingOptions{Now: testNow, Timestamps: tt.timestamps})[0]
			if got := testNow.Sub(p.Time); got != tt.wantAge {
				t.Errorf("point is %s old, want %s", got, tt.wantAge)
			}
		})
	}
}

func TestPointsHaveWholeSecondsInUTC(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	now := testNow.Add(123 * time.Millisecond).In(zone)
	pub := modelwatch.Publication{Counts: []modelwatch.Count{{Metric: "modelwatch.volume.labels", Value: 1, Time: now}}, Run: runOf(driftOf("psi", "a", 1))}
	pub.Run.Window = modelwatch.Window{}
	for _, p := range Points(pub, MappingOptions{Now: now}) {
		if !p.Time.Equal(testNow) || p.Time.Location() != time.UTC {
			t.Errorf("%s is stamped %v, want %v", p.Metric, p.Time, testNow)
		}
	}
}

// Counts of an outage of hours, one each ten seconds, must all arrive, each in
// a second of its own, within what Datadog takes.
func TestPointsOfOldCountsNeverMeet(t *testing.T) {
	t.Parallel()
	var counts []modelwatch.Count
	for at := testNow.Add(-5 * time.Hour); at.Before(testNow); at = at.Add(10 * time.Second) {
		counts = append(counts, modelwatch.Count{
			Metric: "modelwatch.volume.predictions", Tags: map[string]string{"model": "fraud", "model_version": "3.1.0"},
			Value: 7, Time: at, IntervalSeconds: 10,
		})
	}
	seen := map[string]bool{}
	shifted := 0
	for _, p := range Points(modelwatch.Publication{Counts: counts}, MappingOptions{Now: testNow}) {
		if age := testNow.Sub(p.Time); age < 0 || age >= recent {
			t.Fatalf("count is %s old", age)
		}
		id := fmt.Sprint(p.Time.Unix(), p.Tags)
		if seen[id] {
			t.Fatalf("two counts at %s with tags %s", p.Time, p.Tags)
		}
		seen[id] = true
		if strings.Contains(id, "shifted:") {
			shifted++
		}
	}
	if len(seen) != len(counts) || shifted != (5*60-55)*6+1 {
		t.Errorf("%d points for %d counts, %d of them moved", len(seen), len(counts), shifted)
	}
	for _, p := range Points(modelwatch.Publication{Counts: counts[:1]}, MappingOptions{Now: testNow, Timestamps: TimestampsWindow}) {
		if !p.Time.Equal(counts[0].Time) || len(p.Tags) != 2 {
			t.Errorf("with historical ingestion the count is %+v", p)
		}
	}
}

func TestPointsTellNamesApart(t *testing.T) {
	t.Parallel()
	of := func(names ...string) modelwatch.Publication {
		pub := modelwatch.Publication{}
		for _, n := range names {
			pub.Measurements = append(pub.Measurements, driftOf("psi", n, 1))
		}
		return pub
	}
	features := func(points []Point) []string {
		var out []string
		for _, p := range points {
			for _, tag := range p.Tags {
				if f, ok := strings.CutPrefix(tag, "feature:"); ok {
					out = append(out, f)
				}
			}
		}
		return out
	}
	// What folding leaves as it is keeps its name, wherever it stands.
	got := features(Points(of("Risk Score", "risk_score", "RISK-SCORE "), MappingOptions{Now: testNow}))
	if got[1] != "risk_score" || got[2] != "risk-score" || !strings.HasPrefix(got[0], "risk_score_") || len(got[0]) != len("risk_score_12345678") {
		t.Errorf("features = %v, want the first with a suffix and the others without", got)
	}
	again := features(Points(of("risk_score", "Risk Score"), MappingOptions{Now: testNow}))
	if again[1] != got[0] {
		t.Errorf("the suffix depends on order: %s and %s", again[1], got[0])
	}
	long := strings.Repeat("x", 300)
	cut := features(Points(of(long+"a", long+"b"), MappingOptions{Now: testNow}))
	if cut[0] == cut[1] || len("feature:"+cut[0]) > NameLimit || len("feature:"+cut[1]) > NameLimit {
		t.Errorf("long names become %q", cut)
	}
	segments := of("a")
	segments.Measurements[0].Segment = map[string]string{"Country": "de", "country": "fr"}
	tags := Points(segments, MappingOptions{Now: testNow})[0].Tags
	if !slices.Contains(tags, "country:fr") || !slices.ContainsFunc(tags, func(s string) bool { return strings.HasPrefix(s, "country_") }) {
		t.Errorf("keys that fold into one become %v", tags)
	}
}

// Models are told apart over publications; the names within a model are its own.
func TestPointsTellModelsApart(t *testing.T) {
	t.Parallel()
	names := NewNames(nil)
	tags := func(model, feature string) string {
		m := driftOf("psi", feature, 1)
		m.Model = model
		tags := Points(modelwatch.Publication{Measurements: []modelwatch.Measurement{m}}, MappingOptions{Now: testNow, Names: names})[0].Tags
		return tags[1] + " " + tags[3]
	}
	if got := tags("fraud", "amount"); got != "feature:amount model:fraud" {
		t.Errorf("tags = %s", got)
	}
	if got := tags("price", "Amount"); got != "feature:amount model:price" {
		t.Errorf("tags of another model = %s", got)
	}
	if got := tags("FRAUD", "Amount"); !strings.HasPrefix(got, "feature:amount model:fraud_") {
		t.Errorf("tags of a model of nearly the same name = %s", got)
	}
}

func TestPointsAreDeterministicAndKeepTheirInput(t *testing.T) {
	t.Parallel()
	m := driftOf("psi", "amount", 0.3)
	m.Segment = map[string]string{"country": "DE", "device": "mobile", "a": "b", "c": "d"}
	pub := modelwatch.Publication{Run: runOf(m), Measurements: []modelwatch.Measurement{m}, Counts: []modelwatch.Count{
		{Metric: "modelwatch.volume.labels", Tags: map[string]string{"model": "fraud", "a": "b"}, Value: 3, Time: testNow},
	}}
	first := Points(pub, MappingOptions{Now: testNow})
	for range 20 {
		if diff := cmp.Diff(first, Points(pub, MappingOptions{Now: testNow})); diff != "" {
			t.Fatalf("points differ:\n%s", diff)
		}
	}
	if len(m.Segment) != 4 || len(pub.Counts[0].Tags) != 2 {
		t.Error("the publication was changed")
	}
}

func TestPointsOfNothing(t *testing.T) {
	t.Parallel()
	if got := Points(modelwatch.Publication{}, MappingOptions{Now: testNow}); len(got) != 0 {
		t.Errorf("points = %v", got)
	}
}

// The n of groups, and of the model's averages, counts features: it is no sample size.
func TestSampleSizeCountsRows(t *testing.T) {
	t.Parallel()
	group, model := driftOf("psi", "money", 0.1), driftOf("psi", "", 0.1)
	group.Subject, group.NCurrent = modelwatch.SubjectGroup, 7000
	model.Subject, model.NCurrent = modelwatch.SubjectModel, 8000
	for _, p := range Points(modelwatch.Publication{Measurements: []modelwatch.Measurement{driftOf("psi", "amount", 0.1), group, model}}, MappingOptions{Now: testNow}) {
		if p.Metric == "modelwatch.sample_size" && p.Value != 5000 {
			t.Errorf("sample size %v, want 5000", p.Value)
		}
	}
}
