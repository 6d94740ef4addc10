package modelwatch_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func at(v float64) *float64 { return &v }

// window is the daily measurement that ends so many hours before the one judged.
func window(hoursAgo int, value *float64) modelwatch.Measurement {
	end := epoch.Add(-time.Duration(hoursAgo) * time.Hour)
	m := modelwatch.Measurement{
		Version: "1", Window: modelwatch.Window{Start: end.Add(-24 * time.Hour), End: end}, Revision: 1,
		Value: modelwatch.Value{Metric: "psi", Value: value},
	}
	if value == nil {
		m.Reason = modelwatch.ReasonTooFew
	}
	return m
}

func days(values ...*float64) []modelwatch.Measurement {
	ms := make([]modelwatch.Measurement, len(values))
	for i, v := range values {
		ms[i] = window(24*(i+1), v)
	}
	return ms
}

func with(m modelwatch.Measurement, change func(m *modelwatch.Measurement)) modelwatch.Measurement {
	change(&m)
	return m
}

const week = 7 * 24 * time.Hour

func TestThresholdJudge(t *testing.T) {
	t.Parallel()
	null := func(m *modelwatch.Measurement) { m.Null95 = at(0.2) }
	version := func(name string) func(m *modelwatch.Measurement) {
		return func(m *modelwatch.Measurement) { m.Version = name }
	}
	upper := modelwatch.Threshold{Metric: "psi", Upper: at(0.2)}
	twoOfThree := modelwatch.Threshold{Metric: "psi", Upper: at(0.2), For: modelwatch.Share{K: 2, N: 3}}
	weekly := modelwatch.Threshold{Metric: "psi", ChangePercent: 50, Against: modelwatch.Against{Lag: week}}
	versions := modelwatch.Threshold{Metric: "psi", Difference: 0.05, Against: modelwatch.Against{Version: "0"}}
	for _, tt := range []struct {
		name      string
		threshold modelwatch.Threshold
		m         modelwatch.Measurement
		past      modelwatch.Past
		limits    modelwatch.Bounds
		breached  bool
	}{
		{name: "over", threshold: upper, m: window(0, at(0.3)), limits: modelwatch.Bounds{Upper: at(0.2)}, breached: true},
		{name: "at the limit", threshold: upper, m: window(0, at(0.2)), limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "under", threshold: modelwatch.Threshold{Lower: at(0.9)}, m: window(0, at(0.8)), limits: modelwatch.Bounds{Lower: at(0.9)}, breached: true},
		{name: "over, but chance explains it", threshold: modelwatch.Threshold{Upper: at(0.1)}, m: with(window(0, at(0.15)), null), limits: modelwatch.Bounds{Upper: at(0.1)}},
		{name: "over, and more than chance", threshold: modelwatch.Threshold{Upper: at(0.1)}, m: with(window(0, at(0.25)), null), limits: modelwatch.Bounds{Upper: at(0.1)}, breached: true},
		{name: "no value", threshold: upper, m: window(0, nil), limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "no limit", m: window(0, at(9))},

		{name: "over the null point", threshold: modelwatch.Threshold{OverNull: true}, m: with(window(0, at(0.21)), null), limits: modelwatch.Bounds{Upper: at(0.2)}, breached: true},
		{name: "at the null point", threshold: modelwatch.Threshold{OverNull: true}, m: with(window(0, at(0.2)), null), limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "no null point", threshold: modelwatch.Threshold{OverNull: true}, m: window(0, at(9))},

		{name: "two of three", threshold: twoOfThree, m: window(0, at(0.3)), past: modelwatch.Past{Windows: days(at(0.1), at(0.3), at(0.1))}, limits: modelwatch.Bounds{Upper: at(0.2)}, breached: true},
		{name: "two of four is not two of three", threshold: twoOfThree, m: window(0, at(0.3)), past: modelwatch.Past{Windows: days(at(0.1), at(0.1), at(0.3))}, limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "two of three, this one not", threshold: twoOfThree, m: window(0, at(0.1)), past: modelwatch.Past{Windows: days(at(0.3), at(0.3))}, limits: modelwatch.Bounds{Upper: at(0.2)}, breached: true},
		{name: "two of three, this one without a value", threshold: twoOfThree, m: window(0, nil), past: modelwatch.Past{Windows: days(at(0.3), at(0.3))}, limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "one without a value is not over", threshold: twoOfThree, m: window(0, at(0.3)), past: modelwatch.Past{Windows: days(at(0.1), nil, at(0.3))}, limits: modelwatch.Bounds{Upper: at(0.2)}},
		{name: "first window", threshold: twoOfThree, m: window(0, at(0.3)), limits: modelwatch.Bounds{Upper: at(0.2)}},
		{
			name: "the newest revision counts", threshold: twoOfThree, m: window(0, at(0.3)), limits: modelwatch.Bounds{Upper: at(0.2)},
			past: modelwatch.Past{Windows: []modelwatch.Measurement{window(24, at(0.3)), with(window(24, at(0.1)), func(m *modelwatch.Measurement) { m.Revision = 2 })}},
		},
		{
			name: "its own older revision is no other window", threshold: twoOfThree, m: with(window(0, at(0.3)), func(m *modelwatch.Measurement) { m.Revision = 2 }),
			past: modelwatch.Past{Windows: []modelwatch.Measurement{window(0, at(0.3))}}, limits: modelwatch.Bounds{Upper: at(0.2)},
		},
		{name: "later windows and other versions are none of its past", threshold: twoOfThree, m: window(0, at(0.3)), limits: modelwatch.Bounds{Upper: at(0.2)}, past: modelwatch.Past{Windows: []modelwatch.Measurement{window(-24, at(0.3)), with(window(24, at(0.3)), version("0"))}}},
		{
			name: "chunks by rows", threshold: twoOfThree, m: modelwatch.Measurement{Chunk: 2, Value: modelwatch.Value{Value: at(0.3)}}, limits: modelwatch.Bounds{Upper: at(0.2)}, breached: true,
			past: modelwatch.Past{Windows: []modelwatch.Measurement{{Chunk: 0, Value: modelwatch.Value{Value: at(0.3)}}, {Chunk: 1, Value: modelwatch.Value{Value: at(0.1)}}, {Chunk: 3, Value: modelwatch.Value{Value: at(0.3)}}}},
		},

		{name: "half as much again", threshold: weekly, m: window(0, at(0.31)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(0.2)), window(24, at(9))}}, limits: modelwatch.Bounds{Upper: at(0.30000000000000004)}, breached: true},
		{name: "not half as much again", threshold: weekly, m: window(0, at(0.3)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(0.2))}}, limits: modelwatch.Bounds{Upper: at(0.30000000000000004)}},
		{name: "but chance explains it", threshold: weekly, m: with(window(0, at(0.19)), null), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(0.1))}}, limits: modelwatch.Bounds{Upper: at(0.15000000000000002)}},
		{name: "no such window", threshold: weekly, m: window(0, at(9)), past: modelwatch.Past{Windows: days(at(0.1), at(0.1))}},
		{name: "summer time", threshold: weekly, m: window(0, at(1.6)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(167, at(1)), window(191, at(3))}}, limits: modelwatch.Bounds{Upper: at(1.5)}, breached: true},
		{name: "of two equally near the earlier", threshold: weekly, m: window(0, at(1.6)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(167, at(1)), window(169, at(3))}}, limits: modelwatch.Bounds{Upper: at(4.5)}},
		{name: "reference without a value", threshold: weekly, m: window(0, at(9)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, nil)}}},
		{name: "reference of zero", threshold: weekly, m: window(0, at(9)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(0))}}},
		{name: "reference below zero", threshold: weekly, m: window(0, at(-0.4)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(-1))}}, limits: modelwatch.Bounds{Upper: at(-0.5)}, breached: true},
		{name: "a fall", threshold: modelwatch.Threshold{ChangePercent: -25, Against: modelwatch.Against{Lag: week}}, m: window(0, at(0.7)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(1))}}, limits: modelwatch.Bounds{Lower: at(0.75)}, breached: true},
		{name: "beyond the range of a double", threshold: modelwatch.Threshold{ChangePercent: 1e9, Against: modelwatch.Against{Lag: week}}, m: window(0, at(9)), past: modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(math.MaxFloat64))}}},
		{
			name: "each window has its own limit", threshold: modelwatch.Threshold{ChangePercent: 50, Against: modelwatch.Against{Lag: week}, For: modelwatch.Share{K: 2, N: 2}}, m: window(0, at(2)),
			past:   modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(1)), window(24, at(5)), window(192, at(4))}},
			limits: modelwatch.Bounds{Upper: at(1.5)},
		},

		{name: "above the other version", threshold: versions, m: window(0, at(0.26)), past: modelwatch.Past{Windows: []modelwatch.Measurement{with(window(0, at(0.2)), version("0"))}}, limits: modelwatch.Bounds{Upper: at(0.25)}, breached: true},
		{name: "not above the other version", threshold: versions, m: window(0, at(0.24)), past: modelwatch.Past{Windows: []modelwatch.Measurement{with(window(0, at(0.2)), version("0"))}}, limits: modelwatch.Bounds{Upper: at(0.25)}},
		{name: "other window of the other version", threshold: versions, m: window(0, at(0.26)), past: modelwatch.Past{Windows: []modelwatch.Measurement{with(window(24, at(0.2)), version("0"))}}},
		{name: "the other version itself", threshold: versions, m: with(window(0, at(9)), version("0")), past: modelwatch.Past{Windows: []modelwatch.Measurement{with(window(0, at(0.2)), version("0"))}}},
		{
			name: "below the other version, in two windows", threshold: modelwatch.Threshold{Difference: -0.5, Against: modelwatch.Against{Version: "0"}, For: modelwatch.Share{K: 2, N: 2}}, m: window(0, at(0)),
			past: modelwatch.Past{Windows: []modelwatch.Measurement{window(24, at(1)), with(window(24, at(2)), version("0")), with(window(0, at(1)), version("0"))}}, limits: modelwatch.Bounds{Lower: at(0.5)}, breached: true,
		},

		{name: "learnt", threshold: modelwatch.Threshold{Metric: "psi", Learn: &modelwatch.Learn{SD: 3}}, m: window(0, at(9.1)), past: modelwatch.Past{Chunks: []float64{2, 4}}, limits: modelwatch.Bounds{Upper: at(6)}, breached: true},
		{name: "learnt, low is bad", threshold: modelwatch.Threshold{Metric: "accuracy", Learn: &modelwatch.Learn{SD: 2}}, m: window(0, at(0.2)), past: modelwatch.Past{Chunks: []float64{0.5, 0.75}}, limits: modelwatch.Bounds{Lower: at(0.375)}, breached: true},
		{name: "learnt, both", threshold: modelwatch.Threshold{Metric: "mean_shift", Learn: &modelwatch.Learn{SD: 1}}, m: window(0, at(2)), past: modelwatch.Past{Chunks: []float64{-1, 1}}, limits: modelwatch.Bounds{Lower: at(-1), Upper: at(1)}, breached: true},
		{name: "learnt and clipped", threshold: modelwatch.Threshold{Metric: "accuracy", Learn: &modelwatch.Learn{SD: 9}}, m: window(0, at(0)), past: modelwatch.Past{Chunks: []float64{0.5, 0.75}}, limits: modelwatch.Bounds{Lower: at(0)}},
		{name: "one chunk teaches nothing", threshold: modelwatch.Threshold{Metric: "psi", Learn: &modelwatch.Learn{SD: 3}}, m: window(0, at(9)), past: modelwatch.Past{Chunks: []float64{2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limits, breached := tt.threshold.Judge(tt.m, tt.past)
			if diff := cmp.Diff(tt.limits, limits); diff != "" || breached != tt.breached {
				t.Errorf("breached %v, want %v; limits (-want +got):\n%s", breached, tt.breached, diff)
			}
		})
	}
}

