package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/simulate"
)

// A backlog is what one iteration works off: wide events of several models, in turn,
// spread over the partitions of a topic.
type backlog struct {
	events, partitions, models int
}

// wideEvents is the backlog of BenchmarkIngestWide: the claim is made for ten million,
// whose topic takes about 6 GB of disk.
var wideEvents = flag.Int("wide.events", 10_000_000, "events of BenchmarkIngestWide") //nolint:gochecknoglobals // a flag

// brokersEvents is the backlog of BenchmarkIngestBrokers.
var brokersEvents = flag.Int("brokers.events", 2_000_000, "events of BenchmarkIngestBrokers") //nolint:gochecknoglobals // a flag

// BenchmarkIngest works off a backlog of 1.3 KB events with 50 features in a
// real Kafka, as one ingest process, into real S3 and PostgreSQL on the same
// machine: all kept, and a sample of them. CPU is that of modelwatch alone, from
// its start; events are those that were read, kept or not.
func BenchmarkIngest(b *testing.B) {
	f := backlog{events: 1_000_000, partitions: 8, models: 1}.setup(b)
	for _, rate := range []float64{1, 0.1} {
		b.Run(fmt.Sprintf("sample=%g%%", 100*rate), func(b *testing.B) { f.benchmark(b, rate) })
	}
}

// BenchmarkIngestWide is BenchmarkIngest with many partitions and models, for the
// memory that they take.
func BenchmarkIngestWide(b *testing.B) {
	backlog{events: *wideEvents, partitions: 64, models: 20}.setup(b).benchmark(b, 1)
}

// BenchmarkIngestBrokers is BenchmarkIngestWide on three brokers. Each is asked for
// records at the same time, so that more answers are in memory.
func BenchmarkIngestBrokers(b *testing.B) {
	kafka := testserver.NewKafkaCluster(b).Unreplicated()
	backlog{events: *brokersEvents, partitions: 64, models: 20}.on(b, kafka).benchmark(b, 1)
}

func (f filled) benchmark(b *testing.B, rate float64) {
	for b.Loop() {
		wall, u := f.ingest(b, rate)
		f.report(b, wall, u)
		b.ReportMetric(float64(f.bytes)/float64(f.events), "B/event")
	}
}

// report tells how fast a backlog was worked off.
func (l backlog) report(b *testing.B, wall time.Duration, u usage) {
	b.ReportMetric(float64(l.events)/u.cpu.Seconds(), "events/CPU-s")
	b.ReportMetric(float64(l.events)/wall.Seconds(), "events/s")
	b.ReportMetric(float64(u.peakBytes)/megabyte, "peak-MB")
}

// filled is a backlog that stands in a topic, and the servers around it.
type filled struct {
	backlog
	kafka    *testserver.KafkaServer
	s3       *testserver.S3Server
	postgres *testserver.PostgresServer
	topic    string
	bytes    int64 // of the records' values
}

func (l backlog) setup(b *testing.B) filled {
	b.Helper()
	return l.on(b, testserver.Kafka(b))
}

func (l backlog) on(b *testing.B, kafka *testserver.KafkaServer) filled {
	b.Helper()
	f := filled{backlog: l, kafka: kafka, s3: testserver.S3(b), postgres: testserver.Postgres(b)}
	f.topic = f.kafka.Topic(b, int32(l.partitions))
	b.Cleanup(func() { // of the broker's disk
		if _, err := kadm.NewClient(f.kafka.Client(b)).DeleteTopics(context.Background(), f.topic); err != nil {
			b.Error(err)
		}
	})
	f.bytes = l.fill(b, f.kafka, f.topic)
	return f
}

// ingest works the backlog off into a catalog and a bucket of their own, and keeps a
// sample of that rate.
func (f filled) ingest(b *testing.B, rate float64) (time.Duration, usage) {
	b.Helper()
	dsn, bucket := f.postgres.NewDatabase(b), f.s3.Bucket(b)
	config := filepath.Join(b.TempDir(), "modelwatch.yaml")
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
catalog: {dsn: %q}
archive: {uri: "s3://%s", endpoint: %q, region: %s, path_style: true, access_key: %s, secret_key: %s}
kafka: {brokers: [%q], group: %q, sources: [{topic: %q, format: modelwatch}]}
ingest: {flush_age: 2s}
sampling: {rate: %g}
`, dsn, bucket, f.s3.Endpoint, f.s3.Region, f.s3.AccessKey, f.s3.SecretKey, f.kafka.Brokers[0], "bench-"+bucket, f.topic, rate)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return f.workOff(b, config, dsn, rate)
}

func (l backlog) model(i int) string {
	if l.models == 1 {
		return simulate.WideModel
	}
	return fmt.Sprintf("%s_%02d", simulate.WideModel, i)
}

// fill produces the backlog and returns its size in bytes.
func (l backlog) fill(b *testing.B, kafka *testserver.KafkaServer, topic string) int64 {
	b.Helper()
	client := kafka.Client(b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	models := make([]*simulate.Wide, l.models)
	for i := range models {
		models[i] = simulate.NewWide(simulate.WideOptions{
			Model: l.model(i), Features: 50, Seed: uint64(1 + i), Start: time.Now().Add(-time.Hour), EventsPerMinute: 60_000 / l.models,
		})
	}
	var bytes int64
	failed := make(chan error, 1)
	for i := range l.events {
		value := models[i%l.models].Next().Value
		bytes += int64(len(value))
		client.Produce(b.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	return bytes
}

// workOff runs an ingest process until every event is registered.
func (l backlog) workOff(b *testing.B, config, dsn string, rate float64) (time.Duration, usage) {
	b.Helper()
	cmd := exec.Command(binary(b), "serve", "--config", config, "--roles", "ingest", "--log-format", "text")
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	counts, err := catalog.Open(b.Context(), dsn, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		b.Fatal(err)
	}
	defer counts.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if most := 10*time.Minute + time.Duration(l.events)*100*time.Microsecond; time.Since(start) > most {
			b.Fatalf("the backlog was not worked off within %s", most)
		}
		seen, kept := l.registered(b, counts)
		if seen < int64(l.events) {
			continue
		}
		if share := float64(kept) / float64(l.events); math.Abs(share-rate) > rate/20 || rate == 1 && share < 1 {
			b.Errorf("%g of the events were kept, want %g", share, rate)
		}
		break
	}
	return time.Since(start), running(b, cmd.Process.Pid)
}

// registered returns how many events commits have counted, and how many they have kept.
func (l backlog) registered(b *testing.B, counts *catalog.Catalog) (seen, kept int64) {
	for i := range l.models {
		volumes, err := counts.Volumes(b.Context(), l.model(i), modelwatch.Window{Start: time.Unix(0, 0), End: time.Now().AddDate(1, 0, 0)})
		if err != nil {
			return 0, 0 // not migrated yet
		}
		for _, v := range volumes {
			seen, kept = seen+v.Seen, kept+v.Kept
		}
	}
	return seen, kept
}
