package table

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// fuzzSchema declares a column of every type, so that every conversion is met.
func fuzzSchema() *modelwatch.Schema {
	return &modelwatch.Schema{Features: []modelwatch.Feature{
		{Name: "bool", Type: modelwatch.TypeNumber},
		{Name: "c", Type: modelwatch.TypeCategory},
		{Name: "category", Type: modelwatch.TypeTimestamp},
		{Name: "double", Type: modelwatch.TypeNumber, Minimum: ptr(1.0), Maximum: ptr(50.0)},
		{Name: "int64", Type: modelwatch.TypeCategory},
		{Name: "n", Type: modelwatch.TypeNumber, Minimum: ptr(0.0)},
		{Name: "v", Type: modelwatch.TypeVector},
	}}
}

// fuzzSpool spools what the fuzzer made and, where that succeeds, reads the
// result: it has to be whole, and to spool again to the same rows.
func fuzzSpool(t *testing.T, format Format, b []byte) {
	for _, schema := range []*modelwatch.Schema{nil, fuzzSchema()} {
		opts := SpoolOptions{TempDir: t.TempDir(), MaxColumns: 100, Schema: schema}
		s, err := Spool(context.Background(), Source{Name: "fuzz", ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Format: format}, opts)
		if err != nil {
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
				t.Fatalf("got %s: %v, want invalid", modelwatch.ErrorCode(err), err)
			}
			continue
		}
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Columns {
			if got := rows(t, r, c.Name); int64(len(got)) != s.Rows {
				t.Fatalf("%q has %d rows of %d", c.Name, len(got), s.Rows)
			}
		}
		again, err := Spool(context.Background(), Source{Name: s.Path, ReaderAt: s.file, Size: size(t, s)}, opts)
		if err != nil {
			t.Fatalf("spool again: %v", err)
		}
		if again.Rows != s.Rows {
			t.Fatalf("%d rows, again %d", s.Rows, again.Rows)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func size(t *testing.T, s *Spooled) int64 {
	info, err := s.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"n,c,b\n1,x,true\n-2.5e3,\"y, \"\"z\"\"\",False\nNaN,,NA\n",
		"\xef\xbb\xbfn;v\r\n0;\"[1,2]\"\r\n",
		"n\t_invalid\n1\t\"{\"\"a\"\":1}\"\n",
		"n,n\n", "n\n\"", "", "\n\n", "a,b\n1\n", "n\n1e999\ninf\n", ",a\n,\n", "\xff\n\xff\n",
		"_id,_time,_rank,_score_a\n1,2026-11-21,7,x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzSpool(t, FormatCSV, b) })
}

func FuzzJSONLines(f *testing.F) {
	for _, seed := range []string{
		"{\"n\":1,\"c\":\"x\",\"v\":[1,2.5],\"o\":{}}\n\n{\"n\":-2.5e3,\"c\":null}",
		"\xef\xbb\xbf{}", "[1]", "{\"n\":1e999}", "{\"n\":\"NaN\",\"_invalid\":\"{\\\"a\\\":1}\"}", "{\"\":1}", "{\"n\":1}{\"n\":2}", "{\"n\":", "{\"\\ud800\":1}",
		"{\"_id\":7,\"_time\":1795255200,\"_rank\":1.5}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzSpool(t, FormatJSONLines, b) })
}

func FuzzParquet(f *testing.F) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 5_000 { // the others are slow to mutate
			f.Add(b)
		}
	}
	chunk, _ := everyTypeChunk(0, 20)
	f.Add(encodeChunks(f, everyType(), chunk))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := readAll(b); err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Fatalf("got %s: %v, want invalid", modelwatch.ErrorCode(err), err)
		}
		fuzzSpool(t, FormatParquet, b)
	})
}

// FuzzValues decodes bytes as every encoding: none may panic or outgrow what it is asked for.
func FuzzValues(f *testing.F) {
	f.Add([]byte{0x80, 1, 4, 5, 2, 1, 0, 0, 0, 0}, 5, 3)
	f.Add([]byte{3, 0xff, 0x0f, 4, 1}, 9, 1)
	f.Fuzz(func(t *testing.T, b []byte, n, width int) {
		if n < 0 || n > 10_000 {
			return
		}
		_ = decodeHybrid(b, width, make([]uint8, n))
		_ = decodeHybrid(b, width, make([]int32, n))
		for enc := range formatEncodings {
			_ = decodeInts(kindInt32, enc, b, make([]int64, n))
			_ = decodeInts(kindInt64, enc, b, make([]int64, n))
			_ = decodeFloats(kindFloat, enc, b, make([]float64, n))
			_ = decodeFloats(kindDouble, enc, b, make([]float64, n))
			_ = decodeBools(enc, b, make([]uint8, n))
			var s spans
			for _, size := range []int{0, 1, 12} {
				if s.decode(enc, b, size, n) == nil {
					for i := range n {
						_ = s.value(i)
					}
				}
			}
		}
	})
}
