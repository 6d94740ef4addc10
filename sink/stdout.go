package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"
)

// Stdout prints points as JSON lines, for people without a metrics backend and
// for pipelines of their own.
type Stdout struct {
	w io.Writer
}

// NewStdout prints to w.
func NewStdout(w io.Writer) *Stdout { return &Stdout{w: w} }

// Name implements Sink.
func (s *Stdout) Name() string { return "stdout" }

type pointLine struct {
	Time            time.Time `json:"time"`
	Metric          string    `json:"metric"`
	Type            PointType `json:"type"`
	Value           float64   `json:"value"`
	IntervalSeconds int64     `json:"interval_seconds,omitempty"`
	Unit            string    `json:"unit,omitempty"`
	Tags            []string  `json:"tags"`
}

// Deliver implements Sink. Whole lines go out in one write; if it fails the
// points stay in the outbox and are printed again.
func (s *Stdout) Deliver(_ context.Context, points []Point) (retry bool, err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var rejected []RejectedPoint
	for i := range points {
		p := &points[i]
		line := pointLine{p.Time.UTC(), p.Metric, p.Type, p.Value, p.IntervalSeconds, p.Unit, p.Tags}
		if err := enc.Encode(line); err != nil {
			rejected = append(rejected, RejectedPoint{Index: i, Message: err.Error()})
		}
	}
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return true, &Failure{Reason: ReasonUnreachable, Message: "points cannot be printed", Err: err}
	}
	if len(rejected) > 0 {
		return false, &Rejection{Points: rejected}
	}
	return false, nil
}
