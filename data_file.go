package modelwatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what a row of the archive is.
type Kind string

// The kinds of rows.
const (
	KindPrediction  Kind = "prediction"
	KindLabel       Kind = "label"
	KindAttribution Kind = "attribution"
	// What went into a model and what came out of it, where they come apart: two
	// halves of a prediction that have its id.
	KindInput  Kind = "input"
	KindOutput Kind = "output"
)

// DataFile is one immutable Parquet object of the archive, sorted by _rank. It
// exists for readers once the catalog has registered it.
type DataFile struct {
	ID             int64
	Key            string // within the bucket
	Kind           Kind
	Model          string
	Version        string // "" for labels that name no version
	Rows           int64
	Bytes          int64
	Checksum       string // lower-case hex SHA-256 of the object
	MinTime        time.Time
	MaxTime        time.Time // inclusive
	SamplingRate   float64   // in force for every row of the file
	SchemaRevision int64
	CommitID       string
	CreatedAt      time.Time
	// Place orders the rows of files whose times are equal: a file that was made
	// of others has the lowest place of theirs, any other its ID. So compaction
	// does not change which of two rows of one id is the first.
	Place int64
}

// ErrDataFileGone is returned, beside CodeNotFound, by whoever reads a data file
// whose object no longer exists: a reader kept its list of files for longer than
// replaced ones are kept. List the files again.
var ErrDataFileGone = errors.New("the object of a data file is gone")

// FileGroup are data files that may become one: of one partition of the archive
// and one sampling rate.
type FileGroup struct {
	Kind         Kind
	Model        string
	Version      string
	Hour         time.Time // of event time
	SamplingRate float64
	Files        int
	Bytes        int64
}

// Replacement takes data files out of the readers' sight and puts others in
// their place, all or nothing.
type Replacement struct {
	// ID identifies the attempt: one whose outcome was lost is resolved by it.
	ID    string
	Owner string
	// Files are written and announced. There may be none.
	Files []DataFile
	// Retired are the ids of the files that are replaced: each must still be in
	// the readers' sight.
	Retired []int64
	Reason  string
	// Volumes are added to the counts: rows that become visible as another kind.
	Volumes []Volume
	// ErasedUntil is the newest erasure whose rows Files do not hold; 0: as far as
	// all of the replaced files.
	ErasedUntil int64
	// Erased counts the rows that Files lack, by the erasure that they are of.
	Erased map[int64]int64
}

// Volume counts what arrived for one model version, kind and time bucket. It is
// exact: it never comes from the sample.
type Volume struct {
	Model       string
	Version     string
	Kind        Kind
	BucketStart time.Time
	Seen        int64 // decoded events, kept or not
	Kept        int64 // rows in data files
	Rejected    int64 // dead letters whose model, and a version of it that the catalog knows, could still be read
}

// DeadLetterReason is the closed list of reasons.
type DeadLetterReason string

// Why a record cannot be placed.
const (
	DeadInvalidJSON   DeadLetterReason = "invalid_json"
	DeadNotObject     DeadLetterReason = "not_an_object"
	DeadDuplicateKey  DeadLetterReason = "duplicate_key"
	DeadNoID          DeadLetterReason = "no_id"
	DeadNoModel       DeadLetterReason = "no_model"
	DeadInvalidName   DeadLetterReason = "invalid_name" // model or version: empty, over 200 bytes, or with control characters or a slash
	DeadUnknownKind   DeadLetterReason = "unknown_kind"
	DeadInvalidTime   DeadLetterReason = "invalid_time"
	DeadTimeOutOfSpan DeadLetterReason = "time_out_of_range" // before 2000, or more than a day ahead
	DeadNoLabel       DeadLetterReason = "no_label"
	DeadTooLarge      DeadLetterReason = "too_large"
	DeadTooManyModels DeadLetterReason = "too_many_models"
	DeadEmpty         DeadLetterReason = "empty"
	DeadInvalidFormat DeadLetterReason = "invalid_format" // not what the source's format says
	DeadUnknownSchema DeadLetterReason = "unknown_schema" // the schema registry has no such schema
)

// Check returns an error that lists the reasons where r is none of them.
func (r DeadLetterReason) Check() error {
	reasons := []DeadLetterReason{
		DeadInvalidJSON, DeadNotObject, DeadDuplicateKey, DeadNoID, DeadNoModel, DeadInvalidName, DeadUnknownKind, DeadInvalidTime, DeadTimeOutOfSpan,
		DeadNoLabel, DeadTooLarge, DeadTooManyModels, DeadEmpty, DeadInvalidFormat, DeadUnknownSchema,
	}
	if slices.Contains(reasons, r) {
		return nil
	}
	return Errorf(CodeInvalid, "%q is no reason of a dead letter: the reasons are %s", r, strings.Trim(fmt.Sprint(reasons), "[]"))
}
