package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/table"
)

// bundle is the whole way: a broker, a catalog and an archive.
type bundle struct {
	format   string // of what serve reads; "" is kserve
	t        *testing.T
	client   []kgo.Opt // of consumers
	topic    string
	producer *kgo.Client
	catalog  *catalog.Catalog
	archive  *archive.Archive
	commits  *commits
	sent     int // by sendMore
}

// commits passes calls on to the catalog and tells of each commit that succeeded.
type commits struct {
	*catalog.Catalog
	mu       sync.Mutex
	accounts int
	ranges   []modelwatch.Range
	changed  chan struct{}
}

func (c *commits) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	if err := c.Catalog.CommitIngest(ctx, commit); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range commit.Volumes {
		c.accounts += int(v.Seen)
	}
	c.accounts += len(commit.DeadLetters)
	c.ranges = append(c.ranges, commit.Ranges...)
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// await waits until so many records are accounted for.
func (c *commits) await(t *testing.T, records int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		c.mu.Lock()
		have, changed := c.accounts, c.changed
		c.mu.Unlock()
		if have >= records {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d of %d records are accounted for", have, records)
		}
	}
}

// setup takes what needs no server: a broker in memory, SQLite and a folder.
func setup(t *testing.T, partitions int32) *bundle {
	t.Parallel()
	const topic = "modelwatch.events"
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	reach := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	b := &bundle{t: t, client: reach, topic: topic}
	b.open(reach, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), archive.BucketConfig{URI: t.TempDir()})
	return b
}

