package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/modelwatch/modelwatch"
)

func TestErrorCodes(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		exec := func(query string, args ...any) error {
			_, err := b.write.ExecContext(t.Context(), query, args...)
			return err
		}
		must(t, exec(`INSERT INTO setting (name, value) VALUES ('a', 'b')`))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, ended := b.write.ExecContext(cancelled, checkWritable)
		for _, tt := range []struct {
			name string
			err  error
			want modelwatch.Code
		}{
			{"none", nil, ""},
			{"unique", exec(`INSERT INTO setting (name, value) VALUES ('a', 'b')`), modelwatch.CodeConflict},
			{"foreign key", exec(`INSERT INTO job (model, name, kind, body, revision, planned_until, created_at, updated_at) VALUES ('x', 'x', '', '', 0, 0, 0, 0)`), modelwatch.CodeNotFound},
			{"syntax", exec(`SELEC`), modelwatch.CodeInternal},
			{"not null", exec(`INSERT INTO setting (name) VALUES ('c')`), modelwatch.CodeInternal},
			{"cancelled", ended, modelwatch.CodeUnavailable},
			{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), modelwatch.CodeUnavailable},
			{"end of file", fmt.Errorf("x: %w", io.ErrUnexpectedEOF), modelwatch.CodeUnavailable},
			{"bad connection", driver.ErrBadConn, modelwatch.CodeUnavailable},
			{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, modelwatch.CodeUnavailable},
			{"no rows", sql.ErrNoRows, modelwatch.CodeNotFound},
			{"of the domain", modelwatch.Errorf(modelwatch.CodeFenced, "x"), modelwatch.CodeFenced},
			{"unknown", errors.New("x"), modelwatch.CodeInternal},
		} {
			if got := modelwatch.ErrorCode(b.wrap(tt.err, "test")); got != tt.want {
				t.Errorf("%s: %v is %q, want %q", tt.name, tt.err, got, tt.want)
			}
			if tt.err != nil && !errors.Is(b.wrap(tt.err, "test"), tt.err) {
				t.Errorf("%s: the cause is lost", tt.name)
			}
		}
	})
}

func TestPostgresStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]modelwatch.Code{
		"23505": modelwatch.CodeConflict, "23503": modelwatch.CodeNotFound, "22021": modelwatch.CodeInvalid,
		"40001": modelwatch.CodeUnavailable, "40P01": modelwatch.CodeUnavailable, "55P03": modelwatch.CodeUnavailable,
		"08006": modelwatch.CodeUnavailable, "57P01": modelwatch.CodeUnavailable, "53300": modelwatch.CodeUnavailable,
		"25006": modelwatch.CodeUnavailable, "25P03": modelwatch.CodeUnavailable, "42601": modelwatch.CodeInternal, "23502": modelwatch.CodeInternal,
	} {
		if got := postgresCode(fmt.Errorf("x: %w", &pgconn.PgError{Code: state})); got != want {
			t.Errorf("SQLSTATE %s is %q, want %q", state, got, want)
		}
	}
}

// TestPostgresRefused: a COMMIT is known to have failed only if the server says so.
func TestPostgresRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"deferred constraint", &pgconn.PgError{Severity: "ERROR", Code: "23503"}, true},
		{"serialization", &pgconn.PgError{Severity: "ERROR", Code: "40001"}, true},
		{"failed transaction", pgx.ErrTxCommitRollback, true},
		{"shutdown", &pgconn.PgError{Severity: "FATAL", Code: "57P01"}, false},
		{"cancelled while it waits for a replica", &pgconn.PgError{Severity: "ERROR", Code: "57014"}, false},
		{"lost connection", io.ErrUnexpectedEOF, false},
	} {
		if got := postgresRefused(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestPostgresFrozen: a transaction that stands still has an end.
func TestPostgresFrozen(t *testing.T) {
	on(t, "postgres", func(t *testing.T, b *testBundle) {
		var limit string
		must(t, b.write.QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&limit))
		if limit != "1min" {
			t.Errorf("transactions may stand still for %s, want 1min", limit)
		}
	})
}
