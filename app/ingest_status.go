package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// partitionStore is the part of the catalog that says where reading stands.
type partitionStore interface {
	PartitionStates(ctx context.Context, group string, since time.Time) ([]modelwatch.PartitionState, error)
}

// ingestLag compares the catalog's cursors with Kafka. It asks both, because the
// processes that read may be others.
type ingestLag struct {
	store  partitionStore
	client *kgo.Client // for questions
	reach  []kgo.Opt   // of a client that reads the oldest records
	group  string
	topics []string // that are configured
}

// lagTimeout bounds what a Kafka that does not answer may take of a request.
const lagTimeout = 5 * time.Second

// Lag implements api.Ingest.
func (l ingestLag) Lag(ctx context.Context, since time.Time, status *api.IngestStatus) error {
	states, err := l.store.PartitionStates(ctx, l.group, since)
	if err != nil {
		return err
	}
	status.Group.Name = l.group
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	logs, err := l.logs(ctx, states)
	if err != nil {
		status.Notices = append(status.Notices, fmt.Sprintf("kafka does not answer, so the lag is not known: %s", oneLine(err)))
		status.Partitions = withoutKafka(states)
		return nil
	}
	status.Notices = append(status.Notices, logs.faults...)
	status.Notices = append(status.Notices, l.describe(ctx, &status.Group)...)
	status.Partitions = logs.compare(states)
	l.ages(ctx, status)
	return nil
}

// logs are the topics as Kafka has them.
type logs struct {
	topics       kadm.TopicDetails
	starts, ends kadm.ListedOffsets
	faults       []string // of whole topics
}

// logs asks about the topics that are configured and those that were read.
func (l ingestLag) logs(ctx context.Context, states []modelwatch.PartitionState) (*logs, error) {
	names := map[string]bool{}
	for _, t := range l.topics {
		names[t] = true
	}
	for _, s := range states {
		names[s.Topic] = true
	}
	admin := kadm.NewClient(l.client)
	var out logs
	var err error
	if out.topics, err = admin.ListTopics(ctx, slices.Sorted(maps.Keys(names))...); err != nil {
		return nil, err
	}
	for _, t := range out.topics.Sorted() {
		if t.Err != nil {
			if slices.Contains(l.topics, t.Topic) {
				out.faults = append(out.faults, fmt.Sprintf("topic %s: %v", t.Topic, t.Err))
			}
			delete(names, t.Topic)
		}
	}
	if len(names) == 0 {
		return &out, nil
	}
	existing := slices.Sorted(maps.Keys(names))
	starts, startErr := admin.ListStartOffsets(ctx, existing...)
	ends, endErr := admin.ListEndOffsets(ctx, existing...)
	if err = errors.Join(startErr, endErr); err != nil {
		if len(starts) == 0 || len(ends) == 0 {
			return nil, err
		}
		out.faults = append(out.faults, "not all brokers answer: "+oneLine(err))
	}
	out.starts, out.ends = starts, ends
	return &out, nil
}

// compare makes a row of each partition that Kafka has, in order.
func (l *logs) compare(states []modelwatch.PartitionState) []api.IngestPartition {
	known := make(map[modelwatch.Partition]modelwatch.PartitionState, len(states))
	for _, s := range states {
		known[s.Partition] = s
	}
	out := []api.IngestPartition{}
	for _, t := range l.topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			state, taken := known[modelwatch.Partition{Topic: t.Topic, TopicID: t.ID, Partition: p.Partition}]
			row := api.IngestPartition{Topic: t.Topic, Partition: p.Partition}
			if taken {
				row = newIngestPartition(state)
			} else {
				row.Notice = "no consumer has taken it yet"
			}
			l.measure(&row)
			out = append(out, row)
		}
	}
	return out
}

