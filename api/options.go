// Package api is modelwatch's REST interface: typed operations on chi with an
// OpenAPI 3.1 description, problems by RFC 9457, the one JSON of results, and a
// client for them. It knows the domain and the interfaces declared here; what
// stands behind those is wired by package app.
package api

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// Store is the part of the catalog that the API reads and writes. Errors are
// *modelwatch.Error: CodeNotFound for a name that does not exist, CodeInvalid
// for a cursor that is not one of its own.
type Store interface {
	PutModel(ctx context.Context, m modelwatch.Model) (stored modelwatch.Model, created bool, err error)
	Model(ctx context.Context, name string) (modelwatch.Model, error)
	Models(ctx context.Context, page Page) (models []modelwatch.Model, next string, err error)

	// PutVersion leaves the stored schema as it is when v has none. The model must exist.
	PutVersion(ctx context.Context, v modelwatch.Version) (stored modelwatch.Version, created bool, err error)
	Version(ctx context.Context, model, version string) (modelwatch.Version, error)
	Versions(ctx context.Context, model string, page Page) (versions []modelwatch.Version, next string, err error)

	Baseline(ctx context.Context, model, version, id string) (modelwatch.Baseline, error)
	Baselines(ctx context.Context, model, version string, page Page) (baselines []modelwatch.Baseline, next string, err error)

	// PutJob raises the revision when the job has changed; a new job has revision 1
	// and is planned from PlannedUntil on. The model must exist.
	PutJob(ctx context.Context, j modelwatch.Job) (stored modelwatch.Job, changed bool, err error)
	Job(ctx context.Context, model, name string) (modelwatch.Job, error)
	Jobs(ctx context.Context, model string, page Page) (jobs []modelwatch.Job, next string, err error)
	DeleteJob(ctx context.Context, model, name string) error

	// AddRun queues a run. Revision 0 stands for the one after the newest, an
	// empty ID for a new one. A known ID returns the run that has it, or
	// CodeConflict if that run is for another job or window.
	AddRun(ctx context.Context, r modelwatch.Run) (stored modelwatch.Run, created bool, err error)
	Run(ctx context.Context, id string) (modelwatch.Run, error)
	Runs(ctx context.Context, f RunFilter) (runs []modelwatch.Run, next string, err error)
	Measurements(ctx context.Context, f MeasurementFilter) (ms []modelwatch.Measurement, next string, err error)

	DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []modelwatch.DeadLetter, next string, err error)
	DeadLetter(ctx context.Context, id int64) (modelwatch.DeadLetter, error)
	CountDeadLetters(ctx context.Context, f DeadLetterFilter) ([]modelwatch.DeadLetterCount, error)
	// AddErasure orders an erasure, which says the model, the number of ids and
	// whether it only counts. The model must exist.
	AddErasure(ctx context.Context, order modelwatch.Erasure, stones []modelwatch.Tombstone) (modelwatch.Erasure, error)
	Erasure(ctx context.Context, model string, id int64) (modelwatch.Erasure, error)
	Erasures(ctx context.Context, model string, page Page) (list []modelwatch.Erasure, next string, err error)

	Volumes(ctx context.Context, model string, w modelwatch.Window) ([]modelwatch.Volume, error)

	// VersionVolumes adds the volumes of a window up, of all models. Rejected counts
	// the dead letters since a time. Both are bounded, the highest counts first.
	VersionVolumes(ctx context.Context, w modelwatch.Window) ([]modelwatch.Volume, error)
	Rejected(ctx context.Context, since time.Time) ([]modelwatch.RejectedCount, error)
	Uploads(ctx context.Context) (modelwatch.UploadState, error)
}

// Baselines registers training sets and shows what was frozen from them.
type Baselines interface {
	// Register profiles a table and stores it as a baseline of the version. The
	// detail is nil while the baseline's status is profiling. The same content
	// for the same version gives the same baseline. A table that cannot be read
	// is CodeInvalid, naming line and column; a model or version that must exist
	// and does not is CodeNotFound.
	Register(ctx context.Context, r RegisterRequest) (modelwatch.Baseline, *BaselineDetail, error)
	// Detail returns the frozen bins of a ready baseline.
	Detail(ctx context.Context, b modelwatch.Baseline) (*BaselineDetail, error)
}

