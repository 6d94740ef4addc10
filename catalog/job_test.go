package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestPutJobKeepsEveryField(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		want := filled[modelwatch.Job]()
		_, _, err := b.PutJob(t.Context(), want)
		wantCode(t, err, modelwatch.CodeNotFound)
		putModel(t, b, want.Model)
		stored, changed, err := b.PutJob(t.Context(), want)
		must(t, err)
		if !changed {
			t.Error("a new job is not reported as changed")
		}
		want.Revision, want.CreatedAt, want.UpdatedAt = 1, start, start
		same(t, "stored", stored, want)
		got, err := b.Job(t.Context(), want.Model, want.Name)
		must(t, err)
		same(t, "read", got, want)
	})
}

func TestPutJobAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		j := putJob(t, b, "drift")
		_, err := b.PlanRuns(t.Context(), j, nil, start.Add(time.Hour))
		must(t, err)
		b.clock.advance(time.Minute)

		stored, changed, err := b.PutJob(t.Context(), modelwatch.Job{Model: "fraud", Name: "drift", Kind: modelwatch.JobDrift, Cron: "* * * * *"})
		must(t, err)
		if changed || stored.Revision != 1 || !stored.UpdatedAt.Equal(start) {
			t.Errorf("the same body again: changed %v, %+v", changed, stored)
		}
		stored, changed, err = b.PutJob(t.Context(), modelwatch.Job{Model: "fraud", Name: "drift", Kind: modelwatch.JobQuality, Cron: "* * * * *"})
		must(t, err)
		if !changed || stored.Revision != 2 || !stored.UpdatedAt.Equal(start.Add(time.Minute)) || !stored.PlannedUntil.Equal(start.Add(time.Hour)) {
			t.Errorf("another kind: changed %v, %+v", changed, stored)
		}
		got, err := b.Job(t.Context(), "fraud", "drift")
		must(t, err)
		same(t, "read", got, stored)
	})
}

func TestJobsByModelAndName(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for _, model := range []string{"fraud", "churn"} {
			putModel(t, b, model)
			for _, name := range []string{"c", "a", "b"} {
				_, _, err := b.PutJob(t.Context(), modelwatch.Job{Model: model, Name: name})
				must(t, err)
			}
		}
		names := func(jobs []modelwatch.Job) (names []string) {
			for _, j := range jobs {
				names = append(names, j.Model+"/"+j.Name)
			}
			return names
		}
		every := []string{"churn/a", "churn/b", "churn/c", "fraud/a", "fraud/b", "fraud/c"}
		jobs, err := b.AllJobs(t.Context())
		must(t, err)
		same(t, "all", names(jobs), every)
		list := func(model string) func(Page) ([]modelwatch.Job, string, error) {
			return func(p Page) ([]modelwatch.Job, string, error) { return b.Jobs(t.Context(), model, p) }
		}
		same(t, "of every model", names(pages(t, 2, list(""))), every)
		same(t, "of one model", names(pages(t, 2, list("fraud"))), every[3:])
	})
}

func TestDeleteJobCancelsItsRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		j := putJob(t, b, "drift")
		planHours(t, b, j, 3)
		done, running := claim(t, b, "a"), claim(t, b, "b")
		must(t, b.CompleteRun(t.Context(), done, []modelwatch.Measurement{{Value: value("psi", 1)}}, nil))

		must(t, b.DeleteJob(t.Context(), "fraud", "drift"))
		wantCode(t, b.DeleteJob(t.Context(), "fraud", "drift"), modelwatch.CodeNotFound)
		_, err := b.Job(t.Context(), "fraud", "drift")
		wantCode(t, err, modelwatch.CodeNotFound)

		wantCode(t, b.CompleteRun(t.Context(), running, nil, nil), modelwatch.CodeFenced)
		_, ok, err := b.ClaimRun(t.Context(), "c", b.clock.now().Add(time.Hour), time.Minute)
		if err != nil || ok {
			t.Errorf("claimed a run of a deleted job: %v, %v", ok, err)
		}
		latest, err := b.LatestMeasurements(t.Context())
		if err != nil || len(latest) != 0 {
			t.Errorf("latest measurements of a deleted job: %v, %v", latest, err)
		}
		ms, _, err := b.Measurements(t.Context(), MeasurementFilter{Job: "drift"})
		if err != nil || len(ms) != 1 {
			t.Errorf("measurements of a deleted job: %v, %v; they stay", ms, err)
		}

		// The same job again gets its windows back, but not the one that has results.
		planHours(t, b, putJob(t, b, "drift"), 3)
		for range 2 {
			claim(t, b, "d")
		}
		if _, ok, _ := b.ClaimRun(t.Context(), "d", b.clock.now(), time.Minute); ok {
			t.Error("a window with results was planned again")
		}
	})
}
