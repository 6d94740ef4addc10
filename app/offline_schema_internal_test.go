package app

import (
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// FuzzSchema holds that a schema file of any bytes is refused as the user's or
// declares what can be used.
func FuzzSchema(f *testing.F) {
	for _, seed := range []string{
		"features:\n  - {name: age, type: number, minimum: 0, maximum: 120, importance: 2}\n  - {name: zip, type: category}\ncolumns: {id: row, score: y}\nfeature_groups: {all: [age, \"z*\"]}\n",
		`{"features":[{"name":"a","type":"timestamp"}],"score":"number","predicted":"category","label":"boolean"}`,
		"features: [{name: a, type: number, minimum: .nan}]",
		"features: [{name: a, type: number}, {name: a, type: text}]",
		"features: &x [*x]", "features:  ! ", "columns: null", "{", "- 1", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &declared{file: "x", types: map[string]modelwatch.FeatureType{}}
		if err := d.parse(text); err != nil {
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
				t.Fatalf("the code of %v is %s", err, modelwatch.ErrorCode(err))
			}
			return
		}
		s := d.reading()
		if !slices.IsSortedFunc(s.Features, func(a, b modelwatch.Feature) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) }) {
			t.Fatalf("features out of order: %v", s.Features)
		}
		var columns []table.ColumnInfo
		for _, feature := range d.features {
			if !slices.Contains(modelwatch.FeatureTypes, feature.Type) || !(feature.Importance >= 0) {
				t.Fatalf("feature %+v", feature)
			}
			if feature.Minimum != nil && feature.Maximum != nil && !(*feature.Minimum <= *feature.Maximum) {
				t.Fatalf("feature %s: nothing is from %g to %g", feature.Name, *feature.Minimum, *feature.Maximum)
			}
			columns = append(columns, table.ColumnInfo{Name: feature.Name, Type: modelwatch.TypeNumber})
		}
		schema := d.compared(columns)
		for _, c := range d.profiled(&schema) {
			if c.Column == "" || c.Name == "" || !slices.Contains(modelwatch.FeatureTypes, c.Type) {
				t.Fatalf("column %+v", c)
			}
		}
	})
}
