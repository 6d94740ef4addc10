package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

func joinText(b *modelwatch.JoinedBatch, i int) string {
	j := b.Row(i, nil)
	s := fmt.Sprintf("%d", b.Places[i])
	if j.HasScore {
		s += fmt.Sprintf(" score %g", j.Score)
	}
	value := func(name, text string, number float64) {
		if text == "" {
			text = fmt.Sprint(number)
		}
		s += " " + name + " " + text
	}
	if j.HasPredicted {
		value("predicted", j.Predicted, j.PredictedValue)
	}
	if j.HasLabel {
		value("label", j.Label, j.LabelValue)
	}
	if j.Weight != 1 {
		s += fmt.Sprintf(" weight %g", j.Weight)
	}
	if !j.Time.IsZero() {
		s += " at " + j.Time.Format(time.TimeOnly)
	}
	if j.HasGroup {
		s += " group " + j.Group
	}
	for k := range b.Segments {
		class, _ := b.Segments[k].Class(i)
		s += " segment " + class
	}
	for _, x := range j.Scores {
		s += fmt.Sprintf(" p %g", x)
	}
	return s
}

var joinColumns = engine.JoinColumns{ID: "_id", Score: "_score", Predicted: "_predicted", Label: "_label"}

func join(t *testing.T, j engine.FileJoin) ([]string, *engine.JoinReport) {
	t.Helper()
	var got []string
	report, err := j.Run(t.Context(), func(b *modelwatch.JoinedBatch) error {
		for i := range b.Rows {
			got = append(got, joinText(b, i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, report
}

func TestFileJoin(t *testing.T) {
	t.Parallel()
	predictions := tableOf(t,
		category("_id", "a", "b", "a", "", "c", "d", "d"),
		number("_score", 0.5, math.NaN(), 0.75, 1, gone, 0.25, 1),
		number("_predicted", 1, 0, 0, 1, 1, 1e6, 1),
		number("_weight", 1, 2, 1, 1, 1, 1, 1),
		timestamp("_time", 1_000_000, 2_000_000, 0, 0, 0, 0, 0),
		category("country", "DE", "", "FR", "FR", "FR", "US", "US"),
	)
	labels := tableOf(t,
		category("_id", "c", "b", "x", "b", "d", "a", ""),
		category("_label", "0", "1", "1", "0", "", "yes", "1"),
	)
	columns := joinColumns
	columns.Weight, columns.Time, columns.Segments, columns.Group = "_weight", "_time", []string{"country", "_predicted"}, "country"
	columns.ClassScores = []string{"_score"}
	got, report := join(t, engine.FileJoin{Predictions: predictions, Labels: labels, Columns: columns})
	want := []string{
		"0 score 0.5 predicted 1 label yes at 00:00:01 group DE segment DE segment 1 p 0.5",
		"1 predicted 0 label 0 weight 2 at 00:00:02 segment  segment 0 p NaN",
		"4 predicted 1 label 0 at 00:00:00 group FR segment FR segment 1 p NaN",
		"5 score 0.25 predicted 1000000 at 00:00:00 group US segment US segment 1000000 p 0.25",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantReport := &engine.JoinReport{
		Predictions: 7, Labels: 7, Passes: 1, LabelsWithoutPrediction: 1,
		PredictionsWithoutID: engine.JoinPlaces{Rows: 1, First: 3}, LabelsWithoutID: engine.JoinPlaces{Rows: 1, First: 6},
		RepeatedPredictions: engine.JoinPlaces{Rows: 2, First: 2}, RepeatedLabels: engine.JoinPlaces{Rows: 1, First: 3},
	}
	if diff := cmp.Diff(wantReport, report); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileJoinNumbers(t *testing.T) {
	t.Parallel()
	predictions := tableOf(t, category("_id", "a", "b", "c", "d"), category("_predicted", "1.5", "much", "", "1e999"))
	labels := tableOf(t, category("_id", "a", "b", "c"), number("_label", 2, 3, math.Inf(1)))
	columns := engine.JoinColumns{ID: "_id", Predicted: "_predicted", Label: "_label"}
	got, report := join(t, engine.FileJoin{Predictions: predictions, Labels: labels, Columns: columns, Numbers: true})
	if diff := cmp.Diff([]string{"0 predicted 1.5 label 2", "1 label 3", "2", "3"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []engine.JoinStrange{{Part: "predictions", Column: "_predicted", JoinPlaces: engine.JoinPlaces{Rows: 2, First: 1}, Text: "much"}}
	if diff := cmp.Diff(want, report.Strange); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileJoinTruthInTheSameFile(t *testing.T) {
	t.Parallel()
	r := tableOf(t, number("_score", 0.5, 0.25, 0.75), boolean("_label", true, false, true))
	want := []string{"0 score 0.5 label true", "1 score 0.25 label false", "2 score 0.75 label true"}
	got, _ := join(t, engine.FileJoin{Predictions: r, Columns: engine.JoinColumns{Score: "_score", Label: "_label"}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ids beyond 2^53 are told apart, also in a file that holds them as integers.
func TestFileJoinWideIDs(t *testing.T) {
	t.Parallel()
	ids := func(v ...int64) table.Column {
		return table.Column{Name: "id", Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64, Ints: v}
	}
	const big = 1 << 60
	predictions := tableOf(t, ids(big, big+1, 3, 4), number("p", 1, 2, 3, 4))
	labels := tableOf(t, category("id", fmt.Sprint(big+1), "3", fmt.Sprint(big)), number("y", 20, 30, 10))
	columns := engine.JoinColumns{ID: "id", Predicted: "p", Label: "y"}
	want := []string{"0 predicted 1 label 10", "1 predicted 2 label 20", "2 predicted 3 label 30", "3 predicted 4"}
	got, _ := join(t, engine.FileJoin{Predictions: predictions, Labels: labels, Columns: columns})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	floats := tableOf(t, number("id", big, 3, 4.5), number("y", 1, 30, 4))
	got, _ = join(t, engine.FileJoin{Predictions: predictions, Labels: floats, Columns: columns})
	want = []string{"0 predicted 1", "1 predicted 2", "2 predicted 3 label 30", "3 predicted 4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A join agrees with one by maps, in one pass and in many.
func TestFileJoinLaws(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 2))
	for _, passes := range []int{1, 2, 7} {
		for _, numbers := range []bool{false, true} {
			ids, labelIDs, truth := make([]string, 8_000), make([]string, 6_000), make([]float64, 6_000)
			for i := range ids {
				ids[i] = fmt.Sprint(rng.IntN(7_600))
			}
			last := map[string]float64{}
			for i := range labelIDs {
				labelIDs[i], truth[i] = fmt.Sprint(rng.IntN(10_000)), float64(rng.IntN(300))
				last[labelIDs[i]] = truth[i]
			}
			var want []string
			seen := map[string]bool{}
			for i, id := range ids {
				if seen[id] {
					continue
				}
				seen[id] = true
				s := fmt.Sprintf("%d score 0.5", i)
				if y, ok := last[id]; ok {
					s += fmt.Sprintf(" label %g", y)
				}
				want = append(want, s)
			}
			half := make([]float64, len(ids))
			for i := range half {
				half[i] = 0.5
			}
			j := engine.FileJoin{
				Predictions: tableOf(t, category("_id", ids...), number("_score", half...)), Labels: tableOf(t, category("_id", labelIDs...), number("_label", truth...)),
				Columns: engine.JoinColumns{ID: "_id", Score: "_score", Label: "_label"}, Numbers: numbers, MemoryBytes: 200_000 / int64(passes),
			}
			got, report := join(t, j)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%d passes, numbers %v: %d rows, want %d", passes, numbers, len(got), len(want))
			}
			if passes > 1 && report.Passes < passes || report.RepeatedPredictions.Rows != int64(len(ids)-len(want)) || report.RepeatedLabels.Rows != int64(len(labelIDs)-len(last)) {
				t.Errorf("%d passes: got %+v", passes, report)
			}
		}
	}
}

func TestFileJoinErrors(t *testing.T) {
	t.Parallel()
	predictions, labels := tableOf(t, category("_id", "a"), number("_score", 1)), tableOf(t, category("_id", "a"), number("_label", 1))
	for name, test := range map[string]struct {
		columns engine.JoinColumns
		labels  engine.JoinSource
		want    string
	}{
		"id":        {engine.JoinColumns{ID: "row", Score: "_score", Label: "_label"}, labels, `the predictions have no column "row": say which it is with --id`},
		"no id":     {engine.JoinColumns{Score: "_score", Label: "_label"}, labels, `the predictions have no column ""`},
		"label":     {engine.JoinColumns{ID: "_id", Score: "_score", Label: "y"}, labels, `the labels have no column "y"`},
		"same file": {engine.JoinColumns{Score: "_score", Label: "y"}, nil, `the predictions have no column "y"`},
		"predicted": {engine.JoinColumns{ID: "_id", Predicted: "p", Label: "_label"}, labels, `the predictions have no column "p"`},
		"weight":    {engine.JoinColumns{ID: "_id", Weight: "w", Label: "_label"}, labels, `the predictions have no column "w": say which it is with --weight`},
		"segment":   {engine.JoinColumns{ID: "_id", Segments: []string{"country"}, Label: "_label"}, labels, `the predictions have no column "country": say which it is with --segments`},
		"scores":    {engine.JoinColumns{ID: "_id", ClassScores: []string{"score_a"}, Label: "_label"}, labels, `the predictions have no column "score_a"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := engine.FileJoin{Predictions: predictions, Labels: test.labels, Columns: test.columns}
			_, err := j.Run(t.Context(), func(*modelwatch.JoinedBatch) error { return nil })
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	failed := errors.New("enough")
	for _, l := range []engine.JoinSource{labels, nil} {
		columns := engine.JoinColumns{ID: "_id", Score: "_score", Label: "_label"}
		if l == nil {
			columns.Label = "_score"
		}
		j := engine.FileJoin{Predictions: predictions, Labels: l, Columns: columns}
		if _, err := j.Run(t.Context(), func(*modelwatch.JoinedBatch) error { return failed }); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := j.Run(ctx, func(*modelwatch.JoinedBatch) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
