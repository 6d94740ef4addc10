package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

func measurement(name, metric string, minute int, value float64) modelwatch.Measurement {
	start := time.Date(2026, 11, 21, 10, minute, 0, 0, time.UTC)
	return modelwatch.Measurement{
		Value: modelwatch.Value{Metric: metric, Value: &value, NBaseline: 1000, NCurrent: 500},
		Model: "fraud", Version: "3.1.0", Job: "drift", Kind: modelwatch.JobDrift, Revision: 1,
		Window: modelwatch.Window{Start: start, End: start.Add(15 * time.Minute)}, Subject: modelwatch.SubjectFeature, Name: name,
	}
}

func TestHistoryKeepsTheNewestRevisionOfAWindow(t *testing.T) {
	t.Parallel()
	h := history{}
	first, second := measurement("amount", "psi", 0, 0.1), measurement("amount", "psi", 5, 0.2)
	h.add(second)
	h.add(first)
	revised := measurement("amount", "psi", 0, 0.3)
	revised.Revision = 2
	h.add(revised)
	h.add(first)

	var got []float64
	for _, m := range h[keyOf(first)] {
		got = append(got, *m.Value.Value)
	}
	if diff := cmp.Diff([]float64{0.3, 0.2}, got); diff != "" {
		t.Errorf("values in the order of windows (-want +got):\n%s", diff)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	h := history{}
	for i := range historyLength + 10 {
		h.add(measurement("amount", "psi", i, float64(i)))
	}
	series := h[keyOf(measurement("amount", "psi", 0, 0))]
	if len(series) != historyLength || *series[0].Value.Value != 10 {
		t.Errorf("got %d values from %v, want the newest %d", len(series), *series[0].Value.Value, historyLength)
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	absent := measurement("amount", "psi", 0, 0)
	absent.Value.Value, absent.Reason = nil, modelwatch.ReasonTooFew
	value := func(v float64) modelwatch.Measurement { return measurement("amount", "psi", 0, v) }
	limited := func(m modelwatch.Measurement, upper float64) modelwatch.Measurement {
		m.Threshold = &modelwatch.Bounds{Upper: &upper}
		return m
	}
	for _, tt := range []struct {
		name   string
		series []modelwatch.Measurement
		want   string
	}{
		{"empty", nil, ""},
		{"rising", []modelwatch.Measurement{value(0), value(1), value(2)}, "▁▅█"},
		{"no value is a dot", []modelwatch.Measurement{value(0), absent, value(2)}, "▁·█"},
		{"a value far under its threshold is low", []modelwatch.Measurement{limited(value(0.01), 0.2)}, "▁"},
		{"a value at its threshold is full", []modelwatch.Measurement{limited(value(0.2), 0.2)}, "█"},
		{"all zero", []modelwatch.Measurement{value(0), value(0)}, "▁▁"},
		{"negative values have their own floor", []modelwatch.Measurement{value(-2), value(0), value(2)}, "▁▅█"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sparkline(tt.series); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDevSnapshotShowsDriftBreachAndPoints(t *testing.T) {
	t.Parallel()
	h := history{}
	for i := range 5 {
		h.add(measurement("amount", "psi", i, 0.1*float64(i)))
		h.add(measurement("country", "psi", i, 0.01))
	}
	breach := measurement("amount", "psi", 6, 0.31)
	breach.Breached = true
	h.add(breach)
	h.add(measurement("amount", "ks", 6, 0.2))
	s := devSnapshot{
		EventTime: time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC), Speed: 60, Uptime: 42 * time.Second,
		Addresses: []string{"REST http://127.0.0.1:8080"}, Seen: 1234, Kept: 1200, Rejected: 1, History: h,
		Points: []string{"modelwatch.drift.psi 0.31 model:fraud"}, SinkLabel: "Points for Datadog",
	}
	got := s.render(noColours(), 120)
	t.Logf("\n%s", got)
	for _, want := range []string{
		"1 of 2 columns over the threshold", "0.3100 !", "▁▃▅▇█▇", "1234 events seen", "1 rejected", "modelwatch.drift.psi 0.31", "10:06 to 10:21",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the view lacks %q", want)
		}
	}
	if strings.Index(got, "amount") > strings.Index(got, "country") {
		t.Error("the most drifted column does not stand first")
	}
}
