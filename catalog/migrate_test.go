package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/migrations"
)

func databaseName(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

// migrateHelper names the database that a child process of the test migrates.
const migrateHelper = "CATALOG_TEST_MIGRATE"

// TestMigrateHelper is the child process of TestTenProcessesMigrate.
func TestMigrateHelper(t *testing.T) {
	dsn := os.Getenv(migrateHelper)
	if dsn == "" {
		return
	}
	c, err := Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	must(t, err)
	applied, err := c.Migrate(t.Context())
	must(t, err)
	must(t, c.Check(t.Context()))
	must(t, c.Close())
	fmt.Printf("applied %d\n", len(applied))
}

// migrationNames lists the files of migrations in order.
func migrationNames(tb testing.TB) []string {
	tb.Helper()
	names, err := fs.Glob(migrations.For(migrations.SQLite), "0*.sql")
	must(tb, err)
	return names
}

func migrationNumber(tb testing.TB, name string) int {
	tb.Helper()
	number, _, _ := strings.Cut(name, "_")
	n, err := strconv.Atoi(number)
	must(tb, err)
	return n
}

func TestTenProcessesMigrate(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	must(t, err)
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			dsn := db.dsn(t)
			applied := make([]string, 10)
			errs := concurrently(len(applied), func(i int) error {
				child := osexec.CommandContext(t.Context(), program, "-test.run=^TestMigrateHelper$")
				child.Env = append(os.Environ(), migrateHelper+"="+dsn)
				out, err := child.CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				applied[i], _, _ = strings.Cut(string(out), "\n")
				return nil
			})
			must(t, errors.Join(errs...))
			slices.Sort(applied)
			want := append(slices.Repeat([]string{"applied 0"}, 9), fmt.Sprintf("applied %d", len(migrationNames(t))))
			same(t, "applied", applied, want)
		})
	}
}

func TestMigrateNamesWhatItApplied(t *testing.T) {
	t.Parallel()
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			c, err := Open(t.Context(), db.dsn(t), slog.New(slog.DiscardHandler))
			must(t, err)
			defer func() { must(t, c.Close()) }()
			err = c.Check(t.Context())
			wantCode(t, err, modelwatch.CodeUnavailable)
			if !strings.Contains(err.Error(), "run modelwatch migrate") {
				t.Errorf("the error %q does not say what to do", err)
			}
			applied, err := c.Migrate(t.Context())
			must(t, err)
			same(t, "first", applied, migrationNames(t))
			applied, err = c.Migrate(t.Context())
			must(t, err)
			same(t, "second", applied, []string(nil))
			must(t, c.Check(t.Context()))

			names := migrationNames(t)
			newest, before := migrationNumber(t, names[len(names)-1]), migrationNumber(t, names[len(names)-2])
			_, err = c.write.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = $1`, newest)
			must(t, err)
			err = c.Check(t.Context())
			wantCode(t, err, modelwatch.CodeUnavailable)
			if !strings.Contains(err.Error(), fmt.Sprintf("at version %d, this program needs %d", before, newest)) {
				t.Errorf("the error %q does not name the versions", err)
			}
		})
	}
}

func TestMigrateWaitsNoLongerThanItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		held, release := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		other := b.open(t)
		go func() {
			done <- other.dialect.exclusive(t.Context(), other, func(context.Context) error {
				close(held)
				<-release
				return nil
			})
		}()
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error)
		go func() {
			_, err := b.Migrate(ctx)
			waiting <- err
		}()
		cancel()
		wantCode(t, <-waiting, modelwatch.CodeUnavailable)
		close(release)
		must(t, <-done)
		_, err := b.Migrate(t.Context())
		must(t, err)
	})
}

// TestMigrationsOfBothDatabases: no placeholder is left, and the files are the same.
func TestMigrationsOfBothDatabases(t *testing.T) {
	t.Parallel()
	for _, d := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		files := migrations.For(d)
		names, err := filepath.Glob("../migrations/*.sql")
		must(t, err)
		if len(names) == 0 {
			t.Fatal("no migrations")
		}
		for _, name := range names {
			f, err := files.Open(filepath.Base(name))
			must(t, err)
			var text strings.Builder
			buf := make([]byte, 100)
			for n := 1; n > 0; {
				n, _ = f.Read(buf)
				text.Write(buf[:n])
			}
			must(t, f.Close())
			if !strings.Contains(text.String(), " TABLE ") && !strings.Contains(text.String(), " INDEX ") || strings.Contains(text.String(), "{{") {
				t.Errorf("%s for %s: %.200s", name, d, text.String())
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]modelwatch.Code{
		"sqlite:":                     modelwatch.CodeInvalid,
		"sqlite::memory:":             modelwatch.CodeInvalid,
		"sqlite:/no/such/folder/x.db": modelwatch.CodeUnavailable,
		"postgres://localhost:port/x": modelwatch.CodeInvalid,
		"mysql://localhost/x":         modelwatch.CodeInvalid,
		"postgres://u@127.0.0.1:1/x":  modelwatch.CodeUnavailable,
	} {
		_, err := Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
		if got := modelwatch.ErrorCode(err); got != want {
			t.Errorf("%s: got %q (%v), want %q", dsn, got, err, want)
		}
	}
}

func TestReadersSeeWhatWasWritten(t *testing.T) {
	on(t, "sqlite", func(t *testing.T, b *testBundle) {
		var mode string
		must(t, b.write.QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode))
		if mode != "wal" {
			t.Errorf("journal mode %q, want wal", mode)
		}
		for name, want := range map[string]int64{"foreign_keys": 1, "busy_timeout": 5000, "query_only": 1} {
			if got := b.scalar(t, `PRAGMA `+name); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
		if _, err := b.read.ExecContext(t.Context(), `DELETE FROM model`); err == nil {
			t.Error("a reader wrote")
		}
		// A long read holds up no writer.
		tx, err := b.read.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		must(t, err)
		var before, after int
		must(t, tx.QueryRowContext(t.Context(), `SELECT count(*) FROM model`).Scan(&before))
		putModel(t, b, "fraud")
		must(t, tx.QueryRowContext(t.Context(), `SELECT count(*) FROM model`).Scan(&after))
		must(t, tx.Rollback())
		if before != 0 || after != 0 {
			t.Errorf("one read saw %d models, then %d", before, after)
		}
	})
}

func TestPostgresReplicaIsUnavailable(t *testing.T) {
	on(t, "postgres", func(t *testing.T, b *testBundle) {
		conn, err := pgx.Connect(t.Context(), b.dsn)
		must(t, err)
		defer func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) }()
		_, err = conn.Exec(t.Context(), `ALTER DATABASE `+databaseName(t, b.dsn)+` SET default_transaction_read_only = on`)
		must(t, err)
		wantCode(t, b.open(t).Check(t.Context()), modelwatch.CodeUnavailable)
	})
}
