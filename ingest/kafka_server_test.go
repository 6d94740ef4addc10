package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// realLog is a topic of a real Kafka, with a catalog in SQLite and a folder.
type realLog struct {
	*bundle
	kafka *testserver.KafkaServer
	admin *kadm.Client
	sent  int
}

// setupKafka makes a topic whose records may be as large as brokers are set to take.
func setupKafka(t *testing.T, partitions int32) *realLog {
	t.Helper()
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server")
	}
	kafka := testserver.Kafka(t)
	l := &realLog{bundle: &bundle{t: t, topic: kafka.Topic(t, partitions), client: faultClient(kafka.Brokers)}, kafka: kafka}
	l.open([]kgo.Opt{kgo.SeedBrokers(kafka.Brokers...), kgo.ProducerBatchMaxBytes(16 << 20), kgo.BrokerMaxWriteBytes(64 << 20)}, "sqlite:"+t.TempDir()+"/catalog.db", archive.BucketConfig{URI: t.TempDir()})
	l.admin = kadm.NewClient(l.producer)
	large := "16777216"
	_, err := l.admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &large}}, l.topic)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs a member of the group; stop ends it in order.
func (l *realLog) start(owner string, log *bytes.Buffer, more ...kgo.Opt) (stop func()) {
	l.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	c, err := ingest.New(ingest.Options{
		Client: append(faultClient(l.kafka.Brokers), more...), Sources: []ingest.Source{{Topic: l.topic}}, Group: l.topic, Owner: owner, Catalog: l.commits,
		Archive: l.archive, FileKey: archive.FileKey, FlushAge: 100 * time.Millisecond, Log: logger,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	}
	l.t.Cleanup(stop)
	return stop
}

func realEvent(id string, bytes int) string {
	head := `{"kind":"prediction","model":"m","version":"1","id":"` + id + `","features":{"text":"`
	return head + strings.Repeat("x", max(bytes-len(head)-3, 1)) + `"}}`
}

func (l *realLog) more(n int) {
	var events []string
	for range n {
		events = append(events, realEvent(fmt.Sprintf("p-%d", l.sent), 0))
		l.sent++
	}
	l.send(events...)
}

// TestRealLog does to a log of a real Kafka what the fault table does to one in
// memory: transactions that are aborted, records of 10 MB, batches that decompress to
// too much, partitions that are added, records that are deleted unread.
func TestRealLog(t *testing.T) {
	l := setupKafka(t, 1)
	var log bytes.Buffer
	stop := l.start("first", &log)
	l.more(20)
	want := 20
	l.transactions(5)
	want += 5
	l.send(realEvent("large", 10<<20), realEvent("larger", 10<<20+1)) // the second is a dead letter
	want += 2
	l.bomb()
	want++ // a dead letter
	l.commits.await(t, want)
	if _, err := l.admin.CreatePartitions(t.Context(), 2, l.topic); err != nil {
		t.Fatal(err)
	}
	stop()

	lost := l.deleteUnread(20)
	want += 20 - lost
	stop = l.start("second", &log)
	l.commits.await(t, want)
	stop()

	rows := l.rows("m", modelwatch.KindPrediction, "text")
	counts, err := l.catalog.CountDeadLetters(t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil || len(counts) != 1 || counts[0].Reason != modelwatch.DeadTooLarge || counts[0].Count != 2 || len(rows) != want-2 {
		t.Errorf("%d rows, want %d; dead letters %+v, %v; want 2 that are too large", len(rows), want-2, counts, err)
	}
	gaps, err := l.catalog.Gaps(t.Context(), l.topic, 10)
	if err != nil || len(gaps) != 1 || gaps[0].To-gaps[0].From != int64(lost) {
		t.Errorf("gaps: %+v, %v; want one of %d", gaps, err, lost)
	}
	for _, text := range []string{"a batch was not read: it is too large", "records were deleted before they were read"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q", text)
		}
	}
}

// transactions produces n records in a transaction that is aborted, and n in one
// that is committed.
func (l *realLog) transactions(n int) {
	l.t.Helper()
	client := l.kafka.Client(l.t, kgo.TransactionalID(l.topic), kgo.DefaultProduceTopic(l.topic))
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			l.t.Fatal(err)
		}
		for j := range n {
			if err := client.ProduceSync(l.t.Context(), kgo.StringRecord(realEvent(fmt.Sprintf("t-%d-%d", i, j), 0))).FirstErr(); err != nil {
				l.t.Fatal(err)
			}
		}
		if err := client.EndTransaction(l.t.Context(), end); err != nil {
			l.t.Fatal(err)
		}
	}
}

