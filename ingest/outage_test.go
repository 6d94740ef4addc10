package ingest

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelwatch/modelwatch"
)

// faultOutage: the archive and the catalog fail for a while. Meanwhile memory is
// bounded and the consumer says that it is not ready; then all goes on.
func faultOutage(step string) func(*testing.T, *testBundle) {
	return func(t *testing.T, b *testBundle) {
		o := b.options("a")
		o.FlushBytes, o.MemoryBytes = 64<<10, 128<<10
		r := b.start(o)
		b.send(2, 10)
		b.await(10)
		down := modelwatch.Errorf(modelwatch.CodeUnavailable, "away")
		b.archive.setFail(func(string) error {
			if step == "upload" {
				return down
			}
			return nil
		})
		b.catalog.setFail(func(s string) error {
			if s == step {
				return down
			}
			return nil
		})
		var most int64
		for range 60 {
			b.send(2, 100)
			time.Sleep(time.Second) // of the bubble's clock
			most = max(most, r.Stats().BufferBytes)
		}
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("ready: %v", err)
		}
		if most < 64<<10 || most > 192<<10 {
			t.Errorf("%d bytes were buffered, want about %d", most, 128<<10)
		}
		if r.Stats().LagRecords == 0 {
			t.Error("everything was read, although nothing could be written")
		}
		why := map[string]string{"upload": "upload", "intend": "catalog", "commit": "catalog"}[step]
		if on, all := r.metric("paused", why), r.metric("paused"); on != 1 || all != 1 {
			t.Errorf("paused is %v because of %s, %v in all", on, why, all)
		}
		if s := r.metric("paused_seconds_total", why); s < 30 {
			t.Errorf("paused for %v s because of %s so far", s, why)
		}
		if age := r.metric("oldest_uncommitted_seconds"); age < 55 {
			t.Errorf("the oldest record that is not committed is %v s old", age)
		}
		b.archive.setFail(nil)
		b.catalog.setFail(nil)
		b.await(b.sent)
		synctest.Wait()
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		if on, age := r.metric("paused"), r.metric("oldest_uncommitted_seconds"); on != 0 || age != 0 {
			t.Errorf("paused is %v, the oldest record is %v s old, although all is committed", on, age)
		}
		r.stop()
		b.exactlyOnce()
	}
}

// faultLostAnswers: the catalog does what it was asked, and its answer is lost.
func faultLostAnswers(step string) func(*testing.T, *testBundle) {
	return func(t *testing.T, b *testBundle) {
		lost := 0
		b.catalog.after = func(s string) error {
			if s == step && lost < 2 {
				lost++
				return modelwatch.Wrap(modelwatch.CodeUnavailable, io.ErrUnexpectedEOF, "answer of %s", s)
			}
			return nil
		}
		r := b.start(b.options("a"))
		b.send(2, 20)
		b.await(20)
		r.stop()
		b.exactlyOnce()
		if lost == 0 {
			t.Error("no answer was lost")
		}
	}
}

// faultSchemaOutage: new models cannot be looked up for a while.
func faultSchemaOutage(t *testing.T, b *testBundle) {
	b.catalog.setFail(func(s string) error {
		if s == "ensure" {
			return modelwatch.Errorf(modelwatch.CodeUnavailable, "away")
		}
		return nil
	})
	r := b.start(b.options("a"))
	b.send(2, 20)
	time.Sleep(2 * time.Minute) // of the bubble's clock
	if n := len(b.catalog.ledger()); n != 0 {
		t.Errorf("%d commits, although no record could be placed", n)
	}
	// Between quick retries of the record, reading goes back to the last commit.
	schema, reset := r.metric("paused_seconds_total", "schema"), r.metric("paused_seconds_total", "reset")
	if schema < 5 || schema+reset < 100 || schema+reset > 121 {
		t.Errorf("paused for %v s because of the schema and %v s for going back, of 120 s", schema, reset)
	}
	b.catalog.setFail(nil)
	b.await(20)
	r.stop()
	b.exactlyOnce()
}
