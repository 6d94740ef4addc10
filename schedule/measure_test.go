package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/schedule"
)

// once computes the first window of a job and returns its run and results.
func (b *bundle) once(j modelwatch.Job) (modelwatch.Run, []modelwatch.Measurement) {
	b.t.Helper()
	job := b.job(j)
	until := schedule.DueAfter(job) + time.Hour - time.Since(job.PlannedUntil)
	w := b.worker("a", func(o *schedule.Options) { o.Poll = 15 * time.Minute }).start()
	b.pass(until + time.Minute)
	w.stop()
	for _, r := range b.runs() {
		if r.Job == job.Name {
			return r, b.measurements(modelwatch.MeasurementFilter{Job: job.Name})
		}
	}
	b.t.Fatal("no run")
	return modelwatch.Run{}, nil
}

func TestVersionsOfDrift(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		versions []string
		want     []string
		warnings int
	}{
		// 1 has a baseline and traffic, 2 a baseline, 3 traffic, 4 neither.
		{"all", []string{"*"}, []string{"1/amount psi=0.00", "2/amount psi=too_few"}, 1},
		{"named", []string{"1"}, []string{"1/amount psi=0.00"}, 0},
		{"named without baseline", []string{"4", "1"}, []string{"1/amount psi=0.00"}, 1},
		{"named and unknown", []string{"9"}, nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1", "2")
				for _, v := range []string{"3", "4"} {
					_, err := b.catalog.EnsureVersion(t.Context(), "fraud", v)
					must(t, err)
				}
				start := time.Now()
				b.add(modelwatch.KindPrediction, "1", traffic(start, 1000, 0)...)
				b.add(modelwatch.KindPrediction, "3", traffic(start, 1000, 0)...)
				run, ms := b.once(modelwatch.Job{Versions: test.versions, Metrics: []string{"psi"}})
				if diff := cmp.Diff(test.want, results(ms, start.Add(time.Hour))); diff != "" {
					t.Errorf("measurements (-want +have):\n%s", diff)
				}
				if run.State != modelwatch.RunSucceeded {
					t.Errorf("run %+v, want success", run)
				}
				if n := b.logs.count("has no baseline"); n != test.warnings {
					t.Errorf("%d warnings, want %d", n, test.warnings)
				}
			})
		})
	}
}

func TestBaselineKinds(t *testing.T) {
	t.Parallel()
	// Hour by hour the amounts move up by 10; a window equals its baseline's span
	// only if both have moved as far. The window is the fifth hour.
	at := func(h int) time.Duration { return time.Duration(h) * time.Hour }
	tests := []struct {
		name string
		ref  func(start time.Time) modelwatch.BaselineRef
		kind string
		want float64
		n    int64
	}{
		{"training", func(time.Time) modelwatch.BaselineRef { return modelwatch.BaselineRef{} }, "training", 0.4, 1000},
		{"window", func(s time.Time) modelwatch.BaselineRef {
			return modelwatch.BaselineRef{Kind: modelwatch.BaselineWindow, Window: modelwatch.Window{Start: s.Add(at(1)), End: s.Add(at(2))}}
		}, "window", 0.3, 2000},
		{"previous", func(time.Time) modelwatch.BaselineRef {
			return modelwatch.BaselineRef{Kind: modelwatch.BaselinePrevious}
		}, "previous", 0.1, 2000},
		{"rolling", func(time.Time) modelwatch.BaselineRef {
			return modelwatch.BaselineRef{Kind: modelwatch.BaselineRolling, Offset: at(3), Length: at(1)}
		}, "rolling", 0.3, 2000},
		{"another version", func(time.Time) modelwatch.BaselineRef {
			return modelwatch.BaselineRef{Kind: modelwatch.BaselineVersion, Version: "2"}
		}, "version", 0.3, 1500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				start := time.Now()
				for h := range 5 {
					b.add(modelwatch.KindPrediction, "1", traffic(start.Add(at(h)), 2000, float64(10*h))...)
				}
				b.add(modelwatch.KindPrediction, "2", traffic(start.Add(at(4)), 1500, 10)...)
				_, ms := b.once(modelwatch.Job{Metrics: []string{"ks"}, Baseline: test.ref(start), PlannedUntil: start.Add(at(4))})
				if len(ms) != 1 {
					t.Fatalf("measurements %+v, want one", ms)
				}
				m := ms[0]
				if m.Baseline != test.kind || m.NBaseline != test.n || m.NCurrent != 2000 || m.Value.Value == nil || *m.Value.Value < test.want-0.101 || *m.Value.Value > test.want+0.101 {
					t.Errorf("ks %v with %d against %d of %q, want %g against %d of %q", m.Value.Value, m.NCurrent, m.NBaseline, m.Baseline, test.want, test.n, test.kind)
				}
			})
		})
	}
}

