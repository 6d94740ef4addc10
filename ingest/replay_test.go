package ingest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// lettersOf returns the dead letters of all commits.
func lettersOf(commits []modelwatch.IngestCommit) (letters []modelwatch.DeadLetter) {
	for _, c := range commits {
		letters = append(letters, c.DeadLetters...)
	}
	return letters
}

func replaysOf(commits []modelwatch.IngestCommit) (replays []modelwatch.Replay) {
	for _, c := range commits {
		replays = append(replays, c.Replays...)
	}
	return replays
}

// record identifies the record at an offset of a partition.
func (b *testBundle) record(partition int32, offset int64) modelwatch.RecordID {
	b.t.Helper()
	for _, c := range b.catalog.ledger() {
		for _, r := range c.Ranges {
			return modelwatch.RecordID{TopicID: r.TopicID, Partition: partition, Offset: offset}
		}
	}
	b.t.Fatal("nothing is committed")
	return modelwatch.RecordID{}
}

// republish produces a letter again as the service does.
func (b *testBundle) republish(partition int32, d modelwatch.DeadLetter, record modelwatch.RecordID) {
	b.t.Helper()
	headers := []kgo.RecordHeader{
		{Key: modelwatch.HeaderReplayOf, Value: []byte(record.String())},
		{Key: modelwatch.HeaderReplayTime, Value: strconv.AppendInt(nil, d.Time.UnixMicro(), 10)},
	}
	for _, h := range d.Headers {
		headers = append(headers, kgo.RecordHeader(h))
	}
	r := &kgo.Record{Topic: topic, Partition: partition, Key: d.Key, Value: b.archive.letter(d), Headers: headers}
	if err := b.producer.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// offsets is how many records the commits account for, whatever became of them.
func offsets(commits []modelwatch.IngestCommit) (n int64) {
	for _, c := range commits {
		for _, r := range c.Ranges {
			n += r.To - max(r.From, 0)
		}
	}
	return n
}

func (b *testBundle) awaitOffsets(n int64) {
	b.t.Helper()
	if err := b.catalog.await(b.t.Context(), func(cs []modelwatch.IngestCommit) bool { return offsets(cs) >= n }); err != nil {
		b.t.Fatal(err)
	}
}

// early is an event whose time is two days ahead: it is refused today, and right
// in two days.
func early(id string) string {
	at := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":%q,"time":%q,"features":{"n":1}}`, id, at)
}

// laterClock is a clock of events that advance moves by two days.
func laterClock() (now func() time.Time, advance func()) {
	var offset atomic.Int64
	return func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }, func() { offset.Store(int64(48 * time.Hour)) }
}

func TestReplayIsPlacedOnce(t *testing.T) {
	bubble(t, 3, func(t *testing.T, b *testBundle) {
		b.produce(0, early("p-0"))
		later, advance := laterClock()
		o, p := b.options("a"), b.options("b")
		o.Now, p.Now = later, later
		first, second := b.start(o), b.start(p)
		b.awaitOffsets(1)
		letter := lettersOf(b.catalog.ledger())[0]
		if letter.Reason != modelwatch.DeadTimeOutOfSpan || letter.Size != int64(len(letter.Value)) || len(letter.Checksum) != 64 {
			t.Fatalf("the letter is %+v", letter)
		}
		advance()
		record := b.record(0, 0)
		b.catalog.queue(record, true)
		for i := range int32(9) { // in one batch, and in batches of two consumers
			b.republish(i%3, letter, record)
		}
		b.awaitOffsets(10)
		b.republish(1, letter, record) // after the commit
		b.awaitOffsets(11)
		repeated := first.metric("replays_total", "repeated") + second.metric("replays_total", "repeated")
		if placed := first.metric("replays_total", "placed") + second.metric("replays_total", "placed"); placed != 1 || repeated != 9 {
			t.Errorf("%v replays were placed and %v repeated, want 1 and 9", placed, repeated)
		}
		first.stop()
		second.stop()
		if n := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)["p-0"]; n != 1 {
			t.Errorf("p-0 has %d rows", n)
		}
		if n := accounted(b.catalog.ledger()); n != 2 { // the letter, and the row
			t.Errorf("%d records are accounted for, want 2", n)
		}
		if _, err := checkTiling(b.catalog.ledger()); err != nil {
			t.Error(err)
		}
	})
}