// NannyML's thresholds over reference chunks, by numpy: values.mean() + 3 * values.std().
func TestLearnAgreesWithNumpy(t *testing.T) {
	t.Parallel()
	chunks := []float64{0.011, 0.0132, 0.0091, 0.0204, 0.0157, 0.0108, 0.0099, 0.0121, 0.0143, 0.0176}
	threshold := modelwatch.Threshold{Metric: "psi", Learn: &modelwatch.Learn{SD: 3}}
	limits, _ := threshold.Judge(window(0, at(0)), modelwatch.Past{Chunks: chunks})
	const want = 0.023703497947733805
	if limits.Upper == nil || math.Abs(*limits.Upper-want) > 1e-15 {
		t.Errorf("got %+v, want %v", limits, want)
	}
}

func TestMeasurementJudge(t *testing.T) {
	t.Parallel()
	m := window(0, at(0.25))
	m.Name = "amount"
	for _, tt := range []struct {
		name       string
		thresholds []modelwatch.Threshold
		want       *modelwatch.Bounds
		breached   bool
	}{
		{"none", nil, nil, false},
		{"another metric", []modelwatch.Threshold{{Metric: "ks", Upper: at(0)}}, nil, false},
		{"another column", []modelwatch.Threshold{{Metric: "psi", Name: "city", Upper: at(0)}}, nil, false},
		{"a named column goes first", []modelwatch.Threshold{{Metric: "psi", Name: "amount", Upper: at(0.3)}, {Metric: "psi", Upper: at(0.1)}}, &modelwatch.Bounds{Upper: at(0.3)}, false},
		{"the later", []modelwatch.Threshold{{Metric: "psi", Upper: at(0.1)}, {Metric: "psi", Upper: at(0.3)}}, &modelwatch.Bounds{Upper: at(0.3)}, false},
		{"both sides", []modelwatch.Threshold{{Metric: "psi", Upper: at(0.3)}, {Metric: "psi", Lower: at(0.1)}}, &modelwatch.Bounds{Upper: at(0.3), Lower: at(0.1)}, false},
		{"one of two sorts is breached", []modelwatch.Threshold{{Metric: "psi", Upper: at(0.2)}, {Metric: "psi", Learn: &modelwatch.Learn{SD: 3}}}, &modelwatch.Bounds{Upper: at(0.2)}, true},
		{"limits of what is breached", []modelwatch.Threshold{{Metric: "psi", Upper: at(0.2)}, {Metric: "psi", Difference: 0.1, Against: modelwatch.Against{Lag: week}}}, &modelwatch.Bounds{Upper: at(0.2)}, true},
		{"no past", []modelwatch.Threshold{{Metric: "psi", Difference: 0.1, Against: modelwatch.Against{Lag: 2 * week}}}, &modelwatch.Bounds{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := m
			m.Judge(tt.thresholds, modelwatch.Past{Windows: []modelwatch.Measurement{window(168, at(1))}})
			if diff := cmp.Diff(tt.want, m.Threshold); diff != "" || m.Breached != tt.breached {
				t.Errorf("breached %v, want %v; bounds (-want +got):\n%s", m.Breached, tt.breached, diff)
			}
		})
	}
}

