package table

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// littleEndian reports whether doubles lie in memory as they do in a page.
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// doubles copies doubles out of a page, which has enough of them.
func doubles(data []byte, out []float64) {
	if littleEndian() {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(out))), 8*len(out)), data)
		return
	}
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
}

// asFloats returns the first n doubles of a page, of which there are at least as many, as
// they are there: false if the machine needs them elsewhere or the other way round.
func asFloats(data []byte, n int) ([]float64, bool) {
	data = data[: 8*n : 8*n]
	at := unsafe.Pointer(unsafe.SliceData(data))
	if !littleEndian() || uintptr(at)%unsafe.Alignof(float64(0)) != 0 {
		return nil, false
	}
	return unsafe.Slice((*float64)(at), n), true
}

// appendDoubles appends doubles as they lie in a page.
func appendDoubles(dst []byte, values []float64) []byte {
	if b, ok := asBytes(values); ok {
		return append(dst, b...)
	}
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// asBytes returns the bytes of doubles in a page as they are there: false if they lie in
// memory the other way round.
func asBytes(values []float64) ([]byte, bool) {
	if !littleEndian() {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 8*len(values)), true
}
