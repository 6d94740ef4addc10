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
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
)

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
		synctest.Wait() // until it has taken note
		b.send(2, 20)
		b.await(40)
		r.stop()
		b.exactlyOnce()
		if n := r.metric("dropped_records_total"); n != 20 {
			t.Errorf("%v records were dropped, want the 20 that were not flushed", n)
		}
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
