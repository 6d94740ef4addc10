package app

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// devSnapshot is all that the live view shows at one moment.
type devSnapshot struct {
	Addresses []string // one line each
	EventTime time.Time
	Speed     float64
	Uptime    time.Duration
	Seen      int64
	Kept      int64
	Rejected  int64
	Succeeded int64
	Failed    int64
	History   history
	Points    []string // newest last
	SinkLabel string
}

// seriesKey names one line of the view.
type seriesKey struct {
	model, version, job string
	kind                modelwatch.JobKind
	subject             modelwatch.Subject
	name, metric        string
}

// history keeps the newest values of each series, oldest first.
type history map[seriesKey][]modelwatch.Measurement

const historyLength = 24

func keyOf(m modelwatch.Measurement) seriesKey {
	return seriesKey{m.Model, m.Version, m.Job, m.Kind, m.Subject, m.Name, m.Metric}
}

// add takes a measurement in: a newer revision replaces its window's value.
func (h history) add(m modelwatch.Measurement) {
	if len(m.Segment) > 0 || m.Class != "" || m.K != 0 {
		return
	}
	key := keyOf(m)
	series := h[key]
	i, found := slices.BinarySearchFunc(series, m.Window.End, func(a modelwatch.Measurement, end time.Time) int { return a.Window.End.Compare(end) })
	switch {
	case found && series[i].Revision <= m.Revision:
		series[i] = m
	case !found:
		series = slices.Insert(series, i, m)
	}
	h[key] = series[max(0, len(series)-historyLength):]
}

// latest returns the newest measurement of a series.
func (h history) latest(key seriesKey) (modelwatch.Measurement, bool) {
	series := h[key]
	if len(series) == 0 {
		return modelwatch.Measurement{}, false
	}
	return series[len(series)-1], true
}

// sparkBlocks are the eight heights of a chart one line high.
var sparkBlocks = []rune("▁▂▃▄▅▆▇█") //nolint:gochecknoglobals // a constant

// sparkline draws values on one line, from zero (or the smallest) to the
// largest or the threshold, whichever is higher, so that a full block means
// trouble; a window without a value is a dot.
func sparkline(series []modelwatch.Measurement) string {
	low, high := 0.0, 0.0
	for _, m := range series {
		if m.Value.Value != nil {
			low, high = min(low, *m.Value.Value), max(high, *m.Value.Value)
		}
		if m.Threshold != nil && m.Threshold.Upper != nil {
			high = max(high, *m.Threshold.Upper)
		}
	}
	var b strings.Builder
	for _, m := range series {
		switch v := m.Value.Value; {
		case v == nil:
			b.WriteRune('·')
		case high == low:
			b.WriteRune(sparkBlocks[0])
		default:
			step := int((*v - low) / (high - low) * float64(len(sparkBlocks)))
			b.WriteRune(sparkBlocks[min(step, len(sparkBlocks)-1)])
		}
	}
	return b.String()
}

// formatValue prints a metric with four digits after the point, a count without
// any, or its reason.
func formatValue(m modelwatch.Measurement, ok bool) string {
	switch {
	case !ok, m.Reason == modelwatch.ReasonNotApplicable:
		return ""
	case m.Value.Value == nil:
		return string(m.Reason)
	case isCount(m.Metric):
		return strconv.FormatFloat(*m.Value.Value, 'f', 0, 64)
	}
	return formatNumber(*m.Value.Value)
}

func isCount(metric string) bool {
	return metric == drift.DriftedFeatures || strings.HasSuffix(metric, "_positives") || strings.HasSuffix(metric, "_negatives")
}

