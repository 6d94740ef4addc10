package archive_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

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
