package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/table"
)

// producersEnv names the folder with a virtual environment for each producer:
// `make producers` makes it and runs the test.
const producersEnv = "PRODUCERS"

// TestProducers starts producers as their users do: MLServer, which reads requests
// from Kafka and answers there; a BentoML service, whose lines of monitoring are put
// on Kafka; Azure's collector, KServe's agent before a predictor and a sender of
// CloudEvents, whose posts are; Confluent's serializers, which name the schema in a
// header. The rows are found in the archive, inputs joined with their outputs.
func TestProducers(t *testing.T) {
	envs := os.Getenv(producersEnv)
	if envs == "" {
		t.Skip("make producers runs it: the producers are some hundred megabytes of Python")
	}
	d := &deployment{t: t, kafka: testserver.Kafka(t), s3: testserver.S3(t)}
	p := &producers{deployment: d, envs: envs, scripts: "../../tools/producers/live", topics: map[string]string{}}
	for _, s := range []struct{ name, options string }{
		{"requests", "format: mlserver"},
		{"answers", "format: mlserver"},
		{"monitoring", `format: bentoml, model: flowers, version: "2", timezone: Europe/Berlin, columns: {predicted: species}`},
		{"collector", `format: azureml, model: credit, version: "1", columns: {score: probability}`},
		{"agent", "format: kserve, inputs: [length, width], columns: {version: endpoint}"},
		{"events", "format: kserve, inputs: [length, width]"},
		{"avro", "format: avro, model: scored, version: avro, columns: {id: row, score: p}"},
		{"protobuf", "format: protobuf, model: scored, version: protobuf, columns: {id: row, score: p}"},
		{"jsonschema", "format: jsonschema, model: scored, version: jsonschema, columns: {id: row, score: p}"},
	} {
		p.topics[s.name] = d.kafka.Topic(t, 2)
		d.sources += fmt.Sprintf(", {topic: %q, %s}", p.topics[s.name], s.options)
	}
	registry := p.registry()
	d.reading = fmt.Sprintf("  registry: {url: %q}\n", registry)
	d.dsn = testserver.Postgres(t).NewDatabase(t)
	d.configure(d.s3.Endpoint, "ingest: {flush_age: 1s}\nsinks: {datadog: {enabled: auto, url: %q}}\n")
	p.client = d.kafka.Client(t, kgo.ProducerBatchCompression(kgo.NoCompression())) // MLServer comes without codecs
	crew := []*service{d.start("ingest", "ingest", freeAddress(t)), d.start("work", "work", freeAddress(t))}

	p.mlserver()
	p.bentoml()
	p.azureml()
	p.kserveAgent()
	p.kserve()
	p.run("confluent", "schema_headers.py", []string{registry, d.kafka.Brokers[0], p.topics["avro"], p.topics["protobuf"], p.topics["jsonschema"]})

	d.counts = d.openCatalog()
	p.check()
	for _, s := range crew {
		s.terminate(t)
	}
}

type producers struct {
	*deployment
	envs, scripts string
	topics        map[string]string // by what is in them
	client        *kgo.Client
}

// program is a program of a virtual environment.
func (p *producers) program(env, name string) string { return filepath.Join(p.envs, env, "bin", name) }

