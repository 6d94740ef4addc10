package modelwatch

import (
	"slices"
	"strconv"
	"strings"
)

// FeatureType is the declared type of a column.
type FeatureType string

// The types a column may have.
const (
	TypeNumber    FeatureType = "number"
	TypeCategory  FeatureType = "category"
	TypeBoolean   FeatureType = "boolean"
	TypeTimestamp FeatureType = "timestamp"
	TypeText      FeatureType = "text"
	TypeVector    FeatureType = "vector"
)

// FeatureTypes lists every type, in the order of documentation.
var FeatureTypes = []FeatureType{TypeNumber, TypeCategory, TypeBoolean, TypeTimestamp, TypeText, TypeVector}

// The columns of ours in tables; every other column is a feature under its own name.
const (
	ColumnID         = "_id"
	ColumnTime       = "_time"
	ColumnRank       = "_rank"
	ColumnReceivedAt = "_received_at"
	ColumnScore      = "_score"
	ColumnPredicted  = "_predicted"
	ColumnLabel      = "_label"
	ColumnGroup      = "_group"
	ColumnWeight     = "_weight"
	ColumnInvalid    = "_invalid" // JSON object: feature -> the value as received, where it did not fit its type or range
	ColumnExtra      = "_extra"   // JSON object: fields of the event that the schema does not know

	PrefixScore       = "_score_" // one column per class
	PrefixAttribution = "_attr_"  // one column per feature
	PrefixTag         = "_tag_"   // one column per tag key
)

// Reserved reports whether a column name belongs to modelwatch.
func Reserved(column string) bool { return strings.HasPrefix(column, "_") }

// Feature is one input column of a model.
type Feature struct {
	Name       string
	Type       FeatureType
	Unit       string
	Minimum    *float64 // a number below it is invalid; nil: no limit
	Maximum    *float64
	Importance float64 // relative weight; 0 if unknown
}

// ColumnMapping says which of the user's columns plays which part. An empty
// field means the reserved name.
type ColumnMapping struct {
	ID, Time, Score, Predicted, Label, Group, Weight string
}

// Schema is what the rows of one model version look like.
type Schema struct {
	Features []Feature // sorted by name
	// Score, Predicted and Label are the types of those columns, "" where the
	// version has no such column.
	Score, Predicted, Label FeatureType
	// Classes are the suffixes of _score_<class>, sorted.
	Classes []string
	// Attributions and Tags are the suffixes of _attr_<feature> and _tag_<key>, sorted.
	Attributions []string
	Tags         []string
	Columns      ColumnMapping
	// Privacy says what of the version's events may be written.
	Privacy Privacy
}

// Feature returns the feature of that name.
func (s *Schema) Feature(name string) (Feature, bool) {
	i, ok := slices.BinarySearchFunc(s.Features, name, func(f Feature, n string) int { return strings.Compare(f.Name, n) })
	if !ok {
		return Feature{}, false
	}
	return s.Features[i], true
}

// Column is one column to be profiled, under the name it has in tables and the
// name and subject it has in results.
type Column struct {
	Column  string      // name in the table: "amount", "_score"
	Name    string      // name in results: "amount", "score", or what the user's mapping calls it
	Subject Subject     // feature, prediction, label or attribution
	Type    FeatureType // of the column in the table
	Minimum *float64
	Maximum *float64
	View    View
}

// View is what of a column's values is profiled. The values of numbers,
// categories and booleans are profiled as they are. Timestamps, texts and vectors
// have a column for their quality, of which only presence is counted, and further
// ones, each a view, for their distribution: "created.hour", "comment.length",
// "embedding.projection_3".
type View string

// The views. A projection is followed by its number: "projection_0".
const (
	ViewValue      View = ""
	ViewHour       View = "hour"       // of a timestamp, UTC: category "00" to "23"
	ViewWeekday    View = "weekday"    // of a timestamp, UTC: category "Mon" to "Sun"
	ViewLength     View = "length"     // of a text: its number of characters
	ViewNorm       View = "norm"       // of a vector: its Euclidean length
	ViewProjection View = "projection" // of a vector, on a direction that the baseline has fixed
)

// Projections is the number of projections of a vector.
const Projections = 8

// Projection returns the number of a projection, false for any other view.
func (v View) Projection() (int, bool) {
	digits, ok := strings.CutPrefix(string(v), string(ViewProjection)+"_")
	if !ok {
		return 0, false
	}
	k, err := strconv.Atoi(digits)
	return k, err == nil && k >= 0
}

// Views lists the views by which the distribution of a column of that type is
// measured; nil where its values are profiled as they are.
func (t FeatureType) Views() []View {
	switch t {
	case TypeTimestamp:
		return []View{ViewHour, ViewWeekday}
	case TypeText:
		return []View{ViewLength}
	case TypeVector:
		views := []View{ViewNorm}
		for k := range Projections {
			views = append(views, ViewProjection+View("_"+strconv.Itoa(k)))
		}
		return views
	}
	return nil
}

// WithViews returns the columns, each followed by its views.
func WithViews(columns []Column) []Column {
	all := make([]Column, 0, len(columns))
	for _, c := range columns {
		all = append(all, c)
		for _, v := range c.Type.Views() {
			view := c
			view.Name, view.View, view.Minimum, view.Maximum = c.Name+"."+string(v), v, nil, nil
			all = append(all, view)
		}
	}
	return all
}

// Profiled lists the columns of a schema that drift is measured on: features by
// name, then score and predicted, each followed by its views.
func (s *Schema) Profiled() []Column {
	cols := make([]Column, 0, len(s.Features)+2)
	for _, f := range s.Features {
		if s.Privacy.Columns[f.Name].Action == PrivacyDrop {
			continue // nothing of it is ever written
		}
		cols = append(cols, Column{Column: f.Name, Name: f.Name, Subject: SubjectFeature, Type: f.Type, Minimum: f.Minimum, Maximum: f.Maximum})
	}
	if s.Score != "" {
		cols = append(cols, Column{Column: ColumnScore, Name: orDefault(s.Columns.Score, "score"), Subject: SubjectPrediction, Type: s.Score})
	}
	if s.Predicted != "" {
		cols = append(cols, Column{Column: ColumnPredicted, Name: orDefault(s.Columns.Predicted, "predicted"), Subject: SubjectPrediction, Type: s.Predicted})
	}
	return WithViews(cols)
}

// SegmentColumn is the column of tables by which a name divides rows: a feature, a
// key of the tags, or what is predicted.
func (s *Schema) SegmentColumn(name string) string {
	if _, ok := s.Feature(name); ok {
		return name
	}
	switch {
	case slices.Contains(s.Tags, name):
		return PrefixTag + name
	case name == orDefault(s.Columns.Predicted, "predicted"):
		return ColumnPredicted
	}
	return name
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// SortFeatures puts the features in the order that Feature relies on.
func (s *Schema) SortFeatures() {
	slices.SortFunc(s.Features, func(a, b Feature) int { return strings.Compare(a.Name, b.Name) })
}
