package schedule_test

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

// judged are predictions of class "fraud" and "ok" by turns, in a segment, of which
// every wrongEvery-th is wrong; none for 0.
func judged(start time.Time, n, wrongEvery int, segment map[string]string) []shelfRow {
	rows := traffic(start, n, 0)
	for i := range rows {
		r := &rows[i]
		r.id = fmt.Sprintf("%s-%v", r.id, segment)
		r.predicted, r.segments = []string{"ok", "fraud"}[i%2], segment
		if r.label = r.predicted; wrongEvery > 0 && i%wrongEvery == wrongEvery-1 {
			r.label = []string{"fraud", "ok"}[i%2]
		}
	}
	return rows
}

// score runs an hourly backtest over rows, version by version, with their labels.
func (b *bundle) score(j modelwatch.Job, byVersion map[string][]shelfRow) []modelwatch.Measurement {
	b.t.Helper()
	for version, rows := range byVersion {
		slices.SortFunc(rows, func(x, y shelfRow) int { return x.time.Compare(y.time) })
		for i := range rows {
			rows[i].id += " of " + version
		}
		truth := slices.Clone(rows)
		b.add(modelwatch.KindPrediction, version, rows...)
		b.add(modelwatch.KindLabel, "", truth...)
	}
	j.Kind = modelwatch.JobBacktest
	run, ms := b.once(j)
	if run.State != modelwatch.RunSucceeded {
		b.t.Fatalf("run is %s: %s", run.State, run.Error)
	}
	return ms
}

// lines writes measurements of a metric: version, segment, class, k, value and what
// stands beside it.
func lines(ms []modelwatch.Measurement, metric string) []string {
	number := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f", *v)
	}
	var out []string
	for _, m := range ms {
		if m.Metric != metric {
			continue
		}
		line := fmt.Sprintf("%s %v", m.Version, m.Segment)
		if m.Class != "" {
			line += " " + m.Class
		}
		if m.K > 0 {
			line += fmt.Sprintf(" @%d", m.K)
		}
		line += " " + number(m.Value.Value) + string(m.Reason) + " baseline " + number(m.BaselineValue)
		if m.Threshold != nil {
			line += fmt.Sprintf(" %s..%s %t", number(m.Threshold.Lower), number(m.Threshold.Upper), m.Breached)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func in(country string) map[string]string { return map[string]string{"country": country} }

func TestBacktestSegments(t *testing.T) {
	t.Parallel()
	job := modelwatch.Job{Metrics: []string{"accuracy"}, MinimumRows: 10, Segments: [][]string{{"country"}, {"country", "device"}}}
	traffic := func(start time.Time) map[string][]shelfRow {
		return map[string][]shelfRow{"1": slices.Concat(
			judged(start, 100, 10, map[string]string{"country": "DE", "device": "phone"}),
			judged(start, 100, 5, map[string]string{"country": "FR"}),
			judged(start, 100, 4, map[string]string{"country": "XX", "device": "phone"}),
			judged(start, 100, 2, nil),
		)}
	}
	tests := []struct {
		name     string
		training []shelfRow
		want     []string
	}{
		{"of the baseline", slices.Concat(
			judged(time.Time{}, 50, 0, map[string]string{"country": "DE", "device": "phone"}), judged(time.Time{}, 50, 2, map[string]string{"country": "IT", "device": "desk"}),
		), []string{
			"1 map[] 0.738 baseline 0.750",
			"1 map[country:(missing)] 0.500 baseline -",
			"1 map[country:DE device:phone] 0.900 baseline 1.000",
			"1 map[country:DE] 0.900 baseline 1.000",
			"1 map[country:IT device:desk] -no_labels baseline 0.500",
			"1 map[country:IT] -no_labels baseline 0.500",
			"1 map[country:other device:other] 0.683 baseline -",
			"1 map[country:other] 0.775 baseline -",
		}},
		{"of the window, without a baseline that has rows", nil, []string{
			"1 map[] 0.738 baseline -",
			"1 map[country:(missing) device:(missing)] 0.500 baseline -",
			"1 map[country:(missing)] 0.500 baseline -",
			"1 map[country:DE device:phone] 0.900 baseline -",
			"1 map[country:DE] 0.900 baseline -",
			"1 map[country:FR device:(missing)] 0.800 baseline -",
			"1 map[country:FR] 0.800 baseline -",
			"1 map[country:XX device:phone] 0.750 baseline -",
			"1 map[country:XX] 0.750 baseline -",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				b.shelf.training = map[string][]shelfRow{"1": tt.training}
				ms := b.score(job, traffic(time.Now()))
				if diff := cmp.Diff(tt.want, lines(ms, "accuracy")); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				for _, m := range ms {
					if m.Metric == "accuracy" && m.Value.Value != nil && (m.LabelCoverage == nil || *m.LabelCoverage != 1 || m.ConstantValue == nil) {
						t.Errorf("%v: coverage %v, constant %v", m.Segment, m.LabelCoverage, m.ConstantValue)
					}
				}
			})
		})
	}
}

