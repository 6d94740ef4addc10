package table

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// The encodings of Parquet's values, decoded under the limit that the page
// states. Hostile bytes can neither make them allocate more than that nor panic;
// the library's own decoders allocate what runs and headers within the data claim.

func errShort(what string, want, have int) error {
	return fmt.Errorf("%s: %d bytes are wanted, %d are there", what, want, have)
}

// decodeHybrid fills out from runs of equal values and of bit-packed ones:
// levels, indexes, booleans. width is the number of bits of a value.
func decodeHybrid[T uint8 | int32](data []byte, width int, out []T) error {
	if width < 0 || width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	size := (width + 7) / 8
	for len(out) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return fmt.Errorf("runs: %d values are missing", len(out))
		}
		data = data[n:]
		if head&1 == 0 {
			if len(data) < size {
				return errShort("a run", size, len(data))
			}
			var word [4]byte
			copy(word[:], data[:size])
			data = data[size:]
			run := out[:min(uint64(len(out)), head>>1)]
			repeat(run, T(binary.LittleEndian.Uint32(word[:])))
			out = out[len(run):]
			continue
		}
		groups := head >> 1
		run := out[:min(uint64(len(out)), 8*min(groups, math.MaxInt32))]
		need := (len(run)*width + 7) / 8
		if need > len(data) {
			return errShort("packed values", need, len(data))
		}
		unpack(data, width, run)
		data = data[min(uint64(len(data)), groups*uint64(width)):]
		out = out[len(run):]
	}
	return nil
}

// repeat fills a slice, doubling what is filled: copying is faster than storing one by one.
func repeat[T any](dst []T, value T) {
	if len(dst) == 0 {
		return
	}
	dst[0] = value
	for n := 1; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// unpack reads values of width bits, least significant bit first; data has enough of them.
func unpack[T uint8 | int32](data []byte, width int, out []T) {
	mask := uint64(1)<<width - 1
	i, bit := 0, 0
	if width <= 14 { // four values are in one word, wherever they begin in its first byte
		shift := uint(width) & 63
		for ; i+4 <= len(out) && bit>>3+8 <= len(data); i += 4 {
			word := binary.LittleEndian.Uint64(data[bit>>3:]) >> (bit & 7)
			four := out[i : i+4 : i+4]
			four[0] = T(word & mask)
			word >>= shift
			four[1] = T(word & mask)
			word >>= shift
			four[2] = T(word & mask)
			four[3] = T(word >> shift & mask)
			bit += 4 * width
		}
	}
	for ; i < len(out) && bit>>3+8 <= len(data); i++ {
		out[i] = T(binary.LittleEndian.Uint64(data[bit>>3:]) >> (bit & 7) & mask)
		bit += width
	}
	for ; i < len(out); i++ {
		var word [8]byte
		copy(word[:], data[bit>>3:])
		out[i] = T(binary.LittleEndian.Uint64(word[:]) >> (bit & 7) & mask)
		bit += width
	}
}

// decodeDelta reads DELTA_BINARY_PACKED integers and returns what follows them.
// Sums wrap around, as the format has it for both widths and for unsigned ones.
func decodeDelta(data []byte, out []int64) (rest []byte, err error) {
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errShort("a delta header", 1, len(data))
		}
		head[i], data = v, data[n:]
	}
	block, minis, total := head[0], head[1], head[2]
	first, n := binary.Varint(data)
	switch {
	case n <= 0:
		return nil, errShort("a delta header", 1, len(data))
	case total != uint64(len(out)):
		return nil, fmt.Errorf("%d delta values in a page of %d", total, len(out))
	case minis == 0 || minis > 1024 || block > 1<<20 || block%minis != 0 || block/minis%8 != 0:
		return nil, fmt.Errorf("delta blocks of %d values in %d parts", block, minis)
	}
	data = data[n:]
	if len(out) == 0 {
		return data, nil
	}
	out[0] = first
	return decodeDeltaBlocks(data, int(minis), int(block/minis), out)
}