// bomb produces a batch of some hundred KB that decompresses to more than is read.
func (l *realLog) bomb() {
	l.t.Helper()
	client := l.kafka.Client(l.t, kgo.DefaultProduceTopic(l.topic), kgo.ProducerBatchCompression(kgo.GzipCompression()),
		kgo.ProducerBatchMaxBytes(256<<20), kgo.MaxBufferedBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
	if err := client.ProduceSync(l.t.Context(), &kgo.Record{Value: make([]byte, 129<<20)}).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// deleteUnread produces n records, while nobody reads, and has Kafka delete all but
// three of those of the first partition. It returns how many.
func (l *realLog) deleteUnread(n int) int {
	l.t.Helper()
	end := func() int64 {
		ends, err := l.admin.ListEndOffsets(l.t.Context(), l.topic)
		if err != nil {
			l.t.Fatal(err)
		}
		first, _ := ends.Lookup(l.topic, 0)
		return first.Offset
	}
	before := end()
	l.more(n)
	start := end() - 3
	offsets := kadm.Offsets{}
	offsets.AddOffset(l.topic, 0, start, -1)
	if _, err := l.admin.DeleteRecords(l.t.Context(), offsets); err != nil {
		l.t.Fatal(err)
	}
	return int(start - before)
}

// TestRealGroups has members come and go in a group of a real Kafka, in each of the
// ways in which groups share partitions.
func TestRealGroups(t *testing.T) {
	serverSide, eager := kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())
	static := func(i int) kgo.Opt { return kgo.InstanceID(fmt.Sprint("instance-", i%2)) }
	for _, test := range []struct {
		name, kind string
		member     func(i int) []kgo.Opt
	}{
		{"cooperative", "classic", func(int) []kgo.Opt { return nil }},
		{"eager", "classic", func(int) []kgo.Opt { return []kgo.Opt{eager} }},
		{"static", "classic", func(i int) []kgo.Opt { return []kgo.Opt{static(i)} }},
		{"server-side", "consumer", func(int) []kgo.Opt { return []kgo.Opt{serverSide} }},
		{"server-side, static", "consumer", func(i int) []kgo.Opt { return []kgo.Opt{serverSide, static(i)} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := setupKafka(t, 6)
			stay := l.start("member-0", nil, test.member(0)...)
			l.more(60)
			l.commits.await(t, l.sent)
			if kind := l.groupType(); kind != test.kind {
				t.Errorf("the group is of type %s, want %s", kind, test.kind)
			}
			for i := 1; i <= 4; i++ {
				guest := l.start(fmt.Sprintf("member-%d", i), nil, test.member(1)...)
				l.more(60)
				if i%2 == 0 { // otherwise it goes while it still joins
					l.commits.await(t, l.sent)
				}
				guest()
				l.more(60)
			}
			l.commits.await(t, l.sent)
			stay()
			if rows := l.rows("m", modelwatch.KindPrediction, "text"); len(rows) != l.sent {
				t.Errorf("%d rows of %d predictions", len(rows), l.sent)
			}
		})
	}
}

func (l *realLog) groupType() string {
	l.t.Helper()
	groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(l.t.Context(), l.producer)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, g := range groups.Groups {
		if g.Group == l.topic {
			return g.GroupType
		}
	}
	return ""
}
