package table

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

// foreign reads a file that testdata/generate.py wrote with other people's tools.
func foreign(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expected is the table that the foreign files hold: a number or a text per cell.
func expected(t testing.TB) map[string][]any {
	t.Helper()
	b, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]any
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

func wantCells(t *testing.T, want []any) []string {
	t.Helper()
	var out []string
	for _, v := range want {
		switch v := v.(type) {
		case nil:
			out = append(out, "<missing>")
		default:
			out = append(out, fmt.Sprint(v))
		}
	}
	return out
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	want := expected(t)
	for _, name := range []string{
		"arrow_snappy", "arrow_v2_zstd", "arrow_gzip_plain", "arrow_none_small_pages", "arrow_dictionary_fallback", "arrow_int96",
		"arrow_brotli_1_0", "arrow_lz4_index", "arrow_encodings", "pandas", "duckdb", "duckdb_v2_zstd",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, foreign(t, name))
			if len(r.Skipped()) > 0 {
				t.Errorf("skipped %v", r.Skipped())
			}
			for _, c := range r.Columns() {
				if diff := cmp.Diff(wantCells(t, want[c.Name]), rows(t, r, c.Name)); diff != "" {
					t.Errorf("%s (-want +got):\n%.1500s", c.Name, diff)
				}
			}
			if len(r.Columns()) < 6 {
				t.Errorf("only %d columns", len(r.Columns()))
			}
		})
	}
}

// A scan of all columns gives what scans of each give.
func TestForeignScan(t *testing.T) {
	t.Parallel()
	r := open(t, foreign(t, "arrow_none_small_pages"))
	var names []string
	for _, c := range r.Columns() {
		names = append(names, c.Name)
	}
	names = append(names, "not there")
	slices.Reverse(names)
	got := map[string][]string{}
	err := r.Scan(context.Background(), names, func(c *Chunk) error {
		for j := range c.Columns {
			for i := range c.Rows {
				got[names[j]] = append(got[names[j]], cell(&c.Columns[j], i))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if diff := cmp.Diff(rows(t, r, name), got[name]); diff != "" || len(got[name]) != 500 {
			t.Errorf("%s: %d rows (-alone +together):\n%.1000s", name, len(got[name]), diff)
		}
	}
}

func TestForeignOddTypes(t *testing.T) {
	t.Parallel()
	r := open(t, foreign(t, "arrow_odd_types"))
	var skipped []string
	for _, s := range r.Skipped() {
		skipped = append(skipped, s.Name)
	}
	if diff := cmp.Diff([]string{"struct", "map", "texts", "matrix", "time", "fixed"}, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	for name, want := range map[string][]string{
		"n":      {"1.5", "<missing>", "3"},
		"binary": {"\uFFFD", "ok", "<missing>"},
		"half":   {"1.5", "<missing>", "-2"},
		"longs":  {"[1 2]", "<missing>", "[3]"},
		"uuid":   {"00010203-0405-0607-0809-0a0b0c0d0e0f", "<missing>", "00000000-0000-0000-0000-000000000000"},
	} {
		if diff := cmp.Diff(want, rows(t, r, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestForeignRequired(t *testing.T) {
	t.Parallel()
	r := open(t, foreign(t, "arrow_required"))
	for i, name := range []string{"n", "c"} {
		got := rows(t, r, name)
		for row := range got {
			if want := []string{fmt.Sprint(row), fmt.Sprintf("c%d", row%3)}[i]; got[row] != want {
				t.Fatalf("%s: row %d is %s, want %s", name, row, got[row], want)
			}
		}
	}
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	r := open(t, foreign(t, "arrow_no_rows"))
	if r.Rows() != 0 || len(r.Columns()) != 19 {
		t.Errorf("got %d rows, %d columns", r.Rows(), len(r.Columns()))
	}
	err := r.Scan(context.Background(), []string{"double", "category"}, func(c *Chunk) error {
		return fmt.Errorf("a chunk of %d rows", c.Rows)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMalformedFiles(t *testing.T) {
	t.Parallel()
	good := foreign(t, "arrow_snappy")
	footerSize := func(n uint32) []byte {
		b := slices.Clone(good)
		copy(b[len(b)-8:], []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
		return b
	}
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":        {nil, "0 bytes"},
		"short":        {[]byte("PAR1"), "4 bytes"},
		"text":         {[]byte("a,b,c\n1,2,3\n4,5,6\n"), "not a parquet file"},
		"encrypted":    {append(slices.Clone(good[:len(good)-4]), "PARE"...), "encrypted"},
		"cut at end":   {good[:len(good)-1], "not a parquet file, or a truncated one"},
		"huge footer":  {footerSize(1 << 31), "footer of 2147483648 bytes"},
		"small footer": {footerSize(7), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := OpenParquet(bytes.NewReader(test.b), int64(len(test.b)))
			if err == nil {
				t.Fatal("opened")
			}
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s: %.300v, want invalid: ...%s...", modelwatch.ErrorCode(err), err, test.want)
			}
		})
	}
}

// Wherever a file is damaged, reading it ends: with values or with an error that is the user's.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"arrow_snappy", "duckdb_v2_zstd", "arrow_dictionary_fallback"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := foreign(t, name)
			step := max(1, len(good)/400)
			failed := 0
			for at := 4; at < len(good); at += step {
				b := slices.Clone(good)
				b[at] ^= 0x5a
				if err := readAll(b); err != nil {
					failed++
					if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
						t.Errorf("byte %d: got %s: %.300v, want invalid", at, modelwatch.ErrorCode(err), err)
					}
				}
			}
			if failed == 0 {
				t.Error("no damage was noticed")
			}
		})
	}
}

func readAll(b []byte) error {
	r, err := OpenParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	for _, c := range r.Columns() {
		if err := r.ScanColumn(context.Background(), c.Name, func(int, *Column) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
