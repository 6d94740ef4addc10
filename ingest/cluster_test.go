//go:build unix

package ingest_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// TestBrokersRestarted is an upgrade of a real cluster under traffic: each of three
// brokers in turn is stopped, one of them killed, and started again, while one consumer
// reads all the time and a second one comes and goes while a broker is away. Each
// prediction has one row in the end, and the ranges of each partition tile its log.
func TestBrokersRestarted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts three servers")
	}
	kafka := testserver.NewKafkaCluster(t)
	b := &bundle{t: t, topic: kafka.Topic(t, 6), client: faultClient(kafka.Brokers)}
	b.open([]kgo.Opt{kgo.SeedBrokers(kafka.Brokers...)}, "sqlite:"+t.TempDir()+"/catalog.db", archive.BucketConfig{URI: t.TempDir()})
	stays := b.member("stays")
	feed := b.startFeed()
	feed.flows()
	var comes func()
	for i, node := range kafka.Nodes {
		kafka.AwaitWhole(t) // the group's coordinator is a broker by now
		if led := kafka.Led(t, node, b.topic); led != 2 {
			t.Errorf("broker %d leads %d partitions, want 2", i+1, led)
		}
		if i == 1 {
			node.Kill()
		} else {
			node.Stop()
		}
		kafka.AwaitWithout(t, node)
		switch feed.flows(); i {
		case 1:
			comes = b.member("comes")
		case 2:
			comes()
		}
		feed.flows()
		node.Start()
		feed.flows()
	}
	kafka.AwaitWhole(t)
	sent := feed.stop()
	b.commits.await(t, sent)
	stays()
	b.exactly(sent)
}

// member is run of a consumer that must not fail. It ends with the test at the latest.
func (b *bundle) member(owner string) (stop func()) {
	b.t.Helper()
	end := sync.OnceValue(b.run(owner, ingest.Hooks{}))
	stop = func() {
		if err := end(); err != nil {
			b.t.Errorf("%s: %v", owner, err)
		}
	}
	b.t.Cleanup(stop)
	return stop
}

// feed is traffic that goes on whatever happens to the brokers.
type feed struct {
	*bundle
	acknowledged atomic.Int64
	quit         chan struct{}
	end          func() error
}

// startFeed sends some hundred predictions a second, as far as the brokers take them.
func (b *bundle) startFeed() *feed {
	f := &feed{bundle: b, quit: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- f.run() }()
	f.end = sync.OnceValue(func() error {
		close(f.quit)
		return <-done
	})
	b.t.Cleanup(func() { _ = f.end() }) // where the test ends early
	return f
}

func (f *feed) run() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-f.quit:
			return nil
		case <-tick.C:
		}
		var records []*kgo.Record
		for range 12 {
			records = append(records, kgo.StringRecord(realEvent(fmt.Sprint("p-", n), 200)))
			n++
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		err := f.producer.ProduceSync(ctx, records...).FirstErr()
		cancel()
		if err != nil {
			return fmt.Errorf("produce: %w", err)
		}
		f.acknowledged.Add(int64(len(records)))
	}
}

// flows waits until what is sent from now on is archived.
func (f *feed) flows() {
	f.t.Helper()
	f.commits.await(f.t, int(f.acknowledged.Load())+200)
}

// stop ends the traffic and returns how many predictions were sent, of the ids p-0 on.
func (f *feed) stop() int {
	f.t.Helper()
	if err := f.end(); err != nil {
		f.t.Fatal(err)
	}
	return int(f.acknowledged.Load())
}

// exactly checks that each of so many predictions has one row and is one record of the
// topic, and that commits have accounted for all of each partition, and nothing twice.
func (b *bundle) exactly(sent int) {
	b.t.Helper()
	rows := b.rows("m", modelwatch.KindPrediction)
	for i := range sent {
		if rows[fmt.Sprint("p-", i)] == nil {
			b.t.Errorf("p-%d has no row", i)
		}
	}
	if len(rows) != sent || b.commits.accounts != sent {
		b.t.Errorf("%d rows, %d records are accounted for, %d were sent", len(rows), b.commits.accounts, sent)
	}
	ends, err := kadm.NewClient(b.producer).ListEndOffsets(b.t.Context(), b.topic)
	if err != nil {
		b.t.Fatal(err)
	}
	next := b.tiled()
	var records int64
	ends.Each(func(end kadm.ListedOffset) {
		if records += end.Offset; end.Err != nil || next[end.Partition] != end.Offset {
			b.t.Errorf("partition %d is committed up to %d of %d: %v", end.Partition, next[end.Partition], end.Offset, end.Err)
		}
	})
	if records != int64(sent) {
		b.t.Errorf("%d records stand in the topic, %d were sent", records, sent)
	}
	if gaps, err := b.catalog.Gaps(b.t.Context(), "g", 10); err != nil || len(gaps) > 0 {
		b.t.Errorf("gaps: %+v, %v", gaps, err)
	}
}

// tiled checks that the ranges of the commits follow each other without gap or
// overlap, and returns how far each partition's go.
func (b *bundle) tiled() map[int32]int64 {
	b.t.Helper()
	next := map[int32]int64{}
	ranges := slices.SortedStableFunc(slices.Values(b.commits.ranges), func(a, b modelwatch.Range) int { return cmp.Compare(a.From, b.From) })
	for _, r := range ranges {
		at, ok := next[r.Partition.Partition]
		if !ok {
			at = -1
		}
		if r.From != at || r.Skip != 0 {
			b.t.Errorf("partition %d: %d to %d, %d skipped, after %d", r.Partition.Partition, r.From, r.To, r.Skip, at)
		}
		next[r.Partition.Partition] = r.To
	}
	return next
}
