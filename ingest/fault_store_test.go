package ingest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

// faultLostCommit: the database fails over to a replica that has not heard of the
// last commit. Its rows are read again; its objects are garbage.
func faultLostCommit(_ *testing.T, b *testBundle) {
	b.registerMix()
	r := b.start(b.options("a"))
	b.mix(12)
	b.await(12)
	c := b.catalog
	c.mu.Lock()
	cursors, order := maps.Clone(c.cursors), slices.Clone(c.order)
	c.mu.Unlock()
	b.mix(12)
	b.await(24)
	c.mu.Lock()
	for _, id := range c.order[len(order):] {
		for _, f := range c.commits[id].Files {
			c.intents[f.Key] = "pending" // announced earlier, and known to the replica
		}
		delete(c.commits, id)
	}
	c.cursors, c.order = cursors, order
	c.mu.Unlock()
	b.mix(12)
	b.await(36)
	r.stop()
	b.audit()
}

// faultPutConflict: a put does what it was asked, the answer is lost, and the next
// try is told that there is another object. It goes under another key.
func faultPutConflict(t *testing.T, b *testBundle) {
	b.registerMix()
	puts := map[string]int{}
	b.archive.after = func(key string) error {
		if puts[key]++; puts[key] == 1 && len(puts) == 1 {
			return modelwatch.Errorf(modelwatch.CodeUnavailable, "connection reset")
		}
		return nil
	}
	b.archive.setFail(func(key string) error {
		if puts[key] == 1 {
			return modelwatch.Errorf(modelwatch.CodeConflict, "%s has other content", key)
		}
		return nil
	})
	r := b.start(b.options("a"))
	b.mix(24)
	b.await(24)
	r.stop()
	again := 0
	for _, n := range puts {
		again += n - 1
	}
	if len(puts) < 3 || again != 0 {
		t.Errorf("puts: %v", puts)
	}
	b.audit()
}

// faultDiskFull: the folder has no room for a while.
func faultDiskFull(t *testing.T, b *testBundle) {
	b.registerMix()
	r := b.start(b.options("a"))
	b.mix(12)
	b.await(12)
	b.archive.setFail(func(key string) error {
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "write %s: no space left on device", key)
	})
	b.mix(12)
	for r.Ready() == nil {
		time.Sleep(time.Second) // of the bubble's clock
	}
	if n := r.metric("retries_total", "upload"); n == 0 {
		t.Error("no retry is counted")
	}
	b.archive.setFail(nil)
	b.await(24)
	r.stop()
	b.audit()
}

// faultPoison: no record has a place. The cursor passes them all the same.
func faultPoison(t *testing.T, b *testBundle) {
	r := b.start(b.options("a"))
	for i := range 40 {
		b.produce(int32(i%2), []string{`{`, `[1]`, `{"kind":"prediction"}`, "\xff"}[i%4])
	}
	b.await(40)
	r.stop()
	letters := map[string]int{}
	for _, c := range b.catalog.ledger() {
		for _, l := range c.DeadLetters {
			letters[fmt.Sprint(l.Partition, l.Offset)]++
		}
	}
	if len(letters) != 40 {
		t.Errorf("%d records are dead letters, 40 were sent", len(letters))
	}
	if next, err := checkTiling(b.catalog.ledger()); err != nil || len(next) != 2 {
		t.Error(next, err)
	}
}

// faultClock: the wall clock goes a day back, and two ahead. Ages follow another clock,
// and so does what is garbage.
func faultClock(_ *testing.T, b *testBundle) {
	b.registerMix()
	var shift time.Duration
	o := b.options("a")
	o.Now = func() time.Time {
		b.catalog.mu.Lock()
		defer b.catalog.mu.Unlock()
		return time.Now().Add(shift)
	}
	r := b.start(o)
	for i, by := range []time.Duration{0, -23 * time.Hour, 48 * time.Hour} {
		b.catalog.mu.Lock()
		shift = by
		b.catalog.mu.Unlock()
		b.mix(12)
		b.await(12 * (i + 1))
		b.collect()
	}
	r.stop()
	b.audit()
}
