package ingest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// setupSource is a consumer, without Kafka, of one source.
func setupSource(t *testing.T, s Source) (*Consumer, *decoderBundle) {
	t.Helper()
	b := setupDecoder(t)
	src, err := newSource(s, b.decoder)
	if err != nil {
		t.Fatal(err)
	}
	return &Consumer{sources: map[string]*source{"t": src}, versions: b.decoder.versions}, b
}

func jsonRows() Source {
	return Source{Format: "json", Options: format.Options{Model: "fraud", Version: "7", Paths: map[string]string{
		"rows": "$.rows[*]", "id": "$.id", "time": "@.t", "features": "@.x", "score": "@.p",
	}}}
}

// TestPlaceEvents checks that the rows of one record become rows with ids of
// their own, under the model and version of the configuration.
func TestPlaceEvents(t *testing.T) {
	t.Parallel()
	c, b := setupSource(t, jsonRows())
	r := b.record(`{"id":"q","rows":[{"x":{"amount":1.5,"country":"DE"},"p":0.25},{"x":{"amount":2},"p":0.75}]}`)
	if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], r); err != nil {
		t.Fatal(err)
	}
	if len(b.batch.deadLetters) > 0 {
		t.Fatalf("dead letter: %s", b.batch.deadLetters[0].Detail)
	}
	chunk := b.chunk()
	var got []string
	for i := range chunk.Rows {
		got = append(got, strings.Join([]string{cell(chunk, "_id", i), cell(chunk, "amount", i), cell(chunk, "country", i), cell(chunk, "_score", i)}, " "))
	}
	slices.Sort(got)
	if want := []string{"q/0 1.5 DE 0.25", "q/1 2 - 0.75"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if v := b.catalog.version("fraud", "7"); len(v.Schema.Features) != 2 {
		t.Errorf("schema has %d features, want 2", len(v.Schema.Features))
	}
}

// TestPlaceEventsHeaders checks that a header goes before the configuration.
func TestPlaceEventsHeaders(t *testing.T) {
	t.Parallel()
	c, b := setupSource(t, jsonRows())
	r := b.record(`{"id":"q","rows":[{"x":{"a":1}}]}`, kgo.RecordHeader{Key: headerVersion, Value: []byte("8")})
	if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], r); err != nil {
		t.Fatal(err)
	}
	files := b.batch.files()
	if len(files) != 1 || files[0].key.version.model != "fraud" || files[0].key.version.name != "8" {
		t.Fatalf("got %d files, want one of fraud 8", len(files))
	}
}

// TestPlaceEventsTogether checks that a record with one row that has no place has
// none as a whole, so that a replay does not double the others.
func TestPlaceEventsTogether(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		reason      modelwatch.DeadLetterReason
		detail      string
	}{
		{"second row", `{"id":"q","rows":[{"x":{"a":1}},{"x":{"a":2},"t":"soon"}]}`, modelwatch.DeadInvalidTime, "row 1 of 2: "},
		{"not JSON", `{"id":`, modelwatch.DeadInvalidJSON, "not JSON"},
		{"not the shape", `{"id":"q"}`, modelwatch.DeadInvalidFormat, "the path of rows"},
		{"empty", ``, modelwatch.DeadEmpty, "the record has no value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, b := setupSource(t, jsonRows())
			if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], b.record(tt.value)); err != nil {
				t.Fatal(err)
			}
			if n := len(b.batch.builders); n != 0 {
				t.Errorf("%d files, want none", n)
			}
			if len(b.batch.deadLetters) != 1 {
				t.Fatalf("%d dead letters, want 1", len(b.batch.deadLetters))
			}
			letter := b.batch.deadLetters[0]
			if letter.Reason != tt.reason || !strings.HasPrefix(letter.Detail, tt.detail) || letter.Model != "fraud" || string(letter.Value) != tt.value {
				t.Errorf("got %s: %s (%s)", letter.Reason, letter.Detail, letter.Model)
			}
		})
	}
}