// open connects to what holds the data.
func (b *bundle) open(producer []kgo.Opt, dsn string, bucket archive.BucketConfig) {
	b.t.Helper()
	var err error
	if b.producer, err = kgo.NewClient(append(producer, kgo.DefaultProduceTopic(b.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.producer.Close)
	if b.catalog, err = catalog.Open(b.t.Context(), dsn, slog.New(slog.DiscardHandler)); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.catalog.Close() })
	if _, err := b.catalog.Migrate(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	opened, err := archive.OpenBucket(b.t.Context(), bucket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.archive = archive.New(opened, archive.Options{})
	b.commits = &commits{Catalog: b.catalog, changed: make(chan struct{})}
}

func (b *bundle) send(events ...string) {
	b.t.Helper()
	for _, e := range events {
		if err := b.producer.ProduceSync(b.t.Context(), &kgo.Record{Value: []byte(e)}).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// sendMore sends so many predictions of ids that follow each other, and returns how
// many that were with those before.
func (b *bundle) sendMore(n int) (sent int) {
	b.t.Helper()
	for range n {
		b.send(realEvent(fmt.Sprint("p-", b.sent), 0))
		b.sent++
	}
	return b.sent
}

// run starts a consumer; stop ends it and returns what Run has returned.
func (b *bundle) run(owner string, hooks ingest.Hooks) (stop func() error) {
	b.t.Helper()
	c, err := ingest.New(ingest.Options{
		Client: b.client, Sources: []ingest.Source{{Topic: b.topic}}, Group: "g", Owner: owner,
		Catalog: b.commits, Archive: b.archive, FileKey: archive.FileKey, FlushAge: 50 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Hooks: hooks,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// rows reads what is registered: the cells of the named columns, by id.
func (b *bundle) rows(model string, kind modelwatch.Kind, columns ...string) map[string][]string {
	b.t.Helper()
	files, err := b.catalog.DataFiles(b.t.Context(), modelwatch.DataFileFilter{Model: model, Kind: kind})
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string][]string{}
	for _, f := range files {
		r, closer, err := b.archive.OpenDataFile(b.t.Context(), f)
		if err != nil {
			b.t.Fatal(err)
		}
		err = r.Scan(b.t.Context(), append([]string{modelwatch.ColumnID}, columns...), func(c *table.Chunk) error {
			for i := range c.Rows {
				id := c.Columns[0].Text(i)
				if out[id] != nil {
					b.t.Errorf("%s has two rows", id)
				}
				out[id] = []string{}
				for j := range columns {
					out[id] = append(out[id], text(&c.Columns[j+1], i))
				}
			}
			return nil
		})
		if err := errors.Join(err, closer.Close()); err != nil {
			b.t.Fatal(err)
		}
	}
	return out
}

func text(c *table.Column, i int) string {
	switch {
	case c.Missing(i):
		return "-"
	case len(c.Floats) > 0:
		return fmt.Sprint(c.Floats[i])
	case len(c.Ints) > 0:
		return fmt.Sprint(c.Ints[i])
	case len(c.Bools) > 0:
		return fmt.Sprint(c.Bools[i])
	case len(c.Vectors) > 0:
		return fmt.Sprint(c.Vectors[i])
	}
	return c.Text(i)
}

// TestArchived reads back from Parquet what went into Kafka.
func TestArchived(t *testing.T) {
	b := setup(t, 1)
	b.send(
		`{"kind":"prediction","model":"fraud","version":"3","id":"1","features":{"amount":12.5,"country":"DE","vip":true,"v":[1,2]},"prediction":{"score":0.9,"label":"bad"},"tags":{"region":"eu"}}`,
		`{"kind":"prediction","model":"fraud","version":"3","id":"2","features":{"amount":"n/a","country":7,"vip":null,"more":1},"prediction":{"score":0.1,"label":"good"},"x":{"y":1}}`,
		`{"kind":"attribution","model":"fraud","version":"3","id":"1","attributions":{"amount":0.4}}`,
		`{"kind":"label","model":"fraud","id":"1","label":"bad"}`,
		`{"kind":"label","model":"fraud","version":"3","id":"2","label":"bad"}`,
		`{"kind":"label","model":"count","id":"1","label":3}`,
		`{"kind":"label","model":"count","id":"2","label":"three"}`,
		`not json`,
		`{"kind":"prediction","model":"fraud","version":"3"}`,
	)
	stop := b.run("a", ingest.Hooks{})
	b.commits.await(t, 9)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := b.rows("fraud", modelwatch.KindPrediction, "amount", "country", "vip", "v", "more", "_score", "_predicted", "_tag_region", "_invalid", "_extra")
	want := map[string][]string{
		"1": {"12.5", "DE", "true", "[1 2]", "-", "0.9", "bad", "eu", "-", "-"},
		"2": {"-", "7", "-", "-", "1", "0.1", "good", "-", `{"amount":"n/a"}`, `{"x":{"y":1}}`},
	}
	equal := func(a, b []string) bool { return slices.Equal(a, b) }
	if !maps.EqualFunc(got, want, equal) {
		t.Errorf("predictions: got %q, want %q", got, want)
	}
	if got := b.rows("fraud", modelwatch.KindLabel, "_label"); !maps.EqualFunc(got, map[string][]string{"1": {"bad"}, "2": {"bad"}}, equal) {
		t.Errorf("labels: %q", got)
	}
	if got := b.rows("count", modelwatch.KindLabel, "_label"); !maps.EqualFunc(got, map[string][]string{"1": {"3"}, "2": {"three"}}, equal) {
		t.Errorf("labels without a version: %q", got)
	}
	if got := b.rows("fraud", modelwatch.KindAttribution, "_attr_amount", "amount"); !maps.EqualFunc(got, map[string][]string{"1": {"0.4", "-"}}, equal) {
		t.Errorf("attributions: %q", got)
	}
	letters, _, err := b.catalog.DeadLetters(t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil || len(letters) != 2 {
		t.Fatalf("dead letters: %v, %v", letters, err)
	}
	b.join()
}

// join checks that predictions find their labels, whatever version those name.
func (b *bundle) join() {
	b.t.Helper()
	files := map[modelwatch.Kind][]modelwatch.DataFile{}
	for _, kind := range []modelwatch.Kind{modelwatch.KindPrediction, modelwatch.KindLabel} {
		fs, err := b.catalog.DataFiles(b.t.Context(), modelwatch.DataFileFilter{Model: "fraud", Kind: kind})
		if err != nil {
			b.t.Fatal(err)
		}
		files[kind] = fs
	}
	window := modelwatch.Window{Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}
	pairs := map[string]int{}
	err := b.archive.JoinLabels(b.t.Context(), files[modelwatch.KindPrediction], files[modelwatch.KindLabel], window, modelwatch.JoinedFields{}, func(j modelwatch.Joined) error {
		pairs[j.Predicted+"/"+j.Label]++
		return nil
	})
	if want := map[string]int{"bad/bad": 1, "good/bad": 1}; err != nil || !maps.Equal(pairs, want) {
		b.t.Errorf("joined %v, want %v: %v", pairs, want, err)
	}
}

// TestArchivedOnce kills consumers at every point of a flush, one after the
// other; every prediction has one row in the end, and counts agree.
func TestArchivedOnce(t *testing.T) {
	b := setup(t, 3)
	sent := 0
	more := func(n int) {
		for range n {
			b.send(fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"p-%d","features":{"n":%d,"c":"x"}}`, sent, sent))
			sent++
		}
	}
	for _, point := range ingest.Points() {
		more(20)
		dead := make(chan struct{})
		var once sync.Once
		stop := b.run("killed-"+point, ingest.Hooks{At: func(at string) error {
			if at == point {
				once.Do(func() { close(dead) })
				return errors.New("power cut")
			}
			return nil
		}})
		<-dead
		if err := stop(); err == nil {
			t.Error("run did not say that it was killed")
		}
	}
	more(20)
	stop := b.run("last", ingest.Hooks{})
	b.commits.await(t, sent)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "n"); len(rows) != sent {
		t.Errorf("%d of %d predictions have a row", len(rows), sent)
	}
	window := modelwatch.Window{Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}
	volumes, err := b.catalog.Volumes(t.Context(), "m", window)
	if err != nil {
		t.Fatal(err)
	}
	var seen, kept int64
	for _, v := range volumes {
		seen, kept = seen+v.Seen, kept+v.Kept
	}
	if seen != int64(sent) || kept != int64(sent) {
		t.Errorf("volumes: %d seen, %d kept, want %d", seen, kept, sent)
	}
	// What the killed ones have left behind is found through their intents.
	deleted, err := b.archive.CollectGarbage(t.Context(), b.catalog, time.Now().Add(time.Hour))
	if err != nil || deleted == 0 {
		t.Errorf("%d orphans were deleted: %v", deleted, err)
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "c"); len(rows) != sent {
		t.Errorf("%d of %d rows are left after garbage collection", len(rows), sent)
	}
}

// TestArchivedByMany: three consumers with one catalog come and go.
func TestArchivedByMany(t *testing.T) {
	b := setup(t, 6)
	sent := 0
	var stops []func() error
	for i := range 6 {
		stops = append(stops, b.run(fmt.Sprintf("c-%d", i), ingest.Hooks{}))
		for range 50 {
			b.send(fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"p-%d","features":{"n":%d,"f%d":1}}`, sent, sent, i))
			sent++
		}
		if len(stops) == 3 {
			if err := stops[0](); err != nil {
				t.Error(err)
			}
			stops = stops[1:]
		}
	}
	b.commits.await(t, sent)
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "n"); len(rows) != sent {
		t.Errorf("%d of %d predictions have a row", len(rows), sent)
	}
	v, err := b.catalog.Version(t.Context(), "m", "1")
	if err != nil || len(v.Schema.Features) != 7 {
		t.Errorf("%d features, want 7: %v", len(v.Schema.Features), err)
	}
}
