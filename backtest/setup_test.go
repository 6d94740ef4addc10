package backtest

import (
	"strconv"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func mustNew(t testing.TB, task modelwatch.Task, positive string) *Scorer {
	t.Helper()
	return configured(t, Config{Task: task, Positive: positive})
}

func configured(t testing.TB, c Config) *Scorer {
	t.Helper()
	s, err := c.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func predictedClass(predicted, label string) modelwatch.Joined {
	return modelwatch.Joined{Predicted: predicted, HasPredicted: true, Label: label, HasLabel: true, Weight: 1}
}

func predictedValue(predicted, label float64) modelwatch.Joined {
	return modelwatch.Joined{PredictedValue: predicted, HasPredicted: true, LabelValue: label, HasLabel: true, Weight: 1}
}

func addClasses(s *Scorer, n int, predicted, label string) {
	for range n {
		must(s.Add(predictedClass(predicted, label)))
	}
}

func addErrors(s *Scorer, n int, predicted, label float64) {
	for range n {
		must(s.Add(predictedValue(predicted, label)))
	}
}

func addScore(s *Scorer, score float64, label string) {
	must(s.Add(modelwatch.Joined{Score: score, HasScore: true, Label: label, HasLabel: true, Weight: 1}))
}

func addUnlabelled(s *Scorer, n int) {
	for range n {
		must(s.Add(modelwatch.Joined{Predicted: "no", PredictedValue: 1, HasPredicted: true, Score: 0.5, HasScore: true, HasGroup: true, Weight: 1}))
	}
}

func text(x *float64) string {
	if x == nil {
		return "none"
	}
	return strconv.FormatFloat(*x, 'g', -1, 64)
}
