package backtest

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// rowCase is a case of testdata/generate_rows.py. Labels and predictions are
// texts or numbers.
type rowCase struct {
	Name       string
	Task       modelwatch.Task
	Positive   string
	Exact      bool
	Classes    []string
	Quantile   float64
	Ks         []int
	Label      []any
	Predicted  []any
	Score      []float64
	Scores     [][]float64
	Group      []string
	Weight     []float64
	Expect     expected
	Constants  expected
	Errors     expected            `json:"standard_errors"`
	PerClass   map[string]expected `json:"per_class"`
	PerK       map[string]expected `json:"per_k"`
	ConstantsK map[string]expected `json:"constants_k"`
	ErrorsK    map[string]expected `json:"errors_k"`
}

// loadCases reads the vectors of a packed file, of which there are at least so many.
func loadCases[T any](t *testing.T, path string, least int) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < least {
		t.Fatalf("%s has %d cases: some are lost", path, len(cases))
	}
	return cases
}

func (c *rowCase) row(i int) modelwatch.Joined {
	j := modelwatch.Joined{HasLabel: true, Weight: c.Weight[i]}
	set := func(v any, text *string, number *float64) {
		switch v := v.(type) {
		case string:
			*text = v
		case float64:
			*number = v
		}
	}
	set(c.Label[i], &j.Label, &j.LabelValue)
	if c.Predicted != nil {
		set(c.Predicted[i], &j.Predicted, &j.PredictedValue)
		j.HasPredicted = true
	}
	if c.Score != nil {
		j.Score, j.HasScore = c.Score[i], true
	}
	if c.Scores != nil {
		j.Scores = c.Scores[i]
	}
	if c.Group != nil {
		j.Group, j.HasGroup = c.Group[i], true
	}
	return j
}

// Values agree to 1e-12 relative, standard errors to 1e-5, which is what
// differentiating numerically allows.
func TestRowsAgreeWithScikitLearn(t *testing.T) {
	t.Parallel()
	for _, c := range loadCases[rowCase](t, "testdata/rows.json.gz", 70) {
		t.Run(string(c.Task)+" "+c.Name, func(t *testing.T) {
			t.Parallel()
			s := configured(t, Config{Task: c.Task, Positive: c.Positive, Exact: c.Exact, Classes: c.Classes, Quantile: c.Quantile, Ks: c.Ks})
			for i := range c.Label {
				must(s.Add(c.row(i)))
			}
			values := s.everything()
			if c.Task == modelwatch.TaskRanking {
				checkRanking(t, &c, values)
				return
			}
			got := byMetric(t, values, "")
			check(t, got, c.Expect)
			checkParts(t, got, c.Constants, c.Errors)
			for class, want := range c.PerClass {
				if got := byMetric(t, values, shown(class)); len(got) > 0 || len(c.PerClass) <= MaxShownClasses {
					check(t, got, want)
				}
			}
		})
	}
}

func checkParts(t *testing.T, got map[string]modelwatch.Value, constants, standardErrors expected) {
	t.Helper()
	for metric, w := range constants {
		if w == nil || got[metric].Value == nil {
			continue
		}
		if v := got[metric].ConstantValue; v == nil || !near(*v, *w, 1e-9) && math.Abs(*v-*w) > 1e-13 {
			t.Errorf("%s: constant %v, want %v", metric, text(v), *w)
		}
	}
	for metric, w := range standardErrors {
		if v := got[metric].StandardError; w != nil && (v == nil || !near(*v, *w, 1e-5) && math.Abs(*v-*w) > 1e-8) {
			t.Errorf("%s: standard error %v, want %v", metric, text(v), *w)
		}
	}
}

func checkRanking(t *testing.T, c *rowCase, values []modelwatch.Value) {
	t.Helper()
	for k, want := range c.PerK {
		got := map[string]modelwatch.Value{}
		for _, v := range values {
			if strconv.Itoa(v.K) == k {
				got[v.Metric] = v
			}
		}
		check(t, got, want)
		checkParts(t, got, c.ConstantsK[k], c.ErrorsK[k])
	}
}