// serve starts a server that ends with the test, and waits until it is ready.
func (p *producers) serve(ready string, cmd *exec.Cmd, env ...string) {
	p.t.Helper()
	var log syncBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(os.Environ(), append(env, "PYTHONDONTWRITEBYTECODE=1")...)
	cmd.WaitDelay = 10 * time.Second // a worker may outlive it and hold its output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%v: run `make producers`", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // so that it ends its workers, which are in sessions of their own
		force := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		<-ended //nolint:errcheck // by a signal
		force.Stop()
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", cmd.Args, tail(log.String(), 6000))
		}
	})
	p.await(ready+" to be ready", func() (bool, error) {
		select {
		case err := <-ended:
			ended <- err
			return false, fmt.Errorf("%s ended: %w", cmd.Args, err)
		default:
		}
		probe, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, ready, nil)
		if err != nil {
			return false, err
		}
		probe.Header.Set("User-Agent", "kube-probe/1.33") // so that KServe's agent answers itself
		probe.Header.Set("K-Network-Probe", "queue")
		resp, err := http.DefaultClient.Do(probe)
		if err != nil {
			return false, nil
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// run runs a script to its end.
func (p *producers) run(env, script string, args []string, vars ...string) {
	p.t.Helper()
	cmd := exec.Command(p.program(env, "python"), append([]string{filepath.Join(p.scripts, script)}, args...)...)
	cmd.Env = append(os.Environ(), vars...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func (p *producers) produce(records ...*kgo.Record) {
	p.t.Helper()
	if err := p.client.ProduceSync(p.t.Context(), records...).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// forward listens for posts and puts them on a topic, headers and all, as a bridge does.
func (p *producers) forward(topic string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		record := &kgo.Record{Topic: p.topics[topic], Value: body}
		for name, values := range r.Header {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(values[0])})
		}
		if err == nil {
			err = p.client.ProduceSync(r.Context(), record).FirstErr()
		}
		if err != nil {
			p.t.Error(err)
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	p.t.Cleanup(server.Close)
	return server
}

// mlserver serves a model over Kafka.
func (p *producers) mlserver() {
	host, ports := "127.0.0.1", [3]string{}
	for i := range ports {
		_, ports[i], _ = strings.Cut(freeAddress(p.t), ":")
	}
	folder, err := filepath.Abs(filepath.Join(p.scripts, "mlserver"))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.program("mlserver", "mlserver"), "start", folder)
	cmd.Dir = p.t.TempDir()
	p.serve("http://"+host+":"+ports[0]+"/v2/health/ready", cmd,
		"MLSERVER_HOST="+host, "MLSERVER_HTTP_PORT="+ports[0], "MLSERVER_GRPC_PORT="+ports[1], "MLSERVER_METRICS_PORT="+ports[2], "MLSERVER_PARALLEL_WORKERS=0",
		"MLSERVER_KAFKA_ENABLED=true", "MLSERVER_KAFKA_SERVERS="+p.kafka.Brokers[0],
		"MLSERVER_KAFKA_TOPIC_INPUT="+p.topics["requests"], "MLSERVER_KAFKA_TOPIC_OUTPUT="+p.topics["answers"])
	// It reads from the end of the topic, and does not say when it has found that.
	requests := 0
	p.await("MLServer to answer", func() (bool, error) {
		requests++
		p.request(fmt.Sprint("warm-", requests), "[0,0,0,0]")
		ends, err := kadm.NewClient(p.client).ListEndOffsets(p.t.Context(), p.topics["answers"])
		answers := int64(0)
		ends.Each(func(o kadm.ListedOffset) { answers += o.Offset })
		return answers > 0, err
	})
	p.request("m-1", "[5.1,3.5,6.2,2.9]")
	p.request("m-2", "[4.9,3.0,6.0,2.2]")
}

// request asks MLServer about two rows of two features.
func (p *producers) request(key, data string) {
	p.t.Helper()
	value := `{"parameters":{"content_type":"np"},"inputs":[{"name":"input-1","shape":[2,2],"datatype":"FP64","parameters":{"content_type":"np"},"data":` + data + `}]}`
	p.produce(&kgo.Record{
		Topic: p.topics["requests"], Key: []byte(key), Value: []byte(value),
		Headers: []kgo.RecordHeader{{Key: "mlserver-model", Value: []byte("iris")}, {Key: "mlserver-version", Value: []byte("v1.2")}},
	})
}

// bentoml asks a monitored service and puts the lines of its files on Kafka.
func (p *producers) bentoml() {
	address, work := freeAddress(p.t), p.t.TempDir()
	service, err := os.ReadFile(filepath.Join(p.scripts, "bentoml", "service.py"))
	if err == nil {
		err = os.WriteFile(filepath.Join(work, "service.py"), service, 0o600) // it writes beside it
	}
	if err != nil {
		p.t.Fatal(err)
	}
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.Command(p.program("bentoml", "bentoml"), "serve", "service:Flowers", "--host", host, "--port", port)
	cmd.Dir = work
	p.serve("http://"+address+"/readyz", cmd, "BENTOML_HOME="+filepath.Join(work, "home"), "BENTOML_DO_NOT_TRACK=true", "TZ=Europe/Berlin")
	for _, body := range []string{`{"sepal_length":5.1,"petal_length":1.4}`, `{"sepal_length":6.2,"petal_length":4.8}`} {
		resp, err := http.Post("http://"+address+"/classify", "application/json", strings.NewReader(body))
		if err != nil {
			p.t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			p.t.Fatalf("the service answered %d: %s %v", resp.StatusCode, answer, err)
		}
	}
	var lines [][]byte
	p.await("lines of monitoring", func() (bool, error) {
		lines = nil
		err := filepath.WalkDir(work, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".log" {
				return err
			}
			text, err := os.ReadFile(path)
			lines = append(lines, bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))...)
			return err
		})
		return len(lines) >= 3, err // one describes the columns
	})
	for _, line := range lines {
		p.produce(&kgo.Record{Topic: p.topics["monitoring"], Value: line})
	}
}

