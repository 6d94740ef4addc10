package catalog

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/modelwatch/modelwatch"
)

func value(metric string, v float64) modelwatch.Value {
	return modelwatch.Value{Metric: metric, Value: &v}
}

// feature is a measurement of a column.
func feature(name, metric string, v float64) modelwatch.Measurement {
	return modelwatch.Measurement{Value: value(metric, v), Version: "1", Subject: modelwatch.SubjectFeature, Name: name}
}

// addClaimed queues a revision of an hour and claims it.
func addClaimed(t testing.TB, b *testBundle, job string, window, revision int) modelwatch.Run {
	t.Helper()
	added, _, err := b.AddRun(t.Context(), modelwatch.Run{Model: "fraud", Job: job, Kind: modelwatch.JobDrift, Window: hour(window), Revision: revision})
	must(t, err)
	run := claim(t, b, "worker")
	if run.ID != added.ID {
		t.Fatalf("claimed run %s of window %s, want the one just added", run.ID, run.Window.End)
	}
	return run
}

// compute runs a revision of an hour to its end.
func compute(t testing.TB, b *testBundle, job string, window, revision int, ms ...modelwatch.Measurement) modelwatch.Run {
	t.Helper()
	run := addClaimed(t, b, job, window, revision)
	must(t, b.CompleteRun(t.Context(), run, ms, nil))
	return run
}

// brief lists measurements as "hours ago/revision name metric value".
func brief(ms []modelwatch.Measurement) (got []string) {
	for _, m := range ms {
		got = append(got, fmt.Sprintf("%d/%d %s %s %g", int(start.Sub(m.Window.End).Hours()), m.Revision, m.Name, m.Metric, *m.Value.Value))
	}
	return got
}

func TestMeasurementKeepsEveryField(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		run := addClaimed(t, b, "drift", 0, 3)
		full := filled[modelwatch.Measurement]()
		full.RunID, full.Model, full.Job, full.Kind, full.Window, full.Revision = run.ID, run.Model, run.Job, run.Kind, run.Window, run.Revision
		bare := modelwatch.Measurement{RunID: run.ID, Model: run.Model, Job: run.Job, Kind: run.Kind, Window: run.Window, Revision: run.Revision}
		bare.Metric, bare.Reason = "psi", modelwatch.ReasonTooFew
		want := []modelwatch.Measurement{full, bare}
		must(t, b.CompleteRun(t.Context(), run, want, nil))
		got, _, err := b.Measurements(t.Context(), MeasurementFilter{})
		must(t, err)
		same(t, "listed", got, want)
		got, err = b.LatestMeasurements(t.Context())
		must(t, err)
		same(t, "latest", got, want)
	})
}

func TestCompleteRunRefusesWhatIsNotANumber(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for _, v := range []float64{math.NaN(), math.Inf(1)} {
			planHours(t, b, putJob(t, b, fmt.Sprint("drift", v)), 1)
			run := claim(t, b, "a")
			wantCode(t, b.CompleteRun(t.Context(), run, []modelwatch.Measurement{feature("amount", "psi", v)}, nil), modelwatch.CodeInternal)
			got, err := b.Run(t.Context(), run.ID)
			must(t, err)
			if got.State != modelwatch.RunRunning {
				t.Errorf("the run is %s, want still running", got.State)
			}
		}
	})
}

