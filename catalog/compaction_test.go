package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// addFile registers a file of an hour.
func addFile(t testing.TB, b *testBundle, key string, hour time.Time, rate float64, bytes int64) modelwatch.DataFile {
	t.Helper()
	must(t, b.IntendUpload(t.Context(), []string{key}, "owner"))
	must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{ID: "commit " + key, Group: "group", Files: []modelwatch.DataFile{{
		Key: key, Kind: modelwatch.KindPrediction, Model: "fraud", Version: "1", Rows: 1, Bytes: bytes, MinTime: hour, MaxTime: hour.Add(time.Minute), SamplingRate: rate,
	}}}))
	files, err := b.DataFiles(t.Context(), DataFileFilter{})
	must(t, err)
	return files[len(files)-1]
}

func keysOf(files []modelwatch.DataFile) (keys []string) {
	for _, f := range files {
		keys = append(keys, f.Key)
	}
	return keys
}

func TestFileGroups(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for _, key := range []string{"a", "b", "c"} {
			addFile(t, b, key, start.Add(59*time.Minute), 1, 10)
		}
		addFile(t, b, "large", start, 1, 100)
		addFile(t, b, "rate 1", start, 0.5, 10)
		addFile(t, b, "rate 2", start.Add(time.Second), 0.5, 20)
		addFile(t, b, "alone", start.Add(time.Hour), 1, 10)
		b.clock.advance(time.Hour)
		addFile(t, b, "young", start, 1, 10)

		groups, err := b.FileGroups(t.Context(), 100, start.Add(time.Minute), 10)
		must(t, err)
		of := modelwatch.FileGroup{Kind: modelwatch.KindPrediction, Model: "fraud", Version: "1", Hour: start, SamplingRate: 1, Files: 3, Bytes: 30}
		other := of
		other.SamplingRate, other.Files, other.Bytes = 0.5, 2, 30
		same(t, "groups", groups, []modelwatch.FileGroup{of, other})
		files, err := b.GroupFiles(t.Context(), groups[1], 100, start.Add(time.Minute))
		must(t, err)
		same(t, "files", keysOf(files), []string{"rate 1", "rate 2"})
		groups, err = b.FileGroups(t.Context(), 100, start.Add(time.Minute), 1)
		must(t, err)
		same(t, "the most files first", groups, []modelwatch.FileGroup{of})
	})
}

func TestReplaceDataFiles(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		first, second, third := addFile(t, b, "a", start, 1, 10), addFile(t, b, "b", start, 1, 10), addFile(t, b, "c", start, 1, 10)
		must(t, b.IntendUpload(t.Context(), []string{"ab", "bc"}, "keeper"))
		replace := func(id, key string, retired ...int64) error {
			f := first
			f.ID, f.Key, f.Place = 0, key, first.ID
			return b.ReplaceDataFiles(t.Context(), modelwatch.Replacement{ID: id, Owner: "keeper", Files: []modelwatch.DataFile{f}, Retired: retired, Reason: "compaction"})
		}
		seen := func(what string, want ...string) {
			t.Helper()
			files, err := b.DataFiles(t.Context(), DataFileFilter{})
			must(t, err)
			same(t, what, keysOf(files), want)
		}
		wantCode(t, b.ReplaceDataFiles(t.Context(), modelwatch.Replacement{ID: "none"}), modelwatch.CodeInternal)
		b.lose(1)
		must(t, replace("1", "ab", second.ID, first.ID))
		seen("after a lost commit", "c", "ab")
		wantCode(t, replace("2", "bc", second.ID, third.ID), modelwatch.CodeFenced)
		seen("after one that was late", "c", "ab")
		must(t, b.ReplaceDataFiles(t.Context(), modelwatch.Replacement{ID: "1", Retired: []int64{first.ID}}))

		files, err := b.DataFiles(t.Context(), DataFileFilter{})
		must(t, err)
		if files[0].Place != third.ID || files[1].Place != first.ID {
			t.Errorf("places %d and %d, want %d and %d", files[0].Place, files[1].Place, third.ID, first.ID)
		}
		b.clock.advance(time.Hour)
		n, err := b.CondemnRetired(t.Context(), start, 10)
		must(t, err)
		same(t, "condemned within the grace", n, 0)
		n, err = b.CondemnRetired(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "condemned", n, 2)
		keys, err := b.CondemnIntents(t.Context(), start.Add(-time.Hour), 10)
		must(t, err)
		same(t, "garbage", keys, []string{"a", "b"})
		must(t, b.ForgetIntents(t.Context(), keys))

		// Of two that replace the same file one wins.
		errs := concurrently(2, func(i int) error {
			return b.ReplaceDataFiles(t.Context(), modelwatch.Replacement{ID: []string{"x", "y"}[i], Retired: []int64{third.ID}, Reason: "retention"})
		})
		same(t, "race", codes(errs), map[modelwatch.Code]int{"": 1, modelwatch.CodeFenced: 1})
		seen("after the race", "ab")
	})
}

func TestHoldLease(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		hold := func(owner string, want bool) {
			t.Helper()
			held, err := b.HoldLease(t.Context(), "keeper", owner, time.Minute)
			must(t, err)
			same(t, "held by "+owner, held, want)
		}
		hold("a", true)
		hold("b", false)
		b.clock.advance(30 * time.Second)
		hold("a", true)
		b.clock.advance(45 * time.Second)
		hold("b", false)
		b.clock.advance(15 * time.Second)
		hold("b", true)
		hold("a", false)
	})
}
