package table

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"
)

const (
	kindInt32  = parquet.Int32
	kindInt64  = parquet.Int64
	kindFloat  = parquet.Float
	kindDouble = parquet.Double
)

// formatEncodings are all that a page may name, and one that it may not.
var formatEncodings = map[format.Encoding]bool{
	//nolint:staticcheck // deprecated for writers; files of old writers name it
	format.Plain: true, format.PlainDictionary: true, format.RLE: true, format.BitPacked: true, format.DeltaBinaryPacked: true,
	format.DeltaLengthByteArray: true, format.DeltaByteArray: true, format.RLEDictionary: true, format.ByteStreamSplit: true, 99: true,
}

// The decoders are the inverse of the library's encoders.
func TestDecodersInvert(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ints := rapid.SliceOf(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-5, 5), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0}))).Draw(t, "ints")
		b, err := (&delta.BinaryPackedEncoding{}).EncodeInt64(nil, ints)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int64, len(ints))
		if err := decodeInts(parquet.Int64, format.DeltaBinaryPacked, b, got); err != nil || !slices.Equal(ints, got) {
			t.Fatalf("delta: got %v, want %v: %v", got, ints, err)
		}
		floats := make([]float64, len(ints))
		for i, v := range ints {
			floats[i] = float64(v) / 3
		}
		b, err = (&bytestreamsplit.Encoding{}).EncodeDouble(nil, floats)
		if err != nil {
			t.Fatal(err)
		}
		gotFloats := make([]float64, len(ints))
		if err := decodeFloats(parquet.Double, format.ByteStreamSplit, b, gotFloats); err != nil || !slices.Equal(floats, gotFloats) {
			t.Fatalf("split: got %v, want %v: %v", gotFloats, floats, err)
		}
		width := rapid.IntRange(1, 31).Draw(t, "width")
		index := rapid.SliceOf(rapid.Custom(func(t *rapid.T) int32 {
			return rapid.Int32Range(0, int32(uint32(1)<<width-1)).Draw(t, "index") * int32(rapid.IntRange(0, 1).Draw(t, "or none"))
		})).Draw(t, "indexes")
		b, err = (&rle.Encoding{BitWidth: width}).EncodeInt32(nil, index)
		if err != nil {
			t.Fatal(err)
		}
		gotIndex := make([]int32, len(index))
		if err := decodeHybrid(b, width, gotIndex); err != nil || !slices.Equal(index, gotIndex) {
			t.Fatalf("width %d: got %v, want %v: %v", width, gotIndex, index, err)
		}
	})
}

func TestDecodersOfTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.StringOfN(rapid.RuneFrom([]rune("abü")), 0, 6, -1)).Draw(t, "texts")
		slices.Sort(texts)
		var data []byte
		offsets := []uint32{0}
		for _, s := range texts {
			data = append(data, s...)
			offsets = append(offsets, uint32(len(data)))
		}
		for enc, encoder := range map[format.Encoding]interface {
			EncodeByteArray(dst, src []byte, offsets []uint32) ([]byte, error)
		}{format.DeltaByteArray: &delta.ByteArrayEncoding{}, format.DeltaLengthByteArray: &delta.LengthByteArrayEncoding{}, format.Plain: &parquet.Plain} {
			b, err := encoder.EncodeByteArray(nil, data, offsets)
			if err != nil {
				t.Fatal(err)
			}
			var s spans
			if err := s.decode(enc, b, 0, len(texts)); err != nil {
				t.Fatalf("%s: %v", enc, err)
			}
			for i, want := range texts {
				if got := string(s.value(i)); got != want {
					t.Fatalf("%s: value %d is %q, want %q", enc, i, got, want)
				}
			}
		}
	})
}

// Runs as the format has them: the value of a run of booleans is 1, in a byte.
func TestDecodeBoolRuns(t *testing.T) {
	t.Parallel()
	out := make([]uint8, 21)
	// 9 true, 8 packed bits 0b10110010, 4 false
	data := []byte{9 << 1, 1, 1<<1 | 1, 0b10110010, 4 << 1, 0}
	if err := decodeBools(format.RLE, append([]byte{byte(len(data)), 0, 0, 0}, data...), out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint8{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0}, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Data that claim more than they hold are an error, and nothing is allocated for the claim.
func TestDecodersOfClaims(t *testing.T) {
	t.Parallel()
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	for name, decode := range map[string]func() error{
		"a run of a value without bytes": func() error { return decodeHybrid([]byte{8, 1}, 9, make([]int32, 4)) },
		"packed values":                  func() error { return decodeHybrid(append(slices.Clone(huge), 1), 8, make([]int32, 100)) },
		"no values":                      func() error { return decodeHybrid(nil, 1, make([]uint8, 1)) },
		"wide values":                    func() error { return decodeHybrid([]byte{2, 0}, 33, make([]int32, 1)) },
		"delta values":                   func() error { _, err := decodeDelta(append([]byte{0x80, 1, 4}, huge...), make([]int64, 3)); return err },
		"delta blocks of nothing":        func() error { _, err := decodeDelta([]byte{0x80, 1, 0, 3, 0}, make([]int64, 3)); return err },
		"delta blocks without end":       func() error { _, err := decodeDelta(append(slices.Clone(huge), 4, 3, 0), make([]int64, 3)); return err },
		"a text": func() error {
			return new(spans).decode(format.Plain, []byte{255, 255, 255, 255, 'a'}, 0, 1)
		},
		"a shared prefix": func() error {
			return new(spans).decode(format.DeltaByteArray, []byte{0x80, 1, 4, 1, 20, 0x80, 1, 4, 1, 2, 'a'}, 0, 1)
		},
		"fixed values": func() error { return new(spans).decode(format.Plain, make([]byte, 23), 12, 2) },
		"floats": func() error {
			return decodeFloats(parquet.Double, format.ByteStreamSplit, make([]byte, 15), make([]float64, 2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := decode(); err == nil {
				t.Error("decoded")
			}
		})
	}
	out := make([]uint8, 3)
	if err := decodeHybrid([]byte{0xfe, 0xff, 0xff, 0xff, 0x0e, 1}, 1, out); err != nil || fmt.Sprint(out) != "[1 1 1]" {
		t.Errorf("a run longer than the page: %v, %v", out, err)
	}
}