func (p *producers) azureml() {
	host, port, _ := strings.Cut(strings.TrimPrefix(p.forward("collector").URL, "http://"), ":")
	p.run("azureml", "collector.py", nil, "AZUREML_MDC_HOST="+host, "AZUREML_MDC_PORT="+port)
}

func (p *producers) kserve() {
	p.run("kserve", "events.py", []string{p.forward("events").URL})
}

// registry starts a schema registry, and returns its address. As a real one does, it
// answers with the GUID of what is registered, and keeps the text of a file of
// protobuf where the serializer sends its descriptor.
func (p *producers) registry() string {
	text, err := os.ReadFile(filepath.Join(p.scripts, "scored.proto"))
	if err != nil {
		p.t.Fatal(err)
	}
	r := srfake.New()
	p.t.Cleanup(r.Close)
	r.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		subject, found := strings.CutSuffix(strings.TrimPrefix(q.URL.Path, "/subjects/"), "/versions")
		if q.Method != http.MethodPost || !found {
			return false
		}
		var schema sr.Schema
		err := json.NewDecoder(q.Body).Decode(&schema)
		if schema.Type == sr.TypeProtobuf {
			schema.Schema = string(text)
		}
		var version int
		if err == nil {
			_, version, err = r.RegisterSchema(subject, schema)
		}
		registered, _ := r.GetSchema(subject, version)
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		if err = errors.Join(err, json.NewEncoder(w).Encode(registered)); err != nil {
			p.t.Errorf("register a schema: %v", err)
		}
		return true
	})
	return r.URL()
}

