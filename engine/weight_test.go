package engine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

func allTypes() []modelwatch.Column {
	ranged := featureOf("ranged", modelwatch.TypeNumber)
	ranged.Maximum = ptr(5.0)
	return []modelwatch.Column{featureOf("amount", modelwatch.TypeNumber), ranged, featureOf("country", modelwatch.TypeCategory),
		featureOf("flag", modelwatch.TypeBoolean), featureOf("at", modelwatch.TypeTimestamp), featureOf("other", modelwatch.TypeNumber)}
}

// weightedColumns are n rows of every type; row i stands for weights[i] rows.
func weightedColumns(rows []visit, times func(i int) int) []table.Column {
	var repeated []visit
	var ranged []float64
	var flags []bool
	var other []string
	for i, v := range rows {
		for range times(i) {
			repeated = append(repeated, v)
			ranged, flags, other = append(ranged, float64(i%7)), append(flags, i%3 == 0), append(other, []string{"", "x"}[i%2])
		}
	}
	return append(visitColumns(repeated), number("ranged", ranged...), boolean("flag", flags...), category("other", other...))
}

func masses(s *profile.Set) []string {
	var out []string
	for _, c := range s.Columns {
		p := c.Profile
		mean, _ := p.Mean()
		sd, _ := p.SD()
		out = append(out, fmt.Sprintf("%s %s: %v of %v, missing %v, invalid %v, outside %v: %v mean %v sd %v", c.Name, p.Grid().ID(), p.Mass(), p.RowMass(),
			p.MissingMass(), p.InvalidMass(), p.OutOfRangeMass(), p.BinMass(), mean, sd))
	}
	return out
}

// A row of a whole weight is as many rows, in the baseline and in what is compared with it.
func TestWeightsAreRepetitions(t *testing.T) {
	t.Parallel()
	rows := visits(5, 1_500)
	times := func(i int) int { return i % 4 }
	var weights []float64
	for i := range rows {
		weights = append(weights, float64(times(i)))
	}
	weights[4], weights[8], weights[12] = math.NaN(), gone, -3 // where 0 is no weight either
	r := tableOf(t, append(weightedColumns(rows, func(int) int { return 1 }), number("w", weights...))...)
	repeated := tableOf(t, weightedColumns(rows, times)...)
	want, err := engine.BuildBaseline(t.Context(), repeated, allTypes(), engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.BuildBaseline(t.Context(), r, allTypes(), engine.BuildOptions{Weight: "w"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(masses(want), masses(got)); diff != "" {
		t.Errorf("baseline (-repeated +weighted):\n%s", diff)
	}
	if n := got.InvalidWeights(); n != 375 || got.Columns[0].Profile.Rows() != 1_125 {
		t.Errorf("%d invalid weights, %d rows", n, got.Columns[0].Profile.Rows())
	}
	crossings, err := engine.Crossings(t.Context(), r, [][]string{{"country"}})
	if err != nil {
		t.Fatal(err)
	}
	groups := func(src engine.Source, weight string) map[string][]string {
		out := map[string][]string{}
		_, err := engine.ProfileGroups(t.Context(), src, want, engine.GroupOptions{Crossings: crossings, Weight: weight}, func(g engine.Group) error {
			out[segmentName(g.Segment)] = masses(g.Set)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if diff := cmp.Diff(groups(repeated, ""), groups(r, "w")); diff != "" {
		t.Errorf("groups (-repeated +weighted):\n%s", diff)
	}
}

func TestWeightsOfOneAreNone(t *testing.T) {
	t.Parallel()
	columns := weightedColumns(visits(6, 500), func(int) int { return 1 })
	ones := number("w")
	for range 500 {
		ones.Floats = append(ones.Floats, 1)
	}
	ones.Valid = nil
	r := tableOf(t, append(columns, ones)...)
	want, err := engine.BuildBaseline(t.Context(), r, allTypes(), engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.BuildBaseline(t.Context(), r, allTypes(), engine.BuildOptions{Weight: "w"})
	if err != nil {
		t.Fatal(err)
	}
	var weighted *profile.Set
	if _, err := engine.ProfileGroups(t.Context(), r, want, engine.GroupOptions{Weight: "w"}, func(g engine.Group) error {
		weighted = g.Set
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if encoded(t, want) != encoded(t, got) || encoded(t, want) != encoded(t, weighted) {
		t.Error("weights of 1 give another profile than none")
	}
}

func TestWeightsRefused(t *testing.T) {
	t.Parallel()
	r := visitTable(t, visits(7, 10))
	for name, want := range map[string]string{"nope": `there is no column "nope"`, "country": `column "country" is a category, not a number`} {
		_, err := engine.BuildBaseline(t.Context(), r, allTypes(), engine.BuildOptions{Weight: name})
		if err == nil || !strings.Contains(err.Error(), want) || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("baseline: %v, want %s", err, want)
		}
		like, _ := visitBaseline(t)
		_, err = engine.ProfileGroups(t.Context(), r, like, engine.GroupOptions{Weight: name}, func(engine.Group) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("groups: %v, want %s", err, want)
		}
	}
}

// Rows of files that were sampled at different rates weigh one over the rate.
func TestWindowOfDifferentRates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	w := modelwatch.Window{Start: start, End: start.AddDate(0, 0, 1)}
	same, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	if same.Columns[0].Profile.Weighted() {
		t.Error("files of one rate are weighted")
	}
	b.files[0].SamplingRate = 0.25
	set, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	p := set.Columns[1].Profile
	if p.RowMass() != 4*700+3*700 || p.Rows() != 2800 || p.EffectiveRows() != 4900.0*4900/(700*16+2100) {
		t.Errorf("%d rows weigh %v, effective %v", p.Rows(), p.RowMass(), p.EffectiveRows())
	}
	first, _, err := e.WindowProfile(t.Context(), b.files[:1], w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	rest, _, err := e.WindowProfile(t.Context(), b.files[1:], w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	if err := rest.MergeWeighted(first, 4); err != nil {
		t.Fatal(err)
	}
	if encoded(t, rest) != encoded(t, set) {
		t.Error("the window is not the sum of its weighted files")
	}
}
