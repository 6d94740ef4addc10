package table

import (
	"cmp"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// target is a column of a spooled file: where it comes from and what it is.
type target struct {
	source   string
	info     ColumnInfo
	min, max *float64
}

// layout maps the columns of a source to those of the spooled file.
type layout struct {
	targets []target
	skipped []Skipped
	mapping modelwatch.ColumnMapping
	schema  *modelwatch.Schema // declared; nil if none is
}

// newLayout names the columns. Types of columns that are neither declared nor
// known by their part are left empty, for inference.
func newLayout(name string, columns []string, opts SpoolOptions) (*layout, error) {
	l := &layout{mapping: opts.mapping(), schema: opts.Schema}
	parts := l.parts(columns)
	for part, column := range namedParts(l.mapping) {
		if column != "" && !slices.Contains(columns, column) && part != modelwatch.ColumnScore {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s has no column %q, which the mapping names as %s; it has %s",
				name, column, strings.TrimPrefix(part, "_"), listed(columns))
		}
	}
	from := map[string]string{}
	for _, c := range columns {
		info := ColumnInfo{Name: cmp.Or(parts[c], c)}
		if earlier, dup := from[info.Name]; dup {
			if earlier == c {
				return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s has the column %q twice", name, c)
			}
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s has two columns for %s: %q and %q", name, info.Name, earlier, c)
		}
		from[info.Name] = c
		t := target{source: c, info: info}
		l.declare(&t)
		l.targets = append(l.targets, t)
	}
	if column := l.mapping.Score; column != "" && !l.hasScore() {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s has neither a column %q, which the mapping names as score, nor any %s_<class>; it has %s",
			name, column, column, listed(columns))
	}
	return l, nil
}

func listed(columns []string) string {
	const most = 20
	if len(columns) > most {
		return strings.Join(columns[:most], ", ") + ", ..."
	}
	return strings.Join(columns, ", ")
}

func namedParts(m modelwatch.ColumnMapping) map[string]string {
	return map[string]string{
		modelwatch.ColumnID: m.ID, modelwatch.ColumnTime: m.Time, modelwatch.ColumnScore: m.Score,
		modelwatch.ColumnPredicted: m.Predicted, modelwatch.ColumnLabel: m.Label,
		modelwatch.ColumnGroup: m.Group, modelwatch.ColumnWeight: m.Weight,
	}
}

// parts maps the user's column names to reserved ones. Where the mapping's
// score is not a column itself, columns named score_<class> are the scores of classes.
func (l *layout) parts(columns []string) map[string]string {
	parts := map[string]string{}
	for part, column := range namedParts(l.mapping) {
		if column != "" {
			parts[column] = part
		}
	}
	if score := l.mapping.Score; score != "" && !slices.Contains(columns, score) {
		for _, c := range columns {
			if class, ok := strings.CutPrefix(c, score+"_"); ok && parts[c] == "" {
				parts[c] = modelwatch.PrefixScore + class
			}
		}
	}
	return parts
}

func (l *layout) hasScore() bool {
	return slices.ContainsFunc(l.targets, func(t target) bool {
		return t.info.Name == modelwatch.ColumnScore || strings.HasPrefix(t.info.Name, modelwatch.PrefixScore)
	})
}

// declare sets type and range from the column's part or the schema.
func (l *layout) declare(t *target) {
	s := l.schema
	if s == nil {
		s = &modelwatch.Schema{}
	}
	switch name := t.info.Name; name {
	case modelwatch.ColumnID, modelwatch.ColumnGroup:
		t.info.Type = modelwatch.TypeCategory
	case modelwatch.ColumnTime, modelwatch.ColumnReceivedAt:
		t.info.Type, t.info.Physical = modelwatch.TypeTimestamp, PhysicalTime
	case modelwatch.ColumnRank:
		t.info.Type, t.info.Physical = modelwatch.TypeNumber, PhysicalInt64
	case modelwatch.ColumnWeight:
		t.info.Type = modelwatch.TypeNumber
	case modelwatch.ColumnInvalid, modelwatch.ColumnExtra:
		t.info.Type = modelwatch.TypeText
	case modelwatch.ColumnScore:
		t.info.Type = s.Score
	case modelwatch.ColumnPredicted:
		t.info.Type = s.Predicted
	case modelwatch.ColumnLabel:
		t.info.Type = s.Label
	default:
		switch {
		case strings.HasPrefix(name, modelwatch.PrefixScore), strings.HasPrefix(name, modelwatch.PrefixAttribution):
			t.info.Type = modelwatch.TypeNumber
		case strings.HasPrefix(name, modelwatch.PrefixTag):
			t.info.Type = modelwatch.TypeCategory
		default:
			if f, ok := s.Feature(name); ok {
				t.info.Type, t.min, t.max = f.Type, f.Minimum, f.Maximum
			}
		}
	}
}

// declared reports whether every column has its type.
func (l *layout) declared() bool {
	return !slices.ContainsFunc(l.targets, func(t target) bool { return t.info.Type == "" })
}

// infer fills in the missing types and drops the columns that have none.
func (l *layout) infer(of func(source string) (modelwatch.FeatureType, bool)) {
	kept := l.targets[:0]
	for _, t := range l.targets {
		if t.info.Type == "" {
			var ok bool
			if t.info.Type, ok = of(t.source); !ok {
				l.skipped = append(l.skipped, Skipped{Name: t.source, Reason: "nested values"})
				continue
			}
		}
		kept = append(kept, t)
	}
	l.targets = kept
}

// columns lists the spooled file's columns; "_invalid" comes last.
func (l *layout) columns() []ColumnInfo {
	var infos []ColumnInfo
	for _, t := range l.targets {
		if t.info.Name != modelwatch.ColumnInvalid {
			infos = append(infos, t.info)
		}
	}
	return append(infos, ColumnInfo{Name: modelwatch.ColumnInvalid, Type: modelwatch.TypeText})
}

// resultSchema describes the spooled file as a version's schema.
func (l *layout) resultSchema() modelwatch.Schema {
	s := modelwatch.Schema{Columns: l.mapping}
	for _, t := range l.targets {
		name := t.info.Name
		switch {
		case name == modelwatch.ColumnScore:
			s.Score = t.info.Type
		case name == modelwatch.ColumnPredicted:
			s.Predicted = t.info.Type
		case name == modelwatch.ColumnLabel:
			s.Label = t.info.Type
		case strings.HasPrefix(name, modelwatch.PrefixScore):
			s.Classes = append(s.Classes, name[len(modelwatch.PrefixScore):])
		case strings.HasPrefix(name, modelwatch.PrefixAttribution):
			s.Attributions = append(s.Attributions, name[len(modelwatch.PrefixAttribution):])
		case strings.HasPrefix(name, modelwatch.PrefixTag):
			s.Tags = append(s.Tags, name[len(modelwatch.PrefixTag):])
		case !modelwatch.Reserved(name):
			s.Features = append(s.Features, l.feature(t))
		}
	}
	slices.SortFunc(s.Features, func(a, b modelwatch.Feature) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(s.Classes)
	slices.Sort(s.Attributions)
	slices.Sort(s.Tags)
	return s
}

func (l *layout) feature(t target) modelwatch.Feature {
	if l.schema != nil {
		if f, ok := l.schema.Feature(t.info.Name); ok {
			return f
		}
	}
	return modelwatch.Feature{Name: t.info.Name, Type: t.info.Type}
}
