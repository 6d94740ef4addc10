package backtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		task     modelwatch.Task
		positive string
	}{{modelwatch.TaskRanking, ""}, {modelwatch.TaskOther, ""}, {"", ""}, {modelwatch.TaskBinary, ""}} {
		if _, err := New(tt.task, tt.positive); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("task %q, positive %q: %v, want an invalid error", tt.task, tt.positive, err)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		task   modelwatch.Task
		fill   func(*Accumulator)
		metric string
		reason modelwatch.Reason
	}{
		{"no labels", modelwatch.TaskBinary, func(a *Accumulator) { a.AddUnlabelled(500) }, Accuracy, modelwatch.ReasonNoLabels},
		{"too few", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 99, "yes", "yes") }, Accuracy, modelwatch.ReasonTooFew},
		{"enough", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "yes") }, Accuracy, ""},
		{"nothing predicted positive", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "no", "yes") }, Precision, modelwatch.ReasonZeroDivision},
		{"no positive", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "no") }, Recall, modelwatch.ReasonNoPositive},
		{"one class", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "no") }, BalancedAccuracy, modelwatch.ReasonSingleClass},
		{"no scores", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "no") }, AUCROC, modelwatch.ReasonNotApplicable},
		{"few scores", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "no"); a.AddScore(0.5, "yes") }, AUCROC, modelwatch.ReasonTooFew},
		{"a metric of another task", modelwatch.TaskBinary, func(a *Accumulator) { addClasses(a, 100, "yes", "no") }, RMSE, modelwatch.ReasonNotApplicable},
		{"an unknown metric", modelwatch.TaskRegression, func(a *Accumulator) {}, "made_up", modelwatch.ReasonNotApplicable},
		{"coverage of nothing", modelwatch.TaskRegression, func(a *Accumulator) {}, LabelCoverage, modelwatch.ReasonEmpty},
		{"coverage needs no labels", modelwatch.TaskRegression, func(a *Accumulator) { a.AddUnlabelled(3) }, LabelCoverage, ""},
		{"infinite values", modelwatch.TaskRegression, func(a *Accumulator) { a.AddValue(math.Inf(1), 0) }, RMSE, modelwatch.ReasonNoLabels},
		{"zero label", modelwatch.TaskRegression, func(a *Accumulator) { addErrors(a, 100, 1, 0) }, MAPE, modelwatch.ReasonZeroDivision},
		{"constant labels", modelwatch.TaskRegression, func(a *Accumulator) { addErrors(a, 100, 1, 2) }, R2, modelwatch.ReasonConstant},
		{"no logarithm", modelwatch.TaskRegression, func(a *Accumulator) { addErrors(a, 100, -2, 2) }, MSLE, modelwatch.ReasonNotApplicable},
		{"too many classes", modelwatch.TaskMulticlass, func(a *Accumulator) {
			for i := range MaxClasses + 1 {
				a.AddClass(strconv.Itoa(i), "x")
			}
		}, F1, modelwatch.ReasonNotApplicable},
		{"accuracy of too many classes", modelwatch.TaskMulticlass, func(a *Accumulator) {
			for i := range MaxClasses + 1 {
				a.AddClass(strconv.Itoa(i), "x")
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

func addClasses(a *Accumulator, n int, predicted, label string) {
	for range n {
		a.AddClass(predicted, label)
	}
}

func addErrors(a *Accumulator, n int, predicted, label float64) {
	for range n {
		a.AddValue(predicted, label)
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
	if _, ok := a.LabelCoverage(); ok {
		t.Error("nothing has a coverage")
	}
	a.AddValue(1, 2)
	a.AddValue(math.NaN(), 2)
	a.AddUnlabelled(2)
	if got, ok := a.LabelCoverage(); !ok || got != 0.25 {
		t.Errorf("coverage %v %v, want 0.25", got, ok)
	}
}

// row is a joined row of any task.
type row struct {
	predicted, label string
	score            float64
	value, truth     float64
}

func drawRows(t *rapid.T, label string) []row {
	number := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Just(0.0), rapid.Float64())
	class := rapid.SampledFrom([]string{"yes", "no", "maybe", ""})
	score := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.25, 0.5, 1}))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
		return row{class.Draw(t, "predicted"), class.Draw(t, "label"), score.Draw(t, "score"), number.Draw(t, "value"), number.Draw(t, "truth")}
	}), 0, 60).Draw(t, label)
}

func (a *Accumulator) addRow(r row) {
	if a.task == modelwatch.TaskRegression {
		a.AddValue(r.value, r.truth)
		return
	}
	a.AddClass(r.predicted, r.label)
	if a.task == modelwatch.TaskBinary {
		a.AddScore(r.score, r.label)
	}
}

