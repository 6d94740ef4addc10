package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestDataFilesOfAWindow(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		commit := modelwatch.IngestCommit{ID: "1", Group: "group", Ranges: []modelwatch.Range{span(0, -1, 1, 0)}}
		add := func(key string, kind modelwatch.Kind, version string, from, to time.Duration) {
			must(t, b.IntendUpload(t.Context(), []string{key}, "owner"))
			commit.Files = append(commit.Files, modelwatch.DataFile{Key: key, Kind: kind, Model: "fraud", Version: version, MinTime: start.Add(from), MaxTime: start.Add(to)})
		}
		add("before", modelwatch.KindPrediction, "1", -time.Hour, -time.Microsecond)
		add("first instant", modelwatch.KindPrediction, "1", -time.Hour, 0)
		add("within", modelwatch.KindPrediction, "2", time.Minute, 2*time.Minute)
		add("around", modelwatch.KindLabel, "", -time.Hour, 3*time.Hour)
		add("last instant", modelwatch.KindPrediction, "1", time.Hour-time.Microsecond, 2*time.Hour)
		add("after", modelwatch.KindPrediction, "1", time.Hour, 2*time.Hour)
		must(t, b.CommitIngest(t.Context(), commit))

		window := modelwatch.Window{Start: start, End: start.Add(time.Hour)}
		for _, tt := range []struct {
			name   string
			filter DataFileFilter
			want   string
		}{
			{"window", DataFileFilter{Window: window}, "first instant, within, around, last instant"},
			{"version", DataFileFilter{Window: window, Version: "1"}, "first instant, last instant"},
			{"kind", DataFileFilter{Window: window, Kind: modelwatch.KindLabel}, "around"},
			{"model", DataFileFilter{Window: window, Model: "churn"}, ""},
			{"open end", DataFileFilter{Window: modelwatch.Window{Start: start.Add(time.Hour)}}, "around, last instant, after"},
			{"open start", DataFileFilter{Window: modelwatch.Window{End: start}}, "before, first instant, around"},
		} {
			files, err := b.DataFiles(t.Context(), tt.filter)
			must(t, err)
			var keys []string
			for _, f := range files {
				keys = append(keys, f.Key)
			}
			same(t, tt.name, strings.Join(keys, ", "), tt.want)
		}
	})
}