// Where no baseline says which segments there are, the first hundred have a group,
// the others share one.
func TestBacktestManySegments(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		rows := judged(time.Now(), 1300, 0, nil)
		for i := range rows {
			rows[i].segments = in(fmt.Sprint(i % 130))
		}
		ms := b.score(modelwatch.Job{Metrics: []string{"accuracy"}, MinimumRows: 1, Segments: [][]string{{"country"}}}, map[string][]shelfRow{"1": rows})
		n, other := 0, int64(0)
		if len(ms) == 0 {
			t.Fatal("no measurements")
		}
		for _, m := range b.measurements(modelwatch.MeasurementFilter{Metric: "accuracy"}) {
			if m.Segment != nil {
				n++
				if m.Segment["country"] == modelwatch.SegmentOther {
					other = m.NCurrent
				}
			}
		}
		if n != modelwatch.MaxSegments+1 || other != 300 {
			t.Errorf("%d segments, %d rows in other; want %d and 300", n, other, modelwatch.MaxSegments+1)
		}
	})
}

// Limits are mean and deviations of the ten chunks of the baseline's own rows, for
// the whole and for each segment; the rows are read once.
func TestBacktestLearns(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		// Chunks of 100 rows: by turns all right, and every fifth wrong.
		var training []shelfRow
		for chunk := range 10 {
			training = append(training, judged(time.Time{}, 50, 5*(chunk%2), in("DE"))...)
			training = append(training, judged(time.Time{}, 50, 5*(chunk%2), in("FR"))...)
		}
		b.shelf.training = map[string][]shelfRow{"1": training}
		start := time.Now()
		job := modelwatch.Job{
			Metrics: []string{"accuracy"}, MinimumRows: 20, Segments: [][]string{{"country"}},
			Thresholds: []modelwatch.Threshold{{Metric: "accuracy", Learn: &modelwatch.Learn{SD: 2}}},
		}
		ms := b.score(job, map[string][]shelfRow{"1": slices.Concat(judged(start, 100, 2, in("DE")), judged(start, 100, 0, in("FR")))})
		// Mean 0.9, standard deviation 0.1.
		want := []string{
			"1 map[] 0.750 baseline 0.900 0.700..- false",
			"1 map[country:DE] 0.500 baseline 0.900 0.700..- true",
			"1 map[country:FR] 1.000 baseline 0.900 0.700..- false",
		}
		if diff := cmp.Diff(want, lines(ms, "accuracy")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if b.shelf.read != 1 {
			t.Errorf("the baseline was read %d times", b.shelf.read)
		}
	})
}

func TestBacktestLearnsNothing(t *testing.T) {
	t.Parallel()
	learn := []modelwatch.Threshold{{Metric: "accuracy", Learn: &modelwatch.Learn{SD: 3}}}
	tests := []struct {
		name     string
		training int
		baseline bool
		want     string
	}{
		{"no truth", 0, true, "has no predictions with labels"},
		{"chunks too small", 900, true, "under minimum_rows"},
		{"no baseline", 0, false, "it has no baseline"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				version := "2"
				if tt.baseline {
					version = "1"
				}
				b.model("fraud", version)
				if !tt.baseline {
					b.model("fraud")
				}
				b.shelf.training = map[string][]shelfRow{"1": judged(time.Time{}, tt.training, 0, nil)}
				ms := b.score(modelwatch.Job{MinimumRows: 101, Metrics: []string{"accuracy"}, Thresholds: learn}, map[string][]shelfRow{"1": judged(time.Now(), 200, 2, nil)})
				if b.logs.count(tt.want) != 1 {
					t.Errorf("no warning that %q", tt.want)
				}
				for _, m := range ms {
					if m.Breached || m.Threshold != nil && (m.Threshold.Lower != nil || m.Threshold.Upper != nil) {
						t.Errorf("%s has limits %v", m.Metric, m.Threshold)
					}
				}
			})
		})
	}
}

