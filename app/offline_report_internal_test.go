package app

import (
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// The curve of a number holds the empirical distribution functions, left limits
// included, and its largest gap is the K-S statistic.
func TestReportCurve(t *testing.T) {
	t.Parallel()
	builder := profile.NewNumberBuilder()
	builder.AddFloats([]float64{1, 2, 2, 4}, nil)
	grid := builder.Grid()
	baseline, current := profile.New(grid), profile.New(grid)
	baseline.AddFloats([]float64{1, 2, 2, 4}, nil)
	current.AddFloats([]float64{0, 2, 4, 9}, nil)
	c := reportCurve(baseline, current)
	if want := []float64{0, 1, 1, 2, 2, 4, 4, 9}; !slices.Equal(c.X, want) {
		t.Errorf("x is %v, want %v", c.X, want)
	}
	if want := []float64{0, 0, .25, .25, .75, .75, 1, 1}; !slices.Equal(c.Baseline, want) {
		t.Errorf("F is %v, want %v", c.Baseline, want)
	}
	if want := []float64{0, .25, .25, .25, .5, .5, .75, 1}; !slices.Equal(c.Current, want) {
		t.Errorf("G is %v, want %v", c.Current, want)
	}
	bins := reportBins(baseline, current)
	var p, q float64
	for _, b := range bins {
		p, q = p+b.Baseline, q+b.Current
	}
	if p != 1 || q != 1 || bins[len(bins)-1].Upper != nil {
		t.Errorf("shares sum to %v and %v, bins %v", p, q, bins)
	}
}

func TestReportColumnWithoutValues(t *testing.T) {
	t.Parallel()
	presence := profile.NewPresenceGrid()
	builder := profile.NewNumberBuilder()
	none := builder.Grid()
	baseline := &profile.Set{Columns: []profile.SetColumn{
		{Column: modelwatch.Column{Name: "note", Type: modelwatch.TypeText}, Profile: profile.New(presence)},
		{Column: modelwatch.Column{Name: "x", Type: modelwatch.TypeNumber}, Profile: profile.New(none)},
	}}
	for _, column := range baseline.Columns {
		if c := reportColumn(column.Column, column.Profile, column.Profile); c.Curve != nil || c.Current.Missing != 0 {
			t.Errorf("column %s of no rows has %+v", c.Name, c)
		}
	}
}
