package table

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/modelwatch/modelwatch"
)

// spool spools bytes that come as a stream.
func spool(t testing.TB, name string, content []byte, opts SpoolOptions) (*Spooled, error) {
	t.Helper()
	opts.TempDir = t.TempDir()
	s, err := Spool(context.Background(), Source{Name: name, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}, opts)
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
				t.Errorf("%d files are left over", len(left))
			}
		})
	} else if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
		t.Errorf("%d files are left over after %v", len(left), err)
	}
	return s, err
}

// content is a spooled file as text: "name type" to cells.
func content(t testing.TB, s *Spooled) map[string][]string {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for i, c := range s.Columns {
		if got := r.Columns()[i]; got != c && c.Type != modelwatch.TypeText {
			t.Errorf("column %d is %v, the result says %v", i, got, c)
		}
		out[c.Name+" "+string(c.Type)] = rows(t, r, c.Name)
	}
	if s.Rows != r.Rows() {
		t.Errorf("got %d rows, the result says %d", r.Rows(), s.Rows)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

type spoolCase struct {
	name    string
	file    string
	content string
	opts    SpoolOptions
	want    map[string][]string // "_invalid text" may be left out if it is empty
}

func (c spoolCase) run(t *testing.T) {
	t.Parallel()
	s, err := spool(t, c.file, []byte(c.content), c.opts)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(c.content))
	if s.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("got checksum %s", s.SHA256)
	}
	got := content(t, s)
	if _, ok := c.want["_invalid text"]; !ok {
		for _, v := range got["_invalid text"] {
			if v != "<missing>" {
				t.Errorf("invalid: %s", v)
			}
		}
		delete(got, "_invalid text")
	}
	if diff := cmp.Diff(c.want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSpoolCSV(t *testing.T) {
	t.Parallel()
	for _, c := range []spoolCase{
		{
			name: "inferred", file: "a.csv",
			content: "n,c,b,at,all missing\n1,x,true,2026-11-21T10:00:00Z,\n-2.5e3,\"y, \"\"z\"\"\",False,2026-11-21 10:00:00.5+01:00,NA\nNaN,,NA,null,null\n 7 , padded ,TRUE,2026-11-21,\n",
			want: map[string][]string{
				"n number":             {"1", "-2500", "<missing>", "7"},
				"c category":           {"x", `y, "z"`, "<missing>", " padded "},
				"b boolean":            {"true", "false", "<missing>", "true"},
				"at timestamp":         {"1795255200000000", "1795251600500000", "<missing>", "1795219200000000"},
				"all missing category": {"<missing>", "<missing>", "<missing>", "<missing>"},
			},
		},
		{
			name: "infinity is an invalid number", file: "a.csv",
			content: "n,m\ninf,1\n-Infinity,2\n3,1e999\n",
			want: map[string][]string{
				"n number":      {"<missing>", "<missing>", "3"},
				"m number":      {"1", "2", "<missing>"},
				"_invalid text": {`{"n":"inf"}`, `{"n":"-Infinity"}`, `{"m":"1e999"}`},
			},
		},
		{
			name: "byte order mark, semicolons, a nameless index", file: "a.csv",
			content: "\xef\xbb\xbf;größe;\"b;x\"\r\n0;1,5;2\r\n1;2,5;3\r\n",
			want: map[string][]string{
				"größe category": {"1,5", "2,5"},
				"b;x number":     {"2", "3"},
			},
		},
		{
			name: "tabs", file: "a.tsv", content: "a\tb\n1\t2\n",
			want: map[string][]string{"a number": {"1"}, "b number": {"2"}},
		},
		{
			name: "no rows", file: "a.csv", content: "a,b\n",
			want: map[string][]string{"a category": nil, "b category": nil},
		},
		{
			name: "declared types win", file: "a.csv",
			opts: SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{
				{Name: "age", Type: modelwatch.TypeNumber, Minimum: ptr(0.0), Maximum: ptr(120.0)},
				{Name: "code", Type: modelwatch.TypeCategory},
				{Name: "ok", Type: modelwatch.TypeBoolean},
				{Name: "seen", Type: modelwatch.TypeTimestamp},
				{Name: "vec", Type: modelwatch.TypeVector},
			}}},
			content: "age,code,ok,seen,extra,vec\n150,007,1,1795255200,1,\"[1, 2.5]\"\nabc,8,maybe,soon,x,[]\n-1,NA,0,2026-11-21T10:00:00Z,2,1\n120,,true,1795255200123,3,\n",
			want: map[string][]string{
				"age number":     {"<missing>", "<missing>", "<missing>", "120"},
				"code category":  {"007", "8", "<missing>", "<missing>"},
				"ok boolean":     {"true", "<missing>", "false", "true"},
				"seen timestamp": {"1795255200000000", "<missing>", "1795255200000000", "1795255200123000"},
				"extra category": {"1", "x", "2", "3"},
				"vec vector":     {"[1 2.5]", "[]", "<missing>", "<missing>"},
				"_invalid text":  {`{"age":150}`, `{"age":"abc","ok":"maybe","seen":"soon"}`, `{"age":-1,"vec":"1"}`, "<missing>"},
			},
		},
		{
			name: "mapped", file: "a.csv",
			opts:    SpoolOptions{Mapping: modelwatch.ColumnMapping{ID: "row", Time: "ts", Score: "p", Predicted: "y_hat", Label: "y", Group: "q", Weight: "w"}},
			content: "row,ts,p,y_hat,y,q,w,x\n9007199254740993,1795255200,0.5,1,0,7,1,2\nNA,1795255200,0.25,1,1,7,1,2\n",
			want: map[string][]string{
				"_id category":      {"9007199254740993", "NA"},
				"_time timestamp":   {"1795255200000000", "1795255200000000"},
				"_score number":     {"0.5", "0.25"},
				"_predicted number": {"1", "1"},
				"_label number":     {"0", "1"},
				"_group category":   {"7", "7"},
				"_weight number":    {"1", "1"},
				"x number":          {"2", "2"},
			},
		},
		{
			name: "scores of classes", file: "a.csv",
			opts:    SpoolOptions{Mapping: modelwatch.ColumnMapping{Score: "p"}},
			content: "p_cat,p_dog,x\n0.5,0.5,1\n",
			want:    map[string][]string{"_score_cat number": {"0.5"}, "_score_dog number": {"0.5"}, "x number": {"1"}},
		},
		{
			name: "what is invalid already stays so", file: "a.csv",
			opts:    SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeNumber}}}},
			content: "n,_invalid\nx,\"{\"\"m\"\":1}\"\n1,\"{\"\"m\"\":2}\"\n2,\ny,\n1,rubbish\n",
			want: map[string][]string{
				"n number":      {"<missing>", "1", "2", "<missing>", "1"},
				"_invalid text": {`{"n":"x","m":1}`, `{"m":2}`, "<missing>", `{"n":"y"}`, "<missing>"},
			},
		},
	} {
		t.Run(c.name, c.run)
	}
}