// check waits until all rows are there, and compares them with what was produced.
func (p *producers) check() {
	want := map[string]string{
		"iris/v1.2/m-1/0":      "f0=5.1 f1=3.5 _predicted=0 _score_0=0.5 _score_1=0.5",
		"iris/v1.2/m-1/1":      "f0=6.2 f1=2.9 _predicted=1 _score_0=0.5 _score_1=0.5",
		"iris/v1.2/m-2/0":      "f0=4.9 f1=3 _predicted=0 _score_0=0.5 _score_1=0.5",
		"iris/v1.2/m-2/1":      "f0=6 f1=2.2 _predicted=1 _score_0=0.5 _score_1=0.5",
		"flowers/2/#1":         "sepal length=5.1 petal length=1.4 _predicted=setosa",
		"flowers/2/#2":         "sepal length=6.2 petal length=4.8 _predicted=virginica",
		"credit/1/c-1/0":       "LIMIT_BAL=502970 SEX=f _predicted=0 _score=0.125",
		"credit/1/c-1/1":       "LIMIT_BAL=293458 _predicted=1 _score=0.875",
		"credit/1/c-2":         "LIMIT_BAL=1500 SEX=f _predicted=0 _score=0.125",
		"tulips/canary/a-1/0":  "length=6.8 width=2.8 _predicted=1",
		"tulips/canary/a-1/1":  "length=4.9 width=3.4 _predicted=0",
		"tulips/canary/a-2":    "length=5.5 width=2.5 _predicted=0",
		"tulips/canary/a-3":    "length=6.5 width=3 _predicted=1",
		"tulips/canary/uuid":   "length=5.25 width=1.5 _predicted=0",
		"sklearn-iris/0/k-1/0": "length=6.8 width=2.8 _predicted=1",
		"sklearn-iris/0/k-1/1": "length=6 width=3.4 _predicted=0",
		"sklearn-iris/0/k-2":   "length=5.5 width=2.5 _predicted=2",
		"sklearn-iris/0/k-3":   "length=5 width=3.5 _predicted=10",
	}
	for _, format := range []string{"avro", "protobuf", "jsonschema"} {
		want["scored/"+format+"/s-1"] = "amount=12.5 _score=0.25"
		want["scored/"+format+"/s-2"] = "amount=-3 _score=0.75"
	}
	var rows map[string]string
	p.await("all predictions", func() (bool, error) {
		rows = p.predictions()
		return len(rows) >= len(want), nil
	}, func() string { return fmt.Sprint(slices.Sorted(maps.Keys(rows))) })
	if diff := cmp.Diff(want, rows); diff != "" {
		p.t.Errorf("rows of the archive (-want +got):\n%s", diff)
	}
	letters, err := p.counts.CountDeadLetters(p.t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil || len(letters) > 0 {
		p.t.Errorf("dead letters: %+v, %v", letters, err)
	}
}

// predictions returns the rows by model, version and id; those of BentoML, which makes
// the ids, by their place in the order of the features.
func (p *producers) predictions() map[string]string {
	columns := []string{
		modelwatch.ColumnID, "f0", "f1", "sepal length", "petal length", "LIMIT_BAL", "SEX", "length", "width", "amount",
		modelwatch.ColumnPredicted, modelwatch.ColumnScore, "_score_0", "_score_1",
	}
	out := map[string]string{}
	var flowers []string
	p.scanArchive(columns, func(f modelwatch.DataFile, c *table.Chunk) error {
		for row := range c.Rows {
			var cells []string
			for i := range c.Columns[1:] {
				if text := cellText(&c.Columns[i+1], row); text != "" {
					cells = append(cells, c.Columns[i+1].Name+"="+text)
				}
			}
			text, id := strings.Join(cells, " "), c.Columns[0].Text(row)
			if uuid.Validate(id) == nil { // made by the producer
				id = "uuid"
			}
			switch {
			case f.Kind != modelwatch.KindPrediction: // a half that has not met the other
			case strings.HasPrefix(id, "warm-"):
			case f.Model == "flowers":
				flowers = append(flowers, text)
			default:
				out[f.Model+"/"+f.Version+"/"+id] = text
			}
		}
		return nil
	})
	slices.Sort(flowers)
	for i, text := range flowers {
		out[fmt.Sprintf("flowers/2/#%d", i+1)] = text
	}
	return out
}

// cellText is a number or a text, "" where there is none.
func cellText(c *table.Column, row int) string {
	switch {
	case c.Missing(row):
		return ""
	case len(c.Floats) > 0:
		return fmt.Sprint(c.Floats[row])
	default:
		return c.Text(row)
	}
}
