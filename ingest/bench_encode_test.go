package ingest

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/simulate"
)

// discardingBucket takes objects and keeps none.
type discardingBucket struct {
	archive.Bucket
	objects, bytes int
}

func (d *discardingBucket) PutIfAbsent(_ context.Context, _ string, body []byte, _ string) error {
	d.objects++
	d.bytes += len(body)
	return nil
}

// BenchmarkEncode is the way of a sealed batch of wide events to the bytes of its
// object: sorted by rank, written as Parquet, read back, and digested. CPU is that of
// the process, what the garbage collector takes beside it included.
func BenchmarkEncode(b *testing.B) {
	const rows = 130_000 // as many fill a batch of the default size
	sealed := wideBuilder(b, rows)
	bucket := &discardingBucket{}
	a := archive.New(bucket, archive.Options{})
	spec := sealed.spec("c", "20261121T100000Z-c-0")
	var cpu time.Duration
	for b.Loop() {
		before := processor(b)
		if _, err := a.WriteDataFile(b.Context(), spec, sealed.sorted()); err != nil {
			b.Fatal(err)
		}
		cpu += processor(b) - before
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*rows), "CPU-ns/event")
	b.ReportMetric(float64(bucket.bytes)/float64(bucket.objects*rows), "B/event")
	b.ReportMetric(float64(bucket.bytes)/1e6/cpu.Seconds(), "MB/CPU-s")
	b.ReportMetric(0, "ns/op")
}

// wideBuilder returns a sealed file of the wide events of simulate.
func wideBuilder(b *testing.B, rows int) *builder {
	b.Helper()
	wide := simulate.NewWide(simulate.WideOptions{Seed: 1, Start: testNow.Truncate(time.Hour), EventsPerMinute: rows})
	bundle := setupDecoder(b, wide.Version())
	for range rows {
		row, rejected, err := bundle.decoder.decode(context.Background(), &kgo.Record{Topic: "t", Value: wide.Next().Value, Timestamp: testNow})
		if err != nil || rejected != nil {
			b.Fatal(err, rejected)
		}
		bundle.batch.add(&bundle.decoder.event, row)
	}
	files := bundle.batch.files()
	if len(files) != 1 {
		b.Fatalf("%d files, want one", len(files))
	}
	files[0].seal()
	return files[0]
}

// processor is the time that the process has had of the processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
