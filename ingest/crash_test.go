package ingest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
)

// faultGroup: two consumers share the partitions; one is killed; the other takes
// over what it held.
func faultGroup(t *testing.T, b *testBundle) {
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
}

// faultRebalanceStorm: members come and go while records do.
func faultRebalanceStorm(group func(member int) []kgo.Opt) func(*testing.T, *testBundle) {
	return func(_ *testing.T, b *testBundle) {
		member := func(i int) *running {
			o := b.options(fmt.Sprintf("member-%d", i))
			o.Client = append(o.Client, group(i)...)
			return b.start(o)
		}
		stay := member(0)
		for i := range 4 {
			b.send(6, 30)
			guest := member(i + 1)
			time.Sleep(time.Duration(1+i%4) * time.Second) // of the bubble's clock
			b.send(6, 30)
			guest.stop()
		}
		b.await(b.sent)
		stay.stop()
		b.exactlyOnce()
	}
}

// faultFenced: an outsider takes a partition from under the consumer, which drops
// what it holds, takes it back and goes on.
func faultFenced(t *testing.T, b *testBundle) {
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
}

func (b *testBundle) partitions(r *running) (parts []modelwatch.Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.parts {
		parts = append(parts, a.Partition)
	}
	return parts
}

// faultLostPartitions: the group throws the consumer out and takes it in again.
func faultLostPartitions(t *testing.T, b *testBundle) {
	o := b.options("a")
	o.FlushAge = 20 * time.Second
	r := b.start(o)
	b.send(2, 20)
	r.awaitRead(20)
	lost := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID})
	if err := lost.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until it has taken note
	b.send(2, 20)
	b.await(40)
	r.stop()
	b.exactlyOnce()
	if n := r.metric("dropped_records_total"); n != 20 {
		t.Errorf("%v records were dropped, want the 20 that were not flushed", n)
	}
}

// faultSlowRevoke: a flush that takes longer than the group may wait is given up,
// and the next owner reads it again.
func faultSlowRevoke(t *testing.T, b *testBundle) {
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
}

// faultCondemned: garbage collection has given up on the objects of a slow flush.
func faultCondemned(t *testing.T, b *testBundle) {
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
}
