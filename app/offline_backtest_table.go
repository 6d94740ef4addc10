package app

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/report"
)

// maxSections is how many chunks and segments a table shows unless all are asked for.
const maxSections = 40

// section is what is known of one group of rows.
type section struct {
	title    string
	coverage *float64
	measured []modelwatch.Measurement
}

// sections cuts measurements, which come group by group.
func (r *backtestRun) sections(ms []modelwatch.Measurement) []section {
	var out []section
	last := ""
	for _, m := range ms {
		key := strconv.Itoa(m.Chunk) + " " + modelwatch.SegmentKey(m.Segment)
		if len(out) == 0 || key != last {
			out = append(out, section{title: r.title(m), coverage: m.LabelCoverage})
			last = key
		}
		s := &out[len(out)-1]
		s.measured = append(s.measured, m)
	}
	return out
}

// title names a group of rows; "" is all of them.
func (r *backtestRun) title(m modelwatch.Measurement) string {
	var parts []string
	if r.chunk.any() {
		parts = append(parts, r.chunkLabel(m))
	}
	for _, key := range sortedKeys(m.Segment) {
		parts = append(parts, key+"="+m.Segment[key])
	}
	return strings.Join(parts, "  ")
}

// chunkLabel names a chunk by its rows or its time.
func (r *backtestRun) chunkLabel(m modelwatch.Measurement) string {
	if r.chunk.period > 0 {
		layout := "2006-01-02 15:04"
		if r.chunk.period%(24*time.Hour) == 0 {
			layout = time.DateOnly
		}
		return m.Window.Start.Format(layout)
	}
	first := int64(m.Chunk) * r.chunk.rows
	return fmt.Sprintf("rows %d to %d", first+1, min(first+r.chunk.rows, r.predictions.Rows()))
}

// draw prints a section for each group of rows: a line a metric, then a line a class.
func (r *backtestRun) draw(w io.Writer, c canvas, ms []modelwatch.Measurement) error {
	lines := []string{fmt.Sprintf("predictions  %s  %d rows", r.opts.Predictions, r.predictions.Rows())}
	if r.labels != nil {
		lines = append(lines, fmt.Sprintf("labels       %s  %d rows", r.opts.Labels, r.labels.Rows()))
	}
	if r.baseline != nil {
		lines = append(lines, fmt.Sprintf("baseline     %s  %d rows", r.opts.Baseline, r.baseline.Rows()))
	}
	if _, err := fmt.Fprintln(w, strings.Join(lines, "\n")); err != nil {
		return err
	}
	all := r.sections(ms)
	if len(all) > 0 && !r.chunk.any() {
		if err := r.drawSection(w, c, all[0]); err != nil {
			return err
		}
		all = all[1:]
	}
	if len(all) > 0 {
		if err := r.drawSections(w, c, all); err != nil {
			return err
		}
	}
	return r.verdict(w, c.palette, ms)
}

// drawSections prints a line for each chunk and segment, with a column a metric.
func (r *backtestRun) drawSections(w io.Writer, c canvas, all []section) error {
	shown := all
	if !c.all && len(all) > maxSections {
		shown = all[:maxSections]
	}
	var metrics []string
	for _, s := range shown {
		for _, m := range s.measured {
			if label := metricLabel(m); r.inLine(m) && !slices.Contains(metrics, label) {
				metrics = append(metrics, label)
			}
		}
	}
	first := "segment"
	if r.chunk.any() {
		first = "chunk"
	}
	t := newTable(c.palette, slices.Concat([]string{first}, metrics, []string{"rows", "labels"})...)
	for _, s := range shown {
		row, rows := make([]string, len(metrics)+3), int64(0)
		row[0] = s.title
		for _, m := range s.measured {
			if r.inLine(m) {
				row[1+slices.Index(metrics, metricLabel(m))] = shownValue(c.palette, m)
				rows = max(rows, m.NCurrent)
			}
		}
		row[len(row)-2] = strconv.FormatInt(rows, 10)
		if s.coverage != nil {
			row[len(row)-1] = percent(*s.coverage)
		}
		t.Row(row...)
	}
	if _, err := fmt.Fprintln(w, "\n"+t.Render()); err != nil || len(shown) == len(all) {
		return err
	}
	_, err := fmt.Fprintf(w, "%d more chunks and segments are not shown: --format csv has them\n", len(all)-len(shown))
	return err
}

// inLine reports whether a value stands in the line of a chunk or segment: what is
// of a class does not, nor numbers of rows that nobody asked for.
func (r *backtestRun) inLine(m modelwatch.Measurement) bool {
	return m.Class == "" && (!isCount(m.Metric) || slices.Contains(r.metrics, m.Metric))
}

