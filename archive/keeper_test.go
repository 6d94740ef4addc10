package archive_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// keeping is an archive with a real catalog.
type keeping struct {
	testing.TB
	*archive.Archive
	catalog *catalog.Catalog
	n       int
}

// onEachStore runs a test on S3 with PostgreSQL, and on a folder with SQLite.
func onEachStore(t *testing.T, test func(t *testing.T, k *keeping)) {
	t.Helper()
	t.Parallel()
	t.Run("s3, postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newKeeping(t, openS3(t, testserver.S3(t), "p", quick), testserver.Postgres(t).NewDatabase(t)))
	})
	t.Run("folder, sqlite", func(t *testing.T) {
		t.Parallel()
		b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		test(t, newKeeping(t, b, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db")))
	})
}

func newKeeping(t testing.TB, b archive.Bucket, dsn string) *keeping {
	t.Helper()
	c, err := catalog.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := c.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &keeping{TB: t, Archive: archive.New(b, archive.Options{}), catalog: c}
}

// add registers a file of events as ingest does.
func (k *keeping) add(kind modelwatch.Kind, version string, hour time.Time, rate float64, ids ...string) {
	k.Helper()
	k.n++
	var es []event
	for i, id := range ids {
		es = append(es, event{rankOfText(id), id, hour.Add(time.Duration(i+k.n) * time.Minute), float64(k.n), nil})
	}
	slices.SortStableFunc(es, func(x, y event) int { return cmp.Compare(x.rank, y.rank) })
	id := fmt.Sprintf("commit-%d", k.n)
	spec := modelwatch.FileSpec{Kind: kind, Model: "fraud", Version: version, Hour: hour, Unique: id, SamplingRate: rate, SchemaRevision: 1, CommitID: id}
	k.must(k.catalog.IntendUpload(k.Context(), []string{archive.FileKey(spec)}, "ingest"))
	f, err := k.WriteDataFile(k.Context(), spec, chunkOf(kind, es))
	k.must(err)
	k.must(k.catalog.CommitIngest(k.Context(), modelwatch.IngestCommit{
		ID: id, Group: "g", Owner: "ingest", Files: []modelwatch.DataFile{f},
		Volumes: []modelwatch.Volume{{Model: "fraud", Version: version, Kind: kind, BucketStart: hour, Seen: int64(len(ids)), Kept: int64(len(ids))}},
	}))
}

func rankOfText(id string) int64 { return modelwatch.Rank(modelwatch.Salt{}, []byte(id)) }

func (k *keeping) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// files are those that readers see.
func (k *keeping) files() []modelwatch.DataFile {
	k.Helper()
	files, err := k.catalog.DataFiles(k.Context(), modelwatch.DataFileFilter{Model: "fraud"})
	k.must(err)
	return files
}

// rows reads what readers see: kind, version, rate and the columns of each row.
func (k *keeping) rows() []string {
	k.Helper()
	return k.rowsOf(k.files())
}

func (k *keeping) rowsOf(files []modelwatch.DataFile) []string {
	k.Helper()
	var rows []string
	for _, f := range files {
		n := 0
		for _, r := range readAll(k, k.Archive, f) {
			rows = append(rows, fmt.Sprintf("%s/%s/%g %s %d %d", f.Kind, f.Version, f.SamplingRate, r.ID, r.Time, r.Rank))
			n++
		}
		if int64(n) != f.Rows {
			k.Errorf("%s has %d rows, registered with %d", f.Key, n, f.Rows)
		}
	}
	slices.Sort(rows)
	return rows
}

// objects are the keys in the bucket.
func (k *keeping) objects() (keys []string) {
	k.Helper()
	for o, err := range k.Bucket().List(k.Context(), "") {
		k.must(err)
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	return keys
}

func (k *keeping) wantObjectsOfFiles() {
	k.Helper()
	var want []string
	for _, f := range k.files() {
		want = append(want, f.Key)
	}
	slices.Sort(want)
	if diff := gocmp.Diff(want, k.objects()); diff != "" {
		k.Errorf("objects (-of files +in the bucket):\n%s", diff)
	}
}

// keeper makes one for which so much time has passed.
func (k *keeping) keeper(owner string, passed time.Duration, change func(*archive.KeeperOptions)) *archive.Keeper {
	opts := archive.KeeperOptions{
		Archive: k.Archive, Ledger: k.catalog, Owner: owner, Lease: time.Millisecond,
		Now: func() time.Time { return time.Now().Add(passed) },
	}
	if change != nil {
		change(&opts)
	}
	return archive.NewKeeper(opts)
}

func (k *keeping) round(keeper *archive.Keeper) {
	k.Helper()
	for { // the lease of the one before is short
		held, err := keeper.Round(k.Context())
		k.must(err)
		if held {
			return
		}
	}
}

const (
	old    = 45 * time.Minute // enough to compact
	passed = 3 * time.Hour    // enough to delete
)

// TestCompaction: files of one hour, kind, version and rate become one; others
// stay apart, readers of old lists finish, and in the end only the objects of
// registered files are left.
func TestCompaction(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		hour := day.Add(10 * time.Hour)
		k.add(modelwatch.KindPrediction, "1", hour, 1, "a", "b")
		k.add(modelwatch.KindPrediction, "1", hour, 1, "c")
		k.add(modelwatch.KindPrediction, "1", hour, 0.5, "d")
		k.add(modelwatch.KindPrediction, "2", hour, 1, "e")
		k.add(modelwatch.KindLabel, "1", hour, 1, "a")
		k.add(modelwatch.KindPrediction, "1", hour.Add(time.Hour), 1, "f")
		k.add(modelwatch.KindPrediction, "1", hour, 1, "g", "a")
		rows, before := k.rows(), k.files()
		k.must(k.Bucket().Put(t.Context(), archive.DerivedPrefix(before[0].Key)+"grid.profile", strings.NewReader("x"), 1))

		k.round(k.keeper("young", 0, nil))
		if len(k.files()) != 7 {
			t.Fatal("young files were compacted")
		}
		k.round(k.keeper("a", old, nil))
		files := k.files()
		if diff := gocmp.Diff(rows, k.rows()); diff != "" || len(files) != 5 {
			t.Fatalf("%d files after compaction, want 5 (-before +after):\n%s", len(files), diff)
		}
		merged := files[len(files)-1]
		if merged.Rows != 5 || merged.Place != before[0].ID || merged.SamplingRate != 1 || !merged.MinTime.Equal(before[0].MinTime) {
			t.Errorf("merged file %+v", merged)
		}
		if diff := gocmp.Diff(rows, k.rowsOf(before)); diff != "" {
			t.Errorf("a reader of the old list (-before +after):\n%s", diff)
		}
		kept, err := k.catalog.KeptRows(t.Context(), "fraud", "", modelwatch.KindPrediction, modelwatch.Window{})
		if err != nil || kept != 8 {
			t.Errorf("%d kept rows, %v: compaction must not count", kept, err)
		}

		k.round(k.keeper("a", passed, nil))
		k.wantObjectsOfFiles()
		_, _, err = k.OpenDataFile(t.Context(), before[0])
		wantGone(t, err)
	})
}

