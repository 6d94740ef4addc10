package engine_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

func viewTable(t testing.TB) *table.Reader {
	at := func(s string) int64 {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMicro()
	}
	created := timestamp("created", at("2026-11-21T23:59:59Z"), at("2026-11-22T00:00:00Z"), at("1969-12-31T23:00:00Z"), at("1900-01-01T05:30:00Z"), 0)
	created.Valid = []bool{true, true, true, true, false}
	note := category("note", "ä€😀", "abc", "", "ab", "abc")
	note.Type = modelwatch.TypeText
	vectors := table.Column{Name: "embedding", Type: modelwatch.TypeVector, Vectors: [][]float32{{3, 4}, {0, 0}, {1, 2, 3}, nil, {float32(math.NaN()), 1}}, Valid: []bool{true, true, true, false, true}}
	return tableOf(t, created, note, vectors)
}

func viewBaseline(t testing.TB, r engine.Source) *profile.Set {
	schema := modelwatch.Schema{Features: []modelwatch.Feature{{Name: "created", Type: modelwatch.TypeTimestamp}, {Name: "embedding", Type: modelwatch.TypeVector}, {Name: "note", Type: modelwatch.TypeText}}}
	set, err := engine.BuildBaseline(t.Context(), r, schema.Profiled(), engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestViews(t *testing.T) {
	t.Parallel()
	r := viewTable(t)
	set := viewBaseline(t, r)
	var got []string
	for _, c := range set.Columns {
		if _, projection := c.View.Projection(); projection {
			continue
		}
		s := c.Name + " " + counts(c.Profile)
		switch c.Profile.Grid().Kind() {
		case profile.KindCategory:
			s += fmt.Sprintf(" of %q", c.Profile.Grid().Categories())
		case profile.KindNumber:
			s += fmt.Sprintf(" of %v", c.Profile.Grid().Cuts())
		}
		got = append(got, s)
	}
	want := []string{
		"created 5 rows, 1 missing, 0 invalid, 0 outside: ",
		`created.hour 5 rows, 1 missing, 0 invalid, 0 outside: 2 1 1 0 0 of ["23" "00" "05"]`,
		`created.weekday 5 rows, 1 missing, 0 invalid, 0 outside: 1 1 1 1 0 0 of ["Mon" "Sat" "Sun" "Wed"]`,
		"embedding 5 rows, 1 missing, 1 invalid, 0 outside: ",
		"embedding.norm 5 rows, 2 missing, 1 invalid, 0 outside: 0 1 0 1 0 of [0 5]",
		"note 5 rows, 1 missing, 0 invalid, 0 outside: ",
		"note.length 5 rows, 1 missing, 0 invalid, 0 outside: 0 1 0 3 0 of [2 3]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if set.Column("embedding").Dimension != 2 || set.View("embedding", "projection_7") == nil {
		t.Errorf("dimension %d", set.Column("embedding").Dimension)
	}
}

// A projection is the product with a direction that whoever decodes the baseline
// makes again; weights and groups see the same views.
func TestProjection(t *testing.T) {
	t.Parallel()
	r := viewTable(t)
	set := viewBaseline(t, r)
	decoded, err := profile.Decode([]byte(encoded(t, set)))
	if err != nil {
		t.Fatal(err)
	}
	c := decoded.View("embedding", "projection_3")
	d := profile.Directions(c.Seed, c.Dimension)[3]
	want := d[0]*3 + d[1]*4
	if cuts := c.Profile.Grid().Cuts(); len(cuts) != 2 || cuts[0] != min(want, 0) || cuts[1] != max(want, 0) {
		t.Errorf("cuts %v, want 0 and %v", cuts, want)
	}
	again, err := engine.ProfileTable(t.Context(), r, decoded)
	if err != nil {
		t.Fatal(err)
	}
	if encoded(t, again) != encoded(t, set) {
		t.Error("the table's profile on its own grids is another than the baseline")
	}
	if _, err := engine.ProfileGroups(t.Context(), r, decoded, engine.GroupOptions{}, func(g engine.Group) error {
		if encoded(t, g.Set) != encoded(t, set) {
			t.Error("the group of all rows is another than the baseline")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if changes := engine.TypeChanges(tableOf(t, number("created", 1)), set); len(changes) != 3 {
		t.Errorf("changes %v: views are none of their own", changes)
	}
}
