package ingest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// faultRetentionGap: records that Kafka has deleted before they were read are
// counted, and the cursor passes over them.
func faultRetentionGap(t *testing.T, b *testBundle) {
	r := b.start(b.options("a"))
	b.send(1, 10)
	b.await(10)
	r.stop()
	b.send(1, 10) // p-10 to p-19, of which Kafka loses the first seven
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 17, -1)
	if _, err := kadm.NewClient(b.producer).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	again := b.start(b.options("b"))
	b.await(13)
	if n := again.metric("gap_records_total"); n != 7 {
		t.Errorf("%v records are counted as lost, want 7", n)
	}
	again.stop()
	if next, err := checkTiling(b.catalog.ledger()); err != nil || len(next) != 1 {
		t.Error(next, err)
	}
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	if len(kept) != 13 || kept["p-17"] != 1 || kept["p-16"] != 0 {
		t.Errorf("kept %v", kept)
	}
	if gaps := skips(b.catalog.ledger()); len(gaps) != 1 || gaps[0].From != 10 || gaps[0].Skip != 7 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// faultGapWhileRunning: retention overtakes a consumer that cannot flush. What it
// has read is not lost.
func faultGapWhileRunning(t *testing.T, b *testBundle) {
	o := b.options("a")
	o.FlushBytes, o.MemoryBytes = 4<<10, 8<<10
	r := b.start(o)
	b.send(1, 10)
	b.await(10)
	b.archive.setFail(func(string) error { return modelwatch.Errorf(modelwatch.CodeUnavailable, "away") })
	b.send(1, 4000)
	time.Sleep(time.Minute) // of the bubble's clock
	r.mu.Lock()
	read := r.parts[topicPartition{topic, 0}].next
	r.mu.Unlock()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 4005, -1)
	if _, err := kadm.NewClient(b.producer).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	b.archive.setFail(nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	err := b.catalog.await(ctx, func(cs []modelwatch.IngestCommit) bool {
		next, err := checkTiling(cs)
		for _, to := range next {
			return err == nil && to == 4010
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	for i := range read {
		if kept[fmt.Sprintf("p-%d", i)] != 1 {
			t.Fatalf("p-%d was read before it was deleted, and has %d rows", i, kept[fmt.Sprintf("p-%d", i)])
		}
	}
	if n := r.metric("gap_records_total"); int(n) != 4010-len(kept) {
		t.Errorf("%v records are counted as lost, %d have rows", n, len(kept))
	}
}

// faultTruncatedLog: Kafka has lost what is archived. Nothing is archived twice.
func faultTruncatedLog(t *testing.T, b *testBundle) {
	b.send(1, 10)
	id := b.topicID()
	p := modelwatch.Partition{Topic: topic, TopicID: id, Partition: 0}
	b.catalog.cursors[cursorKey("g", p)] = modelwatch.Cursor{Next: 15, LeaderEpoch: -1}
	r := b.start(b.options("a"))
	for r.Stats().Partitions == 0 {
		time.Sleep(time.Second) // of the bubble's clock
	}
	b.send(1, 10) // offsets 10 to 19
	b.await(10)
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	if len(kept) != 10 || kept["p-10"] != 1 || kept["p-19"] != 1 {
		t.Errorf("kept %v", kept)
	}
	if c := b.catalog.cursors[cursorKey("g", p)]; c.Next != 20 {
		t.Errorf("cursor at %d, want 20", c.Next)
	}
	if gaps := skips(b.catalog.ledger()); len(gaps) != 1 || gaps[0].From != 15 || gaps[0].Skip != -5 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// faultRecreatedTopic: the topic is deleted and made again under the consumer.
func faultRecreatedTopic(_ *testing.T, b *testBundle) {
	r := b.start(b.options("a"))
	b.send(1, 10)
	b.await(10)
	b.remake()
	b.send(1, 10)
	b.await(20)
	r.stop()
	b.twoLives()
}

// faultTransactions: aborted records are not read, and cursors pass the markers.
func faultTransactions(t *testing.T, b *testBundle) {
	tx := b.client(kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer tx.Close()
	for i, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 5 {
			v := fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"t-%d-%d"}`, i, j)
			if err := tx.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	r := b.start(b.options("a"))
	b.await(5)
	synctest.Wait()
	if n := r.Stats().LagRecords; n != 0 {
		t.Errorf("lag is %d behind the last marker", n)
	}
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	if len(kept) != 5 || kept["t-1-4"] != 1 {
		t.Errorf("kept %v", kept)
	}
	b.sent = 0
	if next, err := checkTiling(b.catalog.ledger()); err != nil || next[b.partitionZero()] != 12 {
		t.Errorf("ranges end at %v, want 12: %v", next, err)
	}
}

// faultTooLargeBatch: a batch that decompresses to more than memory is passed over.
func faultTooLargeBatch(t *testing.T, b *testBundle) {
	b.send(1, 3)
	big := b.client(kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(64<<20), kgo.MaxBufferedBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
	defer big.Close()
	if err := big.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: make([]byte, 60<<20)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.send(1, 3)
	if err := big.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: make([]byte, 60<<20)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o := b.options("a")
	o.Client = append(o.Client, kgo.MaxDecompressBatchBytes(32<<20))
	r := b.start(o)
	b.await(8)
	r.stop()
	letters := []modelwatch.DeadLetter{}
	for _, c := range b.catalog.ledger() {
		letters = append(letters, c.DeadLetters...)
	}
	if len(letters) != 2 || letters[0].Reason != modelwatch.DeadTooLarge || letters[0].Offset != 3 || letters[1].Offset != 7 {
		t.Errorf("dead letters: %+v", letters)
	}
	if next, err := checkTiling(b.catalog.ledger()); err != nil || next[b.partitionZero()] != 8 {
		t.Error(next, err)
	}
	if c := b.catalog.cursors[cursorKey("g", b.partitionZero())]; c.LeaderEpoch != -1 {
		t.Errorf("leader epoch %d, although nobody knows who wrote the last record", c.LeaderEpoch)
	}
}

// faultNewPartitions: partitions are added to the topic.
func faultNewPartitions(t *testing.T, b *testBundle) {
	r := b.start(b.options("a"))
	b.send(1, 10)
	b.await(10)
	if _, err := kadm.NewClient(b.producer).CreatePartitions(t.Context(), 2, topic); err != nil {
		t.Fatal(err)
	}
	for r.Stats().Partitions != 3 {
		time.Sleep(time.Second) // of the bubble's clock
	}
	again := b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer again.Close()
	b.producer = again
	b.send(3, 30)
	b.await(40)
	r.stop()
	b.exactlyOnce()
}

// faultLateTopic: a topic is made after the consumer was started.
func faultLateTopic(t *testing.T, b *testBundle) {
	o := b.options("a")
	o.Sources = append(o.Sources, Source{Topic: "late", Format: FormatModelwatch})
	r := b.start(o)
	b.send(1, 10)
	b.await(10)
	if _, err := kadm.NewClient(b.producer).CreateTopic(t.Context(), 1, 1, nil, "late"); err != nil {
		t.Fatal(err)
	}
	event := &kgo.Record{Topic: "late", Value: []byte(`{"kind":"prediction","model":"m","version":"1","id":"late"}`)}
	if err := b.producer.ProduceSync(t.Context(), event).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.await(11)
	r.stop()
	if kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction); kept["late"] != 1 || len(kept) != 11 {
		t.Errorf("kept %v", kept)
	}
}

func (b *testBundle) topicID() [16]byte {
	b.t.Helper()
	details, err := kadm.NewClient(b.producer).ListTopics(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	return details[topic].ID
}

func (b *testBundle) partitionZero() modelwatch.Partition {
	return modelwatch.Partition{Topic: topic, TopicID: b.topicID()}
}
