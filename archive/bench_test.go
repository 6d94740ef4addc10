package archive_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// BenchmarkUpload puts objects of the size of a full batch into a real S3 server on the
// same machine. CPU is that of this process alone: checksums, signature, HTTP, copies into
// the kernel.
func BenchmarkUpload(b *testing.B) {
	bucket := openS3(b, testserver.S3(b), "upload", archive.Retry{})
	body := make([]byte, 20<<20)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(body); err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256(body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	before, n := processor(b), 0
	for b.Loop() {
		n++
		if err := bucket.PutIfAbsent(b.Context(), fmt.Sprintf("object-%d", n), body, hex.EncodeToString(sum[:])); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(n*len(body)), "CPU-ns/B")
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

func BenchmarkJoinLabels(b *testing.B) {
	for _, rows := range []int{1e3, 1e5, 1e6} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			a := newArchive(b, archive.Options{})
			const files = 10
			rng := rand.New(rand.NewPCG(1, 2))
			var predictions, labels []modelwatch.DataFile
			for f := range files {
				var p, l []event
				for i := range rows / files {
					e := event{rank: rng.Int64N(1 << 56), id: fmt.Sprintf("request-%d-%012d", f, i), time: day.Add(time.Duration(i) * time.Millisecond), value: "ok", score: rng.Float64()}
					p, l = append(p, e), append(l, e)
				}
				predictions = append(predictions, writeFile(b, a, int64(f), modelwatch.KindPrediction, 1, p))
				labels = append(labels, writeFile(b, a, int64(files+f), modelwatch.KindLabel, 1, l))
			}
			window := modelwatch.Window{Start: day, End: day.Add(24 * time.Hour)}
			for b.Loop() {
				n := 0
				err := a.JoinLabels(b.Context(), predictions, labels, window, modelwatch.JoinedFields{}, func(j archive.Joined) error {
					if j.HasLabel {
						n++
					}
					return nil
				})
				if err != nil || n != rows/files*files {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