func TestSpoolJSONLines(t *testing.T) {
	t.Parallel()
	for _, c := range []spoolCase{
		{
			name: "inferred", file: "a.jsonl",
			content: `{"n":1,"s":"1","b":true,"at":"2026-11-21T10:00:00Z","v":[1,2.5],"o":{"a":1},"m":1}` + "\n\n" +
				`{"n":-2.5e3,"s":"ü\n","b":null,"at":"","v":[],"late":"x","m":"text"}` + "\r\n" +
				`{"v":null,"m":[1]}`,
			want: map[string][]string{
				"n number":      {"1", "-2500", "<missing>"},
				"s category":    {"1", "ü\n", "<missing>"},
				"b boolean":     {"true", "<missing>", "<missing>"},
				"at timestamp":  {"1795255200000000", "<missing>", "<missing>"},
				"v vector":      {"[1 2.5]", "[]", "<missing>"},
				"late category": {"<missing>", "x", "<missing>"},
				"m category":    {"1", "text", "<missing>"},
				"_invalid text": {"<missing>", "<missing>", `{"m":[1]}`},
			},
		},
		{
			name: "declared", file: "a.ndjson",
			opts: SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{
				{Name: "age", Type: modelwatch.TypeNumber, Minimum: ptr(0.0), Maximum: ptr(120.0)},
				{Name: "c", Type: modelwatch.TypeCategory},
				{Name: "ok", Type: modelwatch.TypeBoolean},
			}}},
			content: `{"age":"12","c":1.0,"ok":1}` + "\n" + `{"age":121,"c":false,"ok":true}` + "\n" + `{"age":"NA","c":{},"ok":"x"}` + "\n",
			want: map[string][]string{
				"age number":    {"<missing>", "<missing>", "<missing>"},
				"c category":    {"1.0", "false", "<missing>"},
				"ok boolean":    {"<missing>", "true", "<missing>"},
				"_invalid text": {`{"age":"12","ok":1}`, `{"age":121}`, `{"c":{},"ok":"x"}`},
			},
		},
	} {
		t.Run(c.name, c.run)
	}
}

