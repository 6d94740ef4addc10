package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// TestUnknownObjects: only what no row names is unknown, and only that can be
// condemned; from then on it is garbage like any other.
func TestUnknownObjects(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		registered := flush(t, b.Catalog, span(0, -1, 10, 0))
		registered.DeadLetters[0].Object = modelwatch.ObjectPart{Key: "letters", Length: 3}
		must(t, b.IntendUpload(t.Context(), []string{"letters", "pending"}, "owner"))
		must(t, b.CommitIngest(t.Context(), registered))
		// Of what is registered, cleaning has removed the intents.
		_, err := b.write.ExecContext(t.Context(), `DELETE FROM upload_intent WHERE state = 'registered'`)
		must(t, err)

		keys := []string{"lost", registered.Files[0].Key, "letters", "pending", "also lost"}
		unknown, err := b.UnknownObjects(t.Context(), keys)
		must(t, err)
		same(t, "unknown", unknown, []string{"lost", "also lost"})
		must(t, b.IntendUpload(t.Context(), []string{"also lost"}, "owner")) // it was announced meanwhile
		n, err := b.CondemnUnknown(t.Context(), keys, "operator")
		must(t, err)
		if n != 1 {
			t.Errorf("%d objects were condemned, want the one that is unknown", n)
		}
		dead, err := b.CondemnIntents(t.Context(), time.Time{}, 10)
		must(t, err)
		same(t, "garbage", dead, []string{"lost"})
		wantCode(t, b.IntendUpload(t.Context(), []string{"lost"}, "owner"), modelwatch.CodeConflict)
		if n, err = b.CondemnUnknown(t.Context(), keys, "operator"); err != nil || n != 0 {
			t.Errorf("%d objects were condemned again, %v", n, err)
		}
	})
}
