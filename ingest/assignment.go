package ingest

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

type topicPartition struct {
	topic     string
	partition int32
}

// assignment is a partition that this consumer has taken. Taking it again makes
// another one: the catalog accepts commits of the newest only.
type assignment struct {
	modelwatch.Partition
	epoch int64
	// cursor is where the catalog will stand when all that was sealed is committed.
	cursor int64
	next   int64     // the offset to read next
	sealed int64     // next, when a batch was last sealed or reading began
	leader int32     // epoch of the leader that wrote the record before next; -1: not known
	end    int64     // of the partition, as last heard
	seen   time.Time // of the last record read

	committed int64 // as the catalog has said; -1: nothing by this assignment
	reported  int64 // of it, what Kafka was told
}

// behind is how many offsets are yet to be read.
func (a *assignment) behind() int64 { return max(a.end-a.next, 0) }

func (a *assignment) labels() (topic, partition string) {
	return a.Topic, strconv.Itoa(int(a.Partition.Partition))
}

// dirty reports that there is something to commit.
func (a *assignment) dirty() bool { return a.next != a.sealed || a.skip() != 0 }

// skip is what the next range tells to have been passed over: from the cursor to
// where reading began.
func (a *assignment) skip() int64 {
	if a.cursor < 0 {
		return 0
	}
	return a.sealed - a.cursor
}

// seal returns the range of what was read since the last time.
func (a *assignment) seal() modelwatch.Range {
	r := modelwatch.Range{Partition: a.Partition, From: a.cursor, To: a.next, Skip: a.skip(), Epoch: a.epoch, LeaderEpoch: a.leader}
	a.cursor, a.sealed = r.To, a.next
	return r
}

// adjust is asked where to read partitions that the group has assigned. It takes
// them, so that whoever had them before is fenced, and answers with the
// catalog's cursors. The client gives up on it by ending ctx.
func (c *Consumer) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-c.opened: // the client asks as soon as it lives
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var parts []topicPartition
	for topic, ps := range offsets {
		for p := range ps {
			parts = append(parts, topicPartition{topic, p})
		}
	}
	taken, err := c.takeInsisting(ctx, parts)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for tp, a := range taken {
		if old := c.parts[tp]; old != nil && old.dirty() {
			c.reset = true // its rows cannot be told from the others in the batch
		}
		c.compare(a, offsets[tp.topic][tp.partition].EpochOffset().Offset)
		c.install(tp, a)
		offsets[tp.topic][tp.partition] = kgo.NewOffset().At(a.next).WithEpoch(-1)
	}
	return offsets, nil
}

// compare looks at the offset that Kafka holds for the group; below 0: none. We tell
// Kafka what the catalog has, so a later one is somebody else's. It needs mu.
func (c *Consumer) compare(a *assignment, inKafka int64) {
	if inKafka <= max(a.cursor, 0) {
		return
	}
	c.metrics.foreign.Inc()
	c.log.Warn("kafka holds a later offset of this group than the catalog: another deployment uses the group, or the catalog was set back; reading from the catalog's",
		"group", c.options.Group, "topic", a.Topic, "partition", a.Partition.Partition, "cursor", a.cursor, "offset_in_kafka", inKafka)
}

func (c *Consumer) install(tp topicPartition, a *assignment) {
	c.parts[tp] = a
	if a.dirty() && c.since.IsZero() {
		c.since = time.Now() // so that a gap is committed, even if no record comes
	}
	c.metrics.partitions.Set(float64(len(c.parts)))
	c.metrics.lag(a, time.Now())
	c.log.Info("partition taken", "topic", a.Topic, "partition", a.Partition.Partition, "cursor", a.cursor, "offset", a.next, "owner_epoch", a.epoch)
}

func (c *Consumer) takeInsisting(ctx context.Context, parts []topicPartition) (map[topicPartition]*assignment, error) {
	for attempt := 0; ; attempt++ {
		taken, err := c.take(ctx, parts)
		if err == nil {
			return taken, nil
		}
		c.metrics.retries.WithLabelValues("take").Inc()
		c.log.Warn("cannot take partitions", "partitions", len(parts), "err", err)
		if !pause(ctx, backoff(attempt)) {
			return nil, ctx.Err()
		}
	}
}

// takeTimeout bounds one attempt, which asks Kafka twice and the catalog once.
const takeTimeout = 15 * time.Second

// take makes this consumer the owner of the partitions and finds where to start.
func (c *Consumer) take(ctx context.Context, parts []topicPartition) (map[topicPartition]*assignment, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	topics := map[string]bool{}
	for _, tp := range parts {
		topics[tp.topic] = true
	}
	names := slices.Sorted(maps.Keys(topics))
	admin := kadm.NewClient(c.client)
	details, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "read topics from kafka")
	}
	starts, ends, err := listEnds(ctx, admin, names)
	if err != nil {
		return nil, err
	}
	wanted := make([]modelwatch.Partition, len(parts))
	for i, tp := range parts {
		d := details[tp.topic]
		if d.Err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeUnavailable, d.Err, "topic %s", tp.topic)
		}
		wanted[i] = modelwatch.Partition{Topic: tp.topic, TopicID: d.ID, Partition: tp.partition}
	}
	cursors, err := c.options.Catalog.TakePartitions(ctx, c.options.Group, c.options.Owner, wanted)
	if err != nil {
		return nil, err
	}
	written, err := writtenEnds(ctx, admin, cursors)
	if err != nil {
		return nil, err
	}
	out := make(map[topicPartition]*assignment, len(parts))
	for i, tp := range parts {
		cursor, ok := cursors[wanted[i]]
		start, okStart := starts.Lookup(tp.topic, tp.partition)
		end, okEnd := ends.Lookup(tp.topic, tp.partition)
		if !ok || !okStart || !okEnd || start.Err != nil || end.Err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeUnavailable, errors.Join(start.Err, end.Err), "offsets of topic %s, partition %d", tp.topic, tp.partition)
		}
		a := &assignment{Partition: wanted[i], epoch: cursor.Epoch, cursor: cursor.Next, leader: cursor.LeaderEpoch, end: end.Offset, committed: -1, reported: -1}
		c.start(a, start.Offset, min(end.Offset, written[tp]))
		out[tp] = a
	}
	return out, nil
}

