//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	home, err := cached("kafka-" + KafkaVersion)
	if err != nil {
		return nil, err
	}
	if _, err := cached("kafka-"+KafkaVersion, "made-with"); err != nil { // written last
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	controller, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, guard, err := newScratch("kafka")
	if err != nil {
		return nil, err
	}
	k := &KafkaServer{Brokers: []string{address(port)}}
	k.process = &process{
		name: "Kafka", dir: dir, guard: guard, graceful: syscall.SIGTERM, quick: syscall.SIGKILL,
		command: func() *exec.Cmd { return kafkaCommand(home, dir) },
		ready:   k.ready,
	}
	err = prepareKafka(home, dir, port, controller, listen)
	if err == nil {
		err = k.process.start()
	}
	if err != nil {
		return nil, errors.Join(err, guard.close())
	}
	return k, nil
}

// prepareKafka writes the settings and copies the data folder that set-up
// formatted: formatting takes longer than the start itself.
func prepareKafka(home, dir string, port, controller int, listen func(dir string, settings map[string]string) error) error {
	data := filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join(home, "data"))); err != nil {
		return fmt.Errorf("copy formatted data: %w", err)
	}
	settings := KafkaSettings()
	settings["listeners"] = fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s", address(port), address(controller))
	settings["advertised.listeners"] = "PLAINTEXT://" + address(port)
	settings["controller.quorum.voters"] = "1@" + address(controller)
	settings["log.dirs"] = data
	// After a crash the controller admits the broker again once its session has
	// run out, nine seconds by default.
	settings["broker.session.timeout.ms"] = "3000"
	settings["broker.heartbeat.interval.ms"] = "500"
	if listen != nil {
		if err := listen(dir, settings); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s=%s\n", key, settings[key])
	}
	if err := os.WriteFile(filepath.Join(dir, "server.properties"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

func kafkaCommand(home, dir string) *exec.Cmd {
	java := "java"
	if jdk := os.Getenv("JAVA_HOME"); jdk != "" {
		java = filepath.Join(jdk, "bin", "java")
	}
	// The class archive holds only for exactly the class path that it was made
	// with: set-up sorts the jars in the same way.
	jars, _ := filepath.Glob(filepath.Join(home, "libs", "*.jar"))
	slices.Sort(jars)
	cmd := exec.Command(java,
		"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
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
	if len(metadata.Brokers) == 0 {
		return errors.New("the broker is not registered yet")
	}
	return nil
}
