package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// idlePoll is how long a poll waits where nothing else is to be done.
const idlePoll = time.Second

// poll reads some records and places them. Rebalances wait until it is done.
func (c *Consumer) poll(ctx context.Context) error {
	c.mu.Lock()
	timeout := idlePoll
	if !c.since.IsZero() && c.flight == nil {
		timeout = min(timeout, c.options.FlushAge-time.Since(c.since))
	}
	pollCtx, cancel := context.WithTimeout(ctx, timeout)
	c.stopPoll = cancel // the flight's end ends the poll
	if c.flight != nil && c.flight.ended() {
		cancel()
	}
	c.mu.Unlock()
	defer cancel()

	fetches := c.client.PollRecords(pollCtx, pollRecords)
	defer c.client.AllowRebalance()
	if fetches.IsClientClosed() {
		return modelwatch.Errorf(modelwatch.CodeInternal, "the kafka client was closed while it was in use")
	}
	c.refresh(ctx)
	fetches.EachError(func(topic string, partition int32, err error) { c.fault(topic, partition, err) })
	began := time.Now()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) { c.place(ctx, p) })
	c.metrics.decodeSeconds.Add(time.Since(began).Seconds())
	return nil
}

// refreshTimeout bounds how long following schemas may keep records waiting.
const refreshTimeout = 2 * time.Second

func (c *Consumer) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	c.versions.refresh(ctx)
}

// place decodes the records of one partition into the batch.
func (c *Consumer) place(ctx context.Context, p kgo.FetchTopicPartition) {
	c.mu.Lock()
	a, skip := c.parts[topicPartition{p.Topic, p.Partition}], c.reset // then it will be read again
	next := int64(0)
	if a != nil {
		next = a.next
	}
	c.mu.Unlock()
	if a == nil || skip || len(p.Records) == 0 || ctx.Err() != nil {
		return
	}
	next, leader, err := c.placeRecords(ctx, p.Records, next)
	seen := p.Records[len(p.Records)-1].Timestamp
	for _, r := range p.Records {
		r.Recycle() // all that is kept of it was copied
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.postpone(ctx, topicPartition{p.Topic, p.Partition}, err)
	} else if c.blockedAt == (topicPartition{p.Topic, p.Partition}) {
		c.blocked = ""
	}
	if c.parts[topicPartition{p.Topic, p.Partition}] != a {
		c.reset = true // it was taken again meanwhile, from an earlier offset
		return
	}
	if next != a.next {
		a.leader = leader
	}
	c.advance(a, next)
	a.end, a.seen = max(a.end, p.HighWatermark), seen
	c.metrics.lag(a, time.Now())
}

// advance notes how far a partition was read. It needs mu.
func (c *Consumer) advance(a *assignment, next int64) {
	a.next = next
	c.stats.Buffered = c.building.counts.records
	if c.flight != nil {
		c.stats.Buffered += c.flight.counts.records
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
}

// placeRecords returns the offset after the last record that has its place, and
// the epoch of the leader that wrote it; -1: none has.
func (c *Consumer) placeRecords(ctx context.Context, records []*kgo.Record, next int64) (int64, int32, error) {
	leader := int32(-1)
	s := c.sources[records[0].Topic] // that of all records of a partition
	s.decoder.latest = 0
	for _, r := range records {
		if r.Offset < next {
			continue
		}
		if !r.Attrs.IsControl() {
			if err := c.placeRecord(ctx, c.building, s, r); err != nil {
				return next, leader, err
			}
		}
		next, leader = r.Offset+1, r.LeaderEpoch
	}
	return next, leader, nil
}

func (c *Consumer) placeRecord(ctx context.Context, b *batch, s *source, r *kgo.Record) error {
	if len(r.Headers) > 0 {
		if id, ok := replayOf(r); ok {
			return c.placeReplay(ctx, b, s, r, id)
		}
	}
	return c.placeOne(ctx, b, s, r)
}

func (c *Consumer) placeOne(ctx context.Context, b *batch, s *source, r *kgo.Record) error {
	if s.format != nil {
		return c.placeEvents(ctx, b, s, r)
	}
	out, rejected, err := s.decode(ctx, r)
	if err != nil {
		out, rejected, err = c.decodeAgain(ctx, s, r, err)
	}
	switch {
	case err != nil:
		return err
	case rejected != nil:
		return c.reject(ctx, b, s, r, rejected)
	default:
		b.add(&s.decoder.event, out)
	}
	return nil
}

// decodeAgain decodes a record about which the catalog could not be asked.
func (c *Consumer) decodeAgain(ctx context.Context, s *source, r *kgo.Record, err error) (out *row, rejected *rejection, _ error) {
	err = c.again(ctx, err, func() (err error) {
		out, rejected, err = s.decode(ctx, r)
		return err
	})
	return out, rejected, err
}

// quickRetries bridge a hiccup of the catalog without dropping what was read;
// with the back-off between them they take about four seconds.
const quickRetries = 4

// postpone gives up on a record for now: the catalog, or a schema registry, cannot
// be asked about it. It needs mu.
func (c *Consumer) postpone(ctx context.Context, tp topicPartition, err error) {
	if ctx.Err() != nil {
		return // stopping: what was placed before is flushed
	}
	if u := (*unreadable)(nil); errors.As(err, &u) {
		c.log.Warn("a record cannot be read yet; what was read before is committed, and reading is tried again from there", "err", err)
		c.metrics.retries.WithLabelValues("format").Inc()
		c.blocked, c.blockedAt, c.building.resetAfter = err.Error(), tp, true
		return
	}
	c.log.Warn("the catalog does not answer about a model version; reading again from the last commit", "err", err)
	c.metrics.retries.WithLabelValues("schema").Inc()
	c.reset = true
}

// fault handles an error of the client. Most are retried inside it.
func (c *Consumer) fault(topic string, partition int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	var tooLarge *kgo.ErrDecompressTooLarge
	if errors.As(err, &tooLarge) {
		c.metrics.fetchErrors.WithLabelValues(fetchTooLarge).Inc()
		c.skipBatch(tooLarge)
		return
	}
	if outOfRange(err) {
		c.metrics.fetchErrors.WithLabelValues(fetchOutOfRange).Inc()
		c.log.Warn("kafka does not have the next offset of a partition", "topic", topic, "partition", partition, "err", err)
		c.settleGap()
		return
	}
	if recreated(err) {
		c.metrics.fetchErrors.WithLabelValues(fetchRecreated).Inc()
		c.recreate(topic)
		return
	}
	c.metrics.fetchErrors.WithLabelValues(fetchOther).Inc()
	text := fmt.Sprintf("%s/%d: %v", topic, partition, err)
	if text != c.lastFault {
		c.log.Warn("kafka client", "topic", topic, "partition", partition, "err", err)
	}
	c.lastFault = text
}
