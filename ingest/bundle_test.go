package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

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
	traffic  []sentRecord // of the mix
	started  []*running
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
		defer b.end()
		f(t, b)
	})
}

// end ends the consumers that a test which has failed leaves behind.
func (b *testBundle) end() {
	for _, r := range b.started {
		r.cancel()
		<-r.done
	}
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
	b.started = append(b.started, r)
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
