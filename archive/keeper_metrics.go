package archive

import "github.com/prometheus/client_golang/prometheus"

// What may become of a merge of files, as modelwatch_compaction_total counts it.
const (
	mergeDone   = "replaced"
	mergeFenced = "fenced" // another has replaced one of the files
	mergeFailed = "failed"
)

type keeperMetrics struct {
	merges         *prometheus.CounterVec
	files          prometheus.Counter
	bytes          prometheus.Counter
	seconds        prometheus.Histogram
	retiredDeleted prometheus.Counter
	garbage        prometheus.Counter
	expired        prometheus.Counter
	erasedRows     prometheus.Counter
	erasedLetters  prometheus.Counter
	cleaned        *prometheus.CounterVec
	joined         prometheus.Counter
	alone          prometheus.Counter
}

func newKeeperMetrics(r prometheus.Registerer) *keeperMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &keeperMetrics{
		merges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "modelwatch_compaction_total",
			Help: "Merges of data files by what became of them.",
		}, []string{"outcome"}),
		files: counter("modelwatch_compaction_files_total", "Data files that were merged into others."),
		bytes: counter("modelwatch_compaction_bytes_total", "Bytes of the data files that compaction wrote."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "modelwatch_compaction_duration_seconds",
			Help:    "Time that a merge of data files took.",
			Buckets: prometheus.ExponentialBuckets(0.05, 4, 8),
		}),
		retiredDeleted: counter("modelwatch_archive_retired_total", "Data files that were given up after they had been replaced, outlived or erased."),
		garbage:        counter("modelwatch_archive_garbage_total", "Objects that were deleted: of files given up, and of uploads that were never registered."),
		expired:        counter("modelwatch_retention_files_total", "Data files that have outlived their version's retention."),
		erasedRows:     counter("modelwatch_erasure_rows_total", "Rows that were erased by their request id."),
		erasedLetters:  counter("modelwatch_erasure_dead_letters_total", "Dead letters that were erased because they carry an erased id."),
		cleaned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "modelwatch_catalog_cleaned_total",
			Help: "Rows of the catalog that were deleted because of their age.",
		}, []string{"table"}),
	}
	m.joined = counter("modelwatch_archive_halves_joined_total", "Inputs and outputs that came apart and became one prediction.")
	m.alone = counter("modelwatch_archive_halves_given_up_total", "Inputs without an output, and outputs without an input, that became predictions by themselves after they had waited.")
	if r != nil {
		r.MustRegister(m.merges, m.files, m.bytes, m.seconds, m.retiredDeleted, m.garbage, m.expired, m.erasedRows, m.erasedLetters, m.cleaned)
		r.MustRegister(m.joined, m.alone)
	}
	return m
}
