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

var tasks = []modelwatch.Task{modelwatch.TaskBinary, modelwatch.TaskMulticlass, modelwatch.TaskRegression, modelwatch.TaskRanking}

// everything is a config that keeps all there is.
func everything(task modelwatch.Task, exact bool) Config {
	c := Config{Task: task, Positive: "yes", Exact: exact, Ks: []int{1, 3, 100}}
	if task == modelwatch.TaskMulticlass {
		c.Positive, c.Classes = "", []string{"yes", "no", "maybe"}
	}
	return c
}

func drawRows(t *rapid.T, label string, weight *rapid.Generator[float64]) []modelwatch.Joined {
	number := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Just(0.0), rapid.Float64())
	class := rapid.SampledFrom([]string{"yes", "no", "maybe", ""})
	score := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.25, 0.5, 1}), rapid.Just(1.0/3))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelwatch.Joined {
		j := modelwatch.Joined{
			Predicted: class.Draw(t, "predicted"), PredictedValue: number.Draw(t, "value"), HasPredicted: true,
			Label: class.Draw(t, "label"), LabelValue: number.Draw(t, "truth"), HasLabel: rapid.IntRange(0, 5).Draw(t, "labelled") > 0,
			Score: score.Draw(t, "score"), HasScore: rapid.IntRange(0, 5).Draw(t, "scored") > 0,
			Group: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group"), HasGroup: true,
			Weight: weight.Draw(t, "weight"),
		}
		p, q := score.Draw(t, "p"), score.Draw(t, "q")
		j.Scores = []float64{p, (1 - p) * q, (1 - p) * (1 - q)}
		return j
	}), 0, 60).Draw(t, label)
}

func build(t *rapid.T, c Config, rows []modelwatch.Joined) *Scorer {
	s, err := c.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if c.Task == modelwatch.TaskRanking {
			r.LabelValue = math.Abs(r.LabelValue)
		}
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

var loose = Options{MinimumRows: 1}

func (s *Scorer) everything() []modelwatch.Value { return s.Values(Metrics(s.config.Task), loose) }

// Neither the order of rows nor the way they are divided changes a bit.
func TestMergeIsUnion(t *testing.T) {
	t.Parallel()
	anyWeight := rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(0.001, 1000), rapid.SampledFrom([]float64{0, -1, 10, 1. / 3}))
	for _, task := range tasks {
		for _, exact := range []bool{false, true} {
			t.Run(string(task)+" exact "+strconv.FormatBool(exact), func(t *testing.T) {
				t.Parallel()
				c := everything(task, exact)
				rapid.Check(t, func(t *rapid.T) {
					x, y := drawRows(t, "x", anyWeight), drawRows(t, "y", anyWeight)
					all := slices.Concat(x, y)
					want := build(t, c, all).everything()
					shuffled := build(t, c, rapid.Permutation(all).Draw(t, "order"))
					left, right := build(t, c, x), build(t, c, y)
					must(left.Merge(build(t, c, y)))
					must(right.Merge(build(t, c, x)))
					for name, s := range map[string]*Scorer{"shuffled": shuffled, "x and y": left, "y and x": right} {
						if diff := cmp.Diff(want, s.everything()); diff != "" {
							t.Fatalf("%s (-want +got):\n%s", name, diff)
						}
					}
					checkSane(t, want)
				})
			})
		}
	}
}

