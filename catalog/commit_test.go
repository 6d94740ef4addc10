package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// errLost is what a client sees of a connection that breaks.
var errLost = io.ErrUnexpectedEOF

// lose makes the next commits lose their connection, n times before the server
// reads the COMMIT, and then once after it has done it.
func (c *Catalog) lose(before int) {
	c.commit = func(tx *sql.Tx) error {
		if before > 0 {
			before--
			return errors.Join(errLost, tx.Rollback())
		}
		c.commit = (*sql.Tx).Commit
		return errors.Join(errLost, tx.Commit())
	}
}

func TestLostCommitIsResolved(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		next := int64(-1)
		for before := range 3 {
			commit := flush(t, b.Catalog, span(0, next, next+10, 0))
			next += 10
			b.lose(before)
			must(t, b.CommitIngest(t.Context(), commit))
			same(t, "contents", contents(t, b), commits(int64(before)+1))
		}
		cursors := take(t, b.Catalog, "other", 1)
		same(t, "cursor", cursors[partition(0)], modelwatch.Cursor{Next: 29, Epoch: 1})
	})
}

func TestLostCommitOfAFencedOwner(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		commit := flush(t, b.Catalog, span(0, -1, 10, 0))
		other := b.open(t)
		b.commit = func(tx *sql.Tx) error {
			b.commit = (*sql.Tx).Commit
			err := tx.Rollback()
			take(t, other, "other", 1)
			return errors.Join(errLost, err)
		}
		wantCode(t, b.CommitIngest(t.Context(), commit), modelwatch.CodeFenced)
		same(t, "contents", contents(t, b)["files"], int64(0))
	})
}

func TestLostCommitOfARun(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for before := range 2 {
			run := addClaimed(t, b, "drift", before, 1)
			b.lose(before)
			must(t, b.CompleteRun(t.Context(), run, []modelwatch.Measurement{feature("amount", "psi", 1)}, outboxEntries("datadog")))
			run = addClaimed(t, b, "quality", before, 1)
			b.lose(before)
			must(t, b.FailRun(t.Context(), run, "broken", outboxEntries("datadog")))
		}
		if n := b.scalar(t, `SELECT count(*) FROM measurement`); n != 2 {
			t.Errorf("%d measurements of two runs", n)
		}
		if n := b.scalar(t, `SELECT count(*) FROM outbox`); n != 4 {
			t.Errorf("%d publications of four runs", n)
		}
	})
}

func TestLostCommitWhoseOutcomeStaysUnknown(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		take(t, b.Catalog, "owner", 1)
		commit := flush(t, b.Catalog, span(0, -1, 10, 0))
		ctx, cancel := context.WithCancel(t.Context())
		b.commit = func(tx *sql.Tx) error {
			defer cancel()
			return errors.Join(errLost, tx.Commit())
		}
		err := b.CommitIngest(ctx, commit)
		wantCode(t, err, modelwatch.CodeUnavailable)
		if !errors.Is(err, errLost) {
			t.Errorf("the error %v does not name the lost connection", err)
		}
	})
}

// cutter passes a PostgreSQL connection on and cuts it at the next COMMIT.
type cutter struct {
	testing.TB
	listener net.Listener
	target   string
	tasks    sync.WaitGroup
	commits  atomic.Int64 // COMMITs seen
	cut      atomic.Int32 // what happens to the next one
}

// What a cutter does at a COMMIT.
const (
	cutNothing int32 = iota
	cutBefore        // the server never hears of it
	cutAfter         // the server has done it, the client is not told
)

func newCutter(tb testing.TB, target string) *cutter {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	c := &cutter{TB: tb, listener: l, target: target}
	c.tasks.Go(c.serve)
	tb.Cleanup(func() {
		_ = l.Close()
		c.tasks.Wait()
	})
	return c
}

func (c *cutter) serve() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		deaf := &atomic.Bool{}
		c.tasks.Go(func() {
			c.toServer(server, client, deaf)
			_ = server.Close()
		})
		c.tasks.Go(func() {
			toClient(client, server, deaf)
			_ = client.Close()
		})
	}
}

// toServer looks for the simple query that pgx commits with.
func (c *cutter) toServer(server, client net.Conn, deaf *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			c.commits.Add(1)
			switch c.cut.Swap(cutNothing) {
			case cutBefore:
				return
			case cutAfter:
				deaf.Store(true)
			}
		}
		if _, failed := server.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// toClient ends the connection at the first answer that the client must not see.
