package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/modelwatch/modelwatch"
)

// Every type of a Parquet file as every declared type: what fits is converted, the rest is invalid.
func TestSpoolParquetConverts(t *testing.T) {
	t.Parallel()
	source := []ColumnInfo{
		{Name: "number", Type: modelwatch.TypeNumber}, {Name: "text", Type: modelwatch.TypeCategory},
		{Name: "bool", Type: modelwatch.TypeBoolean}, {Name: "time", Type: modelwatch.TypeTimestamp},
	}
	chunk := &Chunk{Rows: 4, Columns: []Column{
		{Name: "number", Type: modelwatch.TypeNumber, Floats: []float64{1, 0.5, math.NaN(), 1795255200}},
		{Name: "text", Type: modelwatch.TypeCategory, Dict: []string{"1", "true", "NA", "2026-11-21T10:00:00Z"}, Index: []int32{0, 1, 2, 3}},
		{Name: "bool", Type: modelwatch.TypeBoolean, Bools: []bool{true, false, true, false}, Valid: []bool{true, true, false, true}},
		{Name: "time", Type: modelwatch.TypeTimestamp, Ints: []int64{0, 1, 1795255200000000, -1}},
	}}
	file := encodeChunks(t, source, chunk)
	const x = "<missing>"
	for _, test := range []struct {
		column  string
		typ     modelwatch.FeatureType
		want    []string
		invalid []string
	}{
		{"number", modelwatch.TypeCategory, []string{"1", "0.5", x, "1.7952552e+09"}, nil},
		{"number", modelwatch.TypeBoolean, []string{"true", x, x, x}, []string{"", "0.5", "", "1.7952552e+09"}},
		{"number", modelwatch.TypeTimestamp, []string{"1000000", "500000", x, "1795255200000000"}, []string{"", "", "NaN", ""}},
		{"number", modelwatch.TypeVector, []string{x, x, x, x}, []string{"1", "0.5", "", "1.7952552e+09"}},
		{"text", modelwatch.TypeText, []string{"1", "true", "NA", "2026-11-21T10:00:00Z"}, nil},
		{"text", modelwatch.TypeNumber, []string{"1", x, x, x}, []string{"", "true", "", "2026-11-21T10:00:00Z"}},
		{"text", modelwatch.TypeBoolean, []string{"true", "true", x, x}, []string{"", "", "", "2026-11-21T10:00:00Z"}},
		{"text", modelwatch.TypeTimestamp, []string{"1000000", x, x, "1795255200000000"}, []string{"", "true", "", ""}},
		{"bool", modelwatch.TypeCategory, []string{"true", "false", x, "false"}, nil},
		{"bool", modelwatch.TypeNumber, []string{x, x, x, x}, []string{"true", "false", "", "false"}},
		{"time", modelwatch.TypeCategory, []string{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "2026-11-21T10:00:00Z", "1969-12-31T23:59:59.999999Z"}, nil},
		{"time", modelwatch.TypeNumber, []string{x, x, x, x},
			[]string{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "2026-11-21T10:00:00Z", "1969-12-31T23:59:59.999999Z"}},
	} {
		t.Run(fmt.Sprintf("%s as %s", test.column, test.typ), func(t *testing.T) {
			t.Parallel()
			s, err := spool(t, "a.parquet", file, SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{{Name: test.column, Type: test.typ}}}})
			if err != nil {
				t.Fatal(err)
			}
			got := content(t, s)
			cells := got[test.column+" "+string(test.typ)]
			if test.typ == modelwatch.TypeText { // a file cannot tell text from category
				cells = got[test.column+" "+string(modelwatch.TypeText)]
			}
			if diff := cmp.Diff(test.want, cells); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for i, raw := range got["_invalid text"] {
				want := x
				if test.invalid != nil && test.invalid[i] != "" {
					want = fmt.Sprintf(`{%q:%q}`, test.column, test.invalid[i])
				}
				if raw != want {
					t.Errorf("row %d: invalid %s, want %s", i, raw, want)
				}
			}
		})
	}
}

