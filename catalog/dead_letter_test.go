package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

func TestDeadLetters(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		reasons := []modelwatch.DeadLetterReason{modelwatch.DeadNoID, modelwatch.DeadInvalidJSON, modelwatch.DeadNoID, modelwatch.DeadEmpty}
		for i, reason := range reasons {
			b.clock.advance(time.Minute)
			must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{
				ID: uuid.NewString(), Group: "group", Ranges: []modelwatch.Range{span(0, int64(i)-1, int64(i), 0)},
				DeadLetters: []modelwatch.DeadLetter{{Topic: "events", Offset: int64(i), Reason: reason, Model: fmt.Sprint(i % 2)}},
			}))
		}
		counts, err := b.CountDeadLetters(t.Context(), DeadLetterFilter{})
		must(t, err)
		same(t, "counts", counts, []modelwatch.DeadLetterCount{
			{Reason: modelwatch.DeadEmpty, State: modelwatch.DeadLetterOpen, Count: 1},
			{Reason: modelwatch.DeadInvalidJSON, State: modelwatch.DeadLetterOpen, Count: 1},
			{Reason: modelwatch.DeadNoID, State: modelwatch.DeadLetterOpen, Count: 2},
		})
		counts, err = b.CountDeadLetters(t.Context(), DeadLetterFilter{Model: "1"})
		must(t, err)
		same(t, "counts of a model", counts, []modelwatch.DeadLetterCount{
			{Reason: modelwatch.DeadEmpty, State: modelwatch.DeadLetterOpen, Count: 1},
			{Reason: modelwatch.DeadInvalidJSON, State: modelwatch.DeadLetterOpen, Count: 1},
		})
		for _, tt := range []struct {
			name   string
			filter DeadLetterFilter
			want   []int64
		}{
			{"none", DeadLetterFilter{}, []int64{3, 2, 1, 0}},
			{"reason", DeadLetterFilter{Reason: modelwatch.DeadNoID}, []int64{2, 0}},
			{"model", DeadLetterFilter{Model: "1"}, []int64{3, 1}},
			{"topic", DeadLetterFilter{Topic: "other"}, nil},
			{"topic's beginning", DeadLetterFilter{TopicPrefix: "even"}, []int64{3, 2, 1, 0}},
			{"no wildcard", DeadLetterFilter{TopicPrefix: "e%"}, nil},
			{"other beginning", DeadLetterFilter{TopicPrefix: "vents"}, nil},
			{"state", DeadLetterFilter{State: modelwatch.DeadLetterOpen}, []int64{3, 2, 1, 0}},
			{"other state", DeadLetterFilter{State: modelwatch.DeadLetterReplayed}, nil},
			{"written at or after", DeadLetterFilter{From: start.Add(2 * time.Minute)}, []int64{3, 2, 1}},
			{"written before", DeadLetterFilter{To: start.Add(2 * time.Minute)}, []int64{0}},
		} {
			for size := 1; size < 5; size++ {
				var got []int64
				for _, d := range pages(t, size, func(p Page) ([]modelwatch.DeadLetter, string, error) {
					tt.filter.Page = p
					return b.DeadLetters(t.Context(), tt.filter)
				}) {
					got = append(got, d.Offset)
				}
				same(t, tt.name, got, tt.want)
			}
		}

		// Another group reads the same records: they are kept once.
		_, err = b.TakePartitions(t.Context(), "second", "owner", []modelwatch.Partition{partition(0)})
		must(t, err)
		must(t, b.CommitIngest(t.Context(), modelwatch.IngestCommit{
			ID: "second", Group: "second", Ranges: []modelwatch.Range{span(0, -1, 2, 0)},
			DeadLetters: []modelwatch.DeadLetter{{Topic: "events", Offset: 0, Reason: modelwatch.DeadNoID}, {Topic: "events", Offset: 9, Reason: modelwatch.DeadNoID}},
		}))
		if n := b.scalar(t, `SELECT count(*) FROM dead_letter`); n != 5 {
			t.Errorf("%d dead letters, want 5", n)
		}
	})
}