func TestMeasurementsFiltered(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		with := func(m modelwatch.Measurement, segment map[string]string) modelwatch.Measurement {
			m.Segment = segment
			return m
		}
		old := compute(t, b, "drift", 2, 1, feature("amount", "psi", 1), feature("amount", "ks", 2), feature("country", "psi", 3))
		model := feature("", "drifted_share", 10)
		model.Subject, model.Version = modelwatch.SubjectModel, "2"
		compute(t, b, "quality", 1, 1, model)
		compute(t, b, "drift", 0, 1,
			feature("amount", "psi", 4),
			with(feature("amount", "psi", 5), map[string]string{"country": "DE"}),
			with(feature("amount", "psi", 6), map[string]string{"country": "DE", "device": `a "quoted" {thing}, "country":"FR"`}),
			with(feature("amount", "psi", 7), map[string]string{"country": "FR"}),
			with(feature("amount", "psi", 8), map[string]string{"the country": "FR", "a": "é<"}),
		)
		last := []string{"0/1 amount psi 4", "0/1 amount psi 5", "0/1 amount psi 6", "0/1 amount psi 7", "0/1 amount psi 8"}
		every := append(append([]string{}, last...), "1/1  drifted_share 10", "2/1 amount psi 1", "2/1 amount ks 2", "2/1 country psi 3")
		for _, tt := range []struct {
			name   string
			filter MeasurementFilter
			want   []string
		}{
			{"none", MeasurementFilter{}, every},
			{"run", MeasurementFilter{Run: old.ID}, every[6:]},
			{"model", MeasurementFilter{Model: "churn"}, nil},
			{"version", MeasurementFilter{Version: "2"}, every[5:6]},
			{"job", MeasurementFilter{Model: "fraud", Job: "quality"}, every[5:6]},
			{"metric", MeasurementFilter{Metric: "ks"}, every[7:8]},
			{"subject", MeasurementFilter{Subject: modelwatch.SubjectModel}, every[5:6]},
			{"name", MeasurementFilter{Name: "country"}, every[8:]},
			{"name with bytes that no database stores", MeasurementFilter{Name: "country\x00\xff"}, nil},
			{"segment of one", MeasurementFilter{Segment: map[string]string{"country": "DE"}}, last[1:3]},
			{"segment not inside a value", MeasurementFilter{Segment: map[string]string{"country": "FR"}}, last[3:4]},
			{"segment of two", MeasurementFilter{Segment: map[string]string{"country": "DE", "device": `a "quoted" {thing}, "country":"FR"`}}, last[2:3]},
			{"segment beyond ASCII", MeasurementFilter{Segment: map[string]string{"a": "é<"}}, last[4:]},
			{"segment in another case", MeasurementFilter{Segment: map[string]string{"country": "de"}}, nil},
			{"from", MeasurementFilter{From: hour(1).End}, last},
			{"to", MeasurementFilter{To: hour(1).Start}, every[6:]},
			{"latest", MeasurementFilter{Latest: true, Job: "drift"}, []string{last[0], last[1], last[2], last[3], last[4], every[7], every[8]}},
			{"latest of a time", MeasurementFilter{Latest: true, Job: "drift", To: hour(0).Start}, every[7:]},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for size := 1; size < 12; size += 3 {
					got := pages(t, size, func(p Page) ([]modelwatch.Measurement, string, error) {
						tt.filter.Page = p
						return b.Measurements(t.Context(), tt.filter)
					})
					same(t, fmt.Sprintf("pages of %d", size), brief(got), tt.want)
				}
			})
		}
	})
}

func TestNewestRevisionCounts(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		list := func(f MeasurementFilter) []string {
			t.Helper()
			ms, _, err := b.Measurements(t.Context(), f)
			must(t, err)
			return brief(ms)
		}
		first := compute(t, b, "drift", 0, 1, feature("amount", "psi", 1))
		// The third revision is computed while a second is under way and ends later.
		second := addClaimed(t, b, "drift", 0, 2)
		compute(t, b, "drift", 0, 3, feature("amount", "psi", 3))
		must(t, b.CompleteRun(t.Context(), second, []modelwatch.Measurement{feature("amount", "psi", 2)}, nil))
		// A backfill of an older window.
		compute(t, b, "drift", 1, 1, feature("amount", "psi", 4), feature("country", "psi", 5))

		same(t, "current", list(MeasurementFilter{}), []string{"0/3 amount psi 3", "1/1 amount psi 4", "1/1 country psi 5"})
		same(t, "latest", list(MeasurementFilter{Latest: true}), []string{"0/3 amount psi 3", "1/1 country psi 5"})
		same(t, "of a replaced run", list(MeasurementFilter{Run: first.ID}), []string{"0/1 amount psi 1"})
		ms, err := b.LatestMeasurements(t.Context())
		must(t, err)
		same(t, "of the newest window", brief(ms), []string{"0/3 amount psi 3"})
	})
}