// Neither the order of rows nor the way they are divided changes a bit.
func TestMergeIsUnion(t *testing.T) {
	t.Parallel()
	for _, task := range []modelwatch.Task{modelwatch.TaskBinary, modelwatch.TaskMulticlass, modelwatch.TaskRegression} {
		t.Run(string(task), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				x, y := drawRows(t, "x"), drawRows(t, "y")
				all := append(slices.Clone(x), y...)
				build := func(rows []row) *Accumulator {
					a, err := New(task, "yes")
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range rows {
						a.addRow(r)
					}
					a.AddUnlabelled(int64(len(rows)))
					return a
				}
				want := build(all).Values(Metrics(task), Options{MinimumRows: 1})
				shuffled := build(rapid.Permutation(all).Draw(t, "order"))
				left, right := build(x), build(y)
				left.Merge(build(y))
				right.Merge(build(x))
				for name, a := range map[string]*Accumulator{"shuffled": shuffled, "x and y": left, "y and x": right} {
					if diff := cmp.Diff(want, a.Values(Metrics(task), Options{MinimumRows: 1})); diff != "" {
						t.Fatalf("%s (-want +got):\n%s", name, diff)
					}
				}
				checkSane(t, want)
			})
		})
	}
}

func checkSane(t *rapid.T, values []modelwatch.Value) {
	free := []string{MCC, R2, Bias, MAPE, RMSE, MAE, MSLE, LogLoss, SMAPE, TruePositives, FalsePositives, TrueNegatives, FalseNegatives}
	for _, v := range values {
		if (v.Value == nil) != (v.Reason != "") {
			t.Fatalf("%+v", v)
		}
		for _, x := range []*float64{v.Value, v.Lower, v.Upper, v.StandardError} {
			if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
				t.Fatalf("%s: %v", v.Metric, *x)
			}
		}
		if v.Value == nil {
			continue
		}
		if x := *v.Value; !slices.Contains(free, v.Metric) && (x < 0 || x > 1) {
			t.Fatalf("%s: %v", v.Metric, x)
		}
		if v.Lower != nil && (*v.Lower > *v.Value || *v.Value > *v.Upper) {
			t.Fatalf("%s: %v not in [%v, %v]", v.Metric, *v.Value, *v.Lower, *v.Upper)
		}
	}
}

func TestMergePanicsOnAnotherTask(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("merged")
		}
	}()
	mustNew(t, modelwatch.TaskBinary, "yes").Merge(mustNew(t, modelwatch.TaskBinary, "no"))
}

// With more distinct scores than are counted apart, the bounds hold what
// sorting them gives, and the order of rows still does not matter.
func TestManyScoresAreBounded(t *testing.T) {
	t.Parallel()
	const n = 3 * MaxScores
	r := rand.New(rand.NewPCG(5, 6))
	score, label := make([]float64, n), make([]string, n)
	for i := range score {
		label[i] = "no"
		score[i] = r.Float64() * 0.9
		if r.IntN(4) == 0 {
			label[i], score[i] = "yes", 0.1+0.9*r.Float64()
		}
	}
	forward, halves, second := mustNew(t, modelwatch.TaskBinary, "yes"), mustNew(t, modelwatch.TaskBinary, "yes"), mustNew(t, modelwatch.TaskBinary, "yes")
	for i := range score {
		forward.AddScore(score[i], label[i])
		if i%3 == 0 {
			second.AddScore(score[n-1-i], label[n-1-i])
		} else {
			halves.AddScore(score[n-1-i], label[n-1-i])
		}
	}
	halves.Merge(second)
	for _, a := range []*Accumulator{forward, halves} {
		addClasses(a, n, "no", "no")
	}
	metrics := []string{AUCROC, AUCPR}
	values := forward.Values(metrics, Options{})
	if diff := cmp.Diff(values, halves.Values(metrics, Options{})); diff != "" {
		t.Errorf("in parts (-whole +parts):\n%s", diff)
	}
	auc, ap := sortedScores(score, label)
	for i, want := range []float64{auc, ap} {
		v := values[i]
		if v.Lower == nil || *v.Lower > want || *v.Upper < want || *v.Upper-*v.Lower > 1e-3 || *v.Lower == *v.Upper {
			t.Errorf("%s: %v in [%v, %v], want %v", v.Metric, *v.Value, *v.Lower, *v.Upper, want)
		}
	}
}

// sortedScores returns the area under the curve and the average precision of
// scores without ties.
func sortedScores(score []float64, label []string) (auc, ap float64) {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if score[i] > score[j] {
			return -1
		}
		return 1
	})
	var tp, fp float64
	for _, i := range order {
		if label[i] == "yes" {
			tp++
			ap += tp / (tp + fp)
		} else {
			fp++
			auc += tp
		}
	}
	return auc / (tp * fp), ap / tp
}

func BenchmarkAddClass(b *testing.B) {
	a := mustNew(b, modelwatch.TaskMulticlass, "")
	classes := []string{"cat", "dog", "fox"}
	i := 0
	for b.Loop() {
		a.AddClass(classes[i%3], classes[i%2])
		i++
	}
}

func BenchmarkAddValue(b *testing.B) {
	a := mustNew(b, modelwatch.TaskRegression, "")
	x := 0.0
	for b.Loop() {
		x += 0.1
		a.AddValue(x, 2*x)
	}
}

func BenchmarkAddScore(b *testing.B) {
	a := mustNew(b, modelwatch.TaskBinary, "yes")
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		a.AddScore(r.Float64(), "yes")
	}
}
