package schedule_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/schedule"
)

// revisions lists the runs of one window as revision, input rows and state.
func (b *bundle) revisions(end time.Time) []string {
	b.t.Helper()
	var out []string
	for _, r := range b.runs() {
		if r.Window.End.Equal(end) {
			out = append(out, fmt.Sprintf("%d: %d rows, %s", r.Revision, r.InputRows, r.State))
		}
	}
	slices.Sort(out)
	return out
}

func (b *bundle) wantRevisions(end time.Time, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.revisions(end)); diff != "" {
		b.t.Errorf("revisions of the window until %s (-want +have):\n%s", end.Format(time.DateTime), diff)
	}
}

func TestLateRowsMakeRevision(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{Delay: 5 * time.Minute, Maturity: 3 * time.Hour, Metrics: []string{"psi"}, Sinks: []string{"stdout"}})
		b.add(modelwatch.KindPrediction, "1", traffic(start, 1000, 0)...)
		slow := func(o *schedule.Options) { o.Poll = 5 * time.Minute }
		one, two := b.worker("one", slow).start(), b.worker("two", slow).start()
		b.pass(time.Hour + 10*time.Minute)
		end := start.Add(time.Hour)
		b.wantRevisions(end, "1: 1000 rows, succeeded")

		b.add(modelwatch.KindPrediction, "1", traffic(start.Add(30*time.Minute), 500, 0)...)
		b.pass(4 * time.Minute) // less than ReviseAfter since the first
		b.wantRevisions(end, "1: 1000 rows, succeeded")
		b.pass(10 * time.Minute)
		b.wantRevisions(end, "1: 1000 rows, succeeded", "2: 1500 rows, succeeded")
		b.pass(time.Hour) // nothing new, no revision
		b.wantRevisions(end, "1: 1000 rows, succeeded", "2: 1500 rows, succeeded")

		ms := b.measurements(modelwatch.MeasurementFilter{To: start.Add(30 * time.Minute)})
		if len(ms) != 1 || ms[0].Revision != 2 || ms[0].NCurrent != 1500 || ms[0].Mature {
			t.Errorf("measurements %+v, want one of revision 2 with 1500 rows, not mature", ms)
		}
		b.pass(2 * time.Hour) // past maturity
		b.add(modelwatch.KindPrediction, "1", traffic(start.Add(30*time.Minute), 500, 0)...)
		b.pass(time.Hour)
		b.wantRevisions(end, "1: 1000 rows, succeeded", "2: 1500 rows, succeeded")
		one.stop()
		two.stop()
		if n := one.count(modelwatch.JobDrift, "revised") + two.count(modelwatch.JobDrift, "revised"); n != 1 {
			t.Errorf("counted %d revisions, want 1", n)
		}
	})
}

func TestJobWithoutMaturityIsNotRevised(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		b.job(modelwatch.Job{})
		w := b.worker("a").start()
		b.pass(time.Hour + time.Minute)
		b.add(modelwatch.KindPrediction, "1", traffic(start, 500, 0)...)
		b.pass(time.Hour)
		w.stop()
		b.wantRevisions(start.Add(time.Hour), "1: 0 rows, succeeded")
	})
}

// labels makes labels for predictions, a share of them the other class.
func labels(predictions []shelfRow, at time.Time, wrongEvery int) []shelfRow {
	out := slices.Clone(predictions)
	for i := range out {
		out[i].time, out[i].label = at.Add(time.Duration(i)*time.Millisecond), out[i].predicted
		if wrongEvery > 0 && i%wrongEvery == 0 {
			out[i].label = "fraud"
		}
	}
	return out
}

// TestBacktestUntilMature follows one window from its first labels to its last.
func TestBacktestUntilMature(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bundle) {
		b.model("fraud", "1")
		start := time.Now()
		day := 24 * time.Hour
		low := 0.95
		b.job(modelwatch.Job{Kind: modelwatch.JobBacktest, Cron: "0 0 * * *", Window: day, LabelDelay: day, Maturity: 3 * day,
			Metrics: []string{"accuracy"}, Sinks: []string{"stdout"}, Thresholds: []modelwatch.Threshold{{Metric: "accuracy", Lower: &low}}})
		rows := traffic(start, 1000, 0)
		b.add(modelwatch.KindPrediction, "1", rows...)
		b.add(modelwatch.KindLabel, "", labels(rows[:500], start.Add(day), 0)...)
		w := b.worker("a", func(o *schedule.Options) { o.Poll = 30 * time.Minute }).start()
		end := start.Add(day)
		b.pass(2*day - time.Minute)
		b.wantRevisions(end)
		b.pass(10 * time.Minute)
		b.wantRevisions(end, "1: 1500 rows, succeeded")
		first := b.accuracy(end)
		if *first.Value.Value != 1 || first.Breached || *first.LabelCoverage != 0.5 || first.Mature || first.Threshold == nil {
			t.Errorf("first accuracy %+v, want 1 with half the labels, not mature", first)
		}
		b.add(modelwatch.KindLabel, "", labels(rows[500:], start.Add(2*day+time.Minute), 5)...)
		b.pass(30 * time.Minute) // less than a 24th of the window
		b.wantRevisions(end, "1: 1500 rows, succeeded")
		b.pass(time.Hour)
		b.wantRevisions(end, "1: 1500 rows, succeeded", "2: 2000 rows, succeeded")
		second := b.accuracy(end)
		if *second.Value.Value != 0.9 || !second.Breached || *second.LabelCoverage != 1 || second.Mature {
			t.Errorf("second accuracy %+v, want 0.9 with all labels, a breach, not mature", second)
		}
		b.pass(2 * day) // the window matures: one last revision, which says so
		b.wantRevisions(end, "1: 1500 rows, succeeded", "2: 2000 rows, succeeded", "3: 2000 rows, succeeded")
		if last := b.accuracy(end); *last.Value.Value != 0.9 || !last.Mature {
			t.Errorf("last accuracy %+v, want 0.9, mature", last)
		}
		b.add(modelwatch.KindLabel, "", labels(rows[:10], start.Add(3*day), 1)...)
		b.pass(2 * day)
		b.wantRevisions(end, "1: 1500 rows, succeeded", "2: 2000 rows, succeeded", "3: 2000 rows, succeeded")
		w.stop()
	})
}

func (b *bundle) accuracy(end time.Time) modelwatch.Measurement {
	b.t.Helper()
	for _, m := range b.measurements(modelwatch.MeasurementFilter{Metric: "accuracy"}) {
		if m.Window.End.Equal(end) {
			if m.Subject != modelwatch.SubjectModel || m.Version != "1" {
				b.t.Errorf("measurement %+v, want one about the model, version 1", m)
			}
			return m
		}
	}
	b.t.Fatalf("no accuracy for the window until %s", end)
	return modelwatch.Measurement{}
}
