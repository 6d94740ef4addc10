//go:build unix

package testserver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

func query(ctx context.Context, dsn, sql string) (int, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	var n int
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, errors.Join(err, conn.Close(ctx))
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	p := testserver.Postgres(t)
	one, two := p.NewDatabase(t), p.NewDatabase(t)
	if one == two {
		t.Errorf("two databases have the same address %s", one)
	}
	if n, err := query(within(t), one, "SELECT 1"); n != 1 || err != nil {
		t.Errorf("SELECT 1 is %d, %v", n, err)
	}
}

func TestPostgresKeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	p := testserver.NewPostgres(t)
	dsn := p.NewDatabase(t)
	if _, err := query(within(t), dsn, "SELECT 7 AS n INTO t"); !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("create table: %v", err)
	}
	for _, end := range []func(){p.Stop, p.Kill} {
		end()
		if _, err := query(within(t), dsn, "SELECT n FROM t"); err == nil {
			t.Error("the server answers while it is down")
		}
		p.Start()
		if n, err := query(within(t), dsn, "SELECT n FROM t"); n != 7 || err != nil {
			t.Errorf("after the restart n is %d, %v; want 7", n, err)
		}
	}
}
