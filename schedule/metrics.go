package schedule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// What may become of a run, as modelwatch_run_total counts it. Succeeded and
// failed are final; the others come back.
const (
	statePlanned   = "planned"
	stateRevised   = "revised" // planned again, for late rows
	stateSucceeded = string(modelwatch.RunSucceeded)
	stateFailed    = string(modelwatch.RunFailed)
	stateRetried   = "retried"
	stateReleased  = "released"
	stateFenced    = "fenced"
	stateAbandoned = "abandoned" // the outcome could not be stored; the lease will expire
)

type metrics struct {
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	lag      *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "modelwatch_run_total",
			Help: "Runs by job kind and what became of them.",
		}, []string{"kind", "state"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "modelwatch_run_duration_seconds",
			Help:    "Time from claim to stored result of runs that ended.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"kind"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "modelwatch_run_lag_seconds",
			Help: "How long after it was due the newest first result of a window was stored.",
		}, []string{"kind"}),
	}
	if r != nil {
		r.MustRegister(m.runs, m.duration, m.lag)
	}
	return m
}

func (m *metrics) count(kind modelwatch.JobKind, state string) {
	m.runs.WithLabelValues(string(kind), state).Inc()
}

func (m *metrics) ended(kind modelwatch.JobKind, state string, took time.Duration) {
	m.count(kind, state)
	m.duration.WithLabelValues(string(kind)).Observe(took.Seconds())
}
