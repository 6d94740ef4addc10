package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// TestFeatureLimit: traffic makes at most so many features; the rest is kept
// beside them, up to a bound by row.
func TestFeatureLimit(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t)
	var features []string
	for i := range maxFeatures + 100 {
		features = append(features, fmt.Sprintf(`"f%04d":%d`, i, i))
	}
	b.mustSend(`{"kind":"prediction","model":"m","id":"1","features":{` + strings.Join(features, ",") + `}}`)
	if n := len(b.catalog.version("m", "0").Schema.Features); n != maxFeatures {
		t.Errorf("%d features, want %d", n, maxFeatures)
	}
	b.mustSend(`{"kind":"prediction","model":"m","id":"2","features":{"late":1}}`)
	if b.batch.counts.unknown != 101 || b.batch.counts.truncated != 0 {
		t.Errorf("%d unknown fields, %d truncated", b.batch.counts.unknown, b.batch.counts.truncated)
	}
	c := b.chunk()
	var extra struct{ Features map[string]int }
	for i := range c.Rows {
		if err := json.Unmarshal([]byte(cell(c, "_extra", i)), &extra); err != nil {
			t.Fatal(err)
		}
		if n := len(extra.Features); n != 100 && n != 101 { // decoded into one map, in the order of ranks
			t.Errorf("%d features in _extra", n)
		}
	}
}

func TestExtraLimit(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	value := `"` + strings.Repeat("x", 6000) + `"`
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"1","a":` + value + `,"b":` + value + `,"c":` + value + `,"d":1,"features":{"e":` + value + `}}`)
	if b.batch.counts.unknown != 5 || b.batch.counts.truncated != 2 {
		t.Errorf("%d unknown fields, %d truncated; want 5, 2", b.batch.counts.unknown, b.batch.counts.truncated)
	}
	if got, want := cell(b.chunk(), "_extra", 0), `{"a":`+value+`,"b":`+value+`,"d":1,"_truncated":2}`; got != want {
		t.Errorf("_extra: got %.100s... (%d bytes), want %d bytes", got, len(got), len(want))
	}
}

func TestTagAndClassLimits(t *testing.T) {
	t.Parallel()
	for _, registered := range []bool{false, true} {
		t.Run(fmt.Sprintf("registered %v", registered), func(t *testing.T) {
			t.Parallel()
			b := setupDecoder(t)
			if registered {
				b.catalog.put(fraud())
			}
			for i := range 50 {
				b.mustSend(fmt.Sprintf(`{"kind":"prediction","model":"fraud","version":"3","id":"%d","tags":{"t%d":"x"},"prediction":{"scores":{"c%d":0.5}}}`, i, i, i))
			}
			tags, classes := 0, 0
			c := b.chunk()
			for _, col := range c.Columns {
				if strings.HasPrefix(col.Name, "_tag_") {
					tags++
				} else if strings.HasPrefix(col.Name, "_score_") {
					classes++
				}
			}
			if tags != maxTags || classes != 50 || b.catalog.version("fraud", "3").Registered != registered {
				t.Errorf("%d tags, %d classes", tags, classes)
			}
			if s := b.catalog.version("fraud", "3").Schema; registered && (len(s.Tags) > 0 || len(s.Classes) > 0) {
				t.Errorf("the registered schema was changed: %+v", s)
			} else if !registered && (len(s.Tags) != maxTags || len(s.Classes) != 50) {
				t.Errorf("the schema has %d tags, %d classes", len(s.Tags), len(s.Classes))
			}
		})
	}
}

func TestModelLimit(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	event := func(model string) string { return `{"kind":"prediction","model":"` + model + `","id":"1"}` }
	for i := range maxUnregisteredModels {
		b.mustSend(event(fmt.Sprintf("m%d", i)))
	}
	for range 3 {
		if rejected := b.send(event("one-too-many")); rejected == nil || rejected.reason != modelwatch.DeadTooManyModels {
			t.Fatalf("got %+v", rejected)
		}
	}
	b.mustSend(event("m7"))
	b.mustSend(prediction) // registered: it does not count
	if _, ok := b.catalog.versions[[2]string{"one-too-many", "0"}]; ok {
		t.Error("the refused model is in the catalog")
	}
	// Registered, it is taken as soon as the refusal is old.
	b.catalog.put(modelwatch.Version{Model: "one-too-many", Name: "0"})
	b.decoder.versions.missing["one-too-many\x000"] = time.Now().Add(-2 * time.Hour)
	b.mustSend(event("one-too-many"))
}

// TestManyNames: an object with very many unknown names is read in time
// that grows with their number, not its square (which would be minutes).
func TestManyNames(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	var sb strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&sb, `,"n%d":1`, i)
	}
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"1"` + sb.String() + `}`)
	if rejected := b.send(`{"kind":"prediction","model":"fraud","version":"3","id":"1"` + sb.String() + `,"n17":1}`); rejected == nil || rejected.reason != modelwatch.DeadDuplicateKey {
		t.Errorf("got %+v", rejected)
	}
}

