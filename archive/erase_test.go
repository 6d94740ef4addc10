package archive_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// order orders an erasure.
func (k *keeping) order(dryRun bool, ids ...string) int64 {
	k.Helper()
	_, err := k.catalog.EnsureVersion(k.Context(), "fraud", "1")
	k.must(err)
	var stones []modelwatch.Tombstone
	for _, id := range ids {
		stones = append(stones, modelwatch.NewTombstones(modelwatch.Salt{}, nil, "fraud", id)...)
	}
	e, err := k.catalog.AddErasure(k.Context(), modelwatch.Erasure{Model: "fraud", IDs: int64(len(ids)), DryRun: dryRun}, stones)
	k.must(err)
	return e.ID
}

func (k *keeping) wantErasure(id int64, state modelwatch.ErasureState, files, rows, letters int64) {
	k.Helper()
	e, err := k.catalog.Erasure(k.Context(), "fraud", id)
	k.must(err)
	if e.State != state || e.Files != files || e.Rows != rows || e.DeadLetters != letters {
		k.Errorf("erasure %d is %s, %d files, %d rows, %d letters; want %s, %d, %d, %d", id, e.State, e.Files, e.Rows, e.DeadLetters, state, files, rows, letters)
	}
}

// without are the rows of other ids.
func without(rows []string, ids ...string) []string {
	return slices.DeleteFunc(slices.Clone(rows), func(r string) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(r, " "+id+" ") })
	})
}

// TestErase: the rows of an id go from every kind and hour, and from what comes
// late; the objects that held them and what was derived of them go after the
// grace; nothing else changes, and nothing is counted differently.
func TestErase(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		k.add(modelwatch.KindPrediction, "1", day, 1, "a", "b", "gone")
		k.add(modelwatch.KindPrediction, "1", day.Add(time.Hour), 1, "gone", "gone", "c")
		k.add(modelwatch.KindLabel, "", day, 1, "gone")
		k.add(modelwatch.KindAttribution, "1", day, 1, "a", "d")
		rows, before := k.rows(), k.files()
		k.must(k.Bucket().Put(t.Context(), archive.DerivedPrefix(before[0].Key)+"grid.profile", strings.NewReader("x"), 1))

		dry := k.order(true, "gone", "never there")
		k.round(k.keeper("a", 0, nil))
		k.wantErasure(dry, modelwatch.ErasureDone, 3, 4, 0)
		if diff := gocmp.Diff(rows, k.rows()); diff != "" {
			t.Fatalf("a dry run changed (-before +after):\n%s", diff)
		}

		id := k.order(false, "gone", "never there")
		k.round(k.keeper("a", 0, nil))
		k.wantErasure(id, modelwatch.ErasureErased, 3, 4, 0)
		if diff := gocmp.Diff(without(rows, "gone"), k.rows()); diff != "" || len(k.files()) != 3 {
			t.Fatalf("%d files, want 3 (-want +have):\n%s", len(k.files()), diff)
		}
		k.add(modelwatch.KindPrediction, "1", day.Add(2*time.Hour), 1, "e", "gone") // late, or replayed
		second := k.order(false, "a")
		k.round(k.keeper("a", 0, nil))
		k.wantErasure(id, modelwatch.ErasureErased, 4, 5, 0)
		k.wantErasure(second, modelwatch.ErasureErased, 2, 2, 0)
		if got := k.rows(); slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, " gone ") || strings.Contains(r, " a ") }) || len(got) != 4 {
			t.Fatalf("left %q", got)
		}
		kept, err := k.catalog.KeptRows(t.Context(), "fraud", "", modelwatch.KindPrediction, modelwatch.Window{})
		if err != nil || kept != 8 {
			t.Errorf("%d kept rows, %v: an erasure must not count", kept, err)
		}
		k.round(k.keeper("a", passed, nil))
		k.round(k.keeper("a", passed, nil))
		k.wantObjectsOfFiles()
		k.wantErasure(id, modelwatch.ErasureDone, 4, 5, 0)
		k.wantErasure(second, modelwatch.ErasureDone, 2, 2, 0)
	})
}

// TestEraseKilled: wherever a keeper dies, a reader sees a file with the rows or
// the one without, and the next keeper finishes.
func TestEraseKilled(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		for i, point := range archive.ReplacePoints() {
			id := fmt.Sprintf("gone-%d", i)
			k.add(modelwatch.KindPrediction, "1", day.Add(time.Duration(i)*time.Hour), 1, "a", id, "b")
			rows := k.rows()
			order := k.order(false, id)
			killed := k.keeper("killed", 0, func(o *archive.KeeperOptions) {
				o.Hooks.At = func(at string) error {
					if at == point {
						return errKilled
					}
					return nil
				}
			})
			for held := false; !held; {
				var err error
				if held, err = killed.Round(t.Context()); held && !errors.Is(err, errKilled) && point != archive.PointReplaced {
					t.Fatalf("%s: %v", point, err)
				}
			}
			want := rows
			if point == archive.PointReplaced {
				want = without(rows, id)
			}
			if diff := gocmp.Diff(want, k.rows()); diff != "" {
				t.Fatalf("killed at %s (-want +have):\n%s", point, diff)
			}
			k.round(k.keeper("next", 0, nil))
			k.wantErasure(order, modelwatch.ErasureErased, 1, 1, 0)
			if diff := gocmp.Diff(without(rows, id), k.rows()); diff != "" {
				t.Fatalf("after the next keeper (-want +have):\n%s", diff)
			}
			k.round(k.keeper("next", passed, nil))
			k.wantObjectsOfFiles()
		}
	})
}

