package modelwatch

import "time"

// Window is a half-open span of event time, [Start, End).
type Window struct {
	Start, End time.Time
}

// Contains reports whether t lies in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Duration is the window's length.
func (w Window) Duration() time.Duration { return w.End.Sub(w.Start) }

// BucketSize is the span of event time whose rows are profiled and counted
// together. A window on bucket borders is a union of buckets.
const BucketSize = 5 * time.Minute

// Bucket returns the start of the bucket that t falls in.
func Bucket(t time.Time) time.Time { return t.UTC().Truncate(BucketSize) }
