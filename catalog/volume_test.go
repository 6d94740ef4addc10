package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestKeptRowsAndVolumes(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		commit := modelwatch.IngestCommit{ID: "1", Group: "group", Ranges: []modelwatch.Range{span(0, -1, 1, 0)}}
		for i := range 4 {
			at := start.Add(time.Duration(i) * modelwatch.BucketSize)
			commit.Volumes = append(commit.Volumes,
				modelwatch.Volume{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: at, Kept: 1 << (2 * i)},
				modelwatch.Volume{Model: "fraud", Version: "2", Kind: modelwatch.KindPrediction, BucketStart: at, Kept: 2 << (2 * i)},
				modelwatch.Volume{Model: "fraud", Version: "1", Kind: modelwatch.KindLabel, BucketStart: at, Kept: 1000})
		}
		must(t, b.CommitIngest(t.Context(), commit))
		minutes := func(from, to int) modelwatch.Window {
			return modelwatch.Window{Start: start.Add(time.Duration(from) * time.Minute), End: start.Add(time.Duration(to) * time.Minute)}
		}
		for _, tt := range []struct {
			version string
			window  modelwatch.Window
			want    int64
		}{
			{"1", minutes(0, 5), 0b01},
			{"2", minutes(0, 5), 0b10},
			{"", minutes(0, 5), 0b11},
			{"1", minutes(5, 15), 0b010100},
			{"1", minutes(4, 6), 0b0101},
			{"", modelwatch.Window{}, 0b11111111},
			{"1", minutes(20, 30), 0},
			{"3", minutes(0, 5), 0},
		} {
			got, err := b.KeptRows(t.Context(), "fraud", tt.version, modelwatch.KindPrediction, tt.window)
			must(t, err)
			if got != tt.want {
				t.Errorf("version %q, %s to %s: %b rows, want %b", tt.version, tt.window.Start, tt.window.End, got, tt.want)
			}
		}
		volumes, err := b.Volumes(t.Context(), "fraud", minutes(4, 10))
		must(t, err)
		if len(volumes) != 6 {
			t.Errorf("%d volumes of two buckets, want 6", len(volumes))
		}
	})
}
