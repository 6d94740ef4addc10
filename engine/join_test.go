package engine_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

func joinText(j modelwatch.Joined) string {
	s := j.ID
	if j.HasScore {
		s += fmt.Sprintf(" score %g", j.Score)
	}
	if j.HasPredicted {
		s += fmt.Sprintf(" predicted %s/%g", j.Predicted, j.PredictedValue)
	}
	if j.HasLabel {
		s += fmt.Sprintf(" label %s/%g", j.Label, j.LabelValue)
	}
	if j.Weight != 1 {
		s += fmt.Sprintf(" weight %g", j.Weight)
	}
	if !j.Time.IsZero() {
		s += " at " + j.Time.Format(time.TimeOnly)
	}
	return s
}

var joinColumns = engine.JoinColumns{ID: "_id", Score: "_score", Predicted: "_predicted", Label: "_label"}

func join(t *testing.T, predictions, labels *table.Reader, columns engine.JoinColumns) []string {
	t.Helper()
	var got []string
	err := engine.JoinFiles(t.Context(), predictions, labels, columns, func(j modelwatch.Joined) error {
		got = append(got, joinText(j))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestJoinFiles(t *testing.T) {
	t.Parallel()
	predictions := tableOf(t,
		category("_id", "a", "b", "a", "", "c", "d"),
		number("_score", 0.5, math.NaN(), 0.75, 1, gone, 0.25),
		number("_predicted", 1, 0, 0, 1, 1, 1e6),
		number("_weight", 1, 2, 1, 1, 1, 1),
		timestamp("_time", 1_000_000, 2_000_000, 0, 0, 0, 0),
	)
	labels := tableOf(t,
		category("_id", "c", "b", "x", "b", "d", "a"),
		category("_label", "0", "1", "1", "0", "", "yes"),
	)
	want := []string{
		"a score 0.5 predicted 1/1 label yes/NaN at 00:00:01",
		"b predicted 0/0 label 0/0 weight 2 at 00:00:02",
		"c predicted 1/1 label 0/0 at 00:00:00",
		"d score 0.25 predicted 1000000/1e+06 at 00:00:00",
	}
	if diff := cmp.Diff(want, join(t, predictions, labels, joinColumns)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJoinFilesTruthInTheSameFile(t *testing.T) {
	t.Parallel()
	r := tableOf(t, number("_score", 0.5, 0.25, 0.75), boolean("_label", true, false, true))
	want := []string{" score 0.5 label true/1", " score 0.25 label false/0", " score 0.75 label true/1"}
	if diff := cmp.Diff(want, join(t, r, nil, engine.JoinColumns{Score: "_score", Label: "_label"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ids beyond 2^53 are told apart, also in a file that holds them as integers.
func TestJoinFilesWideIDs(t *testing.T) {
	t.Parallel()
	ids := func(v ...int64) table.Column {
		return table.Column{Name: "id", Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64, Ints: v}
	}
	const big = 1 << 60
	predictions := tableOf(t, ids(big, big+1, 3), number("p", 1, 2, 3))
	labels := tableOf(t, category("id", fmt.Sprint(big+1), "3", fmt.Sprint(big)), number("y", 20, 30, 10))
	want := []string{"1152921504606846976 predicted 1/1 label 10/10", "1152921504606846977 predicted 2/2 label 20/20", "3 predicted 3/3 label 30/30"}
	if diff := cmp.Diff(want, join(t, predictions, labels, engine.JoinColumns{ID: "id", Predicted: "p", Label: "y"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJoinFilesErrors(t *testing.T) {
	t.Parallel()
	predictions, labels := tableOf(t, category("_id", "a"), number("_score", 1)), tableOf(t, category("_id", "a"), number("_label", 1))
	for name, test := range map[string]struct {
		columns engine.JoinColumns
		labels  *table.Reader
		want    string
	}{
		"id":        {engine.JoinColumns{ID: "row", Score: "_score", Label: "_label"}, labels, `the predictions have no column "row": say which it is with --id`},
		"no id":     {engine.JoinColumns{Score: "_score", Label: "_label"}, labels, `the predictions have no column ""`},
		"label":     {engine.JoinColumns{ID: "_id", Score: "_score", Label: "y"}, labels, `the labels have no column "y"`},
		"same file": {engine.JoinColumns{Score: "_score", Label: "y"}, nil, `the predictions have no column "y"`},
		"predicted": {engine.JoinColumns{ID: "_id", Predicted: "p", Label: "_label"}, labels, `the predictions have no column "p"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := engine.JoinFiles(t.Context(), predictions, test.labels, test.columns, func(modelwatch.Joined) error { return nil })
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	failed := errors.New("enough")
	columns := engine.JoinColumns{ID: "_id", Score: "_score", Label: "_label"}
	if err := engine.JoinFiles(t.Context(), predictions, labels, columns, func(modelwatch.Joined) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

func TestJoinWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	w := windowOf(30*time.Minute, time.Hour)
	n := 0
	err := e.JoinWindow(t.Context(), b.files, nil, w, func(j modelwatch.Joined) error {
		if !w.Contains(j.Time) || j.HasLabel {
			t.Errorf("got %+v", j)
		}
		n++
		return nil
	})
	if want := b.direct(w).Columns[0].Profile.Rows(); err != nil || int64(n) != want {
		t.Errorf("%d rows, want %d: %v", n, want, err)
	}
}
