//go:build unix

package testserver

import (
	"errors"
	"sync"
	"syscall"
	"testing"
)

// server is what Kafka, PostgreSQL and S3 have in common: a process, and the
// test that it belongs to.
type server struct {
	process *process
	owner   testing.TB // nil: shared
}

// Stop ends the server in order; its data stays.
func (s *server) Stop() {
	s.mine("Stop")
	s.owner.Helper()
	if err := s.process.stop(s.process.graceful); err != nil {
		s.owner.Fatal(err)
	}
}

// Kill ends the server at once, as a crash would; its data stays.
func (s *server) Kill() {
	s.mine("Kill")
	s.owner.Helper()
	if err := s.process.stop(syscall.SIGKILL); err != nil {
		s.owner.Fatal(err)
	}
}

// Start starts the server again after Stop or Kill, on the same ports and data.
func (s *server) Start() {
	s.mine("Start")
	s.owner.Helper()
	if err := s.process.start(); err != nil {
		s.owner.Fatal(err)
	}
}

// mine panics for a shared server: to stop it would fail other tests.
func (s *server) mine(method string) {
	if s.owner == nil {
		panic("testserver: " + method + " called on a shared server: use New" + s.process.name)
	}
}

// own starts a server for one test and ends it with the test.
func own[S interface{ base() *server }](tb testing.TB, start func() (S, error)) S {
	tb.Helper()
	s, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	s.base().owner = tb
	tb.Cleanup(func() {
		p := s.base().process
		if err := errors.Join(p.stop(p.quick), p.guard.close()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func (s *server) base() *server { return s }

// shared starts a server on first use and keeps it until the process ends. A
// failure is kept too: every test that needs the server reports it.
type shared[S any] struct {
	once   sync.Once
	server S
	err    error
}

func (s *shared[S]) get(tb testing.TB, start func() (S, error)) S {
	tb.Helper()
	s.once.Do(func() { s.server, s.err = start() })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// attempt starts a server again when it ended at once: another process may have
// taken a port between its choice and its use.
func attempt[S any](try func() (S, error)) (S, error) {
	for left := startAttempts; ; left-- {
		s, err := try()
		if err == nil || left <= 1 || !errors.Is(err, errEnded) {
			return s, err
		}
	}
}

// common holds the servers that the tests of this process share. Package state
// is the point here: only the process ends them.
var common struct {
	kafka    shared[*KafkaServer]
	postgres shared[*PostgresServer]
	s3       shared[*S3Server]
}
