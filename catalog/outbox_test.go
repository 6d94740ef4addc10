package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// publish computes a revision of an hour for sinks; the first measurement's
// name tells publications apart.
func publish(t testing.TB, b *testBundle, window, revision int, sinks ...string) {
	t.Helper()
	run := addClaimed(t, b, "drift", window, revision)
	must(t, b.CompleteRun(t.Context(), run, nil, labelled(fmt.Sprintf("%d/%d", window, revision), sinks...)))
}

func labelled(label string, sinks ...string) (entries []modelwatch.OutboxEntry) {
	for _, e := range outboxEntries(sinks...) {
		e.Publication.WindowLabel = label
		entries = append(entries, e)
	}
	return entries
}

// deliverable claims what is due for a sink and returns ids and labels.
func deliverable(t testing.TB, b *testBundle, sink string, limit int) (ids []int64, labels []string) {
	t.Helper()
	entries, leader, err := b.ClaimOutbox(t.Context(), sink, "a", b.clock.now(), time.Minute, limit)
	must(t, err)
	if !leader {
		t.Fatal("the only owner does not lead")
	}
	for _, e := range entries {
		ids, labels = append(ids, e.ID), append(labels, e.Publication.WindowLabel)
	}
	return ids, labels
}

func TestPublicationKeepsEveryField(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		want := filled[modelwatch.Publication]()
		run := addClaimed(t, b, "drift", 0, 1)
		must(t, b.CompleteRun(t.Context(), run, nil, []modelwatch.OutboxEntry{{Sink: "datadog", Publication: want}, {Sink: "datadog", NotBefore: start}}))
		entries, leader, err := b.ClaimOutbox(t.Context(), "datadog", "a", start, time.Minute, 10)
		must(t, err)
		if !leader || len(entries) != 2 {
			t.Fatalf("leader %v of %d entries, want 2", leader, len(entries))
		}
		same(t, "full", entries[0], modelwatch.OutboxEntry{ID: entries[0].ID, Sink: "datadog", Publication: want, CreatedAt: start})
		same(t, "empty", entries[1], modelwatch.OutboxEntry{ID: entries[1].ID, Sink: "datadog", NotBefore: start, CreatedAt: start})
	})
}

func TestOutboxInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for i := range 4 {
			publish(t, b, i, 1, "datadog", "stdout")
		}
		depth, err := b.OutboxDepth(t.Context())
		must(t, err)
		same(t, "depth", depth, map[string]int64{"datadog": 4, "stdout": 4})

		first, labels := deliverable(t, b, "datadog", 2)
		same(t, "first", labels, []string{"0/1", "1/1"})
		must(t, b.RetryOutbox(t.Context(), first, start.Add(time.Minute), "status 503\x00"))
		_, labels = deliverable(t, b, "datadog", 2)
		same(t, "nothing passes a head that is not due", labels, []string(nil))
		_, labels = deliverable(t, b, "stdout", 10)
		same(t, "another sink", labels, []string{"0/1", "1/1", "2/1", "3/1"})

		b.clock.advance(time.Minute)
		entries, _, err := b.ClaimOutbox(t.Context(), "datadog", "a", b.clock.now(), time.Minute, 3)
		must(t, err)
		if len(entries) != 3 || entries[0].Attempts != 1 || entries[2].Attempts != 0 {
			t.Errorf("after the pause: %+v", entries)
		}
		must(t, b.AckOutbox(t.Context(), first[:1]))
		must(t, b.RetryOutbox(t.Context(), []int64{entries[2].ID}, b.clock.now().Add(time.Minute), "status 503"))
		_, labels = deliverable(t, b, "datadog", 10)
		same(t, "up to the one that is not due", labels, []string{"1/1"})
		b.clock.advance(time.Minute)
		_, labels = deliverable(t, b, "datadog", 10)
		same(t, "the rest", labels, []string{"1/1", "2/1", "3/1"})
	})
}

