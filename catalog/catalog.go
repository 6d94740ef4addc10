// Package catalog is the ledger of modelwatch and holds all of its SQL: models,
// versions, baselines, jobs, runs, measurements, data files, Kafka cursors,
// counts, dead letters and the outbox. Its transactions are the truth; objects
// and messages elsewhere count only once a row here says so.
//
// The same SQL text runs on SQLite and PostgreSQL; the one difference is the
// lock clause of the dialect. Each query is a const beside the function that
// runs it, parameters are $n, times are integer microseconds UTC (0: never),
// structures are JSON text.
//
// # Errors
//
// Every error is a *modelwatch.Error. CodeUnavailable means that the database
// did not answer and that the same call may be repeated; CodeFenced that another
// owner has taken over; CodeNotFound and CodeConflict name what they are about.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// What bounds a query and a transaction where the caller's context does not: a
// connection that hangs must not hang its caller. The largest transactions, runs
// with a hundred thousand measurements, take some ten seconds.
const (
	statementTimeout   = 30 * time.Second
	transactionTimeout = 2 * time.Minute
)

// Catalog is an open database. Its methods may be called concurrently.
type Catalog struct {
	write   *sql.DB // SQLite: one connection, so that writers queue here and not in busy loops
	read    *sql.DB // PostgreSQL: the same pool as write
	dialect dialect
	log     *slog.Logger
	now     func() time.Time
	commit  func(*sql.Tx) error // where tests lose a connection
}

// Open connects to a database: "postgres://..." or "host=... dbname=..." for
// PostgreSQL, "sqlite:path" for a SQLite file, which is made if it is absent. It
// does not migrate. A database that cannot be reached is CodeUnavailable.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*Catalog, error) {
	c := &Catalog{log: log, now: time.Now, commit: (*sql.Tx).Commit}
	var err error
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		err = c.openSQLite(path)
	} else {
		err = c.openPostgres(dsn)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if err := errors.Join(c.write.PingContext(ctx), c.read.PingContext(ctx)); err != nil {
		err = c.wrap(err, "reach the database")
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends all connections. Calls that are under way fail.
func (c *Catalog) Close() error {
	if c.read == c.write {
		return c.write.Close()
	}
	return errors.Join(c.read.Close(), c.write.Close())
}

const checkWritable = `UPDATE setting SET value = value WHERE name = ''`

// Check reports whether the database answers, has every migration and accepts
// writes. The error says what to do.
func (c *Catalog) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if err := c.write.PingContext(ctx); err != nil {
		return c.wrap(err, "reach the database")
	}
	if err := c.checkMigrated(ctx); err != nil {
		return err
	}
	if _, err := c.write.ExecContext(ctx, checkWritable); err != nil {
		return c.wrap(err, "write to the database")
	}
	return nil
}

// transact runs f in one transaction. inDoubt is true when the transaction may
// or may not have been committed: the connection was lost while it was.
func (c *Catalog) transact(ctx context.Context, f func(context.Context, *sql.Tx) error) (inDoubt bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	tx, err := c.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	if err := f(ctx, tx); err != nil {
		// After a failed statement there is nothing that a failed rollback could break.
		_ = tx.Rollback()
		return false, err
	}
	if err := c.commit(tx); err != nil {
		return !c.dialect.refused(err), err
	}
	return false, nil
}

// change runs f in one transaction. Use it where repeating a committed
// transaction does no harm; see settle for the others.
func (c *Catalog) change(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	_, err := c.transact(ctx, f)
	return c.wrap(err, what)
}

// statement runs f, which changes the database with one statement that is a
// transaction by itself: one round trip instead of three.
func (c *Catalog) statement(ctx context.Context, what string, f func(context.Context, runner) error) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	return c.wrap(f(ctx, c.write), what)
}

// settle runs f in one transaction and does not return before it is known
// whether that was committed. A lost commit is looked up with done on a new
// connection, as long as the database is away; if it is not there, f runs again.
//
// Only the end of ctx leaves the question open: the error is then
// CodeUnavailable, and the caller must read the state before it goes on.
func (c *Catalog) settle(ctx context.Context, what string, f func(context.Context, *sql.Tx) error, done func(context.Context) (bool, error)) error {
	for {
		inDoubt, err := c.transact(ctx, f)
		if !inDoubt {
			return c.wrap(err, what)
		}
		c.log.WarnContext(ctx, "commit in doubt", "operation", what, "error", err)
		committed, lookup := c.persist(ctx, done)
		if lookup != nil {
			return modelwatch.Wrap(modelwatch.CodeUnavailable, errors.Join(err, lookup), "%s: the outcome of the commit is not known", what)
		}
		if committed {
			return nil
		}
	}
}
