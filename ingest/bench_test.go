package ingest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/simulate"
	"github.com/modelwatch/modelwatch/table"
)

// wide is a version of 50 features, 38 numbers and 12 categories, and events of
// it of about 1.3 KB.
func wide(n int) (modelwatch.Version, []*kgo.Record) {
	v := modelwatch.Version{Model: "fraud", Name: "3.1.0", SamplingRate: 1, Registered: true}
	for i := range 50 {
		f := modelwatch.Feature{Name: fmt.Sprintf("feature_%02d", i), Type: modelwatch.TypeNumber}
		if i%4 == 3 {
			f.Type = modelwatch.TypeCategory
		}
		v.Schema.Features = append(v.Schema.Features, f)
	}
	v.Schema.Score, v.Schema.Predicted = modelwatch.TypeNumber, modelwatch.TypeCategory
	random := rand.New(rand.NewPCG(1, 2))
	records := make([]*kgo.Record, n)
	for i := range records {
		var b strings.Builder
		fmt.Fprintf(&b, `{"kind":"prediction","model":"fraud","version":"3.1.0","id":"0b9c4a8e-%08x","time":"2026-11-21T10:%02d:%02d.%03dZ","features":{`, random.Uint32(), i/60%60, i%60, i%1000)
		for j, f := range v.Schema.Features {
			if j > 0 {
				b.WriteByte(',')
			}
			switch {
			case f.Type == modelwatch.TypeCategory:
				fmt.Fprintf(&b, `%q:"cat-%d"`, f.Name, random.IntN(20))
			case j%2 == 0:
				fmt.Fprintf(&b, `%q:%v`, f.Name, random.Float64()) // up to 17 digits
			default:
				fmt.Fprintf(&b, `%q:%.2f`, f.Name, random.Float64()*1000)
			}
		}
		fmt.Fprintf(&b, `},"prediction":{"score":%.4f,"label":"ok"},"tags":{"region":"eu"}}`, random.Float64())
		records[i] = &kgo.Record{Topic: "t", Offset: int64(i), Value: []byte(b.String()), Timestamp: testNow}
	}
	return v, records
}

// BenchmarkFetch reads a topic of a real broker, in batches compressed by lz4, and only
// counts its records. CPU is that of the client.
func BenchmarkFetch(b *testing.B) {
	const events = 200_000
	kafka := testserver.Kafka(b)
	topic := kafka.Topic(b, 8)
	_, records := wide(2000)
	producer := kafka.Client(b, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	for i := range events {
		producer.Produce(b.Context(), &kgo.Record{Value: records[i%len(records)].Value}, nil)
	}
	if err := producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	var cpu time.Duration
	for b.Loop() {
		before := processor(b)
		client := kafka.Client(b, append(fetchOptions(), kgo.ConsumeTopics(topic))...)
		for n := 0; n < events; {
			fetches := client.PollRecords(b.Context(), pollRecords)
			if err := fetches.Err(); err != nil {
				b.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				n++
				r.Recycle()
			})
		}
		client.Close()
		cpu += processor(b) - before
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*events), "CPU-ns/event")
	b.ReportMetric(float64(b.N*events)/cpu.Seconds(), "events/CPU-s")
}

// simulated is wide with the events of package simulate: numbers of few decimals.
func simulated(n int) (modelwatch.Version, []*kgo.Record) {
	events := simulate.NewWide(simulate.WideOptions{Seed: 1, Start: testNow.Truncate(time.Hour)})
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: "t", Offset: int64(i), Value: events.Next().Value, Timestamp: testNow}
	}
	return events.Version(), records
}

// BenchmarkDecode is the way of a record from its bytes into the columns of a
// batch. Batches of 20,000 rows are thrown away as a flush would.
func BenchmarkDecode(b *testing.B) { benchmarkDecode(b, 1, true) }

// BenchmarkParse is BenchmarkDecode without the batch.
func BenchmarkParse(b *testing.B) { benchmarkDecode(b, 1, false) }

// BenchmarkParseAway is BenchmarkParse of events that are sampled away.
func BenchmarkParseAway(b *testing.B) { benchmarkDecode(b, 1e-12, false) }

func benchmarkDecode(b *testing.B, rate float64, add bool) {
	for _, of := range []struct {
		name   string
		events func(int) (modelwatch.Version, []*kgo.Record)
	}{{"wide", wide}, {"simulated", simulated}} {
		b.Run(of.name, func(b *testing.B) {
			v, records := of.events(2000)
			v.SamplingRate = rate
			bundle := setupDecoder(b, v)
			b.SetBytes(int64(len(records[0].Value)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				row, rejected, err := bundle.decoder.decode(context.Background(), records[i%len(records)])
				if err != nil || rejected != nil {
					b.Fatal(err, rejected)
				}
				if i++; !add {
					continue
				}
				bundle.batch.add(&bundle.decoder.event, row)
				if i%20_000 == 0 {
					bundle.batch = bundle.batch.emptied()
				}
			}
		})
	}
}

// emptied throws the rows away; their pages go back to who lent them.
func (b *batch) emptied() *batch {
	for _, f := range b.files() {
		f.seal()
		f.release()
	}
	return newBatch(b.lent)
}

func encode(b *testing.B, rows table.Rows) {
	w, err := table.NewWriter(io.Discard, rows.Infos(), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Finish(rows); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSortByRank(b *testing.B) {
	ranks := make([]int64, 65_536)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range ranks {
		ranks[i] = random.Int64N(1 << modelwatch.RankBits)
	}
	for b.Loop() {
		sortedByRank(ranks)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ranks)), "ns/row")
}

// encodingArchive encodes data files and keeps nothing.
type encodingArchive struct{ b *testing.B }

func (a encodingArchive) WriteDataFile(_ context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error) {
	encode(a.b, rows)
	return modelwatch.DataFile{Key: fakeKey(spec), Kind: spec.Kind, Model: spec.Model, Version: spec.Version, Rows: int64(rows.Len())}, nil
}

func (encodingArchive) WriteDeadLetters(context.Context, string, []byte) error { return nil }

// BenchmarkConsume is the whole way but for the object store and SQL: from a broker in
// memory, which takes its share of the processor, to encoded Parquet. An operation
// is a record.
func BenchmarkConsume(b *testing.B) {
	const partitions = 4
	v, records := wide(2000)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "t"))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	client := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	producer, err := kgo.NewClient(append(client, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0))...)
	if err != nil {
		b.Fatal(err)
	}
	defer producer.Close()
	for i := range b.N {
		r := *records[i%len(records)]
		r.Timestamp = testNow
		producer.Produce(b.Context(), &r, nil)
	}
	if err := producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	catalog := newFakeCatalog()
	catalog.put(v)
	c, err := New(Options{
		Client: client, Sources: []Source{{Topic: "t"}}, Group: "g", Owner: "o", Catalog: catalog, Archive: encodingArchive{b}, FileKey: fakeKey,
		FlushAge: time.Second, Now: func() time.Time { return testNow }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(records[0].Value)))
	b.ReportAllocs()
	b.ResetTimer()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	if err := catalog.await(ctx, func(cs []modelwatch.IngestCommit) bool { return accounted(cs) >= b.N }); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
