package engine_test

import (
	"context"
	"errors"
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

// counts are what a profile says of rows, missing, invalid and out of range, and its cells.
func counts(p *profile.Profile) string {
	var cells []string
	for _, n := range p.Cells() {
		cells = append(cells, fmt.Sprint(n))
	}
	return fmt.Sprintf("%d rows, %d missing, %d invalid, %d outside: %s", p.Rows(), p.Missing(), p.Invalid(), p.OutOfRange(), strings.Join(cells, " "))
}

func ptr[T any](v T) *T { return &v }

func TestBuildBaseline(t *testing.T) {
	t.Parallel()
	ranged := featureOf("ranged", modelwatch.TypeNumber)
	ranged.Minimum, ranged.Maximum = ptr(0.0), ptr(10.0)
	columns := []modelwatch.Column{
		featureOf("n", modelwatch.TypeNumber), ranged, featureOf("c", modelwatch.TypeCategory), featureOf("b", modelwatch.TypeBoolean),
		featureOf("at", modelwatch.TypeTimestamp), featureOf("absent", modelwatch.TypeNumber), featureOf("late", modelwatch.TypeCategory),
		featureOf("c", modelwatch.TypeNumber), featureOf("codes", modelwatch.TypeCategory),
	}
	r := tableOf(t,
		number("n", 1, 2, 2, gone, math.NaN(), math.Inf(1), gone),
		number("ranged", 0, 10, 11, -1, 5, gone, math.Inf(1)),
		category("c", "x", "y", "x", "", "x", "z", "x"),
		boolean("b", true, false, true, true, true, false, true),
		timestamp("at", 1, 2, 3, 4, 5, 6, 7),
		number("codes", 1, 1, 1e6, gone, 2.5, 1, 1),
		category(modelwatch.ColumnInvalid, "", "", "", `{"n":"abc"}`, "", `{"ranged":99,"b":"x"}`, `not JSON`),
	)
	var progress []int
	set, err := engine.BuildBaseline(context.Background(), r, columns, engine.BuildOptions{Progress: func(done, of int) { progress = append(progress, of-done) }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range set.Columns {
		got = append(got, c.Column.Column+" "+c.Profile.Grid().Kind().String()+" "+counts(c.Profile))
	}
	want := []string{
		"n number 7 rows, 1 missing, 3 invalid, 0 outside: 0 1 0 2 0",
		"ranged number 7 rows, 0 missing, 4 invalid, 3 outside: 0 1 0 1 0 1 0",
		"c category 7 rows, 1 missing, 0 invalid, 0 outside: 4 1 1 0 0",
		"b boolean 7 rows, 0 missing, 0 invalid, 0 outside: 2 5",
		"at presence 7 rows, 0 missing, 0 invalid, 0 outside: ",
		"absent number 7 rows, 7 missing, 0 invalid, 0 outside: 0",
		"late category 7 rows, 7 missing, 0 invalid, 0 outside: 0 0",
		"c number 7 rows, 1 missing, 6 invalid, 0 outside: 0",
		"codes category 7 rows, 1 missing, 0 invalid, 0 outside: 4 1 1 0 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1", "1000000", "2.5"}, set.Columns[8].Profile.Grid().Categories()); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if len(progress) != len(columns) || progress[len(columns)-1] != 0 {
		t.Errorf("progress %v", progress)
	}
}

// The baseline's counts are those of its own table on its grids, however it is built.
func TestProfileTableOfBaseline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var amounts []float64
	var countries []string
	for _, r := range b.rows {
		amounts, countries = append(amounts, r.amount), append(countries, r.country)
	}
	r := tableOf(t, number("amount", amounts...), category("country", countries...))
	baseline, err := engine.BuildBaseline(t.Context(), r, b.columns, engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	current, err := engine.ProfileTable(t.Context(), r, baseline)
	if err != nil {
		t.Fatal(err)
	}
	if encoded(t, baseline) != encoded(t, current) {
		t.Error("the table's profile on its own grids is another than the baseline")
	}
	one, err := engine.BuildBaseline(t.Context(), r, b.columns, engine.BuildOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if encoded(t, baseline) != encoded(t, one) {
		t.Error("one worker builds another baseline")
	}
}

func TestProfileTableOfAnotherShape(t *testing.T) {
	t.Parallel()
	columns := []modelwatch.Column{
		featureOf("n", modelwatch.TypeNumber), featureOf("c", modelwatch.TypeCategory), featureOf("b", modelwatch.TypeBoolean),
		featureOf("at", modelwatch.TypeTimestamp), featureOf("gone", modelwatch.TypeNumber), featureOf("null", modelwatch.TypeNumber),
	}
	baseline, err := engine.BuildBaseline(t.Context(), tableOf(t, number("n", 1, 2), category("c", "7", "true"), boolean("b", true, false),
		timestamp("at", 1, 2), number("gone", 1, 2), number("null", 1, 2)), columns, engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := tableOf(t, category("n", "1", "", "x"), number("c", 7, gone, 8), number("b", 0, 1, gone), number("at", 1, gone, 2), category("null", "", "", ""))
	set, err := engine.ProfileTable(t.Context(), r, baseline)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range set.Columns {
		got = append(got, counts(c.Profile))
	}
	want := []string{
		"3 rows, 1 missing, 2 invalid, 0 outside: 0 0 0 0 0",
		"3 rows, 1 missing, 0 invalid, 0 outside: 1 0 0 1",
		"3 rows, 1 missing, 2 invalid, 0 outside: 0 0",
		"3 rows, 1 missing, 2 invalid, 0 outside: ",
		"3 rows, 3 missing, 0 invalid, 0 outside: 0 0 0 0 0",
		"3 rows, 3 missing, 0 invalid, 0 outside: 0 0 0 0 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var changed []string
	for _, c := range engine.TypeChanges(r, baseline) {
		changed = append(changed, fmt.Sprintf("%s %s %s", c.Column.Column, c.Column.Type, c.Current))
	}
	if diff := cmp.Diff([]string{"n number category", "c category number", "b boolean number", "at timestamp number", "gone number ", "null number category"}, changed); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestProfileTableStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.ProfileTable(ctx, tableOf(t, number("amount", 1)), b.baseline); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := engine.BuildBaseline(ctx, tableOf(t, number("amount", 1)), b.columns, engine.BuildOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestProfileTableOfNoRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := tableOf(t, table.Column{Name: "amount", Type: modelwatch.TypeNumber}, table.Column{Name: "country", Type: modelwatch.TypeCategory})
	set, err := engine.ProfileTable(t.Context(), r, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	if encoded(t, set) != encoded(t, b.baseline.Empty()) {
		t.Error("no rows are not the empty profile")
	}
	empty, err := engine.BuildBaseline(t.Context(), r, b.columns, engine.BuildOptions{})
	if err != nil || empty.Columns[0].Profile.Rows() != 0 {
		t.Errorf("a baseline of no rows: %v", err)
	}
}
