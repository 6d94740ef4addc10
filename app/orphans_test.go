package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// TestOrphansAfterARestore: the catalog is restored as it was before the last of
// two imports. The objects of that one are orphans, whether or not it is done again,
// and only they are deleted.
func TestOrphansAfterARestore(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(*testing.T, *Config){
		"folder": func(t *testing.T, cfg *Config) { cfg.Archive.URI = filepath.Join(t.TempDir(), "archive") },
		"s3": func(t *testing.T, cfg *Config) {
			server := testserver.S3(t)
			cfg.Archive.URI, cfg.Archive.Endpoint, cfg.Archive.Region, cfg.Archive.PathStyle = "s3://"+server.Bucket(t)+"/p", server.Endpoint, server.Region, true
			cfg.Archive.AccessKey, cfg.Archive.SecretKey = server.AccessKey, server.SecretKey
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig()
			dir := t.TempDir()
			catalogAt := func(name string) { cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, name) }
			catalogAt("catalog.db")
			place(t, &cfg)
			importRows := func(ids ...string) {
				t.Helper()
				file := filepath.Join(dir, ids[0]+".csv")
				text := "_id,_time,amount\n"
				for _, id := range ids {
					text += id + ",2026-11-20T10:00:00Z,1\n"
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				err := Import(t.Context(), cfg, ImportOptions{From: file, Model: "m", Version: "1", Kind: modelwatch.KindPrediction, Streams: Streams{Out: &out, Err: &bytes.Buffer{}}})
				if want := fmt.Sprintf("%d kept in 1 data files", len(ids)); err != nil || !strings.Contains(out.String(), want) {
					t.Fatalf("%s, %v", out.String(), err)
				}
			}
			find := func(del bool) (keys []string, said string, err error) {
				t.Helper()
				var out, errs bytes.Buffer
				err = Orphans(t.Context(), cfg, OrphansOptions{Delete: del, Format: "json", Streams: Streams{Out: &out, Err: &errs}})
				var list []orphan
				if jerr := json.Unmarshal(out.Bytes(), &list); jerr != nil {
					t.Fatalf("%s: %v, %v", out.String(), jerr, err)
				}
				for _, o := range list {
					keys = append(keys, o.Key)
				}
				return keys, errs.String(), err
			}
			importRows("a", "b")
			backup, err := os.ReadFile(filepath.Join(dir, "catalog.db"))
			if err != nil {
				t.Fatal(err)
			}
			importRows("c", "d", "e")
			if keys, said, err := find(false); len(keys) != 0 || err != nil || !strings.HasPrefix(said, "0 of 2 objects are orphans") {
				t.Fatalf("before the restore: %v, %s, %v", keys, said, err)
			}
			if err := os.WriteFile(filepath.Join(dir, "restored.db"), backup, 0o600); err != nil {
				t.Fatal(err)
			}
			catalogAt("restored.db")
			lost, said, err := find(false)
			if len(lost) != 1 || err != nil || !strings.HasPrefix(said, "1 of 2 objects are orphans") {
				t.Fatalf("after the restore: %v, %s, %v", lost, said, err)
			}
			importRows("c", "d", "e")
			again, said, err := find(true)
			if diff := cmp.Diff(lost, again); err != nil || diff != "" || !strings.Contains(said, "1 given up with what was derived of them, 1 deleted") {
				t.Errorf("deleted %s, %v\n%s", said, err, diff)
			}
			if keys, said, err := find(true); len(keys) != 0 || err != nil || !strings.HasPrefix(said, "0 of 2 objects") {
				t.Errorf("afterwards: %v, %s, %v", keys, said, err)
			}

			catalogAt("another.db")
			if keys, _, err := find(true); len(keys) != 2 || modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
				t.Errorf("a catalog that knows nothing: %v, %v", keys, err)
			}
			catalogAt("restored.db")
			if keys, said, err := find(false); len(keys) != 0 || err != nil || !strings.HasPrefix(said, "0 of 2 objects") {
				t.Errorf("afterwards: %v, %s, %v", keys, said, err)
			}
		})
	}
}
