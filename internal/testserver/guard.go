//go:build unix

package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// guard is a shell that outlives the test process by a moment: when the pipe on
// its standard input ends, it ends the server named last and removes the folder.
// The pipe ends with the test process, even one that was killed.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// guardScript reads lines "SIGNAL PID"; "0 0" means that no server runs. A
// server that ignores its signal for ten seconds is killed.
const guardScript = `
while read -r next_signal next_pid; do signal=$next_signal pid=$next_pid; done
if [ "${pid:-0}" != 0 ]; then
	kill -s CONT -- "-$pid"
	kill -s "$signal" -- "-$pid"
	left=100
	while [ $left -gt 0 ] && kill -s 0 -- "-$pid"; do sleep 0.1; left=$((left - 1)); done
	kill -s KILL -- "-$pid"
fi 2>/dev/null
rm -rf -- "$1" 2>/dev/null || { sleep 0.3; rm -rf -- "$1"; } # a session that still ends may write
`

func newGuard(dir string) (*guard, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	cmd.Stdin = read
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: write}, nil
}

// watch makes the guard responsible for that process; 0 takes the duty away.
func (g *guard) watch(s syscall.Signal, pid int) error {
	if _, err := fmt.Fprintf(g.pipe, "%d %d\n", int(s), pid); err != nil {
		return fmt.Errorf("tell guard: %w", err)
	}
	return nil
}

// close lets the guard do its work now, and waits for it.
func (g *guard) close() error {
	if err := g.pipe.Close(); err != nil {
		return fmt.Errorf("close guard: %w", err)
	}
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("wait for guard: %w", err)
	}
	return nil
}