// TestEraseDeadLetters: letters that carry an erased id go, also those of which the
// model is not known and those that come later; what lies in the archive is blanked.
func TestEraseDeadLetters(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		n := int64(-1)
		part := modelwatch.Partition{Topic: "events", TopicID: [16]byte{1}}
		_, err := k.catalog.TakePartitions(t.Context(), "g", "ingest", []modelwatch.Partition{part})
		k.must(err)
		letters := func(ds ...modelwatch.DeadLetter) {
			from := n
			for i := range ds {
				n++
				ds[i].Topic, ds[i].Offset, ds[i].Reason = "events", n, modelwatch.DeadNoModel
			}
			n++
			k.must(k.catalog.CommitIngest(t.Context(), modelwatch.IngestCommit{
				ID: fmt.Sprint("letters ", n), Group: "g", Owner: "ingest", DeadLetters: ds, Ranges: []modelwatch.Range{{Partition: part, From: from, To: n}}}))
		}
		const key = modelwatch.DeadLetterPrefix + "x"
		k.must(k.catalog.IntendUpload(t.Context(), []string{key}, "ingest"))
		body := []byte(`{"id":"other"}{"id":"gone"}`)
		k.must(k.Bucket().PutIfAbsent(t.Context(), key, body, hexSum(body)))
		letters(
			modelwatch.DeadLetter{Model: "fraud", Value: []byte(`{"id":"gone","features":{`)},
			modelwatch.DeadLetter{Value: []byte(`{"meta":{"ids":["x","gone"]}}`)},
			modelwatch.DeadLetter{Key: []byte("gone"), Value: []byte("not JSON")},
			modelwatch.DeadLetter{Value: []byte("1"), Headers: []modelwatch.RecordHeader{{Key: "request-id", Value: []byte("gone")}}},
			modelwatch.DeadLetter{Model: "churn", Value: []byte(`{"id":"gone"}`)},
			modelwatch.DeadLetter{Model: "fraud", Value: []byte(`{"id":"gone with the wind"}`)},
			modelwatch.DeadLetter{Model: "fraud", Object: modelwatch.ObjectPart{Key: key, Offset: 14, Length: 13}, Size: 13},
			modelwatch.DeadLetter{Model: "fraud", Object: modelwatch.ObjectPart{Key: key, Offset: 0, Length: 14}, Size: 14},
		)
		id := k.order(false, "gone")
		k.round(k.keeper("a", 0, nil))
		k.wantErasure(id, modelwatch.ErasureDone, 0, 0, 5)
		letters(modelwatch.DeadLetter{Model: "fraud", Value: []byte(`{"id":"gone"}`)})
		k.round(k.keeper("a", 0, nil))
		k.wantErasure(id, modelwatch.ErasureDone, 0, 0, 5+1)
		have, err := k.Bucket().Read(t.Context(), key)
		if want := `{"id":"other"}` + strings.Repeat("\x00", 13); err != nil || string(have) != want {
			t.Errorf("object %q, %v; want %q", have, err, want)
		}
	})
}

// TestRetention: what has outlived its version's retention goes, objects and all;
// counts stay.
func TestRetention(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		_, err := k.catalog.EnsureVersion(t.Context(), "fraud", "1")
		k.must(err)
		_, _, err = k.catalog.PutVersion(t.Context(), modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: 1, RetentionDays: 30})
		k.must(err)
		k.add(modelwatch.KindPrediction, "1", day, 1, "a", "b")
		k.add(modelwatch.KindPrediction, "1", day.Add(3*time.Hour), 1, "c")
		k.add(modelwatch.KindPrediction, "2", day, 1, "d") // a version without retention
		rows := k.rows()
		now := func(o *archive.KeeperOptions) {
			o.EventNow = func() time.Time { return day.Add(30*24*time.Hour + 2*time.Hour) }
		}
		k.round(k.keeper("a", 0, now))
		if diff := gocmp.Diff(without(rows, "a", "b"), k.rows()); diff != "" {
			t.Fatalf("rows (-want +have):\n%s", diff)
		}
		k.round(k.keeper("a", passed, now))
		k.wantObjectsOfFiles()
		kept, err := k.catalog.KeptRows(t.Context(), "fraud", "1", modelwatch.KindPrediction, modelwatch.Window{})
		if err != nil || kept != 3 {
			t.Errorf("%d kept rows, %v: retention must not count", kept, err)
		}
	})
}
