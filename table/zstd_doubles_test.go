package table

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// doubleKinds are columns of the kinds that models are given, from 64 random bits a value.
var doubleKinds = []struct {
	name  string
	value func(u uint64) float64
}{
	{"four digits", func(u uint64) float64 { return float64(u>>32*10_000_000>>32) / 1e4 }},
	{"bell", func(u uint64) float64 { return float64(int64(u&0xffff+u>>16&0xffff+u>>32&0xffff+u>>48)-2*0xffff) / 1e4 }},
	{"long tail", func(u uint64) float64 { return float64(200_000*(u>>48)/(u&0xffff+1)) / 1e4 }},
	{"few integers", func(u uint64) float64 { return float64(u >> 32 * 500 >> 32) }},
	{"full precision", func(u uint64) float64 { return float64(u>>11) / (1 << 53) }},
	{"cents", func(u uint64) float64 { return float64(u>>32*100_000>>32) / 100 }},
	{"single precision", func(u uint64) float64 { return float64(float32(u>>40) / (1 << 24)) }},
	{"constant", func(uint64) float64 { return 1 }},
	{"mostly zero", func(u uint64) float64 {
		if u%10 > 0 {
			return 0
		}
		return float64(u>>32*10_000_000>>32) / 1e4
	}},
	{"integers", func(u uint64) float64 { return float64(u >> 40) }},
}

func doublesOf(kind int, n int) []float64 {
	r := rand.New(rand.NewPCG(1, uint64(kind)))
	values := make([]float64, n)
	for i := range values {
		values[i] = doubleKinds[kind].value(r.Uint64())
	}
	return values
}

func unpackFrame(t testing.TB, frame []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A page of doubles takes no more room than the general compressor leaves of it.
func TestDoublesPacker(t *testing.T) {
	t.Parallel()
	general := packers.Get().(*packer)
	defer packers.Put(general)
	var p doublesPacker
	for kind, k := range doubleKinds {
		for _, n := range []int{1, 2, 10, 1_000, RowGroupRows, 3*RowGroupRows + 1} {
			for _, from := range []int{0, 9, 200, 2*blockBytes + 1} {
				head, values := bytes.Repeat([]byte{7}, from), doublesOf(kind, n)
				page := appendDoubles(bytes.Clone(head), values)
				frame := p.pack(nil, head, values)
				if !bytes.Equal(unpackFrame(t, frame), page) {
					t.Fatalf("%s, %d rows from byte %d: it unpacks to something else", k.name, n, from)
				}
				if n == RowGroupRows && from == 9 {
					g := len(general.general.EncodeAll(page, nil))
					t.Logf("%-16s %5.2f %5.2f bytes a value", k.name, float64(len(frame))/float64(n), float64(g)/float64(n))
					if len(frame) > g+g/100 {
						t.Errorf("%s: %d bytes, the general compressor leaves %d", k.name, len(frame), g)
					}
				}
			}
		}
	}
}

// A block that is written as it is has no say in which distance the next may repeat.
func TestDoublesPackerRepeats(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	noise := func() float64 { return math.Float64frombits(r.Uint64() >> 2) }
	values := doublesOf(0, blockValues)
	for range blockValues {
		values = append(values, noise())
	}
	copy(values[blockValues+100:][:3], values[blockValues+95:]) // which is the last distance of the block
	for i := range blockValues {
		if i < 5 {
			values = append(values, noise())
		} else {
			values = append(values, values[len(values)-5])
		}
	}
	var p doublesPacker
	if !bytes.Equal(unpackFrame(t, p.pack(nil, nil, values)), appendDoubles(nil, values)) {
		t.Error("it unpacks to something else")
	}
}

func TestDoublesPackerInverts(t *testing.T) {
	t.Parallel()
	var p doublesPacker
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "levels")
		few := rapid.SliceOfN(rapid.Uint64(), 1, 6).Draw(t, "values")
		masks := rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 0xff, 1 << 39, 0xffffffff << 32, 0xff << 56, math.MaxUint64}), 3, 3).Draw(t, "mask of each block")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		values := make([]float64, rapid.IntRange(0, 40_000).Draw(t, "rows"))
		seldom := rapid.SampledFrom([]int{1, 2, 10, 1000}).Draw(t, "seldom") // is a value masked
		for i := range values {
			bits := few[i%len(few)]
			if r.IntN(seldom) == 0 {
				bits = few[r.IntN(len(few))] ^ r.Uint64()&masks[i/blockValues]
			}
			values[i] = math.Float64frombits(bits)
		}
		page := appendDoubles(bytes.Clone(head), values)
		frame := p.pack(nil, head, values)
		d, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if out, err := d.DecodeAll(frame, nil); err != nil || !bytes.Equal(out, page) {
			t.Fatalf("it unpacks to something else: %v", err)
		}
	})
}

func BenchmarkPackDoubles(b *testing.B) {
	general := packers.Get().(*packer)
	defer packers.Put(general)
	for kind, k := range doubleKinds {
		values := doublesOf(kind, RowGroupRows)
		page := appendDoubles(nil, values)
		var p doublesPacker
		for name, pack := range map[string]func([]byte) []byte{
			"ours":    func(dst []byte) []byte { return p.pack(dst, nil, values) },
			"general": func(dst []byte) []byte { return general.general.EncodeAll(page, dst) },
		} {
			b.Run(fmt.Sprintf("%s/%s", k.name, name), func(b *testing.B) {
				var out []byte
				for b.Loop() {
					out = pack(out[:0])
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*RowGroupRows), "ns/value")
				b.ReportMetric(float64(len(out))/RowGroupRows, "B/value")
			})
		}
	}
}

// TestSymbolTableHasRoomForAll: however few sequences there are, each of their codes
// has a state, and the states are all given away.
func TestSymbolTableHasRoomForAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := make([]uint32, maxSymbols)
		total := 0
		most := rapid.SampledFrom([]uint32{1, 2, 1000}).Draw(t, "most")
		for i := range rapid.IntRange(2, maxSymbols).Draw(t, "used") {
			counts[i] = rapid.Uint32Range(1, most).Draw(t, "n")
			total += int(counts[i])
		}
		var s symbolTable
		s.make(counts, total)
		sum := 0
		for i, n := range counts {
			if n > 0 && s.norm[i] < 1 {
				t.Fatalf("symbol %d of %v has no state", i, counts)
			}
			sum += int(s.norm[i])
		}
		if sum != 1<<s.log {
			t.Fatalf("%d states given away of %d", sum, 1<<s.log)
		}
	})
}
