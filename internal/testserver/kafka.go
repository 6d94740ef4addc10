//go:build unix

package testserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaServer is one Apache Kafka broker in KRaft mode.
type KafkaServer struct {
	server
	Brokers []string // bootstrap addresses
	id      int32    // of the broker in its cluster
}

// KafkaSettings are the broker's settings besides addresses and folders. The
// broker of docker-compose.yml has the same, so that tests speak of it too.
func KafkaSettings() map[string]string {
	return map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  "1",
		"controller.listener.names":                "CONTROLLER",
		"listener.security.protocol.map":           "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,HOST:PLAINTEXT",
		"inter.broker.listener.name":               "PLAINTEXT",
		"offsets.topic.replication.factor":         "1",
		"offsets.topic.num.partitions":             "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		"transaction.state.log.num.partitions":     "1",
		"group.initial.rebalance.delay.ms":         "0",
		"auto.create.topics.enable":                "false",
	}
}

// Kafka returns the broker that the tests of this process share.
func Kafka(tb testing.TB) *KafkaServer {
	tb.Helper()
	return common.kafka.get(tb, startKafka)
}

// NewKafka starts a broker for this test alone.
func NewKafka(tb testing.TB) *KafkaServer {
	tb.Helper()
	return own(tb, startKafka)
}

// Pause freezes the broker: connections stay open and nothing answers.
func (k *KafkaServer) Pause() {
	k.mine("Pause")
	k.process.signal(syscall.SIGSTOP)
}

// Resume ends Pause.
func (k *KafkaServer) Resume() {
	k.mine("Resume")
	k.process.signal(syscall.SIGCONT)
}

// Topic creates a topic with a name of its own and returns the name.
func (k *KafkaServer) Topic(tb testing.TB, partitions int32) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := k.Client(tb)
	topic := "test." + uuid.NewString()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		tb.Fatalf("create topic %s: %v", topic, err)
	}
	return topic
}

// Client returns a client of the broker that is closed with the test.
func (k *KafkaServer) Client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Brokers...)}, opts...)...)
	if err != nil {
		tb.Fatalf("make kafka client: %v", err)
	}
	tb.Cleanup(client.Close)
	return client
}

func startKafka() (*KafkaServer, error) {
	return attempt(func() (*KafkaServer, error) { return tryKafka(nil) })
}

// tryKafka starts a broker; listen, if it is not nil, adds to its settings.
func tryKafka(listen func(dir string, settings map[string]string) error) (*KafkaServer, error) {
	n, err := newKafkaNode(1)
	if err != nil {
		return nil, err
	}
	k, err := n.prepare("-Xmx512m", func(dir string, settings map[string]string) error {
		settings["controller.quorum.voters"] = n.voter()
		if listen == nil {
			return nil
		}
		return listen(dir, settings)
	})
	if err != nil {
		return nil, err
	}
	if err := k.process.start(); err != nil {
		return nil, errors.Join(err, k.process.guard.close())
	}
	return k, nil
}

// kafkaNode is a broker that is a controller too: its number and its ports.
type kafkaNode struct{ id, port, controller int }

func newKafkaNode(id int) (n kafkaNode, err error) {
	n.id = id
	if n.port, err = freePort(); err != nil {
		return n, err
	}
	n.controller, err = freePort()
	return n, err
}

// voter names the node among those that elect a controller.
func (n kafkaNode) voter() string { return fmt.Sprintf("%d@%s", n.id, address(n.controller)) }

// prepare makes the folder of a broker that is not started yet. change changes its
// settings; heap is java's option.
func (n kafkaNode) prepare(heap string, change func(dir string, settings map[string]string) error) (*KafkaServer, error) {
	home, err := cached("kafka-" + KafkaVersion)
	if err != nil {
		return nil, err
	}
	if _, err := cached("kafka-"+KafkaVersion, "made-with"); err != nil { // written last
		return nil, err
	}
	dir, guard, err := newScratch("kafka")
	if err != nil {
		return nil, err
	}
	settings := n.settings(filepath.Join(dir, "data"))
	if err := errors.Join(n.copyData(home, dir), change(dir, settings), writeSettings(dir, settings)); err != nil {
		return nil, errors.Join(err, guard.close())
	}
	k := &KafkaServer{Brokers: []string{address(n.port)}, id: int32(n.id)}
	k.process = &process{
		name: "Kafka", dir: dir, guard: guard, graceful: syscall.SIGTERM, quick: syscall.SIGKILL,
		command: func() *exec.Cmd { return kafkaCommand(home, dir, heap) },
		ready:   k.ready,
	}
	return k, nil
}

// copyData copies the data folder that set-up formatted, because formatting takes longer
// than the start itself. Each node has a number of its own, and so has its folder.
func (n kafkaNode) copyData(home, dir string) error {
	data := filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join(home, "data"))); err != nil {
		return fmt.Errorf("copy formatted data: %w", err)
	}
	name := filepath.Join(data, "meta.properties")
	properties, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read properties of the data: %w", err)
	}
	folder := uuid.New()
	lines := strings.Split(string(properties), "\n")
	for i, line := range lines {
		switch key, _, _ := strings.Cut(line, "="); key {
		case "node.id":
			lines[i] = fmt.Sprintf("node.id=%d", n.id)
		case "directory.id":
			lines[i] = "directory.id=" + base64.RawURLEncoding.EncodeToString(folder[:])
		}
	}
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		return fmt.Errorf("write properties of the data: %w", err)
	}
	return nil
}

func (n kafkaNode) settings(data string) map[string]string {
	settings := KafkaSettings()
	settings["node.id"] = strconv.Itoa(n.id)
	settings["listeners"] = fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s", address(n.port), address(n.controller))
	settings["advertised.listeners"] = "PLAINTEXT://" + address(n.port)
	settings["log.dirs"] = data
	// After a crash the controller admits the broker again once its session has
	// run out, nine seconds by default.
	settings["broker.session.timeout.ms"] = "3000"
	settings["broker.heartbeat.interval.ms"] = "500"
	return settings
}

func writeSettings(dir string, settings map[string]string) error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s=%s\n", key, settings[key])
	}
	if err := os.WriteFile(filepath.Join(dir, "server.properties"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

func kafkaCommand(home, dir, heap string) *exec.Cmd {
	java := "java"
	if jdk := os.Getenv("JAVA_HOME"); jdk != "" {
		java = filepath.Join(jdk, "bin", "java")
	}
	// The class archive holds only for exactly the class path that it was made
	// with: set-up sorts the jars in the same way.
	jars, _ := filepath.Glob(filepath.Join(home, "libs", "*.jar"))
	slices.Sort(jars)
	cmd := exec.Command(java,
		heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-XX:SharedArchiveFile="+filepath.Join(home, "kafka.jsa"),
		"-Dlog4j2.configurationFile="+filepath.Join(home, "log4j2.xml"),
		"-cp", strings.Join(jars, string(os.PathListSeparator)),
		"kafka.Kafka", filepath.Join(dir, "server.properties"))
	cmd.Env = environment()
	return cmd
}

// ready asks for the brokers: one is listed once it takes part in the cluster,
// and only then can topics be created.
func (k *KafkaServer) ready(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.RequestRetries(0), kgo.DialTimeout(time.Second))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	metadata, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("ask for brokers: %w", err)
	}
	if !slices.ContainsFunc(metadata.Brokers, func(b kgo.BrokerMetadata) bool { return b.NodeID == k.id }) {
		return errors.New("the broker is not registered yet")
	}
	return nil
}