// A version is not compared with itself, which is said where the job names it.
func TestVersionIsNotItsOwnBaseline(t *testing.T) {
	t.Parallel()
	for _, versions := range [][]string{{"*"}, {"1", "2"}} {
		bubble(t, func(t *testing.T, b *bundle) {
			b.model("fraud", "1", "2")
			start := time.Now()
			b.add(modelwatch.KindPrediction, "1", traffic(start, 1000, 0)...)
			b.add(modelwatch.KindPrediction, "2", traffic(start, 1000, 50)...)
			_, ms := b.once(modelwatch.Job{Versions: versions, Metrics: []string{"psi"}, Baseline: modelwatch.BaselineRef{Kind: modelwatch.BaselineVersion, Version: "2"}})
			if len(ms) != 1 || ms[0].Version != "1" || ms[0].Value.Value == nil || *ms[0].Value.Value < 0.5 {
				t.Errorf("%v: measurements %+v, want a drift of version 1", versions, ms)
			}
			if n := b.logs.count("not compared with itself"); n != len(versions)-1 {
				t.Errorf("%v: %d warnings", versions, n)
			}
		})
	}
}

// The same hour of the same weekday in the weeks before, by the clocks of the zone:
// Berlin put its clocks back on October 25, 2026. The week of November 9 is left out.
func TestSameWeekday(t *testing.T) {
	t.Parallel()
	utc := func(text string) time.Time { return parse(t, time.RFC3339, text) }
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		window := modelwatch.Window{Start: utc("2026-11-23T08:00:00Z"), End: utc("2026-11-23T09:00:00Z")}
		for _, hour := range []struct {
			start string
			rows  int
		}{
			{"2026-11-23T08:00:00Z", 300}, {"2026-11-16T08:00:00Z", 101}, {"2026-11-09T08:00:00Z", 102}, {"2026-11-02T08:00:00Z", 104},
			{"2026-10-26T08:00:00Z", 108}, {"2026-10-19T07:00:00Z", 116}, {"2026-10-12T07:00:00Z", 132}, // 9 o'clock in summer
			{"2026-11-16T07:00:00Z", 500}, {"2026-10-19T08:00:00Z", 500}, {"2026-11-17T08:00:00Z", 500},
		} {
			b.add(modelwatch.KindPrediction, "1", traffic(utc(hour.start), hour.rows, 0)...)
		}
		b.job(modelwatch.Job{Metrics: []string{"psi"}, Timezone: "Europe/Berlin", Baseline: modelwatch.BaselineRef{
			Kind: modelwatch.BaselineSameWeekday, Weeks: 5, Exclude: []modelwatch.Window{{Start: utc("2026-11-09T08:59:59Z"), End: utc("2026-11-10T00:00:00Z")}},
		}})
		_, _, err := b.catalog.AddRun(t.Context(), modelwatch.Run{Model: "fraud", Job: "job", Kind: modelwatch.JobDrift, Window: window, Revision: 1})
		must(t, err)
		w := b.worker("a").start()
		b.pass(time.Minute)
		w.stop()
		ms := b.measurements(modelwatch.MeasurementFilter{Job: "job"})
		if want := int64(101 + 104 + 108 + 116); len(ms) != 1 || ms[0].NBaseline != want || ms[0].NCurrent != 300 || ms[0].Baseline != "same_weekday" {
			t.Errorf("measurements %+v, want 300 rows against %d", ms, want)
		}
	})
}

