package table

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// remote counts the reads of an object and can fail from one on.
type remote struct {
	*bytes.Reader
	mu    sync.Mutex
	reads int
	bytes int64
	fail  int // the read that fails, from 1
}

var errGone = errors.New("connection reset")

func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	r.bytes += int64(len(p))
	if r.reads == r.fail {
		return 0, errGone
	}
	return r.Reader.ReadAt(p, off)
}

// A column of a remote object costs one read per row group, whatever its pages.
func TestOneReadPerColumnChunk(t *testing.T) {
	t.Parallel()
	b := foreign(t, "arrow_none_small_pages") // 3 row groups, pages of 256 bytes
	object := &remote{Reader: bytes.NewReader(b)}
	r, err := OpenParquet(object, object.Size())
	if err != nil {
		t.Fatal(err)
	}
	for columns, want := range map[string]int{"double": 3, "double id": 6, "double id category vector": 12} {
		object.reads = 0
		if err := r.Scan(t.Context(), strings.Fields(columns), func(*Chunk) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if object.reads != want {
			t.Errorf("%s: %d reads, want %d", columns, object.reads, want)
		}
	}
}

// A column chunk larger than the window is read in windows, each byte about once.
func TestWindows(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	c := Column{Name: "c", Type: modelwatch.TypeText}
	for i := range 5_000 {
		text := make([]byte, 300)
		for j := range text {
			text[j] = byte(rng.IntN(256))
		}
		c.Dict, c.Index = append(c.Dict, hex.EncodeToString(text)), append(c.Index, int32(i))
	}
	b := encodeChunks(t, []ColumnInfo{{Name: "c", Type: modelwatch.TypeText}}, &Chunk{Rows: 5_000, Columns: []Column{c}})
	object := &remote{Reader: bytes.NewReader(b)}
	r, err := OpenParquet(object, object.Size())
	if err != nil {
		t.Fatal(err)
	}
	s := newScan(r, []string{"c"}, 1)
	s.cursors[0].window = 20_000
	object.reads, object.bytes = 0, 0
	n := 0
	err = s.run(t.Context(), func(got *Chunk) error {
		for i := range got.Rows {
			if got.Columns[0].Text(i) != c.Dict[n+i] {
				return fmt.Errorf("row %d is %s", n+i, got.Columns[0].Text(i))
			}
		}
		n += got.Rows
		return nil
	})
	if err != nil || n != 5_000 {
		t.Errorf("%d rows: %v", n, err)
	}
	if object.reads < 4 || object.reads > 12 || object.bytes > int64(len(b))*5/4 {
		t.Errorf("%d reads of %d bytes, the file has %d", object.reads, object.bytes, len(b))
	}
}

// When the source fails, the error is the source's, not one of a malformed file.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	b := foreign(t, "arrow_snappy")
	for fail := 1; fail <= 6; fail++ {
		object := &remote{Reader: bytes.NewReader(b), fail: fail}
		r, err := OpenParquet(object, object.Size())
		if err == nil {
			err = r.ScanColumn(t.Context(), "double", func(int, *Column) error { return nil })
		}
		if err == nil {
			if fail <= 2 {
				t.Errorf("failure of read %d was not noticed", fail)
			}
			continue
		}
		if !errors.Is(err, errGone) || modelwatch.ErrorCode(err) == modelwatch.CodeInvalid {
			t.Errorf("read %d: got %s: %v", fail, modelwatch.ErrorCode(err), err)
		}
	}
}

func TestScanEnds(t *testing.T) {
	t.Parallel()
	chunk, _ := everyTypeChunk(0, 10)
	r := write(t, everyType(), chunk)
	enough := errors.New("enough")
	if err := r.Scan(t.Context(), []string{"n", "c"}, func(*Chunk) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Scan(ctx, []string{"n"}, func(*Chunk) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// footer makes a file of nothing but a footer.
func footer(t *testing.T, meta *format.FileMetaData) []byte {
	t.Helper()
	b, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		t.Fatal(err)
	}
	return framed(b)
}

func framed(b []byte) []byte {
	n := len(b)
	out := append([]byte("PAR1"), b...)
	return append(append(out, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)), "PAR1"...)
}

// A footer can state anything. What it states is not allocated, followed or believed.
func TestHostileFooters(t *testing.T) {
	t.Parallel()
	meta := func(change func(*format.FileMetaData)) []byte {
		b := foreign(t, "arrow_required")
		f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		m := *f.Metadata()
		change(&m)
		return footer(t, &m)
	}
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"a list of two billion":    {framed([]byte{0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07}), "a list of"},
		"a text of two billion":    {framed([]byte{0x18, 0xff, 0xff, 0xff, 0xff, 0x07}), "ends within"},
		"without end":              {framed(bytes.Repeat([]byte{0x1c}, 10_000)), "nests too deep"},
		"rows without end":         {meta(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 1 << 50; m.NumRows = 1 << 50 }), "at most"},
		"negative rows":            {meta(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }), "has -1 rows"},
		"other rows":               {meta(func(m *format.FileMetaData) { m.NumRows = 7 }), "7 in its footer"},
		"pages outside":            {meta(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = 1 << 40 }), "pages from byte"},
		"pages of negative length": {meta(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = -5 }), "pages from byte"},
		"pages elsewhere":          {meta(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "other.parquet" }), "another file"},
		"fewer columns":            {meta(func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[:1] }), "has 1 columns"},
		"more columns": {meta(func(m *format.FileMetaData) {
			m.RowGroups[0].Columns = append(m.RowGroups[0].Columns, m.RowGroups[0].Columns[0])
		}), "has 3 columns"},
		"row groups twice":     {framed([]byte{0x49, 0x0c, 0x09, 0x08, 0x0c, 0}), "twice"},
		"row groups of a kind": {framed([]byte{0x48, 0x00, 0}), "malformed"},
		"no row groups":        {framed([]byte{0x15, 0x02, 0x26, 0x00, 0}), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := readAll(test.b)
			if err == nil {
				t.Fatal("read")
			}
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s: %.300v, want invalid: ...%s...", modelwatch.ErrorCode(err), err, test.want)
			}
		})
	}
}

