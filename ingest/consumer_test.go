package ingest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

func TestConsume(t *testing.T) {
	bubble(t, 3, func(t *testing.T, b *testBundle) {
		b.send(3, 100)
		r := b.start(b.options("a"))
		if err := r.Ready(); err == nil {
			t.Error("ready before it has joined")
		}
		b.await(100)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		b.send(3, 50)
		b.await(150)
		synctest.Wait()
		if got := r.Stats(); got.Records != 150 || got.Kept != 150 || got.LagRecords != 0 || got.Partitions != 3 || got.BufferBytes != 0 {
			t.Errorf("stats: %+v", got)
		}
		if kept, partitions := r.metric("kept_rows_total"), r.metric("partitions"); kept != 150 || partitions != 3 {
			t.Errorf("metrics: %v rows kept, %v partitions", kept, partitions)
		}
		r.stop()
		b.exactlyOnce()
		committed, err := kadm.NewClient(b.producer).FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := committed.Lookup(topic, 0); o.At != 50 {
			t.Errorf("kafka shows offset %d of the group, want 50", o.At)
		}
	})
}

// faultShutdownFlushes: what was read is committed on the way out.
func faultShutdownFlushes(t *testing.T, b *testBundle) {
	b.send(2, 20)
	o := b.options("a")
	o.FlushAge = time.Hour
	r := b.start(o)
	r.awaitRead(20)
	if len(b.catalog.ledger()) != 0 {
		t.Error("flushed before its time")
	}
	r.stop()
	b.exactlyOnce()
}

// TestDeadLetters: records that have no place are in the commit, with their bytes,
// and the cursor passes them.
func TestDeadLetters(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		b.send(1, 2)
		bad := []string{`{"kind":"prediction"`, `[]`, `{"kind":"prediction","model":"m","version":"1"}`}
		for _, v := range bad {
			b.produce(0, v)
		}
		if err := b.producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k")}).FirstErr(); err != nil { // a tombstone
			t.Fatal(err)
		}
		b.send(1, 2)
		r := b.start(b.options("a"))
		b.await(8)
		r.stop()
		var letters []modelwatch.DeadLetter
		var rejected int64
		for _, c := range b.catalog.ledger() {
			letters = append(letters, c.DeadLetters...)
			for _, v := range c.Volumes {
				rejected += v.Rejected
			}
		}
		reasons := []modelwatch.DeadLetterReason{modelwatch.DeadInvalidJSON, modelwatch.DeadNotObject, modelwatch.DeadNoID, modelwatch.DeadEmpty}
		if len(letters) != len(reasons) {
			t.Fatalf("%d dead letters, want %d", len(letters), len(reasons))
		}
		for i, l := range letters {
			if l.Reason != reasons[i] || l.Offset != int64(i+2) || l.Topic != topic || l.Detail == "" || l.Time.IsZero() {
				t.Errorf("letter %d: %+v", i, l)
			}
			if i < len(bad) && string(l.Value) != bad[i] || i == len(bad) && string(l.Key) != "k" {
				t.Errorf("letter %d: key %q, value %q", i, l.Key, l.Value)
			}
		}
		if rejected != 1 {
			t.Errorf("%d rejections are attributed, want the one whose model is known", rejected)
		}
		if next, err := checkTiling(b.catalog.ledger()); err != nil || len(next) != 1 {
			t.Error(next, err)
		}
	})
}

// TestSampling: predictions are kept by their rank, labels always, and counts are
// of what was seen.
func TestSampling(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		b.catalog.put(modelwatch.Version{Model: "m", Name: "1", SamplingRate: 0.25, Schema: modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeNumber}}}})
		b.send(2, 400)
		for i := range 100 {
			b.produce(int32(i%2), fmt.Sprintf(`{"kind":"label","model":"m","version":"1","id":"p-%d","label":%d}`, i, i%2))
		}
		o := b.options("a")
		o.Salt = modelwatch.Salt{1, 2, 3}
		r := b.start(o)
		b.await(500)
		r.stop()
		kept := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)
		want := 0
		for i := range 400 {
			id := fmt.Sprintf("p-%d", i)
			keep := modelwatch.Rank(o.Salt, []byte(id)) < modelwatch.RankLimit(0.25)
			if keep {
				want++
			}
			if (kept[id] == 1) != keep {
				t.Errorf("%s has %d rows, its rank says %v", id, kept[id], keep)
			}
		}
		if labels := keptIDs(b.catalog, b.archive, modelwatch.KindLabel); len(labels) != 100 {
			t.Errorf("%d labels are kept of 100", len(labels))
		}
		var seen, rows int64
		for _, c := range b.catalog.ledger() {
			for _, v := range c.Volumes {
				if v.Kind == modelwatch.KindPrediction {
					seen += v.Seen
					rows += v.Kept
				}
			}
			for _, f := range c.Files {
				if rate := map[modelwatch.Kind]float64{modelwatch.KindPrediction: 0.25, modelwatch.KindLabel: 1}[f.Kind]; f.SamplingRate != rate {
					t.Errorf("%s file has rate %v", f.Kind, f.SamplingRate)
				}
			}
		}
		if seen != 400 || rows != int64(want) {
			t.Errorf("volumes say %d seen, %d kept; want 400, %d", seen, rows, want)
		}
	})
}

