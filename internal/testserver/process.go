//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a server may take: generous, because the machine may be busy with
// other tests. Only a broken server ever reaches them.
const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
	pollInterval = 10 * time.Millisecond
)

// errEnded is returned by start when the server ended before it could be used.
var errEnded = errors.New("it ended at once")

// process is one server as a child process that can be stopped and started
// again on the same ports and data. Its methods are not safe for concurrent use.
//
// It keeps no goroutine while the server runs, so that leak checks stay quiet
// about shared servers.
type process struct {
	name     string
	dir      string // the server's folder; the guard removes it
	command  func() *exec.Cmd
	ready    func(context.Context) error // one attempt to use the server
	graceful syscall.Signal              // ends the server in order
	quick    syscall.Signal              // ends it at once, leaving nothing behind
	tooEarly string                      // its last words where the children of the last one had not ended yet
	guard    *guard
	pid      int // 0: not running
}

func (p *process) logPath() string { return filepath.Join(p.dir, "log") }

// start starts the server and waits until it can be used.
func (p *process) start() error {
	if p.pid != 0 {
		return fmt.Errorf("start %s: it is running already", p.name)
	}
	if err := p.spawn(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		if p.exited() {
			if !p.early() {
				return fmt.Errorf("start %s: %w: %s", p.name, errEnded, p.logTail())
			}
			if err := p.spawn(); err != nil {
				return fmt.Errorf("start %s again: %w", p.name, err)
			}
		}
		select {
		case <-ctx.Done():
			_ = p.stop(syscall.SIGKILL)
			return fmt.Errorf("start %s: not ready after %s: %w: %s", p.name, startTimeout, err, p.logTail())
		case <-tick.C:
		}
	}
}

func (p *process) spawn() error {
	log, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := p.command()
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is for the tests alone
	if err := cmd.Start(); err != nil {
		return err
	}
	p.pid = cmd.Process.Pid
	// From here on the process is waited for by its id: os.Process cannot ask
	// whether it has ended without blocking.
	_ = cmd.Process.Release()
	return p.guard.watch(p.quick, p.pid)
}

// early reports whether the last server's children, which outlive it for a moment, still had
// its memory when this one ended: its last words say so.
func (p *process) early() bool {
	lines := strings.Split(p.logTail(), "\n")
	return p.tooEarly != "" && strings.Contains(strings.Join(lines[max(len(lines)-2, 0):], "\n"), p.tooEarly)
}

// exited reports whether the server has ended by itself, and forgets it if so.
func (p *process) exited() bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
	if pid == 0 && err == nil {
		return false
	}
	p.forget()
	return true
}

// stop sends the signal that ends the server, and uses force when it does not
// end in time.
func (p *process) stop(s syscall.Signal) error {
	if p.pid == 0 {
		return nil
	}
	pid := p.pid
	p.signal(s)
	var forced atomic.Bool
	timer := time.AfterFunc(stopTimeout, func() {
		forced.Store(true)
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	})
	err := p.wait()
	timer.Stop()
	if forced.Load() {
		return fmt.Errorf("stop %s: killed, it had not ended after %s: %s", p.name, stopTimeout, p.logTail())
	}
	return err
}

func (p *process) wait() error {
	defer p.forget()
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.pid, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", p.name, err)
		}
		return nil
	}
}

func (p *process) forget() {
	p.pid = 0
	_ = p.guard.watch(0, 0)
}

// signal reaches the server's whole process group.
func (p *process) signal(s syscall.Signal) {
	if p.pid != 0 {
		_ = syscall.Kill(-p.pid, s)
	}
}

// logTail returns the end of the server's log, for messages.
func (p *process) logTail() string {
	const most = 2000
	log, err := os.ReadFile(p.logPath())
	if err != nil {
		return err.Error()
	}
	if len(log) > most {
		log = log[len(log)-most:]
	}
	return strings.TrimSpace(string(log))
}