func TestUnknownBaselineKind(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		run, _ := b.once(modelwatch.Job{Baseline: modelwatch.BaselineRef{Kind: "lunar"}})
		if run.State != modelwatch.RunFailed || !strings.Contains(run.Error, `"lunar" is not known`) {
			t.Errorf("run is %s, %q; want it failed over lunar", run.State, run.Error)
		}
	})
}

func TestColumnsAndMetrics(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		job  modelwatch.Job
		want []string
	}{
		{"a prefix", modelwatch.Job{Columns: []string{"am*"}, Metrics: []string{"psi", "new_category_ratio"}}, []string{"psi"}},
		{"in full", modelwatch.Job{Columns: []string{"amount"}, Metrics: []string{"psi", "new_category_ratio"}}, []string{"psi", "new_category_ratio"}},
		{"another", modelwatch.Job{Columns: []string{"amoun", "b*"}, Metrics: []string{"psi"}}, nil},
		{"defaults", modelwatch.Job{}, []string{"psi", "js_distance", "ks", "wasserstein_scaled", "missing_ratio", "invalid_ratio"}},
		{"quality", modelwatch.Job{Kind: modelwatch.JobQuality}, []string{"missing_ratio", "invalid_ratio", "out_of_range_ratio"}},
		{"some quality", modelwatch.Job{Kind: modelwatch.JobQuality, Metrics: []string{"psi", "missing_ratio"}}, []string{"missing_ratio"}},
		{"the model's", modelwatch.Job{Metrics: []string{"drifted_share", "psi"}}, []string{"psi", "drifted_share"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				b.add(modelwatch.KindPrediction, "1", traffic(time.Now(), 1000, 0)...)
				_, ms := b.once(test.job)
				var have []string
				for _, m := range ms {
					have = append(have, m.Metric)
				}
				if diff := cmp.Diff(test.want, have); diff != "" {
					t.Errorf("metrics (-want +have):\n%s", diff)
				}
			})
		})
	}
}

func TestMinimumRows(t *testing.T) {
	t.Parallel()
	for minimum, want := range map[int64]string{0: "too_few", 50: "0.0", 51: "too_few"} {
		bubble(t, func(t *testing.T, b *bundle) {
			b.model("fraud", "1")
			start := time.Now()
			b.add(modelwatch.KindPrediction, "1", traffic(start, 50, 0)...)
			_, ms := b.once(modelwatch.Job{Metrics: []string{"tvd"}, MinimumRows: minimum})
			have := results(ms, start.Add(time.Hour))
			if len(have) != 1 || !strings.Contains(have[0], "tvd="+want) {
				t.Errorf("with a minimum of %d: %v, want %s", minimum, have, want)
			}
		})
	}
}

// TestThresholdOfOneColumn: the threshold that names the column is the one
// that counts for it.
func TestThresholdOfOneColumn(t *testing.T) {
	t.Parallel()
	low, high := 0.1, 0.9
	for name, thresholds := range map[string][]modelwatch.Threshold{
		"after":  {{Metric: "tvd", Upper: &low}, {Metric: "tvd", Name: "amount", Upper: &high}},
		"before": {{Metric: "tvd", Name: "amount", Upper: &high}, {Metric: "tvd", Upper: &low}},
	} {
		bubble(t, func(t *testing.T, b *bundle) {
			b.model("fraud", "1")
			b.add(modelwatch.KindPrediction, "1", traffic(time.Now(), 1000, 50)...)
			_, ms := b.once(modelwatch.Job{Metrics: []string{"tvd"}, Thresholds: thresholds})
			if len(ms) != 3 || ms[0].Breached || *ms[0].Threshold.Upper != high {
				t.Errorf("%s: measurements %+v, want tvd judged by 0.9", name, ms)
			}
		})
	}
}