func drawThreshold(t *rapid.T) modelwatch.Threshold {
	limit := rapid.Float64Range(-2, 2)
	threshold := modelwatch.Threshold{Metric: rapid.SampledFrom([]string{"psi", "accuracy", "bias"}).Draw(t, "metric")}
	switch rapid.IntRange(0, 4).Draw(t, "sort") {
	case 0:
		threshold.Upper = at(limit.Draw(t, "upper"))
	case 1:
		threshold.OverNull = true
	case 2:
		threshold.ChangePercent = rapid.Float64Range(1, 200).Draw(t, "percent")
	case 3:
		threshold.Difference = rapid.Float64Range(0.01, 2).Draw(t, "difference")
	case 4:
		threshold.Metric, threshold.Learn = "psi", &modelwatch.Learn{SD: rapid.Float64Range(0.1, 4).Draw(t, "sd")}
	}
	if threshold.ChangePercent != 0 || threshold.Difference != 0 {
		threshold.Against = rapid.SampledFrom([]modelwatch.Against{{Lag: 48 * time.Hour}, {Version: "0"}}).Draw(t, "against")
	}
	if n := rapid.IntRange(0, 5).Draw(t, "n"); n > 0 {
		threshold.For = modelwatch.Share{K: rapid.IntRange(1, n).Draw(t, "k"), N: n}
	}
	return threshold
}

