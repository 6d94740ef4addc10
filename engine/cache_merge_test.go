package engine_test

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/engine"
)

// TestMergeProfiles: the stored profiles of a merged file are those that its rows
// would give, and are made only of stored ones.
func TestMergeProfiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	for i, w := range []modelwatch.Window{windowOf(0, 5*time.Hour), windowOf(17*time.Minute, 110*time.Minute)} {
		want, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range []bool{true, false} {
			merged := merge(t, b, b.files[0:2], []string{"a", "b"}[i]+map[bool]string{true: "1", false: "2"}[stored])
			of := b.files[0:2]
			if !stored {
				other := of[1]
				other.Key += "x" // of which nothing is stored
				of = []modelwatch.DataFile{of[0], other}
			}
			if err := e.MergeProfiles(t.Context(), of, merged, b.baseline); err != nil {
				t.Fatal(err)
			}
			have, stats, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), []modelwatch.DataFile{merged, b.files[2], b.files[3]}, w, b.baseline)
			if err != nil || encoded(t, have) != encoded(t, want) {
				t.Errorf("window %v: another profile after the merge, %v", w, err)
			}
			if hits := map[bool]int{true: 3, false: 2}[stored]; stats.CacheHits != hits {
				t.Errorf("window %v: %d profiles were stored, want %d", w, stats.CacheHits, hits)
			}
		}
	}
}

func merge(t *testing.T, b *testBundle, files []modelwatch.DataFile, unique string) modelwatch.DataFile {
	t.Helper()
	out, err := b.archive.Rewrite(t.Context(), unique, files, archive.RewriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := b.archive.Upload(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	f.ID = 100
	return f
}
