package app

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/table"
)

// SchemaFile is what --schema declares: a version's schema as the REST API has
// it, and a model's feature groups.
type SchemaFile struct {
	api.Schema    `yaml:",inline"`
	FeatureGroups map[string][]string `json:"feature_groups" yaml:"feature_groups"`
}

// declared is what is known of the columns of both sides beforehand.
type declared struct {
	features []modelwatch.Feature // sorted by name
	columns  modelwatch.ColumnMapping
	groups   map[string][]string
	types    map[string]modelwatch.FeatureType // by part: _score, _predicted, _label
	file     string
}

// loadSchema reads a schema file, YAML or JSON. "" declares nothing.
func loadSchema(path string) (*declared, error) {
	d := &declared{file: path, types: map[string]modelwatch.FeatureType{}}
	if path == "" {
		return d, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read schema")
	}
	if err := d.parse(text); err != nil {
		return nil, err
	}
	return d, nil
}

// parse takes in the text of a schema file.
func (d *declared) parse(text []byte) error {
	var f SchemaFile
	if err := readYAML(text, &f); err != nil {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "schema %s:\n%s", d.file, yaml.FormatError(err, false, true))
	}
	if err := d.take(f); err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "schema %s", d.file)
	}
	return nil
}

func (d *declared) take(f SchemaFile) error {
	seen := map[string]bool{}
	for i, feature := range f.Features {
		if err := checkFeature(feature); err != nil {
			return fmt.Errorf("features[%d]: %w", i, err)
		}
		if seen[feature.Name] {
			return fmt.Errorf("features[%d]: %s is there twice", i, feature.Name)
		}
		seen[feature.Name] = true
		d.features = append(d.features, modelwatch.Feature(feature))
	}
	slices.SortFunc(d.features, func(a, b modelwatch.Feature) int { return strings.Compare(a.Name, b.Name) })
	for part, t := range map[string]modelwatch.FeatureType{
		modelwatch.ColumnScore: f.Score, modelwatch.ColumnPredicted: f.Predicted, modelwatch.ColumnLabel: f.Label,
	} {
		if t != "" && !slices.Contains(modelwatch.FeatureTypes, t) {
			return fmt.Errorf("%s: there is no type %q; there are %s", strings.TrimPrefix(part, "_"), t, typeNames())
		}
		d.types[part] = t
	}
	if f.Columns != nil {
		d.columns = modelwatch.ColumnMapping(*f.Columns)
	}
	d.groups = f.FeatureGroups
	return nil
}

func checkFeature(f api.Feature) error {
	switch {
	case f.Name == "":
		return fmt.Errorf("it has no name")
	case !slices.Contains(modelwatch.FeatureTypes, f.Type):
		return fmt.Errorf("%s: there is no type %q; there are %s", f.Name, f.Type, typeNames())
	case !finiteOrNone(f.Minimum) || !finiteOrNone(f.Maximum):
		return fmt.Errorf("%s: a minimum or maximum is a finite number", f.Name)
	case f.Minimum != nil && f.Maximum != nil && *f.Minimum > *f.Maximum:
		return fmt.Errorf("%s: the minimum %v is above the maximum %v", f.Name, *f.Minimum, *f.Maximum)
	case (f.Minimum != nil || f.Maximum != nil) && f.Type != modelwatch.TypeNumber:
		return fmt.Errorf("%s: a minimum and a maximum are for numbers, not for a %s", f.Name, f.Type)
	case !(f.Importance >= 0) || f.Importance-f.Importance != 0:
		return fmt.Errorf("%s: the importance %v is not a number from 0 on", f.Name, f.Importance)
	}
	return nil
}

func finiteOrNone(v *float64) bool { return v == nil || *v-*v == 0 }

func typeNames() string {
	names := make([]string, len(modelwatch.FeatureTypes))
	for i, t := range modelwatch.FeatureTypes {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// importance returns the features' relative weights by name, nil if none is declared.
func (d *declared) importance() map[string]float64 {
	var out map[string]float64
	for _, f := range d.features {
		if f.Importance > 0 {
			if out == nil {
				out = map[string]float64{}
			}
			out[f.Name] = f.Importance
		}
	}
	return out
}

// reading is the schema to read files by: the declared types, those of the
// columns with a part included, under the names that the user's files have.
func (d *declared) reading() *modelwatch.Schema {
	s := &modelwatch.Schema{Features: slices.Clone(d.features)}
	declare := func(column string, t modelwatch.FeatureType) {
		if _, known := s.Feature(column); column == "" || t == "" || known {
			return
		}
		s.Features = append(s.Features, modelwatch.Feature{Name: column, Type: t})
		s.SortFeatures()
	}
	declare(d.columns.Score, d.types[modelwatch.ColumnScore])
	declare(d.columns.Predicted, d.types[modelwatch.ColumnPredicted])
	declare(d.columns.Label, d.types[modelwatch.ColumnLabel])
	declare(d.columns.ID, modelwatch.TypeCategory)
	declare(d.columns.Group, modelwatch.TypeCategory)
	declare(d.columns.Time, modelwatch.TypeTimestamp)
	declare(d.columns.Weight, modelwatch.TypeNumber)
	s.Score, s.Predicted, s.Label = d.types[modelwatch.ColumnScore], d.types[modelwatch.ColumnPredicted], d.types[modelwatch.ColumnLabel]
	return s
}

// compared makes the schema of the columns of a table that are compared:
// features, score and predicted. Columns with another part, and reserved ones,
// are left out. Types are the declared ones, else the table's.
func (d *declared) compared(columns []table.ColumnInfo) modelwatch.Schema {
	s := modelwatch.Schema{Columns: d.columns}
	m := d.columns
	other := []string{m.ID, m.Time, m.Label, m.Group, m.Weight}
	for _, c := range columns {
		switch {
		case c.Name == orText(m.Score, modelwatch.ColumnScore):
			s.Score = d.typeOf(modelwatch.ColumnScore, c)
		case c.Name == orText(m.Predicted, modelwatch.ColumnPredicted):
			s.Predicted = d.typeOf(modelwatch.ColumnPredicted, c)
		case !modelwatch.Reserved(c.Name) && !slices.Contains(other, c.Name):
			s.Features = append(s.Features, d.feature(c))
		}
	}
	s.SortFeatures()
	return s
}

// typeOf is the type of a column with a part, declared under the part or among
// the features.
func (d *declared) typeOf(part string, c table.ColumnInfo) modelwatch.FeatureType {
	if t := d.types[part]; t != "" {
		return t
	}
	return d.feature(c).Type
}

func (d *declared) feature(c table.ColumnInfo) modelwatch.Feature {
	known := modelwatch.Schema{Features: d.features}
	if f, ok := known.Feature(c.Name); ok {
		return f
	}
	return modelwatch.Feature{Name: c.Name, Type: c.Type}
}

// profiled lists the columns to be compared, under the names that they have in
// the user's files.
func (d *declared) profiled(s *modelwatch.Schema) []modelwatch.Column {
	columns := s.Profiled()
	for i := range columns {
		switch c := &columns[i]; c.Column {
		case modelwatch.ColumnScore:
			c.Column = orText(d.columns.Score, c.Column)
		case modelwatch.ColumnPredicted:
			c.Column = orText(d.columns.Predicted, c.Column)
		}
	}
	return columns
}
