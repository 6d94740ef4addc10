//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	clusterNodes = 3
	// clusterHeap does for some thousand events a second: about 250 MB a node.
	clusterHeap = "-Xmx160m"
)

// KafkaCluster is three Apache Kafka brokers, each a controller too. Two of them must
// have a record before it is acknowledged, so one may be away.
type KafkaCluster struct {
	Brokers []string       // bootstrap addresses
	Nodes   []*KafkaServer // each can be stopped, killed, paused and started again
	client  *kgo.Client
	created []string // topics
}

// NewKafkaCluster starts a cluster for this test alone.
func NewKafkaCluster(tb testing.TB) *KafkaCluster {
	tb.Helper()
	c, err := attempt(tryKafkaCluster)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.end(); err != nil {
			tb.Error(err)
		}
	})
	for _, n := range c.Nodes {
		n.owner = tb
	}
	c.client = c.Client(tb)
	return c
}

func tryKafkaCluster() (*KafkaCluster, error) {
	c := &KafkaCluster{}
	var nodes []kafkaNode
	var voters []string
	for i := range clusterNodes {
		n, err := newKafkaNode(i + 1)
		if err != nil {
			return nil, err
		}
		nodes, voters = append(nodes, n), append(voters, n.voter())
	}
	for _, n := range nodes {
		k, err := n.prepare(clusterHeap, func(_ string, settings map[string]string) error {
			settings["controller.quorum.voters"] = strings.Join(voters, ",")
			replicate(settings)
			return nil
		})
		if err != nil {
			return nil, errors.Join(err, c.end())
		}
		c.Nodes, c.Brokers = append(c.Nodes, k), append(c.Brokers, k.Brokers...)
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.end())
	}
	return c, nil
}

// replicate has everything on three brokers, of which one may be away.
func replicate(settings map[string]string) {
	for key, value := range map[string]string{
		"default.replication.factor":               "3",
		"min.insync.replicas":                      "2",
		"offsets.topic.replication.factor":         "3",
		"transaction.state.log.replication.factor": "3",
		"transaction.state.log.min.isr":            "2",
		"log.cleaner.dedupe.buffer.size":           "4194304", // 128 MB of the heap by default
	} {
		settings[key] = value
	}
}

// start starts all nodes at once: none is ready without a second one.
func (c *KafkaCluster) start() error {
	failed := make([]error, len(c.Nodes))
	var all sync.WaitGroup
	for i, n := range c.Nodes {
		all.Go(func() { failed[i] = n.process.start() })
	}
	all.Wait()
	return errors.Join(failed...)
}

func (c *KafkaCluster) end() error {
	var failed []error
	for _, n := range c.Nodes {
		failed = append(failed, n.process.stop(n.process.quick), n.process.guard.close())
	}
	return errors.Join(failed...)
}

// Client returns a client of the cluster that is closed with the test.
func (c *KafkaCluster) Client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	return c.Unreplicated().Client(tb, opts...)
}

// Unreplicated is the cluster for those who want a topic that is spread over the brokers
// and nowhere twice, as a large backlog. It can only be used, not stopped.
func (c *KafkaCluster) Unreplicated() *KafkaServer { return &KafkaServer{Brokers: c.Brokers} }

// Topic creates a topic with a name of its own, each of whose partitions is on all
// brokers, and returns the name.
func (c *KafkaCluster) Topic(tb testing.TB, partitions int32) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	topic := "test." + uuid.NewString()
	if _, err := kadm.NewClient(c.client).CreateTopic(ctx, partitions, clusterNodes, nil, topic); err != nil {
		tb.Fatalf("create topic %s: %v", topic, err)
	}
	c.created = append(c.created, topic)
	c.AwaitWhole(tb)
	return topic
}

// AwaitWhole waits until every replica of every partition, those of internal topics
// included, is in sync, and the first of them leads, which spreads the leaders over the
// brokers.
func (c *KafkaCluster) AwaitWhole(tb testing.TB) {
	tb.Helper()
	inSync := func(p kmsg.MetadataResponseTopicPartition) bool { return len(p.ISR) == len(p.Replicas) }
	whole := func(p kmsg.MetadataResponseTopicPartition) bool { return inSync(p) && p.Leader == p.Replicas[0] }
	c.await(tb, func(ctx context.Context) error {
		err := c.all(ctx, whole)
		if err == nil || c.all(ctx, inSync) != nil {
			return err
		}
		return errors.Join(err, c.elect(ctx))
	})
}

// elect has the first replicas lead.
func (c *KafkaCluster) elect(ctx context.Context) error {
	elected, err := kadm.NewClient(c.client).ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
	for _, partitions := range elected {
		for _, p := range partitions {
			if !errors.Is(p.Err, kerr.ElectionNotNeeded) {
				err = errors.Join(err, p.Err)
			}
		}
	}
	return err
}

// Led is how many partitions of a topic a node leads.
func (c *KafkaCluster) Led(tb testing.TB, node *KafkaServer, topic string) (n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	topics, err := c.topics(ctx, node)
	if err != nil {
		tb.Fatalf("ask for topics: %v", err)
	}
	for _, t := range topics {
		for _, p := range t.Partitions {
			if *t.Topic == topic && p.Leader == node.id {
				n++
			}
		}
	}
	return n
}

// AwaitWithout waits until the others lead every partition, and know that the node
// is not in sync.
func (c *KafkaCluster) AwaitWithout(tb testing.TB, node *KafkaServer) {
	tb.Helper()
	away := func(p kmsg.MetadataResponseTopicPartition) bool {
		return p.Leader >= 0 && p.Leader != node.id && !slices.Contains(p.ISR, node.id)
	}
	c.await(tb, func(ctx context.Context) error { return c.all(ctx, away) })
}

// await tries something until it succeeds.
func (c *KafkaCluster) await(tb testing.TB, try func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("the cluster was not as expected after %s: %v", startTimeout, err)
		case <-tick.C:
		}
	}
}

// all checks the partitions in the eyes of each broker that runs: one may know later
// than another.
func (c *KafkaCluster) all(ctx context.Context, good func(kmsg.MetadataResponseTopicPartition) bool) error {
	for _, n := range c.Nodes {
		if n.process.pid == 0 {
			continue
		}
		topics, err := c.topics(ctx, n)
		if err != nil {
			return err
		}
		for _, name := range c.created {
			if !slices.ContainsFunc(topics, func(t kmsg.MetadataResponseTopic) bool { return *t.Topic == name }) {
				return fmt.Errorf("broker %d does not know the topic %s", n.id, name)
			}
		}
		for _, t := range topics {
			for _, p := range t.Partitions {
				if !good(p) {
					return fmt.Errorf("broker %d has partition %d of %s led by %d, in sync are %v of %v", n.id, p.Partition, *t.Topic, p.Leader, p.ISR, p.Replicas)
				}
			}
		}
	}
	return nil
}

// topics asks a broker for all topics, past the client's cache.
func (c *KafkaCluster) topics(ctx context.Context, node *KafkaServer) ([]kmsg.MetadataResponseTopic, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := c.client.Broker(int(node.id)).Request(ctx, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return nil, fmt.Errorf("ask broker %d for topics: %w", node.id, err)
	}
	return answer.(*kmsg.MetadataResponse).Topics, nil
}
