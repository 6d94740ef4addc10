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
