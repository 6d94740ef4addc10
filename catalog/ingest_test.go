package catalog

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

func partition(n int32) modelwatch.Partition {
	return modelwatch.Partition{Topic: "events", TopicID: [16]byte{1, 2, 0xff}, Partition: n}
}

// take makes owner the owner of partitions 0 to n-1.
func take(t testing.TB, c *Catalog, owner string, n int32) map[modelwatch.Partition]modelwatch.Cursor {
	t.Helper()
	var parts []modelwatch.Partition
	for i := range n {
		parts = append(parts, partition(i))
	}
	cursors, err := c.TakePartitions(t.Context(), "group", owner, parts)
	must(t, err)
	return cursors
}

// span is a range of partition n under an epoch.
func span(n int32, from, to, epoch int64) modelwatch.Range {
	return modelwatch.Range{Partition: partition(n), From: from, To: to, Epoch: epoch}
}

// flush is a commit with one file of its own.
func flush(t testing.TB, c *Catalog, ranges ...modelwatch.Range) modelwatch.IngestCommit {
	t.Helper()
	id := uuid.NewString()
	must(t, c.IntendUpload(t.Context(), []string{id + ".parquet"}, "owner"))
	return modelwatch.IngestCommit{
		ID: id, Group: "group", Owner: "owner", Ranges: ranges,
		Files:   []modelwatch.DataFile{{Key: id + ".parquet", Kind: modelwatch.KindPrediction, Model: "fraud", Version: "1", Rows: 2, MinTime: start, MaxTime: start, SamplingRate: 1}},
		Volumes: []modelwatch.Volume{{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: start, Seen: 3, Kept: 2, Rejected: 1}},
		DeadLetters: []modelwatch.DeadLetter{{
			Topic: "events", Partition: ranges[0].Partition.Partition, Offset: ranges[0].From + 1, Reason: modelwatch.DeadNoID, Value: []byte("{}"),
		}},
	}
}

// contents counts what commits have left.
func contents(t testing.TB, b *testBundle) map[string]int64 {
	t.Helper()
	return map[string]int64{
		"commits":      b.scalar(t, `SELECT count(*) FROM ingest_commit`),
		"ranges":       b.scalar(t, `SELECT count(*) FROM commit_range`),
		"files":        b.scalar(t, `SELECT count(*) FROM data_file`),
		"registered":   b.scalar(t, `SELECT count(*) FROM upload_intent WHERE state = 'registered'`),
		"kept":         b.scalar(t, `SELECT CAST(coalesce(sum(kept), 0) AS BIGINT) FROM volume`),
		"seen":         b.scalar(t, `SELECT CAST(coalesce(sum(seen), 0) AS BIGINT) FROM volume_total`),
		"dead letters": b.scalar(t, `SELECT count(*) FROM dead_letter`),
	}
}

// commits is what contents must be after n commits of flush.
func commits(n int64) map[string]int64 {
	return map[string]int64{"commits": n, "ranges": n, "files": n, "registered": n, "kept": 2 * n, "seen": 3 * n, "dead letters": n}
}

func TestTakePartitions(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		first := take(t, b.Catalog, "a", 2)
		same(t, "first", first, map[modelwatch.Partition]modelwatch.Cursor{partition(0): {Next: -1, LeaderEpoch: -1}, partition(1): {Next: -1, LeaderEpoch: -1}})
		moved := span(1, -1, 10, 0)
		moved.LeaderEpoch = 7
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, moved)))
		second := take(t, b.Catalog, "b", 3)
		same(t, "second", second, map[modelwatch.Partition]modelwatch.Cursor{
			partition(0): {Next: -1, Epoch: 1, LeaderEpoch: -1}, partition(1): {Next: 10, Epoch: 1, LeaderEpoch: 7}, partition(2): {Next: -1, LeaderEpoch: -1},
		})

		other := partition(1)
		other.TopicID[15] = 9
		again, err := b.TakePartitions(t.Context(), "group", "b", []modelwatch.Partition{other, other})
		must(t, err)
		same(t, "the topic was made again", again, map[modelwatch.Partition]modelwatch.Cursor{other: {Next: -1, LeaderEpoch: -1}})
		again, err = b.TakePartitions(t.Context(), "another group", "b", []modelwatch.Partition{partition(1)})
		must(t, err)
		same(t, "another group", again, map[modelwatch.Partition]modelwatch.Cursor{partition(1): {Next: -1, LeaderEpoch: -1}})
	})
}

func TestTakePartitionsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for range 5 {
			errs := concurrently(8, func(i int) error {
				parts := []modelwatch.Partition{partition(0), partition(1), partition(2), partition(3)}
				rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
				_, err := b.TakePartitions(t.Context(), "group", fmt.Sprint(i), parts)
				return err
			})
			for _, err := range errs {
				must(t, err)
			}
		}
		cursors := take(t, b.Catalog, "last", 4)
		for p, c := range cursors {
			if c.Epoch != 40 {
				t.Errorf("partition %d was taken 41 times and has epoch %d, want 40", p.Partition, c.Epoch)
			}
		}
	})
}

func TestCommitIngestStoresEverything(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		file := filled[modelwatch.DataFile]()
		file.Kind, file.MaxTime = modelwatch.KindLabel, file.MinTime.Add(time.Hour)
		letter := filled[modelwatch.DeadLetter]()
		letter.Topic, letter.Partition = "events", 0
		letter.Key, letter.Value = nil, []byte{0, 0xff, 'x'}
		letter.Detail = "expected an object,\x00 found \xff"
		commit := modelwatch.IngestCommit{
			ID: "commit 1", Group: "group", Owner: "owner", Ranges: []modelwatch.Range{span(0, -1, 100, 0)},
			Files: []modelwatch.DataFile{file}, DeadLetters: []modelwatch.DeadLetter{letter},
			Volumes: []modelwatch.Volume{
				{Model: "m", Version: "1", Kind: modelwatch.KindLabel, BucketStart: start.Add(6 * time.Minute), Seen: 1, Kept: 2, Rejected: 3},
				{Model: "m", Version: "1", Kind: modelwatch.KindLabel, BucketStart: start.Add(5 * time.Minute), Seen: 10, Kept: 20, Rejected: 30},
				{Model: "m", Version: "", Kind: modelwatch.KindLabel, BucketStart: start, Seen: 100},
			},
		}
		must(t, b.IntendUpload(t.Context(), []string{file.Key, letter.Object.Key}, "owner"))
		must(t, b.CommitIngest(t.Context(), commit))

		files, err := b.DataFiles(t.Context(), DataFileFilter{})
		must(t, err)
		file.ID, file.CommitID = files[0].ID, "commit 1"
		same(t, "files", files, []modelwatch.DataFile{file})

		letters, _, err := b.DeadLetters(t.Context(), DeadLetterFilter{})
		must(t, err)
		letter.ID, letter.Detail = letters[0].ID, "expected an object,\uFFFD found \uFFFD"
		letter.State, letter.ReplayedAt = modelwatch.DeadLetterOpen, time.Time{}
		same(t, "dead letters", letters, []modelwatch.DeadLetter{letter})

		volumes, err := b.Volumes(t.Context(), "m", modelwatch.Window{})
		must(t, err)
		same(t, "volumes", volumes, []modelwatch.Volume{
			{Model: "m", Kind: modelwatch.KindLabel, BucketStart: start, Seen: 100},
			{Model: "m", Version: "1", Kind: modelwatch.KindLabel, BucketStart: start.Add(5 * time.Minute), Seen: 11, Kept: 22, Rejected: 33},
		})
	})
}

func TestCommitIngestFenced(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 3)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, -1, 10, 0))))
		before := contents(t, b)
		for _, tt := range []struct {
			name string
			last modelwatch.Range // the range that is refused, after two that are in order
		}{
			{"cursor behind", span(2, 0, 10, 0)},
			{"older epoch", span(2, -1, 10, -1)},
			{"newer epoch", span(2, -1, 10, 1)},
			{"not taken", span(9, -1, 10, 0)},
		} {
			commit := flush(t, b.Catalog, span(0, 10, 20, 0), span(1, -1, 5, 0), tt.last)
			wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeFenced)
			same(t, tt.name, contents(t, b), before)
		}

		commit := flush(t, b.Catalog, span(0, 10, 20, 0))
		commit.Group = "another group"
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeFenced)

		commit = flush(t, b.Catalog, span(0, 10, 20, 0))
		commit.Files = append(commit.Files, modelwatch.DataFile{Key: "never announced"})
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeFenced)

		commit = flush(t, b.Catalog, span(0, 10, 20, 0))
		commit.DeadLetters[0].Topic = "another topic"
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeInternal)
		commit.ID = ""
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeInternal)
		commit.ID, commit.Ranges = "x", []modelwatch.Range{span(0, 20, 10, 0)}
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeInternal)
		same(t, "after all of them", contents(t, b), before)

		// Nothing that was refused stands in the way.
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 10, 20, 0))))
	})
}

func TestCommitIngestAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		commit := flush(t, b.Catalog, span(0, -1, 10, 0))
		for range 3 {
			must(t, b.CommitIngest(t.Context(), commit))
		}
		same(t, "contents", contents(t, b), commits(1))
		// Also when the partition has moved on meanwhile.
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 10, 20, 0))))
		take(t, b.Catalog, "other", 1)
		must(t, b.CommitIngest(t.Context(), commit))
		same(t, "contents", contents(t, b), commits(2))
	})
}

