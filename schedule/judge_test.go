package schedule_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/schedule"
)

func pointer(v float64) *float64 { return &v }

// hours computes an hourly job over hours whose amounts are shifted so far, and
// returns what was measured in the order of windows.
func (b *bundle) hours(j modelwatch.Job, shifts ...float64) []modelwatch.Measurement {
	b.t.Helper()
	start := time.Now()
	for h, shift := range shifts {
		b.add(modelwatch.KindPrediction, "1", traffic(start.Add(time.Duration(h)*time.Hour), 1000, shift)...)
	}
	job := b.job(j)
	w := b.worker("a", func(o *schedule.Options) { o.Executors = 1 }).start()
	b.pass(time.Duration(len(shifts))*time.Hour + job.Delay + 10*time.Minute)
	w.stop()
	ms := b.measurements(modelwatch.MeasurementFilter{Job: job.Name})
	slices.SortStableFunc(ms, func(x, y modelwatch.Measurement) int { return x.Window.End.Compare(y.Window.End) })
	return ms
}

func features(ms []modelwatch.Measurement) []modelwatch.Measurement {
	return slices.DeleteFunc(ms, func(m modelwatch.Measurement) bool { return m.Subject != modelwatch.SubjectFeature })
}

func breaches(ms []modelwatch.Measurement) (out []bool) {
	for _, m := range ms {
		out = append(out, m.Breached)
	}
	return out
}

func TestThresholdsLookBack(t *testing.T) {
	t.Parallel()
	upper := modelwatch.Threshold{Metric: "mean_shift", Upper: pointer(0.3)}
	twoOfThree := upper
	twoOfThree.For = modelwatch.Share{K: 2, N: 3}
	for _, tt := range []struct {
		name      string
		threshold modelwatch.Threshold
		shifts    []float64
		want      []bool
	}{
		{"each window alone", upper, []float64{0, 50, 0, 50, 50}, []bool{false, true, false, true, true}},
		{"two of three", twoOfThree, []float64{0, 50, 0, 50, 0, 0}, []bool{false, false, false, true, false, false}},
		{
			"against two hours before", modelwatch.Threshold{Metric: "mean_shift", ChangePercent: 50, Against: modelwatch.Against{Lag: 2 * time.Hour}},
			[]float64{20, 50, 40, 50, 50}, []bool{false, false, true, false, false},
		},
		{
			"difference, twice", modelwatch.Threshold{Metric: "mean_shift", Difference: 0.3, Against: modelwatch.Against{Lag: time.Hour}, For: modelwatch.Share{K: 2, N: 2}},
			[]float64{0, 20, 40, 40, 60}, []bool{false, false, true, false, false},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				ms := b.hours(modelwatch.Job{Metrics: []string{"mean_shift"}, Thresholds: []modelwatch.Threshold{tt.threshold}}, tt.shifts...)
				if diff := cmp.Diff(tt.want, breaches(features(ms))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestThresholdsAgainstAnotherVersion(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1", "2")
		b.add(modelwatch.KindPrediction, "2", traffic(time.Now(), 1000, 20)...)
		ms := features(b.hours(modelwatch.Job{Metrics: []string{"mean_shift"}, Thresholds: []modelwatch.Threshold{
			{Metric: "mean_shift", Difference: 0.5, Against: modelwatch.Against{Version: "2"}},
		}}, 50))
		if len(ms) != 2 || !ms[0].Breached || ms[0].Threshold.Upper == nil || ms[1].Breached || ms[1].Threshold == nil || ms[1].Threshold.Upper != nil {
			t.Fatalf("measurements %+v; want a breach of version 1 only", ms)
		}
		if want := *ms[1].Value.Value + 0.5; *ms[0].Threshold.Upper != want {
			t.Errorf("limit %v, want %v", *ms[0].Threshold.Upper, want)
		}
	})
}

// Limits are learnt from the ten chunks once, and from none that are too small.
func TestThresholdsLearn(t *testing.T) {
	t.Parallel()
	learn := modelwatch.Threshold{Metric: "psi", Learn: &modelwatch.Learn{SD: 3}}
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		ms := features(b.hours(modelwatch.Job{Metrics: []string{"psi"}, Thresholds: []modelwatch.Threshold{learn}}, 0, 0))
		if len(ms) != 2 || ms[0].Threshold.Upper == nil || ms[0].Threshold.Lower != nil || *ms[0].Threshold.Upper <= 0 {
			t.Fatalf("measurements %+v; want an upper limit", ms)
		}
		if diff := cmp.Diff(ms[0].Threshold, ms[1].Threshold); diff != "" || b.shelf.learnt != 10 {
			t.Errorf("%d chunks were read, want 10 once; %s", b.shelf.learnt, diff)
		}
	})
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		ms := features(b.hours(modelwatch.Job{Metrics: []string{"psi"}, MinimumRows: 101, Thresholds: []modelwatch.Threshold{learn}}, 50))
		if len(ms) != 1 || ms[0].Breached || ms[0].Threshold == nil || ms[0].Threshold.Upper != nil {
			t.Errorf("measurements %+v; want no limit", ms)
		}
		if b.logs.count("nothing is learnt") != 1 {
			t.Error("no warning says why")
		}
	})
}