// TestReplayOutlivesCrashes kills the consumer at each point of the flush that
// places a replay.
func TestReplayOutlivesCrashes(t *testing.T) {
	for _, point := range Points() {
		t.Run(point, func(t *testing.T) {
			bubble(t, 2, func(t *testing.T, b *testBundle) {
				b.produce(0, early("p-0"))
				r := b.start(b.options("a"))
				b.awaitOffsets(1)
				r.stop()
				later, advance := laterClock()
				advance()
				letter, record := lettersOf(b.catalog.ledger())[0], b.record(0, 0)
				b.catalog.queue(record, true)
				b.republish(0, letter, record)
				b.republish(1, letter, record)
				o := b.options("b")
				o.Now = later
				o.Hooks.At = func(at string) error {
					if at == point {
						return errors.New("power cut")
					}
					return nil
				}
				killed := b.start(o)
				<-killed.done
				o = b.options("c")
				o.Now = later
				next := b.start(o)
				b.awaitOffsets(3)
				next.stop()
				if n := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)["p-0"]; n != 1 {
					t.Errorf("p-0 has %d rows", n)
				}
			})
		})
	}
}

func TestReplayIsRefusedAgain(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("kept %v", kept), func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, b *testBundle) {
				b.produce(0, `{"kind":"prediction","model":"m","version":"1"}`)
				r := b.start(b.options("a"))
				b.awaitOffsets(1)
				letter, record := lettersOf(b.catalog.ledger())[0], b.record(0, 0)
				b.catalog.queue(record, kept)
				b.republish(0, letter, record)
				b.awaitOffsets(2)
				r.stop()
				replays := replaysOf(b.catalog.ledger())
				if len(replays) != 1 || replays[0].Record != record || replays[0].Reason != modelwatch.DeadNoID || replays[0].Model != "m" || replays[0].Detail == "" {
					t.Errorf("replays: %+v", replays)
				}
				want := 1 // the letter that is there says why
				if !kept {
					want = 2
				}
				if letters := lettersOf(b.catalog.ledger()); len(letters) != want {
					t.Errorf("%d letters, want %d", len(letters), want)
				}
			})
		})
	}
}

// TestUnknownReplay: headers that nobody has asked for change nothing.
func TestUnknownReplay(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		for i, header := range []string{"00000000000000000000000000000000/0/0", "x", "", "/", strings.Repeat("0", 32) + "/-1/1"} {
			r := &kgo.Record{
				Topic: topic, Value: fmt.Appendf(nil, `{"kind":"prediction","model":"m","version":"1","id":"p-%d"}`, i),
				Headers: []kgo.RecordHeader{{Key: modelwatch.HeaderReplayOf, Value: []byte(header)}, {Key: modelwatch.HeaderReplayTime, Value: []byte("1")}},
			}
			if err := b.producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			b.sent++
		}
		r := b.start(b.options("a"))
		b.await(b.sent)
		r.stop()
		b.exactlyOnce()
	})
}

func TestLargeLettersLieInTheArchive(t *testing.T) {
	for _, point := range append(Points(), "") {
		t.Run(point, func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, b *testBundle) {
				values := []string{"[" + strings.Repeat("1,", 60_000) + "]", "{}", "[" + strings.Repeat("2,", 30_000), strings.Repeat("3", maxInlineLetter)}
				for _, v := range values {
					b.produce(0, v)
				}
				o, once := b.options("a"), false
				o.Hooks.At = func(at string) error {
					if at == point && !once {
						once = true
						return errors.New("power cut")
					}
					return nil
				}
				r := b.start(o)
				if point != "" {
					<-r.done
					r = b.start(b.options("b"))
				}
				b.awaitOffsets(int64(len(values)))
				r.stop()
				letters := lettersOf(b.catalog.ledger())
				if len(letters) != len(values) {
					t.Fatalf("%d letters, want %d", len(letters), len(values))
				}
				for i, d := range letters {
					if got := string(b.archive.letter(d)); got != values[i] || d.Size != int64(len(values[i])) || d.Truncated {
						t.Errorf("letter %d has %d bytes, want %d: %+v", i, len(got), len(values[i]), d.Object)
					}
					if inArchive := d.Object.Key != ""; inArchive != (len(values[i]) > maxInlineLetter) || inArchive == (d.Value != nil) {
						t.Errorf("letter %d of %d bytes lies in the archive: %v", i, len(values[i]), inArchive)
					}
				}
			})
		})
	}
}

