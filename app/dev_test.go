package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/simulate"
	"github.com/modelwatch/modelwatch/table"
)

// devLimit is how long the first result may take: the command promises a minute.
const devLimit = time.Minute

// devRun is one start of the command.
type devRun struct {
	t        *testing.T
	out, err *watchedWriter
	stop     context.CancelFunc
	done     chan error
	sent     chan struct{} // closed by the first event that it published
}

func startDev(t *testing.T, dir string, traffic bool) *devRun {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &devRun{t: t, out: newWatchedWriter(), err: newWatchedWriter(), stop: stop, done: make(chan error, 1), sent: make(chan struct{})}
	go func() {
		d.done <- Dev(ctx, DevOptions{
			Listen: "127.0.0.1:0", BrokerListen: "127.0.0.1:0", Data: dir, Traffic: traffic, Speed: 600, Plain: true,
			Streams: Streams{Out: d.out, Err: d.err},
			onSent: func(total int64) {
				if total == 1 {
					close(d.sent)
				}
			},
		})
	}()
	t.Cleanup(stop)
	return d
}

// await blocks until the standard output matches.
func (d *devRun) await(pattern string) {
	d.t.Helper()
	d.awaitSignal(d.out.matches(pattern), pattern)
}

func (d *devRun) awaitSignal(signal <-chan struct{}, what string) {
	d.t.Helper()
	select {
	case <-signal:
	case err := <-d.done:
		d.t.Fatalf("dev ended with %v before %q\nout:\n%s\nerr:\n%s", err, what, d.out, d.err)
	case <-time.After(devLimit):
		d.t.Fatalf("no %q within %s\nout:\n%s\nerr:\n%s", what, devLimit, d.out, d.err)
	}
}

// end stops the command as Ctrl-C would and returns how many events it says it published.
func (d *devRun) end() int64 {
	d.t.Helper()
	d.stop()
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Fatalf("dev ended with %v", err)
		}
	case <-time.After(devLimit):
		d.t.Fatalf("dev did not stop within %s", devLimit)
	}
	m := regexp.MustCompile(`published (\d+) events this time`).FindStringSubmatch(d.err.String())
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func TestDevShowsDriftAndGoesOn(t *testing.T) {
	t.Setenv("DD_API_KEY", "")
	dir := t.TempDir()
	first := startDev(t, dir, true)
	first.await(`fraud \S+ drift: .*psi [0-9.]+ !`)
	if out := first.out.String(); strings.Contains(out, "going on") || !strings.Contains(out, "REST http://127.0.0.1:") {
		t.Errorf("the first start wrote\n%s", out)
	}
	published := first.end()
	if published < 1000 {
		t.Errorf("published %d events, want thousands until a drift was seen", published)
	}
	if !strings.Contains(first.err.String(), "kept in "+dir) {
		t.Errorf("the farewell does not say what is kept:\n%s", first.err)
	}

	second := startDev(t, dir, true)
	second.await(`going on from where it was stopped`)
	// A drift may be of rows that the first start had published already.
	second.awaitSignal(second.sent, "an event that was published")
	second.await(`fraud \S+ drift: `)
	more := second.end()
	if more == 0 {
		t.Error("the second start published nothing")
	}
	published += more

	third := startDev(t, dir, false)
	wantRows(t, dir, published)
	if n := third.end(); n != 0 {
		t.Errorf("without traffic it published %d events", n)
	}
	wantEveryEventOnce(t, dir, published)
}

// wantRows waits until everything that was published is in the archive: what the
// broker had and the ingest had not yet taken when dev was stopped follows.
func wantRows(t *testing.T, dir string, want int64) {
	t.Helper()
	c := openDevCatalog(t, dir)
	tick, limit := time.NewTicker(50*time.Millisecond), time.After(devLimit)
	defer tick.Stop()
	for {
		rows := int64(0)
		for _, f := range devFiles(t, c) {
			rows += f.Rows
		}
		if rows == want {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the archive has %d rows, %d events were published", rows, want)
		}
	}
}