// TestSourceDefaults checks that records of the canonical format take the model
// and the version of the configuration where they name none.
func TestSourceDefaults(t *testing.T) {
	t.Parallel()
	c, b := setupSource(t, Source{Format: FormatModelwatch, Options: format.Options{Model: "fraud", Version: "7"}})
	for _, value := range []string{`{"kind":"prediction","id":"a","features":{"x":1}}`, `{"kind":"prediction","id":"b","model":"other","version":"1","features":{"x":1}}`} {
		if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], b.record(value)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, f := range b.batch.files() {
		got = append(got, f.key.version.model+" "+f.key.version.name)
	}
	if want := []string{"fraud 7", "other 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// outage is a format that cannot read some records for a while.
type outage struct{ down atomic.Bool }

func (f *outage) Decode(_ context.Context, r *format.Record, events []format.Event) ([]format.Event, error) {
	if f.down.Load() && bytes.Contains(r.Value, []byte(`"waits":true`)) {
		return events, errors.New("schema registry: no answer")
	}
	return append(events, format.Event{Raw: r.Value}), nil
}

// TestUnreadable: what a format cannot read for now is no dead letter. The
// consumer says so, what comes before it and beside it is committed, and
// afterwards all goes on without a gap.
func TestUnreadable(t *testing.T) {
	bubble(t, 2, func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.Sources = []Source{jsonRows()}
		o.Sources[0].Topic = topic
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		f := &outage{}
		f.down.Store(true)
		c.sources[topic].format = f
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		b.send(2, 10)
		b.produce(1, `{"kind":"prediction","model":"m","version":"1","id":"p-10","features":{"n":1,"waits":true}}`)
		b.produce(1, `{"kind":"prediction","model":"m","version":"1","id":"p-11","features":{"n":1}}`)
		b.await(10)
		b.produce(0, `{"kind":"prediction","model":"m","version":"1","id":"p-12","features":{"n":1}}`)
		b.await(11)
		for range 100 {
			if err = c.Ready(); err != nil && strings.Contains(err.Error(), "schema registry") {
				break
			}
			time.Sleep(100 * time.Millisecond) // of the bubble's clock
		}
		if err == nil || !strings.Contains(err.Error(), "schema registry") {
			t.Errorf("ready: %v", err)
		}
		f.down.Store(false)
		b.sent += 3
		b.await(b.sent)
		synctest.Wait()
		if err := c.Ready(); err != nil {
			t.Errorf("ready: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		b.exactlyOnce()
	})
}

// TestPlaceOpaque checks that rows of which a side was bytes are counted, if they are kept.
func TestPlaceOpaque(t *testing.T) {
	t.Parallel()
	c, b := setupSource(t, Source{Format: "seldon", Options: format.Options{Model: "fraud", Version: "7"}})
	place := func(id, kind, body string) {
		t.Helper()
		r := b.record(body, kgo.RecordHeader{Key: "type", Value: []byte("io.seldon.serving.inference." + kind)}, kgo.RecordHeader{Key: "requestid", Value: []byte(id)})
		if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], r); err != nil {
			t.Fatal(err)
		}
	}
	place("a", "request", `{"binData":"AAAA"}`)
	place("a", "response", `{"jsonData":{"score":0.5}}`)
	place("b", "response", `{"binData":"AAAA"}`)
	place("c", "request", `{"strData":"x"}`)
	if got := b.batch.counts; got.opaque != 2 || got.kept != 4 || len(b.batch.deadLetters) > 0 {
		t.Errorf("%d of %d rows are opaque, %d dead letters; want 2 of 4, none", got.opaque, got.kept, len(b.batch.deadLetters))
	}
}

// TestPlaceShared: what a record says once about all of its rows is read once a row,
// so how much of it is read is bounded.
func TestPlaceShared(t *testing.T) {
	t.Parallel()
	c, b := setupSource(t, Source{Format: "kserve", Options: format.Options{Model: "fraud", Version: "7"}})
	place := func(rows int) {
		t.Helper()
		r := b.record(`{"instances":[[1]` + strings.Repeat(`,[1]`, rows-1) + `]}`)
		for k, v := range map[string]string{"ce_type": "a.request", "ce_id": "r", "ce_namespace": strings.Repeat("x", 1<<20)} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
		}
		if err := c.placeRecord(context.Background(), b.batch, c.sources["t"], r); err != nil {
			t.Fatal(err)
		}
	}
	place(2)
	if n := b.batch.counts.kept; n != 2 || len(b.batch.deadLetters) > 0 {
		t.Fatalf("%d rows are kept, dead letters %+v", n, b.batch.deadLetters)
	}
	place(50_000)
	letters := b.batch.deadLetters
	if n := b.batch.counts.kept; n != 2 || len(letters) != 1 || letters[0].Reason != modelwatch.DeadTooLarge || !strings.HasPrefix(letters[0].Detail, "row 255 of 50000: ") {
		t.Errorf("%d rows are kept, dead letters %+v", n, letters)
	}
}