func formatNumber(v float64) string {
	switch abs := max(v, -v); {
	case abs > 1 && v == math.Trunc(v) && abs < 1<<53:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs != 0 && (abs < 5e-5 || abs >= 1e7):
		return strconv.FormatFloat(v, 'g', 2, 64)
	case abs >= 1000:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// palette is the colours of tables; an empty one draws plain text.
type palette struct {
	breach, good, dim, head lipgloss.Style
}

func colours() palette {
	style := func(c string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(c)) }
	return palette{breach: style("1").Bold(true), good: style("2"), dim: style("8"), head: lipgloss.NewStyle().Bold(true)}
}

func noColours() palette {
	none := lipgloss.NewStyle()
	return palette{none, none, none, none}
}

// render draws the snapshot.
func (s devSnapshot) render(p palette, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  event time %s, %s minutes a minute, up %s\n", p.head.Render("modelwatch dev"),
		s.EventTime.UTC().Format("2006-01-02 15:04"), strconv.FormatFloat(s.Speed, 'g', 4, 64), s.Uptime.Round(time.Second))
	for _, line := range s.Addresses {
		b.WriteString(p.dim.Render(line) + "\n")
	}
	fmt.Fprintf(&b, "%d events seen, %d kept, %s; runs: %d succeeded, %s\n", s.Seen, s.Kept,
		colourIf(p.breach, s.Rejected > 0, fmt.Sprintf("%d rejected", s.Rejected)), s.Succeeded,
		colourIf(p.breach, s.Failed > 0, fmt.Sprintf("%d failed", s.Failed)))
	for _, group := range s.History.groups() {
		b.WriteString("\n" + group.render(s.History, p) + "\n")
	}
	if len(s.History) == 0 {
		b.WriteString("\nwaiting for the first complete window\n")
	}
	if len(s.Points) > 0 {
		b.WriteString("\n" + p.head.Render(s.SinkLabel) + "\n")
		for _, point := range s.Points {
			b.WriteString(p.dim.Render(truncate(point, width)) + "\n")
		}
	}
	return b.String()
}

func colourIf(style lipgloss.Style, on bool, text string) string {
	if on {
		return style.Render(text)
	}
	return text
}

func truncate(s string, width int) string {
	if width > 1 && lipgloss.Width(s) > width {
		return string([]rune(s)[:width-1]) + "…"
	}
	return s
}

// viewGroup is one table of the view: the series of one job and version.
type viewGroup struct {
	model, version, job string
	kind                modelwatch.JobKind
}

func (h history) groups() []viewGroup {
	var groups []viewGroup
	for k := range h {
		if g := (viewGroup{k.model, k.version, k.job, k.kind}); !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b viewGroup) int {
		return strings.Compare(a.model+"\x00"+string(b.kind)+"\x00"+a.version+a.job, b.model+"\x00"+string(a.kind)+"\x00"+b.version+b.job)
	})
	return groups
}

func (g viewGroup) render(h history, p palette) string {
	if g.kind == modelwatch.JobBacktest {
		return g.renderBacktest(h, p)
	}
	return g.renderDrift(h, p)
}

