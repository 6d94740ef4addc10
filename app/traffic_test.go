package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/simulate"
)

// stoppingClock lets some events pass and then ends the run while it waits for the next.
type stoppingClock struct {
	left int
	stop context.CancelFunc
}

func (c *stoppingClock) Now() time.Time { return time.Unix(0, 0) }

func (c *stoppingClock) Until(time.Time) time.Duration {
	if c.left--; c.left < 0 {
		c.stop()
		return time.Hour
	}
	return 0
}

func TestProducerKeepsThePositionAfterTheLastEventSent(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, devTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := newProducer(cluster.ListenAddrs())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const events = 50
	ctx, stop := context.WithCancel(t.Context())
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var kept simulate.Position
	p := &producer{
		client: client, topic: devTopic, traffic: newDemoTraffic(start), clock: &stoppingClock{left: events, stop: stop},
		save: func(_ context.Context, at simulate.Position) error { kept = at; return nil },
	}
	if err := p.run(ctx); err != nil {
		t.Fatal(err)
	}
	again := newDemoTraffic(start)
	for range events {
		again.Next()
	}
	if diff := cmp.Diff(again.Position(), kept); diff != "" || p.sent.Load() != events {
		t.Errorf("%d events sent, want %d; position (-want +kept):\n%s", p.sent.Load(), events, diff)
	}
}

func TestProducerReportsWhatDidNotArrive(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"), kgo.RecordDeliveryTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p := &producer{
		client: client, topic: devTopic, traffic: newDemoTraffic(time.Unix(0, 0)), clock: &stoppingClock{left: 1 << 30},
		save: func(context.Context, simulate.Position) error {
			t.Error("the position of events that did not arrive was kept")
			return nil
		},
	}
	if err := p.run(t.Context()); modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if n := p.sent.Load(); n != 0 {
		t.Errorf("%d events are counted as sent", n)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	err := errors.Join(errors.New("reach the database: refused"), errors.New("refused"), errors.New("timed out"))
	if got, want := oneLine(err), "reach the database: refused; timed out"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
