package modelwatch

import "time"

// PartitionState is what the catalog knows of a partition that ingest has taken.
type PartitionState struct {
	Partition
	Cursor
	// Owner took it last; whether it still runs the catalog cannot know.
	Owner string
	// CommittedAt is the time of the last commit that has moved the cursor; zero
	// if there was none, or only some that are no longer kept.
	CommittedAt time.Time
	// Recent is how many offsets the commits of a recent span account for.
	Recent int64
	// Deleted and Truncated count the offsets of its gaps, by their reason.
	Deleted, Truncated int64
}

// UploadState counts objects that are announced and not registered.
type UploadState struct {
	// Pending are being written, or their writer has died and nobody has noticed.
	Pending       int64
	OldestPending time.Time // zero if there is none
	// Condemned can never be registered and are about to be deleted.
	Condemned int64
}

// RejectedCount is the number of dead letters of one model and reason.
type RejectedCount struct {
	Model  string // "" where it could not be read
	Reason DeadLetterReason
	Count  int64
}