func decodeDeltaBlocks(data []byte, minis, size int, out []int64) ([]byte, error) {
	last := out[0]
	for i := 1; i < len(out); {
		low, n := binary.Varint(data)
		if n <= 0 || len(data) < n+minis {
			return nil, errShort("a delta block", minis+1, len(data))
		}
		widths := data[n : n+minis]
		data = data[n+minis:]
		for _, width := range widths {
			if i == len(out) {
				break // parts without values have widths but no bytes
			}
			need := int(width) * size / 8
			if width > 64 || need > len(data) {
				return nil, errShort("delta values", need, len(data))
			}
			count := min(size, len(out)-i)
			unpackDelta(data[:need], int(width), out[i:i+count])
			for j := i; j < i+count; j++ {
				last += low + out[j]
				out[j] = last
			}
			i += count
			data = data[need:]
		}
	}
	return data, nil
}

// unpackDelta reads values of up to 64 bits.
func unpackDelta(data []byte, width int, out []int64) {
	if width == 0 {
		clear(out)
		return
	}
	mask := uint64(math.MaxUint64) >> (64 - width)
	for i := range out {
		bit := i * width
		var word [9]byte
		copy(word[:], data[bit>>3:])
		v := binary.LittleEndian.Uint64(word[:]) >> (bit & 7)
		if shift := bit & 7; shift > 0 {
			v |= uint64(word[8]) << (64 - shift)
		}
		out[i] = int64(v & mask)
	}
}

// decodeInts reads n integers, sign-extended if they are of 32 bits.
func decodeInts(kind parquet.Kind, enc format.Encoding, data []byte, out []int64) error {
	switch enc {
	case format.DeltaBinaryPacked:
		if _, err := decodeDelta(data, out); err != nil {
			return err
		}
		if kind == parquet.Int32 {
			for i, v := range out {
				out[i] = int64(int32(v))
			}
		}
		return nil
	case format.Plain, format.ByteStreamSplit:
	default:
		return fmt.Errorf("integers encoded as %s", enc)
	}
	size := 8
	if kind == parquet.Int32 {
		size = 4
	}
	if len(data) < size*len(out) {
		return errShort("integers", size*len(out), len(data))
	}
	if enc == format.ByteStreamSplit {
		data = unsplit(data, size, len(out))
	}
	if size == 4 {
		for i := range out {
			out[i] = int64(int32(binary.LittleEndian.Uint32(data[4*i:])))
		}
		return nil
	}
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return nil
}

