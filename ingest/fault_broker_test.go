package ingest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Brokers beside the first one of a bubble.
const (
	secondPort = 9093
	thirdPort  = 9094
)

// addBrokers makes it three brokers, over which the partitions are spread.
func (b *testBundle) addBrokers() {
	b.t.Helper()
	for _, port := range []int{secondPort, thirdPort} {
		if _, _, err := b.cluster.AddNode(-1, port); err != nil {
			b.t.Fatal(err)
		}
	}
}

// faultBrokersRestarted: what an upgrade of Kafka does to clients, one broker after the
// other: its partitions are led by others, all connections end, the coordinator moves,
// and later the partitions come back. One member of the group is there all the time, one
// comes in between.
func faultBrokersRestarted(t *testing.T, b *testBundle) {
	b.addBrokers()
	connections := newGate()
	member := func(name string) *running {
		o := b.options(name)
		o.Client = append(o.Client, kgo.Dialer(connections.dial(b.network.DialContext)))
		return b.start(o)
	}
	lead := func(node int32, partitions []int32) {
		for i, p := range partitions {
			if err := b.cluster.MoveTopicPartition(topic, p, (node+int32(i)%2)%3); err != nil {
				t.Fatal(err)
			}
		}
		connections.hangUp()
		b.cluster.RehashCoordinators()
	}
	stays := member("stays")
	var comes *running
	for node := range int32(3) {
		b.send(6, 30)
		lead(node+1, []int32{0, 1, 2, 3, 4, 5}) // none is led by this one
		b.send(6, 30)
		time.Sleep(20 * time.Second) // of the bubble's clock
		lead(node, []int32{0, 1, 2})
		if node == 0 {
			comes = member("comes")
		}
		b.send(6, 30)
		b.await(b.sent)
	}
	stays.stop()
	b.send(6, 30)
	b.await(b.sent)
	comes.stop()
	b.exactlyOnce()
}

// faultTwoDeployments: two deployments, each with a catalog and an archive of its
// own, are configured with the same group by mistake. Each is told partitions of
// which the other has moved the offset in Kafka; each archives from its own cursors,
// so neither has anything twice, and the one that stays has everything.
func faultTwoDeployments(t *testing.T, b *testBundle) {
	other := *b
	other.catalog, other.archive = newFakeCatalog(), newFakeArchive()
	left := other.start(other.options("left"))
	defer func() { // where the test ends early
		left.cancel()
		<-left.done
	}()
	b.send(4, 40)
	other.await(40)
	right := b.start(b.options("right"))
	for left.Stats().Partitions != 2 || right.Stats().Partitions != 2 {
		time.Sleep(time.Second) // of the bubble's clock
	}
	if n := right.metric("foreign_offsets_total"); n != 2 {
		t.Errorf("%v partitions are counted as another's, want the 2 that were handed over", n)
	}
	if n := left.metric("foreign_offsets_total"); n != 0 {
		t.Errorf("%v partitions are counted as another's before there was another", n)
	}
	b.send(4, 40)
	b.await(40) // two partitions from their beginnings
	left.stop()
	b.send(4, 40)
	b.await(120)
	right.stop()
	b.exactlyOnce()
	if _, err := checkTiling(other.catalog.ledger()); err != nil {
		t.Error(err)
	}
	for id, n := range keptIDs(other.catalog, other.archive, modelwatch.KindPrediction) {
		if n != 1 {
			t.Errorf("the other deployment has %d rows of %s", n, id)
		}
	}
}

// slowArchive takes long for each object.
type slowArchive struct {
	*fakeArchive
	takes time.Duration
}

func (a slowArchive) WriteDataFile(ctx context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error) {
	if !pause(ctx, a.takes) {
		return modelwatch.DataFile{}, ctx.Err()
	}
	return a.fakeArchive.WriteDataFile(ctx, spec, rows)
}

