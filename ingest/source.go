package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// maxRowsBytes bounds the events of one record, each of which has what all share,
// such as the tags and the names: what a record holds once is read once a row.
const maxRowsBytes = 256 << 20

// FormatModelwatch is the canonical JSON event.
const FormatModelwatch = "modelwatch"

// Formats lists the formats that a source may have.
func Formats() []string {
	names := append(format.Names(), FormatModelwatch)
	slices.Sort(names)
	return names
}

// Source is a topic and how its records are to be read.
type Source struct {
	Topic  string
	Format string // of Formats; for a consumer, "" is FormatModelwatch
	// Options say what the records of other formats do not say. Of FormatModelwatch
	// only Model and Version are used.
	Options format.Options
}

// source reads the records of a topic. Those of other formats are made canonical
// events first, so that each rule about events is written once, in the decoder.
type source struct {
	decoder        *decoder
	format         format.Format // nil: FormatModelwatch
	model, version []byte        // where neither event nor headers name them

	record format.Record
	events []format.Event
	one    kgo.Record // stands for one event of a record
	json   []byte     // its value
}

func newSource(s Source, d *decoder) (*source, error) {
	src := &source{decoder: d}
	if s.Options.Model != "" {
		src.model = []byte(s.Options.Model)
	}
	if s.Options.Version != "" {
		src.version = []byte(s.Options.Version)
	}
	if s.Format == FormatModelwatch {
		return src, nil
	}
	var err error
	src.format, err = format.New(s.Format, s.Options)
	return src, err
}

// decode is that of the decoder, for records that are one event.
func (s *source) decode(ctx context.Context, r *kgo.Record) (*row, *rejection, error) {
	s.decoder.fallback = header{s.model, s.version}
	return s.decoder.decode(ctx, r)
}

// read takes a record of another format apart into s.events.
func (s *source) read(ctx context.Context, r *kgo.Record) (*rejection, error) {
	s.decoder.fallback = header{s.model, s.version}
	s.events = s.events[:0]
	if fail := s.decoder.measure(r); fail != nil {
		return s.reject(ctx, r, fail)
	}
	s.record = format.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Time: r.Timestamp, Headers: s.record.Headers[:0]}
	for _, h := range r.Headers {
		s.record.Headers = append(s.record.Headers, format.Header(h))
	}
	events, err := s.format.Decode(ctx, &s.record, s.events)
	if fail := (*format.Failure)(nil); errors.As(err, &fail) {
		return s.reject(ctx, r, &failure{fail.Reason, fail.Detail})
	}
	s.events = events
	return nil, err
}

// reject attributes a record that could not be taken apart: only headers and
// configuration tell its model.
func (s *source) reject(ctx context.Context, r *kgo.Record, fail *failure) (*rejection, error) {
	d := s.decoder
	d.header = d.headerOf(r)
	d.fields = [fieldCount]value{}
	return d.reject(ctx, &row{received: r.Timestamp.UnixMicro()}, fail)
}

// event decodes event i of the record that was read last.
func (s *source) event(ctx context.Context, r *kgo.Record, i int) (*row, *rejection, error) {
	s.json = s.events[i].AppendJSON(s.json[:0])
	s.one = *r
	s.one.Value = s.json
	out, rejected, err := s.decode(ctx, &s.one)
	s.decoder.opaque = s.events[i].Opaque
	if rejected != nil && len(s.events) > 1 {
		rejected.detail = fmt.Sprintf("row %d of %d: %s", i, len(s.events), rejected.detail)
	}
	return out, rejected, err
}

// each adds the events of the record that was read last. They stand or fall
// together, because a dead letter that is replayed after a fix brings all of them
// again: where there are several, all are tried before the first is added.
func (s *source) each(ctx context.Context, r *kgo.Record, retry func(context.Context, func() error) error, add func(*row)) (rejected *rejection, err error) {
	size := 0
	for last := len(s.events) == 1; ; last = true {
		for i := range s.events {
			var out *row
			err = retry(ctx, func() (err error) {
				out, rejected, err = s.event(ctx, r, i)
				return err
			})
			if err != nil || rejected != nil {
				return rejected, err
			}
			if last {
				add(out)
			} else if size += len(s.json); size > maxRowsBytes {
				return s.reject(ctx, r, failf(modelwatch.DeadTooLarge, "row %d of %d: with what all rows share, they have more than %d bytes", i, len(s.events), maxRowsBytes))
			}
		}
		if last {
			return nil, nil
		}
	}
}

// placeEvents places a record of another format.
func (c *Consumer) placeEvents(ctx context.Context, b *batch, s *source, r *kgo.Record) error {
	var rejected *rejection
	err := c.retry(ctx, func() (err error) {
		rejected, err = s.read(ctx, r)
		return err
	})
	if err != nil {
		return &unreadable{err}
	}
	if len(s.events) == 0 && rejected == nil {
		b.counts.records++ // it says nothing about a prediction
		return nil
	}
	if rejected == nil {
		rejected, err = s.each(ctx, r, c.retry, func(out *row) { b.add(&s.decoder.event, out) })
	}
	if err != nil {
		return err
	}
	if rejected != nil {
		return c.reject(ctx, b, s, r, rejected)
	}
	return nil
}

// retry bridges a hiccup of the catalog, or of a schema registry, without dropping
// what was read.
func (c *Consumer) retry(ctx context.Context, do func() error) error {
	err := do()
	if err == nil {
		return nil
	}
	return c.again(ctx, err, do)
}

// again is retry after the first attempt, which failed.
func (c *Consumer) again(ctx context.Context, err error, do func() error) error {
	c.whilePaused(pauseSchema, func() {
		for attempt := 0; err != nil && attempt < quickRetries; attempt++ {
			if !pause(ctx, backoff(attempt)) {
				return
			}
			err = do()
		}
	})
	return err
}

// unreadable is the error of a record that cannot be taken apart for now.
type unreadable struct{ err error }

func (u *unreadable) Error() string { return fmt.Sprintf("read a record: %v", u.err) }
func (u *unreadable) Unwrap() error { return u.err }
