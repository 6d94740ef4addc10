package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/sink/datadogtest"
)

// e2eSalt keys the sampling decisions, so that the test can repeat them.
const e2eSalt = "0123456789abcdef"

// deployment is the built binary as separate processes on real servers.
type deployment struct {
	t       *testing.T
	kafka   *testserver.KafkaServer
	intake  *datadogtest.Server
	dsn     string
	bucket  string
	s3      *testserver.S3Server
	topic   string
	config  string
	address string // of the api process
	counts  *catalog.Catalog
	archive string // more of its configuration
	sources string // more of them
	reading string // more of the configuration of Kafka, a line each
}

func newDeployment(t *testing.T) *deployment {
	d := &deployment{t: t, kafka: testserver.Kafka(t), s3: testserver.S3(t)}
	d.dsn = testserver.Postgres(t).NewDatabase(t)
	d.configure(d.s3.Endpoint, `
ingest: {flush_bytes: 16MiB, flush_age: 2s, memory: 128MiB}
work: {concurrency: 2, lease: 8s, poll: 200ms, revise_after: 1s}
sinks: {datadog: {enabled: auto, timestamps: window, url: %q}}
`)
	return d
}

// configure makes topic, bucket and intake, and the configuration of all
// processes; tuning is the part of it that has no address but the intake's.
func (d *deployment) configure(s3Endpoint, tuning string) {
	t := d.t
	t.Helper()
	d.topic = d.kafka.Topic(t, 8)
	d.bucket = d.s3.Bucket(t)
	d.intake = datadogtest.Start(t, datadogtest.Options{APIKey: "e2e-key", Historical: true})
	d.config = filepath.Join(t.TempDir(), "modelwatch.yaml")
	text := fmt.Sprintf(`
catalog: {dsn: %q}
archive: {uri: "s3://%s/prod", endpoint: %q, region: %s, path_style: true, access_key: %s, secret_key: %s%s}
kafka:
  brokers: [%q]
  group: e2e
  session_timeout: 6s
  sources: [{topic: %q, format: modelwatch}%s]
%ssampling: {salt: %q}
`, d.dsn, d.bucket, s3Endpoint, d.s3.Region, d.s3.AccessKey, d.s3.SecretKey, d.archive, d.kafka.Brokers[0], d.topic, d.sources, d.reading, e2eSalt)
	text += fmt.Sprintf(tuning, d.intake.URL)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// service is one process of the deployment.
type service struct {
	name string
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan error
}

// start runs the binary with one role. Its log is shown when the test fails.
func (d *deployment) start(name, role, listen string) *service {
	d.t.Helper()
	s := &service{name: name, log: &syncBuffer{}, done: make(chan error, 1)}
	config := d.withListen(name, listen)
	s.cmd = exec.Command(binary(d.t), "serve", "--config", config, "--roles", role, "--log-format", "text")
	s.cmd.Env = append(os.Environ(), "DD_API_KEY=e2e-key")
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	d.t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // already gone where the test stopped it
		if d.t.Failed() {
			d.t.Logf("log of %s:\n%s", name, tail(s.log.String(), 6000))
		}
	})
	return s
}

func (d *deployment) withListen(name, listen string) string {
	text, err := os.ReadFile(d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(d.config), name+".yaml")
	if err := os.WriteFile(path, append(text, "listen: "+listen+"\n"...), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// kill ends the process as a crash would.
func (s *service) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill %s: %v", s.name, err)
	}
	if err := <-s.done; err == nil {
		t.Errorf("%s ended by itself before it was killed", s.name)
	}
}

// terminate asks the process to stop and expects it to do so in order.
func (s *service) terminate(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("terminate %s: %v", s.name, err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("%s ended with %v", s.name, err)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("%s did not stop within 30 s of SIGTERM", s.name)
	}
}

func TestEndToEndOnRealServers(t *testing.T) {
	d := newDeployment(t)
	d.address = freeAddress(t)
	api := d.start("api", "api", d.address)
	d.await("the api to be ready", func() (bool, error) { return d.status("/readyz") == http.StatusOK, nil })

	traffic := newTraffic(time.Now().UTC().Truncate(e2eWindowLength).Add(-e2eWindows * e2eWindowLength))
	baseline := fraudBaseline()
	d.register(baseline)

	ingest := []*service{d.start("ingest-1", "ingest", freeAddress(t)), d.start("ingest-2", "ingest", freeAddress(t))}
	work := []*service{d.start("work-1", "work", freeAddress(t)), d.start("work-2", "work", freeAddress(t))}
	d.schedule(traffic)

	d.produce(traffic.firstHalf())
	d.await("half of the events", func() (bool, error) { return d.seen() >= int64(len(traffic.fraud)/4), nil })
	ingest[0].kill(t)
	d.produce(traffic.secondHalf())
	work[0].kill(t)
	d.produce(traffic.labels())

	expected := newExpectation(traffic, baseline, d.frozenUppers(), saltOf(t))
	d.await("every event in the archive", func() (bool, error) {
		kept, rejected := d.kept()
		if kept > expected.archived || rejected > int64(len(traffic.broken)) {
			return false, fmt.Errorf("the archive counts %d rows and %d dead letters, more than the %d and %d that were sent", kept, rejected, expected.archived, len(traffic.broken))
		}
		return kept == expected.archived && rejected == int64(len(traffic.broken)), nil
	})
	expected.checkArchive(d)
	d.await("the expected metrics at the intake", func() (bool, error) { return expected.firstDifference(d) == "", nil }, func() string { return expected.firstDifference(d) })
	if rejections := d.intake.Rejections(); len(rejections) > 0 {
		t.Errorf("the intake refused %d points, first: %v", len(rejections), rejections[0])
	}

	for _, s := range []*service{ingest[1], work[1], api} {
		s.terminate(t)
	}
}

