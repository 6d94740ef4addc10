package app

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// noteColumns says which columns of the current file are not what the baseline
// has: without it, a column that was renamed or turned into text would show as
// a row of reasons. current is the profile of the file on the baseline's grids.
func noteColumns(w io.Writer, r *table.Reader, baseline, current *profile.Set, known modelwatch.Schema) {
	changed := map[string]bool{}
	for _, c := range engine.TypeChanges(r, baseline) {
		changed[c.Column.Name] = true
		fmt.Fprintln(w, "note: "+typeChange(c))
	}
	for _, c := range current.Columns {
		if p := c.Profile; !changed[c.Name] && p.Invalid() > 0 && p.Count() == 0 {
			fmt.Fprintf(w, "note: column %s holds no %s in current, as the baseline has it: counted as invalid\n", c.Name, c.Type)
		}
	}
	var fresh []string
	for _, c := range r.Columns() {
		if _, ok := known.Feature(c.Name); !ok && !modelwatch.Reserved(c.Name) {
			fresh = append(fresh, c.Name)
		}
	}
	if len(fresh) > 0 {
		fmt.Fprintf(w, "note: not compared, because the baseline does not have them: %s\n", strings.Join(fresh, ", "))
	}
}

func typeChange(c engine.TypeChange) string {
	switch {
	case c.Current == "":
		return fmt.Sprintf("column %s is not in current: counted as missing", c.Column.Name)
	case c.Column.Type == modelwatch.TypeCategory && c.Current != modelwatch.TypeVector:
		return fmt.Sprintf("column %s is %s in current, %s in the baseline: counted under its text", c.Column.Name, c.Current, c.Column.Type)
	}
	return fmt.Sprintf("column %s is %s in current, %s in the baseline: counted as invalid", c.Column.Name, c.Current, c.Column.Type)
}

// noteUnjudged says where a threshold had nothing to be applied to, so that a
// pipeline that passes is not taken for one that was checked.
func noteUnjudged(w io.Writer, ms []modelwatch.Measurement, thresholds []modelwatch.Threshold) {
	type key struct {
		metric string
		reason modelwatch.Reason
	}
	var order []key
	names := map[key][]string{}
	for _, m := range ms {
		if m.Threshold == nil || m.Value.Value != nil {
			continue
		}
		k := key{m.Metric, m.Reason}
		if names[k] == nil {
			order = append(order, k)
		}
		names[k] = append(names[k], orText(m.Name, "the model"))
	}
	for _, t := range thresholds {
		if !slices.ContainsFunc(ms, func(m modelwatch.Measurement) bool { return t.Applies(m.Metric, m.Name) }) {
			fmt.Fprintf(w, "note: the threshold of %s applies to no column\n", t.Metric)
		}
	}
	for _, k := range order {
		fmt.Fprintf(w, "note: the threshold of %s was not applied to %s: %s\n", k.metric, strings.Join(names[k], ", "), k.reason)
	}
}

// withThresholds adds the metrics that thresholds are about to those that are
// asked for: a threshold of a metric that nobody computes would never be breached.
func withThresholds(metrics []string, thresholds []modelwatch.Threshold) []string {
	out := slices.Clone(metrics)
	for _, t := range thresholds {
		if !slices.Contains(out, t.Metric) {
			out = append(out, t.Metric)
		}
	}
	return out
}