func TestBacktestScoring(t *testing.T) {
	t.Parallel()
	const half = 100 // rows of each kind
	type kind struct{ predicted, label string }
	tests := []struct {
		name     string
		task     modelwatch.Task
		positive string
		rows     []kind
		metrics  []string
		want     string
		state    modelwatch.RunState
		errText  string
	}{
		{"binary", modelwatch.TaskBinary, "fraud", []kind{{"fraud", "fraud"}, {"ok", "fraud"}, {"ok", "ok"}, {"ok", "ok"}},
			[]string{"accuracy", "precision", "recall"}, "accuracy=0.75 precision=1.00 recall=0.50", modelwatch.RunSucceeded, ""},
		{"two words for yes", modelwatch.TaskBinary, "1", []kind{{"true", "1"}, {"True", "1"}, {"false", "1"}, {"false", "0"}},
			[]string{"accuracy", "recall"}, "accuracy=0.75 recall=0.67", modelwatch.RunSucceeded, ""},
		{"positive follows from the classes", modelwatch.TaskBinary, "", []kind{{"1", "1"}, {"0", "1"}, {"0", "0"}},
			[]string{"recall"}, "recall=0.50", modelwatch.RunSucceeded, ""},
		{"only the negative class", modelwatch.TaskBinary, "", []kind{{"0", "0"}}, []string{"accuracy"}, "accuracy=1.00", modelwatch.RunSucceeded, ""},
		{"positive is not known", modelwatch.TaskBinary, "", []kind{{"good", "bad"}}, []string{"recall"}, "", modelwatch.RunFailed, `["bad" "good"]`},
		{"multiclass", modelwatch.TaskMulticlass, "", []kind{{"a", "a"}, {"b", "b"}, {"c", "a"}}, []string{"accuracy"}, "accuracy=0.67", modelwatch.RunSucceeded, ""},
		{"nothing predicted", modelwatch.TaskMulticlass, "", []kind{{"", "a"}, {"b", "b"}}, []string{"accuracy"}, "accuracy=1.00", modelwatch.RunSucceeded, ""},
		{"cannot be scored", modelwatch.TaskOther, "", []kind{{"a", "a"}}, []string{"accuracy"}, "", modelwatch.RunFailed, `task "other" cannot be backtested`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bundle) {
				b.model("fraud", "1")
				_, _, err := b.catalog.PutModel(t.Context(), modelwatch.Model{Name: "fraud", Task: test.task, Positive: test.positive})
				must(t, err)
				start := time.Now()
				rows := traffic(start, half*len(test.rows), 0)
				for i := range rows {
					rows[i].predicted = test.rows[i%len(test.rows)].predicted
				}
				truth := labels(rows, start.Add(30*time.Minute), 0)
				for i := range truth {
					truth[i].label = test.rows[i%len(test.rows)].label
				}
				b.add(modelwatch.KindPrediction, "1", rows...)
				b.add(modelwatch.KindLabel, "", truth...)
				run, ms := b.once(modelwatch.Job{Kind: modelwatch.JobBacktest, Metrics: test.metrics})
				if run.State != test.state || !strings.Contains(run.Error, test.errText) {
					t.Fatalf("run is %s, %q; want %s, %q", run.State, run.Error, test.state, test.errText)
				}
				var have []string
				for _, m := range ms {
					if m.Class == "" && m.Value.Value != nil && !strings.HasSuffix(m.Metric, "tives") {
						have = append(have, fmt.Sprintf("%s=%.2f", m.Metric, *m.Value.Value))
					}
				}
				if text := strings.Join(have, " "); text != test.want {
					t.Errorf("scores %s, want %s", text, test.want)
				}
			})
		})
	}
}

// TestLabelsWithoutMaturity: labels count until the window is due, also where a
// job names no maturity.
func TestLabelsWithoutMaturity(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		rows := traffic(start, 200, 0)
		b.add(modelwatch.KindPrediction, "1", rows...)
		b.add(modelwatch.KindLabel, "", labels(rows, start.Add(150*time.Minute), 0)...)
		run, ms := b.once(modelwatch.Job{Kind: modelwatch.JobBacktest, LabelDelay: 2 * time.Hour, Metrics: []string{"accuracy"}})
		if run.InputRows != 400 || len(ms) == 0 || ms[0].Value.Value == nil || !ms[0].Mature {
			t.Errorf("run %+v, measurements %+v; want 200 labelled predictions, mature", run, ms)
		}
	})
}