func drawPast(t *rapid.T) modelwatch.Past {
	past := modelwatch.Past{Chunks: rapid.SliceOfN(rapid.Float64Range(0, 1), 0, 6).Draw(t, "chunks")}
	seen := map[[3]int]bool{}
	for range rapid.IntRange(0, 20).Draw(t, "windows") {
		id := [3]int{rapid.IntRange(-1, 9).Draw(t, "ago"), rapid.IntRange(0, 1).Draw(t, "version"), rapid.IntRange(1, 2).Draw(t, "revision")}
		if seen[id] {
			continue
		}
		seen[id] = true
		m := window(24*id[0], at(rapid.Float64Range(-2, 2).Draw(t, "value")))
		if rapid.IntRange(0, 5).Draw(t, "absent") == 0 {
			m = window(24*id[0], nil)
		}
		m.Version, m.Revision = []string{"0", "1"}[id[1]], id[2]
		if rapid.Bool().Draw(t, "null") {
			m.Null95 = at(rapid.Float64Range(0, 1).Draw(t, "null point"))
		}
		past.Windows = append(past.Windows, m)
	}
	return past
}

// The order of the past makes no difference, the past is not changed, and the
// same input gives the same output.
func TestJudgeIsPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		threshold, past := drawThreshold(t), drawPast(t)
		m := window(0, at(rapid.Float64Range(-2, 2).Draw(t, "judged")))
		limits, breached := threshold.Judge(m, past)
		shuffled := modelwatch.Past{Windows: append([]modelwatch.Measurement(nil), past.Windows...), Chunks: append([]float64(nil), past.Chunks...)}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(shuffled.Windows), func(i, j int) {
			shuffled.Windows[i], shuffled.Windows[j] = shuffled.Windows[j], shuffled.Windows[i]
		})
		r.Shuffle(len(shuffled.Chunks), func(i, j int) { shuffled.Chunks[i], shuffled.Chunks[j] = shuffled.Chunks[j], shuffled.Chunks[i] })
		before := append([]modelwatch.Measurement(nil), shuffled.Windows...)
		again, breachedAgain := threshold.Judge(m, shuffled)
		if diff := cmp.Diff(limits, again); diff != "" || breached != breachedAgain {
			t.Fatalf("the order matters: breached %v and %v\n%s", breached, breachedAgain, diff)
		}
		if diff := cmp.Diff(before, shuffled.Windows); diff != "" {
			t.Fatalf("the past was changed:\n%s", diff)
		}
	})
}

