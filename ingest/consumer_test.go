package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
)

const topic = "modelwatch.events"

// testBundle is a broker on a network in memory, so that its tests run on the
// fake clock of a synctest bubble.
type testBundle struct {
	t        *testing.T
	network  *kfake.VirtualNetwork
	cluster  *kfake.Cluster
	producer *kgo.Client
	catalog  *fakeCatalog
	archive  *fakeArchive
	sent     int
}

// bubble runs a test in a synctest bubble with a broker of its own.
func bubble(t *testing.T, partitions int32, f func(*testing.T, *testBundle)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &testBundle{t: t, network: &kfake.VirtualNetwork{}, catalog: newFakeCatalog(), archive: newFakeArchive()}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(b.network.Listen), kfake.Ports(9092), kfake.SeedTopics(partitions, topic))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		b.cluster = cluster
		b.producer = b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer b.producer.Close()
		f(t, b)
	})
}

func (b *testBundle) client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	cl, err := kgo.NewClient(append(b.reach(), opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	return cl
}

func (b *testBundle) reach() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.Dialer(b.network.DialContext)}
}

// send produces n predictions, spread over the partitions, with ids p-0, p-1, ...
func (b *testBundle) send(partitions int32, n int) {
	b.t.Helper()
	for range n {
		b.produce(int32(b.sent)%partitions, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"p-%d","features":{"n":%d}}`, b.sent, b.sent))
		b.sent++
	}
}

func (b *testBundle) produce(partition int32, value string) {
	b.t.Helper()
	r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}
	if err := b.producer.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *testBundle) options(owner string) Options {
	return Options{
		Client: b.reach(), Sources: []Source{{Topic: topic}}, Group: "g", Owner: owner, Catalog: b.catalog, Archive: b.archive, FileKey: fakeKey,
		FlushAge: 2 * time.Second, Log: slog.New(slog.NewTextHandler(logWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// logWriter shows logs with the test that they belong to.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	if testing.Verbose() {
		w.t.Log(strings.TrimRight(string(p), "\n"))
	}
	return len(p), nil
}

// running is a consumer at work.
type running struct {
	*Consumer
	registry *prometheus.Registry
	t        *testing.T
	cancel   context.CancelFunc
	done     chan struct{}
	err      error
}

func (b *testBundle) start(o Options) *running {
	b.t.Helper()
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	c, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Consumer: c, registry: registry, t: b.t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = c.Run(ctx)
	}()
	return r
}

// metric sums the series of a counter or gauge; with a label value, only those that have it.
func (r *running) metric(name string, label ...string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "modelwatch_ingest_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 0 || m.GetLabel()[0].GetValue() == label[0] {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// stop ends a consumer in order.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	<-r.done
	if r.err != nil {
		r.t.Fatalf("run: %v", r.err)
	}
}

// await waits until so many records are accounted for.
func (b *testBundle) await(records int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Minute)
	defer cancel()
	err := b.catalog.await(ctx, func(commits []modelwatch.IngestCommit) bool { return accounted(commits) >= records })
	if err != nil {
		b.t.Fatalf("%d of %d records are accounted for: %v", accounted(b.catalog.ledger()), records, err)
	}
}

func accounted(commits []modelwatch.IngestCommit) (n int) {
	for _, c := range commits {
		n += len(c.DeadLetters)
		for _, v := range c.Volumes {
			n += int(v.Seen)
		}
	}
	return n
}

// exactlyOnce checks that each prediction that was sent has one row, that
// volumes agree, and that the ranges tile what the partitions hold.
func (b *testBundle) exactlyOnce() {
	b.t.Helper()
	kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
	for i := range b.sent {
		if n := kept[fmt.Sprintf("p-%d", i)]; n != 1 {
			b.t.Errorf("p-%d has %d rows", i, n)
		}
	}
	if n := accounted(b.catalog.ledger()); n != b.sent {
		b.t.Errorf("%d records are accounted for, %d were sent", n, b.sent)
	}
	next, err := checkTiling(b.catalog.ledger())
	if err != nil {
		b.t.Error(err)
	}
	ends, err := kadm.NewClient(b.producer).ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	for p, to := range next {
		if end, _ := ends.Lookup(topic, p.Partition); end.Offset != to {
			b.t.Errorf("partition %d is committed up to %d of %d", p.Partition, to, end.Offset)
		}
	}
}

func TestConsume(t *testing.T) {
	bubble(t, 3, func(t *testing.T, b *testBundle) {
		b.send(3, 100)
		r := b.start(b.options("a"))
		if err := r.Ready(); err == nil {
			t.Error("ready before it has joined")
		}
		b.await(100)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		b.send(3, 50)
		b.await(150)
		synctest.Wait()
		if got := r.Stats(); got.Records != 150 || got.Kept != 150 || got.LagRecords != 0 || got.Partitions != 3 || got.BufferBytes != 0 {
			t.Errorf("stats: %+v", got)
		}
		if kept, partitions := r.metric("kept_rows_total"), r.metric("partitions"); kept != 150 || partitions != 3 {
			t.Errorf("metrics: %v rows kept, %v partitions", kept, partitions)
		}
		r.stop()
		b.exactlyOnce()
		committed, err := kadm.NewClient(b.producer).FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := committed.Lookup(topic, 0); o.At != 50 {
			t.Errorf("kafka shows offset %d of the group, want 50", o.At)
		}
	})
}

// TestShutdownFlushes: what was read is committed on the way out.
func TestShutdownFlushes(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		b.send(2, 20)
		o := b.options("a")
		o.FlushAge = time.Hour
		r := b.start(o)
		r.awaitRead(20)
		if len(b.catalog.ledger()) != 0 {
			t.Error("flushed before its time")
		}
		r.stop()
		b.exactlyOnce()
	})
}

// awaitRead waits until so many records are in memory or committed.
func (r *running) awaitRead(n int64) {
	r.t.Helper()
	for range 1000 {
		s := r.Stats()
		read := s.Records + s.Buffered
		if read >= n {
			return
		}
		time.Sleep(100 * time.Millisecond) // of the bubble's clock
	}
	r.t.Fatalf("%d records were not read", n)
}

// TestCrash kills a consumer at each point of a flush, in its first and in its
// second one; another one goes on.
func TestCrash(t *testing.T) {
	for _, point := range Points() {
		for _, flush := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s %d", point, flush), func(t *testing.T) {
				bubble(t, 3, func(t *testing.T, b *testBundle) {
					b.send(3, 30)
					o := b.options("a")
					hits := 0
					o.Hooks.At = func(at string) error {
						if at == point {
							if hits++; hits == flush {
								return errors.New("power cut")
							}
						}
						return nil
					}
					r := b.start(o)
					r.awaitRead(30)
					if flush == 2 {
						b.await(30)
						b.send(3, 30)
					}
					<-r.done
					if !errors.Is(r.err, errKilled) {
						t.Fatalf("run: %v", r.err)
					}
					b.send(3, 30)
					next := b.start(b.options("b"))
					b.await(b.sent)
					next.stop()
					b.exactlyOnce()
				})
			})
		}
	}
}

// TestZombie stops a consumer at each point before its commit, long enough for
// the group to give its partitions to another; then it wakes up.
func TestZombie(t *testing.T) {
	for _, point := range []string{PointSealed, PointIntended, PointUploaded} {
		t.Run(point, func(t *testing.T) {
			bubble(t, 2, func(t *testing.T, b *testBundle) {
				b.send(2, 20)
				asleep, wake := make(chan struct{}), make(chan struct{})
				o := b.options("zombie")
				var once sync.Once
				o.Hooks.At = func(at string) error {
					if at == point {
						once.Do(func() {
							close(asleep)
							<-wake
						})
					}
					return nil
				}
				zombie := b.start(o)
				<-asleep
				// The group's truth is not asked: another owner takes the partitions.
				heartbeats := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID, Count: 1, When: func(kmsg.Request) bool { return true }})
				if err := heartbeats.Wait(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				second := b.start(b.options("second"))
				b.send(2, 20)
				b.await(20)
				close(wake)
				b.send(2, 20)
				b.await(60)
				zombie.stop()
				second.stop()
				b.exactlyOnce()
				if n := zombie.metric("flushes_total", "committed") + second.metric("flushes_total", "committed"); n < 2 {
					t.Errorf("%v flushes were committed", n)
				}
			})
		})
	}
}

// TestGroup: two consumers share the partitions; one is killed; the other takes
// over what it held.
func TestGroup(t *testing.T) {
	bubble(t, 4, func(t *testing.T, b *testBundle) {
		var kill atomic.Bool
		o := b.options("a")
		o.Hooks.At = func(point string) error {
			if point == PointUploaded && kill.Load() {
				return errors.New("power cut")
			}
			return nil
		}
		first := b.start(o)
		b.send(4, 40)
		b.await(40)
		second := b.start(b.options("b"))
		for first.Stats().Partitions != 2 || second.Stats().Partitions != 2 {
			time.Sleep(time.Second) // of the bubble's clock
		}
		b.send(4, 40)
		b.await(80)
		kill.Store(true)
		b.send(4, 40)
		<-first.done
		b.await(120)
		second.stop()
		b.exactlyOnce()
	})
}

// TestRebalanceStorm: members come and go while records do.
func TestRebalanceStorm(t *testing.T) {
	bubble(t, 6, func(t *testing.T, b *testBundle) {
		stay := b.start(b.options("stay"))
		for i := range 8 {
			b.send(6, 30)
			guest := b.start(b.options(fmt.Sprintf("guest-%d", i)))
			time.Sleep(time.Duration(1+i%4) * time.Second) // of the bubble's clock
			b.send(6, 30)
			guest.stop()
		}
		b.await(b.sent)
		stay.stop()
		b.exactlyOnce()
	})
}

// TestFenced: an outsider takes a partition from under the consumer, which drops
// what it holds, takes it back and goes on.
func TestFenced(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		r := b.start(b.options("a"))
		b.send(2, 20)
		b.await(20)
		parts := b.partitions(r)
		b.send(2, 20)
		if _, err := b.catalog.TakePartitions(t.Context(), "g", "outsider", parts[:1]); err != nil {
			t.Fatal(err)
		}
		b.await(40)
		b.send(2, 20)
		b.await(60)
		r.stop()
		b.exactlyOnce()
		if n := r.metric("flushes_total", "fenced"); n != 1 {
			t.Errorf("%v flushes were fenced, want 1", n)
		}
	})
}

func (b *testBundle) partitions(r *running) (parts []modelwatch.Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.parts {
		parts = append(parts, a.Partition)
	}
	return parts
}

// TestLostPartitions: the group throws the consumer out and takes it in again.
func TestLostPartitions(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.FlushAge = 20 * time.Second
		r := b.start(o)
		b.send(2, 20)
		r.awaitRead(20)
		lost := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID})
		if err := lost.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		b.send(2, 20)
		b.await(40)
		r.stop()
		b.exactlyOnce()
		if n := r.metric("dropped_records_total"); n != 20 {
			t.Errorf("%v records were dropped, want the 20 that were not flushed", n)
		}
	})
}

// TestDeadLetters: records that have no place are in the commit, with their bytes,
// and the cursor passes them.
func TestDeadLetters(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		b.send(1, 2)
		bad := []string{`{"kind":"prediction"`, `[]`, `{"kind":"prediction","model":"m","version":"1"}`}
		for _, v := range bad {
			b.produce(0, v)
		}
		if err := b.producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k")}).FirstErr(); err != nil { // a tombstone
			t.Fatal(err)
		}
		b.send(1, 2)
		r := b.start(b.options("a"))
		b.await(8)
		r.stop()
		var letters []modelwatch.DeadLetter
		var rejected int64
		for _, c := range b.catalog.ledger() {
			letters = append(letters, c.DeadLetters...)
			for _, v := range c.Volumes {
				rejected += v.Rejected
			}
		}
		reasons := []modelwatch.DeadLetterReason{modelwatch.DeadInvalidJSON, modelwatch.DeadNotObject, modelwatch.DeadNoID, modelwatch.DeadEmpty}
		if len(letters) != len(reasons) {
			t.Fatalf("%d dead letters, want %d", len(letters), len(reasons))
		}
		for i, l := range letters {
			if l.Reason != reasons[i] || l.Offset != int64(i+2) || l.Topic != topic || l.Detail == "" || l.Time.IsZero() {
				t.Errorf("letter %d: %+v", i, l)
			}
			if i < len(bad) && string(l.Value) != bad[i] || i == len(bad) && string(l.Key) != "k" {
				t.Errorf("letter %d: key %q, value %q", i, l.Key, l.Value)
			}
		}
		if rejected != 1 {
			t.Errorf("%d rejections are attributed, want the one whose model is known", rejected)
		}
		if next, err := checkTiling(b.catalog.ledger()); err != nil || len(next) != 1 {
			t.Error(next, err)
		}
	})
}

// TestOutages: the archive and the catalog fail for a while. Meanwhile memory is
// bounded and the consumer says that it is not ready; then all goes on.
func TestOutages(t *testing.T) {
	steps := []string{"upload", "intend", "commit"}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			bubble(t, 2, func(t *testing.T, b *testBundle) {
				o := b.options("a")
				o.FlushBytes, o.MemoryBytes = 64<<10, 128<<10
				r := b.start(o)
				b.send(2, 10)
				b.await(10)
				down := modelwatch.Errorf(modelwatch.CodeUnavailable, "away")
				b.archive.setFail(func(string) error {
					if step == "upload" {
						return down
					}
					return nil
				})
				b.catalog.setFail(func(s string) error {
					if s == step {
						return down
					}
					return nil
				})
				var most int64
				for range 60 {
					b.send(2, 100)
					time.Sleep(time.Second) // of the bubble's clock
					most = max(most, r.Stats().BufferBytes)
				}
				if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "away") {
					t.Errorf("ready: %v", err)
				}
				if most < 64<<10 || most > 192<<10 {
					t.Errorf("%d bytes were buffered, want about %d", most, 128<<10)
				}
				if r.Stats().LagRecords == 0 {
					t.Error("everything was read, although nothing could be written")
				}
				b.archive.setFail(nil)
				b.catalog.setFail(nil)
				b.await(b.sent)
				synctest.Wait()
				if err := r.Ready(); err != nil {
					t.Error(err)
				}
				r.stop()
				b.exactlyOnce()
			})
		})
	}
}

// TestLostAnswers: the catalog does what it was asked, and its answer is lost.
func TestLostAnswers(t *testing.T) {
	for _, step := range []string{"take", "intend", "commit", "ensure", "grow"} {
		t.Run(step, func(t *testing.T) {
			bubble(t, 2, func(t *testing.T, b *testBundle) {
				lost := 0
				b.catalog.after = func(s string) error {
					if s == step && lost < 2 {
						lost++
						return modelwatch.Wrap(modelwatch.CodeUnavailable, io.ErrUnexpectedEOF, "answer of %s", s)
					}
					return nil
				}
				r := b.start(b.options("a"))
				b.send(2, 20)
				b.await(20)
				r.stop()
				b.exactlyOnce()
				if lost == 0 {
					t.Error("no answer was lost")
				}
			})
		})
	}
}

// TestSchemaOutage: new models cannot be looked up for a while.
func TestSchemaOutage(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		b.catalog.setFail(func(s string) error {
			if s == "ensure" {
				return modelwatch.Errorf(modelwatch.CodeUnavailable, "away")
			}
			return nil
		})
		r := b.start(b.options("a"))
		b.send(2, 20)
		time.Sleep(2 * time.Minute) // of the bubble's clock
		if n := len(b.catalog.ledger()); n != 0 {
			t.Errorf("%d commits, although no record could be placed", n)
		}
		b.catalog.setFail(nil)
		b.await(20)
		r.stop()
		b.exactlyOnce()
	})
}

// TestSlowRevoke: a flush that takes longer than the group may wait is given up,
// and the next owner reads it again.
func TestSlowRevoke(t *testing.T) {
	bubble(t, 4, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.RevokeTimeout = 5 * time.Second
		first := b.start(o)
		b.send(4, 40)
		b.await(40)
		var slow atomic.Bool
		slow.Store(true)
		b.archive.setFail(func(string) error {
			if slow.Load() {
				return modelwatch.Errorf(modelwatch.CodeUnavailable, "slow")
			}
			return nil
		})
		b.send(4, 40)
		first.awaitRead(80)
		second := b.start(b.options("b"))
		for second.Stats().Partitions != 2 {
			time.Sleep(time.Second) // of the bubble's clock
		}
		slow.Store(false)
		b.await(80)
		first.stop()
		second.stop()
		b.exactlyOnce()
	})
}

// TestRetentionGap: records that Kafka has deleted before they were read are
// counted, and the cursor passes over them.
func TestRetentionGap(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
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
	})
}

// TestGapWhileRunning: retention overtakes a consumer that cannot flush. What it
// has read is not lost.
func TestGapWhileRunning(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
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
	})
}

// TestTruncatedLog: Kafka has lost what is archived. Nothing is archived twice.
func TestTruncatedLog(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		b.send(1, 10)
		id := b.topicID()
		p := modelwatch.Partition{Topic: topic, TopicID: id, Partition: 0}
		b.catalog.cursors[cursorKey("g", p)] = modelwatch.Cursor{Next: 15}
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
	})
}

func (b *testBundle) topicID() [16]byte {
	b.t.Helper()
	details, err := kadm.NewClient(b.producer).ListTopics(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	return details[topic].ID
}

// TestRecreatedTopic: the topic is deleted and made again under the consumer.
func TestRecreatedTopic(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		r := b.start(b.options("a"))
		b.send(1, 10)
		b.await(10)
		admin := kadm.NewClient(b.producer)
		if _, err := admin.DeleteTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		b.producer.PurgeTopicsFromClient(topic)
		b.send(1, 10)
		b.await(20)
		r.stop()
		next, err := checkTiling(b.catalog.ledger())
		if err != nil || len(next) != 2 {
			t.Errorf("%d partitions, want one of each incarnation: %v", len(next), err)
		}
		if kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction); len(kept) != 20 {
			t.Errorf("kept %v", kept)
		}
	})
}

// TestTransactions: aborted records are not read, and cursors pass the markers.
func TestTransactions(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
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
	})
}

func (b *testBundle) partitionZero() modelwatch.Partition {
	return modelwatch.Partition{Topic: topic, TopicID: b.topicID()}
}

// TestSampling: predictions are kept by their rank, labels always, and counts are
// of what was seen.
func TestSampling(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		b.catalog.put(modelwatch.Version{Model: "m", Name: "1", SamplingRate: 0.25, Schema: modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeNumber}}}})
		b.send(2, 400)
		for i := range 100 {
			b.produce(int32(i%2), fmt.Sprintf(`{"kind":"label","model":"m","version":"1","id":"p-%d","label":%d}`, i, i%2))
		}
		o := b.options("a")
		o.Salt = modelwatch.Salt{1, 2, 3}
		r := b.start(o)
		b.await(500)
		r.stop()
		kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
		want := 0
		for i := range 400 {
			id := fmt.Sprintf("p-%d", i)
			keep := modelwatch.Rank(o.Salt, []byte(id)) < modelwatch.RankLimit(0.25)
			if keep {
				want++
			}
			if (kept[id] == 1) != keep {
				t.Errorf("%s has %d rows, its rank says %v", id, kept[id], keep)
			}
		}
		if labels := keptIDs(b.catalog, b.archive, modelwatch.KindLabel); len(labels) != 100 {
			t.Errorf("%d labels are kept of 100", len(labels))
		}
		var seen, rows int64
		for _, c := range b.catalog.ledger() {
			for _, v := range c.Volumes {
				if v.Kind == modelwatch.KindPrediction {
					seen += v.Seen
					rows += v.Kept
				}
			}
			for _, f := range c.Files {
				if rate := map[modelwatch.Kind]float64{modelwatch.KindPrediction: 0.25, modelwatch.KindLabel: 1}[f.Kind]; f.SamplingRate != rate {
					t.Errorf("%s file has rate %v", f.Kind, f.SamplingRate)
				}
			}
		}
		if seen != 400 || rows != int64(want) {
			t.Errorf("volumes say %d seen, %d kept; want 400, %d", seen, rows, want)
		}
	})
}

// TestRegistration: a version is known from its traffic, then registered with
// other types. The change is followed, and files of both schemas are kept apart.
func TestRegistration(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.SchemaAge = 5 * time.Second
		r := b.start(o)
		b.send(1, 5)
		b.await(5)
		if s := b.catalog.version("m", "1").Schema; len(s.Features) != 1 || s.Features[0].Type != modelwatch.TypeNumber {
			t.Errorf("schema from traffic: %+v", s)
		}
		b.catalog.put(modelwatch.Version{Model: "m", Name: "1", Schema: modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeCategory}}}})
		time.Sleep(6 * time.Second) // of the bubble's clock
		b.send(1, 5)
		b.await(10)
		b.produce(0, `{"kind":"prediction","model":"m","version":"1","id":"x","features":{"n":"text","new":1}}`)
		b.await(11)
		r.stop()
		types := map[modelwatch.FeatureType]int{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				chunk := b.archive.chunk(f.Key)
				types[chunk.Column("n").Type] += chunk.Rows
				if extra := cell(chunk, "_extra", 0); cell(chunk, "_id", 0) == "x" && extra != `{"features":{"new":1}}` {
					t.Errorf("_extra is %s", extra)
				}
			}
		}
		if types[modelwatch.TypeNumber] != 5 || types[modelwatch.TypeCategory] != 6 {
			t.Errorf("rows by type of n: %v", types)
		}
	})
}

// TestGrowthRace: two consumers find different columns of one version at a time.
func TestGrowthRace(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		first, second := b.start(b.options("a")), b.start(b.options("b"))
		for first.Stats().Partitions != 1 || second.Stats().Partitions != 1 {
			time.Sleep(time.Second) // of the bubble's clock
		}
		for i := range 20 {
			b.produce(0, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"a-%d","features":{"a%d":1,"both":1}}`, i, i))
			b.produce(1, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"b-%d","features":{"b%d":"x","both":"x"}}`, i, i))
		}
		b.await(40)
		first.stop()
		second.stop()
		if n := len(b.catalog.version("m", "1").Schema.Features); n != 41 {
			t.Errorf("%d features, want 41", n)
		}
		types := map[modelwatch.FeatureType]bool{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				types[b.archive.chunk(f.Key).Column("both").Type] = true
			}
		}
		if len(types) != 1 {
			t.Errorf("the column that both found has the types %v", types)
		}
	})
}

// TestHours: rows go into files by the hour of their event.
func TestHours(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		now := testNow
		for i, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-48 * time.Hour)} {
			b.produce(0, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"%d","time":%q}`, i, at.Format(time.RFC3339)))
		}
		o := b.options("a")
		o.Now = func() time.Time { return now }
		r := b.start(o)
		b.await(4)
		r.stop()
		rows := map[time.Duration]int64{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				if f.MinTime.Truncate(time.Hour) != f.MaxTime.Truncate(time.Hour) {
					t.Errorf("file of %s to %s", f.MinTime, f.MaxTime)
				}
				rows[now.Truncate(time.Hour).Sub(f.MinTime.Truncate(time.Hour))] += f.Rows
			}
		}
		if want := map[time.Duration]int64{0: 1, time.Hour: 2, 48 * time.Hour: 1}; !maps.Equal(rows, want) {
			t.Errorf("rows by hour ago: %v, want %v", rows, want)
		}
	})
}

