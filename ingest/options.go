package ingest

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// Options are what a Consumer needs. Client, Sources, Group, Owner, Catalog,
// Archive and FileKey have no default.
type Options struct {
	// Client says how to reach the brokers: addresses, TLS, SASL.
	Client  []kgo.Opt
	Sources []Source
	Group   string
	// Owner names this consumer in the catalog; no two that run at a time may share it.
	Owner string

	Catalog Catalog
	Archive Archive
	// FileKey is the key under which the archive writes a file. It is asked before
	// the upload, because intents come first.
	FileKey func(modelwatch.FileSpec) string

	Salt modelwatch.Salt
	// DefaultRate is the sampling rate of versions that nobody has registered; default 1.
	DefaultRate float64

	// DeadLetterTopic, if it is set, gets a copy of each dead letter, at least once.
	// While it cannot be written to, nothing is committed.
	DeadLetterTopic string
	// Privacy says how the rules of versions are carried out.
	Privacy PrivacyOptions

	// FlushBytes and FlushAge say when what was read is written: so much of it, in
	// memory, or so old; default 64 MiB and 30 s.
	FlushBytes int64
	FlushAge   time.Duration
	// MemoryBytes bounds the rows in memory, those being written included; default
	// 384 MiB, and not under twice FlushBytes. What the Kafka client holds comes on top.
	MemoryBytes int64
	// SchemaAge is how long a change of a schema may take to be followed; default 5 s.
	SchemaAge time.Duration
	// RevokeTimeout bounds how long a flush may delay a rebalance, and
	// ShutdownTimeout the stop; defaults 20 s and 30 s. What is not flushed then is
	// dropped, and read again by the next owner.
	RevokeTimeout   time.Duration
	ShutdownTimeout time.Duration

	// Now is the clock of events; default time.Now. Ages and time-outs follow the wall clock.
	Now        func() time.Time
	Log        *slog.Logger          // default slog.Default
	Registerer prometheus.Registerer // nil: the metrics are kept and not exported
	Hooks      Hooks
}

// Hooks are for tests.
type Hooks struct {
	// At is called at the named points of a flush: PointIntended and so on. An
	// error kills the consumer there: Run returns it, and nothing is flushed.
	At func(point string) error
}

// The points of a flush, in order.
const (
	PointSealed    = "sealed"    // nothing is written
	PointIntended  = "intended"  // intents are in the catalog
	PointUploaded  = "uploaded"  // objects exist, the catalog does not know them
	PointCommitted = "committed" // the catalog has all, nobody has learnt of it
)

// Points lists them.
func Points() []string { return []string{PointSealed, PointIntended, PointUploaded, PointCommitted} }

func (o *Options) setDefaults() {
	o.Sources = slices.Clone(o.Sources)
	for i := range o.Sources {
		o.Sources[i].Format = or(o.Sources[i].Format, FormatModelwatch)
	}
	o.DefaultRate = or(o.DefaultRate, 1)
	o.FlushBytes = or(o.FlushBytes, 64<<20)
	o.FlushAge = or(o.FlushAge, 30*time.Second)
	o.MemoryBytes = or(o.MemoryBytes, max(384<<20, 2*o.FlushBytes))
	o.SchemaAge = or(o.SchemaAge, 5*time.Second)
	o.RevokeTimeout = or(o.RevokeTimeout, 20*time.Second)
	o.ShutdownTimeout = or(o.ShutdownTimeout, 30*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func (o *Options) validate() error {
	var fields []modelwatch.FieldError
	require := func(ok bool, location, format string, args ...any) {
		if !ok {
			fields = append(fields, modelwatch.FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
		}
	}
	require(len(o.Sources) > 0, "sources", "there is none; name at least one topic")
	seen := map[string]bool{}
	for i, s := range o.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		require(s.Topic != "", at+".topic", "it is empty")
		require(!seen[s.Topic], at+".topic", "topic %q is named twice", s.Topic)
		require(slices.Contains(Formats(), s.Format), at+".format", "format %q is not known; known: %s", s.Format, strings.Join(Formats(), ", "))
		require(s.Topic != o.DeadLetterTopic || s.Topic == "", at+".topic", "topic %q is the one of dead letters: what is refused would come again", s.Topic)
		seen[s.Topic] = true
	}
	require(o.Group != "", "group", "it is empty")
	require(o.Owner != "", "owner", "it is empty")
	require(o.DefaultRate > 0 && o.DefaultRate <= 1, "sampling_rate", "it is %v and must be above 0 and at most 1", o.DefaultRate)
	require(len(o.Privacy.HashIDs) == 0 || len(o.Privacy.Key) > 0, "privacy", "ids are to be hashed, and there is no key")
	require(o.FlushBytes > 0, "flush_bytes", "it is %d and must be positive", o.FlushBytes)
	require(o.FlushAge > 0, "flush_age", "it is %s and must be positive", o.FlushAge)
	require(o.MemoryBytes >= 2*o.FlushBytes, "memory", "it is %d bytes and must be at least twice flush_bytes (%d)", o.MemoryBytes, o.FlushBytes)
	if o.Catalog == nil || o.Archive == nil || o.FileKey == nil {
		panic("ingest: options without catalog, archive or file key")
	}
	if len(fields) > 0 {
		return &modelwatch.Error{Code: modelwatch.CodeInvalid, Message: "ingest cannot be configured like this", Fields: fields}
	}
	return nil
}