func TestCommitIngestWithoutProgress(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, -1, 10, 0))))
		for range 2 {
			must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, 10, 10, 0)}}))
		}
		must(t, b.CommitIngest(t.Context(), flush(t, b.Catalog, span(0, 10, 11, 0))))
	})
}

// TestOneOfManyCommits: eight consumers, each from a connection of its own,
// build on the same cursor. One wins each time.
func TestOneOfManyCommits(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 2)
		consumers := make([]*Catalog, 8)
		for i := range consumers {
			consumers[i] = b.open(t)
		}
		const rounds = 5
		for round := range int64(rounds) {
			from := round*10 - 1
			flushes := make([]modelwatch.IngestCommit, len(consumers))
			for i, c := range consumers {
				// Both partitions, in either order.
				flushes[i] = flush(t, c, span(int32(i%2), from, from+10, 0), span(int32((i+1)%2), from, from+10, 0))
			}
			errs := concurrently(len(consumers), func(i int) error { return consumers[i].CommitIngest(t.Context(), flushes[i]) })
			same(t, "outcomes", codes(errs), map[modelwatch.Code]int{"": 1, modelwatch.CodeFenced: 7})
		}
		want := commits(rounds)
		want["ranges"] = 2 * rounds
		same(t, "contents", contents(t, b), want)
	})
}

// TestSharedCountsDoNotDeadlock: commits of different partitions add to the same
// counts, given in different orders.
func TestSharedCountsDoNotDeadlock(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const workers, rounds, models = 6, 5, 30
		take(t, b.Catalog, "owner", workers)
		errs := concurrently(workers, func(i int) error {
			for round := range int64(rounds) {
				commit := modelwatch.IngestCommit{ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(int32(i), round-1, round, 0)}}
				for _, m := range rand.Perm(models) {
					commit.Volumes = append(commit.Volumes, modelwatch.Volume{Model: fmt.Sprint(m), Kind: modelwatch.KindPrediction, BucketStart: start, Seen: 1})
				}
				if err := b.CommitIngest(t.Context(), commit); err != nil {
					return err
				}
				if _, _, err := b.ReportCounts(t.Context(), "reporter", start.Add(time.Duration(round)*time.Second), nil); err != nil {
					return err
				}
			}
			return nil
		})
		for _, err := range errs {
			must(t, err)
		}
		if got, want := b.scalar(t, `SELECT CAST(sum(seen) AS BIGINT) FROM volume`), int64(workers*rounds*models); got != want {
			t.Errorf("%d events were counted, want %d", got, want)
		}
	})
}

// TestRangesTile: consumers take partitions from each other and commit at
// random. In the end every offset is accounted for once, by one commit.
func TestRangesTile(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		const workers, partitions, steps = 4, 2, 25
		errs := concurrently(workers, func(i int) error {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			owned := map[modelwatch.Partition]modelwatch.Cursor{}
			for range steps {
				p := partition(random.Int32N(partitions))
				at, ok := owned[p]
				if !ok || random.IntN(6) == 0 {
					taken, err := b.TakePartitions(t.Context(), "group", fmt.Sprint(i), []modelwatch.Partition{p})
					if err != nil {
						return err
					}
					owned[p] = taken[p]
					continue
				}
				to := max(at.Next, 0) + 1 + random.Int64N(9)
				err := b.CommitIngest(t.Context(), modelwatch.IngestCommit{
					ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{{Partition: p, From: at.Next, To: to, Epoch: at.Epoch}},
					Volumes: []modelwatch.Volume{{Model: "m", Kind: modelwatch.KindLabel, BucketStart: start, Seen: to - max(at.Next, 0)}},
				})
				switch modelwatch.ErrorCode(err) {
				case "":
					owned[p] = modelwatch.Cursor{Next: to, Epoch: at.Epoch}
				case modelwatch.CodeFenced:
					delete(owned, p)
				default:
					return err
				}
			}
			return nil
		})
		for _, err := range errs {
			must(t, err)
		}
		holes := b.scalar(t, `SELECT count(*) FROM commit_range AS r WHERE from_offset <> -1 AND NOT EXISTS (
			SELECT 1 FROM commit_range AS p WHERE p.partition_id = r.partition_id AND p.to_offset = r.from_offset)`)
		ends := b.scalar(t, `SELECT CAST(sum(next_offset) AS BIGINT) FROM stream_cursor WHERE next_offset > 0`)
		seen := b.scalar(t, `SELECT CAST(sum(seen) AS BIGINT) FROM volume`)
		if holes != 0 || ends != seen || ends == 0 {
			t.Errorf("%d holes; the cursors stand at %d in sum and %d events were counted", holes, ends, seen)
		}
	})
}
