package ingest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watchInterval is how often the ends of the partitions are asked for. Fetches
// tell them too, but not while a consumer that cannot flush has stopped reading.
const watchInterval = 10 * time.Second

// watch keeps displays true until the context ends: our metrics of the lag, and
// the offsets of the group that Kafka's own tools show.
func (c *Consumer) watch(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.countPause()
			c.listEnds(ctx)
		case <-c.progress:
			c.report(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Consumer) listEnds(ctx context.Context) {
	c.mu.Lock()
	topics := map[string]bool{}
	for tp := range c.parts {
		topics[tp.topic] = true
	}
	c.mu.Unlock()
	if len(topics) == 0 {
		return
	}
	ends, err := kadm.NewClient(c.client).ListEndOffsets(ctx, slices.Sorted(maps.Keys(topics))...)
	if err != nil {
		return // polling says what is wrong with Kafka
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for tp, a := range c.parts {
		if end, ok := ends.Lookup(tp.topic, tp.partition); ok && end.Err == nil {
			a.end = max(a.end, end.Offset)
			c.metrics.lag(a, time.Now())
		}
	}
}

// reportTimeout bounds one report.
const reportTimeout = 5 * time.Second

// report tells Kafka how far the group is. Nobody reads that to resume, so it may
// fail. The client's own method would do the same, but waits for a rebalance to end.
func (c *Consumer) report(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = c.options.Group
	req.MemberID, req.Generation = c.client.GroupMetadata()
	c.mu.Lock()
	for tp, a := range c.parts {
		if a.committed <= a.reported {
			continue
		}
		a.reported = a.committed
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = tp.partition, a.committed
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID, t.Partitions = tp.topic, a.TopicID, []kmsg.OffsetCommitRequestTopicPartition{p}
		i := slices.IndexFunc(req.Topics, func(x kmsg.OffsetCommitRequestTopic) bool { return x.TopicID == t.TopicID })
		if i >= 0 {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
		} else {
			req.Topics = append(req.Topics, t)
		}
	}
	c.mu.Unlock()
	if len(req.Topics) == 0 || req.MemberID == "" {
		return
	}
	if _, err := req.RequestWith(ctx, c.client); err != nil && ctx.Err() == nil {
		c.log.Debug("cannot show kafka how far the group is", "err", err)
	}
}
