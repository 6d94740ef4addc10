package simulate

import (
	"testing"
	"time"
)

func BenchmarkNext(b *testing.B) {
	g := New(Options{Seed: 1, Start: begin, EventsPerMinute: 6000, DriftAfter: time.Hour, LabelDelay: time.Hour})
	bytes := 0
	for b.Loop() {
		bytes += len(g.Next().Value)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}

func BenchmarkWide(b *testing.B) {
	w := NewWide(WideOptions{Seed: 1, Start: begin})
	bytes := 0
	for b.Loop() {
		bytes += len(w.Next().Value)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}
