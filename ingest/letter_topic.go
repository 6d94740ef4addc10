package ingest

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

const (
	// maxProducedLetter is the size above which a value is not sent along: topics
	// take records of 1 MiB unless they say otherwise.
	maxProducedLetter = 900 << 10
	// produceTimeout bounds one attempt to publish the letters of a flush.
	produceTimeout = 30 * time.Second
)

// The headers of a dead letter in its topic. Those of the record itself follow.
const (
	headerLetterReason    = "modelwatch-dead-letter-reason"
	headerLetterDetail    = "modelwatch-dead-letter-detail"
	headerLetterTopic     = "modelwatch-dead-letter-topic"
	headerLetterPartition = "modelwatch-dead-letter-partition"
	headerLetterOffset    = "modelwatch-dead-letter-offset"
	headerLetterTruncated = "modelwatch-dead-letter-truncated" // the value is not whole: ask the API for it
)

// produceLetters publishes the dead letters of a flight to their topic, if there
// is one. It does so before they are committed: whoever reads the topic may see a
// letter again and misses none.
func (c *Consumer) produceLetters(ctx context.Context, f *flight) error {
	if c.options.DeadLetterTopic == "" || len(f.letters) == 0 {
		return nil
	}
	left := make([]*kgo.Record, len(f.letters))
	for i := range f.letters {
		left[i] = f.letterRecord(&f.letters[i], c.options.DeadLetterTopic)
	}
	return c.insist(ctx, "produce", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, produceTimeout)
		defer cancel()
		results := c.client.ProduceSync(ctx, left...)
		left = left[:0]
		var first error
		for _, r := range results {
			err := r.Err
			if errors.Is(err, kerr.MessageTooLarge) {
				err = c.produceAlone(ctx, r.Record)
			}
			if err != nil {
				left = append(left, again(r.Record))
				first = cmp.Or(first, err)
			}
		}
		return first
	})
}

// produceAlone publishes a record of a batch that was too large: it may have been
// the other ones. A record that is too large by itself goes without its value.
func (c *Consumer) produceAlone(ctx context.Context, r *kgo.Record) error {
	r = again(r)
	err := c.client.ProduceSync(ctx, r).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) || len(r.Value) == 0 {
		return err
	}
	r = again(r)
	r.Value = nil
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerLetterTruncated, Value: []byte("true")})
	return c.client.ProduceSync(ctx, r).FirstErr()
}

// again is a record that was not produced, as the client wants to have it anew.
func again(r *kgo.Record) *kgo.Record {
	return &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
}

func (f *flight) letterRecord(d *modelwatch.DeadLetter, topic string) *kgo.Record {
	value := d.Value
	if d.Object.Key != "" {
		value = f.letterBody[d.Object.Offset:][:d.Object.Length]
	}
	truncated := d.Truncated
	if len(value) > maxProducedLetter {
		value, truncated = nil, true
	}
	out := &kgo.Record{Topic: topic, Key: d.Key, Value: value, Headers: []kgo.RecordHeader{
		{Key: headerLetterReason, Value: []byte(d.Reason)},
		{Key: headerLetterDetail, Value: []byte(d.Detail)},
		{Key: headerLetterTopic, Value: []byte(d.Topic)},
		{Key: headerLetterPartition, Value: strconv.AppendInt(nil, int64(d.Partition), 10)},
		{Key: headerLetterOffset, Value: strconv.AppendInt(nil, d.Offset, 10)},
	}}
	if truncated {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: headerLetterTruncated, Value: []byte("true")})
	}
	for _, h := range d.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	return out
}