var errKilled = errors.New("killed")

// TestCompactionKilled: wherever a keeper dies, readers see each row once, the
// next keeper finishes the work, and nothing is left behind.
func TestCompactionKilled(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		for i, point := range archive.ReplacePoints() {
			hour := day.Add(time.Duration(i) * time.Hour)
			for n := range 4 {
				k.add(modelwatch.KindPrediction, "1", hour, 1, fmt.Sprintf("%s-%d", point, n), "again")
			}
			rows := k.rows()
			killed := k.keeper("killed at "+point, old, func(o *archive.KeeperOptions) {
				o.Hooks.At = func(at string) error {
					if at == point {
						return errKilled
					}
					return nil
				}
			})
			for {
				held, err := killed.Round(t.Context())
				if held && !errors.Is(err, errKilled) {
					t.Fatalf("%s: %v", point, err)
				}
				if held {
					break
				}
			}
			if diff := gocmp.Diff(rows, k.rows()); diff != "" {
				t.Fatalf("killed at %s (-before +after):\n%s", point, diff)
			}
			k.round(k.keeper("next", old, nil))
			k.round(k.keeper("next", passed, nil))
			if diff := gocmp.Diff(rows, k.rows()); diff != "" || len(k.files()) != i+1 {
				t.Fatalf("after the next keeper: %d files, want %d (-before +after):\n%s", len(k.files()), i+1, diff)
			}
			k.wantObjectsOfFiles()
		}
	})
}

