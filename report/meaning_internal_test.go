package report

import (
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/drift"
)

// The page explains whatever can be measured.
func TestEveryMetricHasAMeaning(t *testing.T) {
	t.Parallel()
	lists := map[string][]string{"drift": drift.Metrics()}
	for _, task := range []modelwatch.Task{modelwatch.TaskBinary, modelwatch.TaskMulticlass, modelwatch.TaskRegression, modelwatch.TaskRanking} {
		lists[string(task)] = backtest.Metrics(task)
	}
	for name, list := range lists {
		if len(list) == 0 {
			t.Errorf("there is no metric of %s", name)
		}
		for _, m := range list {
			if meaning(m) == "" {
				t.Errorf("%s: the page does not say what %s is", name, m)
			}
		}
	}
}

func TestMeaningOver(t *testing.T) {
	t.Parallel()
	for metric, want := range map[string]string{
		"psi":           "Mean of psi over the features, weighted by their importance.",
		"psi_max":       "The largest psi among the features.",
		"drifted_share": meaning("drifted_share"),
		"unheard_of":    "",
	} {
		if got := meaningOver(metric); got != want {
			t.Errorf("%s over a group is %q, want %q", metric, got, want)
		}
	}
	keys := inOrder([]seriesKey{{metric: "unheard_of"}, {metric: "ks"}, {metric: "psi_max"}, {metric: "psi"}})
	if want := []seriesKey{{metric: "psi"}, {metric: "psi_max"}, {metric: "ks"}, {metric: "unheard_of"}}; !slices.Equal(keys, want) {
		t.Errorf("the order is %v, want %v", keys, want)
	}
}