// A row group of more rows than are copied at a time comes through whole.
func TestSpoolParquetLargeRowGroup(t *testing.T) {
	t.Parallel()
	type row struct {
		N float64 `parquet:"n"`
		C string  `parquet:"c,dict"`
	}
	const n = copyRows + 1_000
	written := make([]row, n)
	for i := range written {
		written[i] = row{float64(i), fmt.Sprint(i % 10)}
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[row](&buf, parquet.MaxRowsPerRowGroup(n), parquet.Compression(&parquet.Snappy))
	if _, err := w.Write(written); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := spool(t, "a.parquet", buf.Bytes(), SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{
		{Name: "c", Type: modelwatch.TypeNumber}, {Name: "n", Type: modelwatch.TypeNumber, Maximum: ptr(float64(n - 2))}}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	err = r.Scan(t.Context(), []string{"n", "c", "_invalid"}, func(c *Chunk) error {
		for i := range c.Rows {
			if at < n-1 && (c.Columns[0].Floats[i] != float64(at) || c.Columns[1].Floats[i] != float64(at%10) || !c.Columns[2].Missing(i)) {
				return fmt.Errorf("row %d is %v, %v, %s", at, c.Columns[0].Floats[i], c.Columns[1].Floats[i], c.Columns[2].Text(i))
			}
			if at == n-1 && c.Columns[2].Text(i) != fmt.Sprintf(`{"n":%d}`, n-1) {
				return fmt.Errorf("the last row's invalid is %q", c.Columns[2].Text(i))
			}
			at++
		}
		return nil
	})
	if err != nil || at != n {
		t.Errorf("%d rows: %v", at, err)
	}
}

// Long texts make chunks small: the rows of a chunk are bounded by what they hold.
func TestSpoolLongTexts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	letters := make([]byte, 4<<20)
	for i := range letters {
		letters[i] = byte('a' + rng.IntN(26))
	}
	var csv, jsonl bytes.Buffer
	csv.WriteString("i,text\n")
	var want []int
	for i := range 30 {
		text := letters[i : len(letters)-30+i]
		want = append(want, len(text))
		fmt.Fprintf(&csv, "%d,%s\n", i, text)
		fmt.Fprintf(&jsonl, "{\"i\":%d,\"text\":%q}\n", i, text)
	}
	for file, b := range map[string][]byte{"a.csv": csv.Bytes(), "a.jsonl": jsonl.Bytes()} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s, err := spool(t, file, b, SpoolOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Reader()
			if err != nil {
				t.Fatal(err)
			}
			if groups := len(r.groups); groups < 2 {
				t.Errorf("all in %d row group", groups)
			}
			var got []int
			err = r.ScanColumn(t.Context(), "text", func(n int, c *Column) error {
				for i := range n {
					got = append(got, len(c.Text(i)))
				}
				return nil
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v: %v", got, err)
			}
		})
	}
}

func TestFormatOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		media, name string
		want        Format
	}{
		{"text/csv; charset=utf-8", "", FormatCSV},
		{"application/vnd.apache.parquet", "a.csv", FormatParquet},
		{"application/x-ndjson", "", FormatJSONLines},
		{"application/octet-stream", "s3://bucket/a/b.PARQUET", FormatParquet},
		{"", "a.csv.gz", FormatCSV}, {"", "a.tsv.zst", FormatCSV}, {"", "a.jsonl", FormatJSONLines}, {"", "a.pq", FormatParquet},
		{"", "a", FormatUnknown}, {"broken;;", "a.txt", FormatUnknown},
	} {
		if got := FormatOf(test.media, test.name); got != test.want {
			t.Errorf("%q, %q: got %q, want %q", test.media, test.name, got, test.want)
		}
	}
}

func TestNumbersAndTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"1": 1, "-1.5e3": -1500, "+.5": 0.5, "5.": 5, "inf": math.Inf(1), "-Infinity": math.Inf(-1), "1e999": math.Inf(1), "0012": 12} {
		if got, ok := parseNumber(text); !ok || got != want {
			t.Errorf("%s: got %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", ".", "e5", "1e", "1e+", "0x10", "1_000", "1,5", "1 2", "nan", "½", "in", "--1"} {
		if v, ok := parseNumber(text); ok {
			t.Errorf("%q is taken for %v", text, v)
		}
	}
	for v, want := range map[float64]int64{1795255200: 1795255200000000, 1795255200123: 1795255200123000, 1795255200123456: 1795255200123456, 1795255200123456768: 1795255200123457, -1.5: -1500000, 0: 0} {
		if got, ok := epoch(v); !ok || got != want {
			t.Errorf("%v: got %d, %v", v, got, ok)
		}
	}
	for _, v := range []float64{1e300, math.Inf(1), math.NaN()} {
		if got, ok := epoch(v); ok {
			t.Errorf("%v is taken for %d", v, got)
		}
	}
	for _, text := range []string{"2026-13-01", "2026-11-21 25:00:00", "21.11.2026", "2026-11-21T", "10:00", "2026/11/21", "-026-11-21"} {
		if v, ok := parseTime(text); ok {
			t.Errorf("%q is taken for %d", text, v)
		}
	}
	for bits, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8000: 0} {
		if got := half(binary.LittleEndian.AppendUint16(nil, bits)); got != want {
			t.Errorf("half %04x: got %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half([]byte{0, 0x7e})) {
		t.Error("a half that is no number is one")
	}
}

// The older LZ4 codec comes with sizes before its blocks, or without.
func TestHadoopLZ4(t *testing.T) {
	t.Parallel()
	want := []byte(strings.Repeat("a page of text ", 100))
	block := func(b []byte) []byte {
		out := make([]byte, lz4.CompressBlockBound(len(b)))
		n, err := new(lz4.Compressor).CompressBlock(b, out)
		if err != nil {
			t.Fatal(err)
		}
		return out[:n]
	}
	framed := func(b []byte) []byte {
		packed := block(b)
		out := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
		return append(binary.BigEndian.AppendUint32(out, uint32(len(packed))), packed...)
	}
	for name, packed := range map[string][]byte{"one block": framed(want), "two blocks": append(framed(want[:700]), framed(want[700:])...), "raw": block(want)} {
		var u unpackers
		got, err := u.decode(format.Lz4, packed, nil, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes: %v", name, len(got), err)
		}
	}
	var u unpackers
	if _, err := u.decode(format.Lz4Raw, []byte{0xff, 0xff}, nil, 100); err == nil {
		t.Error("rubbish was unpacked")
	}
	if _, err := u.decode(format.LZO, []byte{1}, nil, 100); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("got %v", err)
	}
}

func TestAsText(t *testing.T) {
	t.Parallel()
	r := open(t, foreign(t, "arrow_not_finite"))
	text := r.AsText("id", "x", "not there")
	if got := rows(t, text, "id"); got[1] != "1152921504606846977" {
		t.Errorf("got %v", got)
	}
	if info, _ := text.Column("x"); info.Type != modelwatch.TypeNumber {
		t.Errorf("x is %v", info)
	}
	if info, ok := r.Column("id"); !ok || info.Type != modelwatch.TypeNumber {
		t.Errorf("the reader itself has changed: %v", info)
	}
}

// Words that plain pages added are forgotten, those of the dictionary page stay.
func TestWordsTrim(t *testing.T) {
	t.Parallel()
	var w words
	base := []string{"a", "b", "c"}
	w.setDictionary(len(base), func(i int) []byte { return []byte(base[i]) })
	for round := range 3 {
		w.trim()
		for i := range trimWords + 10 {
			s := fmt.Sprint(i)
			at := w.place(s)
			if again := w.place(s); again != at || w.word(int(at)) != s {
				t.Fatalf("round %d: %s is at %d, then at %d", round, s, at, again)
			}
		}
		if at := w.place("b"); at != 1 {
			t.Fatalf("round %d: b is at %d", round, at)
		}
		w.flush()
		if len(w.dict) != len(base)+trimWords+10 || w.dict[3] != "0" {
			t.Fatalf("round %d: %d words", round, len(w.dict))
		}
	}
	if at := w.place("\xff"); w.word(int(at)) != "\uFFFD" {
		t.Errorf("got %q", w.word(int(at)))
	}
}
