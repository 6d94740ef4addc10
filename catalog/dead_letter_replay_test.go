package catalog

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

// letter is a dead letter of partition 0 with everything that one may have.
func letter(offset int64) modelwatch.DeadLetter {
	return modelwatch.DeadLetter{
		Topic: "events", TopicID: partition(0).TopicID, Offset: offset, Reason: modelwatch.DeadNoID, Detail: "id is absent", Model: "m",
		Key: []byte("key"), Value: []byte("{}"), Headers: []modelwatch.RecordHeader{{Key: "h", Value: []byte{0, 0xff}}},
		Size: 2, Checksum: "ab", Time: start, CreatedAt: start, State: modelwatch.DeadLetterOpen,
	}
}

// putLetters commits letters that follow the cursor of partition 0.
func (b *testBundle) putLetters(t *testing.T, from int64, letters ...modelwatch.DeadLetter) {
	t.Helper()
	keys := map[string]bool{}
	for _, d := range letters {
		if d.Object.Key != "" && !keys[d.Object.Key] {
			keys[d.Object.Key] = true
			must(t, b.IntendUpload(t.Context(), []string{d.Object.Key}, "owner"))
		}
	}
	last := letters[len(letters)-1].Offset + 1
	must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{
		ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, from, last, 0)}, DeadLetters: letters,
	}))
}

func (b *testBundle) letters(t *testing.T, f DeadLetterFilter) []modelwatch.DeadLetter {
	t.Helper()
	letters, _, err := b.DeadLetters(t.Context(), f)
	must(t, err)
	return letters
}

func (b *testBundle) stateOf(t *testing.T, offset int64) modelwatch.DeadLetterState {
	t.Helper()
	for _, d := range b.letters(t, DeadLetterFilter{}) {
		if d.Offset == offset {
			return d.State
		}
	}
	return ""
}

func TestDeadLetterKeepsEverything(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		large := letter(1)
		large.Value, large.Size, large.Truncated, large.Redacted = nil, 1<<20, true, true
		large.Object = modelwatch.ObjectPart{Key: modelwatch.DeadLetterPrefix + "a", Offset: 7, Length: 1 << 20}
		b.putLetters(t, -1, letter(0), large)
		got := b.letters(t, DeadLetterFilter{})
		want := []modelwatch.DeadLetter{large, letter(0)}
		for i := range want {
			want[i].ID = got[i].ID
		}
		same(t, "letters", got, want)
		one, err := b.DeadLetter(t.Context(), got[0].ID)
		must(t, err)
		same(t, "letter", one, want[0])
		_, err = b.DeadLetter(t.Context(), 1<<40)
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}

func TestObjectOfLettersMustBePending(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		d := letter(0)
		d.Object.Key = modelwatch.DeadLetterPrefix + "never announced"
		err := b.CommitIngest(t.Context(), modelwatch.IngestCommit{
			ID: "c", Group: "group", Ranges: []modelwatch.Range{span(0, -1, 1, 0)}, DeadLetters: []modelwatch.DeadLetter{d},
		})
		wantCode(t, err, modelwatch.CodeFenced)
		same(t, "letters", b.letters(t, DeadLetterFilter{}), []modelwatch.DeadLetter(nil))
	})
}

// replay commits what became of replays, at the cursor given.
func (b *testBundle) replay(t *testing.T, from int64, replays ...modelwatch.Replay) error {
	t.Helper()
	return b.CommitIngest(t.Context(), modelwatch.IngestCommit{
		ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, from, from+1, 0)}, Replays: replays,
	})
}

func TestReplayIsPlacedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		b.putLetters(t, -1, letter(0), letter(1))
		record := b.letters(t, DeadLetterFilter{})[1].Record()
		_, ok, err := b.Replay(t.Context(), record)
		must(t, err)
		if ok {
			t.Fatal("a replay is known that nobody has asked for")
		}
		wantCode(t, b.replay(t, 2, modelwatch.Replay{Record: record}), modelwatch.CodeFenced)

		read := b.letters(t, DeadLetterFilter{State: modelwatch.DeadLetterOpen})
		queued, err := b.QueueReplays(t.Context(), read)
		must(t, err)
		if len(queued) != 2 {
			t.Fatalf("%d letters are queued, want 2", len(queued))
		}
		// Somebody else who has read the letters before finds them changed.
		queued, err = b.QueueReplays(t.Context(), read)
		must(t, err)
		if len(queued) != 0 {
			t.Fatalf("%d letters are queued by two callers", len(queued))
		}
		// Queued letters whose publisher has died can be queued again.
		queued, err = b.QueueReplays(t.Context(), b.letters(t, DeadLetterFilter{State: modelwatch.DeadLetterQueued}))
		must(t, err)
		if len(queued) != 2 {
			t.Fatalf("%d letters are queued again, want 2", len(queued))
		}
		must(t, b.ReplaysProduced(t.Context(), []modelwatch.RecordID{queued[0].Record(), queued[1].Record()}))
		same(t, "state", b.stateOf(t, 0), modelwatch.DeadLetterProduced)

		must(t, b.replay(t, 2, modelwatch.Replay{Record: record}))
		same(t, "state", b.stateOf(t, 0), modelwatch.DeadLetterReplayed)
		wantCode(t, b.replay(t, 3, modelwatch.Replay{Record: record}), modelwatch.CodeFenced)
		state, ok, err := b.Replay(t.Context(), record)
		must(t, err)
		same(t, "known", ok, true)
		same(t, "replay", state, modelwatch.ReplayState{State: modelwatch.DeadLetterReplayed, Kept: true})
		must(t, b.ReplaysProduced(t.Context(), []modelwatch.RecordID{record})) // comes late
		same(t, "state", b.stateOf(t, 0), modelwatch.DeadLetterReplayed)
	})
}

func TestReplayIsRefusedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		b.putLetters(t, -1, letter(0))
		record := b.letters(t, DeadLetterFilter{})[0].Record()
		_, err := b.QueueReplays(t.Context(), b.letters(t, DeadLetterFilter{}))
		must(t, err)
		must(t, b.replay(t, 1, modelwatch.Replay{Record: record, Reason: modelwatch.DeadInvalidTime, Detail: "time is x", Model: "n"}))
		got := b.letters(t, DeadLetterFilter{State: modelwatch.DeadLetterOpen})
		if len(got) != 1 || got[0].Reason != modelwatch.DeadInvalidTime || got[0].Detail != "time is x" || got[0].Model != "n" || string(got[0].Value) != "{}" {
			t.Fatalf("the letter is %+v", got)
		}
		_, err = b.QueueReplays(t.Context(), got)
		must(t, err)
		must(t, b.replay(t, 2, modelwatch.Replay{Record: record}))
		same(t, "state", b.stateOf(t, 0), modelwatch.DeadLetterReplayed)
	})
}

func TestReplayAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const n = 4
		take(t, b.Catalog, "owner", n)
		b.putLetters(t, -1, letter(0))
		_, err := b.QueueReplays(t.Context(), b.letters(t, DeadLetterFilter{}))
		must(t, err)
		record := b.letters(t, DeadLetterFilter{})[0].Record()
		errs := concurrently(n-1, func(i int) error {
			return b.CommitIngest(t.Context(), modelwatch.IngestCommit{
				ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(int32(i)+1, -1, 1, 0)}, Replays: []modelwatch.Replay{{Record: record}},
			})
		})
		same(t, "outcomes", codes(errs), map[modelwatch.Code]int{"": 1, modelwatch.CodeFenced: n - 2})
	})
}

func TestPruneDeadLetters(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		at := func(i int64) modelwatch.DeadLetter {
			d := letter(i)
			d.CreatedAt = start.Add(time.Duration(i) * time.Hour)
			return d
		}
		first, second := at(0), at(1)
		first.Object = modelwatch.ObjectPart{Key: modelwatch.DeadLetterPrefix + "a", Length: 2}
		second.Object = first.Object
		b.putLetters(t, -1, first, second)
		b.putLetters(t, 2, at(2), at(3), at(4), at(5))
		dead := func() int64 { return b.scalar(t, `SELECT count(*) FROM upload_intent WHERE state = 'dead'`) }
		deleted, err := b.PruneDeadLetters(t.Context(), start.Add(time.Minute), 100)
		must(t, err)
		if deleted != 1 || dead() != 0 {
			t.Fatalf("%d letters deleted and %d objects condemned, want 1 and 0: the other letter needs the object", deleted, dead())
		}
		deleted, err = b.PruneDeadLetters(t.Context(), start.Add(90*time.Minute), 100)
		must(t, err)
		if deleted != 1 || dead() != 1 {
			t.Fatalf("%d letters deleted and %d objects condemned, want 1 and 1", deleted, dead())
		}
		b.clock.advance(time.Hour)
		_, err = b.QueueReplays(t.Context(), b.letters(t, DeadLetterFilter{To: start.Add(150 * time.Minute)}))
		must(t, err)
		deleted, err = b.PruneDeadLetters(t.Context(), start.Add(time.Minute), 2)
		must(t, err)
		if deleted != 1 {
			t.Fatalf("%d letters deleted, want 1: two are the newest, and one is on its way back", deleted)
		}
		var left []int64
		for _, d := range b.letters(t, DeadLetterFilter{}) {
			left = append(left, d.Offset)
		}
		same(t, "left", left, []int64{5, 4, 2})

		// The replay is known beyond the letter, until it is as old.
		record := modelwatch.RecordID{TopicID: partition(0).TopicID, Offset: 2}
		_, err = b.PruneDeadLetters(t.Context(), start.Add(time.Minute), 0)
		must(t, err)
		if _, ok, err := b.Replay(t.Context(), record); err != nil || !ok {
			t.Fatalf("the replay is forgotten: %v", err)
		}
		_, err = b.PruneDeadLetters(t.Context(), start.Add(24*time.Hour), 0)
		must(t, err)
		if _, ok, err := b.Replay(t.Context(), record); err != nil || ok {
			t.Fatalf("the replay is not forgotten: %v", err)
		}
	})
}
