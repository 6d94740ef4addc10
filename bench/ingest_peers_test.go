package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

// reader is a program that works a backlog off.
type reader struct {
	name string
	run  func(*testing.B, filled) (usage, error)
	ours bool
}

// BenchmarkIngestPeers is BenchmarkIngest, all kept, beside what else one would use on the
// same topic. What each does with the records is in its name; CPU and memory are
// of its own process, from its start to the last record. A peer that cannot be
// had or fails is a row that says so.
func BenchmarkIngestPeers(b *testing.B) {
	f := backlog{events: 1_000_000, partitions: 8, models: 1}.setup(b)
	for _, r := range []reader{
		{"modelwatch, validated, Parquet to S3", readOurs, true},
		{"franz-go, counting bytes", consume("-count"), false},
		{"franz-go, encoding/json into a map", consume(), false},
		{"Kafka Connect, file sink, lines as they are", connectFile, false},
		{"Kafka Connect, Iceberg sink, Parquet to S3", connectIceberg, false},
	} {
		r.compare(b, f)
	}
}

func (r reader) compare(b *testing.B, f filled) {
	b.Helper()
	b.Run(title(r.name), func(b *testing.B) {
		row := comparison{work: fmt.Sprintf("%d events from Kafka", f.events), program: r.name, ours: r.ours}
		for b.Loop() {
			u, err := r.run(b, f)
			if err != nil {
				row.failure = lastLine(err.Error())
				comparisons = append(comparisons, &row)
				b.Skip(err)
			}
			record(b, u, row)
			f.report(b, u.wall, u)
		}
	})
}

func readOurs(b *testing.B, f filled) (usage, error) {
	wall, u := f.ingest(b, 1)
	u.wall = wall
	return u, nil
}

// consume runs the plain consumer of the folder peers.
func consume(flags ...string) func(*testing.B, filled) (usage, error) {
	return func(b *testing.B, f filled) (usage, error) {
		program := filepath.Join(b.TempDir(), "consume")
		if out, err := exec.Command("go", "build", "-o", program, "./peers/consume").CombinedOutput(); err != nil {
			return usage{}, fmt.Errorf("build: %w\n%s", err, out)
		}
		return tryMeasure(program, append([]string{"-broker", f.kafka.Brokers[0], "-topic", f.topic, "-records", strconv.Itoa(f.events)}, flags...)...)
	}
}

// connectOnce fetches Kafka Connect and its sinks.
var connectOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // once for the package
	cmd := exec.Command("../tools/peers/connect/setup")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("fetch kafka connect: %w\n%s", err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
})

// connectWorker are the settings of a worker: records are strings or JSON by
// converter. A task without records is called each time that offsets are flushed,
// by default once a minute: a sink would sit on the last ones of a backlog for so long.
const connectWorker = `bootstrap.servers=%s
listeners=http://127.0.0.1:%d
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=%s
value.converter.schemas.enable=false
offset.storage.file.filename=%s
plugin.path=%s
plugin.discovery=service_load
offset.flush.interval.ms=2000
consumer.auto.offset.reset=earliest
consumer.max.poll.records=5000
`

// connectFile lets two tasks append the lines to one file.
func connectFile(b *testing.B, f filled) (usage, error) {
	file := filepath.Join(b.TempDir(), "lines")
	sink := fmt.Sprintf("name=%s\nconnector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\ntasks.max=2\ntopics=%s\nfile=%s\n", filepath.Base(f.s3.Bucket(b)), f.topic, file)
	return connect(b, f, "file", "org.apache.kafka.connect.storage.StringConverter", sink, func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() == f.bytes+int64(f.events) // a line feed each
	})
}

const icebergSink = `name=%[1]s
connector.class=org.apache.iceberg.connect.IcebergSinkConnector
tasks.max=2
topics=%[2]s
iceberg.tables=bench.events
iceberg.tables.auto-create-enabled=true
iceberg.control.topic=%[3]s
iceberg.control.commit.interval-ms=10000
iceberg.kafka.bootstrap.servers=%[4]s
iceberg.catalog.type=jdbc
iceberg.catalog.uri=jdbc:sqlite:%[5]s
iceberg.catalog.warehouse=s3://%[1]s/warehouse
iceberg.catalog.io-impl=org.apache.iceberg.aws.s3.S3FileIO
iceberg.catalog.s3.endpoint=%[6]s
iceberg.catalog.s3.path-style-access=true
iceberg.catalog.s3.access-key-id=%[7]s
iceberg.catalog.s3.secret-access-key=%[8]s
iceberg.catalog.client.region=%[9]s
`