// TestRegistration: a version is known from its traffic, then registered with
// other types. The change is followed, and files of both schemas are kept apart.
func TestRegistration(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.SchemaAge = 5 * time.Second
		r := b.start(o)
		b.send(1, 5)
		b.await(5)
		if s := b.catalog.version("m", "1").Schema; len(s.Features) != 1 || s.Features[0].Type != modelwatch.TypeNumber {
			t.Errorf("schema from traffic: %+v", s)
		}
		b.catalog.put(modelwatch.Version{Model: "m", Name: "1", Schema: modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeCategory}}}})
		time.Sleep(6 * time.Second) // of the bubble's clock
		b.send(1, 5)
		b.await(10)
		b.produce(0, `{"kind":"prediction","model":"m","version":"1","id":"x","features":{"n":"text","new":1}}`)
		b.await(11)
		r.stop()
		types := map[modelwatch.FeatureType]int{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				chunk := b.archive.chunk(f.Key)
				types[chunk.Column("n").Type] += chunk.Rows
				if extra := cell(chunk, "_extra", 0); cell(chunk, "_id", 0) == "x" && extra != `{"features":{"new":1}}` {
					t.Errorf("_extra is %s", extra)
				}
			}
		}
		if types[modelwatch.TypeNumber] != 5 || types[modelwatch.TypeCategory] != 6 {
			t.Errorf("rows by type of n: %v", types)
		}
	})
}

// TestGrowthRace: two consumers find different columns of one version at a time.
func TestGrowthRace(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		first, second := b.start(b.options("a")), b.start(b.options("b"))
		for first.Stats().Partitions != 1 || second.Stats().Partitions != 1 {
			time.Sleep(time.Second) // of the bubble's clock
		}
		for i := range 20 {
			b.produce(0, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"a-%d","features":{"a%d":1,"both":1}}`, i, i))
			b.produce(1, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"b-%d","features":{"b%d":"x","both":"x"}}`, i, i))
		}
		b.await(40)
		first.stop()
		second.stop()
		if n := len(b.catalog.version("m", "1").Schema.Features); n != 41 {
			t.Errorf("%d features, want 41", n)
		}
		types := map[modelwatch.FeatureType]bool{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				types[b.archive.chunk(f.Key).Column("both").Type] = true
			}
		}
		if len(types) != 1 {
			t.Errorf("the column that both found has the types %v", types)
		}
	})
}

// TestHours: rows go into files by the hour of their event.
func TestHours(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		now := testNow
		for i, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-48 * time.Hour)} {
			b.produce(0, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"%d","time":%q}`, i, at.Format(time.RFC3339)))
		}
		o := b.options("a")
		o.Now = func() time.Time { return now }
		r := b.start(o)
		b.await(4)
		r.stop()
		rows := map[time.Duration]int64{}
		for _, c := range b.catalog.ledger() {
			for _, f := range c.Files {
				if f.MinTime.Truncate(time.Hour) != f.MaxTime.Truncate(time.Hour) {
					t.Errorf("file of %s to %s", f.MinTime, f.MaxTime)
				}
				rows[now.Truncate(time.Hour).Sub(f.MinTime.Truncate(time.Hour))] += f.Rows
			}
		}
		if want := map[time.Duration]int64{0: 1, time.Hour: 2, 48 * time.Hour: 1}; !maps.Equal(rows, want) {
			t.Errorf("rows by hour ago: %v, want %v", rows, want)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Sources: []Source{{Topic: "a", Format: "xml"}, {Topic: "a"}, {}}, DefaultRate: 2, FlushBytes: 10, MemoryBytes: 15,
		Catalog: newFakeCatalog(), Archive: newFakeArchive(), FileKey: fakeKey,
	})
	var e *modelwatch.Error
	if !errors.As(err, &e) || e.Code != modelwatch.CodeInvalid {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`sources[0].format: format "xml" is not known; known: algorithmia, avro, azureml, bentoml, databricks, json, jsonschema, kserve, mlserver, modelwatch, protobuf, sagemaker, seldon`, `sources[1].topic: topic "a" is named twice`, `sources[2].topic: it is empty`,
		`group: it is empty`, `owner: it is empty`, `sampling_rate: it is 2`, `memory: it is 15 bytes`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
