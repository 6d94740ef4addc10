package backtest

import (
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func predicted(class, label string) modelwatch.Joined {
	return modelwatch.Joined{Predicted: class, HasPredicted: true, Label: label, HasLabel: label != "", Weight: 1}
}

func scored(score float64, label string) modelwatch.Joined {
	return modelwatch.Joined{Score: score, HasScore: true, Label: label, HasLabel: label != "", Weight: 1}
}

func TestScorerOfBinaryModels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		positive string
		rows     []modelwatch.Joined
		want     map[string]float64 // absent: no value
		problem  string
	}{
		{"by class", "bad", []modelwatch.Joined{predicted("bad", "bad"), predicted("good", "bad"), predicted("good", "good"), predicted("fine", "good")},
			map[string]float64{Accuracy: 0.75, Recall: 0.5, Precision: 1, LabelCoverage: 1}, ""},
		{"by score", "bad", []modelwatch.Joined{scored(0.5, "bad"), scored(0.4, "good"), scored(0.6, "good"), scored(0.2, "")},
			map[string]float64{Accuracy: 2. / 3, AUCROC: 0.5, LabelCoverage: 0.75}, ""},
		{"positive is found", "", []modelwatch.Joined{predicted("1", "true"), predicted("0", "False"), predicted("true", "1")},
			map[string]float64{Accuracy: 1, Recall: 1}, ""},
		{"positive is not found", "", []modelwatch.Joined{predicted("good", "bad")}, nil, `"bad" "good"`},
		{"only noes", "", []modelwatch.Joined{predicted("0", "0")}, map[string]float64{Accuracy: 1}, ""},
		{"unscored", "bad", []modelwatch.Joined{{Label: "bad", HasLabel: true, Weight: 1}, predicted("bad", "bad")},
			map[string]float64{Accuracy: 1, LabelCoverage: 1}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewScorer(modelwatch.TaskBinary, tt.positive)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range tt.rows {
				if err := s.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Err(); (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%v, want %q", err, tt.problem)
			}
			for metric, want := range tt.want {
				v := s.Accumulator().Values([]string{metric}, Options{MinimumRows: 1})[0]
				if v.Value == nil || *v.Value != want {
					t.Errorf("%s: %+v, want %v", metric, v, want)
				}
			}
			if s.Rows() != int64(len(tt.rows)) {
				t.Errorf("%d rows, want %d", s.Rows(), len(tt.rows))
			}
		})
	}
}

func TestScorerOfRegression(t *testing.T) {
	t.Parallel()
	s, err := NewScorer(modelwatch.TaskRegression, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []modelwatch.Joined{
		{PredictedValue: 3, HasPredicted: true, LabelValue: 1, HasLabel: true, Weight: 1},
		{Score: 5, HasScore: true, LabelValue: 1, HasLabel: true, Weight: 1},
		{PredictedValue: 3, HasPredicted: true, Weight: 1},
		{LabelValue: 1, HasLabel: true, Weight: 1},
	} {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.Accumulator().Values([]string{MAE}, Options{MinimumRows: 1})[0]; v.Value == nil || *v.Value != 3 {
		t.Errorf("mae %+v, want 3", v)
	}
	if s.Unscored() != 1 {
		t.Errorf("%d unscored, want 1", s.Unscored())
	}
}