// TestCompactionZombie: a keeper that sleeps at any point while others compact and
// collect garbage finds out when it wakes, and changes nothing.
func TestCompactionZombie(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		for i, point := range []string{archive.PointRewritten, archive.PointUploaded, archive.PointIntended} {
			hour := day.Add(time.Duration(i) * time.Hour)
			for n := range 3 {
				k.add(modelwatch.KindPrediction, "1", hour, 1, fmt.Sprintf("%s-%d", point, n))
			}
			rows := k.rows()
			k.round(k.keeper("zombie", old, func(o *archive.KeeperOptions) {
				o.Lease = time.Hour // it does not learn of the other by its lease
				o.Ledger = alwaysHeld{k.catalog}
				o.Hooks.At = func(at string) error {
					if at == point {
						k.round(k.keeper("other", old, func(o *archive.KeeperOptions) { o.Ledger = alwaysHeld{k.catalog} }))
						k.round(k.keeper("other", passed, func(o *archive.KeeperOptions) { o.Ledger = alwaysHeld{k.catalog} }))
					}
					return nil
				}
			}))
			k.round(k.keeper("other", passed, func(o *archive.KeeperOptions) { o.Ledger = alwaysHeld{k.catalog} }))
			if diff := gocmp.Diff(rows, k.rows()); diff != "" || len(k.files()) != i+1 {
				t.Fatalf("a zombie at %s: %d files, want %d (-before +after):\n%s", point, len(k.files()), i+1, diff)
			}
			if point != archive.PointIntended { // an upload after its burial is deleted a day later
				k.wantObjectsOfFiles()
			}
		}
	})
}

// alwaysHeld is a ledger whose lease everybody holds.
type alwaysHeld struct{ *catalog.Catalog }

func (alwaysHeld) HoldLease(context.Context, string, string, time.Duration) (bool, error) {
	return true, nil
}

// TestCompactionRace: two keepers that believe to be alone, with readers beside
// them; each row is seen once at all times.
func TestCompactionRace(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		for h := range 3 {
			for n := range 4 {
				k.add(modelwatch.KindPrediction, "1", day.Add(time.Duration(h)*time.Hour), 1, fmt.Sprintf("%d-%d", h, n), "x")
			}
		}
		rows := k.rows()
		done := make(chan struct{})
		var keepers, readers sync.WaitGroup
		for i := range 2 {
			keepers.Go(func() {
				keeper := k.keeper(fmt.Sprint("keeper ", i), old, func(o *archive.KeeperOptions) { o.Ledger = alwaysHeld{k.catalog} })
				// A deadlock of two that replace the same files ends in one of them trying again.
				if _, err := keeper.Round(t.Context()); err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
					t.Error(err)
				}
			})
		}
		readers.Go(func() {
			for {
				if diff := gocmp.Diff(rows, k.rows()); diff != "" {
					t.Errorf("a reader (-before +after):\n%s", diff)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		keepers.Wait()
		close(done)
		readers.Wait()
		k.round(k.keeper("last", old, nil))
		k.round(k.keeper("last", passed, nil))
		if diff := gocmp.Diff(rows, k.rows()); diff != "" || len(k.files()) != 3 {
			t.Fatalf("%d files, want 3 (-before +after):\n%s", len(k.files()), diff)
		}
		k.wantObjectsOfFiles()
	})
}

// TestOneKeeperHoldsTheLease: while one is at it, others have nothing to do.
func TestOneKeeperHoldsTheLease(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		k.add(modelwatch.KindPrediction, "1", day, 1, "a")
		k.add(modelwatch.KindPrediction, "1", day, 1, "b")
		first := k.keeper("first", old, func(o *archive.KeeperOptions) {
			o.Lease = time.Hour
			o.Hooks.At = func(string) error {
				held, err := k.keeper("second", old, nil).Round(t.Context())
				if held || err != nil {
					t.Errorf("another keeper holds the lease: %t, %v", held, err)
				}
				return nil
			}
		})
		k.round(first)
		if n := len(k.files()); n != 1 {
			t.Errorf("%d files", n)
		}
	})
}

func TestMergeable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sizes []int64
		want  []int64
	}{
		"none":                          {nil, nil},
		"one is no merge":               {[]int64{5}, []int64{5}},
		"all":                           {[]int64{5, 5, 6}, []int64{5, 5, 6}},
		"up to the target":              {[]int64{40, 40, 40}, []int64{40, 40}},
		"large beside little":           {[]int64{40, 1, 1}, []int64{1, 1}},
		"large beside as much":          {[]int64{40, 30, 10}, []int64{40, 30, 10}},
		"each larger than all before":   {[]int64{1, 3, 9}, []int64{1}},
		"two of the same size":          {[]int64{7, 7}, []int64{7, 7}},
		"the first that do not make it": {[]int64{49, 1, 49, 49}, []int64{49, 1, 49}},
	}
	for name, test := range tests {
		var files []modelwatch.DataFile
		for i, s := range test.sizes {
			files = append(files, modelwatch.DataFile{ID: int64(i), Bytes: s})
		}
		var have []int64
		for _, f := range archive.Mergeable(files, 100) {
			have = append(have, f.Bytes)
		}
		if !slices.Equal(have, test.want) {
			t.Errorf("%s: %d of %d, want %d", name, have, test.sizes, test.want)
		}
	}
}