func TestSpoolFormats(t *testing.T) {
	t.Parallel()
	csv := []byte("a,b\n1,x\n2,y\n")
	want := map[string][]string{"a number": {"1", "2"}, "b category": {"x", "y"}, "_invalid text": {"<missing>", "<missing>"}}
	var parquet bytes.Buffer
	s, err := spool(t, "a.csv", csv, SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	parquet.Write(b)
	for name, test := range map[string]struct {
		file    string
		content []byte
	}{
		"csv":                       {"a.csv", csv},
		"csv without a name":        {"", csv},
		"csv gzip":                  {"a.csv.gz", gzipped(csv)},
		"csv zstd":                  {"a", zstandard(csv)},
		"json lines":                {"a.jsonl", []byte("{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n")},
		"json lines without a name": {"upload", gzipped([]byte("{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n"))},
		"parquet":                   {"a.parquet", parquet.Bytes()},
		"parquet called csv":        {"a.csv", parquet.Bytes()},
		"parquet zstd":              {"a.parquet.zst", zstandard(parquet.Bytes())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := spool(t, test.file, test.content, SpoolOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, content(t, s)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := Spool(context.Background(), Source{Name: test.file, ReaderAt: bytes.NewReader(test.content), Size: int64(len(test.content))},
				SpoolOptions{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if again.SHA256 != s.SHA256 {
				t.Errorf("checksum %s by stream, %s by offset", s.SHA256, again.SHA256)
			}
			if diff := cmp.Diff(want, content(t, again)); diff != "" {
				t.Errorf("by offset (-want +got):\n%s", diff)
			}
		})
	}
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func zstandard(b []byte) []byte {
	var buf bytes.Buffer
	w, _ := zstd.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func TestSpoolErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, file, content, want string
		opts                      SpoolOptions
	}{
		{name: "empty", file: "a.csv", want: "a.csv is empty: a header"},
		{name: "ragged", file: "a.csv", content: "a,b\n1,2\n\"x\ny\",2\n1,2,3\n", want: "a.csv:5: 3 fields, the header has 2"},
		{name: "short", file: "a.csv", content: "a,b\n1\n", want: "a.csv:2: 1 fields, the header has 2"},
		{name: "quote", file: "a.csv", content: "a,b\n1,x\"y\n", want: "a.csv:2: column 4 of the line: bare \" in non-quoted"},
		{name: "open quote", file: "a.csv", content: "a,b\n1,\"xy\n", want: "a.csv:2: column 7 of the line"},
		{name: "long record", file: "a.csv", content: "a,b\n1,\"" + strings.Repeat("x", maxRecordBytes+1<<20), want: "is a quote left open?"},
		{name: "duplicate", file: "a.csv", content: "a,b,a\n1,2,3\n", want: `a.csv:1: the column "a" is there twice`},
		{name: "two parts", file: "a.csv", content: "a,_score\n1,2\n", opts: SpoolOptions{Mapping: modelwatch.ColumnMapping{Score: "a"}},
			want: `a.csv has two columns for _score: "a" and "_score"`},
		{name: "mapping", file: "a.csv", content: "a,b\n1,2\n", opts: SpoolOptions{Mapping: modelwatch.ColumnMapping{ID: "c"}},
			want: `a.csv has no column "c", which the mapping names as id; it has a, b`},
		{name: "score", file: "a.csv", content: "a,b\n1,2\n", opts: SpoolOptions{Mapping: modelwatch.ColumnMapping{Score: "p"}},
			want: `a.csv has neither a column "p", which the mapping names as score, nor any p_<class>; it has a, b`},
		{name: "wide", file: "a.csv", content: "a,b,c\n1,2,3\n", opts: SpoolOptions{MaxColumns: 2}, want: "a.csv has 3 columns: at most 2 are read"},
		{name: "utf-16", file: "a.csv", content: "\xff\xfea\x00,\x00", want: "UTF-16"},
		{name: "gzip", file: "a.csv.gz", content: "\x1f\x8brubbish", want: "unpack a.csv.gz"},
		{name: "cut gzip", file: "a.csv.gz", content: string(gzipped([]byte("a,b\n1,2\n"))[:20]), want: "a.csv.gz"},
		{name: "cut zstd", file: "a.csv.zst", content: string(zstandard([]byte("a,b\n1,2\n"))[:8]), want: "a.csv.zst:1: the packed file ends in the middle"},
		{name: "cut Parquet", file: "a.parquet.gz", content: string(gzipped(foreign(t, "arrow_not_finite"))[:300]), want: "a.parquet.gz: the packed file ends in the middle"},
		{name: "no lines", file: "a.jsonl", content: "", want: "a.jsonl is empty: a JSON object per line is wanted"},
		{name: "empty lines", file: "a.jsonl", content: "\n \n", want: "a.jsonl is empty"},
		{name: "json array", file: "a.json", content: "[{\"a\":1}]", want: "a.json:1: a JSON object is wanted, found \"[{\\\"a\\\":1}]\": write each element"},
		{name: "json syntax", file: "a.jsonl", content: "{\"a\":1}\n{\"a\":}\n", want: "a.jsonl:2"},
		{name: "json twice", file: "a.jsonl", content: "{\"a\":1,\"a\":2}\n", want: `a.jsonl:1: the name "a" is there twice`},
		{name: "json trailing", file: "a.jsonl", content: "{\"a\":1} {\"a\":2}\n", want: "a.jsonl:1: more follows"},
		{name: "json wide", file: "a.jsonl", content: "{\"a\":1}\n{\"b\":2}\n", opts: SpoolOptions{MaxColumns: 1}, want: "a.jsonl:2: more than 1 columns"},
		{name: "parquet", file: "a.parquet", content: "PAR1 rubbish", want: "a.parquet"},
		{name: "not parquet", file: "a.parquet", content: "a,b\n1,2\n", want: "not a parquet file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := spool(t, test.file, []byte(test.content), test.opts)
			if err == nil {
				t.Fatal("spooled")
			}
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s: %.400v\nwant invalid: ...%s...", modelwatch.ErrorCode(err), err, test.want)
			}
		})
	}
}

func TestSpoolParquet(t *testing.T) {
	t.Parallel()
	for _, c := range []spoolCase{
		{
			name: "as it is", file: "arrow_not_finite.parquet", content: string(foreign(t, "arrow_not_finite")),
			want: map[string][]string{
				"x number":  {"1", "NaN", "+Inf", "<missing>", "-5", "200"},
				"id number": {"1.152921504606847e+18", "1.152921504606847e+18", "1.152921504606847e+18", "1.152921504606847e+18", "1.152921504606847e+18", "1.152921504606847e+18"},
			},
		},
		{
			name: "ids are exact, ranges hold", file: "arrow_not_finite.parquet", content: string(foreign(t, "arrow_not_finite")),
			opts: SpoolOptions{Mapping: modelwatch.ColumnMapping{ID: "id"}, Schema: &modelwatch.Schema{Features: []modelwatch.Feature{
				{Name: "x", Type: modelwatch.TypeNumber, Minimum: ptr(0.0), Maximum: ptr(100.0)}}}},
			want: map[string][]string{
				"x number":      {"1", "NaN", "+Inf", "<missing>", "<missing>", "<missing>"},
				"_id category":  {"1152921504606846976", "1152921504606846977", "1152921504606846978", "1152921504606846979", "1152921504606846980", "1152921504606846981"},
				"_invalid text": {"<missing>", "<missing>", "<missing>", "<missing>", `{"x":-5}`, `{"x":200}`},
			},
		},
		{
			name: "other types", file: "arrow_odd_types.parquet", content: string(foreign(t, "arrow_odd_types")),
			opts: SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{
				{Name: "binary", Type: modelwatch.TypeNumber},
				{Name: "half", Type: modelwatch.TypeCategory},
				{Name: "longs", Type: modelwatch.TypeCategory},
				{Name: "n", Type: modelwatch.TypeBoolean},
				{Name: "uuid", Type: modelwatch.TypeTimestamp},
			}}},
			want: map[string][]string{
				"n boolean":      {"<missing>", "<missing>", "<missing>"},
				"binary number":  {"<missing>", "<missing>", "<missing>"},
				"half category":  {"1.5", "<missing>", "-2"},
				"longs category": {"<missing>", "<missing>", "<missing>"},
				"uuid timestamp": {"<missing>", "<missing>", "<missing>"},
				"_invalid text": {
					`{"n":"1.5","binary":"` + "\uFFFD" + `","longs":"a list","uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f"}`,
					`{"binary":"ok"}`, `{"n":"3","longs":"a list","uuid":"00000000-0000-0000-0000-000000000000"}`,
				},
			},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// What is spooled again is the same: types, values and what was invalid.
func TestSpoolTwice(t *testing.T) {
	t.Parallel()
	opts := SpoolOptions{Schema: &modelwatch.Schema{Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeNumber}}}}
	first, err := spool(t, "a.csv", []byte("n,c,v,_id,_time,_rank\nx,a,1,1,2026-11-21,5\n2,b,2,2,2026-11-22,6\ninf,,3,3,2026-11-23,7\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(first.Path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := spool(t, "b.parquet", b, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content(t, first), content(t, second)); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(first.Schema, second.Schema); diff != "" {
		t.Errorf("schema (-first +second):\n%s", diff)
	}
	if got := content(t, second)["_rank number"]; len(got) != 3 || got[0] != "5" {
		t.Errorf("ranks %v", got)
	}
}

func TestSpoolSchema(t *testing.T) {
	t.Parallel()
	s, err := spool(t, "a.csv", []byte("z,a,p,y,yhat,_attr_a,_tag_region,_score_x\n1,x,0.5,1,true,0.1,eu,1\n"), SpoolOptions{
		Schema: &modelwatch.Schema{
			Features: []modelwatch.Feature{{Name: "z", Type: modelwatch.TypeNumber, Unit: "m", Minimum: ptr(0.0)}},
			Columns:  modelwatch.ColumnMapping{Score: "p", Label: "y", Predicted: "yhat"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	want := modelwatch.Schema{
		Features: []modelwatch.Feature{
			{Name: "a", Type: modelwatch.TypeCategory},
			{Name: "z", Type: modelwatch.TypeNumber, Unit: "m", Minimum: ptr(0.0)},
		},
		Score: modelwatch.TypeNumber, Label: modelwatch.TypeNumber, Predicted: modelwatch.TypeBoolean,
		Classes: []string{"x"}, Attributions: []string{"a"}, Tags: []string{"region"},
		Columns: modelwatch.ColumnMapping{Score: "p", Label: "y", Predicted: "yhat"},
	}
	if diff := cmp.Diff(want, s.Schema); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// More rows than a chunk, in every format, come through whole and in order.
func TestSpoolManyRows(t *testing.T) {
	t.Parallel()
	const n = 2*RowGroupRows + 17
	var csv, jsonl bytes.Buffer
	csv.WriteString("i,c\n")
	for i := range n {
		fmt.Fprintf(&csv, "%d,c%d\n", i, i%1000)
		fmt.Fprintf(&jsonl, "{\"i\":%d,\"c\":\"c%d\"}\n", i, i%1000)
	}
	check := func(t *testing.T, file string, b []byte) *Spooled {
		calls, last := 0, int64(0)
		s, err := spool(t, file, b, SpoolOptions{Progress: func(_, rows int64) { calls++; last = rows }})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		row := 0
		err = r.Scan(context.Background(), []string{"c", "i"}, func(c *Chunk) error {
			for j := range c.Rows {
				if got, want := c.Columns[0].Text(j), fmt.Sprintf("c%d", row%1000); got != want || c.Columns[1].Floats[j] != float64(row) {
					return fmt.Errorf("row %d is %s, %v", row, got, c.Columns[1].Floats[j])
				}
				row++
			}
			return nil
		})
		if err != nil || row != n {
			t.Errorf("%d rows: %v", row, err)
		}
		if calls == 0 || last != n {
			t.Errorf("progress called %d times, last with %d rows", calls, last)
		}
		return s
	}
	for file, b := range map[string][]byte{"a.csv": csv.Bytes(), "a.jsonl": jsonl.Bytes()} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := check(t, file, b)
			parquet, err := os.ReadFile(s.Path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "a.parquet", parquet)
		})
	}
}

func TestSpoolStops(t *testing.T) {
	t.Parallel()
	var csv strings.Builder
	csv.WriteString("i\n")
	for i := range 100_000 {
		fmt.Fprintln(&csv, i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Spool(ctx, Source{Name: "a.csv", ReaderAt: strings.NewReader(csv.String()), Size: int64(csv.Len())},
		SpoolOptions{TempDir: t.TempDir(), Progress: func(_, _ int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolWide(t *testing.T) {
	t.Parallel()
	const columns = 1_500
	var csv strings.Builder
	for row := range 20 {
		for i := range columns {
			if i > 0 {
				csv.WriteByte(',')
			}
			if row == 0 {
				fmt.Fprintf(&csv, "column %d", i)
			} else {
				fmt.Fprintf(&csv, "%d", i*row)
			}
		}
		csv.WriteByte('\n')
	}
	s, err := spool(t, "a.csv", []byte(csv.String()), SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := spool(t, "a.parquet", b, SpoolOptions{MaxColumns: columns + 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := again.Reader()
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, r, "column 1499"); len(got) != 19 || got[18] != fmt.Sprint(1499*19) {
		t.Errorf("got %v", got)
	}
}

// A packed file that ends in the middle says which line it ends in.
func TestSpoolCutOff(t *testing.T) {
	t.Parallel()
	var csv, lines strings.Builder
	csv.WriteString("a,b\n")
	for i := range 50_000 {
		fmt.Fprintf(&csv, "%d,\"x%d\"\n", i*i, i*7919%50_000)
		fmt.Fprintf(&lines, "{\"a\":%d,\"b\":\"x%d\"}\n", i*i, i*7919%50_000)
	}
	for _, test := range []struct {
		name, text string
		packed     []byte
	}{
		{"a.csv.gz", csv.String(), gzipped([]byte(csv.String()))},
		{"a.csv.zst", csv.String(), zstandard([]byte(csv.String()))},
		{"a.jsonl.gz", lines.String(), gzipped([]byte(lines.String()))},
		{"a.jsonl.zst", lines.String(), zstandard([]byte(lines.String()))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := spool(t, test.name, test.packed[:len(test.packed)*2/3], SpoolOptions{})
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
				t.Fatalf("got %v", err)
			}
			var line int
			place, what, _ := strings.Cut(strings.TrimPrefix(err.Error(), test.name+":"), ": ")
			if _, err := fmt.Sscan(place, &line); err != nil || what != "the packed file ends in the middle: unexpected EOF" {
				t.Fatalf("got %v", err)
			}
			if total := strings.Count(test.text, "\n"); line < total/2 || line > total*5/6 {
				t.Errorf("cut at two thirds of %d lines, said to end in line %d", total, line)
			}
		})
	}
}