// TestRevisionsCompletedAtOnce: whatever the order in which revisions of some
// windows end, the same rows are current and latest.
func TestRevisionsCompletedAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const windows, revisions = 3, 4
		compute(t, b, "drift", windows, 1, feature("amount", "psi", 1), feature("country", "psi", 0))
		var runs []modelwatch.Run
		for w := range windows {
			for r := 1; r <= revisions; r++ {
				runs = append(runs, addClaimed(t, b, "drift", w, r))
			}
		}
		errs := concurrently(len(runs), func(i int) error {
			return b.CompleteRun(t.Context(), runs[i], []modelwatch.Measurement{feature("amount", "psi", float64(runs[i].Revision)), feature("country", "psi", 0)}, nil)
		})
		for _, err := range errs {
			must(t, err)
		}
		ms, _, err := b.Measurements(t.Context(), MeasurementFilter{Name: "amount"})
		must(t, err)
		same(t, "current", brief(ms), []string{"0/4 amount psi 4", "1/4 amount psi 4", "2/4 amount psi 4", "3/1 amount psi 1"})
		ms, _, err = b.Measurements(t.Context(), MeasurementFilter{Latest: true})
		must(t, err)
		same(t, "latest", brief(ms), []string{"0/4 amount psi 4", "0/4 country psi 0"})
		ms, err = b.LatestMeasurements(t.Context())
		must(t, err)
		same(t, "of the newest window", brief(ms), []string{"0/4 amount psi 4", "0/4 country psi 0"})
	})
}

func TestBadCursors(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		compute(t, b, "drift", 0, 1, feature("amount", "psi", 1), feature("country", "psi", 2))
		_, next, err := b.Measurements(t.Context(), MeasurementFilter{Page: Page{Limit: 1}})
		must(t, err)
		for _, cursor := range []string{next, "x", "e30", "!!!!", "bnVsbA", next + next} {
			_, _, err := b.Runs(t.Context(), RunFilter{Page: Page{Cursor: cursor}})
			wantCode(t, err, modelwatch.CodeInvalid)
			_, _, err = b.Models(t.Context(), Page{Cursor: cursor})
			wantCode(t, err, modelwatch.CodeInvalid)
		}
	})
}

func TestResultsOfManyColumns(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		var want []modelwatch.Measurement
		for i := range 107 { // batches of every size
			want = append(want, feature(fmt.Sprintf("column %03d", i), "psi", float64(i)))
		}
		run := compute(t, b, "drift", 0, 1, want...)
		var got []modelwatch.Measurement
		got, next, err := b.Measurements(t.Context(), MeasurementFilter{Run: run.ID, Page: Page{Limit: MaximumPageLimit + 1}})
		must(t, err)
		if next != "" || len(got) != len(want) {
			t.Fatalf("%d measurements in one page, next %q; want %d", len(got), next, len(want))
		}
		ignore := cmpopts.IgnoreFields(modelwatch.Measurement{}, "RunID", "Model", "Job", "Kind", "Window", "Revision", "ComputedAt")
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWindowsOfTheSameEnd(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for i, length := range []time.Duration{time.Hour, 24 * time.Hour} {
			_, _, err := b.AddRun(t.Context(), modelwatch.Run{
				Model: "fraud", Job: "drift", Window: modelwatch.Window{Start: start.Add(-length), End: start}, Revision: 1,
			})
			must(t, err)
			must(t, b.CompleteRun(t.Context(), claim(t, b, "a"), []modelwatch.Measurement{feature("amount", "psi", float64(i))}, nil))
		}
		// Of two windows that end together, the one that starts later is the newer.
		ms, _, err := b.Measurements(t.Context(), MeasurementFilter{Latest: true})
		must(t, err)
		same(t, "latest", brief(ms), []string{"0/1 amount psi 0"})
		ms, err = b.LatestMeasurements(t.Context())
		must(t, err)
		same(t, "of the newest window", brief(ms), []string{"0/1 amount psi 0"})
	})
}
