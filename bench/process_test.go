// Package bench measures whole processes: the built binary on real servers,
// with the operating system's own account of time and memory. `make bench` runs
// it; the README quotes it.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds modelwatch once, as it is shipped.
func binary(tb testing.TB) string {
	tb.Helper()
	path, err := buildOnce()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one build for the package
	path, err := filepath.Abs("../bin/modelwatch-bench")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "../cmd/modelwatch")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// usage is what a finished process took.
type usage struct {
	wall, cpu time.Duration
	peakBytes int64
}

// measure runs a command to its end.
func measure(tb testing.TB, name string, args ...string) usage {
	tb.Helper()
	u, err := tryMeasure(name, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// measureOurs measures runs of modelwatch: their mean times, which it reports, and the largest peak.
func measureOurs(b *testing.B, args ...string) usage {
	b.Helper()
	var u usage
	for b.Loop() {
		run := measure(b, binary(b), args...)
		u = usage{wall: u.wall + run.wall, cpu: u.cpu + run.cpu, peakBytes: max(u.peakBytes, run.peakBytes)}
	}
	u.wall, u.cpu = u.wall/time.Duration(b.N), u.cpu/time.Duration(b.N)
	b.ReportMetric(u.wall.Seconds(), "wall-s")
	b.ReportMetric(u.cpu.Seconds(), "CPU-s")
	b.ReportMetric(float64(u.peakBytes)/megabyte, "peak-MB")
	return u
}

// tryMeasure is measure of a command that may fail; the error has what it said.
func tryMeasure(name string, args ...string) (usage, error) {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := forgetPeak(); err != nil {
		return usage{}, err
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", cmd, err, out.String())
	}
	return finished(cmd, time.Since(start)), nil
}

// forgetPeak makes the peak memory of this process that of now. A child starts with
// the peak of the process that forked it, and what benchmarks write is large.
func forgetPeak() error {
	debug.FreeOSMemory()
	const resetPeak = "5" // of proc(5), clear_refs
	if err := os.WriteFile("/proc/self/clear_refs", []byte(resetPeak), 0); err != nil {
		return fmt.Errorf("reset the peak memory: %w", err)
	}
	return nil
}

func finished(cmd *exec.Cmd, wall time.Duration) usage {
	state := cmd.ProcessState
	u := usage{wall: wall, cpu: state.UserTime() + state.SystemTime()}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.peakBytes = r.Maxrss << 10
	}
	return u
}

// self is what this process has taken so far.
func self(tb testing.TB) usage {
	tb.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), peakBytes: r.Maxrss << 10}
}

// running is what a process that still runs has taken so far, by /proc.
func running(tb testing.TB, pid int) usage {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	// The second field, the name in brackets, may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	ticks := number(tb, fields[11]) + number(tb, fields[12])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	var peak int64
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			peak = number(tb, strings.TrimSuffix(strings.TrimSpace(rest), " kB")) << 10
		}
	}
	const ticksPerSecond = 100 // USER_HZ, fixed on Linux
	return usage{cpu: time.Duration(ticks) * time.Second / ticksPerSecond, peakBytes: peak}
}

func number(tb testing.TB, s string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

const megabyte = 1 << 20

// A peer that cannot be measured is a row that says why; the others say how they
// compare.
func TestComparisonRow(t *testing.T) {
	t.Parallel()
	us := &comparison{work: "w", program: "modelwatch", ours: true, usage: []usage{{wall: time.Second, cpu: 2 * time.Second, peakBytes: 100 * megabyte}}}
	them := &comparison{work: "w", program: "peer", imports: 1500 * time.Millisecond, usage: []usage{{wall: 4 * time.Second, cpu: 3 * time.Second, peakBytes: 250 * megabyte}}}
	_, err := tryMeasure("sh", "-c", "echo trace; echo no such column; exit 3")
	if err == nil {
		t.Fatal("a failed command was measured")
	}
	broken := &comparison{work: "w", program: "broken", failure: lastLine(err.Error())}
	for _, test := range []struct {
		c    *comparison
		want string
	}{
		{us, "w|modelwatch|1.00||2.00|100||1"},
		{them, "w|peer|4.00 (1.5)|4.0|3.00|250|2.5|1"},
		{broken, "w|broken|failed: no such column|||||0"},
	} {
		if got := strings.ReplaceAll(test.c.row(us), "\t", "|"); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// TestPeakIsTheChilds starts a small process from one that has been large.
func TestPeakIsTheChilds(t *testing.T) {
	runtime.KeepAlive(bytes.Repeat([]byte{1}, 256*megabyte))
	before := running(t, os.Getpid()).peakBytes
	if u := measure(t, "true"); u.peakBytes > before-128*megabyte {
		t.Errorf("peak of a small process: %d MB, after %d MB of this one", u.peakBytes/megabyte, before/megabyte)
	}
}
