package modelwatch

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DeadLetter is a record that could not be placed, kept with its bytes.
type DeadLetter struct {
	ID        int64
	Topic     string
	TopicID   [16]byte // zero: that of the commit's range for Topic
	Partition int32
	Offset    int64
	Reason    DeadLetterReason
	Detail    string // one sentence: what was expected, what was found, where
	Model     string // "" where unknown
	Key       []byte
	// Value is the record's, or nil if it lies in the archive: see Object.
	Value   []byte
	Headers []RecordHeader
	// Size and Checksum are of the value as it was received, whatever of it is
	// kept: its length, and its SHA-256 in lower-case hex.
	Size     int64
	Checksum string
	// Object is where a value lies that is too large for the catalog.
	Object ObjectPart
	// Truncated: key, value or headers are not whole.
	Truncated bool
	// Redacted: values that privacy rules cover were replaced or left out.
	Redacted  bool
	Time      time.Time // the record's
	CreatedAt time.Time

	State      DeadLetterState
	ReplayedAt time.Time // when State was last changed; zero while it is open and was never replayed
}

// Record is the identity of the record.
func (d *DeadLetter) Record() RecordID {
	return RecordID{TopicID: d.TopicID, Partition: d.Partition, Offset: d.Offset}
}

// Replayable says why the letter cannot be published again as it was; "" if it can.
func (d *DeadLetter) Replayable() string {
	switch {
	case d.State == DeadLetterReplayed:
		return "replayed"
	case d.Truncated:
		return "truncated"
	case d.Size == 0:
		return "empty"
	}
	return ""
}

// RecordHeader is one header of a Kafka record.
type RecordHeader struct {
	Key   string
	Value []byte
}

// ObjectPart is a part of an object of the archive; the zero value is none.
type ObjectPart struct {
	Key            string
	Offset, Length int64
}

// DeadLetterState says how far a dead letter has come on its way back.
type DeadLetterState string

// A letter is open until somebody asks for its replay. It is queued before it is
// published and produced once the brokers have it; when it has found its place
// it is replayed, and when it was refused again it is open again. A queued one
// whose publisher has died may be published again: only one of its records is
// placed, however many there are.
const (
	DeadLetterOpen     DeadLetterState = "open"
	DeadLetterQueued   DeadLetterState = "queued"
	DeadLetterProduced DeadLetterState = "produced"
	DeadLetterReplayed DeadLetterState = "replayed"
)

// DeadLetterStates lists the states in the order in which a letter has them.
func DeadLetterStates() []DeadLetterState {
	return []DeadLetterState{DeadLetterOpen, DeadLetterQueued, DeadLetterProduced, DeadLetterReplayed}
}

// DeadLetterCount is the number of dead letters of one reason and state.
type DeadLetterCount struct {
	Reason DeadLetterReason
	State  DeadLetterState
	Count  int64
	Bytes  int64 // of their values, as received
}

// RecordID names one record of Kafka for ever: offsets of a topic that is
// deleted and made again are under another topic id.
type RecordID struct {
	TopicID   [16]byte
	Partition int32
	Offset    int64
}

// String is the topic's id in hex, the partition and the offset, with slashes
// between: what ParseRecordID reads.
func (r RecordID) String() string {
	return fmt.Sprintf("%x/%d/%d", r.TopicID, r.Partition, r.Offset)
}

// ParseRecordID reads what RecordID.String writes; ok is false for anything else.
func ParseRecordID(text string) (r RecordID, ok bool) {
	topic, rest, _ := strings.Cut(text, "/")
	partition, offset, _ := strings.Cut(rest, "/")
	p, perr := strconv.ParseInt(partition, 10, 32)
	o, oerr := strconv.ParseInt(offset, 10, 64)
	if len(topic) != hex.EncodedLen(len(r.TopicID)) || perr != nil || oerr != nil || p < 0 || o < 0 {
		return RecordID{}, false
	}
	if _, err := hex.Decode(r.TopicID[:], []byte(topic)); err != nil {
		return RecordID{}, false
	}
	r.Partition, r.Offset = int32(p), o
	return r, true
}

// The headers of a record that is the replay of a dead letter: which record it
// stands for, and that record's time in microseconds since 1970. A replay whose
// record the catalog does not know as queued or produced is an ordinary record.
const (
	HeaderReplayOf   = "modelwatch-replay-of"
	HeaderReplayTime = "modelwatch-replay-time"
)

// Replay is a replay that a commit settles.
type Replay struct {
	Record RecordID
	// Reason, Detail and Model say why the record was refused again; Reason is ""
	// if it was placed.
	Reason DeadLetterReason
	Detail string
	Model  string
}

// ReplayState is what the catalog knows of a replay.
type ReplayState struct {
	State DeadLetterState
	// Kept: the letter is still there. If it is refused again, its reason is
	// replaced; otherwise the record becomes a letter of its own.
	Kept bool
	// Redacted: privacy rules have been applied to the bytes already.
	Redacted bool
}

// DeadLetterPrefix begins the keys of the objects that hold large dead letters.
const DeadLetterPrefix = "dead-letters/"

// DeadLetterKey is the key of the object that holds the large dead letters of a commit.
func DeadLetterKey(commit string, at time.Time) string {
	return DeadLetterPrefix + "date=" + at.UTC().Format(time.DateOnly) + "/" + commit + ".bin"
}
