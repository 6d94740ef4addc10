package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// metrics describe the consumer. Counts of records go up when they are
// committed, so that they count each record once, as the catalog does.
type metrics struct {
	records, kept, sampledOut          prometheus.Counter
	rejected                           *prometheus.CounterVec
	invalid, outOfRange, unknown, cut  prometheus.Counter
	private, opaque                    prometheus.Counter
	gaps, foreign                      prometheus.Counter
	replays                            *prometheus.CounterVec
	flushes                            *prometheus.CounterVec
	flushSeconds, flushBytes           prometheus.Histogram
	retries                            *prometheus.CounterVec
	dropped                            prometheus.Counter
	rebalances                         *prometheus.CounterVec
	lagRecords, lagSeconds             *prometheus.GaugeVec
	bufferBytes, partitions, openFiles prometheus.Gauge
	decodeSeconds                      prometheus.Counter
	fetchErrors, pausedSeconds         *prometheus.CounterVec
	paused                             *prometheus.GaugeVec
	lastCommit                         prometheus.Gauge
	models                             modelEvents
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := factory{reg}
	return &metrics{
		records:    f.counter("records_total", "Records that a commit accounts for: rows, sampled away, or dead letters."),
		kept:       f.counter("kept_rows_total", "Rows in committed data files."),
		sampledOut: f.counter("sampled_out_total", "Events that the sampling did not keep."),
		rejected:   f.counterVec("rejected_total", "Dead letters, by reason.", "reason"),
		invalid:    f.counter("invalid_values_total", "Values of kept rows that did not fit their type or range."),
		outOfRange: f.counter("out_of_range_values_total", "Of the invalid values, those beyond the declared range."),
		unknown:    f.counter("unknown_fields_total", "Fields of kept rows that the schema does not know, kept in _extra."),
		cut:        f.counter("truncated_fields_total", "Of the unknown fields, those for which _extra had no room."),
		replays:    f.counterVec("replays_total", "Replays of dead letters: placed, refused again, or repeated without effect.", "outcome"),
		private:    f.counter("private_values_total", "Values and fields of kept rows that privacy rules kept out of the archive."),
		opaque:     f.counter("opaque_rows_total", "Kept rows whose request or response was bytes that are no values, of which _extra has the size and the checksum."),
		gaps:       f.counter("gap_records_total", "Offsets that Kafka no longer had when they were to be read."),
		foreign:    f.counter("foreign_offsets_total", "Partitions taken for which Kafka held a later offset of the group than the catalog: another deployment uses the group, or the catalog was set back."),
		flushes:    f.counterVec("flushes_total", "Ended flushes: committed, fenced, or aborted.", "outcome"),
		flushSeconds: f.histogram("flush_duration_seconds", "Time from sealing a batch to its commit.",
			[]float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300}),
		flushBytes:  f.histogram("flush_object_bytes", "Size of written data files.", prometheus.ExponentialBuckets(1<<12, 4, 10)),
		retries:     f.counterVec("retries_total", "Failed attempts that are repeated, by what was attempted.", "step"),
		dropped:     f.counter("dropped_records_total", "Records that were read and dropped unflushed, to be read again."),
		rebalances:  f.counterVec("rebalances_total", "Partitions that came or went, by how.", "event"),
		lagRecords:  f.gaugeVec("lag_records", "Records behind the end of the partition, not yet read.", "topic", "partition"),
		lagSeconds:  f.gaugeVec("lag_seconds", "Age of the last record read, 0 at the end of the partition.", "topic", "partition"),
		bufferBytes: f.gauge("buffer_bytes", "Estimated memory of rows that are not committed."),
		partitions:  f.gauge("partitions", "Partitions that this consumer reads."),
		openFiles:   f.gauge("open_files", "Data files that rows are being collected for."),

		decodeSeconds: f.counter("decode_seconds_total", "Time in which records that were read got their place: decoded, checked, added to columns."),
		fetchErrors:   f.counterVec("fetch_errors_total", "Errors of fetches that the Kafka client does not settle by itself, by cause.", "cause"),
		paused:        f.gaugeVec("paused", "1 while no partition is read, by why.", "reason"),
		pausedSeconds: f.counterVec("paused_seconds_total", "Time in which no partition was read, by why.", "reason"),
		lastCommit:    f.gauge("last_commit_timestamp_seconds", "When the last commit succeeded, in seconds since 1970; 0 before the first."),
		models: modelEvents{
			counter: f.counterVec("model_events_total", "Committed events by model, version and what became of them.", "model", "version", "outcome"),
			known:   map[modelVersion]bool{},
		},
	}
}

// The causes of fetchErrors.
const (
	fetchTooLarge   = "too_large"
	fetchOutOfRange = "out_of_range"
	fetchRecreated  = "topic_recreated"
	fetchOther      = "other"
)