// faultSlowUploads: S3 takes half a minute for each object while members come and
// go. That is longer than a flush may be old, and as long as a revoke may take.
func faultSlowUploads(t *testing.T, b *testBundle) {
	slow := func(name string) *running {
		o := b.options(name)
		o.Archive = slowArchive{b.archive, 30 * time.Second}
		o.FlushBytes, o.MemoryBytes = 16<<10, 32<<10
		return b.start(o)
	}
	first := slow("first")
	var second *running
	var most int64
	for i := range 40 {
		b.send(4, 30)
		time.Sleep(3 * time.Second) // of the bubble's clock
		most = max(most, first.Stats().BufferBytes)
		switch i {
		case 10:
			second = slow("second")
		case 25:
			second.stop()
		}
	}
	b.await(b.sent)
	first.stop()
	b.exactlyOnce()
	if most > 64<<10 {
		t.Errorf("%d bytes were buffered, although 32 KiB are allowed and one poll", most)
	}
}

// faultLargeRecords: a record may have 10 MiB. Larger ones are dead letters, of which
// the beginning is kept.
func faultLargeRecords(t *testing.T, b *testBundle) {
	large := b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(16<<20), kgo.BrokerMaxWriteBytes(64<<20))
	defer large.Close()
	event := func(id string, bytes int) *kgo.Record {
		head := `{"kind":"prediction","model":"m","version":"1","id":"` + id + `","features":{"text":"`
		return &kgo.Record{Topic: topic, Value: []byte(head + strings.Repeat("x", bytes-len(head)-3) + `"}}`)}
	}
	r := b.start(b.options("a"))
	b.send(2, 10)
	for i, bytes := range []int{maxRecordBytes, maxRecordBytes + 1, maxRecordBytes - 1} {
		if err := large.ProduceSync(t.Context(), event(fmt.Sprintf("large-%d", i), bytes)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.send(2, 10)
	b.await(23)
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	if len(kept) != 22 || kept["large-0"] != 1 || kept["large-2"] != 1 {
		t.Errorf("%d ids have rows: %v", len(kept), kept)
	}
	var letters []modelwatch.DeadLetter
	for _, c := range b.catalog.ledger() {
		letters = append(letters, c.DeadLetters...)
	}
	if len(letters) != 1 || letters[0].Reason != modelwatch.DeadTooLarge || len(b.archive.letter(letters[0])) != maxKeptTooLarge {
		t.Errorf("%d dead letters", len(letters))
	}
	if n := r.metric("rejected_total", string(modelwatch.DeadTooLarge)); n != 1 {
		t.Errorf("%v records are counted as too large", n)
	}
}

// faultCompactedLog: Kafka has compacted the log, so that offsets are missing. The
// ranges tile all the same.
func faultCompactedLog(t *testing.T, b *testBundle) {
	const compacted = "compacted"
	if err := b.cluster.CreateTopic(compacted, 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		key := fmt.Appendf(nil, "k-%d", i%10)
		event := fmt.Appendf(nil, `{"kind":"prediction","model":"m","version":"1","id":"c-%d"}`, i)
		if err := b.producer.ProduceSync(t.Context(), &kgo.Record{Topic: compacted, Key: key, Value: event}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.cluster.Compact()
	o := b.options("a")
	o.Sources = []Source{{Topic: compacted}}
	r := b.start(o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of the bubble's clock
	defer cancel()
	err := b.catalog.await(ctx, func(cs []modelwatch.IngestCommit) bool {
		next, err := checkTiling(cs)
		for _, to := range next {
			return err == nil && to == 40
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	for i := range 10 {
		if kept[fmt.Sprintf("c-%d", 30+i)] != 1 {
			t.Errorf("the last value of key %d has %d rows", i, kept[fmt.Sprintf("c-%d", 30+i)])
		}
	}
	if len(kept) == 40 {
		t.Error("nothing was compacted")
	}
	if gaps := skips(b.catalog.ledger()); len(gaps) != 0 {
		t.Errorf("gaps: %+v", gaps)
	}
}