// Where the limit is an upper one, what is breached stays so at a larger value,
// and never without a limit.
func TestJudgeIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		threshold, past := drawThreshold(t), drawPast(t)
		m := window(0, at(rapid.Float64Range(-2, 2).Draw(t, "judged")))
		if rapid.Bool().Draw(t, "null") {
			m.Null95 = at(rapid.Float64Range(0, 1).Draw(t, "null point"))
		}
		larger := m
		larger.Value.Value = at(*m.Value.Value + rapid.Float64Range(0, 2).Draw(t, "more"))
		limits, breached := threshold.Judge(m, past)
		if _, b := threshold.Judge(larger, past); breached && !b {
			t.Fatalf("%v is over %v, but %v is not", *m.Value.Value, *limits.Upper, *larger.Value.Value)
		}
		if breached && threshold.For.N <= 1 && limits.Upper == nil {
			t.Fatal("over a limit that there is none of")
		}
	})
}

func TestParseThreshold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]modelwatch.Threshold{
		"psi=0.2":                  {Metric: "psi", Upper: at(0.2)},
		"psi>0.2":                  {Metric: "psi", Upper: at(0.2)},
		"precision<0.9":            {Metric: "precision", Lower: at(0.9)},
		"psi = 2e-1 for 2 of 3":    {Metric: "psi", Upper: at(0.2), For: modelwatch.Share{K: 2, N: 3}},
		"psi=null":                 {Metric: "psi", OverNull: true},
		"psi=+50%@7d":              {Metric: "psi", ChangePercent: 50, Against: modelwatch.Against{Lag: week}},
		"f1=-5%@version:3.0.0":     {Metric: "f1", ChangePercent: -5, Against: modelwatch.Against{Version: "3.0.0"}},
		"rmse=+0.05@version:a for": {Metric: "rmse", Difference: 0.05, Against: modelwatch.Against{Version: "a for"}},
		"rmse=-0.05@1d for 1 of 2": {Metric: "rmse", Difference: -0.05, Against: modelwatch.Against{Lag: 24 * time.Hour}, For: modelwatch.Share{K: 1, N: 2}},
		"ks=mean+3sd":              {Metric: "ks", Learn: &modelwatch.Learn{SD: 3}},
		"ks=2.5sd":                 {Metric: "ks", Learn: &modelwatch.Learn{SD: 2.5}},
		"psi[amount]=0.2":          {Metric: "psi", Name: "amount", Upper: at(0.2)},
		"psi[a=b]<0.2":             {Metric: "psi", Name: "a=b", Lower: at(0.2)},
	} {
		got, err := modelwatch.ParseThreshold(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "psi", "=0.2", "<0.2", "psi=", "psi=x", "psi=NaN", "psi=Inf", "psi<null", "psi<3sd", "psi<+5%@7d", "psi=+50%", "psi=50%@7d", "psi=+0%@7d",
		"psi=+50%@", "psi=+50%@0", "psi=+50%@version:", "psi=+50%@400d", "psi=0.05@7d", "psi=+NaN@7d", "psi=+x@7d", "psi=-0sd", "psi=0sd", "psi=mean+sd",
		"psi=0.2 for", "psi=0.2 for 2", "psi=0.2 for 3 of 2", "psi=0.2 for 0 of 2", "psi=0.2 for 1 of 101", "psi=0.2 for -1 of 2",
	} {
		if got, err := modelwatch.ParseThreshold(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		} else if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("%q: code %s", text, modelwatch.ErrorCode(err))
		}
	}
}

func TestThresholdTextRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.Float64Range(1e-9, 1e9).Draw(t, "percent") * rapid.SampledFrom([]float64{-1, 1}).Draw(t, "sign")
		if got, err := modelwatch.ParseChange(modelwatch.FormatChange(percent)); err != nil || got != percent {
			t.Fatalf("change %v came back as %v, %v", percent, got, err)
		}
		n := rapid.IntRange(1, modelwatch.MaxShareWindows).Draw(t, "n")
		share := modelwatch.Share{K: rapid.IntRange(1, n).Draw(t, "k"), N: n}
		if got, err := modelwatch.ParseShare(share.String()); err != nil || got != share {
			t.Fatalf("%v came back as %v, %v", share, got, err)
		}
		against := modelwatch.Against{Lag: time.Duration(rapid.Int64Range(1, int64(modelwatch.MaxLag/time.Second)).Draw(t, "lag")) * time.Second}
		if rapid.Bool().Draw(t, "version") {
			against = modelwatch.Against{Version: rapid.StringN(1, 9, -1).Draw(t, "name")}
		}
		if got, err := modelwatch.ParseAgainst(against.String()); err != nil || got != against {
			t.Fatalf("%v came back as %v, %v", against, got, err)
		}
	})
}

func FuzzParseThreshold(f *testing.F) {
	for _, text := range []string{"psi=0.2", "psi[a]<1 for 2 of 3", "f1=-5%@version:3.0.0", "rmse=+0.05@7d", "ks=mean+3sd", "[=", "a[]]=1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		threshold, err := modelwatch.ParseThreshold(text)
		if err != nil {
			return
		}
		above, below := threshold.Limits()
		if threshold.Metric == "" || !above && !below {
			t.Errorf("%q limits nothing: %+v", text, threshold)
		}
	})
}

func TestSeries(t *testing.T) {
	t.Parallel()
	a := modelwatch.Measurement{Segment: map[string]string{"a": "b", "c": "d"}}
	b := modelwatch.Measurement{Segment: map[string]string{"a": `b"c"d`}}
	if a.Series() == b.Series() {
		t.Error("two segments with one key")
	}
	h := modelwatch.NewHistory([]modelwatch.Measurement{a, b, {Version: "2", Segment: a.Segment}})
	if got := h.Windows(&a); len(got) != 2 {
		t.Errorf("%d measurements of the series, want 2", len(got))
	}
}
