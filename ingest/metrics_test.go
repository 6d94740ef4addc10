package ingest

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// TestMetricsOfTraffic: what a consumer says of traffic that it reads, keeps and refuses.
func TestMetricsOfTraffic(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		r := b.start(b.options("a"))
		if at := r.metric("last_commit_timestamp_seconds"); at != 0 {
			t.Errorf("a commit at %v before there was one", at)
		}
		b.send(2, 20)
		b.produce(0, `{"kind":"label","model":"m","version":"1","id":"l-1","time":"1970-01-01T00:00:00Z","label":"x"}`)
		b.await(21)
		r.stop()
		for _, want := range []struct {
			name, label string
			value       float64
		}{
			{"records_total", "", 21},
			{"kept_rows_total", "", 20},
			{"rejected_total", "time_out_of_range", 1},
			{"model_events_total", "m", 21},
			{"paused", "", 0},
			{"fetch_errors_total", "", 0},
			{"oldest_uncommitted_seconds", "", 0},
		} {
			var label []string
			if want.label != "" {
				label = append(label, want.label)
			}
			if got := r.metric(want.name, label...); got != want.value {
				t.Errorf("%s %s is %v, want %v", want.name, want.label, got, want.value)
			}
		}
		if at := r.metric("last_commit_timestamp_seconds"); time.Since(time.Unix(int64(at), 0)) > time.Minute {
			t.Errorf("the last commit was at %v", at)
		}
	})
}

// TestModelEventsAreBounded: producers cannot make any number of series.
func TestModelEventsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	for i := range 1000 {
		m.models.add([]modelwatch.Volume{{Model: fmt.Sprint(i), Version: "1", Kind: modelwatch.KindPrediction, Seen: 3, Kept: 2, Rejected: 1}})
	}
	series, others := 0, map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "modelwatch_ingest_model_events_total" {
			continue
		}
		series = len(f.GetMetric())
		for _, s := range f.GetMetric() {
			if s.GetLabel()[0].GetValue() == otherModels {
				others[s.GetLabel()[1].GetValue()] = s.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"kept": 1600, "sampled_out": 800, "rejected": 800}
	if series != 3*(maxModelSeries+1) || !maps.Equal(others, want) {
		t.Errorf("%d series, of other models %v; want %d, %v", series, others, 3*(maxModelSeries+1), want)
	}
}

// TestPauseReasons: each step of a flush has a reason, and all reasons are shown.
func TestPauseReasons(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]pauseReason{"": pauseMemory, "upload": pauseUpload, "intend": pauseCatalog, "commit": pauseCatalog, "produce": pauseDeadLetters} {
		if got := pauseOf(step); got != want {
			t.Errorf("%q: %s, want %s", step, got, want)
		}
	}
	registry := prometheus.NewRegistry()
	newMetrics(registry).showZeros()
	var names []string
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "modelwatch_ingest_paused" {
			for _, m := range f.GetMetric() {
				names = append(names, m.GetLabel()[0].GetValue())
			}
		}
	}
	if got := strings.Join(names, " "); got != "catalog dead_letters memory reset schema upload" {
		t.Errorf("reasons at 0: %s", got)
	}
}
