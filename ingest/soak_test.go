package ingest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/modelwatch/modelwatch"
)

// faultSplitBrain: two consumers both believe that they own all partitions, because
// each is in a Kafka group of its own. The catalog's cursor lets one through at a time.
func faultSplitBrain(t *testing.T, b *testBundle) {
	var twins []*running
	for _, name := range []string{"left", "right"} {
		o := b.options(name)
		o.Client = append(o.Client, kgo.ConsumerGroup(name))
		twins = append(twins, b.start(o))
	}
	for range 60 {
		b.send(3, 20)
		time.Sleep(time.Second) // of the bubble's clock
	}
	fenced := 0.0
	for _, twin := range twins {
		fenced += twin.metric("flushes_total", "fenced")
	}
	if fenced == 0 {
		t.Error("nobody was fenced")
	}
	twins[0].stop()
	b.await(b.sent)
	twins[1].stop()
	b.exactlyOnce()
}

// TestSoak does to some consumers whatever can happen, at random but by a seed.
func TestSoak(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			bubble(t, 5, func(t *testing.T, b *testBundle) {
				s := &soak{testBundle: b, random: rand.New(rand.NewPCG(seed, 1))}
				for range 60 {
					s.step()
				}
				s.calm()
				last := b.start(b.options("last"))
				b.await(b.sent)
				last.stop()
				b.exactlyOnce()
			})
		})
	}
}

type soak struct {
	*testBundle
	random  *rand.Rand
	crew    []*running
	started int
}

// step does one thing.
func (s *soak) step() {
	s.reap()
	switch s.random.IntN(10) {
	case 0, 1, 2:
		s.send(5, s.random.IntN(80))
	case 3, 4:
		if len(s.crew) < 4 {
			s.hire()
		}
	case 5:
		if len(s.crew) > 0 {
			s.crew[s.random.IntN(len(s.crew))].cancel()
		}
	case 6:
		s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.OffsetCommit}, Err: kerr.UnknownMemberID})
	case 7:
		s.disturb()
	case 8:
		s.outsider()
	case 9:
		s.cluster.ShufflePartitionLeaders()
	}
	time.Sleep(time.Duration(s.random.IntN(4000)) * time.Millisecond) // of the bubble's clock
}

// hire starts a consumer that may die at any point of a flush.
func (s *soak) hire() {
	o := s.options(fmt.Sprintf("crew-%d", s.started))
	s.started++
	point, in := Points()[s.random.IntN(len(Points()))], s.random.IntN(8)
	o.Hooks.At = func(at string) error {
		if at == point {
			if in--; in == 0 {
				return errors.New("power cut")
			}
		}
		return nil
	}
	s.crew = append(s.crew, s.start(o))
}

// disturb makes the next calls of a step fail, before or after they were done.
func (s *soak) disturb() {
	step := []string{"take", "intend", "commit", "ensure", "grow"}[s.random.IntN(5)]
	n, before := s.random.IntN(5), s.random.IntN(2) == 0
	fail := func(at string) error {
		if at == step && n > 0 {
			n--
			return modelwatch.Errorf(modelwatch.CodeUnavailable, "disturbed")
		}
		return nil
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	s.catalog.fail, s.catalog.after = nil, nil
	if before {
		s.catalog.fail = fail
	} else {
		s.catalog.after = fail
	}
}

// outsider takes partitions that are somebody else's.
func (s *soak) outsider() {
	if len(s.crew) == 0 {
		return
	}
	parts := s.partitions(s.crew[s.random.IntN(len(s.crew))])
	s.catalog.mu.Lock()
	s.catalog.fail, s.catalog.after = nil, nil
	s.catalog.mu.Unlock()
	if _, err := s.catalog.TakePartitions(s.t.Context(), "g", "outsider", parts); err != nil {
		s.t.Error(err)
	}
}

// reap forgets those who have ended.
func (s *soak) reap() {
	alive := s.crew[:0]
	for _, r := range s.crew {
		select {
		case <-r.done:
			if r.err != nil && !errors.Is(r.err, errKilled) {
				s.t.Errorf("run: %v", r.err)
			}
		default:
			alive = append(alive, r)
		}
	}
	s.crew = alive
}

// calm ends all disturbances and everybody.
func (s *soak) calm() {
	s.catalog.mu.Lock()
	s.catalog.fail, s.catalog.after = nil, nil
	s.catalog.mu.Unlock()
	for _, r := range s.crew {
		r.cancel()
		<-r.done
	}
	s.reap()
}
