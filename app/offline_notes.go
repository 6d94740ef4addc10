package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// schemaChanges lists the columns that are not the same on both sides: without
// it, a column that was renamed or turned into text would show as a row of reasons.
func (r *driftRun) schemaChanges() []api.SchemaChange {
	var out []api.SchemaChange
	known := map[string]bool{}
	for i, c := range r.columns {
		if known[c.Column] {
			continue // a further view
		}
		known[c.Column] = true
		now, ok := r.current.source.Column(c.Column)
		switch {
		case !ok:
			out = append(out, api.SchemaChange{Column: c.Column, Baseline: c.Type})
		case r.changedType(c, now):
			out = append(out, api.SchemaChange{Column: c.Column, Baseline: c.Type, Current: now.Type})
		case r.outlines != nil && r.outlines[i].allInvalid:
			out = append(out, api.SchemaChange{Column: c.Column, Baseline: c.Type, Current: modelwatch.TypeCategory})
		}
	}
	return append(out, r.freshColumns(known)...)
}

func allInvalid(p *profile.Profile) bool { return p.Invalid() > 0 && p.Count() == 0 }

// changedType reports whether the current rows hold another type. A column whose
// declared type is not that of either file has not changed.
func (r *driftRun) changedType(c modelwatch.Column, now table.ColumnInfo) bool {
	if now.Type == c.Type || isText(now.Type) && isText(c.Type) {
		return false
	}
	if r.baseline.source == nil {
		return true
	}
	before, ok := r.baseline.source.Column(c.Column)
	return !ok || before.Type != now.Type
}

func isText(t modelwatch.FeatureType) bool {
	return t == modelwatch.TypeCategory || t == modelwatch.TypeText
}

// freshColumns lists what the baseline does not have, among known or otherwise.
func (r *driftRun) freshColumns(known map[string]bool) []api.SchemaChange {
	m := r.known.columns
	parts := []string{m.ID, m.Time, m.Label, m.Group, m.Weight}
	var out []api.SchemaChange
	for _, c := range r.current.source.Columns() {
		if known[c.Name] || modelwatch.Reserved(c.Name) || slices.Contains(parts, c.Name) {
			continue
		}
		if r.baseline.source == nil {
			if len(r.opts.Features) > 0 {
				continue // the profile may have had it
			}
		} else if _, had := r.baseline.source.Column(c.Name); had {
			continue
		}
		out = append(out, api.SchemaChange{Column: c.Name, Current: c.Type})
	}
	return out
}

// describeChange says what a schema change means for the numbers, after "column x is".
func describeChange(c api.SchemaChange) string {
	switch {
	case c.Baseline == "":
		return "not in the baseline: not compared"
	case c.Current == "":
		return "not in current: counted as missing"
	case c.Baseline == modelwatch.TypeCategory && c.Current != modelwatch.TypeVector:
		return fmt.Sprintf("%s in current, %s in the baseline: counted under its text", c.Current, c.Baseline)
	}
	return fmt.Sprintf("%s in current, %s in the baseline: counted as invalid", c.Current, c.Baseline)
}

// maxNotes is how many columns are named in notes.
const maxNotes = 20

// note says on standard error what the reader should know beside the numbers.
func (r *driftRun) note(w io.Writer) {
	var fresh []string
	shown := 0
	for _, c := range r.changes {
		switch {
		case c.Baseline == "":
			fresh = append(fresh, c.Column)
		case shown < maxNotes:
			fmt.Fprintf(w, "note: column %s is %s\n", c.Column, describeChange(c))
			shown++
		default:
			shown++
		}
	}
	if shown > maxNotes {
		fmt.Fprintf(w, "note: %d more columns are not of the baseline's type or not in current\n", shown-maxNotes)
	}
	if len(fresh) > 0 {
		fmt.Fprintf(w, "note: not compared, because the baseline does not have them: %s\n", someNames(fresh))
	}
	for _, s := range []*side{&r.baseline, &r.current} {
		if s.tables == nil {
			continue
		}
		for _, c := range s.tables.skipped() {
			fmt.Fprintf(w, "note: column %s of %s is not read: %s\n", c.Name, s.uri, c.Reason)
		}
		s.tables.noteMixed(w, ": declare its type with --schema", func(name string) bool {
			return slices.ContainsFunc(r.columns, func(c modelwatch.Column) bool { return c.Column == name })
		})
	}
	r.noteIdentifiers(w)
	noteUnjudged(w, r.measured, r.constant())
}

