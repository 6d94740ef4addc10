package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lz4Limit bounds what tests and the fuzz target decode.
const lz4Limit = 8 << 20

// lz4Library is what the library makes of frames. A reader of its own for each: it
// keeps linked blocks of the frames before.
func lz4Library(src []byte) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(lz4.NewReader(bytes.NewReader(src)), lz4Limit+1))
	if len(out) > lz4Limit {
		return nil, kgo.ErrMaxDecompress
	}
	return out, err
}

func lz4Compress(tb testing.TB, data []byte, options ...lz4.Option) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// lz4Linked is a frame of three linked blocks: one that is stored, and two that refer to
// what is 20 bytes back.
func lz4Linked() (frame, data []byte) {
	stored := []byte("0123456789abcdefghij")
	match := []byte{1<<4 | 8, 'x', 20, 0, 5 << 4, 'v', 'w', 'x', 'y', 'z'} // a literal, 12 bytes from 20 back, 5 literals
	frame = lz4Head(lz4Version, 4<<4, nil)
	frame = append(binary.LittleEndian.AppendUint32(frame, lz4Stored|uint32(len(stored))), stored...)
	data = append(data, stored...)
	for range 2 {
		frame = append(binary.LittleEndian.AppendUint32(frame, uint32(len(match))), match...)
		data = append(data, 'x')
		data = append(data, data[len(data)-20:][:12]...)
		data = append(data, "vwxyz"...)
	}
	return binary.LittleEndian.AppendUint32(frame, 0), data
}

// lz4Head makes the head of a frame, with the checksum that the library demands: the
// library's own is taken from a frame that it writes, or tried.
func lz4Head(flags, blocks byte, rest []byte) []byte {
	head := append(binary.LittleEndian.AppendUint32(nil, lz4Magic), flags, blocks)
	head = append(append(head, rest...), 0)
	for sum := range 256 {
		head[len(head)-1] = byte(sum)
		if ok, _ := lz4.ValidFrameHeader(head); ok {
			break
		}
	}
	return head
}

// lz4Sample is n bytes that compress to about a third.
func lz4Sample(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]byte, 0, n+16)
	for len(out) < n {
		if from := len(out) - random.IntN(70_000); from > 0 {
			out = append(out, out[from:min(from+8+random.IntN(20), len(out))]...)
		}
		for range random.IntN(8) {
			out = append(out, byte(random.IntN(256)))
		}
	}
	return out[:n]
}

// TestLZ4 decodes what producers write, whatever memory there is at first.
func TestLZ4(t *testing.T) {
	t.Parallel()
	small, large, noise := lz4Sample(1000), lz4Sample(5<<20), make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(noise) //nolint:errcheck // never fails
	linked, linkedData := lz4Linked()
	for _, test := range []struct {
		name        string
		frame, want []byte
	}{
		{"nothing", nil, nil},
		{"of nothing", lz4Compress(t, nil), nil},
		{"small", lz4Compress(t, small), small},
		{"blocks of 4 MB", lz4Compress(t, large), large},
		{"blocks of 64 KB", lz4Compress(t, large, lz4.BlockSizeOption(lz4.Block64Kb)), large},
		{"block checksums", lz4Compress(t, large, lz4.BlockSizeOption(lz4.Block256Kb), lz4.BlockChecksumOption(true)), large},
		{"no checksum", lz4Compress(t, small, lz4.ChecksumOption(false)), small},
		{"content size", lz4Compress(t, small, lz4.SizeOption(uint64(len(small)))), small},
		{"stored blocks", lz4Compress(t, noise, lz4.BlockSizeOption(lz4.Block64Kb)), noise},
		{"one byte many times", lz4Compress(t, make([]byte, 3<<20)), make([]byte, 3<<20)},
		{"two frames", append(lz4Compress(t, small), lz4Compress(t, noise)...), append(bytes.Clone(small), noise...)},
		{"linked blocks", linked, linkedData},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if want, err := lz4Library(test.frame); err != nil || !bytes.Equal(want, test.want) {
				t.Fatalf("the library: %d bytes, %v; want %d", len(want), err, len(test.want))
			}
			for _, ratio := range []int{0, 1, 20_000} {
				lent := new(buffers)
				lent.OnFetchBatchRead(kgo.BrokerMetadata{}, "t", 0, kgo.FetchBatchMetrics{CompressedBytes: 1000, UncompressedBytes: 1000 * ratio})
				d := lz4Decoder{lent: lent, limit: lz4Limit}
				if got, ok := d.decode(test.frame); !ok || !bytes.Equal(got, test.want) {
					t.Errorf("got %d bytes, %v; want %d", len(got), ok, len(test.want))
				}
			}
		})
	}
}

// TestLZ4Grows: a batch that becomes large is not copied with each of its blocks.
func TestLZ4Grows(t *testing.T) { // not parallel: it counts allocations
	data := make([]byte, 32<<20)
	frame := lz4Compress(t, data, lz4.BlockSizeOption(lz4.Block64Kb))
	allocations := testing.AllocsPerRun(1, func() {
		d := lz4Decoder{lent: new(buffers), limit: len(data)}
		if got, ok := d.decode(frame); !ok || !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, %v; want %d", len(got), ok, len(data))
		}
	})
	if allocations > 150 {
		t.Errorf("%g allocations", allocations)
	}
}

