package app

import (
	"errors"
	"fmt"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/schedule"
)

// What is read of a registered baseline's rows is what was registered: its chunks
// add up to its profile, its segments to its rows.
func TestRowsOfABaseline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	id := b.register(t, upload(typeCSV, "", creditCSV(1005))).ID
	baselines := b.service.baselines()
	stored, err := b.service.catalog.Baseline(t.Context(), "credit", "1", id)
	if err != nil {
		t.Fatal(err)
	}
	set, err := baselines.Profile(t.Context(), stored)
	if err != nil {
		t.Fatal(err)
	}
	sum, chunks := set.Empty(), 0
	err = baselines.Chunks(t.Context(), stored, set, 10, func(chunk *profile.Set) error {
		chunks++
		return sum.Merge(chunk)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range sum.Columns {
		if got, want := fmt.Sprint(c.Profile.BinCounts()), fmt.Sprint(set.Columns[i].Profile.BinCounts()); chunks != 10 || got != want || c.Profile.Missing() != set.Columns[i].Profile.Missing() {
			t.Errorf("%s: %d chunks count %s, want 10 and %s", c.Name, chunks, got, want)
		}
	}

	r := rows{b.service.engine, baselines}
	amount := modelwatch.Column{Column: "amount", Name: "amount", Type: modelwatch.TypeNumber}
	whole, parts, err := r.ChunkSamples(t.Context(), stored, amount, 10, 2000)
	if err != nil || len(parts) != 10 || len(whole.Floats) != 985 || len(parts[9].Floats) >= 101 || whole.Missing != 20 {
		t.Errorf("%d chunks, %d values, %d missing, %v", len(parts), len(whole.Floats), whole.Missing, err)
	}
	sides := schedule.Sides{Training: stored}
	opened, err := r.Open(t.Context(), sides, 2000)
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := opened.Samples(t.Context(), amount)
	if err = errors.Join(err, opened.Close()); err != nil || len(x.Floats) != 985 || len(y.Floats) != 0 {
		t.Errorf("%d and %d values, %v", len(x.Floats), len(y.Floats), err)
	}
	if _, err = r.Open(t.Context(), sides, 1004); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("more rows than the limit: %v", err)
	}
	rows := map[string]int64{}
	err = r.Segments(t.Context(), sides, [][]string{{"country"}}, set, func(segment map[string]string, baseline, current *profile.Set) error {
		rows[segment["country"]] = baseline.Columns[0].Profile.Rows()
		return nil
	})
	if err != nil || fmt.Sprint(rows) != "map[DE:335 FR:335 US:335]" {
		t.Errorf("segments %v, %v", rows, err)
	}
}