// A page that unpacks to more than it states is refused.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 1<<20)
	for name, codec := range map[string]struct {
		codec  format.CompressionCodec
		packed []byte
	}{"zstd": {format.Zstd, zstandard(zeros)}, "gzip": {format.Gzip, gzipped(zeros)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var u unpackers
			if out, err := u.decode(codec.codec, codec.packed, nil, len(zeros)); err != nil || len(out) != len(zeros) {
				t.Errorf("%d bytes: %v", len(out), err)
			}
			for _, size := range []int{1, 1000, len(zeros) - 1, len(zeros) + 1} {
				if _, err := u.decode(codec.codec, codec.packed, nil, size); err == nil {
					t.Errorf("unpacked to %d bytes", size)
				}
			}
		})
	}
}

func TestWriterMisuse(t *testing.T) {
	t.Parallel()
	number := []ColumnInfo{{Name: "n", Type: modelwatch.TypeNumber}}
	for name, test := range map[string]struct {
		columns []ColumnInfo
		chunk   *Chunk
		want    string
	}{
		"type":             {columns: []ColumnInfo{{Name: "n", Type: "money"}}, want: `unknown type "money"`},
		"twice":            {columns: append(number, number...), want: `column "n" is there twice`},
		"unknown":          {number, &Chunk{Rows: 1, Columns: []Column{{Name: "m", Floats: []float64{1}}}}, `column "m" is not one of the file's 1 columns`},
		"length":           {number, &Chunk{Rows: 2, Columns: []Column{{Name: "n", Floats: []float64{1}}}}, `column "n" has 1 values`},
		"length of a part": {number, &Chunk{Rows: 2 * RowGroupRows, Columns: []Column{{Name: "n", Floats: make([]float64, RowGroupRows)}}}, "values and 0 validities for 65536 rows"},
		"validity":         {number, &Chunk{Rows: 1, Columns: []Column{{Name: "n", Floats: []float64{1}, Valid: []bool{}}}}, `0 validities for 1 rows`},
		"index": {[]ColumnInfo{{Name: "c", Type: modelwatch.TypeCategory}},
			&Chunk{Rows: 1, Columns: []Column{{Name: "c", Dict: []string{"a"}, Index: []int32{1}}}}, "index 1 into a dictionary of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := NewWriter(io.Discard, test.columns, nil)
			if err == nil {
				err = w.Write(test.chunk)
				if again := w.Close(); again == nil {
					t.Error("a file that failed was closed as if whole")
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want ...%s...", err, test.want)
			}
		})
	}
	t.Run("after close", func(t *testing.T) {
		t.Parallel()
		w, err := NewWriter(io.Discard, number, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&Chunk{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a sink that fails", func(t *testing.T) {
		t.Parallel()
		if _, err := NewWriter(failing{}, number, nil); !errors.Is(err, errGone) {
			t.Errorf("got %v", err)
		}
	})
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errGone }

// A dictionary that holds a text twice, against the contract, is still written right.
func TestWriterDuplicateDictionary(t *testing.T) {
	t.Parallel()
	c := Column{Name: "c", Type: modelwatch.TypeCategory, Dict: []string{"a", "b", "a"}, Index: []int32{0, 1, 2, 0, 1, 2, 2, 2}}
	r := write(t, []ColumnInfo{{Name: "c", Type: modelwatch.TypeCategory}}, &Chunk{Rows: 8, Columns: []Column{c}})
	if got := strings.Join(rows(t, r, "c"), ""); got != "abaabaaa" {
		t.Errorf("got %s", got)
	}
}