// TestTooLargeBatch: a batch that decompresses to more than memory is passed over.
func TestTooLargeBatch(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		b.send(1, 3)
		big := b.client(kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(64<<20), kgo.MaxBufferedBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
		defer big.Close()
		if err := big.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: make([]byte, 60<<20)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		b.send(1, 3)
		o := b.options("a")
		o.Client = append(o.Client, kgo.MaxDecompressBatchBytes(32<<20))
		r := b.start(o)
		b.await(7)
		r.stop()
		letters := []modelwatch.DeadLetter{}
		for _, c := range b.catalog.ledger() {
			letters = append(letters, c.DeadLetters...)
		}
		if len(letters) != 1 || letters[0].Reason != modelwatch.DeadTooLarge || letters[0].Offset != 3 {
			t.Errorf("dead letters: %+v", letters)
		}
		if next, err := checkTiling(b.catalog.ledger()); err != nil || next[b.partitionZero()] != 7 {
			t.Error(next, err)
		}
	})
}

// TestCondemned: garbage collection has given up on the objects of a slow flush.
func TestCondemned(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		var once sync.Once
		o.Hooks.At = func(point string) error {
			if point == PointUploaded {
				once.Do(func() {
					b.catalog.mu.Lock()
					defer b.catalog.mu.Unlock()
					for k := range b.catalog.intents {
						b.catalog.intents[k] = "dead"
					}
				})
			}
			return nil
		}
		b.send(1, 10)
		r := b.start(o)
		b.await(10)
		r.stop()
		b.exactlyOnce()
		if n := r.metric("flushes_total", "fenced"); n != 1 {
			t.Errorf("%v flushes were fenced, want 1", n)
		}
	})
}

// TestNewPartitions: partitions are added to the topic.
func TestNewPartitions(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
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
	})
}

// TestLateTopic: a topic is made after the consumer was started.
func TestLateTopic(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
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
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Sources: []Source{{Topic: "a", Format: "avro"}, {Topic: "a"}, {}}, DefaultRate: 2, FlushBytes: 10, MemoryBytes: 15,
		Catalog: newFakeCatalog(), Archive: newFakeArchive(), FileKey: fakeKey,
	})
	var e *modelwatch.Error
	if !errors.As(err, &e) || e.Code != modelwatch.CodeInvalid {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`sources[0].format: format "avro" is not known; known: modelwatch`, `sources[1].topic: topic "a" is named twice`, `sources[2].topic: it is empty`,
		`group: it is empty`, `owner: it is empty`, `sampling_rate: it is 2`, `memory: it is 15 bytes`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
