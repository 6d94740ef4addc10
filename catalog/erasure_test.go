package catalog

import (
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestErasures(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		stone := func(rank int64, digest string) modelwatch.Tombstone {
			return modelwatch.Tombstone{Rank: rank, Digest: digest}
		}
		_, err := b.AddErasure(ctx, modelwatch.Erasure{Model: "fraud", IDs: 1}, []modelwatch.Tombstone{stone(1, "a")})
		wantCode(t, err, modelwatch.CodeNotFound)
		_, err = b.EnsureVersion(ctx, "fraud", "1")
		must(t, err)
		file, other := addFile(t, b, "a", start, 1, 10), addFile(t, b, "b", start, 1, 10)

		e, err := b.AddErasure(ctx, modelwatch.Erasure{Model: "fraud", IDs: 3}, []modelwatch.Tombstone{stone(1, "a"), stone(1<<55, "b"), stone(1, "a")})
		must(t, err)
		same(t, "ordered", e, modelwatch.Erasure{ID: e.ID, Model: "fraud", State: modelwatch.ErasureQueued, IDs: 3, CreatedAt: start})
		dry, err := b.AddErasure(ctx, modelwatch.Erasure{Model: "fraud", IDs: 1, DryRun: true}, []modelwatch.Tombstone{stone(7, "c")})
		must(t, err)
		standing, err := b.Tombstones(ctx, false)
		must(t, err)
		same(t, "tombstones", standing, []modelwatch.Tombstone{{Erasure: e.ID, Model: "fraud", Rank: 1, Digest: "a"}, {Erasure: e.ID, Model: "fraud", Rank: 1 << 55, Digest: "b"}})
		counting, err := b.Tombstones(ctx, true)
		must(t, err)
		same(t, "tombstones of the dry run", counting, []modelwatch.Tombstone{{Erasure: dry.ID, Model: "fraud", Rank: 7, Digest: "c"}})
		dry.Files, dry.Rows, dry.DeadLetters = 1, 2, 3
		must(t, b.FinishDryRun(ctx, dry))
		counting, err = b.Tombstones(ctx, true)
		must(t, err)
		same(t, "tombstones after it", len(counting), 0)

		late := addFile(t, b, "late", start, 1, 10) // does not keep the erasure from getting on
		files, err := b.UnerasedFiles(ctx, "fraud", e.ID, 10)
		must(t, err)
		same(t, "to be erased from", keysOf(files), []string{"a", "b", "late"})
		_, err = b.SettleErasures(ctx)
		must(t, err)
		must(t, b.MarkErased(ctx, []int64{other.ID}, e.ID))

		// Compaction does not know: what it makes of an unerased file is one.
		must(t, b.IntendUpload(ctx, []string{"ab", "a'", "orphan"}, "keeper"))
		merged := file
		merged.Key, merged.Place = "ab", file.ID
		must(t, b.ReplaceDataFiles(ctx, modelwatch.Replacement{ID: "1", Files: []modelwatch.DataFile{merged}, Retired: []int64{file.ID, other.ID}, Reason: "compaction"}))
		files, err = b.UnerasedFiles(ctx, "fraud", e.ID, 10)
		must(t, err)
		same(t, "after compaction", keysOf(files), []string{"late", "ab"})
		_, err = b.SettleErasures(ctx)
		must(t, err)
		got, err := b.Erasure(ctx, "fraud", e.ID)
		must(t, err)
		same(t, "state", got.State, modelwatch.ErasureQueued)

		clean := merged
		clean.Key = "a'"
		must(t, b.ReplaceDataFiles(ctx, modelwatch.Replacement{ID: "2", Files: []modelwatch.DataFile{clean}, Retired: []int64{files[1].ID}, Reason: "erasure",
			ErasedUntil: e.ID, Erased: map[int64]int64{e.ID: 5}}))
		_, err = b.SettleErasures(ctx)
		must(t, err)
		got, err = b.Erasure(ctx, "fraud", e.ID)
		must(t, err)
		same(t, "erased", got, modelwatch.Erasure{ID: e.ID, Model: "fraud", State: modelwatch.ErasureErased, IDs: 3, Files: 1, Rows: 5, CreatedAt: start, ErasedAt: start})

		b.clock.advance(time.Hour)
		_, err = b.CondemnRetired(ctx, start.Add(time.Minute), 10)
		must(t, err)
		_, err = b.SettleErasures(ctx)
		must(t, err)
		got, err = b.Erasure(ctx, "fraud", e.ID)
		must(t, err)
		same(t, "while objects exist", got.State, modelwatch.ErasureErased)
		keys, err := b.CondemnIntents(ctx, start.Add(-time.Hour), 10)
		must(t, err)
		must(t, b.ForgetIntents(ctx, keys))
		_, err = b.SettleErasures(ctx)
		must(t, err)
		got, err = b.Erasure(ctx, "fraud", e.ID)
		must(t, err)
		same(t, "while an upload may hold the rows", got.State, modelwatch.ErasureErased)
		keys, err = b.CondemnIntents(ctx, start.Add(time.Minute), 10)
		must(t, err)
		same(t, "condemned", keys, []string{"orphan"})
		must(t, b.ForgetIntents(ctx, keys))
		_, err = b.SettleErasures(ctx)
		must(t, err)
		list, _, err := b.Erasures(ctx, "fraud", Page{})
		must(t, err)
		same(t, "states", []modelwatch.ErasureState{list[0].State, list[1].State}, []modelwatch.ErasureState{modelwatch.ErasureDone, modelwatch.ErasureDone})
		same(t, "late", late.Key, "late")
	})
}