// decodeFloats reads floats and doubles.
func decodeFloats(kind parquet.Kind, enc format.Encoding, data []byte, out []float64) error {
	size := 8
	if kind == parquet.Float {
		size = 4
	}
	switch {
	case enc != format.Plain && enc != format.ByteStreamSplit:
		return fmt.Errorf("floats encoded as %s", enc)
	case len(data) < size*len(out):
		return errShort("floats", size*len(out), len(data))
	}
	if enc == format.ByteStreamSplit {
		data = unsplit(data, size, len(out))
	}
	if size == 4 {
		for i := range out {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
		return nil
	}
	doubles(data, out)
	return nil
}

// checkSize wants so many bytes.
func checkSize(what string, want int, data []byte) error {
	if len(data) < want {
		return errShort(what, want, len(data))
	}
	return nil
}

// unsplit puts the bytes of n values, which BYTE_STREAM_SPLIT stores plane by plane, together.
func unsplit(data []byte, size, n int) []byte {
	out := make([]byte, size*n)
	for plane := range size {
		for i, b := range data[plane*n : plane*n+n] {
			out[i*size+plane] = b
		}
	}
	return out
}

// decodeBools reads booleans, one bit each or in runs.
func decodeBools(enc format.Encoding, data []byte, out []uint8) error {
	switch enc {
	case format.Plain:
		if need := (len(out) + 7) / 8; need > len(data) {
			return errShort("booleans", need, len(data))
		}
		unpack(data, 1, out)
		return nil
	case format.RLE:
		if len(data) < 4 {
			return errShort("booleans", 4, len(data))
		}
		n := binary.LittleEndian.Uint32(data)
		if uint64(n) > uint64(len(data)-4) {
			return errShort("booleans", int(n), len(data)-4)
		}
		return decodeHybrid(data[4:4+n], 1, out)
	}
	return fmt.Errorf("booleans encoded as %s", enc)
}

// spans are byte values: value i is text[starts[i]:ends[i]].
type spans struct {
	text         []byte
	starts, ends []int32
}

func (s *spans) value(i int) []byte { return s.text[s.starts[i]:s.ends[i]] }

func (s *spans) resize(n int) {
	s.starts, s.ends = grown(s.starts, n), grown(s.ends, n)
}

// decode reads n byte values; those of the format's plain forms stay where
// they are in data. size is the length of fixed values, 0 if they vary.
func (s *spans) decode(enc format.Encoding, data []byte, size, n int) error {
	s.resize(n)
	switch {
	case enc == format.Plain && size == 0:
		return s.plain(data)
	case enc == format.Plain, enc == format.ByteStreamSplit && size > 0:
		return s.fixed(enc, data, size)
	case enc == format.DeltaLengthByteArray:
		return s.deltaLength(data)
	case enc == format.DeltaByteArray:
		return s.delta(data)
	}
	return fmt.Errorf("texts encoded as %s", enc)
}

func (s *spans) plain(data []byte) error {
	s.text = data
	at := 0
	for i := range s.starts {
		if len(data)-at < 4 {
			return errShort("a text", 4, len(data)-at)
		}
		n := binary.LittleEndian.Uint32(data[at:])
		at += 4
		if uint64(n) > uint64(len(data)-at) {
			return errShort("a text", int(n), len(data)-at)
		}
		s.starts[i], s.ends[i] = int32(at), int32(at+int(n))
		at += int(n)
	}
	return nil
}

func (s *spans) fixed(enc format.Encoding, data []byte, size int) error {
	n := len(s.starts)
	if len(data)/size < n {
		return errShort("fixed values", size*n, len(data))
	}
	s.text = data
	if enc == format.ByteStreamSplit {
		s.text = unsplit(data, size, n)
	}
	for i := range s.starts {
		s.starts[i], s.ends[i] = int32(i*size), int32((i+1)*size)
	}
	return nil
}

func (s *spans) deltaLength(data []byte) error {
	lengths := make([]int64, len(s.starts))
	data, err := decodeDelta(data, lengths)
	if err != nil {
		return err
	}
	s.text = data
	at := int64(0)
	for i, n := range lengths {
		if n < 0 || n > int64(len(data))-at {
			return errShort("a text", int(n), len(data)-int(at))
		}
		s.starts[i], s.ends[i] = int32(at), int32(at+n)
		at += n
	}
	return nil
}

// delta reads DELTA_BYTE_ARRAY: each value shares a prefix with the one before.
func (s *spans) delta(data []byte) error {
	prefixes := make([]int64, len(s.starts))
	data, err := decodeDelta(data, prefixes)
	if err != nil {
		return err
	}
	if err := s.deltaLength(data); err != nil {
		return err
	}
	suffixes := s.text
	var text []byte
	var last []byte
	for i, n := range prefixes {
		if n < 0 || n > int64(len(last)) {
			return fmt.Errorf("a text shares %d bytes with one of %d", n, len(last))
		}
		if len(text)+int(n) > maxPageBytes {
			return fmt.Errorf("texts of more than %d bytes in a page", maxPageBytes)
		}
		start := len(text)
		text = append(text, last[:n]...)
		text = append(text, suffixes[s.starts[i]:s.ends[i]]...)
		s.starts[i], s.ends[i] = int32(start), int32(len(text))
		last = text[start:]
	}
	s.text = text
	return nil
}

// levelWidth is how many bits a level up to most takes.
func levelWidth(most byte) int { return bits.Len8(most) }