func (r *backtestRun) drawSection(w io.Writer, c canvas, s section) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	header := []string{"metric", "value", "95 % interval", "constant", "rows"}
	if r.baseline != nil {
		header = slices.Insert(header, 3, "baseline")
	}
	t := newTable(c.palette, header...)
	classes := false
	for _, m := range s.measured {
		if m.Class != "" {
			classes = true
			continue
		}
		row := []string{metricLabel(m), shownValue(c.palette, m), interval(m), beside(m, m.ConstantValue), rowsLabel(m)}
		if r.baseline != nil {
			row = slices.Insert(row, 3, beside(m, m.BaselineValue))
		}
		t.Row(row...)
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	if classes {
		if err := drawClasses(w, c, s.measured); err != nil {
			return err
		}
	}
	if s.coverage == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nlabels for %s of the predictions\n", percent(*s.coverage))
	return err
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + " %" }

// drawClasses prints a line a class with a column a metric.
func drawClasses(w io.Writer, c canvas, ms []modelwatch.Measurement) error {
	var classes, metrics []string
	cells := map[[2]string]string{}
	for _, m := range ms {
		if m.Class == "" {
			continue
		}
		if !slices.Contains(classes, m.Class) {
			classes = append(classes, m.Class)
		}
		if !slices.Contains(metrics, m.Metric) {
			metrics = append(metrics, m.Metric)
		}
		cells[[2]string{m.Class, m.Metric}] = shownValue(c.palette, m)
	}
	t := newTable(c.palette, append([]string{"class"}, metrics...)...)
	for _, class := range classes {
		row := []string{class}
		for _, metric := range metrics {
			row = append(row, cells[[2]string{class, metric}])
		}
		t.Row(row...)
	}
	_, err := fmt.Fprintln(w, "\n"+t.Render())
	return err
}

func metricLabel(m modelwatch.Measurement) string {
	if m.K > 0 {
		return m.Metric + " k=" + strconv.Itoa(m.K)
	}
	return m.Metric
}

func shownValue(p palette, m modelwatch.Measurement) string {
	return colourIf(p.breach, m.Breached, formatValue(m, true)+flag(m.Breached))
}

// interval is the 95 % interval or the proven bound of a value.
func interval(m modelwatch.Measurement) string {
	if m.Lower == nil || m.Upper == nil {
		return ""
	}
	return formatNumber(*m.Lower) + " to " + formatNumber(*m.Upper)
}

// beside is another value of the same metric, "" if there is none.
func beside(m modelwatch.Measurement, x *float64) string {
	if x == nil {
		return ""
	}
	m.Value.Value = x
	return formatValue(m, true)
}

// rowsLabel is the number of rows and, where they carry weights, of how many they
// are worth.
func rowsLabel(m modelwatch.Measurement) string {
	if m.EffectiveCurrent == nil {
		return strconv.FormatInt(m.NCurrent, 10)
	}
	return fmt.Sprintf("%d (effective %.0f)", m.NCurrent, *m.EffectiveCurrent)
}

// verdict says whether a threshold is breached, where there are any.
func (r *backtestRun) verdict(w io.Writer, p palette, ms []modelwatch.Measurement) error {
	judged, breached := 0, 0
	for _, m := range ms {
		if m.Threshold != nil {
			judged++
		}
		if m.Breached {
			breached++
		}
	}
	if judged == 0 {
		return nil
	}
	text := p.good.Render("no value is over a threshold")
	if breached > 0 {
		text = p.breach.Render(fmt.Sprintf("%d of %d values over a threshold (!)", breached, judged))
	}
	_, err := fmt.Fprintln(w, "\n"+text)
	return err
}

// page writes the HTML report.
func (r *backtestRun) page(w io.Writer, ms []modelwatch.Measurement) error {
	out := report.Report{
		Kind: modelwatch.JobBacktest, Current: report.Side{Name: r.opts.Predictions, Rows: r.predictions.Rows()}, Notes: r.notes,
	}
	if r.baseline != nil {
		out.Baseline = report.Side{Name: r.opts.Baseline, Rows: r.baseline.Rows()}
	}
	if r.labels != nil {
		out.Labels = report.Side{Name: r.opts.Labels, Rows: r.labels.Rows()}
	}
	if !r.chunk.any() {
		out.Measurements = ms
		return report.Write(w, out)
	}
	last := -1
	for _, m := range ms {
		if m.Chunk != last {
			out.Chunks = append(out.Chunks, report.Chunk{Label: r.chunkLabel(m)})
			last = m.Chunk
		}
		c := &out.Chunks[len(out.Chunks)-1]
		c.Measurements = append(c.Measurements, m)
		if m.Segment == nil {
			c.Rows = max(c.Rows, m.NCurrent)
		}
	}
	return report.Write(w, out)
}
