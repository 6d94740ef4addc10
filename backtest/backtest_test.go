package backtest

import (
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelwatch/modelwatch"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		task     modelwatch.Task
		positive string
	}{{modelwatch.TaskOther, ""}, {"", ""}} {
		if _, err := NewScorer(tt.task, tt.positive); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("task %q, positive %q: %v, want an invalid error", tt.task, tt.positive, err)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		task   modelwatch.Task
		fill   func(*Scorer)
		metric string
		reason modelwatch.Reason
	}{
		{"no labels", modelwatch.TaskBinary, func(a *Scorer) { addUnlabelled(a, 500) }, Accuracy, modelwatch.ReasonNoLabels},
		{"too few", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 99, "yes", "yes") }, Accuracy, modelwatch.ReasonTooFew},
		{"enough", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "yes") }, Accuracy, ""},
		{"nothing predicted positive", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "no", "yes") }, Precision, modelwatch.ReasonZeroDivision},
		{"no positive", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "no") }, Recall, modelwatch.ReasonNoPositive},
		{"one class", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "no") }, BalancedAccuracy, modelwatch.ReasonSingleClass},
		{"no scores", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "no") }, AUCROC, modelwatch.ReasonNotApplicable},
		{"few scores", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "no"); addScore(a, 0.5, "yes") }, AUCROC, modelwatch.ReasonTooFew},
		{"a metric of another task", modelwatch.TaskBinary, func(a *Scorer) { addClasses(a, 100, "yes", "no") }, RMSE, modelwatch.ReasonNotApplicable},
		{"an unknown metric", modelwatch.TaskRegression, func(a *Scorer) {}, "made_up", modelwatch.ReasonNotApplicable},
		{"coverage of nothing", modelwatch.TaskRegression, func(a *Scorer) {}, LabelCoverage, modelwatch.ReasonEmpty},
		{"coverage needs no labels", modelwatch.TaskRegression, func(a *Scorer) { addUnlabelled(a, 3) }, LabelCoverage, ""},
		{"infinite values", modelwatch.TaskRegression, func(a *Scorer) { addErrors(a, 1, math.Inf(1), 0) }, RMSE, modelwatch.ReasonNoLabels},
		{"zero label", modelwatch.TaskRegression, func(a *Scorer) { addErrors(a, 100, 1, 0) }, MAPE, modelwatch.ReasonZeroDivision},
		{"constant labels", modelwatch.TaskRegression, func(a *Scorer) { addErrors(a, 100, 1, 2) }, R2, modelwatch.ReasonConstant},
		{"no logarithm", modelwatch.TaskRegression, func(a *Scorer) { addErrors(a, 100, -2, 2) }, MSLE, modelwatch.ReasonNotApplicable},
		{"too many classes", modelwatch.TaskMulticlass, func(a *Scorer) {
			for i := range MaxClasses + 1 {
				addClasses(a, 1, strconv.Itoa(i), "x")
			}
		}, F1, modelwatch.ReasonNotApplicable},
		{"accuracy of too many classes", modelwatch.TaskMulticlass, func(a *Scorer) {
			for i := range MaxClasses + 1 {
				addClasses(a, 1, strconv.Itoa(i), "x")
			}
		}, Accuracy, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, tt.task, "yes")
			tt.fill(a)
			v := a.Values([]string{tt.metric}, Options{})[0]
			if v.Metric != tt.metric || v.Reason != tt.reason || (v.Value == nil) != (tt.reason != "") {
				t.Errorf("%+v, want reason %q", v, tt.reason)
			}
		})
	}
}

func TestConfusionCountsAlwaysFollow(t *testing.T) {
	t.Parallel()
	a := mustNew(t, modelwatch.TaskBinary, "yes")
	addClasses(a, 60, "yes", "yes")
	addClasses(a, 30, "yes", "no")
	addClasses(a, 20, "no", "yes")
	addClasses(a, 10, "no", "no")
	got := map[string]float64{}
	for _, v := range a.Values([]string{TruePositives}, Options{}) {
		got[v.Metric] = *v.Value
	}
	want := map[string]float64{TruePositives: 60, FalsePositives: 30, FalseNegatives: 20, TrueNegatives: 10}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestClassesWithFewRowsAreTooFew(t *testing.T) {
	t.Parallel()
	a := mustNew(t, modelwatch.TaskMulticlass, "")
	addClasses(a, 150, "a", "a")
	addClasses(a, 20, "b", "b")
	got := map[string]modelwatch.Reason{}
	for _, v := range a.Values([]string{Recall}, Options{}) {
		if v.Metric == Recall {
			got[v.Class] = v.Reason
		}
	}
	want := map[string]modelwatch.Reason{"": "", "a": "", "b": modelwatch.ReasonTooFew}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons by class (-want +got):\n%s", diff)
	}
}

func TestShownClassesAreBounded(t *testing.T) {
	t.Parallel()
	a := mustNew(t, modelwatch.TaskMulticlass, "")
	for i := range 3 * MaxShownClasses {
		addClasses(a, i+1, strconv.Itoa(i), strconv.Itoa(i))
	}
	var shown []string
	for _, v := range a.Values([]string{F1}, Options{MinimumRows: 1}) {
		if v.Metric == F1 && v.Class != "" {
			shown = append(shown, v.Class)
		}
	}
	if len(shown) != MaxShownClasses || shown[0] != strconv.Itoa(3*MaxShownClasses-1) {
		t.Errorf("%d classes, first %q", len(shown), shown[0])
	}
}

func TestLabelCoverage(t *testing.T) {
	t.Parallel()
	a := mustNew(t, modelwatch.TaskRegression, "")
	if _, ok := a.Accumulator().LabelCoverage(); ok {
		t.Error("nothing has a coverage")
	}
	addErrors(a, 1, 1, 2)
	addErrors(a, 1, math.NaN(), 2)
	addUnlabelled(a, 3)
	if got, ok := a.Accumulator().LabelCoverage(); !ok || got != 0.25 {
		t.Errorf("coverage %v %v, want 0.25", got, ok)
	}
}