func checkSane(t *rapid.T, values []modelwatch.Value) {
	free := []string{MCC, R2, Bias, MAPE, RMSE, MAE, MSLE, LogLoss, SMAPE, Brier, QuantileError, TruePositives, FalsePositives, TrueNegatives, FalseNegatives}
	for _, v := range values {
		if (v.Value == nil) != (v.Reason != "") {
			t.Fatalf("%+v", v)
		}
		for _, x := range []*float64{v.Value, v.Lower, v.Upper, v.StandardError, v.ConstantValue, v.EffectiveCurrent} {
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

// moderate leaves out numbers that leave the range of doubles when they are
// multiplied by a weight.
func moderate(rows []modelwatch.Joined) []modelwatch.Joined {
	return slices.DeleteFunc(rows, func(j modelwatch.Joined) bool {
		small := j.LabelValue != 0 && math.Abs(j.LabelValue) < 1e-100 // relative errors near the largest double have no sum
		return small || max(math.Abs(j.PredictedValue), math.Abs(j.LabelValue)) > 1e100
	})
}

// A whole weight is as many rows; effective numbers and what hangs on them aside.
func TestWeightIsRepetition(t *testing.T) {
	t.Parallel()
	for _, task := range tasks[:3] {
		t.Run(string(task), func(t *testing.T) {
			t.Parallel()
			c := everything(task, true)
			rapid.Check(t, func(t *rapid.T) {
				rows := moderate(drawRows(t, "rows", rapid.SampledFrom([]float64{1, 2, 3, 7})))
				var repeated []modelwatch.Joined
				for _, r := range rows {
					n := int(r.Weight)
					r.Weight = 1
					for range n {
						repeated = append(repeated, r)
					}
				}
				got, want := build(t, c, rows).everything(), build(t, c, repeated).everything()
				if len(got) != len(want) {
					t.Fatalf("%d values, want %d", len(got), len(want))
				}
				for i, v := range got {
					w := want[i]
					if v.Metric != w.Metric || v.Class != w.Class || v.Reason != w.Reason {
						t.Fatalf("%+v, want %+v", v, w)
					}
					for _, p := range [][2]*float64{{v.Value, w.Value}, {v.ConstantValue, w.ConstantValue}} {
						if p[0] != nil && !near(*p[0], *p[1], 1e-12) && math.Abs(*p[0]-*p[1]) > 1e-14 {
							t.Fatalf("%s: %v, repeated %v", v.Metric, *p[0], *p[1])
						}
					}
				}
			})
		})
	}
}

// Equal weights, whatever they are, change no value, and the effective number of
// rows is their number.
func TestEqualWeightsAreNone(t *testing.T) {
	t.Parallel()
	for _, task := range tasks {
		t.Run(string(task), func(t *testing.T) {
			t.Parallel()
			c := everything(task, false)
			rapid.Check(t, func(t *rapid.T) {
				rows := moderate(drawRows(t, "rows", rapid.Just(1.0)))
				want := build(t, c, rows).everything()
				w := rapid.Float64Range(1e-3, 1e3).Draw(t, "w")
				for i := range rows {
					rows[i].Weight = w
				}
				for i, v := range build(t, c, rows).everything() {
					if slices.Contains(confusion, v.Metric) {
						continue
					}
					if v.EffectiveCurrent != nil && !near(*v.EffectiveCurrent, float64(v.NCurrent), 1e-12) {
						t.Fatalf("%s: effective %v of %d", v.Metric, *v.EffectiveCurrent, v.NCurrent)
					}
					u := want[i]
					for k, p := range [][2]*float64{{v.Value, u.Value}, {v.StandardError, u.StandardError}, {v.Lower, u.Lower}, {v.ConstantValue, u.ConstantValue}} {
						if (p[0] == nil) != (p[1] == nil) || p[0] != nil && !near(*p[0], *p[1], 1e-9) && math.Abs(*p[0]-*p[1]) > 1e-7 {
							t.Fatalf("%s, part %d, weight %v: %+v, want %+v", v.Metric, k, w, v, u)
						}
					}
				}
			})
		})
	}
}

// Scores the other way round have the other side of the area.
func TestAUCOfTheComplement(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t, "rows", rapid.Float64Range(0.1, 10))
		for i := range rows {
			rows[i].Score = math.Round(rows[i].Score*64) / 64
		}
		c := everything(modelwatch.TaskBinary, rapid.Bool().Draw(t, "exact"))
		v := build(t, c, rows).Values([]string{AUCROC}, loose)[0]
		for i := range rows {
			rows[i].Score = 1 - rows[i].Score
		}
		u := build(t, c, rows).Values([]string{AUCROC}, loose)[0]
		if v.Reason != u.Reason || v.Value != nil && math.Abs(*v.Value+*u.Value-1) > 1e-12 {
			t.Fatalf("%+v and %+v", v, u)
		}
	})
}

func TestMergePanicsOnAnotherTask(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("merged")
		}
	}()
	must(mustNew(t, modelwatch.TaskBinary, "yes").Merge(mustNew(t, modelwatch.TaskBinary, "no")))
}

