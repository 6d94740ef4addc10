package modelwatch

import "time"

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
	Rejected    int64 // dead letters that could still be attributed
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