// TestLZ4Refused: what is left to the library, which refuses most of it, too.
func TestLZ4Refused(t *testing.T) {
	t.Parallel()
	data := lz4Sample(10_000)
	frame := lz4Compress(t, data)
	edit := func(at int, b byte) []byte {
		edited := bytes.Clone(frame)
		edited[at] = b
		return edited
	}
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'a', 'b'}, frame...)
	legacy := lz4Compress(t, data, lz4.LegacyOption(true))
	tooLarge := append(lz4Head(lz4Version|lz4Independent, 4<<4, nil), lz4Compress(t, make([]byte, 65<<10))[lz4HeaderSize:]...)
	for _, test := range []struct {
		name  string
		frame []byte
		reads bool // by the library
	}{
		{"skippable", skippable, true},
		{"legacy", legacy, true},
		{"another format", []byte("{\"kind\":\"prediction\"}"), false},
		{"another version", edit(4, frame[4]^lz4Version), false},
		{"a dictionary", edit(4, frame[4]|1), false},
		{"a reserved bit", edit(4, frame[4]|2), false},
		{"blocks of another size", edit(5, 3<<4), false},
		{"cut off", frame[:len(frame)-5], false},
		{"cut off in the head", frame[:5], false},
		{"cut off in a block", frame[:1000], false},
		{"no checksum at the end", frame[:len(frame)-4], false},
		{"something behind", append(bytes.Clone(frame), 1, 2, 3), false},
		{"a block that becomes too large", tooLarge, false},
		{"a wrong content size", lz4Sized(data), false},
		{"too much in all", lz4Compress(t, make([]byte, lz4Limit+1)), false},
	} {
		d := lz4Decoder{lent: new(buffers), limit: lz4Limit}
		if _, ok := d.decode(test.frame); ok {
			t.Errorf("%s: it was decoded", test.name)
		}
		if got, err := lz4Library(test.frame); (err == nil && bytes.Equal(got, data)) != test.reads {
			t.Errorf("%s: the library reads %d bytes, %v; want %v", test.name, len(got), err, test.reads)
		}
	}
	d := lz4Decoder{lent: new(buffers), limit: lz4Limit}
	if got, ok := d.decode(edit(6, ^frame[6])); !ok || !bytes.Equal(got, data) {
		t.Error("a frame with a wrong header checksum, which old clients write, was not decoded")
	}
}

// lz4Sized is a frame that says to have a byte less than it has.
func lz4Sized(data []byte) []byte {
	frame := lz4Head(lz4Version|lz4Independent|lz4ContentSize, 4<<4, binary.LittleEndian.AppendUint64(nil, uint64(len(data)-1)))
	frame = append(binary.LittleEndian.AppendUint32(frame, lz4Stored|uint32(len(data))), data...)
	return binary.LittleEndian.AppendUint32(frame, 0)
}

// FuzzLZ4: what is decoded, the library decodes to the same, but for checksums; what
// the library decodes is decoded, but for kinds of frames that producers do not write.
func FuzzLZ4(f *testing.F) {
	data := lz4Sample(3000)
	linked, _ := lz4Linked()
	for _, frame := range [][]byte{
		lz4Compress(f, data), lz4Compress(f, data, lz4.BlockChecksumOption(true)), lz4Compress(f, data, lz4.ChecksumOption(false)),
		lz4Compress(f, data, lz4.SizeOption(uint64(len(data)))), lz4Compress(f, make([]byte, 100_000), lz4.BlockSizeOption(lz4.Block64Kb)),
		append(lz4Compress(f, data[:50]), lz4Compress(f, data[:70])...), linked, lz4Sized(data),
	} {
		f.Add(frame)
	}
	lent := new(buffers)
	f.Fuzz(func(t *testing.T, src []byte) {
		d := lz4Decoder{lent: lent, limit: lz4Limit}
		src = lz4Signed(src)
		got, ok := d.decode(src)
		want, err := lz4Library(src)
		sums := errors.Is(err, lz4.ErrInvalidHeaderChecksum) || errors.Is(err, lz4.ErrInvalidBlockChecksum) || errors.Is(err, lz4.ErrInvalidFrameChecksum)
		switch {
		case ok && (!bytes.HasPrefix(got, want) || err == nil && len(got) != len(want)):
			t.Errorf("got %d bytes that are not the library's %d, %v", len(got), len(want), err)
		case ok && err != nil && !sums:
			t.Errorf("got %d bytes, the library: %v", len(got), err)
		case !ok && err == nil && !lz4Odd(src):
			t.Errorf("refused, the library makes %d bytes of it", len(want))
		}
		if ok {
			lent.PutDecompressBytes(got)
		}
	})
}

// lz4Signed gives the first frame of src the checksum of its head that the library
// demands.
func lz4Signed(src []byte) []byte {
	_, rest, ok := parseLZ4(src)
	if !ok {
		return src
	}
	n := len(src) - len(rest)
	return append(lz4Head(src[4], src[5], src[6:n-1]), rest...)
}

// lz4Odd reports that there may be a legacy or a skippable frame.
func lz4Odd(src []byte) bool {
	for _, magic := range [][]byte{{0x02, 0x21, 0x4c, 0x18}, {0x2a, 0x4d, 0x18}} {
		if bytes.Contains(src, magic) {
			return true
		}
	}
	return false
}
