// Package ingest consumes events from Kafka and turns them into rows of the
// archive, each exactly once.
//
// The way of a record: fetch, decode (decoder, event, scanner), place into the
// columns of its data file (batch, builder), and with the flush of the batch:
// sort by rank, upload, and one catalog transaction that registers the files,
// adds the counts and moves the cursors (flush).
//
// Where a partition resumes is the catalog's cursor. Kafka's group only says who
// consumes what, and even that is not believed: a commit holds only if the
// cursor is still where this consumer found it and nobody has taken the
// partition since. So a consumer may die, or sleep and come back, at any
// instruction: what it has not committed is read again by its successor, and
// what it tries to commit late is fenced.
package ingest

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Ledger is the part of the catalog that makes a flush exactly once.
type Ledger interface {
	// TakePartitions makes owner the owner of the partitions: commits of the
	// owner before it are fenced from here on. It returns their cursors.
	TakePartitions(ctx context.Context, group, owner string, parts []modelwatch.Partition) (map[modelwatch.Partition]modelwatch.Cursor, error)
	// IntendIngest notes the keys of objects before they are written, and the
	// cursors that their commit builds on, so that what is never registered can be
	// found and deleted. It returns an error with CodeConflict if a key was noted
	// before, and with CodeFenced if the commit can no longer succeed.
	IntendIngest(ctx context.Context, intent modelwatch.IngestIntent) error
	// CommitIngest does all of the commit or nothing. It returns an error with
	// CodeFenced if a cursor has moved or an intent was condemned. Called again
	// with the same ID after an error, it returns nil if the first call had done it.
	CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error
	// Replay returns what is known of the replay of a dead letter; ok is false if
	// nobody has asked for it.
	Replay(ctx context.Context, record modelwatch.RecordID) (state modelwatch.ReplayState, ok bool, err error)
}

// Registry is the part of the catalog that knows models and their schemas.
type Registry interface {
	// EnsureVersion makes a model and version known from their traffic, if they
	// are not known, and returns what is stored.
	EnsureVersion(ctx context.Context, model, version string) (modelwatch.Version, error)
	// Version returns an error with CodeNotFound where there is none.
	Version(ctx context.Context, model, version string) (modelwatch.Version, error)
	// PrivateVersions returns the versions whose schemas have privacy rules.
	PrivateVersions(ctx context.Context) ([]modelwatch.Version, error)
	// GrowSchema replaces a schema if its revision still is fromRevision; else
	// it returns an error with CodeConflict.
	GrowSchema(ctx context.Context, model, version string, fromRevision int64, s modelwatch.Schema) (modelwatch.Version, error)
}

// Catalog is what ingest needs of the catalog.
type Catalog interface {
	Ledger
	Registry
}

// Archive writes data files.
type Archive interface {
	// WriteDataFile writes the rows, which are sorted by rank, under the
	// key that Options.FileKey derives from the spec. Writing the same again is
	// not an error. The archive may ask for the rows only until it returns.
	WriteDataFile(ctx context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error)
	// WriteDeadLetters writes the values of dead letters that are too large for the
	// catalog. Writing the same again is not an error.
	WriteDeadLetters(ctx context.Context, key string, body []byte) error
}

// clock is when now is, in the time of events.
type clock func() time.Time
