package app

import (
	"fmt"
	"io"
	"strconv"

	"github.com/modelwatch/modelwatch"
)

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
