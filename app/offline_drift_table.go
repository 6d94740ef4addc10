package app

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// The most lines and the longest chart of a table, unless all is asked for.
const (
	maxLines     = 50
	maxPartLines = 15
	maxName      = 40
	maxSpark     = 40
)

// writeDriftTable prints a line a column, those that matter most first, with a
// column a metric or, where there are chunks, the course of the metric that
// matters; then segments, groups, chunks, and the verdict.
func writeDriftTable(w io.Writer, c canvas, v *driftView) error {
	if len(v.lines) == 0 {
		_, err := fmt.Fprintln(w, "nothing to compare: the two files share no column")
		return err
	}
	var err error
	if len(v.chunks) > 1 {
		err = v.writeCourse(w, c)
	} else {
		err = v.writeColumns(w, c)
	}
	for _, write := range []func(io.Writer, canvas) error{v.writeParts, v.writeSegments, v.writeGroups, v.writeVerdict} {
		if err == nil {
			err = write(w, c)
		}
	}
	return err
}

// shown is how many of n lines are drawn.
func (c canvas) shown(n, most int) int {
	if c.all {
		return n
	}
	return min(n, most)
}

func (c canvas) more(w io.Writer, n, most int, what string) {
	if left := n - c.shown(n, most); left > 0 {
		fmt.Fprintln(w, c.dim.Render(fmt.Sprintf("and %d more %s, which matter less (--all shows them)", left, what)))
	}
}

// writeColumns draws the table of one chunk. On a terminal that is too narrow the
// last metrics are left out.
func (v *driftView) writeColumns(w io.Writer, c canvas) error {
	metrics := v.metrics
	text := v.columnTable(c, metrics)
	for c.width > 0 && lipgloss.Width(text) > c.width && len(metrics) > 1 {
		metrics = metrics[:len(metrics)-1]
		text = v.columnTable(c, metrics)
	}
	if _, err := fmt.Fprintln(w, text); err != nil {
		return err
	}
	if hidden := v.metrics[len(metrics):]; len(hidden) > 0 {
		fmt.Fprintln(w, c.dim.Render("not shown for want of width: "+strings.Join(hidden, ", ")))
	}
	c.more(w, len(v.lines), maxLines, "columns")
	return nil
}

func (v *driftView) columnTable(c canvas, metrics []string) string {
	t := newTable(c.palette, append([]string{"column", "type"}, append(slices.Clone(metrics), "rows")...)...)
	for _, line := range v.lines[:c.shown(len(v.lines), maxLines)] {
		row := []string{colourIf(c.breach, line.breached, truncate(line.name, maxName)), string(v.types[line.subjectName])}
		var rows int64
		for _, metric := range metrics {
			text := ""
			if series := line.series[metric]; len(series) > 0 {
				m := series[0]
				text = colourIf(c.breach, m.Breached, formatValue(*m, true)+flag(m.Breached))
				rows = max(rows, m.NCurrent)
			}
			row = append(row, orText(text, flag(false)))
		}
		t.Row(append(row, strconv.FormatInt(rows, 10))...)
	}
	return t.Render()
}

