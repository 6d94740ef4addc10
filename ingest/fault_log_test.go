package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
)

// skips returns what the commits say could not be read, by partition.
func skips(commits []modelwatch.IngestCommit) (out []modelwatch.Range) {
	for _, c := range commits {
		for _, r := range c.Ranges {
			if r.Skip != 0 {
				out = append(out, r)
			}
		}
	}
	return out
}

// faultRewrittenLog: the brokers lose records that are archived, and others stand at
// their offsets by the time anybody looks. Only the leader's epoch tells.
func faultRewrittenLog(t *testing.T, b *testBundle) {
	b.send(1, 20)
	p := b.partitionZero()
	b.catalog.cursors[cursorKey("g", p)] = modelwatch.Cursor{Next: 15, LeaderEpoch: 3}
	b.cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		partition := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		partition.LeaderEpoch, partition.EndOffset = 2, 10 // under epoch 2 the log ended at 10
		answer := kmsg.NewOffsetForLeaderEpochResponseTopic()
		answer.Topic, answer.Partitions = topic, append(answer.Partitions, partition)
		resp.Topics = append(resp.Topics, answer)
		return resp, nil, true
	})
	r := b.start(b.options("a"))
	b.await(10)
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	if len(kept) != 10 || kept["p-10"] != 1 || kept["p-19"] != 1 {
		t.Errorf("kept %v", kept)
	}
	if gaps := skips(b.catalog.ledger()); len(gaps) != 1 || gaps[0].From != 15 || gaps[0].Skip != -5 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// remake deletes the topic and makes it again.
func (b *testBundle) remake() {
	b.t.Helper()
	admin := kadm.NewClient(b.producer)
	if _, err := admin.DeleteTopic(b.t.Context(), topic); err != nil {
		b.t.Fatal(err)
	}
	if _, err := admin.CreateTopic(b.t.Context(), 1, 1, nil, topic); err != nil {
		b.t.Fatal(err)
	}
	b.producer.PurgeTopicsFromClient(topic)
}

// twoLives checks that everything of both topics of one name is archived once.
func (b *testBundle) twoLives() {
	b.t.Helper()
	next, err := checkTiling(b.catalog.ledger())
	if err != nil || len(next) != 2 {
		b.t.Errorf("%d partitions, want one of each topic: %v", len(next), err)
	}
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	for i := range b.sent {
		if n := kept[fmt.Sprintf("p-%d", i)]; n != 1 {
			b.t.Errorf("p-%d has %d rows", i, n)
		}
	}
}

// faultRecreatedUnflushed: nobody can read again what was read of the old topic.
func faultRecreatedUnflushed(_ *testing.T, b *testBundle) {
	o := b.options("a")
	o.FlushAge = time.Hour
	r := b.start(o)
	b.send(1, 10)
	r.awaitRead(10)
	b.remake()
	b.send(1, 10)
	r.awaitRead(20)
	r.stop()
	b.twoLives()
}

// faultRecreatedAway: the cursor of the old topic is not the new one's.
func faultRecreatedAway(_ *testing.T, b *testBundle) {
	first := b.start(b.options("a"))
	b.send(1, 10)
	b.await(10)
	first.stop()
	b.remake()
	b.send(1, 10)
	second := b.start(b.options("b"))
	b.await(20)
	second.stop()
	b.twoLives()
}

// faultRewoundGroup: what Kafka holds of the group does not count.
func faultRewoundGroup(t *testing.T, b *testBundle) {
	first := b.start(b.options("a"))
	b.send(2, 20)
	b.await(20)
	first.stop()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 3, -1)
	offsets.AddOffset(topic, 1, 4000, -1)
	if err := kadm.NewClient(b.producer).CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	second := b.start(b.options("b"))
	b.send(2, 20)
	b.await(40)
	if n := second.metric("foreign_offsets_total"); n != 1 {
		t.Errorf("%v partitions are counted as set forward by somebody else, want 1", n)
	}
	second.stop()
	b.exactlyOnce()
}

// faultLeaders: partitions and the group's coordinator move between brokers.
func faultLeaders(_ *testing.T, b *testBundle) {
	b.addBrokers()
	r := b.start(b.options("a"))
	for range 5 {
		b.send(2, 10)
		b.cluster.ShufflePartitionLeaders()
		b.cluster.RehashCoordinators()
		b.send(2, 10)
		b.await(b.sent)
	}
	r.stop()
	b.exactlyOnce()
}

// faultTwins: two deployments claim to be one static member of the group. They
// throw each other out; nothing is archived twice.
func faultTwins(_ *testing.T, b *testBundle) {
	twin := func(name string) *running {
		o := b.options(name)
		o.Client = append(o.Client, kgo.InstanceID("one"))
		return b.start(o)
	}
	left, right := twin("left"), twin("right")
	for range 10 {
		b.send(2, 10)
		time.Sleep(2 * time.Second) // of the bubble's clock
	}
	left.stop()
	b.await(b.sent)
	right.stop()
	b.exactlyOnce()
}
