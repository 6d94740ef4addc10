package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// peer is another program on the same work: a script of the folder peers, run in
// an environment of tools/peers.
type peer struct {
	name        string
	environment string
	script      string
	arguments   []string
	imports     bool // run without arguments, the script only imports: measured apart
}

// Those that need minutes for more are compared on the smallest file.
var (
	handwritten = []peer{
		{name: "DuckDB", environment: "hand", script: "drift_duckdb.py"},
		{name: "polars", environment: "hand", script: "drift_polars.py"},
		{name: "pandas", environment: "hand", script: "drift_scipy.py"},
	}
	handwrittenKS = []peer{
		{name: "DuckDB", environment: "hand", script: "drift_duckdb.py", arguments: []string{"--ks"}},
		{name: "polars", environment: "hand", script: "drift_polars.py", arguments: []string{"--ks"}},
		{name: "SciPy", environment: "hand", script: "drift_scipy.py", arguments: []string{"--ks"}},
	}
	monitors = []peer{
		{name: "Evidently", environment: "evidently", script: "drift_evidently.py", imports: true},
		{name: "NannyML", environment: "nannyml", script: "drift_nannyml.py", imports: true},
		{name: "whylogs", environment: "whylogs", script: "drift_whylogs.py", imports: true},
		{name: "deepchecks", environment: "deepchecks", script: "drift_deepchecks.py", imports: true},
	}
	joiners = []peer{
		{name: "DuckDB", environment: "hand", script: "backtest_duckdb.py"},
		{name: "polars", environment: "hand", script: "backtest_polars.py"},
		{name: "pandas and scikit-learn", environment: "hand", script: "backtest_sklearn.py"},
	}
)

// BenchmarkCompareDrift compares two Parquet files of 16 numbers and 4 categories:
// this program with all default metrics and K-S with its bound, the others with
// what their row says. The comparison is printed as a table at the end.
func BenchmarkCompareDrift(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000, 5_000_000} {
		dir := b.TempDir()
		files := []string{filepath.Join(dir, "baseline.parquet"), filepath.Join(dir, "current.parquet")}
		for i, file := range files {
			writeTable(b, file, rows, uint64(i+1))
		}
		work := fmt.Sprintf("PSI and JS, %d x 20", rows)
		ours(b, work+", and K-S with its bound", "drift", "--baseline", files[0], "--current", files[1])
		for _, p := range handwritten {
			p.run(b, work, files)
		}
		if rows == 100_000 {
			for _, p := range monitors {
				p.run(b, work, files)
			}
			continue
		}
		work = fmt.Sprintf("with exact K-S, %d x 20", rows)
		ours(b, work, "drift", "--exact", "--baseline", files[0], "--current", files[1])
		for _, p := range handwrittenKS {
			p.run(b, work, files)
		}
	}
}

// ours measures this program.
func ours(b *testing.B, work string, args ...string) {
	b.Helper()
	b.Run(title(work)+"/modelwatch", func(b *testing.B) {
		for b.Loop() {
			record(b, "modelwatch", work, measure(b, binary(b), args...), 0)
		}
	})
}

func (p peer) run(b *testing.B, work string, files []string) {
	b.Helper()
	b.Run(title(work)+"/"+title(p.name), func(b *testing.B) {
		python := filepath.Join(environments(b), p.environment, "bin", "python")
		script := filepath.Join("peers", p.script)
		b.Setenv("DO_NOT_TRACK", "1") // their telemetry has no place in a measurement
		b.Setenv("NML_DISABLE_USAGE_LOGGING", "1")
		for b.Loop() {
			var imports time.Duration
			if p.imports {
				imports = measure(b, python, script).wall
			}
			record(b, p.name, work, measure(b, python, slices.Concat([]string{script}, files, p.arguments)...), imports)
		}
	})
}

func title(s string) string { return strings.NewReplacer(" ", "_", ",", "").Replace(s) }

// environments installs what the scripts need, once.
func environments(tb testing.TB) string {
	tb.Helper()
	dir, err := installOnce()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

var installOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // once for the package
	cmd := exec.Command("../tools/peers/setup")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("install the peers: %w\n%s", err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
})

// comparison is a row of the table that is printed at the end.
type comparison struct {
	work, program string
	usage         []usage
	imports       time.Duration
}

var comparisons []*comparison //nolint:gochecknoglobals // benchmarks run one after the other

func record(b *testing.B, program, work string, u usage, imports time.Duration) {
	b.Helper()
	b.ReportMetric(u.wall.Seconds(), "wall-s")
	b.ReportMetric(u.cpu.Seconds(), "CPU-s")
	b.ReportMetric(float64(u.peakBytes)/megabyte, "peak-MB")
	for _, c := range comparisons {
		if c.work == work && c.program == program {
			c.usage = append(c.usage, u)
			return
		}
	}
	comparisons = append(comparisons, &comparison{work: work, program: program, usage: []usage{u}, imports: imports})
}

// TestMain prints the comparisons, medians of the runs, after the benchmarks.
func TestMain(m *testing.M) {
	code := m.Run()
	if len(comparisons) > 0 {
		printComparisons()
	}
	os.Exit(code)
}

func printComparisons() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nwork\tprogram\twall s\tof which imports\tCPU s\tpeak MB\truns")
	for _, c := range comparisons {
		imports := ""
		if c.imports > 0 {
			imports = fmt.Sprintf("%.1f", c.imports.Seconds())
		}
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t%.2f\t%.0f\t%d\n", c.work, c.program,
			median(c.usage, func(u usage) float64 { return u.wall.Seconds() }), imports,
			median(c.usage, func(u usage) float64 { return u.cpu.Seconds() }),
			median(c.usage, func(u usage) float64 { return float64(u.peakBytes) / megabyte }), len(c.usage))
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "comparisons are not printed:", err)
	}
}

func median(us []usage, f func(usage) float64) float64 {
	values := make([]float64, len(us))
	for i, u := range us {
		values[i] = f(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
