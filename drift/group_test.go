package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

func measured(name, metric string, value float64) modelwatch.Measurement {
	return modelwatch.Measurement{Value: modelwatch.Value{Metric: metric, Value: &value}, Subject: modelwatch.SubjectFeature, Name: name}
}

func absent(name, metric string, reason modelwatch.Reason) modelwatch.Measurement {
	return modelwatch.Measurement{Value: modelwatch.Value{Metric: metric, Reason: reason}, Subject: modelwatch.SubjectFeature, Name: name}
}

func judged(m modelwatch.Measurement, breached bool) modelwatch.Measurement {
	m.Threshold, m.Breached = &modelwatch.Bounds{}, breached
	return m
}

func lines(ms []modelwatch.Measurement) (out []string) {
	for _, m := range ms {
		value := string(m.Reason)
		if m.Value.Value != nil {
			value = fmt.Sprintf("%.4g", *m.Value.Value)
		}
		out = append(out, fmt.Sprintf("%s %s %s=%s %d/%d", m.Subject, m.Name, m.Metric, value, m.NCurrent, m.NBaseline))
	}
	return out
}

func TestGroup(t *testing.T) {
	t.Parallel()
	weighted := []Member{{"a", "a", 3}, {"b", "b", 1}, {"c", "c", 0}}
	equal := []Member{{"a", "a", 0}, {"b", "b", 0}}
	for _, tt := range []struct {
		name    string
		ms      []modelwatch.Measurement
		members []Member
		groups  map[string][]string
		want    []string
	}{
		{
			"weighted", []modelwatch.Measurement{judged(measured("a", PSI, 0.1), false), judged(measured("b", PSI, 0.5), true), measured("c", PSI, 0.9)}, weighted,
			map[string][]string{"all": {"*"}, "b only": {"b"}, "c only": {"c"}, "none": {"x*"}},
			[]string{
				"group all psi=0.2 3/3", "group all psi_max=0.9 3/3", "group all drifted_share=0.25 2/3",
				"group b only psi=0.5 1/1", "group b only psi_max=0.5 1/1", "group b only drifted_share=1 1/1",
				"group c only psi=0.9 1/1", "group c only psi_max=0.9 1/1",
				"model  psi=0.2 3/3", "model  psi_max=0.9 3/3",
			},
		},
		{
			"equal", []modelwatch.Measurement{measured("a", KS, 0.1), measured("b", KS, 0.5)}, equal, nil,
			[]string{"model  ks=0.3 2/2", "model  ks_max=0.5 2/2"},
		},
		{
			"absent", []modelwatch.Measurement{measured("a", KS, 0.1), absent("b", KS, modelwatch.ReasonTooFew), absent("a", TVD, modelwatch.ReasonTooFew), absent("b", TVD, modelwatch.ReasonEmpty)}, equal, nil,
			[]string{"model  tvd=empty 0/2", "model  tvd_max=empty 0/2", "model  ks=0.1 1/2", "model  ks_max=0.1 1/2"},
		},
		{
			"no weight", []modelwatch.Measurement{absent("a", PSI, modelwatch.ReasonTooFew), measured("c", PSI, 0.9)}, weighted, nil,
			[]string{"model  psi=zero_division 1/2", "model  psi_max=0.9 1/2"},
		},
		{
			"views share their column's importance", []modelwatch.Measurement{measured("t.hour", PSI, 1), measured("t.weekday", PSI, 3), measured("a", PSI, 5)},
			[]Member{{"t.hour", "t", 2}, {"t.weekday", "t", 2}, {"a", "a", 2}}, map[string][]string{"time": {"t"}, "hours": {"t.hour"}},
			[]string{"group hours psi=1 1/1", "group hours psi_max=1 1/1", "group time psi=2 2/2", "group time psi_max=3 2/2", "model  psi=3.5 3/3", "model  psi_max=5 3/3"},
		},
		{
			"what is not averaged", []modelwatch.Measurement{
				measured("a", KSP, 0.1), measured("b", KSP, 0.5), measured("a", MeanShift, -1), measured("b", MeanShift, 1),
				absent("a", KS, modelwatch.ReasonNotApplicable), absent("b", KS, modelwatch.ReasonNotApplicable),
			}, equal, nil, nil,
		},
		{"one feature is no model", []modelwatch.Measurement{measured("a", PSI, 0.1)}, equal, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, lines(Group(tt.ms, tt.members, tt.groups))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A mean lies between the smallest and the largest value, the order of features
// makes no difference beyond rounding, nor does the scale of importances.
func TestGroupLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "features")
		var ms []modelwatch.Measurement
		var members, scaled []Member
		low, high := math.Inf(1), 0.0
		factor := rapid.Float64Range(1e-100, 1e100).Draw(t, "factor")
		for i := range n {
			v := rapid.Float64Range(0, math.MaxFloat64).Draw(t, "value")
			w := rapid.Float64Range(1e-3, 1e3).Draw(t, "importance")
			name := fmt.Sprint("f", i)
			ms = append(ms, measured(name, PSI, v))
			members = append(members, Member{name, name, w})
			scaled = append(scaled, Member{name, name, w * factor})
			low, high = min(low, v), max(high, v)
		}
		got := Group(ms, members, nil)
		mean := *got[0].Value.Value
		if math.IsNaN(mean) || mean < low*(1-1e-12) || mean > high || *got[1].Value.Value != high {
			t.Fatalf("mean %v, maximum %v of values from %v to %v", mean, *got[1].Value.Value, low, high)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(n, func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		again := *Group(ms, scaled, nil)[0].Value.Value
		if math.Abs(again-mean) > 1e-9*mean {
			t.Fatalf("mean %v in one order, %v in another", mean, again)
		}
	})
}

func TestDriftedCorrectsForTheNumberOfFeatures(t *testing.T) {
	t.Parallel()
	limit := 0.05
	var ms []modelwatch.Measurement
	for i, p := range []float64{0.001, 0.04, 0.6, 0.9} {
		m := measured(fmt.Sprint("f", i), KSP, p)
		m.PValue = &p
		m.Judge([]modelwatch.Threshold{{Metric: KSP, Lower: &limit}}, modelwatch.Past{})
		ms = append(ms, m)
	}
	ms = append(ms, judged(measured("f3", MissingRatio, 1), true), judged(measured("f2", PSI, 1), true), judged(measured("f4", MissingRatio, 1), true))
	Correct(ms)
	// scipy.stats.false_discovery_control([0.001, 0.04, 0.6, 0.9])
	for i, want := range []float64{0.004, 0.08, 0.8, 0.9} {
		if got := ms[i].AdjustedP; got == nil || math.Abs(*got-want) > 1e-12 {
			t.Errorf("feature %d: corrected %v, want %v", i, got, want)
		}
	}
	want := map[string]bool{"f0": true, "f1": false, "f2": true, "f3": false}
	if diff := cmp.Diff(want, Drifted(ms)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !ms[1].Breached {
		t.Error("the measurement itself is judged by its own p-value")
	}
}

func TestGroupMetricsHaveAScale(t *testing.T) {
	t.Parallel()
	for _, m := range append(Metrics(), GroupMetrics()...) {
		if s := modelwatch.ScaleOf(m); s.Worse == modelwatch.WorseBoth && m != MeanShift {
			t.Errorf("%s: it is not known which end is bad", m)
		}
	}
}

func TestDrifted(t *testing.T) {
	t.Parallel()
	feature := func(name, metric string, value float64, upper, lower *float64) modelwatch.Measurement {
		m := modelwatch.Measurement{Subject: modelwatch.SubjectFeature, Name: name}
		m.Metric, m.Value.Value = metric, &value
		if upper != nil || lower != nil {
			m.Threshold = &modelwatch.Bounds{Upper: upper, Lower: lower}
			if metric == KSP {
				m.PValue = &value
			}
			m.Breached = upper != nil && value > *upper || lower != nil && value < *lower
		}
		return m
	}
	limit, level := 0.2, 0.05
	noValue := feature("f", "psi", 0.9, &limit, nil)
	noValue.Value.Value, noValue.Breached = nil, false
	prediction := feature("score", "psi", 0.9, &limit, nil)
	prediction.Subject = modelwatch.SubjectPrediction
	tests := []struct {
		name              string
		ms                []modelwatch.Measurement
		drifted, measured int
	}{
		{"nothing", nil, 0, 0},
		{"over and under", []modelwatch.Measurement{feature("a", "psi", 0.3, &limit, nil), feature("b", "psi", 0.1, &limit, nil)}, 1, 2},
		{"without a threshold", []modelwatch.Measurement{feature("a", "psi", 0.3, nil, nil)}, 0, 0},
		{"two metrics of one feature", []modelwatch.Measurement{feature("a", "psi", 0.1, &limit, nil), feature("a", "ks", 0.3, &limit, nil)}, 1, 1},
		{"without a value", []modelwatch.Measurement{noValue}, 0, 0},
		{"a prediction", []modelwatch.Measurement{prediction}, 0, 0},
		{"quality is not drift", []modelwatch.Measurement{feature("a", "missing_ratio", 0.3, &limit, nil)}, 0, 0},
		// Benjamini and Hochberg: 0.04 alone is under 0.05; as the smallest of three it becomes 0.09.
		{"one p-value", []modelwatch.Measurement{feature("a", "ks_p", 0.04, nil, &level)}, 1, 1},
		{"three p-values", []modelwatch.Measurement{feature("a", "ks_p", 0.04, nil, &level), feature("b", "ks_p", 0.06, nil, &level), feature("c", "ks_p", 0.9, nil, &level)}, 0, 3},
		{"a clear one of three", []modelwatch.Measurement{feature("a", "ks_p", 0.001, nil, &level), feature("b", "ks_p", 0.6, nil, &level), feature("c", "ks_p", 0.9, nil, &level)}, 1, 3},
	}
	for _, test := range tests {
		Correct(test.ms)
		drifted, measured := 0, 0
		for _, is := range Drifted(test.ms) {
			measured++
			if is {
				drifted++
			}
		}
		if drifted != test.drifted || measured != test.measured {
			t.Errorf("%s: %d of %d drifted, want %d of %d", test.name, drifted, measured, test.drifted, test.measured)
		}
	}
}