func TestEraseLetters(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		take(t, b.Catalog, "owner", 1)
		must(t, b.CommitIngest(ctx, flush(t, b.Catalog, span(0, -1, 10, 0))))
		must(t, b.CommitIngest(ctx, flush(t, b.Catalog, span(0, 10, 20, 0))))
		_, err := b.EnsureVersion(ctx, "fraud", "1")
		must(t, err)
		e, err := b.AddErasure(ctx, modelwatch.Erasure{Model: "fraud"}, nil)
		must(t, err)
		letters, err := b.UnerasedLetters(ctx, e.ID, 10)
		must(t, err)
		same(t, "letters", len(letters), 2)
		must(t, b.EraseLetters(ctx, map[int64]int64{letters[0].ID: e.ID}, []int64{letters[1].ID}, e.ID))
		must(t, b.EraseLetters(ctx, map[int64]int64{letters[0].ID: e.ID}, nil, e.ID))
		got, err := b.Erasure(ctx, "fraud", e.ID)
		must(t, err)
		same(t, "counted once", got.DeadLetters, int64(1))
		letters, err = b.UnerasedLetters(ctx, e.ID, 10)
		must(t, err)
		same(t, "left", len(letters), 0)
	})
}

func TestRetireExpired(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		_, _, err := b.PutModel(ctx, modelwatch.Model{Name: "fraud"})
		must(t, err)
		put := func(name string, days int) {
			t.Helper()
			_, _, err := b.PutVersion(ctx, modelwatch.Version{Model: "fraud", Name: name, SamplingRate: 1, RetentionDays: days})
			must(t, err)
		}
		put("1", 30)
		put("2", 0)
		n := 0
		add := func(version string, age time.Duration) {
			n++
			key := version + " " + age.String()
			must(t, b.IntendUpload(ctx, []string{key}, "owner"))
			must(t, b.CommitIngest(ctx, modelwatch.IngestCommit{ID: key, Files: []modelwatch.DataFile{{
				Key: key, Kind: modelwatch.KindLabel, Model: "fraud", Version: version, MinTime: start.Add(-age - time.Hour), MaxTime: start.Add(-age)}}}))
		}
		const day = 24 * time.Hour
		for _, v := range []string{"1", "2", "", "unknown"} {
			add(v, 30*day)
			add(v, 30*day+time.Microsecond)
			add(v, 61*day)
		}
		retire := func(what string, want int, left ...string) {
			t.Helper()
			retired, err := b.RetireExpired(ctx, start, 100)
			must(t, err)
			files, err := b.DataFiles(ctx, DataFileFilter{})
			must(t, err)
			same(t, what, retired, want)
			same(t, what, keysOf(files), left)
		}
		retire("of version 1", 2, "1 720h0m0s", "2 720h0m0s", "2 720h0m0.000001s", "2 1464h0m0s", " 720h0m0s", " 720h0m0.000001s", " 1464h0m0s",
			"unknown 720h0m0s", "unknown 720h0m0.000001s", "unknown 1464h0m0s")
		put("2", 60)
		retire("of version 2, and of labels without a version", 2, "1 720h0m0s", "2 720h0m0s", "2 720h0m0.000001s", " 720h0m0s", " 720h0m0.000001s",
			"unknown 720h0m0s", "unknown 720h0m0.000001s", "unknown 1464h0m0s")
		if n := b.scalar(t, `SELECT count(*) FROM data_file WHERE retired_by = 'retention'`); n != 4 {
			t.Errorf("%d files are retired by retention", n)
		}
	})
}

func TestCleanLedger(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		take(t, b.Catalog, "owner", 1)
		empty := flush(t, b.Catalog, span(0, -1, 10, 0))
		empty.Files = nil
		must(t, b.CommitIngest(ctx, empty))
		must(t, b.CommitIngest(ctx, flush(t, b.Catalog, span(0, 10, 20, 0))))
		b.clock.advance(time.Hour)
		must(t, b.CommitIngest(ctx, flush(t, b.Catalog, span(0, 20, 30, 0))))
		n, err := b.CleanLedger(ctx, start.Add(time.Minute))
		must(t, err)
		same(t, "cleaned", n, int64(3))
		same(t, "commits", b.scalar(t, `SELECT count(*) FROM ingest_commit`), int64(2))
		same(t, "ranges", b.scalar(t, `SELECT count(*) FROM commit_range`), int64(1))
		must(t, b.CommitIngest(ctx, flush(t, b.Catalog, span(0, 30, 40, 0))))
	})
}

func TestCleanMeasurements(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		run := addClaimed(t, b, "drift", 0, 1)
		must(t, b.CompleteRun(ctx, run, []modelwatch.Measurement{feature("amount", "psi", 1)}, nil))
		newest := addClaimed(t, b, "drift", 1, 1)
		must(t, b.CompleteRun(ctx, newest, []modelwatch.Measurement{feature("amount", "psi", 1)}, nil))
		addClaimed(t, b, "quality", 0, 1)
		n, err := b.CleanMeasurements(ctx, start)
		must(t, err)
		same(t, "nothing is old", n, int64(0))
		n, err = b.CleanMeasurements(ctx, start.Add(1000*time.Hour))
		must(t, err)
		same(t, "cleaned", n, int64(2))
		same(t, "measurements", b.scalar(t, `SELECT count(*) FROM measurement`), int64(1))
		same(t, "runs", b.scalar(t, `SELECT count(*) FROM run`), int64(2))
	})
}
