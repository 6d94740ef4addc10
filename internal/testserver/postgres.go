//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// PostgresServer is one PostgreSQL server.
type PostgresServer struct {
	server
	Addr string // host:port, for a proxy in front of it
}

// Postgres returns the server that the tests of this process share. It does not
// wait for the disk.
func Postgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	return common.postgres.get(tb, func() (*PostgresServer, error) {
		return startPostgres("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	})
}

// NewPostgres starts a server for this test alone, as durable as in production:
// what it has committed outlasts Kill.
func NewPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	return own(tb, func() (*PostgresServer, error) { return startPostgres() })
}

// DSN returns the address of a database.
func (p *PostgresServer) DSN(database string) string { return PostgresDSN(p.Addr, database) }

// PostgresDSN returns the address of a database behind host:port, such as a Proxy's.
func PostgresDSN(addr, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// NewDatabase creates an empty database with a name of its own and returns its
// address. It stays until the server ends.
func (p *PostgresServer) NewDatabase(tb testing.TB) (dsn string) {
	tb.Helper()
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	err := p.exec(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0")
	if err != nil {
		tb.Fatalf("create database %s: %v", name, err)
	}
	return p.DSN(name)
}

func (p *PostgresServer) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to postgresql: %w", err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func startPostgres(settings ...string) (*PostgresServer, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	attributes, err := postgresUser()
	if err != nil {
		return nil, err
	}
	return attempt(func() (*PostgresServer, error) { return tryPostgres(bin, attributes, settings, initPostgres) })
}

// NewStandby starts a replica for the same test. It is read only until Promote, and
// what the primary has committed reaches it a moment later.
func (p *PostgresServer) NewStandby(tb testing.TB) *PostgresServer {
	tb.Helper()
	return own(tb, func() (*PostgresServer, error) {
		bin, err := postgresBin()
		if err != nil {
			return nil, err
		}
		attributes, err := postgresUser()
		if err != nil {
			return nil, err
		}
		host, port, err := net.SplitHostPort(p.Addr)
		if err != nil {
			return nil, fmt.Errorf("address of the primary: %w", err)
		}
		copyPrimary := func(data string, run runPostgres) *exec.Cmd {
			return run("pg_basebackup", "-h", host, "-p", port, "-U", "postgres", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
		}
		return attempt(func() (*PostgresServer, error) { return tryPostgres(bin, attributes, nil, copyPrimary) })
	})
}

// Promote makes a standby take writes.
func (p *PostgresServer) Promote() {
	p.mine("Promote")
	if err := p.exec(p.owner.Context(), "SELECT pg_promote()"); err != nil {
		p.owner.Fatalf("promote: %v", err)
	}
}

// runPostgres makes a command of PostgreSQL's, as its user.
type runPostgres = func(program string, args ...string) *exec.Cmd

func tryPostgres(bin string, attributes syscall.SysProcAttr, settings []string, fill func(data string, run runPostgres) *exec.Cmd) (*PostgresServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, guard, err := newScratch("postgres")
	if err != nil {
		return nil, err
	}
	p := &PostgresServer{Addr: address(port)}
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, program), args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment(), new(attributes)
		return cmd
	}
	data := filepath.Join(dir, "data")
	args := slices.Concat([]string{
		"-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
	}, settings)
	p.process = &process{
		name: "Postgres", dir: dir, guard: guard,
		graceful: syscall.SIGINT,  // "fast": open connections are cut, everything is written
		quick:    syscall.SIGQUIT, // "immediate": the sessions end too, which SIGKILL would leave to find out
		tooEarly: "pre-existing shared memory block",
		command:  func() *exec.Cmd { return run("postgres", args...) },
		ready:    func(ctx context.Context) error { return p.exec(ctx, "SELECT 1") },
	}
	err = preparePostgres(dir, attributes, fill(data, run))
	if err == nil {
		err = p.process.start()
	}
	if err != nil {
		return nil, errors.Join(err, guard.close())
	}
	return p, nil
}

func initPostgres(data string, run runPostgres) *exec.Cmd {
	return run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

func preparePostgres(dir string, attributes syscall.SysProcAttr, fill *exec.Cmd) error {
	if c := attributes.Credential; c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			return fmt.Errorf("hand folder to postgres: %w", err)
		}
	}
	if out, err := fill.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s (the folders above %s must be passable for the user postgres)", filepath.Base(fill.Path), err, out, dir)
	}
	return nil
}

// postgresBin finds the folder of initdb and postgres as tools/servers/setup does.
func postgresBin() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// PATH may hold a link to initdb alone.
		if real, err := filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(real), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("find PostgreSQL: no initdb in PATH or under /usr/lib/postgresql: %s", remedy)
	}
	slices.SortFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func majorVersion(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// postgresUser returns the user that the server runs as: it refuses root.
func postgresUser() (syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return syscall.SysProcAttr{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return syscall.SysProcAttr{}, fmt.Errorf("run PostgreSQL as another user than root: %w: %s", err, remedy)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return syscall.SysProcAttr{}, fmt.Errorf("parse user id %q: %w", u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return syscall.SysProcAttr{}, fmt.Errorf("parse group id %q: %w", u.Gid, err)
	}
	return syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}
