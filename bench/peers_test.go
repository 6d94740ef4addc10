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
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { compareDrift(b, rows) })
	}
}

func compareDrift(b *testing.B, rows int) {
	b.Helper()
	files := writePair(b, rows)
	work := fmt.Sprintf("PSI and JS, %d x 20", rows)
	ours(b, work, "modelwatch, and K-S with its bound", "drift", "--baseline", files[0], "--current", files[1])
	for _, p := range handwritten {
		p.run(b, work, files)
	}
	if rows == 100_000 {
		for _, p := range monitors {
			p.run(b, work, files)
		}
		return
	}
	work = fmt.Sprintf("with exact K-S, %d x 20", rows)
	ours(b, work, "modelwatch", "drift", "--exact", "--baseline", files[0], "--current", files[1])
	for _, p := range handwrittenKS {
		p.run(b, work, files)
	}
}

// ours measures this program; name says what it does beyond the work.
func ours(b *testing.B, work, name string, args ...string) {
	b.Helper()
	b.Run(title(work)+"/modelwatch", func(b *testing.B) {
		for b.Loop() {
			u := measure(b, binary(b), args...)
			record(b, u, comparison{work: work, program: name, ours: true})
		}
	})
}

// run measures the peer. One that cannot be installed or fails is a row of the table
// that says so, and the others are measured all the same.
func (p peer) run(b *testing.B, work string, files []string) {
	b.Helper()
	b.Run(title(work)+"/"+title(p.name), func(b *testing.B) {
		b.Setenv("DO_NOT_TRACK", "1") // their telemetry has no place in a measurement
		b.Setenv("NML_DISABLE_USAGE_LOGGING", "1")
		row := comparison{work: work, program: p.name}
		for b.Loop() {
			u, err := p.measure(&row, files)
			if err != nil {
				row.failure = lastLine(err.Error())
				comparisons = append(comparisons, &row)
				b.Skip(err)
			}
			record(b, u, row)
		}
	})
}

func (p peer) measure(row *comparison, files []string) (usage, error) {
	dir, err := installOnce()
	if err != nil {
		return usage{}, err
	}
	python, script := filepath.Join(dir, p.environment, "bin", "python"), filepath.Join("peers", p.script)
	if p.imports {
		u, err := tryMeasure(python, script)
		if err != nil {
			return usage{}, err
		}
		row.imports = u.wall
	}
	return tryMeasure(python, slices.Concat([]string{script}, files, p.arguments)...)
}

// lastLine is where a program says what stopped it, but for a line that only points.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "^ \n"), "\n")
	return lines[len(lines)-1]
}

func title(s string) string { return strings.NewReplacer(" ", "_", ",", "").Replace(s) }

// installOnce installs what the scripts need.
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
	ours          bool
	imports       time.Duration
	failure       string // of a peer that could not be measured
}

var comparisons []*comparison //nolint:gochecknoglobals // benchmarks run one after the other

// record adds a run to its row, which is new if it is the first.
func record(b *testing.B, u usage, row comparison) {
	b.Helper()
	b.ReportMetric(u.wall.Seconds(), "wall-s")
	b.ReportMetric(u.cpu.Seconds(), "CPU-s")
	b.ReportMetric(float64(u.peakBytes)/megabyte, "peak-MB")
	for _, c := range comparisons {
		if c.work == row.work && c.program == row.program {
			c.usage = append(c.usage, u)
			return
		}
	}
	row.usage = []usage{u}
	comparisons = append(comparisons, &row)
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
	fmt.Fprintln(w, "\nwork\tprogram\twall s (imports)\ttimes ours\tCPU s\tpeak MB\ttimes ours\truns")
	ours := map[string]*comparison{}
	for _, c := range comparisons {
		if c.ours {
			ours[c.work] = c
		}
		fmt.Fprintln(w, c.row(ours[c.work]))
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "comparisons are not printed:", err)
	}
}

// row is the line of the table; ours, if measured, is what it is compared with.
func (c *comparison) row(ours *comparison) string {
	if c.failure != "" {
		return fmt.Sprintf("%s\t%s\tfailed: %s\t\t\t\t\t0", c.work, c.program, c.failure)
	}
	imports, slower, larger := "", "", ""
	if c.imports > 0 {
		imports = fmt.Sprintf(" (%.1f)", c.imports.Seconds())
	}
	if ours != nil && ours != c {
		slower, larger = fmt.Sprintf("%.1f", c.wall()/ours.wall()), fmt.Sprintf("%.1f", c.peak()/ours.peak())
	}
	cpu := median(c.usage, func(u usage) float64 { return u.cpu.Seconds() })
	return fmt.Sprintf("%s\t%s\t%.2f%s\t%s\t%.2f\t%.0f\t%s\t%d", c.work, c.program, c.wall(), imports, slower, cpu, c.peak(), larger, len(c.usage))
}

func (c *comparison) wall() float64 {
	return median(c.usage, func(u usage) float64 { return u.wall.Seconds() })
}

// peak is in megabytes.
func (c *comparison) peak() float64 {
	return median(c.usage, func(u usage) float64 { return float64(u.peakBytes) / megabyte })
}

func median(us []usage, f func(usage) float64) float64 {
	values := make([]float64, len(us))
	for i, u := range us {
		values[i] = f(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
