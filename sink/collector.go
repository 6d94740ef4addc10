package sink

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// Latest gives the newest measurements of every job.
type Latest interface {
	LatestMeasurements(ctx context.Context) ([]modelwatch.Measurement, error)
}

const (
	collectorCache   = 10 * time.Second
	collectorTimeout = 5 * time.Second
)

// Collector shows the latest measurements to Prometheus: modelwatch_drift_psi
// and so on, with the tags of Datadog as labels and values as they are spelt.
// Values are read at most every ten seconds, however many scrape. A measurement
// without a value is absent. When they cannot be read none is shown, since an
// old value would look like a new one, and modelwatch_measurements_up is 0.
type Collector struct {
	latest Latest
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	read    time.Time
	metrics []prometheus.Metric
	failing bool
}

// NewCollector returns a collector that is to be registered once. It describes
// no metric beforehand (it is unchecked), because labels depend on what is measured.
func NewCollector(latest Latest, now func() time.Time, log *slog.Logger) *Collector {
	return &Collector{latest: latest, now: now, log: log}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	for _, m := range c.current() {
		out <- m
	}
}

// current returns what is cached, read again when it is old.
func (c *Collector) current() []prometheus.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.read.IsZero() && now.Sub(c.read) < collectorCache {
		return c.metrics
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectorTimeout)
	defer cancel()
	ms, err := c.latest.LatestMeasurements(ctx)
	if err != nil && !c.failing {
		c.log.Warn("measurements cannot be read for a scrape", "error", err)
	}
	c.failing = err != nil
	c.read = now
	c.metrics = exposition(ms, err == nil)
	return c.metrics
}

var upDesc = prometheus.NewDesc("modelwatch_measurements_up", "1 if the latest measurements could be read, else 0.", nil, nil)

// exposition gives measurements Prometheus's form. A scrape with two values of
// one series fails as a whole, so the first one is kept.
func exposition(ms []modelwatch.Measurement, up bool) []prometheus.Metric {
	upValue := 0.0
	if up {
		upValue = 1
	}
	out := []prometheus.Metric{prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, upValue)}
	if !up {
		return out
	}
	var all []series
	for run := range byRun(ms) {
		window := windowLabel(run[0].Window.Duration())
		for i := range run {
			if s, ok := measured(&run[i], window); ok {
				all = append(all, s)
			}
		}
		all = append(all, summed(run, window)...)
	}
	seen := make(map[string]struct{}, len(all))
	for i := range all {
		m, id, err := all[i].prometheus()
		if _, again := seen[id]; again || err != nil {
			continue
		}
		seen[id] = struct{}{}
		out = append(out, m)
	}
	return out
}

// byRun gives the measurements of one run after the other, in order.
func byRun(ms []modelwatch.Measurement) iter.Seq[[]modelwatch.Measurement] {
	sorted := slices.SortedStableFunc(slices.Values(ms), func(a, b modelwatch.Measurement) int { return strings.Compare(a.RunID, b.RunID) })
	return func(yield func([]modelwatch.Measurement) bool) {
		for start, end := 0, 0; start < len(sorted); start = end {
			for end = start; end < len(sorted) && sorted[end].RunID == sorted[start].RunID; end++ {
			}
			if !yield(sorted[start:end]) {
				return
			}
		}
	}
}

// prometheus gives one series Prometheus's form, and a text that tells it from others.
func (s *series) prometheus() (prometheus.Metric, string, error) {
	labels := make([]label, 0, len(s.labels))
	for _, l := range s.labels {
		key := labelName(l.key)
		for slices.ContainsFunc(labels, func(o label) bool { return o.key == key }) {
			key += "_"
		}
		labels = append(labels, label{key, strings.ToValidUTF8(l.value, "�")})
	}
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.key, b.key) })
	name := metricName(s.metric)
	id := name
	keys, values := make([]string, len(labels)), make([]string, len(labels))
	for i, l := range labels {
		keys[i], values[i] = l.key, l.value
		id += "\x00" + l.key + "\x00" + l.value
	}
	m, err := prometheus.NewConstMetric(prometheus.NewDesc(name, help(name), keys, nil), prometheus.GaugeValue, s.value, values...)
	return m, id, err
}

// help is the same for each series of a metric: a scrape fails if it differs.
func help(name string) string {
	return "Latest value of " + strings.TrimPrefix(name, "modelwatch_") + ", by model version and job."
}

// metricName turns a name into letters, digits and underscores.
func metricName(name string) string {
	return strings.Map(func(r rune) rune {
		if isASCIILetter(r) || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

// labelName is metricName for labels, which must not begin with a digit, nor
// with two underscores.
func labelName(key string) string {
	name := metricName(key)
	if name == "" || !isASCIILetter(rune(name[0])) {
		return segmentPrefix + strings.TrimLeft(name, "_")
	}
	return name
}
