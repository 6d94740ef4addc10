package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// TestImportAndErase: files become rows of the archive once, however often they
// are imported; ids are erased through the service.
func TestImportAndErase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, "catalog.db")
	cfg.Archive.URI = filepath.Join(dir, "archive")
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"}
	from := filepath.Join(dir, "history")
	if err := os.Mkdir(from, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, hour, first int) {
		t.Helper()
		text := "request,ts,amount,country,p\n"
		for i := first; i < first+50; i++ {
			text += fmt.Sprintf("r%d,2026-11-20T%02d:%02d:00Z,%d.5,DE,0.%d\n", i, hour, i%60, i, i%10)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(text+",2026-11-20T00:00:00Z,1,DE,0.5\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.csv", 1, 0)
	write("b.csv", 2, 100)
	run := func(dry bool, want string) {
		t.Helper()
		var out bytes.Buffer
		err := Import(t.Context(), cfg, ImportOptions{
			From: from, Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, DryRun: dry,
			Mapping: modelwatch.ColumnMapping{ID: "request", Time: "ts", Score: "p"}, Streams: Streams{Out: &out, Err: &bytes.Buffer{}},
		})
		if err != nil || out.String() != want {
			t.Fatalf("printed %q, %v; want %q", out.String(), err, want)
		}
	}
	run(true, "2 files: 2 to import, 0 imported before\n102 rows: 100 kept in 0 data files, 0 sampled out, 2 rejected\n  no_id: 2\n")
	run(false, "2 files: 2 imported, 0 imported before\n102 rows: 100 kept in 2 data files, 0 sampled out, 2 rejected\n  no_id: 2\n")
	write("c.csv", 2, 200)
	run(false, "3 files: 1 imported, 2 imported before\n51 rows: 50 kept in 1 data files, 0 sampled out, 1 rejected\n  no_id: 1\n")

	s, err := newService(t.Context(), cfg, serviceOptions{Roles: []string{roleAPI}, Log: slog.New(slog.DiscardHandler), EventNow: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.life.close(); err != nil {
			t.Error(err)
		}
	}()
	rows := func() (n int64) {
		t.Helper()
		files, err := s.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: "fraud"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			n += f.Rows
		}
		return n
	}
	v, err := s.catalog.Version(t.Context(), "fraud", "1")
	if err != nil || len(v.Schema.Features) != 2 || v.Schema.Score != modelwatch.TypeNumber || rows() != 150 {
		t.Fatalf("version %+v, %v, %d rows", v, err, rows())
	}
	eraseThroughService(t, s)
	if rows() != 148 {
		t.Errorf("%d rows after the erasure, want 148", rows())
	}
}

// TestImportCaptures: folders of SageMaker's data capture, packed or not.
func TestImportCaptures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, "catalog.db")
	cfg.Archive.URI = filepath.Join(dir, "archive")
	from := filepath.Join(dir, "endpoint", "AllTraffic", "2026", "11", "20", "10")
	if err := os.MkdirAll(from, 0o700); err != nil {
		t.Fatal(err)
	}
	line := func(id string) []byte {
		return fmt.Appendf(nil, `{"captureData":{"endpointInput":{"data":"DE,2","encoding":"CSV"},"endpointOutput":{"data":"0.5","encoding":"CSV"}},`+
			`"eventMetadata":{"eventId":%q,"inferenceTime":"2026-11-20T10:00:00Z"},"eventVersion":"0"}`+"\n", id)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(line("b")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"00-00.jsonl": line("a"), "00-01.jsonl.gz": packed.Bytes()} {
		if err := os.WriteFile(filepath.Join(from, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"2 files: 2 imported, 0 imported before\n2 rows: 2 kept in 2 data files, 0 sampled out, 0 rejected\n",
		"2 files: 0 imported, 2 imported before\n0 rows: 0 kept in 0 data files, 0 sampled out, 0 rejected\n",
	} {
		var out bytes.Buffer
		err := Import(t.Context(), cfg, ImportOptions{
			From: dir + "/endpoint", Model: "churn", Version: "2", Kind: modelwatch.KindPrediction, Format: "sagemaker",
			Inputs: []string{"country", "amount"}, Outputs: []string{"score"}, Streams: Streams{Out: &out, Err: &bytes.Buffer{}},
		})
		if err != nil || out.String() != want {
			t.Fatalf("printed %q, %v; want %q", out.String(), err, want)
		}
	}
}

// TestImportFromS3: a folder of a bucket, as tables and as records of a format with
// columns and paths, into an archive in another bucket of a real server. Lines that
// cannot be placed are dead letters, by file and line.
func TestImportFromS3(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	from, to := server.Bucket(t), server.Bucket(t)
	cfg := DefaultConfig()
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
	cfg.Archive.URI = "s3://" + to + "/archive"
	cfg.Archive.Endpoint, cfg.Archive.Region, cfg.Archive.PathStyle = server.Endpoint, server.Region, true
	cfg.Archive.AccessKey, cfg.Archive.SecretKey = server.AccessKey, server.SecretKey
	put := func(key, text string) {
		t.Helper()
		if _, err := server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &from, Key: &key, Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	put("tables/2026/a.csv", "_id,_time,amount\na,2026-11-20T10:00:00Z,1\nb,2026-11-20T11:00:00Z,2\n")
	put("tables/2026/b.csv", "_id,_time,amount\nc,2026-11-20T10:00:00Z,3\n,2026-11-20T10:30:00Z,4\n")
	put("logs/1.jsonl", `{"req":{"no":"d","at":"20.11.2026 10:00"},"in":{"amount":4},"p":0.5}`+"\n"+`{"req":{}}`+"\n")
	put("rows/1.jsonl", `{"row":"e","amount":5,"p":0.25,"timestamp":"2026-11-20T10:00:00.5","request_id":"1"}`+"\n")
	put("elsewhere/c.csv", "_id,_time,amount\nz,2026-11-20T10:00:00Z,9\n")
	run := func(o ImportOptions, want string) {
		t.Helper()
		var out bytes.Buffer
		o.From, o.Model, o.Version, o.Kind = "s3://"+from+"/"+o.From, "credit", "1", modelwatch.KindPrediction
		o.Streams = Streams{Out: &out, Err: &bytes.Buffer{}}
		if err := Import(t.Context(), cfg, o); err != nil || out.String() != want {
			t.Fatalf("%s printed %q, %v; want %q", o.From, out.String(), err, want)
		}
	}
	paths := map[string]string{"id": "$.req.no", "time": "$.req.at", "features": "$.in", "score": "$.p"}
	run(ImportOptions{From: "tables"}, "2 files: 2 imported, 0 imported before\n4 rows: 3 kept in 3 data files, 0 sampled out, 1 rejected\n  no_id: 1\n")
	run(ImportOptions{From: "tables"}, "2 files: 0 imported, 2 imported before\n0 rows: 0 kept in 0 data files, 0 sampled out, 0 rejected\n")
	run(ImportOptions{From: "logs", Format: "json", Paths: paths}, "1 files: 1 imported, 0 imported before\n2 rows: 0 kept in 0 data files, 0 sampled out, 2 rejected\n  invalid_time: 1\n  no_id: 1\n")
	paths["time"] = "$.never" // another reading of the same file is another import
	run(ImportOptions{From: "logs", Format: "json", Paths: paths}, "1 files: 1 imported, 0 imported before\n2 rows: 1 kept in 1 data files, 0 sampled out, 1 rejected\n  no_id: 1\n")
	run(ImportOptions{From: "rows", Format: "bentoml", Columns: map[string]string{"id": "row", "score": "p"}, Timezone: "Europe/Berlin"},
		"1 files: 1 imported, 0 imported before\n1 rows: 1 kept in 1 data files, 0 sampled out, 0 rejected\n")

	s, err := newService(t.Context(), cfg, serviceOptions{Roles: []string{roleAPI}, Log: discardLog(), EventNow: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.life.close(); err != nil {
			t.Error(err)
		}
	}()
	files, err := s.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: "credit"})
	if err != nil || len(files) != 5 || !slices.ContainsFunc(files, func(f modelwatch.DataFile) bool { return f.MinTime.Format(time.DateTime) == "2026-11-20 09:00:00" }) {
		t.Errorf("%d files, %v; that of Berlin's ten o'clock among them?\n%+v", len(files), err, files)
	}
	letters, _, err := s.catalog.DeadLetters(t.Context(), modelwatch.DeadLetterFilter{Page: modelwatch.Page{Limit: 10}})
	var places []string
	for _, d := range letters {
		places = append(places, fmt.Sprintf("%s %d %s %d bytes", strings.TrimPrefix(d.Topic, "file:s3://"+from), d.Offset, d.Reason, len(d.Value)))
	}
	slices.Sort(places)
	want := []string{"/logs/1.jsonl 1 invalid_time 68 bytes", "/logs/1.jsonl 2 no_id 10 bytes", "/logs/1.jsonl 2 no_id 10 bytes", "/tables/2026/b.csv 2 no_id 0 bytes"}
	if diff := cmp.Diff(want, places); err != nil || diff != "" {
		t.Errorf("dead letters, %v:\n%s", err, diff)
	}
}

// TestImportOptions: flags that would have no effect are refused.
func TestImportOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []ImportOptions{
		{Columns: map[string]string{"id": "x"}}, {Timezone: "UTC"}, {Inputs: []string{"a"}},
		{Format: "json", Mapping: modelwatch.ColumnMapping{ID: "x"}}, {Format: "yaml"},
		{Reason: modelwatch.DeadNoID}, {DeadLetters: "file:a"}, {DeadLetters: "events", Format: "json"}, {DeadLetters: "file:a", Format: "json", Reason: "x"},
	} {
		if err := Import(t.Context(), DefaultConfig(), o); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func eraseThroughService(t *testing.T, s *service) {
	t.Helper()
	server, err := s.newAPI()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	defer web.Close()
	ids := filepath.Join(t.TempDir(), "ids")
	if err := os.WriteFile(ids, []byte("r201\r\n\nnever\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := startKeeper(t, s)
	for _, dry := range []bool{true, false} {
		var out bytes.Buffer
		err := Erase(t.Context(), EraseOptions{Model: "fraud", IDs: []string{"r7"}, IDsFile: ids, DryRun: dry, Wait: time.Minute, Server: web.URL, Streams: Streams{Out: &out, Err: &bytes.Buffer{}}})
		if err != nil || !strings.HasPrefix(out.String(), "3 ids: 2 rows ") {
			t.Errorf("printed %q, %v", out.String(), err)
		}
	}
	stop()
}

func startKeeper(t *testing.T, s *service) (stop func()) {
	keeper := archive.NewKeeper(archive.KeeperOptions{Archive: s.archive, Ledger: s.catalog, Owner: "test", Salt: s.salt, Interval: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keeper.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestImportDeadLetters: lines that had no place are imported again once it is said
// how to read them, each once; what still has none stays, with its new reason.
func TestImportDeadLetters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, "catalog.db")
	cfg.Archive.URI = filepath.Join(dir, "archive")
	file := filepath.Join(dir, "scores.jsonl")
	var text strings.Builder
	for i := range 300 { // more than a page
		fmt.Fprintf(&text, `{"row":"r%d","at":"2026-11-20T10:00:00Z","amount":%d.5,"p":0.25}`+"\n", i, i)
	}
	text.WriteString(`{"row":"late","at":"never","note":"` + strings.Repeat("x", 20<<10) + `"}` + "\nnot json\n") // the first lies in the archive
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want string, o ImportOptions) {
		t.Helper()
		var out bytes.Buffer
		o.Model, o.Version, o.Kind, o.Format, o.Streams = "loans", "1", modelwatch.KindPrediction, "json", Streams{Out: &out, Err: &bytes.Buffer{}}
		if err := Import(t.Context(), cfg, o); err != nil || out.String() != want {
			t.Fatalf("%v, printed\n%s, want\n%s", err, out.String(), want)
		}
	}
	wrong, right := map[string]string{"id": "request", "time": "at"}, map[string]string{"id": "row", "time": "at", "score": "p"}
	run("1 files: 1 imported, 0 imported before\n302 rows: 0 kept in 0 data files, 0 sampled out, 302 rejected\n  invalid_json: 1\n  invalid_time: 1\n  no_id: 300\n",
		ImportOptions{From: file, Columns: wrong})
	topic := "file:" + file
	again := "300 of 302 dead letters %s\n300 rows: 300 kept in %d data files, 0 sampled out\n1 refused again: invalid_json\n1 refused again: invalid_time\n"
	run(fmt.Sprintf(again, "would be imported again", 0), ImportOptions{DeadLetters: topic, Columns: right, DryRun: true})
	run("0 of 300 dead letters imported again\n0 rows: 0 kept in 0 data files, 0 sampled out\n300 refused again: no_id\n",
		ImportOptions{DeadLetters: topic, Columns: wrong, Reason: modelwatch.DeadNoID})
	open := func() *service {
		t.Helper()
		s, err := newService(t.Context(), cfg, serviceOptions{Log: slog.New(slog.DiscardHandler), EventNow: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	killed := open() // after it has queued letters, before its commit
	letters, _, err := killed.catalog.DeadLetters(t.Context(), modelwatch.DeadLetterFilter{Page: modelwatch.Page{Limit: replayLetters}})
	queued, err2 := killed.catalog.QueueReplays(t.Context(), letters)
	if err := errors.Join(err, err2, killed.life.close()); err != nil || len(queued) != replayLetters {
		t.Fatalf("%d letters are queued, %v", len(queued), err)
	}
	run(fmt.Sprintf(again, "imported again", 2), ImportOptions{DeadLetters: "file:*", Columns: right})
	run("0 of 302 dead letters imported again\n0 rows: 0 kept in 0 data files, 0 sampled out\n1 refused again: invalid_json\n1 refused again: invalid_time\n300 not: they have found their place\n",
		ImportOptions{DeadLetters: topic, Columns: right})

	s := open()
	defer func() {
		if err := s.life.close(); err != nil {
			t.Error(err)
		}
	}()
	placed, _, err := s.catalog.DeadLetters(t.Context(), modelwatch.DeadLetterFilter{State: modelwatch.DeadLetterReplayed})
	if err != nil || len(placed) == 0 {
		t.Fatalf("%d letters are placed, %v", len(placed), err)
	}
	m := &imports{service: s, opts: ImportOptions{Model: "loans", Version: "1", Format: "json", Columns: right}}
	late := []ingest.LetterReplay{{Letter: placed[0], Value: placed[0].Value}} // by somebody who has read them before they were placed
	if _, err := m.eventImport("replay-late", topic).Replay(t.Context(), late); modelwatch.ErrorCode(err) != modelwatch.CodeFenced {
		t.Errorf("a second replay: %v, want it fenced", err)
	}
	files, err := s.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: "loans"})
	rows := int64(0)
	for _, f := range files {
		rows += f.Rows
	}
	if err != nil || rows != 300 {
		t.Errorf("%d rows, %v", rows, err)
	}
	left, err := s.catalog.CountDeadLetters(t.Context(), modelwatch.DeadLetterFilter{State: modelwatch.DeadLetterOpen})
	if err != nil || len(left) != 2 || left[0].Reason != modelwatch.DeadInvalidJSON || left[1].Reason != modelwatch.DeadInvalidTime {
		t.Errorf("open are %+v, %v", left, err)
	}
	d := deadLetters{store: s.catalog, archive: s.archive}
	result, err := d.Replay(t.Context(), modelwatch.DeadLetterFilter{State: modelwatch.DeadLetterOpen}, false)
	if err != nil || result.Replayed != 0 || result.Skipped["file"] != 2 {
		t.Errorf("a replay through Kafka: %+v, %v", result, err)
	}
}
