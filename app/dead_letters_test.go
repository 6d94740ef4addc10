package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// setupIngest is setup with the ingest role, and with a broker in memory.
func setupIngest(t *testing.T, change func(*Config)) (*testBundle, *kgo.Client, [16]byte) {
	t.Helper()
	return setupIngestAs(t, []string{roleAPI, roleIngest}, change)
}

func setupIngestAs(t *testing.T, roles []string, change func(*Config)) (*testBundle, *kgo.Client, [16]byte) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, devTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := newProducer(cluster.ListenAddrs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topics, err := kadm.NewClient(client).ListTopics(t.Context(), devTopic)
	if err != nil {
		t.Fatal(err)
	}
	b := setupWith(t, roles, func(cfg *Config) {
		cfg.Kafka.Brokers = cluster.ListenAddrs()
		cfg.Ingest.FlushAge = Duration(100 * time.Millisecond)
		change(cfg)
	})
	return b, client, topics[devTopic].ID
}

// eventually asks until it holds: what is waited for happens in other goroutines
// of the service, which tell nobody.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never holds: %s", what)
		}
	}
}

// refused are records that an earlier version is taken to have refused: two of
// them are events that can be placed now, one of them large.
func (b *testBundle) refused(t *testing.T, topic [16]byte) map[string][]byte {
	t.Helper()
	event := func(id string, pad int) []byte {
		return fmt.Appendf(nil, `{"kind":"prediction","version":"1","id":%q,"features":{"note":%q}}`, id, strings.Repeat("n", pad))
	}
	values := map[string][]byte{"small": event("p-1", 1), "large": event("p-2", 40_000), "bad": []byte(`{"kind":"prediction"`), "cut": []byte("{")}
	const key = modelwatch.DeadLetterPrefix + "test.bin"
	if err := b.service.catalog.IntendUpload(t.Context(), []string{key}, "test"); err != nil {
		t.Fatal(err)
	}
	if err := b.service.archive.WriteDeadLetters(t.Context(), key, append([]byte("before"), values["large"]...)); err != nil {
		t.Fatal(err)
	}
	var letters []modelwatch.DeadLetter
	for i, name := range []string{"small", "large", "bad", "cut"} {
		d := modelwatch.DeadLetter{
			Topic: devTopic, TopicID: topic, Partition: 1, Offset: 1000 + int64(i), Reason: modelwatch.DeadNoModel, Detail: "model is absent", Key: []byte(name),
			Value: values[name], Size: int64(len(values[name])), Headers: []modelwatch.RecordHeader{{Key: "modelwatch-model", Value: []byte("credit")}},
			Time: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), Truncated: name == "cut",
		}
		if name == "large" {
			d.Value, d.Object = nil, modelwatch.ObjectPart{Key: key, Offset: 6, Length: d.Size}
		}
		letters = append(letters, d)
	}
	if err := b.service.catalog.CommitIngest(t.Context(), modelwatch.IngestCommit{ID: "earlier", Group: "earlier", DeadLetters: letters}); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestDeadLettersAreReplayedOnce(t *testing.T) {
	t.Parallel()
	b, _, topic := setupIngest(t, func(*Config) {})
	values := b.refused(t, topic)
	var out bytes.Buffer
	run := func(command func(context.Context, DeadLetterOptions) error, o DeadLetterOptions) string {
		t.Helper()
		out.Reset()
		o.Server, o.Streams.Out = b.url, &out
		if o.Format == "" {
			o.Format = "table"
		}
		if err := command(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := run(ReplayDeadLetters, DeadLetterOptions{DryRun: true}); got != "3 of 4 dead letters would be published again\n1 not: not all of their bytes were kept\n" {
		t.Errorf("dry run: %s", got)
	}
	if got := run(ReplayDeadLetters, DeadLetterOptions{Filter: modelwatch.DeadLetterFilter{Model: "other"}}); got != "0 of 0 dead letters published again\n" {
		t.Errorf("other model: %s", got)
	}
	if got := run(ReplayDeadLetters, DeadLetterOptions{}); got != "3 of 4 dead letters published again\n1 not: not all of their bytes were kept\n" {
		t.Errorf("replay: %s", got)
	}
	eventually(t, "two letters are placed and one is refused again", func() bool {
		counts, err := b.client.CountDeadLetters(t.Context(), api.DeadLetterFilter{State: modelwatch.DeadLetterReplayed})
		if err != nil {
			t.Fatal(err)
		}
		refused, err := b.client.CountDeadLetters(t.Context(), api.DeadLetterFilter{Reason: modelwatch.DeadInvalidJSON, State: modelwatch.DeadLetterOpen})
		if err != nil {
			t.Fatal(err)
		}
		return counts.Total == 2 && refused.Total == 1
	})
	if got := run(ReplayDeadLetters, DeadLetterOptions{Filter: modelwatch.DeadLetterFilter{Reason: modelwatch.DeadNoModel}, Format: "json"}); got != `{"matched":3,"replayed":0,"skipped":{"replayed":2,"truncated":1}}`+"\n" {
		t.Errorf("replay again: %s", got)
	}
	volumes, err := b.service.catalog.Volumes(t.Context(), "credit", modelwatch.Window{})
	if err != nil {
		t.Fatal(err)
	}
	var seen, kept int64
	for _, v := range volumes {
		seen += v.Seen
		kept += v.Kept
		if want := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC); !v.BucketStart.Equal(want) {
			t.Errorf("an event without a time is counted at %s, want its record's, %s", v.BucketStart, want)
		}
	}
	if seen != 2 || kept != 2 {
		t.Errorf("%d events seen and %d kept, want 2 of each", seen, kept)
	}
	b.wantLetters(t, run(ListDeadLetters, DeadLetterOptions{Format: "ndjson"}), values)
	if got := run(CountDeadLetters, DeadLetterOptions{}); !strings.Contains(got, "REASON        STATE     COUNT") {
		t.Errorf("summary:\n%s", got)
	}
}

// wantLetters checks what is downloaded of each letter.
func (b *testBundle) wantLetters(t *testing.T, listed string, values map[string][]byte) {
	t.Helper()
	n := 0
	for line := range strings.Lines(listed) {
		var d api.DeadLetter
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		n++
		path, raw := filepath.Join(t.TempDir(), "value"), bytes.Buffer{}
		o := DeadLetterOptions{Server: b.url, Streams: Streams{Out: &raw}}
		if err := GetDeadLetter(t.Context(), d.ID, true, o); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw.Bytes(), values[string(d.Key)]) {
			t.Errorf("letter %q: downloaded %d bytes, want %d", d.Key, raw.Len(), len(values[string(d.Key)]))
		}
		if o.Output = path; GetDeadLetter(t.Context(), d.ID, true, o) != nil {
			t.Errorf("letter %q cannot be written to a file", d.Key)
		}
		raw.Reset()
		if err := GetDeadLetter(t.Context(), d.ID, false, o); err != nil || !json.Valid(raw.Bytes()) {
			t.Errorf("letter %q: %s, %v", d.Key, raw.String(), err)
		}
	}
	if n != len(values) {
		t.Errorf("%d letters listed, want %d", n, len(values))
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"plain über": "plain über", "a\x1b[2J\tb\n": `a\x1b[2J\tb\n`, "\xff": `\xff`} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) is %q, want %q", text, got, want)
		}
	}
}
