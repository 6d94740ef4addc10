package backtest

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// expected holds a number by metric; nil where scikit-learn has none.
type expected map[string]*float64

// vectors are computed by testdata/generate.py with scikit-learn.
type vectors struct {
	Binary []struct {
		Name, Positive   string
		Label, Predicted []string
		Expect           expected
		Intervals        map[string][2]float64
	}
	Multiclass []struct {
		Name             string
		Label, Predicted []string
		Expect           expected
		Classes          map[string]expected
	}
	Scored []struct {
		Name           string
		Label          []int
		Score          []float64
		Expect         expected
		StandardErrors expected `json:"standard_errors"`
	}
	Regression []struct {
		Name             string
		Label, Predicted []float64
		Expect           expected
		StandardErrors   expected `json:"standard_errors"`
	}
}

func loadVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Binary) < 16 || len(v.Multiclass) < 11 || len(v.Regression) < 12 || len(v.Scored) < 14 {
		t.Fatalf("%d, %d, %d and %d vectors: some are lost", len(v.Binary), len(v.Multiclass), len(v.Scored), len(v.Regression))
	}
	return v
}

func near(got, want, relative float64) bool {
	return math.Abs(got-want) <= relative*math.Abs(want) || math.Abs(got-want) < 1e-300
}

// byMetric indexes the values of a class.
func byMetric(t *testing.T, values []modelwatch.Value, class string) map[string]modelwatch.Value {
	t.Helper()
	m := map[string]modelwatch.Value{}
	for _, v := range values {
		if v.Class != class {
			continue
		}
		if _, twice := m[v.Metric]; twice {
			t.Errorf("%s of class %q twice", v.Metric, class)
		}
		m[v.Metric] = v
	}
	return m
}

func check(t *testing.T, got map[string]modelwatch.Value, want expected) {
	t.Helper()
	for metric, w := range want {
		v, ok := got[metric]
		switch {
		case !ok:
			t.Errorf("%s is absent", metric)
		case w == nil && v.Reason == "":
			t.Errorf("%s is %v, want a reason", metric, *v.Value)
		case w != nil && (v.Value == nil || !near(*v.Value, *w, 1e-12) && math.Abs(*v.Value-*w) > 1e-15):
			t.Errorf("%s: %+v, want %v", metric, v, *w)
		}
	}
}

func TestBinaryAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Binary {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, modelwatch.TaskBinary, tt.Positive)
			for i, label := range tt.Label {
				addClasses(a, 1, tt.Predicted[i], label)
			}
			got := byMetric(t, a.Values(nil, Options{MinimumRows: 1}), "")
			maps.Copy(got, byMetric(t, a.Values([]string{Specificity, BalancedAccuracy, MCC}, Options{MinimumRows: 1}), ""))
			check(t, got, tt.Expect)
			for metric, w := range tt.Intervals {
				v := got[metric]
				if v.Lower == nil || math.Abs(*v.Lower-w[0]) > 1e-12 || math.Abs(*v.Upper-w[1]) > 1e-12 {
					t.Errorf("%s: %+v, want the interval %v", metric, v, w)
				}
			}
		})
	}
}

func TestMulticlassAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Multiclass {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, modelwatch.TaskMulticlass, "")
			for i, label := range tt.Label {
				addClasses(a, 1, tt.Predicted[i], label)
			}
			values := a.Values(Metrics(modelwatch.TaskMulticlass), Options{MinimumRows: 1})
			check(t, byMetric(t, values, ""), tt.Expect)
			for class, want := range tt.Classes {
				check(t, byMetric(t, values, shown(class)), want)
			}
		})
	}
}

func TestRegressionAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Regression {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, modelwatch.TaskRegression, "")
			for i, label := range tt.Label {
				addErrors(a, 1, tt.Predicted[i], label)
			}
			got := byMetric(t, a.Values(Metrics(modelwatch.TaskRegression), Options{MinimumRows: 1}), "")
			check(t, got, tt.Expect)
			for metric, w := range tt.StandardErrors {
				if v := got[metric]; v.StandardError == nil || !near(*v.StandardError, *w, 1e-9) && *v.StandardError > 1e-13 {
					t.Errorf("%s: %+v, want the standard error %v", metric, v, *w)
				}
			}
		})
	}
}

func TestScoresAgreeWithScikitLearn(t *testing.T) {
	t.Parallel()
	for _, tt := range loadVectors(t).Scored {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, modelwatch.TaskBinary, "1")
			for i, label := range tt.Label {
				addScore(a, tt.Score[i], strconv.Itoa(label))
			}
			got := byMetric(t, a.Values([]string{AUCROC, AUCPR, LogLoss, Brier, ECE}, Options{MinimumRows: 1}), "")
			check(t, got, tt.Expect)
			for metric, w := range tt.StandardErrors {
				if v := got[metric]; v.StandardError == nil || math.Abs(*v.StandardError-*w) > 1e-9 {
					t.Errorf("%s: %+v, want the standard error %v", metric, v, *w)
				}
			}
		})
	}
}
