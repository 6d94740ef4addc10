package table

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

func TestAsKeys(t *testing.T) {
	t.Parallel()
	r := write(t, []ColumnInfo{
		{Name: "text", Type: modelwatch.TypeCategory},
		{Name: "int", Type: modelwatch.TypeNumber, Physical: PhysicalInt64},
		{Name: "float", Type: modelwatch.TypeNumber},
	}, &Chunk{Rows: 4, Columns: []Column{
		{Name: "text", Type: modelwatch.TypeCategory, Dict: []string{"7", "request", "1152921504606846977"}, Index: []int32{0, 1, 2, 0}, Valid: []bool{true, true, true, false}},
		{Name: "int", Type: modelwatch.TypeNumber, Physical: PhysicalInt64, Ints: []int64{7, -1, 1<<60 + 1, math.MinInt64}},
		{Name: "float", Type: modelwatch.TypeNumber, Floats: []float64{1, 2, 3, 4}},
	}})
	keys := r.AsKeys("text", "int", "float", "not there")
	if info, _ := keys.Column("float"); info.Type != modelwatch.TypeNumber || info.Physical != PhysicalDefault {
		t.Errorf("float is read as %+v", info)
	}
	if info, _ := r.Column("text"); info.Physical == PhysicalKey {
		t.Error("the reader itself has changed")
	}
	err := keys.Scan(t.Context(), []string{"text", "int"}, func(c *Chunk) error {
		text, ints := c.Columns[0], c.Columns[1]
		if text.Physical != PhysicalKey || ints.Physical != PhysicalKey || !text.Missing(3) || ints.Missing(3) {
			t.Errorf("got %+v", c.Columns)
		}
		for i, want := range []string{"7", "request", "1152921504606846977"} {
			if text.Ints[i] != TextKey(want) {
				t.Errorf("row %d: key %d, want that of %q", i, text.Ints[i], want)
			}
		}
		for i, want := range []string{"7", "-1", "1152921504606846977", "-9223372036854775808"} {
			if ints.Ints[i] != TextKey(want) {
				t.Errorf("row %d: key %d, want that of %q", i, ints.Ints[i], want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Keys of files of other writers are those of their texts: dictionaries, plain
// pages, deltas, UUIDs, and integers of every width and sign. What is no UTF-8 counts by its
// bytes, and has a text of its own only roughly.
func TestAsKeysForeign(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		r := open(t, foreign(t, strings.TrimSuffix(filepath.Base(name), ".parquet")))
		for _, c := range r.Columns() {
			keys := r.AsKeys(c.Name)
			if info, _ := keys.Column(c.Name); info.Physical != PhysicalKey {
				continue
			}
			want := rows(t, r.AsText(c.Name), c.Name)
			i := 0
			err := keys.ScanColumn(t.Context(), c.Name, func(n int, col *Column) error {
				for j := range n {
					if !col.Missing(j) && !strings.Contains(want[i], "\uFFFD") && col.Ints[j] != TextKey(want[i]) {
						return fmt.Errorf("row %d: the key is not that of %q", i, want[i])
					}
					i++
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s, column %s: %v", name, c.Name, err)
			}
		}
	}
}

func TestKeyLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if IntKey(a) != TextKey(strconv.FormatInt(a, 10)) {
			t.Errorf("%d and its text differ", a)
		}
		if a != b && IntKey(a) == IntKey(b) {
			t.Errorf("%d and %d share a key", a, b)
		}
		s := rapid.StringMatching(`[-+]?[0-9]{0,21}`).Draw(t, "s")
		v, ok := canonicalInt([]byte(s))
		n, err := strconv.ParseInt(s, 10, 64)
		if want := err == nil && strconv.FormatInt(n, 10) == s; ok != want || ok && v != n {
			t.Errorf("%q is read as %d, %v", s, v, ok)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	for _, s := range []string{"12345678", "req-0000012345", "0f2c1d9a-7d4e-4c11-9b1f-0a3f6f6c1b2a"} {
		b.Run(fmt.Sprint(len(s)), func(b *testing.B) {
			text := []byte(s)
			for b.Loop() {
				bytesKey(text)
			}
		})
	}
}