// RegisterRequest is a training set to be registered: one of Body, URI, Window and
// Statistics.
type RegisterRequest struct {
	Model, Version string
	// ContentType is the body's media type without parameters; it is one of
	// UploadTypes. application/octet-stream leaves it to the bytes.
	ContentType string
	// ContentEncoding is "", "gzip" or "zstd".
	ContentEncoding string
	// Body is read as it arrives from the network; it is not held anywhere.
	Body io.Reader
	URI  string
	// Window is of archived traffic of the version.
	Window *modelwatch.Window
	// Statistics is the text of a SageMaker statistics file.
	Statistics []byte
	// Mapping names the user's columns that play a part; empty fields were not given.
	Mapping modelwatch.ColumnMapping
}

// Distributions counts one column of a window on the bins of its baseline.
type Distributions interface {
	Distribution(ctx context.Context, model, version, column string, w modelwatch.Window) (*Distribution, error)
}

// Producer writes events to Kafka, in order, and returns once all of them are
// acknowledged. After an error some may have been written: sending them again
// is safe, because the archive keeps the first of each id.
type Producer interface {
	Produce(ctx context.Context, events [][]byte) error
}

// DeadLetters reads the bytes of dead letters and publishes them again.
type DeadLetters interface {
	// Value returns the bytes that are kept of a letter. CodeNotFound says that the
	// object which held them is gone.
	Value(ctx context.Context, d modelwatch.DeadLetter) ([]byte, error)
	// Replay publishes the letters of one page, or counts what it would do. After
	// an error some may have been published: doing it again places none twice.
	Replay(ctx context.Context, f DeadLetterFilter, dryRun bool) (ReplayResult, error)
}

// Ingest compares the catalog's cursors with Kafka.
type Ingest interface {
	// Lag fills in the group, the partitions and the notices of a status. Commits
	// since a time are recent. A Kafka that does not answer is a notice; an error
	// is the catalog's.
	Lag(ctx context.Context, since time.Time, status *IngestStatus) error
}

// Check is the state of one dependency.
type Check struct {
	Name string
	Err  error // nil: it answers
}

// Options is what a server is made of.
type Options struct {
	Store         Store
	Baselines     Baselines
	Distributions Distributions
	Producer      Producer
	Labels        Labels
	DeadLetters   DeadLetters
	Ingest        Ingest
	// Backfill queues the runs of the job's windows that end within the span,
	// and returns them. Windows that have a run already keep it.
	Backfill func(ctx context.Context, job modelwatch.Job, span modelwatch.Window) ([]modelwatch.Run, error)
	// ValidateCron reports what is wrong with a cron expression in a time zone.
	ValidateCron func(expr, timezone string) error
	// Ready asks each dependency, in the order to be shown.
	Ready func(ctx context.Context) []Check

	// Tombstones are what stands for a request id that is to be erased.
	Tombstones func(model, id string) []modelwatch.Tombstone

	// Metrics are the metric names that each kind of job may ask for.
	Metrics map[modelwatch.JobKind][]string
	// GroupMetrics are further names that thresholds of drift jobs may be on: what
	// is measured of groups of features beside the metrics of features.
	GroupMetrics []string
	// TaskMetrics narrows a backtest's names by the model's task. A task that is
	// not in the map allows all of Metrics.
	TaskMetrics map[modelwatch.Task][]string
	// Sinks are the names that jobs may deliver to.
	Sinks []string

	// NoPrivacyKey: this deployment cannot hash, so no rule may ask for it.
	NoPrivacyKey bool

	// Token is the bearer token that every call under /v1 must carry; "" asks for none.
	Token string
	// Version is modelwatch's own, as shown in the API's description.
	Version string

	Log      *slog.Logger
	Registry *prometheus.Registry
	Now      func() time.Time // nil: time.Now
	// EventNow is the clock of windows: a new job starts with those that end
	// after it. It differs from Now under simulated traffic; nil: Now.
	EventNow func() time.Time
}
