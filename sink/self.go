package sink

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// deliveryMetrics are a deliverer's own metrics, by sink.
type deliveryMetrics struct {
	sent, retried, rejected, dropped prometheus.Counter
	series, success                  prometheus.Gauge
}

func newDeliveryMetrics(reg prometheus.Registerer, sink string, names *Names) (*deliveryMetrics, error) {
	labels := prometheus.Labels{"sink": sink}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "modelwatch_sink_" + name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "modelwatch_sink_" + name, Help: help, ConstLabels: labels})
	}
	m := &deliveryMetrics{
		sent:     counter("sent_total", "Points that the sink took."),
		retried:  counter("retried_total", "Points of deliveries that failed and stay in the outbox, once per attempt."),
		rejected: counter("rejected_total", "Points that the sink refused for good."),
		dropped:  counter("dropped_total", "Points given up because the sink took none for too long."),
		series:   gauge("series", "Distinct series sent in the last hour by this process."),
		success:  gauge("last_success_timestamp_seconds", "When the sink last took points from this process."),
	}
	if reg == nil {
		return m, nil
	}
	collisions := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "modelwatch_sink_renamed_total", Help: "Names that got a suffix because the sink would have taken them for another.", ConstLabels: labels,
	}, func() float64 { return float64(names.Collisions()) })
	for _, c := range []prometheus.Collector{m.sent, m.retried, m.rejected, m.dropped, m.series, m.success, collisions} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// selfReport gathers what is sent as modelwatch.intake.*.
type selfReport struct {
	sent, retried, rejected, dropped int64 // since the last report was made

	seed  maphash.Seed
	seen  map[uint64]int64 // series -> second it was last sent
	next  time.Time
	ready []Point // made, and not yet taken by the sink
}

// seriesSpan is how long a series counts after its last point: Datadog bills by the hour.
const seriesSpan = time.Hour

func newSelfReport() *selfReport {
	return &selfReport{seed: maphash.MakeSeed(), seen: map[uint64]int64{}}
}

// delivered notes points that a sink took.
func (s *selfReport) delivered(points []Point, refused []bool, now time.Time) (sent, rejected int64) {
	second := now.Unix()
	for i := range points {
		if refused[i] {
			rejected++
			continue
		}
		s.seen[s.hash(&points[i])] = second
		sent++
	}
	s.sent += sent
	s.rejected += rejected
	return sent, rejected
}

func (s *selfReport) hash(p *Point) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(p.Metric) // a hash does not fail
	for _, t := range p.Tags {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(t)
	}
	return h.Sum64()
}

// series is the number of series of the last hour; older ones are forgotten.
func (s *selfReport) series(now time.Time) int {
	for h, second := range s.seen {
		if now.Unix()-second > int64(seriesSpan/time.Second) {
			delete(s.seen, h)
		}
	}
	return len(s.seen)
}

// selfEvery is how often series are counted when they are not reported.
const selfEvery = time.Minute

// reportSelf sends the deliverer's own counts when they are due. A report that
// fails is sent again as it was, so that none of its seconds is used twice; it
// is no reason to hold up results.
func (d *Deliverer) reportSelf(ctx context.Context) {
	now := d.Now()
	if now.Before(d.self.next) {
		return
	}
	first := d.self.next.IsZero()
	d.self.next = now.Add(selfEvery)
	if d.SelfInterval > 0 {
		d.self.next = now.Add(d.SelfInterval)
	}
	d.metrics.series.Set(float64(d.self.series(now)))
	if first || d.SelfInterval < 0 {
		return // nothing to report on yet, or nobody to report to
	}
	if len(d.self.ready) == 0 || now.Sub(d.self.ready[0].Time) > recent {
		d.self.ready = d.selfPoints(now)
	}
	retry, err := d.Sink.Deliver(ctx, d.self.ready)
	if err != nil {
		d.Log.Debug("own counts not delivered", "retry", retry, "error", err)
	}
	if !retry {
		d.self.ready = nil
	}
}

// selfPoints turns the counts since the last report into points.
func (d *Deliverer) selfPoints(now time.Time) []Point {
	s := d.self
	tags := map[string]string{"sink": d.Sink.Name()}
	var all []series
	for _, c := range []struct {
		name  string
		value *int64
	}{{"sent", &s.sent}, {"retried", &s.retried}, {"rejected", &s.rejected}, {"dropped", &s.dropped}} {
		all = append(all, counted(&modelwatch.Count{
			Metric: prefix + "intake." + c.name, Tags: tags, Value: *c.value, Time: now, IntervalSeconds: int64(d.SelfInterval / time.Second),
		}))
		*c.value = 0
	}
	open := series{metric: prefix + "intake.series", kind: Gauge, value: float64(s.series(now))}
	open.add("sink", d.Sink.Name())
	all = append(all, open)
	return render(all, now.UTC().Truncate(time.Second), MappingOptions{Now: now, Timestamps: TimestampsWindow, Tags: d.Tags})
}
