package app

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// subjectName is one line of a drift table.
type subjectName struct {
	subject modelwatch.Subject
	name    string
}

// writeDriftTable prints a line a column, the columns that moved most first,
// with a column a metric, and the verdict under it.
func writeDriftTable(w io.Writer, p palette, ms []modelwatch.Measurement, types map[string]modelwatch.FeatureType) error {
	metrics, cells := tabulate(ms)
	if len(metrics) == 0 {
		_, err := fmt.Fprintln(w, "nothing to compare: the two files share no column")
		return err
	}
	order := make([]subjectName, 0, len(cells))
	for s := range cells {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b subjectName) int { return compareLines(cells, metrics, a, b) })
	t := newTable(p, append([]string{"column", "type"}, append(slices.Clone(metrics), "rows")...)...)
	over := 0
	for _, s := range order {
		row, breached := []string{s.name, string(types[s.name])}, false
		var rows int64
		for _, metric := range metrics {
			m, ok := cells[s][metric]
			text := formatValue(m, ok) + flag(m.Breached)
			row = append(row, colourIf(p.breach, m.Breached, text))
			breached = breached || m.Breached
			rows = max(rows, m.NCurrent)
		}
		if breached {
			over++
			row[0] = p.breach.Render(row[0])
		}
		t.Row(append(row, strconv.FormatInt(rows, 10))...)
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	return writeVerdict(w, p, ms, over, len(order))
}

func writeVerdict(w io.Writer, p palette, ms []modelwatch.Measurement, over, columns int) error {
	judged := slices.ContainsFunc(ms, func(m modelwatch.Measurement) bool { return m.Threshold != nil })
	compared := fmt.Sprintf("%d columns compared", columns)
	if columns == 1 {
		compared = "1 column compared"
	}
	verdict := compared + "; no threshold was given"
	switch {
	case judged && over > 0:
		verdict = p.breach.Render(fmt.Sprintf("%d of %d columns over a threshold (!)", over, columns))
	case judged:
		verdict = p.good.Render(compared + ", none over a threshold")
	}
	_, err := fmt.Fprintln(w, "\n"+verdict)
	return err
}

// tabulate sorts the measurements of columns into cells; metrics stand in the order of documentation.
func tabulate(ms []modelwatch.Measurement) ([]string, map[subjectName]map[string]modelwatch.Measurement) {
	var metrics []string
	cells := map[subjectName]map[string]modelwatch.Measurement{}
	for _, m := range ms {
		if m.Subject == modelwatch.SubjectModel {
			continue
		}
		if !slices.Contains(metrics, m.Metric) {
			metrics = append(metrics, m.Metric)
		}
		s := subjectName{m.Subject, m.Name}
		if cells[s] == nil {
			cells[s] = map[string]modelwatch.Measurement{}
		}
		cells[s][m.Metric] = m
	}
	known := drift.Metrics()
	slices.SortStableFunc(metrics, func(a, b string) int { return slices.Index(known, a) - slices.Index(known, b) })
	return metrics, cells
}

// compareLines puts larger values of the first metric first, then names in order.
func compareLines(cells map[subjectName]map[string]modelwatch.Measurement, metrics []string, a, b subjectName) int {
	for _, metric := range metrics {
		va, vb := sortValue(cells[a][metric]), sortValue(cells[b][metric])
		if va != vb {
			if va > vb {
				return -1
			}
			return 1
		}
	}
	return strings.Compare(a.name, b.name)
}

func sortValue(m modelwatch.Measurement) float64 {
	if m.Value.Value == nil {
		return -1
	}
	return *m.Value.Value
}

// writeBacktestTable prints a line a metric with its interval.
func writeBacktestTable(w io.Writer, p palette, ms []modelwatch.Measurement) error {
	t := newTable(p, "metric", "class", "value", "95 % interval", "rows")
	for _, m := range ms {
		interval := ""
		switch {
		case m.Lower != nil && m.Upper != nil:
			interval = formatNumber(*m.Lower) + " to " + formatNumber(*m.Upper)
		case m.StandardError != nil && m.Value.Value != nil:
			half := 1.959963984540054 * *m.StandardError
			interval = formatNumber(*m.Value.Value-half) + " to " + formatNumber(*m.Value.Value+half)
		}
		value := colourIf(p.breach, m.Breached, formatValue(m, true)+flag(m.Breached))
		t.Row(m.Metric, m.Class, value, interval, strconv.FormatInt(m.NCurrent, 10))
	}
	_, err := fmt.Fprintln(w, t.Render())
	if err != nil || len(ms) == 0 || ms[0].LabelCoverage == nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nlabels for %s %% of the predictions\n", strconv.FormatFloat(*ms[0].LabelCoverage*100, 'f', 1, 64))
	return err
}