// writeCourse draws a line a column over the chunks.
func (v *driftView) writeCourse(w io.Writer, c canvas) error {
	t := newTable(c.palette, v.heads("column", "type", "metric", "over time", "worst", "in chunk", "latest", "over")...)
	for _, line := range v.lines[:c.shown(len(v.lines), maxLines)] {
		metric := line.main(v.metrics)
		series := line.series[metric]
		worst, latest := worstOf(series), series[len(series)-1]
		over, all := line.over()
		mark := func(text string) string { return colourIf(c.breach, line.breached, text) }
		count := ""
		if v.judged {
			count = mark(fmt.Sprintf("%d of %d", over, all))
		}
		t.Row(v.heads(mark(truncate(line.name, maxName)), string(v.types[line.subjectName]), metric, mark(sparkline(thin(series, maxSpark))),
			colourIf(c.breach, worst.Breached, formatValue(*worst, true)+flag(worst.Breached)), chunkLabel(v.chunks, worst.Chunk),
			colourIf(c.breach, latest.Breached, formatValue(*latest, true)+flag(latest.Breached)), count)...)
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	c.more(w, len(v.lines), maxLines, "columns")
	return nil
}

// heads leaves out the last of the cells of a line, how much is over a threshold, where there is none.
func (v *driftView) heads(names ...string) []string {
	if v.judged {
		return names
	}
	return names[:len(names)-1]
}

// thin takes the worst of neighbouring chunks where there are more than fit.
func thin(series []*modelwatch.Measurement, most int) []modelwatch.Measurement {
	out := make([]modelwatch.Measurement, min(len(series), most))
	for i := range out {
		out[i] = *worstOf(series[i*len(series)/len(out) : (i+1)*len(series)/len(out)])
	}
	return out
}

// writeParts draws a line a chunk: all of them, or the latest where there are many.
func (v *driftView) writeParts(w io.Writer, c canvas) error {
	if len(v.chunks) < 2 {
		return nil
	}
	t := newTable(c.palette, v.heads("chunk", "rows", "worst column", "metric", "value", "over")...)
	from := len(v.parts) - c.shown(len(v.parts), maxPartLines)
	for _, p := range v.parts[from:] {
		over := ""
		if v.judged {
			over = colourIf(c.breach, len(p.over) > 0, strconv.Itoa(len(p.over)))
		}
		t.Row(v.heads(chunkLabel(v.chunks, p.chunk), strconv.FormatInt(v.chunks[p.chunk].rows, 10),
			truncate(p.worst.Name, maxName), p.worst.Metric, colourIf(c.breach, p.worst.Breached, formatValue(*p.worst, true)+flag(p.worst.Breached)), over)...)
	}
	if _, err := fmt.Fprintln(w, "\n"+t.Render()); err != nil {
		return err
	}
	if from > 0 {
		fmt.Fprintln(w, c.dim.Render(fmt.Sprintf("and %d earlier chunks (--all shows them)", from)))
	}
	return nil
}

func (v *driftView) writeSegments(w io.Writer, c canvas) error {
	if len(v.segments) == 0 {
		return nil
	}
	t := newTable(c.palette, v.heads("segment", "rows", "worst column", "metric", "value", "over")...)
	for _, s := range v.segments[:c.shown(len(v.segments), maxLines)] {
		over := ""
		if v.judged {
			over = colourIf(c.breach, len(s.over) > 0, fmt.Sprintf("%d of %d", len(s.over), len(s.columns)))
		}
		t.Row(v.heads(truncate(segmentText(s.segment), 2*maxName), strconv.FormatInt(s.rows, 10),
			truncate(s.worst.Name, maxName), s.worst.Metric, colourIf(c.breach, s.worst.Breached, formatValue(*s.worst, true)+flag(s.worst.Breached)), over)...)
	}
	if _, err := fmt.Fprintln(w, "\n"+t.Render()); err != nil {
		return err
	}
	c.more(w, len(v.segments), maxLines, "segments")
	return nil
}

// writeGroups draws the groups of features and, beside them, all features, by the
// values of the last chunk.
func (v *driftView) writeGroups(w io.Writer, c canvas) error {
	type key struct{ name, metric string }
	cells := map[key]modelwatch.Measurement{}
	var order []key
	last := max(len(v.chunks)-1, 0)
	for _, m := range append(slices.Clone(v.groups), v.model...) {
		if m.Chunk != last || m.Subject == modelwatch.SubjectModel && len(v.groups) == 0 {
			continue
		}
		k := key{orText(m.Name, "all features"), m.Metric}
		cells[k] = *m
		if !strings.HasSuffix(m.Metric, "_max") && !isQuality(m.Metric) && m.Metric != drift.DriftedFeatures {
			order = append(order, k)
		}
	}
	if len(order) == 0 {
		return nil
	}
	t := newTable(c.palette, "group", "metric", "mean", "largest")
	for _, k := range order {
		mean, largest := cells[k], cells[key{k.name, k.metric + "_max"}]
		text := ""
		if largest.Metric != "" {
			text = colourIf(c.breach, largest.Breached, formatValue(largest, true)+flag(largest.Breached))
		}
		t.Row(truncate(k.name, maxName), k.metric, colourIf(c.breach, mean.Breached, formatValue(mean, true)+flag(mean.Breached)), text)
	}
	_, err := fmt.Fprintln(w, "\n"+t.Render())
	return err
}

func (v *driftView) writeVerdict(w io.Writer, c canvas) error {
	over := 0
	for _, line := range v.lines {
		if line.breached {
			over++
		}
	}
	segments := 0
	for _, s := range v.segments {
		if len(s.over) > 0 {
			segments++
		}
	}
	compared := fmt.Sprintf("%d columns compared", len(v.lines))
	if len(v.lines) == 1 {
		compared = "1 column compared"
	}
	verdict := compared + "; no threshold was given"
	switch {
	case v.judged && over+segments > 0:
		verdict = fmt.Sprintf("%d of %d columns over a threshold (!)", over, len(v.lines))
		if segments > 0 {
			verdict += fmt.Sprintf(", and so in %d of %d segments", segments, len(v.segments))
		}
		verdict = c.breach.Render(verdict)
	case v.judged:
		verdict = c.good.Render(compared + ", none over a threshold")
	}
	_, err := fmt.Fprintln(w, "\n"+verdict)
	return err
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