// register makes the two models known, with their baselines.
func (d *deployment) register(baseline []fraudRow) {
	d.t.Helper()
	d.call(http.MethodPut, "/v1/models/fraud", "application/json", `{"task":"binary","positive":"fraud"}`, http.StatusCreated)
	d.call(http.MethodPut, "/v1/models/price", "application/json", `{"task":"regression"}`, http.StatusCreated)
	d.call(http.MethodPut, "/v1/models/fraud/versions/3.1.0", "application/json", fmt.Sprintf(`{"sampling_rate":%v}`, e2eRate), http.StatusCreated)
	d.call(http.MethodPut, "/v1/models/price/versions/1.0", "application/json", `{}`, http.StatusCreated)
	d.call(http.MethodPost, "/v1/models/fraud/versions/3.1.0/baselines?score=risk&predicted=outcome", "text/csv", string(fraudBaselineCSV(baseline)), http.StatusCreated)
	d.call(http.MethodPost, "/v1/models/price/versions/1.0/baselines", "application/x-ndjson", string(priceBaselineJSONLines()), http.StatusCreated)
}

// schedule puts the jobs and asks for the windows that lie in the past.
func (d *deployment) schedule(traffic *traffic) {
	d.t.Helper()
	every := fmt.Sprintf(`"cron":"*/%d * * * *","window":%q`, int(traffic.length.Minutes()), traffic.windowMinutes())
	drift := `{"kind":"drift",` + every + `,"metrics":["psi","js_distance","ks","missing_ratio","invalid_ratio","new_category_ratio","drifted_share"],"thresholds":[{"metric":"psi","upper":0.1}],"sinks":["datadog"]}`
	backtest := `{"kind":"backtest",` + every + `,"label_delay":"0s","maturity":"1d","metrics":[%s],"sinks":["datadog"]}`
	d.call(http.MethodPut, "/v1/models/fraud/jobs/drift", "application/json", drift, http.StatusCreated)
	d.call(http.MethodPut, "/v1/models/fraud/jobs/backtest", "application/json", fmt.Sprintf(backtest, `"accuracy","precision","recall","f1"`), http.StatusCreated)
	d.call(http.MethodPut, "/v1/models/price/jobs/backtest", "application/json", fmt.Sprintf(backtest, `"rmse","mae"`), http.StatusCreated)
	span := fmt.Sprintf(`{"start":%q,"end":%q}`, traffic.start.Format(time.RFC3339), traffic.window(traffic.count-1).End.Format(time.RFC3339))
	for _, job := range []string{"fraud/jobs/drift", "fraud/jobs/backtest", "price/jobs/backtest"} {
		d.call(http.MethodPost, "/v1/models/"+job+"/runs", "application/json", span, http.StatusAccepted)
	}
}

func (t *traffic) firstHalf() [][]byte {
	var out [][]byte
	for _, r := range t.fraud[:len(t.fraud)/2] {
		out = append(out, r.event())
	}
	return append(out, t.broken[:len(t.broken)/2]...)
}

func (t *traffic) secondHalf() [][]byte {
	out := append([][]byte{}, t.broken[len(t.broken)/2:]...)
	for _, r := range t.fraud[len(t.fraud)/2:] {
		out = append(out, r.event())
	}
	for _, r := range t.price {
		out = append(out, r.event())
	}
	return out
}

func (t *traffic) labels() [][]byte {
	var out [][]byte
	for _, r := range t.fraud {
		if r.truth != "" {
			out = append(out, r.label())
		}
	}
	for _, r := range t.price {
		out = append(out, r.label())
	}
	return out
}

func (d *deployment) produce(events [][]byte) {
	d.t.Helper()
	client := d.kafka.Client(d.t, kgo.DefaultProduceTopic(d.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	var mu sync.Mutex
	var failed error
	for _, e := range events {
		client.Produce(d.t.Context(), &kgo.Record{Value: e}, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	if err := client.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	if failed != nil {
		d.t.Fatal(failed)
	}
}

// await polls until ready says so; the deadline is generous because machines differ.
func (d *deployment) await(what string, ready func() (bool, error), why ...func() string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ready()
		if err != nil {
			d.t.Fatalf("waiting for %s: %v", what, err)
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			reason := ""
			for _, f := range why {
				reason += ": " + f()
			}
			d.t.Fatalf("%s did not come%s", what, reason)
		}
	}
}

func (d *deployment) status(path string) int {
	resp, err := http.Get("http://" + d.address + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// call makes one REST call and expects its status.
func (d *deployment) call(method, path, contentType, body string, want int) []byte {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.address+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != want {
		d.t.Fatalf("%s %s answered %d, want %d: %s", method, path, resp.StatusCode, want, answer)
	}
	return answer
}

func (d *deployment) get(path string, into any) {
	d.t.Helper()
	if err := json.Unmarshal(d.call(http.MethodGet, path, "application/json", "", http.StatusOK), into); err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// binary builds modelwatch once for the tests of this package, as it is shipped.
func binary(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one build for the package
	path, err := filepath.Abs("../../bin/modelwatch-test")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func saltOf(t *testing.T) modelwatch.Salt {
	t.Helper()
	salt, err := modelwatch.ParseSalt(e2eSalt)
	if err != nil {
		t.Fatal(err)
	}
	return salt
}
