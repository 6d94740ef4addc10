package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

// partOf is a file of the given columns; its name is that of the test's part.
func partOf(t *testing.T, name string, columns ...Column) Part {
	t.Helper()
	chunk := &Chunk{Columns: columns}
	var infos []ColumnInfo
	for _, c := range columns {
		info := ColumnInfo{Name: c.Name, Type: c.Type, Physical: c.Physical}
		infos = append(infos, info)
		s, err := info.storage()
		if err != nil {
			t.Fatal(err)
		}
		chunk.Rows = max(chunk.Rows, c.len(s))
	}
	return Part{Name: name, Reader: write(t, infos, chunk)}
}

func floatColumn(name string, values ...float64) Column {
	return Column{Name: name, Type: modelwatch.TypeNumber, Floats: values}
}

func textColumn(name string, typ modelwatch.FeatureType, values ...string) Column {
	c := Column{Name: name, Type: typ}
	for _, v := range values {
		c.Valid = append(c.Valid, v != "")
		c.Index = append(c.Index, int32(len(c.Dict)))
		c.Dict = append(c.Dict, v)
	}
	return c
}

func TestUnion(t *testing.T) {
	t.Parallel()
	ranks := func(values ...int64) Column {
		return Column{Name: "k", Type: modelwatch.TypeNumber, Physical: PhysicalInt64, Ints: values}
	}
	u, err := NewUnion(t.Context(),
		partOf(t, "a", floatColumn("x", 1, 2), textColumn("c", modelwatch.TypeCategory, "u", ""), textColumn("late", modelwatch.TypeCategory, "", ""), ranks(1, 2)),
		partOf(t, "none", floatColumn("x")),
		partOf(t, "b", textColumn("c", modelwatch.TypeText, "v"), floatColumn("late", 7), floatColumn("k", 0.5), floatColumn("new", 9)),
		partOf(t, "c", floatColumn("x", 3, 4, 5), textColumn("late", modelwatch.TypeCategory, "", "", ""), ranks(3, 4, 5)),
	)
	if err != nil {
		t.Fatal(err)
	}
	var infos []string
	for _, c := range u.Columns() {
		infos = append(infos, fmt.Sprint(c))
	}
	if diff := cmp.Diff([]string{"{x number 0}", "{c category 0}", "{late number 0}", "{k number 0}", "{new number 0}"}, infos); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	want := map[string][]string{
		"x":     {"1", "2", "<missing>", "3", "4", "5"},
		"c":     {"u", "<missing>", "v", "<missing>", "<missing>", "<missing>"},
		"late":  {"<missing>", "<missing>", "7", "<missing>", "<missing>", "<missing>"},
		"k":     {"1", "2", "0.5", "3", "4", "5"},
		"new":   {"<missing>", "<missing>", "9", "<missing>", "<missing>", "<missing>"},
		"never": {"<missing>", "<missing>", "<missing>", "<missing>", "<missing>", "<missing>"},
	}
	got, single := map[string][]string{}, map[string][]string{}
	names := []string{"x", "c", "late", "k", "new", "never"}
	err = u.Scan(t.Context(), names, func(c *Chunk) error {
		for i := range c.Columns {
			for row := range c.Rows {
				got[names[i]] = append(got[names[i]], cell(&c.Columns[i], row))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := u.ScanColumn(t.Context(), name, func(n int, c *Column) error {
			for row := range n {
				single[name] = append(single[name], cell(c, row))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range []map[string][]string{got, single} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	}
	if u.Rows() != 6 {
		t.Errorf("%d rows", u.Rows())
	}
}

func TestUnionRefuses(t *testing.T) {
	t.Parallel()
	numbers, words := partOf(t, "jan.csv", floatColumn("x", 1)), partOf(t, "feb.csv", textColumn("x", modelwatch.TypeCategory, "one"))
	_, err := NewUnion(t.Context(), numbers, words)
	want := `column "x" is a number in jan.csv but a category in feb.csv: declare its type, or compare the files apart`
	if err == nil || err.Error() != want || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := NewUnion(t.Context()); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("a union of nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewUnion(ctx, numbers, words); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled union: %v", err)
	}
}

// An error names the part; one of the caller's function is passed on as it is.
func TestUnionErrors(t *testing.T) {
	t.Parallel()
	infos := []ColumnInfo{{Name: "x", Type: modelwatch.TypeNumber}}
	b := encodeChunks(t, infos, &Chunk{Rows: 3, Columns: []Column{floatColumn("x", 1, 2, 3)}})
	broken := slices.Clone(b)
	for i := 8; i < 40; i++ {
		broken[i] ^= 0xff
	}
	u, err := NewUnion(t.Context(), Part{"good", open(t, b)}, Part{"bad", open(t, broken)})
	if err != nil {
		t.Fatal(err)
	}
	err = u.ScanColumn(t.Context(), "x", func(int, *Column) error { return nil })
	if err == nil || !strings.HasPrefix(err.Error(), `bad: read column "x"`) || modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("a broken part: %v", err)
	}
	stop := errors.New("stop")
	if err := u.Scan(t.Context(), []string{"x"}, func(*Chunk) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the function's own error", err)
	}
}
