package table

import (
	"encoding/binary"
	"math/bits"
)

// The encodings that we write, the inverses of those in encoding.go.

// appendPacked appends values of width bits each, least significant bit first. The
// last byte is filled up with zeros.
func appendPacked[T uint8 | int32 | uint64](dst []byte, width int, values []T) []byte {
	word, filled := uint64(0), 0
	for _, v := range values {
		word |= uint64(v) << filled
		if filled += width; filled >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			filled -= 64
			word = uint64(v) >> (width - filled)
		}
	}
	for ; filled > 0; filled -= 8 {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return dst
}

// appendHybrid appends levels or indexes of width bits: one run if all are equal,
// else all of them packed.
func appendHybrid[T uint8 | int32](dst []byte, width int, values []T) []byte {
	if len(values) == 0 {
		return dst
	}
	if equal(values) {
		dst = binary.AppendUvarint(dst, uint64(len(values))<<1)
		for i := 0; i < width; i += 8 {
			dst = append(dst, byte(uint32(values[0])>>i))
		}
		return dst
	}
	groups := (len(values) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	end := len(dst) + groups*width
	dst = appendPacked(dst, width, values)
	return append(dst, make([]byte, end-len(dst))...)
}

func equal[T comparable](values []T) bool {
	for _, v := range values {
		if v != values[0] {
			return false
		}
	}
	return true
}

// The blocks of DELTA_BINARY_PACKED, in values.
const (
	deltaBlock = 128
	deltaMini  = 32 // one of the parts of a block, each with a width of its own
)

// appendDelta appends integers as DELTA_BINARY_PACKED: a first one and differences, each
// as what it is above the least of its block. Differences wrap around.
func appendDelta(dst []byte, values []int64) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaBlock/deltaMini)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, values[0])
	var over [deltaBlock]uint64
	for last, rest := values[0], values[1:]; len(rest) > 0; {
		n := min(len(rest), deltaBlock)
		least := rest[0] - last
		for i, v := range rest[:n] {
			over[i] = uint64(v - last)
			least = min(least, v-last)
			last = v
		}
		for i := range over[:n] {
			over[i] -= uint64(least)
		}
		clear(over[n:])
		dst = appendDeltaBlock(dst, least, &over, n)
		rest = rest[n:]
	}
	return dst
}

func appendDeltaBlock(dst []byte, least int64, over *[deltaBlock]uint64, n int) []byte {
	dst = binary.AppendVarint(dst, least)
	widths := len(dst)
	dst = append(dst, make([]byte, deltaBlock/deltaMini)...)
	for i := 0; i < n; i += deltaMini {
		most := uint64(0)
		for _, v := range over[i : i+deltaMini] {
			most |= v
		}
		width := bits.Len64(most)
		dst[widths+i/deltaMini] = byte(width)
		dst = appendPacked(dst, width, over[i:i+deltaMini])
	}
	return dst
}