// connectIceberg commits every 10 s: what it takes is known to that.
func connectIceberg(b *testing.B, f filled) (usage, error) {
	bucket, control, database := f.s3.Bucket(b), f.kafka.Topic(b, 1), filepath.Join(b.TempDir(), "iceberg.db")
	sink := fmt.Sprintf(icebergSink, bucket, f.topic, control, f.kafka.Brokers[0], database, f.s3.Endpoint, f.s3.AccessKey, f.s3.SecretKey, f.s3.Region)
	catalog, err := sql.Open("sqlite", "file:"+database+"?mode=ro&_pragma=busy_timeout(1000)")
	if err != nil {
		return usage{}, err
	}
	defer catalog.Close()
	return connect(b, f, "iceberg", "org.apache.kafka.connect.json.JsonConverter", sink, func() bool {
		return icebergRecords(b.Context(), catalog, f.s3) >= int64(f.events)
	})
}

// icebergRecords is how many records the table holds; 0 while there is none.
func icebergRecords(ctx context.Context, catalog *sql.DB, server *testserver.S3Server) int64 {
	var location string
	if catalog.QueryRowContext(ctx, `SELECT metadata_location FROM iceberg_tables WHERE table_name = 'events'`).Scan(&location) != nil {
		return 0 // not made yet
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	object, err := server.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return 0
	}
	defer object.Body.Close()
	var metadata struct {
		Current   int64 `json:"current-snapshot-id"`
		Snapshots []struct {
			ID      int64             `json:"snapshot-id"`
			Summary map[string]string `json:"summary"`
		} `json:"snapshots"`
	}
	if text, err := io.ReadAll(object.Body); err != nil || json.Unmarshal(text, &metadata) != nil {
		return 0
	}
	for _, s := range metadata.Snapshots {
		if s.ID == metadata.Current {
			n, err := strconv.ParseInt(s.Summary["total-records"], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// connectTimeout bounds a worker that does not get on.
const connectTimeout = 5 * time.Minute

// connect runs a stand-alone worker until it is done.
func connect(b *testing.B, f filled, plugin, converter, sink string, done func() bool) (usage, error) {
	home, err := connectOnce()
	if err != nil {
		return usage{}, err
	}
	if _, err := os.Stat(filepath.Join(home, plugin)); err != nil {
		return usage{}, err
	}
	port, err := freePort()
	if err != nil {
		return usage{}, err
	}
	dir := b.TempDir()
	worker := fmt.Sprintf(connectWorker, f.kafka.Brokers[0], port, converter, filepath.Join(dir, "offsets"), filepath.Join(home, plugin))
	for name, text := range map[string]string{"worker.properties": worker, "sink.properties": sink} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return usage{}, err
		}
	}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return usage{}, err
	}
	defer output.Close()
	cmd := exec.Command("java", "-Xmx2g", "-Dlog4j2.configurationFile=../tools/servers/log4j2.xml", "-cp", filepath.Join(home, "runtime", "*"),
		"org.apache.kafka.connect.cli.ConnectStandalone", filepath.Join(dir, "worker.properties"), filepath.Join(dir, "sink.properties"))
	cmd.Stdout, cmd.Stderr = output, output
	u, err := runUntil(b, cmd, done)
	if err != nil {
		text, rerr := os.ReadFile(output.Name())
		if rerr != nil {
			return u, rerr
		}
		return u, fmt.Errorf("%s\n%w", text, err)
	}
	return u, nil
}

// runUntil starts a process, ends it when it is done, and says what it took until then.
func runUntil(b *testing.B, cmd *exec.Cmd, done func() bool) (u usage, err error) {
	b.Helper()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case err := <-ended:
			return usage{}, fmt.Errorf("the process ended before it was done: %w", err)
		case <-tick.C:
		}
		if time.Since(start) > connectTimeout {
			err = fmt.Errorf("not done after %s", connectTimeout)
			break
		}
	}
	if err == nil {
		u = running(b, cmd.Process.Pid)
		u.wall = time.Since(start)
	}
	if kerr := cmd.Process.Kill(); kerr != nil {
		return u, kerr
	}
	<-ended //nolint:errcheck // it was killed
	return u, err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
