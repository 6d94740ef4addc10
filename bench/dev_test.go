package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is modelwatch dev as a process.
type service struct {
	cmd    *exec.Cmd
	url    string
	stdout *bufio.Scanner
}

// startDev starts dev and waits until it says that it is ready.
func startDev(b *testing.B, args ...string) *service {
	b.Helper()
	s := &service{}
	s.cmd = exec.Command(binary(b), append([]string{"dev", "--plain", "--listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0", "--data", b.TempDir()}, args...)...)
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	s.stdout = bufio.NewScanner(stdout)
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.cmd.Process.Kill() }) // already gone where stop was called
	s.await(b, "REST ", func(line string) { s.url = strings.Fields(line)[1] })
	return s
}

// await reads the output up to the first line with the text in it.
func (s *service) await(b *testing.B, text string, f func(line string)) {
	b.Helper()
	for s.stdout.Scan() {
		if strings.Contains(s.stdout.Text(), text) {
			f(s.stdout.Text())
			return
		}
	}
	b.Fatalf("dev ended before it printed %q", text)
}

func (s *service) stop(b *testing.B) usage {
	b.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		b.Fatal(err)
	}
	for s.stdout.Scan() { // until it closes its output
		continue
	}
	if err := s.cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return finished(s.cmd, 0)
}

// BenchmarkDev takes the time from start to ready, to the first result and to
// the first feature over its threshold.
func BenchmarkDev(b *testing.B) {
	binary(b)
	for b.Loop() {
		start := time.Now()
		s := startDev(b)
		b.ReportMetric(time.Since(start).Seconds(), "ready-s")
		s.await(b, " drift: ", func(string) { b.ReportMetric(time.Since(start).Seconds(), "first-result-s") })
		s.await(b, " psi ", func(string) { b.ReportMetric(time.Since(start).Seconds(), "first-drift-s") })
		s.stop(b)
	}
}

// BenchmarkRegister uploads 1 GB of CSV, 20 columns, as a baseline.
func BenchmarkRegister(b *testing.B) {
	for b.Loop() {
		s := startDev(b, "--no-traffic")
		request(b, http.MethodPut, s.url+"/v1/models/big", "application/json", strings.NewReader(`{"task":"other"}`))
		start := time.Now()
		request(b, http.MethodPost, s.url+"/v1/models/big/versions/1/baselines", "text/csv", csvOf(1_000_000_000))
		b.ReportMetric(time.Since(start).Seconds(), "upload-s")
		b.ReportMetric(float64(s.stop(b).peakBytes)/megabyte, "peak-MB")
	}
}

func request(b *testing.B, method, url, contentType string, body io.Reader) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, body)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		answer, _ := io.ReadAll(resp.Body)
		b.Fatalf("%s %s answered %d: %s", method, url, resp.StatusCode, answer)
	}
}

// csvOf streams about that many bytes of CSV, nearly all of its numbers distinct.
func csvOf(size int) io.Reader {
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeCSV(w, size)) }()
	return r
}

func writeCSV(w io.Writer, size int) error {
	rng := rand.New(rand.NewPCG(4, 2)) //nolint:gosec // deterministic on purpose
	var b []byte
	for i := range 20 {
		b = append(fmt.Appendf(b, "column_%02d", i), separator(i))
	}
	for written := 0; written < size; {
		for len(b) < 1<<16 {
			for i := range 16 {
				b = append(strconv.AppendFloat(b, rng.NormFloat64()*100, 'f', 6, 64), separator(i))
			}
			for i := range 4 {
				b = append(fmt.Appendf(b, "value-%d", rng.IntN(20)), separator(16+i))
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		written, b = written+len(b), b[:0]
	}
	return nil
}

func separator(column int) byte {
	if column == 19 {
		return '\n'
	}
	return ','
}
