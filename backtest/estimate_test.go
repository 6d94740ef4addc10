package backtest

import (
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

// cbpeCase is a case of testdata/generate_cbpe.py.
type cbpeCase struct {
	Name       string
	Task       modelwatch.Task
	Classes    []string
	Calibrated bool
	Expect     expected
	Reference  map[string][]any
	Analysis   map[string][]any
}

func (c *cbpeCase) rows(columns map[string][]any) []modelwatch.Joined {
	text := func(v any) string {
		if n, ok := v.(float64); ok {
			return strconv.FormatFloat(n, 'g', -1, 64)
		}
		return v.(string)
	}
	rows := make([]modelwatch.Joined, len(columns["label"]))
	for i := range rows {
		j := modelwatch.Joined{Predicted: text(columns["predicted"][i]), HasPredicted: true, Label: text(columns["label"][i]), HasLabel: true, Weight: 1}
		if c.Classes == nil {
			j.Score, j.HasScore = columns["score"][i].(float64), true
		}
		for _, class := range c.Classes {
			j.Scores = append(j.Scores, columns["score_"+class][i].(float64))
		}
		rows[i] = j
	}
	return rows
}

func fit(t testing.TB, c Config, when Calibrate, rows []modelwatch.Joined) *Calibration {
	t.Helper()
	k, err := c.NewCalibrator()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		must(k.Add(r))
	}
	cal, err := k.Fit(when)
	if err != nil {
		t.Fatal(err)
	}
	return cal
}

// Estimates agree with NannyML's to 1e-9, areas to 1e-7: it rounds the sums of
// probabilities behind them to five decimals.
func TestEstimatesAgreeWithNannyML(t *testing.T) {
	t.Parallel()
	for _, c := range loadCases[cbpeCase](t, "testdata/cbpe.json.gz", 5) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			config := Config{Task: c.Task, Positive: "1", Classes: c.Classes}
			reference, analysis := c.rows(c.Reference), c.rows(c.Analysis)
			cal := fit(t, config, CalibrateIfBetter, reference)
			if cal.Calibrated() != c.Calibrated {
				t.Errorf("calibrated %v, want %v", cal.Calibrated(), c.Calibrated)
			}
			e, second := cal.NewEstimator(), cal.NewEstimator()
			for i, r := range analysis {
				r.Label, r.HasLabel = "", false
				if i%3 == 0 {
					must(second.Add(r))
				} else {
					must(e.Add(r))
				}
			}
			must(e.Merge(second))
			got := byMetric(t, e.Values(nil, loose), "")
			for metric, want := range c.Expect {
				v, tolerance := got[EstimatedPrefix+metric], 1e-9
				if metric == AUCROC {
					tolerance = 1e-7
				}
				if v.Value == nil || math.Abs(*v.Value-*want) > tolerance {
					t.Errorf("%s: %+v (%s), want %v", metric, v, text(v.Value), *want)
				}
			}
		})
	}
}

// What is estimated never leaves its range, and is the same in any order.
func TestEstimatesAreSane(t *testing.T) {
	t.Parallel()
	for _, task := range tasks[:2] {
		t.Run(string(task), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				weight := rapid.SampledFrom([]float64{1, 1, 2.5, 0})
				c := everything(task, false)
				k, err := c.NewCalibrator()
				if err != nil {
					rt.Fatal(err)
				}
				for _, r := range drawRows(rt, "baseline", weight) {
					must(k.Add(r))
				}
				cal, err := k.Fit(rapid.SampledFrom([]Calibrate{CalibrateIfBetter, CalibrateAlways, CalibrateNever}).Draw(rt, "when"))
				if err != nil {
					rt.Skip(err)
				}
				rows := drawRows(rt, "rows", weight)
				estimate := func(rows []modelwatch.Joined) []modelwatch.Value {
					e := cal.NewEstimator()
					for _, r := range rows {
						must(e.Add(r))
					}
					return e.Values(nil, loose)
				}
				want := estimate(rows)
				for _, v := range want {
					switch {
					case (v.Value == nil) != (v.Reason != ""):
						rt.Fatalf("%+v", v)
					case v.Value == nil:
					case !finite(*v.Value), *v.Value < -1, v.Metric == "estimated_accuracy" && *v.Value > 1:
						rt.Fatalf("%s: %v", v.Metric, *v.Value)
					}
				}
				if diff := cmp.Diff(want, estimate(rapid.Permutation(rows).Draw(rt, "order"))); diff != "" {
					rt.Fatalf("in another order (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestIsotonic(t *testing.T) {
	t.Parallel()
	x := []float64{0.1, 0.2, 0.3, 0.4}
	f := fitIsotonic(x, []float64{1, 0, 1, 0}, []float64{0, 1, 0, 1})
	for _, p := range [][2]float64{{0, 0}, {0.1, 0}, {0.15, 0.25}, {0.2, 0.5}, {0.25, 0.5}, {0.3, 0.5}, {0.35, 0.75}, {0.4, 1}, {0.9, 1}} {
		if got := f.at(p[0]); math.Abs(got-p[1]) > 1e-12 {
			t.Errorf("at %v: %v, want %v", p[0], got, p[1])
		}
	}
}

func TestCalibratorRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{Task: modelwatch.TaskRegression}, {Task: modelwatch.TaskMulticlass}, {}} {
		if _, err := c.NewCalibrator(); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("%+v: %v, want an invalid error", c, err)
		}
	}
	k, err := Config{Task: modelwatch.TaskBinary, Positive: "1"}.NewCalibrator()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Fit(CalibrateAlways); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("no rows: %v, want an invalid error", err)
	}
}
