package ingest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// resume drops what is buffered and reads on from the catalog's cursors. It is
// the one way out of all trouble: nothing that was not committed counts.
func (c *Consumer) resume(ctx context.Context) {
	c.mu.Lock()
	f := c.flight
	c.abort()
	c.mu.Unlock()
	if f != nil {
		<-f.done
		c.settle(f)
	}
	c.mu.Lock()
	c.metrics.dropped.Add(float64(c.building.counts.records))
	c.building, c.since, c.stats.Buffered = newBatch(&c.pages), time.Time{}, 0
	c.replays.drop()
	wait := backoff(c.refusals)
	if c.refusals == 0 {
		wait = 0
	}
	c.refusals++
	c.mu.Unlock()
	if !pause(ctx, wait) {
		return
	}
	c.renew()
	if err := c.retake(ctx); err != nil && ctx.Err() == nil {
		c.metrics.retries.WithLabelValues("take").Inc()
		c.log.Warn("cannot go back to the last commit", "err", err)
	}
}

// retake takes the partitions again that the group still assigns to us. If
// another consumer has them in truth, its next commit is fenced, it takes them
// again, and our client learns of that with its next heartbeat: some work is done
// twice, and none is committed twice.
func (c *Consumer) retake(ctx context.Context) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c.client.PollRecords(ended, 1) // returns at once, and holds rebalances
	defer c.client.AllowRebalance()
	c.mu.Lock()
	parts := make([]topicPartition, 0, len(c.parts))
	for tp := range c.parts {
		parts = append(parts, tp)
	}
	c.mu.Unlock()
	taken, err := c.take(ctx, parts)
	if err != nil {
		return err
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	c.mu.Lock()
	for tp, a := range taken {
		c.install(tp, a)
		if offsets[tp.topic] == nil {
			offsets[tp.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[tp.topic][tp.partition] = kgo.EpochOffset{Epoch: -1, Offset: a.next}
	}
	c.reset = false
	c.mu.Unlock()
	c.client.SetOffsets(offsets)
	return nil
}

func outOfRange(err error) bool {
	var loss *kgo.ErrDataLoss
	return errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &loss)
}

func recreated(err error) bool { return errors.Is(err, kerr.UnknownTopicID) }

// settleGap leads to a reset, in which the gap is found and said. What was read
// before is flushed first, because it may not be there to be read again.
func (c *Consumer) settleGap() { c.building.resetAfter = true }

// recreate follows a topic that was deleted and made again: the client does not
// by itself. Its new partitions have cursors of their own. What was read of the
// old ones is flushed first, because nobody can read it again.
func (c *Consumer) recreate(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.renewed, topic) {
		return
	}
	c.log.Warn("a topic was deleted and made again; reading it from its start", "topic", topic)
	c.building.resetAfter = true
	c.renewed = append(c.renewed, topic)
}

// renew makes the client forget topics that are not what they were, and find
// them again. It must not be called between polling and AllowRebalance.
func (c *Consumer) renew() {
	c.mu.Lock()
	topics := c.renewed
	c.renewed = nil
	for tp, a := range c.parts {
		if slices.Contains(topics, tp.topic) {
			delete(c.parts, tp)
			c.metrics.gone(a)
		}
	}
	c.mu.Unlock()
	if len(topics) > 0 {
		c.client.PurgeTopicsFromConsuming(topics...)
		c.client.AddConsumeTopics(topics...)
	}
}

// skipBatch passes over a batch that would take too much memory.
func (c *Consumer) skipBatch(e *kgo.ErrDecompressTooLarge) {
	c.mu.Lock()
	a := c.parts[topicPartition{e.Topic, e.Partition}]
	if a == nil || c.reset || e.NextOffset <= a.next {
		c.mu.Unlock()
		return
	}
	r := &kgo.Record{Topic: e.Topic, Partition: e.Partition, Offset: max(e.Offset, a.next), Timestamp: time.Now()}
	rej := &rejection{failure: *failf(modelwatch.DeadTooLarge,
		"the batch of offsets %d to %d decompresses to more than %d bytes and was passed over", r.Offset, e.NextOffset-1, maxDecompressedBatch)}
	c.building.reject(newLetter(r, rej, time.Now()), rej)
	c.advance(a, e.NextOffset)
	a.leader = -1 // the client does not say who wrote it
	c.mu.Unlock()
	c.log.Error("a batch was not read: it is too large", "topic", e.Topic, "partition", e.Partition, "offset", e.Offset, "next_offset", e.NextOffset)
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{e.Topic: {e.Partition: {Epoch: -1, Offset: e.NextOffset}}})
}
