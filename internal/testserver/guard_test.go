//go:build unix

package testserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

// victimVariable makes TestServersEndWithTheProcess the process to be killed.
const victimVariable = "TESTSERVER_VICTIM"

// victim starts the servers, tells where they are and waits to be killed.
func victim(t *testing.T) {
	t.Helper()
	k, p, s := testserver.Kafka(t), testserver.Postgres(t), testserver.S3(t)
	fmt.Printf("servers %s %s %s\n", k.Brokers[0], p.Addr, s.Addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestServersEndWithTheProcess(t *testing.T) {
	if os.Getenv(victimVariable) != "" {
		victim(t)
		return
	}
	t.Parallel()
	scratch := t.TempDir()
	if err := os.Chmod(filepath.Dir(scratch), 0o755); err != nil { // PostgreSQL runs as another user
		t.Fatal(err)
	}
	other := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	other.Env = append(os.Environ(), victimVariable+"=1", "TMPDIR="+scratch)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(stdout).ReadString('\n')
	servers := strings.Fields(first)
	if err != nil || len(servers) != 4 {
		t.Errorf("the other process said %q, %v", first, err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // reports the signal
	for _, addr := range servers[1:] {
		eventually(t, addr+" refuses connections", func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
	}
	eventually(t, "the servers' folders are gone", func() bool {
		left, err := os.ReadDir(scratch)
		return err == nil && len(left) == 0
	})
}

// eventually asks for something that another process does and tells nobody.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// recorder is a testing.TB that keeps the fatal message instead of ending the test.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.message = fmt.Sprint(args...)
	panic(r)
}

func TestMissingServerFailsWithRemedy(t *testing.T) {
	t.Setenv("MODELWATCH_CACHE", t.TempDir())
	for name, start := range map[string]func(testing.TB){
		"kafka": func(tb testing.TB) { testserver.NewKafka(tb) },
		"s3":    func(tb testing.TB) { testserver.NewS3(tb) },
	} {
		r := &recorder{TB: t}
		func() {
			defer func() {
				if v := recover(); v != nil && v != any(r) {
					panic(v)
				}
			}()
			start(r)
		}()
		if !strings.Contains(r.message, "make servers") {
			t.Errorf("%s: the message is %q, want the remedy", name, r.message)
		}
	}
}