func toClient(client, server net.Conn, deaf *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if deaf.Load() {
			return
		}
		if _, failed := client.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// TestConnectionCutAtCommit is TestLostCommitIsResolved on a real connection.
func TestConnectionCutAtCommit(t *testing.T) {
	on(t, "postgres", func(t *testing.T, b *testBundle) {
		server := testserver.Postgres(t)
		proxy := newCutter(t, server.Addr)
		behind := *b
		behind.dsn = testserver.PostgresDSN(proxy.listener.Addr().String(), databaseName(t, b.dsn))
		c := behind.open(t)
		take(t, c, "owner", 1)
		for i, cut := range []int32{cutBefore, cutAfter, cutNothing} {
			commit := flush(t, c, span(0, int64(i)*10-1, int64(i)*10+9, 0))
			seen := proxy.commits.Load()
			proxy.cut.Store(cut)
			must(t, c.CommitIngest(t.Context(), commit))
			want := int64(1)
			if cut == cutBefore {
				want = 2
			}
			if n := proxy.commits.Load() - seen; n != want {
				t.Errorf("cut %d: %d commits were sent, want %d", cut, n, want)
			}
			same(t, "contents", contents(t, b), commits(int64(i)+1))
		}
	})
}

// TestCommitOutlastsARestart: the server goes down at the COMMIT and is away for a
// while. The commit is resolved once it is back.
func TestCommitOutlastsARestart(t *testing.T) {
	t.Parallel()
	server := testserver.NewPostgres(t)
	away := make(chan struct{})
	b := setup(t, server.NewDatabase(t))
	b.log = slog.New(handler(func(r slog.Record) {
		if r.Message == "commit in doubt" {
			close(away)
		}
	}))
	take(t, b.Catalog, "owner", 1)
	commit := flush(t, b.Catalog, span(0, -1, 10, 0))
	b.commit = func(tx *sql.Tx) error {
		b.commit = (*sql.Tx).Commit
		server.Stop()
		return tx.Commit()
	}
	done := make(chan error, 1)
	go func() { done <- b.CommitIngest(t.Context(), commit) }()
	select {
	case <-away:
	case err := <-done:
		t.Fatalf("the commit ended before the server was back: %v", err)
	}
	server.Start()
	must(t, <-done)
	same(t, "contents", contents(t, b), commits(1))
}

// TestDatabaseAway: calls fail as unavailable while there is no server, and
// work again without a new Open.
func TestDatabaseAway(t *testing.T) {
	on(t, "postgres", func(t *testing.T, b *testBundle) {
		proxy := testserver.NewProxy(t, testserver.Postgres(t).Addr)
		behind := *b
		behind.dsn = testserver.PostgresDSN(proxy.Addr, databaseName(t, b.dsn))
		c := behind.open(t)
		must(t, c.Check(t.Context()))
		proxy.Refuse()
		wantCode(t, c.Check(t.Context()), modelwatch.CodeUnavailable)
		_, _, err := c.Models(t.Context(), Page{})
		wantCode(t, err, modelwatch.CodeUnavailable)
		_, _, err = c.ClaimRun(t.Context(), "a", start, time.Minute)
		wantCode(t, err, modelwatch.CodeUnavailable)
		_, err = c.Run(t.Context(), "nobody")
		wantCode(t, err, modelwatch.CodeUnavailable)
		_, err = c.EnsureVersion(t.Context(), "fraud", "1")
		wantCode(t, err, modelwatch.CodeUnavailable)
		_, err = Open(t.Context(), behind.dsn, c.log)
		wantCode(t, err, modelwatch.CodeUnavailable)
		proxy.Accept()
		must(t, c.Check(t.Context()))

		ctx, cancel := context.WithCancel(t.Context())
		proxy.Hang()
		go cancel()
		_, _, err = c.Models(ctx, Page{})
		wantCode(t, err, modelwatch.CodeUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error %v does not say that the call was cancelled", err)
		}
		proxy.Resume()
	})
}

// handler calls a function with each record.
type handler func(slog.Record)

func (h handler) Enabled(context.Context, slog.Level) bool      { return true }
func (h handler) Handle(_ context.Context, r slog.Record) error { h(r); return nil }
func (h handler) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h handler) WithGroup(string) slog.Handler                 { return h }
