package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"

	"github.com/pressly/goose/v3"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/migrations"
)

// Migrate brings the tables up to date and returns the names of the migrations
// that it applied. Any number of processes may call it at once: one works, the
// others wait for it and then find nothing to do.
func (c *Catalog) Migrate(ctx context.Context) (applied []string, err error) {
	err = c.dialect.exclusive(ctx, c, func(ctx context.Context) error {
		provider, err := c.migrator()
		if err != nil {
			return err
		}
		results, err := provider.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, r := range results {
			applied = append(applied, path.Base(r.Source.Path))
		}
		return err
	})
	if err != nil {
		return applied, c.wrap(err, "migrate the database")
	}
	return applied, nil
}

func (c *Catalog) migrator() (*goose.Provider, error) {
	return goose.NewProvider(c.dialect.goose, c.write, migrations.For(c.dialect.name), goose.WithDisableGlobalRegistry(true))
}

const selectMigrationVersion = `SELECT coalesce(max(version_id), 0) FROM goose_db_version`

// checkMigrated compares the newest migration of the database with ours. One
// that is newer than ours is in order: migrations stay readable for the version
// before, so that replicas can be replaced one by one.
func (c *Catalog) checkMigrated(ctx context.Context) error {
	provider, err := c.migrator()
	if err != nil {
		return c.wrap(err, "read the migrations")
	}
	sources := provider.ListSources()
	want := sources[len(sources)-1].Version
	var have int64
	if err := c.read.QueryRowContext(ctx, selectMigrationVersion).Scan(&have); err != nil {
		if c.code(err) == modelwatch.CodeUnavailable {
			return c.wrap(err, "read the version of the tables")
		}
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "the database has no tables of modelwatch: run modelwatch migrate")
	}
	if have < want {
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "the tables are at version %d, this program needs %d: run modelwatch migrate", have, want)
	}
	return nil
}

// migrationLock is an advisory lock of PostgreSQL, by a number of our own choice.
const migrationLock = 0x6d6f64656c77 // "modelw"

// postgresExclusive holds an advisory lock on a connection of its own. The
// server drops it with the connection, so a process that dies blocks nobody.
func postgresExclusive(ctx context.Context, c *Catalog, f func(context.Context) error) (err error) {
	conn, err := c.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return fmt.Errorf("lock migrations: %w", err)
	}
	defer func() {
		// Without cancellation: a lock that stays would stop the next start.
		_, unlock := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock)
		err = errors.Join(err, unlock)
	}()
	return f(ctx)
}

// sqliteExclusive holds the lock of a small database beside the main one: the
// main one's own lock cannot be held across the transactions of migrations, and
// operating systems release it, too, when a process dies. Under the lock the
// file is switched to WAL, which fails while others are at the same.
func sqliteExclusive(file string) func(context.Context, *Catalog, func(context.Context) error) error {
	return func(ctx context.Context, c *Catalog, f func(context.Context) error) (err error) {
		db, err := sql.Open("sqlite", sqliteURI(file+"-migrate", "_txlock", "exclusive"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		tx, err := beginExclusive(ctx, c, db)
		if err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
		defer func() {
			// The end of ctx has rolled it back already.
			if end := tx.Rollback(); !errors.Is(end, sql.ErrTxDone) {
				err = errors.Join(err, end)
			}
		}()
		mode, err := scanText(c.write.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`))
		if err != nil {
			return fmt.Errorf("switch to write-ahead logging: %w", err)
		}
		if mode != "wal" {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "the file system of %s does not support write-ahead logging: put the database on a local disk", file)
		}
		return f(ctx)
	}
}

// beginExclusive waits for the lock until ctx ends, also beyond the busy timeout.
func beginExclusive(ctx context.Context, c *Catalog, db *sql.DB) (tx *sql.Tx, err error) {
	_, err = c.persist(ctx, func(context.Context) (bool, error) {
		// The transaction lives on ctx, not on the attempt's.
		tx, err = db.BeginTx(ctx, nil)
		return err == nil, err
	})
	return tx, err
}
