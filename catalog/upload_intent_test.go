package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestCondemnedUploadsCannotBeRegistered(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		registered, slow := flush(t, b.Catalog, span(0, -1, 10, 0)), flush(t, b.Catalog, span(0, 10, 20, 0))
		must(t, b.CommitIngest(t.Context(), registered))
		wantCode(t, b.IntendUpload(t.Context(), []string{"new", slow.Files[0].Key}, "owner"), modelwatch.CodeConflict)
		b.clock.advance(time.Hour)
		must(t, b.IntendUpload(t.Context(), []string{"young"}, "owner"))

		keys, err := b.CondemnIntents(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "condemned", keys, []string{slow.Files[0].Key})
		wantCode(t, b.CommitIngest(t.Context(), slow), modelwatch.CodeFenced)

		// A collector that died after it condemned finds the key again.
		keys, err = b.CondemnIntents(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "condemned before", keys, []string{slow.Files[0].Key})
		must(t, b.ForgetIntents(t.Context(), append(keys, "young", registered.Files[0].Key)))
		keys, err = b.CondemnIntents(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "forgotten", keys, []string(nil))
		// A writer that slept all the while may have written it since.
		b.clock.advance(25 * time.Hour)
		keys, err = b.CondemnIntents(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "once more", keys, []string{slow.Files[0].Key})
		must(t, b.ForgetIntents(t.Context(), keys))
		keys, err = b.CondemnIntents(t.Context(), start.Add(time.Minute), 10)
		must(t, err)
		same(t, "for good", keys, []string(nil))
		if n := b.scalar(t, `SELECT count(*) FROM upload_intent`); n != 2 {
			t.Errorf("%d intents are left, want the registered and the young one", n)
		}
	})
}

func TestCondemnOrRegister(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		next := int64(-1)
		for range 10 {
			commit := flush(t, b.Catalog, span(0, next, next+2, 0))
			var keys []string
			errs := concurrently(2, func(i int) (err error) {
				if i == 0 {
					keys, err = b.CondemnIntents(t.Context(), start.Add(time.Hour), 10)
					return err
				}
				return b.CommitIngest(t.Context(), commit)
			})
			must(t, errs[0])
			switch modelwatch.ErrorCode(errs[1]) {
			case "":
				next += 2
				same(t, "condemned beside a registration", keys, []string(nil))
			case modelwatch.CodeFenced:
				same(t, "condemned", keys, []string{commit.Files[0].Key})
				must(t, b.ForgetIntents(t.Context(), keys))
			default:
				t.Fatal(errs[1])
			}
		}
	})
}

// announce intends the upload of one object for a commit of ranges.
func announce(t testing.TB, c *Catalog, id string, ranges ...modelwatch.Range) error {
	t.Helper()
	return c.IntendIngest(t.Context(), modelwatch.IngestIntent{CommitID: id, Group: "group", Owner: "owner", Keys: []string{id + ".parquet"}, Ranges: ranges})
}

// TestLostClaims: uploads are condemned once a cursor of their commit has moved or
// was taken, and not before, whatever the clocks say.
func TestLostClaims(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 3)
		condemned := func(what string, want ...string) {
			t.Helper()
			keys, err := b.CondemnIntents(t.Context(), start.AddDate(10, 0, 0), 10)
			must(t, err)
			same(t, what, keys, want)
			must(t, b.ForgetIntents(t.Context(), keys))
		}
		must(t, announce(t, b.Catalog, "a", span(0, -1, 10, 0), span(1, -1, 10, 0)))
		must(t, announce(t, b.Catalog, "b", span(2, -1, 10, 0)))
		condemned("nothing has moved")
		wantCode(t, announce(t, b.Catalog, "a", span(0, -1, 10, 0)), modelwatch.CodeConflict)

		parts := []modelwatch.Partition{partition(1)}
		_, err := b.TakePartitions(t.Context(), "group", "other", parts)
		must(t, err)
		condemned("one of two partitions was taken", "a.parquet")
		wantCode(t, announce(t, b.Catalog, "late", span(0, -1, 10, 0), span(1, -1, 10, 0)), modelwatch.CodeFenced)

		commit := modelwatch.IngestCommit{
			ID: "b", Group: "group", Owner: "owner", Ranges: []modelwatch.Range{span(2, -1, 10, 0)},
			Files: []modelwatch.DataFile{{Key: "b.parquet", Kind: modelwatch.KindPrediction, MinTime: start, MaxTime: start}},
		}
		must(t, announce(t, b.Catalog, "twin", span(2, -1, 10, 0)))
		must(t, b.CommitIngest(t.Context(), commit))
		condemned("the cursor has moved", "twin.parquet")
		condemned("registered")
		if n := b.scalar(t, `SELECT count(*) FROM upload_claim`); n != 0 {
			t.Errorf("%d claims are left, of no pending upload", n)
		}
	})
}
