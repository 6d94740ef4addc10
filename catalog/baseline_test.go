package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestBaselines(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		want := filled[modelwatch.Baseline]()
		wantCode(t, b.PutBaseline(t.Context(), want), modelwatch.CodeNotFound)
		_, err := b.EnsureVersion(t.Context(), want.Model, want.Version)
		must(t, err)
		must(t, b.PutBaseline(t.Context(), want))
		got, err := b.Baseline(t.Context(), want.Model, want.Version, want.ID)
		must(t, err)
		same(t, "read", got, want)

		next := want
		next.Status, next.Rows, next.CreatedAt = modelwatch.BaselineReady, 12, start.Add(time.Hour)
		must(t, b.PutBaseline(t.Context(), next))
		next.CreatedAt = want.CreatedAt
		got, err = b.Baseline(t.Context(), want.Model, want.Version, want.ID)
		must(t, err)
		same(t, "next state", got, next)

		_, err = b.Baseline(t.Context(), want.Model, want.Version, "other")
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}

func TestLatestBaselineIsTheNewestReady(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, err := b.EnsureVersion(t.Context(), "fraud", "1")
		must(t, err)
		_, err = b.LatestBaseline(t.Context(), "fraud", "1")
		wantCode(t, err, modelwatch.CodeNotFound)
		states := []modelwatch.BaselineStatus{modelwatch.BaselineReady, modelwatch.BaselineReady, modelwatch.BaselineProfiling, modelwatch.BaselineFailed}
		for i, status := range states {
			b.clock.advance(time.Minute)
			must(t, b.PutBaseline(t.Context(), modelwatch.Baseline{ID: fmt.Sprint(i), Model: "fraud", Version: "1", Status: status}))
		}
		latest, err := b.LatestBaseline(t.Context(), "fraud", "1")
		must(t, err)
		if latest.ID != "1" {
			t.Errorf("latest is %q, want the second, the newest that is ready", latest.ID)
		}
		var ids []string
		list := func(p Page) ([]modelwatch.Baseline, string, error) { return b.Baselines(t.Context(), "fraud", "1", p) }
		for _, b := range pages(t, 3, list) {
			ids = append(ids, b.ID)
		}
		same(t, "newest first", ids, []string{"3", "2", "1", "0"})
	})
}
