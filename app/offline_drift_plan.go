package app

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// describe prints what a run would read and compare.
func (r *driftRun) describe(w io.Writer) error {
	p := noColours()
	for _, s := range []struct {
		name string
		*side
	}{{"baseline", &r.baseline}, {"current ", &r.current}} {
		files := "a saved profile"
		if s.tables != nil {
			files = plural(len(s.tables.files), "file")
		}
		fmt.Fprintf(w, "%s  %s  %s, %s\n", s.name, s.uri, files, plural(int(s.rows), "row"))
	}
	t := newTable(p, "column", "type", "now", "metrics")
	for _, c := range r.columns {
		now := "not there"
		if info, ok := r.current.source.Column(c.Column); ok {
			now = string(info.Type)
		}
		t.Row(truncate(c.Name, maxName), string(c.Type), now, strings.Join(r.applicable(c), ", "))
	}
	fmt.Fprintf(w, "\n%s\n\n", t.Render())
	for _, line := range r.choices() {
		fmt.Fprintln(w, line)
	}
	_, err := fmt.Fprintln(w, "nothing was compared: this is a dry run")
	return err
}

// choices are the flags that change what is computed, in words.
func (r *driftRun) choices() []string {
	var out []string
	add := func(on bool, format string, args ...any) {
		if on {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	for _, columns := range r.segments {
		add(true, "segments by %s", strings.Join(columns, " x "))
	}
	add(r.known.columns.Weight != "", "rows weigh what column %s says", r.known.columns.Weight)
	add(r.chunk.rows > 0, "a result for every %d rows", r.chunk.rows)
	add(r.chunk.period > 0, "a result for every %s of column %s", r.opts.Chunk, orText(r.known.columns.Time, modelwatch.ColumnTime))
	add(r.opts.Compat != "", "numbers as %s computes them", r.opts.Compat)
	add(r.opts.Exact, "ks and wasserstein by sorting every row")
	for _, text := range r.opts.Thresholds {
		add(true, "threshold %s", text)
	}
	add(r.opts.LearnThresholds != "", "thresholds learnt from the baseline's own chunks, %s", r.opts.LearnThresholds)
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