// measure says how far a partition is behind.
func (l *logs) measure(row *api.IngestPartition) {
	start, okStart := l.starts.Lookup(row.Topic, row.Partition)
	end, okEnd := l.ends.Lookup(row.Topic, row.Partition)
	switch {
	case !okStart || !okEnd:
		row.Notice = "kafka does not say where it starts and ends"
		return
	case start.Err != nil:
		row.Notice = start.Err.Error()
		return
	case end.Err != nil:
		row.Notice = end.Err.Error()
		return
	}
	row.LogStart, row.LogEnd = &start.Offset, &end.Offset
	next := start.Offset
	if row.Cursor != nil {
		next = *row.Cursor
	}
	lag := max(end.Offset-max(next, start.Offset), 0)
	row.LagRecords = &lag
	switch {
	case next < start.Offset:
		row.Notice = fmt.Sprintf("%d records were deleted before they were read", start.Offset-next)
	case next > end.Offset:
		row.Notice = fmt.Sprintf("the brokers have lost %d records that are archived", next-end.Offset)
	}
}

func newIngestPartition(s modelwatch.PartitionState) api.IngestPartition {
	out := api.IngestPartition{
		Topic: s.Topic, Partition: s.Partition.Partition, LastHour: s.Recent, Owner: s.Owner, OwnerEpoch: s.Epoch,
		Deleted: s.Deleted, Truncated: s.Truncated,
	}
	if s.Next >= 0 {
		out.Cursor = &s.Next
	}
	if !s.CommittedAt.IsZero() {
		out.Committed = &s.CommittedAt
	}
	return out
}

// withoutKafka are the rows that the catalog alone can tell: of a topic that was
// made again only what moved last.
func withoutKafka(states []modelwatch.PartitionState) []api.IngestPartition {
	out := []api.IngestPartition{}
	for _, s := range states {
		if n := len(out); n > 0 && out[n-1].Topic == s.Topic && out[n-1].Partition == s.Partition.Partition {
			continue
		}
		out = append(out, newIngestPartition(s))
	}
	return out
}

// describe asks who reads.
func (l ingestLag) describe(ctx context.Context, group *api.IngestGroup) (notices []string) {
	described, err := kadm.NewClient(l.client).DescribeGroups(ctx, l.group)
	if err == nil {
		err = described[l.group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		group.Members = new(int)
		return []string{fmt.Sprintf("nothing is read: no consumer has run in group %s", l.group)}
	}
	if err != nil {
		return []string{"kafka does not say who reads: " + oneLine(err)}
	}
	d := described[l.group]
	members := len(d.Members)
	group.State, group.Members = d.State, &members
	if members == 0 {
		notices = append(notices, fmt.Sprintf("nothing is read: no consumer runs in group %s", l.group))
	}
	return notices
}

// ages reads the oldest record that is not archived of each partition that is
// behind, for its time. What cannot be read in time stays unknown.
func (l ingestLag) ages(ctx context.Context, status *api.IngestStatus) {
	from := map[string]map[int32]kgo.Offset{}
	rows := map[topicPartition]*api.IngestPartition{}
	for i := range status.Partitions {
		row := &status.Partitions[i]
		switch {
		case row.LagRecords == nil:
			continue
		case *row.LagRecords == 0:
			row.LagSeconds = new(float64)
			continue
		}
		next := *row.LogStart
		if row.Cursor != nil {
			next = max(next, *row.Cursor)
		}
		if from[row.Topic] == nil {
			from[row.Topic] = map[int32]kgo.Offset{}
		}
		from[row.Topic][row.Partition] = kgo.NewOffset().At(next)
		rows[topicPartition{row.Topic, row.Partition}] = row
	}
	if len(rows) == 0 {
		return
	}
	if err := l.readFirst(ctx, from, func(r *kgo.Record) (more bool) {
		at := topicPartition{r.Topic, r.Partition}
		if row := rows[at]; row != nil {
			age := max(status.Time.Sub(r.Timestamp).Seconds(), 0)
			row.LagSeconds = &age
			delete(rows, at)
		}
		return len(rows) > 0
	}); err != nil {
		status.Notices = append(status.Notices, fmt.Sprintf("of %d partitions the oldest record could not be read: %s", len(rows), oneLine(err)))
	}
}

type topicPartition struct {
	topic     string
	partition int32
}

// readFirst reads the partitions until f has seen enough.
func (l ingestLag) readFirst(ctx context.Context, from map[string]map[int32]kgo.Offset, f func(*kgo.Record) (more bool)) error {
	client, err := kgo.NewClient(append(slices.Clone(l.reach),
		kgo.ConsumePartitions(from), kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(64<<10), kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more := true
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
				more = f(p.Records[0]) && more
			}
		})
		if !more {
			return nil
		}
	}
}