// noteMixed names the columns of interest that one word or more turned from numbers
// into categories. A few numbers among words, as codes have them, are no surprise.
func (t *tables) noteMixed(w io.Writer, remedy string, ofInterest func(name string) bool) {
	shown := 0
	for _, f := range t.files {
		if f.spool == nil {
			continue
		}
		for _, m := range f.spool.Mixed {
			if m.Numbers < f.spool.Rows/4 || !ofInterest(m.Name) {
				continue
			}
			if shown++; shown > maxNotes {
				return
			}
			fmt.Fprintf(w, "note: column %s of %s is a category, though it has numbers in %d of %d rows; the first other value is in row %d%s\n",
				m.Name, f.name, m.Numbers, f.spool.Rows, m.FirstText, remedy)
		}
	}
	for _, m := range t.disputes {
		if !ofInterest(m.column) {
			continue
		}
		if shown++; shown > maxNotes {
			return
		}
		fmt.Fprintf(w, "note: column %s of %s is a category, because it is a %s in %s and a %s in %s%s\n", m.column, t.uri, m.types[0], m.files[0], m.types[1], m.files[1], remedy)
	}
}

// noteIdentifiers names the categories that have too many values to be known one
// by one: what is not among the most frequent ones is one bin.
func (r *driftRun) noteIdentifiers(w io.Writer) {
	var names []string
	for i := range r.outlines {
		if r.outlines[i].identifier {
			names = append(names, r.columns[i].Name)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "note: too many categories to know a new one from an old, as ids have them: %s\n", someNames(names))
	}
}

// constant are the thresholds that somebody wrote metric by metric.
func (r *driftRun) constant() []modelwatch.Threshold { return r.thresholds[:len(r.opts.Thresholds)] }

// someNames lists names, not all of them where they are many.
func someNames(names []string) string {
	if len(names) <= maxNotes {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNotes], ", "), len(names)-maxNotes)
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
		if name := orText(m.Name, "the model"); !slices.Contains(names[k], name) {
			names[k] = append(names[k], name)
		}
	}
	for _, t := range thresholds {
		if !slices.ContainsFunc(ms, func(m modelwatch.Measurement) bool { return t.Applies(m.Metric, m.Name) }) {
			fmt.Fprintf(w, "note: the threshold of %s applies to no column\n", t.Metric)
		}
	}
	for _, k := range order {
		fmt.Fprintf(w, "note: the threshold of %s was not applied to %s: %s\n", k.metric, someNames(names[k]), k.reason)
	}
}

// withThresholds adds the metrics that thresholds are about to those that are
// asked for: a threshold of a metric that nobody computes would never be breached.
func withThresholds(metrics []string, thresholds []modelwatch.Threshold) []string {
	out := slices.Clone(metrics)
	for _, t := range thresholds {
		metric := t.Metric
		if slices.Contains(drift.GroupMetrics(), metric) {
			metric = strings.TrimSuffix(metric, "_max")
		}
		if !slices.Contains(out, metric) {
			out = append(out, metric)
		}
	}
	return out
}

// noteWeights says how many rows of a side have no weight and are counted nowhere,
// and which is the first.
func (r *driftRun) noteWeights(ctx context.Context, uri string, source engine.Source, rows int64) error {
	if rows == 0 {
		return nil
	}
	first, err := firstUnweighed(ctx, source, r.known.columns.Weight)
	if err != nil {
		return fmt.Errorf("%s: %w", uri, err)
	}
	fmt.Fprintf(r.opts.Streams.Err, "note: %s: column %q has no number from %g to %g in %d rows, first row %d; such rows are not counted\n",
		uri, r.known.columns.Weight, profile.MinWeight, profile.MaxWeight, rows, first)
	return nil
}

// firstUnweighed finds the first row, from 1 on, without a valid weight.
func firstUnweighed(ctx context.Context, source engine.Source, column string) (int64, error) {
	found := errors.New("found")
	row := int64(1)
	err := source.ScanColumn(ctx, column, func(rows int, c *table.Column) error {
		for i := range rows {
			if c.Missing(i) || c.Floats == nil || !profile.ValidWeight(c.Floats[i]) {
				return found
			}
			row++
		}
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return row, err
}
