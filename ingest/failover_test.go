//go:build linux

package ingest_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// failover is a catalog whose primary dies with a commit.
type failover struct {
	*commits
	t                *testing.T
	primary, standby *testserver.PostgresServer
	database         string
	strike           func(commit func() error) error // nil: not now
	mu               sync.Mutex
}

func (f *failover) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	f.mu.Lock()
	strike := f.strike
	f.strike = nil
	f.mu.Unlock()
	do := func() error { return f.commits.CommitIngest(ctx, commit) }
	if strike != nil {
		return strike(do)
	}
	return do()
}

// next has the next commit struck, and says when that is done.
func (f *failover) next(strike func(commit func() error) error) (struck chan struct{}) {
	struck = make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strike = func(commit func() error) error {
		defer close(struck)
		return strike(commit)
	}
	return struck
}

// amid kills the primary while the transaction waits in the middle, for a lock.
func (f *failover) amid(commit func() error) error {
	locker, err := pgx.Connect(f.t.Context(), f.primary.DSN(f.database))
	if err != nil {
		return err
	}
	defer locker.Close(context.Background())
	for _, sql := range []string{"BEGIN", "LOCK TABLE data_file IN ACCESS EXCLUSIVE MODE"} {
		if _, err := locker.Exec(f.t.Context(), sql); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() { done <- commit() }()
	f.until(f.primary, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
	f.primary.Kill()
	f.standby.Promote()
	return <-done
}

// unseen lets the commit succeed on the primary alone: the replica has seen that its
// uploads were announced, is away for a moment, and takes over.
func (f *failover) unseen(commit func() error) error {
	f.until(f.primary, "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()")
	f.standby.Stop()
	err := commit()
	f.primary.Kill()
	f.standby.Start()
	f.standby.Promote()
	return err
}

// until asks a server until it says yes.
func (f *failover) until(server *testserver.PostgresServer, sql string) {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DSN(f.database))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	for yes := false; !yes; {
		if err := conn.QueryRow(ctx, sql).Scan(&yes); err != nil {
			f.t.Errorf("%s: %v", sql, err)
			return
		}
	}
}

// TestPostgresFailsOver: the primary dies in the middle of a commit, or after one that
// its replica has not seen, and the replica takes over. The DSN names both.
func TestPostgresFailsOver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts servers")
	}
	for _, test := range []struct {
		name   string
		strike func(*failover, func() error) error
		lost   bool // there are objects of a commit that the replica does not know
	}{
		{"amid the transaction", (*failover).amid, false},
		{"after it, unseen by the replica", (*failover).unseen, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			primary := testserver.NewPostgres(t)
			dsn := primary.NewDatabase(t)
			standby := primary.NewStandby(t)
			b := &bundle{t: t, topic: "events", client: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}}
			b.open(b.client, strings.Replace(dsn, primary.Addr, primary.Addr+","+standby.Addr, 1)+"&target_session_attrs=read-write", archive.BucketConfig{URI: t.TempDir()})
			f := &failover{commits: b.commits, t: t, primary: primary, standby: standby, database: dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]}
			garbage := f.run(b, func(commit func() error) error { return test.strike(f, commit) })
			if test.lost && garbage == 0 {
				t.Error("no object is garbage, although a commit was lost")
			}
		})
	}
}

// run returns how many objects were garbage in the end.
func (f *failover) run(b *bundle, strike func(commit func() error) error) int {
	t := f.t
	consumer, err := ingest.New(ingest.Options{
		Client: b.client, Sources: []ingest.Source{{Topic: b.topic}}, Group: "g", Owner: "o", Catalog: f, Archive: b.archive, FileKey: archive.FileKey,
		FlushAge: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx) }()
	defer cancel()
	b.commits.await(t, b.sendMore(60))
	struck := f.next(strike)
	b.sendMore(60)
	<-struck
	sent := b.sendMore(60)
	f.awaitSeen(sent)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "text"); len(rows) != sent {
		t.Errorf("%d rows of %d predictions", len(rows), sent)
	}
	garbage, err := b.archive.CollectGarbage(t.Context(), b.catalog, time.Now().Add(-time.Hour))
	if err != nil {
		t.Error(err)
	}
	files, err := b.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{})
	if objects := b.objects(""); err != nil || len(files) != objects {
		t.Errorf("%d files, %d objects; %v", len(files), objects, err)
	}
	return garbage
}

// awaitSeen waits until the catalog that is in force accounts for so many records.
func (f *failover) awaitSeen(records int) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for seen := int64(0); ; {
		volumes, err := f.Volumes(ctx, "m", modelwatch.Window{Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)})
		if err == nil {
			seen = 0
			for _, v := range volumes {
				seen += v.Seen
			}
		}
		if seen >= int64(records) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("%d of %d records are accounted for: %v", seen, records, err)
		}
	}
}
