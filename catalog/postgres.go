package catalog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/migrations"
)

// The pool of one process. Every role keeps a transaction for milliseconds, so
// few connections carry much, and thirty replicas fit a server's default of 100
// only because idle ones are given back.
const (
	postgresConnections = 12
	postgresIdle        = 4
	postgresIdleTime    = time.Minute
	postgresLifetime    = 30 * time.Minute // lets a load balancer move connections after a failover
)

// postgresIdleLimit ends the transaction of a process that is frozen in it, whose locks
// would keep others from its partitions for as long. It is a statement, since poolers
// refuse parameters of a connection that they do not know.
const postgresIdleLimit = "SET idle_in_transaction_session_timeout = '1min'"

func (c *Catalog) openPostgres(dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, `read the database address (want "postgres://user@host/name", "host=... dbname=..." or "sqlite:path")`)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "modelwatch"
	}
	c.write = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, postgresIdleLimit)
		return err
	}))
	c.write.SetMaxOpenConns(postgresConnections)
	c.write.SetMaxIdleConns(postgresIdle)
	c.write.SetConnMaxIdleTime(postgresIdleTime)
	c.write.SetConnMaxLifetime(postgresLifetime)
	c.read = c.write
	c.dialect = dialect{
		name: migrations.Postgres, goose: goose.DialectPostgres,
		lock: "FOR UPDATE", skipLocked: "FOR UPDATE SKIP LOCKED",
		code: postgresCode, refused: postgresRefused, exclusive: postgresExclusive,
	}
	return nil
}

func postgresCode(err error) modelwatch.Code {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return postgresStateCode(e.Code)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) {
		return modelwatch.CodeUnavailable
	}
	return ""
}

// postgresStateCode maps SQLSTATE, whose first two characters are a class.
func postgresStateCode(state string) modelwatch.Code {
	switch state {
	case "23505": // unique_violation
		return modelwatch.CodeConflict
	case "23503": // foreign_key_violation
		return modelwatch.CodeNotFound
	case "22021": // character_not_in_repertoire: NUL, or bytes that are not UTF-8
		return modelwatch.CodeInvalid
	case "25006", // read_only_sql_transaction: a replica, after a failover
		"25P03",          // idle_in_transaction_session_timeout: this process stood still
		"40001", "40P01", // serialization_failure, deadlock_detected: rolled back
		"55P03": // lock_not_available
		return modelwatch.CodeUnavailable
	}
	switch {
	case strings.HasPrefix(state, "08"), // connection exception
		strings.HasPrefix(state, "53"), // insufficient resources
		strings.HasPrefix(state, "57"): // operator intervention: shutdown, cancelled query
		return modelwatch.CodeUnavailable
	}
	return modelwatch.CodeInternal
}

// postgresRefused: the server said that it rolled back. A server that shuts
// down may say so after the commit, and a lost connection says nothing.
func postgresRefused(err error) bool {
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return true
	}
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Severity == "ERROR" && !strings.HasPrefix(e.Code, "08") && !strings.HasPrefix(e.Code, "57")
}