func listEnds(ctx context.Context, admin *kadm.Client, topics []string) (starts, ends kadm.ListedOffsets, err error) {
	if starts, err = admin.ListStartOffsets(ctx, topics...); err != nil {
		return nil, nil, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "read start offsets from kafka")
	}
	if ends, err = admin.ListEndOffsets(ctx, topics...); err != nil {
		return nil, nil, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "read end offsets from kafka")
	}
	return starts, ends, nil
}

// writtenEnds asks where the log ended under the leaders that wrote the records
// before the cursors. An end before its cursor says that the log was cut back,
// even if other records stand there by now.
func writtenEnds(ctx context.Context, admin *kadm.Client, cursors map[modelwatch.Partition]modelwatch.Cursor) (map[topicPartition]int64, error) {
	ends := make(map[topicPartition]int64, len(cursors))
	var ask kadm.OffsetForLeaderEpochRequest
	for p, cursor := range cursors {
		ends[topicPartition{p.Topic, p.Partition}] = math.MaxInt64
		if cursor.LeaderEpoch >= 0 {
			ask.Add(p.Topic, p.Partition, cursor.LeaderEpoch)
		}
	}
	if len(ask) == 0 {
		return ends, nil
	}
	answers, err := admin.OffsetForLeaderEpoch(ctx, ask)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "read leader epochs from kafka")
	}
	for topic, parts := range answers {
		for _, p := range parts {
			switch {
			case p.Err != nil:
				return nil, modelwatch.Wrap(modelwatch.CodeUnavailable, p.Err, "leader epochs of topic %s, partition %d", topic, p.Partition)
			case p.EndOffset >= 0:
				ends[topicPartition{topic, p.Partition}] = p.EndOffset
			}
		}
	}
	return ends, nil
}

// start sets where to read on. That is the cursor, unless the log no longer has
// it; then the next commit records a gap:
//
//   - the log starts behind the cursor: retention has deleted what was not read.
//     Reading continues at the start; what is between is lost.
//   - the log ends before the cursor: the brokers have lost what was archived
//     already. Reading continues at that end, where new records come, and so does
//     the cursor. From the start, all that is still there would be archived twice.
func (c *Consumer) start(a *assignment, start, end int64) {
	a.next = a.cursor
	switch {
	case a.cursor < 0:
		a.next = start
	case a.cursor < start:
		a.next, a.leader = start, -1
		c.metrics.gaps.Add(float64(start - a.cursor))
		c.log.Error("records were deleted before they were read", "topic", a.Topic, "partition", a.Partition.Partition,
			"cursor", a.cursor, "log_start", start, "lost", start-a.cursor)
	case a.cursor > end:
		a.next, a.leader = max(end, start), -1
		c.metrics.gaps.Add(float64(a.cursor - a.next))
		c.log.Error("the brokers have lost records that were archived, and may have lost others with them",
			"topic", a.Topic, "partition", a.Partition.Partition, "cursor", a.cursor, "log_end", end)
	}
	a.sealed = a.next
}

func (c *Consumer) onAssigned(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = true
	c.metrics.rebalances.WithLabelValues("assigned").Add(float64(count(assigned)))
}

// onRevoked hands partitions over. What was read of them is flushed, if that
// takes no longer than the group may wait.
func (c *Consumer) onRevoked(ctx context.Context, _ *kgo.Client, revoked map[string][]int32) {
	c.metrics.rebalances.WithLabelValues("revoked").Add(float64(count(revoked)))
	if count(revoked) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.options.RevokeTimeout)
	defer cancel()
	if err := c.flushAll(ctx); err != nil {
		c.log.Warn("partitions are handed over before all was flushed; it will be read again", "partitions", count(revoked), "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(revoked)
}

// onLost forgets partitions that others may have already.
func (c *Consumer) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	c.metrics.rebalances.WithLabelValues("lost").Add(float64(count(lost)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if count(lost) > 0 {
		c.log.Warn("partitions lost", "partitions", count(lost))
		c.abort()
		c.remove(lost)
	}
}

func (c *Consumer) remove(gone map[string][]int32) {
	for topic, ps := range gone {
		for _, p := range ps {
			tp := topicPartition{topic, p}
			if a := c.parts[tp]; a != nil {
				delete(c.parts, tp)
				c.metrics.gone(a)
			}
		}
	}
	c.metrics.partitions.Set(float64(len(c.parts)))
}

func count(parts map[string][]int32) int {
	n := 0
	for _, ps := range parts {
		n += len(ps)
	}
	return n
}