// Relative change and the difference between versions hold for backtests and their
// segments as for drift.
func TestBacktestThresholds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud")
		start := time.Now()
		ms := b.score(modelwatch.Job{Metrics: []string{"accuracy"}, Segments: [][]string{{"country"}}, Thresholds: []modelwatch.Threshold{
			{Metric: "accuracy", Difference: -0.1, Against: modelwatch.Against{Version: "1"}},
		}}, map[string][]shelfRow{"1": judged(start, 100, 0, in("DE")), "2": judged(start, 100, 5, in("DE"))})
		want := []string{
			"1 map[] 1.000 baseline - -..- false", "1 map[country:DE] 1.000 baseline - -..- false",
			"2 map[] 0.800 baseline - 0.900..- true", "2 map[country:DE] 0.800 baseline - 0.900..- true",
		}
		if diff := cmp.Diff(want, lines(ms, "accuracy")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud")
		start := time.Now()
		rows := slices.Concat(judged(start, 100, 0, nil), judged(start.Add(time.Hour), 100, 4, nil))
		b.add(modelwatch.KindPrediction, "1", rows...)
		b.add(modelwatch.KindLabel, "", rows...)
		job := b.job(modelwatch.Job{Kind: modelwatch.JobBacktest, Metrics: []string{"accuracy"}, Thresholds: []modelwatch.Threshold{
			{Metric: "accuracy", ChangePercent: -20, Against: modelwatch.Against{Lag: time.Hour}},
		}})
		w := b.worker("a").start()
		b.pass(2*time.Hour + 10*time.Minute)
		w.stop()
		want := []string{"1 map[] 0.750 baseline - 0.800..- true", "1 map[] 1.000 baseline - -..- false"}
		if diff := cmp.Diff(want, lines(b.measurements(modelwatch.MeasurementFilter{Job: job.Name}), "accuracy")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func (b *bundle) task(task modelwatch.Task, schema modelwatch.Schema) {
	b.t.Helper()
	_, _, err := b.catalog.PutModel(b.t.Context(), modelwatch.Model{Name: "fraud", Task: task})
	must(b.t, err)
	_, _, err = b.catalog.PutVersion(b.t.Context(), modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: 1, Schema: schema})
	must(b.t, err)
}

// A ranking of four items has the relevances 1, 0, 1, 0 in its order: average
// precision (1 + 2/3) / 2, discounted gain (1 + 1/2) of an ideal 1 + 1/log2(3).
func TestBacktestRanking(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.task(modelwatch.TaskRanking, modelwatch.Schema{})
		rows := traffic(time.Now(), 400, 0)
		for i := range rows {
			r := &rows[i]
			r.group, r.predicted, r.label = fmt.Sprint("query ", i/4), fmt.Sprint(10-i%4), []string{"1", "0", "1", "0"}[i%4]
		}
		ms := b.score(modelwatch.Job{}, map[string][]shelfRow{"1": rows})
		ideal := 1 + 1/math.Log2(3)
		want := map[string]string{"map_at_k": "0.833", "ndcg_at_k": fmt.Sprintf("%.3f", 1.5/ideal), "mrr": "1.000"}
		for metric, value := range want {
			for _, line := range lines(ms, metric) {
				if !strings.Contains(line, " "+value+" ") {
					t.Errorf("%s: %s, want %s", metric, line, value)
				}
			}
			if len(lines(ms, metric)) == 0 {
				t.Errorf("no %s", metric)
			}
		}
	})
}

// The probability of the true class is 0.7 throughout: the log loss is -ln 0.7.
func TestBacktestMulticlassScores(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.task(modelwatch.TaskMulticlass, modelwatch.Schema{Classes: []string{"a", "b", "c"}})
		rows := traffic(time.Now(), 300, 0)
		classes := []string{"a", "b", "c"}
		for i := range rows {
			r := &rows[i]
			r.predicted, r.label = "", classes[i%3]
			r.scores = map[string]float64{"a": 0.15, "b": 0.15, "c": 0.15, classes[i%3]: 0.7}
		}
		ms := b.score(modelwatch.Job{Metrics: []string{"accuracy", "log_loss", "auc_roc"}}, map[string][]shelfRow{"1": rows})
		for metric, value := range map[string]string{"accuracy": "1.000", "log_loss": fmt.Sprintf("%.3f", -math.Log(0.7)), "auc_roc": "1.000"} {
			found := lines(ms, metric)
			if len(found) == 0 || !strings.HasPrefix(found[0], "1 map[] "+value) {
				t.Errorf("%s: %q, want %s", metric, found, value)
			}
		}
	})
}