// TestBatchFull: a batch of very many small files, or of very many dead letters, is
// flushed whatever its size.
func TestBatchFull(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	for i := range maxBuilders {
		if b.batch.full(1 << 40) {
			t.Fatalf("full after %d files", i)
		}
		at := testNow.Add(-time.Duration(i) * time.Hour).Format(time.RFC3339)
		b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"1","time":"` + at + `"}`)
	}
	if !b.batch.full(1 << 40) {
		t.Error("not full of files")
	}
	b.batch = newBatch(new(pages))
	for range maxDeadLetters {
		b.send(`{}`)
	}
	if !b.batch.full(1 << 40) {
		t.Error("not full of dead letters")
	}
}

// TestBytes: the estimate of memory follows what is appended, wide rows included.
func TestBytes(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"1","features":{"country":"` + strings.Repeat("x", 60_000) + `"}}`)
	if b.batch.bytes < 60_000 || b.batch.bytes > 70_000 {
		t.Errorf("%d bytes for a text of 60,000", b.batch.bytes)
	}
	before := b.batch.bytes
	for i := range 1000 {
		b.mustSend(fmt.Sprintf(`{"kind":"prediction","model":"fraud","version":"3","id":"%d","features":{"amount":1}}`, i))
	}
	if perRow := (b.batch.bytes - before) / 1000; perRow < 60 || perRow > 120 {
		t.Errorf("%d bytes for a row of one number", perRow)
	}
}

// TestRejectionOfAVersionNotYetMet: a process that has just begun counts a dead letter
// for its version as one that has met the version does, and makes none known by it.
func TestRejectionOfAVersionNotYetMet(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	asked := 0
	b.catalog.setFail(func(string) error {
		asked++
		return nil
	})
	rejected := b.send(`{"kind":"prediction","model":"fraud","version":"3","features":{"amount":1}}`)
	if rejected == nil || rejected.version == nil || rejected.version.model != "fraud" || rejected.version.name != "3" {
		t.Fatalf("got %+v", rejected)
	}
	for _, event := range []string{`{"kind":"prediction","model":"fraud","version":"4"}`, `{"kind":"prediction","model":"none"}`, `{"kind":"label","model":"none","label":1}`} {
		for range 2 {
			if rejected := b.send(event); rejected == nil || rejected.version != nil {
				t.Errorf("%s: got %+v", event, rejected)
			}
		}
	}
	if n := len(b.catalog.versions); n != 1 {
		t.Errorf("the catalog has %d versions, want the registered one", n)
	}
	if asked != 4 {
		t.Errorf("the catalog was asked %d times, want once about each version", asked)
	}
}

// TestHundredThousandModels: a producer that sends 100,000 models, and one that sends
// 100,000 features, are refused beyond the limits; each event is counted, and neither
// the catalog nor this process holds more for it.
func TestHundredThousandModels(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t)
	const models = 100_000
	refused := 0
	for i := range models {
		if rejected := b.send(fmt.Sprintf(`{"kind":"prediction","model":"m-%d","id":"1"}`, i)); rejected != nil {
			if rejected.reason != modelwatch.DeadTooManyModels {
				t.Fatalf("got %+v", rejected)
			}
			refused++
		}
		if b.batch.full(1 << 30) { // as it is flushed
			b.batch = newBatch(new(pages))
		}
	}
	vs := b.decoder.versions
	if refused != models-maxUnregisteredModels || len(b.catalog.versions) != maxUnregisteredModels || len(vs.models) != maxUnregisteredModels || len(vs.missing) > maxUnregisteredVersions {
		t.Errorf("%d events were refused; the catalog has %d models, the cache %d and %d that are not known", refused, len(b.catalog.versions), len(vs.models), len(vs.missing))
	}
	const features, each = 100_000, 100
	unknown := int64(0)
	for i := range features / each {
		var event strings.Builder
		for j := range each {
			fmt.Fprintf(&event, `,"f-%d":%d`, i*each+j, j)
		}
		b.mustSend(`{"kind":"prediction","model":"m-1","id":"1","features":{` + event.String()[1:] + `}}`)
		if b.batch.full(1 << 30) {
			unknown += b.batch.counts.unknown
			b.batch = newBatch(new(pages))
		}
	}
	unknown += b.batch.counts.unknown
	if n := len(b.catalog.version("m-1", "0").Schema.Features); n != maxFeatures || unknown != features-maxFeatures {
		t.Errorf("%d features, %d values of unknown ones; want %d and %d", n, unknown, maxFeatures, features-maxFeatures)
	}
}
