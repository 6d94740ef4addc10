package bench

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/simulate"
)

// ingestEvents is the backlog that one iteration works off.
const ingestEvents = 1_000_000

// BenchmarkIngest works off a backlog of 1.3 KB events with 50 features in a
// real Kafka, as one ingest process, into real S3 and PostgreSQL on the same
// machine. CPU is that of modelwatch alone.
func BenchmarkIngest(b *testing.B) {
	kafka, s3, postgres := testserver.Kafka(b), testserver.S3(b), testserver.Postgres(b)
	topic := kafka.Topic(b, 8)
	size := fill(b, kafka, topic)
	for b.Loop() {
		dsn, bucket := postgres.NewDatabase(b), s3.Bucket(b)
		config := filepath.Join(b.TempDir(), "modelwatch.yaml")
		text := fmt.Sprintf(`
listen: 127.0.0.1:0
catalog: {dsn: %q}
archive: {uri: "s3://%s", endpoint: %q, region: %s, path_style: true, access_key: %s, secret_key: %s}
kafka: {brokers: [%q], group: %q, sources: [{topic: %q, format: modelwatch}]}
ingest: {flush_age: 2s}
`, dsn, bucket, s3.Endpoint, s3.Region, s3.AccessKey, s3.SecretKey, kafka.Brokers[0], "bench-"+bucket, topic)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		wall, u := workOff(b, config, dsn)
		b.ReportMetric(ingestEvents/u.cpu.Seconds(), "events/CPU-s")
		b.ReportMetric(ingestEvents/wall.Seconds(), "events/s")
		b.ReportMetric(float64(u.peakBytes)/megabyte, "peak-MB")
		b.ReportMetric(float64(size)/ingestEvents, "B/event")
	}
}

// fill produces the backlog and returns its size in bytes.
func fill(b *testing.B, kafka *testserver.KafkaServer, topic string) int64 {
	b.Helper()
	client := kafka.Client(b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	wide := simulate.NewWide(simulate.WideOptions{Features: 50, Seed: 1, Start: time.Now().Add(-time.Hour)})
	var bytes int64
	failed := make(chan error, 1)
	for range ingestEvents {
		value := wide.Next().Value
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
func workOff(b *testing.B, config, dsn string) (time.Duration, usage) {
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
		if time.Since(start) > 10*time.Minute {
			b.Fatal("the backlog was not worked off within 10 minutes")
		}
		if registered(b, counts) >= ingestEvents {
			break
		}
	}
	return time.Since(start), running(b, cmd.Process.Pid)
}

func registered(b *testing.B, counts *catalog.Catalog) int64 {
	volumes, err := counts.Volumes(b.Context(), simulate.WideModel, modelwatch.Window{Start: time.Unix(0, 0), End: time.Now().AddDate(1, 0, 0)})
	if err != nil {
		return 0 // not migrated yet
	}
	var sum int64
	for _, v := range volumes {
		sum += v.Kept
	}
	return sum
}
