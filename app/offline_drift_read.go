package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// side is one of the two tables that are compared.
type side struct {
	uri    string
	tables *tables
	source engine.Source // nil for a profile that was saved
	rows   int64
	set    *profile.Set
}

// side is the table as the engine compares it.
func (s *side) side() engine.Side { return engine.Side{Name: s.uri, Source: s.source} }

func (r *driftRun) close() {
	for _, s := range []*side{&r.baseline, &r.current} {
		if s.tables != nil {
			s.tables.Close()
		}
	}
}

// open opens both sides and says which columns are compared.
func (r *driftRun) open(ctx context.Context) error {
	saved, err := loadProfile(r.opts.Baseline)
	if err != nil {
		return err
	}
	if saved != nil {
		err = r.takeProfile(saved)
	} else {
		err = r.openBaseline(ctx)
	}
	if err != nil {
		return err
	}
	return r.openSide(ctx, &r.current, r.expected())
}

func (r *driftRun) openSide(ctx context.Context, s *side, like *modelwatch.Schema) error {
	var err error
	if s.tables, err = openTables(ctx, s.uri, like, r.opts.Streams); err != nil {
		return err
	}
	if s.source, err = s.tables.source(ctx); err != nil {
		return err
	}
	s.rows = s.source.Rows()
	return r.checkParts(s)
}

func (r *driftRun) openBaseline(ctx context.Context) error {
	if err := r.openSide(ctx, &r.baseline, r.known.reading()); err != nil {
		return err
	}
	schema := r.known.compared(r.baseline.source.Columns())
	var err error
	if r.columns, err = selectColumns(r.known.profiled(&schema), r.opts.Features, r.baseline.uri); err != nil {
		return err
	}
	if r.baseline.rows == 0 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s has no rows: there is nothing to compare with", r.baseline.uri)
	}
	return nil
}

// checkParts wants the columns that flags name to be there.
func (r *driftRun) checkParts(s *side) error {
	for _, part := range []struct{ flag, column string }{{"--weight", r.known.columns.Weight}, {"--time", r.opts.Time}} {
		if part.flag == "--time" && s == &r.baseline && !r.learns() {
			continue // only the current rows are cut
		}
		if _, ok := s.source.Column(part.column); part.column != "" && !ok {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%s %s: %s has no such column; it has %s", part.flag, part.column, s.uri, listColumns(s.source))
		}
	}
	return nil
}

func listColumns(s engine.Source) string {
	const most = 20
	var names []string
	for _, c := range s.Columns() {
		if !modelwatch.Reserved(c.Name) {
			names = append(names, c.Name)
		}
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// expected is the schema to read the current files by: the baseline's types.
func (r *driftRun) expected() *modelwatch.Schema {
	s := r.known.reading()
	add := func(name string, t modelwatch.FeatureType) {
		switch name {
		case modelwatch.ColumnScore:
			s.Score = t
		case modelwatch.ColumnPredicted:
			s.Predicted = t
		case modelwatch.ColumnLabel:
			s.Label = t
		default:
			if _, known := s.Feature(name); !known && !modelwatch.Reserved(name) {
				s.Features = append(s.Features, modelwatch.Feature{Name: name, Type: t})
				s.SortFeatures()
			}
		}
	}
	if r.baseline.source != nil {
		for _, c := range r.baseline.source.Columns() {
			add(c.Name, c.Type)
		}
		return s
	}
	for _, c := range r.columns {
		add(c.Column, c.Type)
	}
	return s
}

// selectColumns keeps the columns that a pattern matches; none given keeps all.
func selectColumns(columns []modelwatch.Column, patterns []string, file string) ([]modelwatch.Column, error) {
	if len(patterns) == 0 {
		return columns, nil
	}
	used := map[string]bool{}
	var out []modelwatch.Column
	for _, c := range columns {
		matched := false
		for _, p := range patterns {
			prefix, wild := strings.CutSuffix(p, "*")
			if c.Name == p || c.Column == p || wild && strings.HasPrefix(c.Name, prefix) {
				used[p], matched = true, true
			}
		}
		if matched {
			out = append(out, c)
		}
	}
	for _, p := range patterns {
		if !used[p] {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "no column of %s matches %q; it has %s", file, p, columnNames(columns))
		}
	}
	return out, nil
}

func columnNames(columns []modelwatch.Column) string {
	const most = 20
	var names []string
	for _, c := range columns {
		if c.View == modelwatch.ViewValue {
			names = append(names, c.Name)
		}
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// freeze makes the baseline's profile and grids of all columns where they are to be saved.
func (r *driftRun) freeze(ctx context.Context) (err error) {
	if r.opts.SaveProfile != "" && r.opts.Compat == "" {
		bar := progressCount(r.opts.Streams.Err, len(r.columns), "profiling "+r.baseline.uri)
		r.baseline.set, err = engine.BuildBaseline(ctx, r.baseline.source, r.columns, engine.BuildOptions{
			Weight:   r.known.columns.Weight,
			Progress: func(done, _ int) { _ = bar.Set(done) }, // drawing only
		})
		_ = bar.Finish() // drawing only
		if err != nil {
			return fmt.Errorf("profile %s: %w", r.baseline.uri, err)
		}
		r.columns = setColumns(r.baseline.set)
		if err := r.noteWeights(ctx, r.baseline.uri, r.baseline.source, r.baseline.set.InvalidWeights()); err != nil {
			return err
		}
	}
	if r.opts.SaveProfile != "" {
		return saveProfile(r.opts.SaveProfile, r.baseline.set, r.baseline.rows)
	}
	return nil
}

// setColumns are the columns of a set.
func setColumns(s *profile.Set) []modelwatch.Column {
	columns := make([]modelwatch.Column, len(s.Columns))
	for i, c := range s.Columns {
		columns[i] = c.Column
	}
	return columns
}

// subset is the set of some columns, in their order.
func subset(s *profile.Set, columns []int) *profile.Set {
	out := &profile.Set{Columns: make([]profile.SetColumn, len(columns))}
	for i, at := range columns {
		out.Columns[i] = s.Columns[at]
	}
	return out
}

// baselineOnly lists what needs the rows of the baseline and not only its profile.
func (r *driftRun) baselineOnly() []string {
	var flags []string
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"--exact", r.opts.Exact}, {"--compat", r.opts.Compat != ""}, {"--segments", len(r.segments) > 0},
		{"--learn-thresholds", r.learns()}, {"--save-profile", r.opts.SaveProfile != ""},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// takeProfile makes a saved profile the baseline.
func (r *driftRun) takeProfile(p *savedProfile) error {
	if flags := r.baselineOnly(); len(flags) > 0 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s is a saved profile, without the rows that %s would read: give the baseline's own files", r.baseline.uri, strings.Join(flags, ", "))
	}
	columns, err := selectColumns(setColumns(p.set), r.opts.Features, r.baseline.uri)
	if err != nil {
		return err
	}
	var kept []int
	for i, c := range p.set.Columns {
		if slices.ContainsFunc(columns, func(k modelwatch.Column) bool { return k.Name == c.Name && k.Column == c.Column.Column }) {
			kept = append(kept, i)
		}
	}
	r.columns, r.baseline.set, r.baseline.rows = columns, subset(p.set, kept), p.rows
	return nil
}
