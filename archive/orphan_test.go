package archive_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// TestOrphans: after a catalog was restored as it was before some of the objects
// were written, those are found, and on command given up and deleted. What the
// catalog knows stays: files, uploads under way, and what was derived of either.
func TestOrphans(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		put := func(key string) {
			t.Helper()
			k.must(k.Bucket().Put(t.Context(), key, strings.NewReader("x"), 1))
		}
		k.add(modelwatch.KindPrediction, "1", day, 1, "a", "b")
		put(archive.DerivedPrefix(k.files()[0].Key) + "grid.profile")
		under := archive.DataKey(modelwatch.KindLabel, "fraud", "", day, "under-way")
		k.must(k.catalog.IntendUpload(t.Context(), []string{under}, "ingest"))
		put(under)
		put("baselines/of-another-kind")
		kept := k.objects()

		lost := newKeeping(t, k.Bucket(), "sqlite:"+filepath.Join(t.TempDir(), "lost.db")) // what the catalog would have known
		lost.n = 10
		lost.add(modelwatch.KindPrediction, "1", day, 1, "c")
		profile := archive.DerivedPrefix(lost.files()[0].Key) + "grid.profile"
		put(profile)
		letters := modelwatch.DeadLetterKey("lost", day)
		put(letters)

		want := []string{letters, profile, lost.files()[0].Key}
		slices.Sort(want)
		if got, keys := k.orphans(6); gocmp.Diff(want, got) != "" || len(keys) != 2 {
			t.Fatalf("orphans %v, known by %v; want %v", got, keys, want)
		}
		if got, _ := lost.orphans(6); len(got) != 4 { // the other way round: file, profile, upload, and letters that no row names
			t.Errorf("orphans of the other catalog: %v", got)
		}

		_, keys := k.orphans(6)
		n, err := k.catalog.CondemnUnknown(t.Context(), keys, "operator")
		k.must(err)
		deleted, err := k.CollectGarbage(t.Context(), k.catalog, time.Time{})
		k.must(err)
		if n != 2 || deleted != 2 {
			t.Errorf("%d condemned, %d deleted, want 2", n, deleted)
		}
		if diff := gocmp.Diff(kept, k.objects()); diff != "" {
			t.Errorf("objects (-want +have):\n%s", diff)
		}
		if got, _ := k.orphans(3); len(got) != 0 || len(k.rows()) != 2 {
			t.Errorf("orphans %v, %d rows", got, len(k.rows()))
		}
	})
}

// orphans lists the orphans, and the keys by which the catalog would know them; so
// many objects of its kinds are in the bucket.
func (k *keeping) orphans(objects int) (found, keys []string) {
	k.Helper()
	known := map[string]bool{}
	listed, err := k.Orphans(k.Context(), k.catalog, func(o archive.Orphan) error {
		if found = append(found, o.Key); !known[o.Of] {
			known[o.Of] = true
			keys = append(keys, o.Of)
		}
		return nil
	})
	k.must(err)
	slices.Sort(found)
	if listed != objects {
		k.Errorf("%d objects were listed, want %d", listed, objects)
	}
	return found, keys
}
