package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/table"
)

// TestErasePseudonyms: of a model whose ids are hashed, the rows and dead letters
// of an id go by its pseudonym, and rows from before the rule by the id itself.
func TestErasePseudonyms(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	b, client, _ := setupIngest(t, func(cfg *Config) { cfg.Privacy = PrivacyConfig{Key: key, HashIDs: []string{"credit"}} })
	pseudonym := modelwatch.PrivacyKey(key).Pseudonym

	before := b.service.cfg
	before.Privacy = PrivacyConfig{}
	from := filepath.Join(t.TempDir(), "history.csv")
	if err := os.WriteFile(from, []byte("_id,_time,amount\ngone,2026-11-20T10:00:00Z,1\nold,2026-11-20T10:00:00Z,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Import(t.Context(), before, ImportOptions{
		From: from, Model: "credit", Version: "1", Kind: modelwatch.KindPrediction, Streams: Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{
		`{"kind":"prediction","model":"credit","version":"1","id":"gone","features":{"amount":1}}`,
		`{"kind":"prediction","model":"credit","version":"1","id":"new","features":{"amount":2}}`,
		`{"kind":"label","model":"credit","id":"gone","label":1}`,
		`{"kind":"refused","model":"credit","version":"1","id":"gone"}`,
		`{"kind":"refused","model":"credit","version":"1","id":"new"}`,
	} {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: devTopic, Value: []byte(event)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the events are rows and dead letters", func() bool { return len(b.ids(t)) == 5 && len(b.letterIDs(t)) == 2 })
	if got, want := b.ids(t), []string{pseudonym("gone"), pseudonym("gone"), pseudonym("new"), "gone", "old"}; !sameTexts(got, want) {
		t.Fatalf("ids %q, want %q", got, want)
	}

	stop := startKeeper(t, b.service)
	var out bytes.Buffer
	for _, want := range []string{"1 ids: 3 rows in ", "1 ids: 3 rows erased from "} {
		out.Reset()
		err := Erase(t.Context(), EraseOptions{Model: "credit", IDs: []string{"gone"}, DryRun: strings.HasSuffix(want, "in "), Wait: time.Minute, Server: b.url, Streams: Streams{Out: &out, Err: &bytes.Buffer{}}})
		if err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("printed %q, %v; want %q", out.String(), err, want)
		}
	}
	stop()
	if !strings.Contains(out.String(), ", and 1 dead letters;") {
		t.Errorf("printed %q, want 1 dead letter", out.String())
	}
	if got, want := b.ids(t), []string{pseudonym("new"), "old"}; !sameTexts(got, want) {
		t.Errorf("ids %q after the erasure, want %q", got, want)
	}
	if got, want := b.letterIDs(t), []string{pseudonym("new")}; !sameTexts(got, want) {
		t.Errorf("dead letters of %q after the erasure, want %q", got, want)
	}
}

func sameTexts(x, y []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y)))
}

// ids are those of the rows of the model credit that readers see.
func (b *testBundle) ids(t *testing.T) (ids []string) {
	t.Helper()
	files, err := b.service.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: "credit"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		r, closer, err := b.service.archive.OpenDataFile(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Scan(t.Context(), []string{modelwatch.ColumnID}, func(c *table.Chunk) error {
			for i := range c.Rows {
				ids = append(ids, c.Columns[0].Text(i))
			}
			return nil
		})
		if err != nil || closer.Close() != nil {
			t.Fatalf("read %s: %v", f.Key, err)
		}
	}
	return ids
}

// letterIDs are the ids in the values of the dead letters.
func (b *testBundle) letterIDs(t *testing.T) (ids []string) {
	t.Helper()
	letters, _, err := b.service.catalog.DeadLetters(t.Context(), catalog.DeadLetterFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range letters {
		var event struct{ ID string }
		if err := json.Unmarshal(d.Value, &event); err != nil {
			t.Fatalf("dead letter %q: %v", d.Value, err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}
