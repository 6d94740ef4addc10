//go:build unix

package testserver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

func produce(t *testing.T, client *kgo.Client, topic, value string) {
	t.Helper()
	if err := client.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// consume returns the values of a topic, once there are n.
func consume(t *testing.T, client *kgo.Client, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		fetches := client.PollFetches(within(t))
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume: %v", err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestKafka(t *testing.T) {
	t.Parallel()
	k := testserver.Kafka(t)
	topic := k.Topic(t, 1)
	produce(t, k.Client(t), topic, "one")
	got := consume(t, k.Client(t, kgo.ConsumeTopics(topic)), 1)
	if got[0] != "one" {
		t.Errorf("consumed %q, want %q", got, "one")
	}
}

func TestKafkaKeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testserver.KafkaServer){
		"stopped": func(k *testserver.KafkaServer) { k.Stop() },
		"killed":  func(k *testserver.KafkaServer) { k.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := testserver.NewKafka(t)
			topic := k.Topic(t, 1)
			produce(t, k.Client(t), topic, "before")
			end(k)
			if err := k.Client(t, kgo.DialTimeout(time.Second)).Ping(short(t)); err == nil {
				t.Error("the broker answers while it is down")
			}
			k.Start()
			produce(t, k.Client(t), topic, "after")
			got := consume(t, k.Client(t, kgo.ConsumeTopics(topic)), 2)
			if got[0] != "before" || got[1] != "after" {
				t.Errorf("consumed %q, want before and after", got)
			}
		})
	}
}

func TestKafkaPause(t *testing.T) {
	t.Parallel()
	k := testserver.NewKafka(t)
	client, ctx := k.Client(t), within(t)
	k.Pause()
	pinged := make(chan error, 1)
	go func() { pinged <- client.Ping(ctx) }()
	select {
	case err := <-pinged:
		t.Errorf("the broker answers while it is paused: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	k.Resume()
	if err := <-pinged; err != nil {
		t.Errorf("the broker does not answer after a pause: %v", err)
	}
}

func TestKafkaCluster(t *testing.T) {
	t.Parallel()
	c := testserver.NewKafkaCluster(t)
	topic := c.Topic(t, 3)
	client := c.Client(t)
	produce(t, client, topic, "all")
	for _, n := range c.Nodes {
		if led := c.Led(t, n, topic); led != 1 {
			t.Errorf("a broker leads %d partitions, want 1", led)
		}
	}
	away := c.Nodes[1]
	away.Kill()
	c.AwaitWithout(t, away)
	produce(t, client, topic, "two")
	away.Start()
	c.AwaitWhole(t)
	if led := c.Led(t, away, topic); led != 1 {
		t.Errorf("the broker that was away leads %d partitions, want 1", led)
	}
	got := consume(t, c.Client(t, kgo.ConsumeTopics(topic)), 2)
	if slices.Sort(got); got[0] != "all" || got[1] != "two" {
		t.Errorf("consumed %q, want all and two", got)
	}
}