func TestLetterKeepsHeadersAndKey(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("k"), maxLetterMeta+1)
	fail := &rejection{failure: *failf(modelwatch.DeadEmpty, "nothing")}
	d := newLetter(&kgo.Record{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{
		{Key: "a", Value: []byte{0xff}}, {Key: modelwatch.HeaderReplayOf, Value: []byte("x")}, {Key: "a"},
	}}, fail, time.Now())
	want := []modelwatch.RecordHeader{{Key: "a", Value: []byte{0xff}}, {Key: "a"}}
	if d.Truncated || string(d.Key) != "k" || !slices.EqualFunc(d.Headers, want, func(x, y modelwatch.RecordHeader) bool {
		return x.Key == y.Key && bytes.Equal(x.Value, y.Value)
	}) {
		t.Errorf("the letter is %+v", d)
	}
	for name, r := range map[string]*kgo.Record{
		"key":     {Key: long},
		"headers": {Headers: []kgo.RecordHeader{{Key: "a"}, {Key: "b", Value: long}}},
	} {
		d := newLetter(r, fail, time.Now())
		if !d.Truncated || len(d.Key) > maxLetterMeta || len(d.Headers) > 1 {
			t.Errorf("%s: a letter of %d bytes of key and %d headers is truncated: %v", name, len(d.Key), len(d.Headers), d.Truncated)
		}
	}
}

// TestDeadLetterTopic kills the consumer before and after its commit: each letter
// is in the topic at least once, and in the catalog exactly once.
func TestDeadLetterTopic(t *testing.T) {
	for _, point := range []string{"", PointIntended, PointUploaded, PointCommitted} {
		t.Run(point, func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, b *testBundle) {
				const dead = "dead"
				if _, err := kadm.NewClient(b.producer).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": kadm.StringPtr("200000")}, dead); err != nil {
					t.Fatal(err)
				}
				values := []string{"{", noise(100_000), noise(250_000), noise(maxProducedLetter + 2)}
				for _, v := range values {
					b.produce(0, v)
				}
				o, once := b.options("a"), false
				o.DeadLetterTopic = dead
				o.Hooks.At = func(at string) error {
					if at == point && !once {
						once = true
						return errors.New("power cut")
					}
					return nil
				}
				r := b.start(o)
				if point != "" {
					<-r.done
					o.Owner = "b"
					r = b.start(o)
				}
				b.awaitOffsets(int64(len(values)))
				r.stop()
				if n := len(lettersOf(b.catalog.ledger())); n != len(values) {
					t.Errorf("%d letters, want %d", n, len(values))
				}
				b.wantProduced(dead, values)
			})
		})
	}
}

// noise is text that does not get smaller by compression, and is no JSON.
func noise(n int) string {
	raw := make([]byte, n/2)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(raw) // never fails
	return "x" + hex.EncodeToString(raw)[1:]
}

// wantProduced reads the topic of dead letters to its end.
func (b *testBundle) wantProduced(dead string, values []string) {
	b.t.Helper()
	ends, err := kadm.NewClient(b.producer).ListEndOffsets(b.t.Context(), dead)
	if err != nil {
		b.t.Fatal(err)
	}
	end, _ := ends.Lookup(dead, 0)
	reader := b.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{dead: {0: kgo.NewOffset().AtStart()}}))
	defer reader.Close()
	seen := map[string]bool{}
	for next := int64(0); next < end.Offset; {
		fetches := reader.PollFetches(b.t.Context())
		if err := fetches.Err(); err != nil {
			b.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			headers := map[string]string{}
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			i, err := strconv.Atoi(headers[headerLetterOffset])
			if err != nil || headers[headerLetterTopic] != topic || headers[headerLetterPartition] != "0" || headers[headerLetterReason] != "invalid_json" {
				b.t.Fatalf("headers %v", headers)
			}
			cut := len(values[i]) > 200_000
			if (headers[headerLetterTruncated] == "true") != cut || string(r.Value) != values[i] && !cut || cut && len(r.Value) > 0 {
				b.t.Errorf("letter %d of %d bytes was produced with %d bytes and the headers %v", i, len(values[i]), len(r.Value), headers)
			}
			seen[headers[headerLetterOffset]] = true
		})
	}
	if len(seen) != len(values) {
		b.t.Errorf("%d letters are in the topic, want %d", len(seen), len(values))
	}
}