// With more distinct scores than are counted apart, the bounds hold what
// sorting them gives, and the order of rows still does not matter. Exactly, it is
// what sorting them gives.
func TestManyScoresAreBounded(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]float64{{1}, {1, 2.5, 10}} {
		const n = 6 * MaxScores
		r := rand.New(rand.NewPCG(5, 6))
		rows := make([]modelwatch.Joined, n)
		for i := range rows {
			j := modelwatch.Joined{Label: "no", HasLabel: true, Score: r.Float64() * 0.9, HasScore: true, Weight: weights[r.IntN(len(weights))]}
			if r.IntN(4) == 0 {
				j.Label, j.Score = "yes", 0.1+0.9*r.Float64()
			}
			rows[i] = j
		}
		c := Config{Task: modelwatch.TaskBinary, Positive: "yes"}
		forward, halves, second := configured(t, c), configured(t, c), configured(t, c)
		c.Exact = true
		exact, firstExact, secondExact := configured(t, c), configured(t, c), configured(t, c)
		for i := range rows {
			must(forward.Add(rows[i]))
			must(exact.Add(rows[i]))
			if i%3 == 0 {
				must(second.Add(rows[n-1-i]))
				must(secondExact.Add(rows[n-1-i]))
			} else {
				must(halves.Add(rows[n-1-i]))
				must(firstExact.Add(rows[n-1-i]))
			}
		}
		must(halves.Merge(second))
		must(firstExact.Merge(secondExact))
		metrics := []string{AUCROC, AUCPR}
		values := forward.Values(metrics, Options{})
		if diff := cmp.Diff(values, halves.Values(metrics, Options{})); diff != "" {
			t.Errorf("in parts (-whole +parts):\n%s", diff)
		}
		exactly := exact.Values(metrics, Options{})
		if diff := cmp.Diff(exactly, firstExact.Values(metrics, Options{})); diff != "" {
			t.Errorf("exactly, in parts (-whole +parts):\n%s", diff)
		}
		auc, ap := sortedScores(rows)
		for i, want := range []float64{auc, ap} {
			v := values[i]
			if v.Lower == nil || *v.Lower > want || *v.Upper < want || *v.Upper-*v.Lower > 1e-3 || *v.Lower == *v.Upper {
				t.Errorf("%s: %v in [%v, %v], want %v", v.Metric, *v.Value, *v.Lower, *v.Upper, want)
			}
			if u := exactly[i]; !near(*u.Value, want, 1e-12) {
				t.Errorf("exact %s: %v, want %v", u.Metric, *u.Value, want)
			}
			if u := exactly[i]; !near(*v.StandardError, *u.StandardError, 1e-3) {
				t.Errorf("%s: standard error %v, exactly %v", u.Metric, *v.StandardError, *u.StandardError)
			}
		}
	}
}

// sortedScores returns the area under the curve and the average precision of
// scores without ties.
func sortedScores(rows []modelwatch.Joined) (auc, ap float64) {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b modelwatch.Joined) int {
		if a.Score > b.Score {
			return -1
		}
		return 1
	})
	var tp, fp float64
	for _, r := range rows {
		if r.Label == "yes" {
			tp += r.Weight
			ap += r.Weight * tp / (tp + fp)
		} else {
			fp += r.Weight
			auc += r.Weight * tp
		}
	}
	return auc / (tp * fp), ap / tp
}

// The bounds of average precision hold for every score behind few cells.
func TestBoundsHoldTheExactValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t, "rows", rapid.SampledFrom([]float64{1, 1, 2, 0.3}))
		coarse := scoredRows{cells: newCells(rapid.IntRange(1, 8).Draw(t, "cells"))}
		exact := newScoredRows(true, 0, 1000)
		for _, r := range rows {
			w := weightOf(r.Weight)
			must(coarse.add(r.Score, r.Label == "yes", &w))
			must(exact.add(r.Score, r.Label == "yes", &w))
		}
		for _, f := range []func(*scoredRows, *modelwatch.Value){(*scoredRows).auc, (*scoredRows).averagePrecision} {
			var v, want modelwatch.Value
			f(&coarse, &v)
			f(&exact, &want)
			if v.Reason != want.Reason {
				t.Fatalf("%+v, want %+v", v, want)
			}
			if v.Value == nil {
				continue
			}
			lower, upper := *v.Value, *v.Value
			if coarse.coarse() {
				lower, upper = *v.Lower, *v.Upper
			}
			if x := *want.Value; x < lower-1e-12 || x > upper+1e-12 {
				t.Fatalf("exact %v, not in [%v, %v]", x, lower, upper)
			}
		}
	})
}