func TestFeatureGroups(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.shelf.fee = true
		b.model("fraud", "1")
		_, _, err := b.catalog.PutModel(t.Context(), modelwatch.Model{
			Name: "fraud", Task: modelwatch.TaskBinary, Positive: "fraud", FeatureGroups: map[string][]string{"money": {"am*", "fee"}, "nothing": {"x"}},
		})
		must(t, err)
		_, _, err = b.catalog.PutVersion(t.Context(), modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: 1, Schema: modelwatch.Schema{Features: []modelwatch.Feature{
			{Name: "amount", Type: modelwatch.TypeNumber, Importance: 3}, {Name: "fee", Type: modelwatch.TypeNumber, Importance: 1},
		}}})
		must(t, err)
		ms := b.hours(modelwatch.Job{Metrics: []string{"js_distance"}, Thresholds: []modelwatch.Threshold{
			{Metric: "js_distance", Name: "amount", Upper: pointer(0.1)}, {Metric: "js_distance", Name: "fee", Upper: pointer(1)}, {Metric: "js_distance_max", Name: "money", Upper: pointer(0.1)},
		}}, 50)
		var got []string
		for _, m := range ms {
			got = append(got, fmt.Sprintf("%s %s %s breached=%v", m.Subject, m.Name, m.Metric, m.Breached))
		}
		want := []string{
			"feature amount js_distance breached=true", "feature fee js_distance breached=false",
			"model  drifted_features breached=false", "model  drifted_share breached=false",
			"group money js_distance breached=false", "group money js_distance_max breached=true", "group money drifted_share breached=false",
			"model  js_distance breached=false", "model  js_distance_max breached=false",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if share, mean, amount, fee := *ms[6].Value.Value, *ms[4].Value.Value, *ms[0].Value.Value, *ms[1].Value.Value; share != 0.75 || mean < (3*amount+fee)/4-1e-12 || mean > (3*amount+fee)/4+1e-12 {
			t.Errorf("drifted share %v, mean %v of %v and %v; want both weighted 3 to 1", share, mean, amount, fee)
		}
	})
}

func TestSegments(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		ms := b.hours(modelwatch.Job{Metrics: []string{"ks", "drifted_share"}, Segments: [][]string{{"second"}}, Thresholds: []modelwatch.Threshold{{Metric: "ks", Upper: pointer(0.2)}}}, 50)
		var got []string
		for _, m := range ms {
			got = append(got, fmt.Sprintf("%v %s %s %d/%d breached=%v", m.Segment, m.Subject, m.Metric, m.NCurrent, m.NBaseline, m.Breached))
		}
		want := []string{
			"map[] feature ks 1000/1000 breached=true", "map[] model drifted_share 1000/1000 breached=false",
			"map[second:even] feature ks 500/1000 breached=true", "map[second:even] model drifted_share 500/1000 breached=false",
			"map[second:odd] feature ks 500/1000 breached=true", "map[second:odd] model drifted_share 500/1000 breached=false",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Rows are read where the job asks for what profiles do not answer, and limits are
// learnt by the same rules.
func TestMeasuredFromRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		job    modelwatch.Job
		metric string
	}{
		{"exact", modelwatch.Job{Exact: true, Metrics: []string{"ks"}}, "ks"},
		{"compat", modelwatch.Job{Compat: "nannyml", Metrics: []string{"js_distance"}}, "js_distance"},
		{"the tool's own metric", modelwatch.Job{Compat: "nannyml"}, "js_distance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				tt.job.Thresholds = []modelwatch.Threshold{{Metric: tt.metric, Learn: &modelwatch.Learn{SD: 3}}}
				ms := features(b.hours(tt.job, 50))
				if len(ms) == 0 || ms[0].Metric != tt.metric || ms[0].Value.Value == nil || ms[0].Lower != nil || ms[0].Threshold == nil || ms[0].Threshold.Upper == nil {
					t.Fatalf("measurements %+v; want %s with a learnt limit and no bounds", ms, tt.metric)
				}
				shelf := &shelf{rows: b.shelf.rows}
				rows, err := shelf.Open(t.Context(), schedule.Sides{Current: schedule.Traffic{Files: []modelwatch.DataFile{{Key: "file-1"}}, Windows: []modelwatch.Window{ms[0].Window}}}, 5000)
				must(t, err)
				x, y, err := rows.Samples(t.Context(), modelwatch.Column{})
				must(t, err)
				if n := b.shelf.open.Load(); n != 0 {
					t.Errorf("the rows of %d comparisons were left open", n)
				}
				var want float64
				if tt.job.Exact {
					want, _ = drift.ExactKS(x.Floats, y.Floats)
				} else {
					values, err := drift.MeasureCompat("nannyml", x, y, []string{tt.metric}, drift.Options{})
					must(t, err)
					want = *values[0].Value
				}
				if *ms[0].Value.Value != want {
					t.Errorf("%v, want %v", *ms[0].Value.Value, want)
				}
			})
		})
	}
}
