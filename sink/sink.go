// Package sink carries results out of modelwatch: it maps measurements and
// counts to metric points, delivers them from the outbox to the sinks that jobs
// name, and shows the latest ones to Prometheus.
package sink

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// PointType says how a backend adds points up.
type PointType string

// The types of points. A gauge overwrites the one of the same series and
// second; counts of one series add up over seconds, and overwrite within one.
const (
	Gauge PointType = "gauge"
	Count PointType = "count"
)

// Point is one value of one series at one second.
type Point struct {
	Metric string
	Type   PointType
	Tags   []string // "key:value", normalised, sorted, each once
	Value  float64  // finite
	Time   time.Time
	// IntervalSeconds is the span a count covers; 0 for a gauge.
	IntervalSeconds int64
	Unit            string // Datadog's name of the unit, "" for none
}

// Sink takes points to one place.
//
// Deliver returns nil when every point has arrived. With retry true nothing is
// known to have arrived and the caller delivers the same points again later;
// the error may hold a *Failure that says why and how long to wait. With retry
// false and a *Rejection in the error, every point that the rejection does not
// list has arrived, and the listed ones never will. With retry false and any
// other error none of the points can ever be delivered.
//
// Delivering a point twice must do no harm, since an answer can be lost after
// its request was taken. Deliver keeps neither the slice nor its tags, returns
// when ctx ends, and is called by one goroutine at a time.
type Sink interface {
	Name() string
	Deliver(ctx context.Context, points []Point) (retry bool, err error)
}

// Reason is why a sink did not take points. The list is closed: a failure is
// logged once for as long as its reason lasts, however its text varies.
type Reason string

// The reasons of failures.
const (
	ReasonUnreachable Reason = "unreachable"  // no connection, or it broke
	ReasonTimeout     Reason = "timeout"      // no answer in time
	ReasonThrottled   Reason = "throttled"    // told to wait
	ReasonForbidden   Reason = "forbidden"    // the credentials are not accepted
	ReasonMisdirected Reason = "misdirected"  // the address answers, but is not the sink's
	ReasonServerError Reason = "server_error" // the other side has a fault
	ReasonOther       Reason = "other"
	reasonClaim       Reason = "outbox_read"  // the outbox gives nothing out
	reasonSettle      Reason = "outbox_write" // the outbox takes no receipt
)

// Failure is an error of a delivery that may succeed later.
type Failure struct {
	Reason Reason
	// RetryAfter is how long the other side asked to be left alone, 0 if it did not.
	RetryAfter time.Duration
	// Slow asks for the longest back-off at once: only a person can mend this.
	Slow    bool
	Message string // for the user, stands alone
	Err     error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Message
	}
	return f.Message + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// RejectedPoint is one point that a sink refused for good.
type RejectedPoint struct {
	Index   int // into the points given to Deliver
	Message string
}

// Rejection lists the points of a delivery that were refused; all others arrived.
type Rejection struct {
	Points []RejectedPoint // by ascending index
}

func (r *Rejection) Error() string {
	if len(r.Points) == 0 {
		return "no point rejected"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d points rejected, the first: %s", len(r.Points), r.Points[0].Message)
	return b.String()
}