// renderDrift draws a line a column, the most drifted first.
func (g viewGroup) renderDrift(h history, p palette) string {
	type line struct {
		subject modelwatch.Subject
		name    string
	}
	lines := map[line]float64{}
	var newest modelwatch.Measurement
	for k, series := range h {
		if (viewGroup{k.model, k.version, k.job, k.kind}) != g || k.metric != "psi" {
			continue
		}
		m := series[len(series)-1]
		v := -1.0
		if m.Value.Value != nil {
			v = *m.Value.Value
		}
		lines[line{k.subject, k.name}] = v
		if m.Window.End.After(newest.Window.End) {
			newest = m
		}
	}
	order := make([]line, 0, len(lines))
	for l := range lines {
		order = append(order, l)
	}
	slices.SortFunc(order, func(a, b line) int {
		if lines[a] != lines[b] {
			if lines[a] > lines[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	t := newTable(p, "column", "psi", "over time", "js_distance", "ks", "missing", "n")
	breached := 0
	for _, l := range order {
		get := func(metric string) (modelwatch.Measurement, bool) {
			return h.latest(seriesKey{g.model, g.version, g.job, g.kind, l.subject, l.name, metric})
		}
		cell := func(metric string) string { return formatValue(get(metric)) }
		psi, _ := get("psi")
		chart := sparkline(h[seriesKey{g.model, g.version, g.job, g.kind, l.subject, l.name, "psi"}])
		if psi.Breached {
			breached++
		}
		mark := func(s string) string { return colourIf(p.breach, psi.Breached, s) }
		t.Row(mark(l.name), mark(cell("psi")+flag(psi.Breached)), mark(chart), cell("js_distance"), cell("ks"), cell("missing_ratio"), strconv.FormatInt(psi.NCurrent, 10))
	}
	verdict := p.good.Render("nothing over its threshold")
	if breached > 0 {
		verdict = p.breach.Render(fmt.Sprintf("%d of %d columns over the threshold", breached, len(order)))
	}
	return g.title(p, newest) + "  " + verdict + "\n" + t.Render()
}

// flag marks a breach; what is no breach is as wide, so that numbers stay aligned.
func flag(breached bool) string {
	if breached {
		return " !"
	}
	return "  "
}

// renderBacktest draws a line a metric.
func (g viewGroup) renderBacktest(h history, p palette) string {
	var metrics []string
	var newest modelwatch.Measurement
	for k, series := range h {
		if (viewGroup{k.model, k.version, k.job, k.kind}) != g || strings.HasSuffix(k.metric, "_positives") || strings.HasSuffix(k.metric, "_negatives") {
			continue
		}
		metrics = append(metrics, k.metric)
		if m := series[len(series)-1]; m.Window.End.After(newest.Window.End) {
			newest = m
		}
	}
	slices.Sort(metrics)
	t := newTable(p, "metric", "value", "over time", "window ending", "labels", "revision")
	for _, metric := range metrics {
		key := seriesKey{g.model, g.version, g.job, g.kind, modelwatch.SubjectModel, "", metric}
		m, ok := h.latest(key)
		if !ok {
			continue
		}
		coverage := ""
		if m.LabelCoverage != nil {
			coverage = strconv.FormatFloat(*m.LabelCoverage*100, 'f', 0, 64) + " %"
		}
		mark := func(s string) string { return colourIf(p.breach, m.Breached, s) }
		t.Row(mark(metric), mark(formatValue(m, true)+flag(m.Breached)), mark(sparkline(h[key])), m.Window.End.UTC().Format("01-02 15:04"), coverage, strconv.Itoa(m.Revision))
	}
	return g.title(p, newest) + "\n" + t.Render()
}

func (g viewGroup) title(p palette, newest modelwatch.Measurement) string {
	return p.head.Render(g.model+" "+g.version) + fmt.Sprintf("  %s  %s to %s", g.job,
		newest.Window.Start.UTC().Format("15:04"), newest.Window.End.UTC().Format("15:04"))
}

// textColumns are the heads of columns that hold words or charts; the others are numbers.
var textColumns = []string{"column", "type", "metric", "class", "over time", "95 % interval", "window ending", "in chunk", "chunk", "segment", "worst column", "group", "now", "metrics"} //nolint:gochecknoglobals // a constant

// newTable makes a table in the house style: a rule under the head, numbers to the right.
func newTable(p palette, headers ...string) *table.Table {
	return table.New().Headers(headers...).
		Border(lipgloss.NormalBorder()).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		BorderStyle(p.dim).Wrap(false).
		StyleFunc(func(row, col int) lipgloss.Style {
			style := lipgloss.NewStyle().PaddingRight(2)
			if !slices.Contains(textColumns, headers[col]) {
				style = style.Align(lipgloss.Right)
			}
			if row == table.HeaderRow {
				style = style.Foreground(headColour(p))
			}
			return style
		})
}

func headColour(p palette) color.Color { return p.dim.GetForeground() }