func TestOutboxHasOneLeaderPerSink(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		publish(t, b, 0, 1, "datadog")
		claimBy := func(sink, owner string) (int, bool) {
			t.Helper()
			entries, leader, err := b.ClaimOutbox(t.Context(), sink, owner, b.clock.now(), time.Minute, 10)
			must(t, err)
			return len(entries), leader
		}
		leaders := make([]bool, 8)
		errs := concurrently(len(leaders), func(i int) (err error) {
			_, leaders[i], err = b.ClaimOutbox(t.Context(), "datadog", fmt.Sprint(i), start, time.Minute, 10)
			return err
		})
		leading := -1
		for i, leader := range leaders {
			must(t, errs[i])
			if leader && leading >= 0 {
				t.Errorf("both %d and %d lead", leading, i)
			}
			if leader {
				leading = i
			}
		}
		if leading < 0 {
			t.Fatal("nobody leads")
		}
		owner := fmt.Sprint(leading)
		b.clock.advance(time.Minute - time.Microsecond)
		if n, leader := claimBy("datadog", "other"); leader || n != 0 {
			t.Errorf("another owner got %d entries, leader %v, under a lease that holds", n, leader)
		}
		if _, leader := claimBy("stdout", "other"); !leader {
			t.Error("another sink has no leader of its own")
		}
		if n, leader := claimBy("datadog", owner); !leader || n != 1 {
			t.Errorf("the leader got %d entries, leader %v", n, leader)
		}
		b.clock.advance(time.Minute)
		if n, leader := claimBy("datadog", "other"); !leader || n != 1 {
			t.Errorf("after the lease another owner got %d entries, leader %v", n, leader)
		}
		if _, leader := claimBy("datadog", owner); leader {
			t.Error("the old leader leads beside the new")
		}
		if token := b.scalar(t, `SELECT token FROM lease WHERE name = 'sink/datadog'`); token != 2 {
			t.Errorf("the lease changed hands once and has token %d, want 2", token)
		}
	})
}

func TestSupersededPublicationsAreDropped(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		late := addClaimed(t, b, "drift", 0, 1)
		publish(t, b, 0, 2, "datadog", "stdout")
		publish(t, b, 1, 1, "datadog")
		publish(t, b, 0, 3, "datadog")
		failed := addClaimed(t, b, "drift", 0, 4)
		must(t, b.FailRun(t.Context(), failed, "broken", labelled("failure", "datadog")))

		// The head is superseded, the second is not due: neither stops the third.
		ids, labels := deliverable(t, b, "datadog", 2)
		same(t, "a newer revision waits", labels, []string{"1/1", "0/3"})
		must(t, b.AckOutbox(t.Context(), ids))
		_, labels = deliverable(t, b, "stdout", 2)
		same(t, "another sink has no newer one", labels, []string{"0/2"})

		must(t, b.CompleteRun(t.Context(), late, nil, labelled("0/1", "datadog")))
		_, labels = deliverable(t, b, "datadog", 10)
		same(t, "a newer revision was delivered", labels, []string{"failure"})
		drops, err := b.OutboxDrops(t.Context())
		must(t, err)
		same(t, "drops", drops, []OutboxDrop{{Sink: "datadog", Reason: "superseded", Entries: 2, UpdatedAt: start}})
	})
}

func TestManySupersededDoNotHideWhatIsDue(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for revision := 1; revision <= 6; revision++ {
			publish(t, b, 0, revision, "datadog")
		}
		publish(t, b, 1, 1, "datadog")
		_, labels := deliverable(t, b, "datadog", 2)
		same(t, "due", labels, []string{"0/6", "1/1"})
	})
}

func TestDropOutbox(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		publish(t, b, 0, 1, "datadog", "stdout")
		publish(t, b, 1, 1, "datadog")
		ids, _ := deliverable(t, b, "datadog", 10)
		other, _ := deliverable(t, b, "stdout", 10)
		must(t, b.DropOutbox(t.Context(), append(ids, other...), "status 400"))
		must(t, b.DropOutbox(t.Context(), ids, "status 400"))
		must(t, b.AckOutbox(t.Context(), nil))
		depth, err := b.OutboxDepth(t.Context())
		must(t, err)
		same(t, "depth", depth, map[string]int64{})
		drops, err := b.OutboxDrops(t.Context())
		must(t, err)
		same(t, "drops", drops, []OutboxDrop{
			{Sink: "datadog", Reason: "rejected", Entries: 2, LastError: "status 400", UpdatedAt: start},
			{Sink: "stdout", Reason: "rejected", Entries: 1, LastError: "status 400", UpdatedAt: start},
		})
	})
}