// wantEveryEventOnce reads the archive back and compares it with the simulated
// traffic, which is the same whenever it is made.
func wantEveryEventOnce(t *testing.T, dir string, published int64) {
	t.Helper()
	c := openDevCatalog(t, dir)
	bucket, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: filepath.Join(dir, "archive")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	store := archive.New(bucket, archive.Options{})
	for _, f := range devFiles(t, c) {
		r, closer, err := store.OpenDataFile(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Scan(t.Context(), []string{modelwatch.ColumnID}, func(chunk *table.Chunk) error {
			ids := chunk.Columns[0]
			for i := range chunk.Rows {
				got[string(f.Kind)+" "+ids.Dict[ids.Index[i]]]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want, wrong := replay(t, c, published), 0
	for _, key := range want {
		if n := got[key]; n != 1 && wrong < 10 {
			wrong++
			t.Errorf("%s is in the archive %d times, want once", key, n)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("the archive has %d ids beyond those of the traffic", len(got))
	}
}

// replay lists the kind and id of the first n simulated events, and holds the
// stored position to them.
func replay(t *testing.T, c *catalog.Catalog, n int64) []string {
	t.Helper()
	s := &service{catalog: c}
	state, err := s.loadDemo(t.Context(), demoState{})
	if err != nil {
		t.Fatal(err)
	}
	traffic := newDemoTraffic(state.Start)
	keys := make([]string, n)
	for i := range keys {
		e := traffic.Next()
		keys[i] = fmt.Sprintf("%s %s", e.Kind, e.Key)
	}
	if diff := cmp.Diff(state.Position, traffic.Position()); diff != "" {
		t.Errorf("position kept by dev and that after as many events (-kept +replayed):\n%s", diff)
	}
	return keys
}

func openDevCatalog(t *testing.T, dir string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(dir, "catalog.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func devFiles(t *testing.T, c *catalog.Catalog) []modelwatch.DataFile {
	t.Helper()
	now := time.Now()
	span := modelwatch.Window{Start: now.Add(-72 * time.Hour), End: now.Add(72 * time.Hour)}
	var files []modelwatch.DataFile
	for _, m := range simulate.Models() {
		for _, kind := range []modelwatch.Kind{modelwatch.KindPrediction, modelwatch.KindLabel} {
			more, err := c.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: m.Name, Kind: kind, Window: span})
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, more...)
		}
	}
	return files
}

func TestDevRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		opts DevOptions
		want string
	}{
		{"speed", DevOptions{Speed: -1}, "--speed is -1"},
		{"folder", DevOptions{Speed: 1, Data: filepath.Join(file, "data")}, "make the data folder"},
		{"broker address", DevOptions{Speed: 1, Data: t.TempDir(), BrokerListen: "9092"}, `broker address "9092"`},
		{"broker port", DevOptions{Speed: 1, Data: t.TempDir(), BrokerListen: "127.0.0.1:kafka"}, "the port"},
		{"listen", DevOptions{Speed: 1, Data: t.TempDir(), BrokerListen: "127.0.0.1:0", Listen: "nowhere"}, "listen on nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.Streams = Streams{Out: newWatchedWriter(), Err: newWatchedWriter()}
			err := Dev(t.Context(), tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
				t.Errorf("got %v (%s), want one with %q", err, modelwatch.ErrorCode(err), tt.want)
			}
		})
	}
}

func TestDemoStateIsKeptAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(demoState{Start: time.Unix(0, 0).UTC(), Event: time.Unix(60, 0).UTC(), Position: simulate.Position{Predictions: 7, Labels: 2}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"start":"1970-01-01T00:00:00Z","event":"1970-01-01T00:01:00Z","position":{"predictions":7,"labels":2}}`
	if string(text) != want {
		t.Errorf("got %s, want %s: data folders of earlier versions hold it", text, want)
	}
}

// watchedWriter is a buffer that signals when what was written matches.
type watchedWriter struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting map[*regexp.Regexp]chan struct{}
}

func newWatchedWriter() *watchedWriter {
	return &watchedWriter{waiting: map[*regexp.Regexp]chan struct{}{}}
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.text.Write(p)
	w.signal()
	return n, err
}

func (w *watchedWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// matches returns a channel that is closed once the pattern is there.
func (w *watchedWriter) matches(pattern string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(chan struct{})
	w.waiting[regexp.MustCompile(pattern)] = c
	w.signal()
	return c
}

func (w *watchedWriter) signal() {
	for pattern, c := range w.waiting {
		if pattern.Match(w.text.Bytes()) {
			delete(w.waiting, pattern)
			close(c)
		}
	}
}