// showZeros shows all that has a closed list of labels at 0 from the start, so
// that an alert on an increase sees the first one.
func (m *metrics) showZeros() {
	for _, reason := range reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, reason := range pauseReasons {
		m.paused.WithLabelValues(string(reason))
		m.pausedSeconds.WithLabelValues(string(reason))
	}
	for _, cause := range []string{fetchTooLarge, fetchOutOfRange, fetchRecreated, fetchOther} {
		m.fetchErrors.WithLabelValues(cause)
	}
}

// maxModelSeries is how many versions of models are told apart. What traffic
// makes known after them is counted under otherModels.
const (
	maxModelSeries = 200
	otherModels    = "(other)"
)

type modelVersion struct{ model, version string }

// modelEvents counts by version what the catalog counts by version, kind and time.
type modelEvents struct {
	counter *prometheus.CounterVec // model, version, outcome
	known   map[modelVersion]bool
}

func (m *modelEvents) add(volumes []modelwatch.Volume) {
	for _, v := range volumes {
		of := modelVersion{v.Model, v.Version}
		if !m.known[of] && len(m.known) >= maxModelSeries {
			of = modelVersion{otherModels, otherModels}
		} else {
			m.known[of] = true
		}
		m.counter.WithLabelValues(of.model, of.version, "kept").Add(float64(v.Kept))
		m.counter.WithLabelValues(of.model, of.version, "sampled_out").Add(float64(v.Seen - v.Kept))
		m.counter.WithLabelValues(of.model, of.version, "rejected").Add(float64(v.Rejected))
	}
}

func (m *metrics) committed(c *counts) {
	m.records.Add(float64(c.records))
	m.kept.Add(float64(c.kept))
	m.sampledOut.Add(float64(c.sampledOut))
	m.invalid.Add(float64(c.invalid))
	m.outOfRange.Add(float64(c.outOfRange))
	m.unknown.Add(float64(c.unknown))
	m.cut.Add(float64(c.truncated))
	m.private.Add(float64(c.dropped))
	m.opaque.Add(float64(c.opaque))
	m.replays.WithLabelValues("repeated").Add(float64(c.replayedAgain))
	for reason, n := range c.rejected {
		m.rejected.WithLabelValues(string(reason)).Add(float64(n))
	}
}

// replayed counts replays that are committed.
func (m *metrics) replayed(replays []modelwatch.Replay) {
	for _, r := range replays {
		if r.Reason == "" {
			m.replays.WithLabelValues("placed").Inc()
		} else {
			m.replays.WithLabelValues("refused").Inc()
		}
	}
}

// lag sets how far a partition is behind.
func (m *metrics) lag(a *assignment, now time.Time) {
	topic, partition := a.labels()
	behind, age := a.behind(), 0.0
	if behind > 0 && !a.seen.IsZero() {
		age = max(now.Sub(a.seen).Seconds(), 0)
	}
	m.lagRecords.WithLabelValues(topic, partition).Set(float64(behind))
	m.lagSeconds.WithLabelValues(topic, partition).Set(age)
}

func (m *metrics) gone(a *assignment) {
	topic, partition := a.labels()
	m.lagRecords.DeleteLabelValues(topic, partition)
	m.lagSeconds.DeleteLabelValues(topic, partition)
}

// Stats are counts since the consumer was made, for displays.
type Stats struct {
	Records, Kept, SampledOut, Rejected int64
	Invalid, Unknown                    int64
	LagRecords                          int64
	Buffered                            int64 // records that were read and are not committed
	BufferBytes                         int64
	Partitions                          int
}

func (s *Stats) add(c *counts) {
	s.Records += c.records
	s.Kept += c.kept
	s.SampledOut += c.sampledOut
	s.Invalid += c.invalid
	s.Unknown += c.unknown
	for _, n := range c.rejected {
		s.Rejected += n
	}
}

// factory registers metrics under one prefix.
type factory struct{ reg prometheus.Registerer }

func register[C prometheus.Collector](f factory, c C) C {
	if f.reg != nil {
		f.reg.MustRegister(c)
	}
	return c
}

const namespace, subsystem = "modelwatch", "ingest"

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f, prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}))
}

func (f factory) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels))
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}))
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels))
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return register(f, prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets}))
}

func (f factory) gaugeFunc(name, help string, value func() float64) {
	register(f, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, value))
}

// reasons is the closed list of why a record is a dead letter.
var reasons = []modelwatch.DeadLetterReason{
	modelwatch.DeadInvalidJSON, modelwatch.DeadNotObject, modelwatch.DeadDuplicateKey, modelwatch.DeadNoID, modelwatch.DeadNoModel,
	modelwatch.DeadInvalidName, modelwatch.DeadUnknownKind, modelwatch.DeadInvalidTime, modelwatch.DeadTimeOutOfSpan,
	modelwatch.DeadNoLabel, modelwatch.DeadTooLarge, modelwatch.DeadTooManyModels, modelwatch.DeadEmpty,
	modelwatch.DeadInvalidFormat, modelwatch.DeadUnknownSchema,
}
