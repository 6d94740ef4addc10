package modelwatch

import "time"

// Partition names one partition of one Kafka topic. The topic's id is part of
// the name: a topic that is deleted and made again starts at offset 0 under a
// new id, and must not continue at the old one's cursor.
type Partition struct {
	Topic     string
	TopicID   [16]byte
	Partition int32
}

// Cursor is where the archive stands in a partition, as the catalog keeps it.
type Cursor struct {
	// Next is the first offset that is not yet archived; -1 while nothing is.
	Next int64
	// Epoch goes up each time a consumer takes the partition. A commit under an
	// older epoch is fenced.
	Epoch int64
	// LeaderEpoch is that of the record before Next; -1: not known. Kafka tells by
	// it whether the log was cut back below Next and written again.
	LeaderEpoch int32
}

// Range is the part of a partition that a commit accounts for: every offset in
// [From+Skip, To) has become a row, was sampled away, or stands in the dead letters.
type Range struct {
	Partition
	// From is the cursor that the commit builds on, -1 if nothing was committed
	// before. The catalog refuses the commit unless it still stands there.
	From int64
	// To is the cursor after the commit.
	To int64
	// Skip says what of the log cannot be accounted for; the catalog records it as
	// a Gap. Above 0, so many offsets from From on were deleted before they were
	// read. Below 0, the log was cut back by so many that are archived, and the
	// offsets from there on are of other records now: To may be less than From.
	Skip int64
	// LeaderEpoch becomes the cursor's.
	LeaderEpoch int32
	// Epoch is the owner's, as given out when the partition was taken.
	Epoch int64
}

// Start is the first offset that the range accounts for; -1: the log's own start.
func (r Range) Start() int64 { return r.From + r.Skip }

// Gap is a part of a partition that the cursor has passed without accounting for it.
type Gap struct {
	Partition
	From, To  int64
	Reason    GapReason
	Owner     string
	CommitID  string
	CreatedAt time.Time
}

// GapReason says why offsets are missing.
type GapReason string

// The reasons of gaps.
const (
	// GapDeleted: retention, or somebody, deleted records before they were read.
	GapDeleted GapReason = "deleted"
	// GapTruncated: the brokers lost records that were archived. The rows stay.
	GapTruncated GapReason = "truncated"
)

// IngestIntent announces the objects of a commit before they are written.
type IngestIntent struct {
	CommitID string
	Group    string
	Owner    string
	Keys     []string
	// Ranges are those of the commit; only what it builds on counts.
	Ranges []Range
}

// IngestCommit is what one flush adds to the archive, all or nothing: it moves
// the cursors, registers the files and adds the counts in one transaction.
type IngestCommit struct {
	// ID identifies the attempt: a commit whose outcome was lost is resolved by it.
	ID          string
	Group       string
	Owner       string
	Ranges      []Range
	Files       []DataFile
	Volumes     []Volume
	DeadLetters []DeadLetter
	// Replays are the records of dead letters that were published again and have
	// come back. The catalog refuses the commit if one of them has its place already.
	Replays []Replay
}

// FileSpec describes a data file before it exists: what its key is derived
// from, and what the catalog registers beside its rows.
type FileSpec struct {
	Kind    Kind
	Model   string
	Version string
	// Hour is the hour of event time that the rows fall in.
	Hour time.Time
	// Unique tells the file from all others of its hour; no two attempts share it.
	Unique         string
	SamplingRate   float64
	SchemaRevision int64
	CommitID       string
}
