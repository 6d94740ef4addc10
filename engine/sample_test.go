package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

const sampleRows = `amount,country,w
1,DE,1
2,FR,2
,DE,1
abc,DE,1
-5,,3
7,US,
`

func TestReadSamples(t *testing.T) {
	t.Parallel()
	zero := 0.0
	schema := &modelwatch.Schema{Features: []modelwatch.Feature{
		{Name: "amount", Type: modelwatch.TypeNumber, Minimum: &zero}, {Name: "country", Type: modelwatch.TypeCategory}, {Name: "w", Type: modelwatch.TypeNumber},
	}}
	r := spooled(t, sampleRows, schema)
	amount := modelwatch.Column{Column: "amount", Name: "amount", Type: modelwatch.TypeNumber, Minimum: &zero}
	tests := []struct {
		name   string
		column modelwatch.Column
		weight string
		rows   int64
		want   []engine.Sample
	}{
		{"numbers", amount, "", 0, []engine.Sample{{Kind: profile.KindNumber, Floats: []float64{1, 2, 7}, Missing: 1, Invalid: 2, OutOfRange: 1}}},
		{"weights", amount, "w", 0, []engine.Sample{{Kind: profile.KindNumber, Floats: []float64{1, 2, 7}, Weights: []float64{1, 2, 0}, Missing: 1, Invalid: 2, OutOfRange: 1}}},
		{"in pieces", amount, "", 4, []engine.Sample{
			{Kind: profile.KindNumber, Floats: []float64{1, 2}, Missing: 1, Invalid: 1},
			{Kind: profile.KindNumber, Floats: []float64{7}, Invalid: 1, OutOfRange: 1},
		}},
		{"categories", modelwatch.Column{Column: "country", Type: modelwatch.TypeCategory}, "", 3, []engine.Sample{
			{Kind: profile.KindCategory, Categories: []profile.CategoryCount{{Value: "DE", Count: 2}, {Value: "FR", Count: 1}}},
			{Kind: profile.KindCategory, Categories: []profile.CategoryCount{{Value: "DE", Count: 1}, {Value: "US", Count: 1}}, Missing: 1},
		}},
		{"a column that is not there", modelwatch.Column{Column: "size", Type: modelwatch.TypeNumber}, "", 0, []engine.Sample{{Kind: profile.KindNumber, Missing: 6}}},
		{"another type", modelwatch.Column{Column: "country", Type: modelwatch.TypeNumber}, "", 0, []engine.Sample{{Kind: profile.KindNumber, Missing: 1, Invalid: 5}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := engine.ReadSamples(t.Context(), r, tt.column, tt.weight, tt.rows)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// spooled reads a CSV table.
func spooled(t *testing.T, csv string, schema *modelwatch.Schema) *table.Reader {
	t.Helper()
	s, err := table.Spool(t.Context(), table.Source{Name: "rows.csv", ReaderAt: strings.NewReader(csv), Size: int64(len(csv))}, table.SpoolOptions{Schema: schema, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	return r
}
