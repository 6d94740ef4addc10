package ingest

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// window is what stands around the first byte of a value: its key before, and enough
// from there on for what most values are. So one comparison with the record's length
// does for all that is looked at.
type window [windowSize]byte

const (
	windowSize = valueAt + windowRest
	windowRest = 56
	valueAt    = 16
)

// word returns the eight bytes at i, which is below 64, the first in the lowest byte.
func (v *window) word(i int) uint64 { return binary.LittleEndian.Uint64(v[i&63 : i&63+8]) }

// at returns the byte at i, which is below 64.
func (v *window) at(i int) byte { return v[i&63] }

// plain returns where the text that begins at valueAt ends, behind its last quote, if
// it has up to 31 bytes, none of them out of the ordinary; else 0.
func (v *window) plain() (end int) {
	if v[valueAt] != '"' {
		return 0
	}
	for at := valueAt + 1; at <= valueAt+1+3*8; at += 8 {
		if marks := unusual(v.word(at)); marks != 0 {
			if end = at + bits.TrailingZeros64(marks)>>3; v.at(end) != '"' {
				return 0
			}
			return end + 1
		}
	}
	return 0
}

// comma returns where the first comma is in the 24 bytes from valueAt on; 0 if there is
// none. There a number ends that is not the last of its object. It is found before the
// number is read, so that the next member, which begins there, need not wait for that.
func (v *window) comma() (end int) {
	for at := valueAt; at <= valueAt+2*8; at += 8 {
		if marks := commas(v.word(at)); marks != 0 {
			return at + bits.TrailingZeros64(marks)>>3
		}
	}
	return 0
}

// commas marks the highest bit of bytes that are commas. What it says of those above the
// lowest mark may be wrong: there the subtraction has borrowed.
func commas(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	w ^= ',' * ones
	return (w - ones) &^ w & tops
}

// number reads the number from valueAt to end, correctly rounded. It is false if that is
// one for longNumber, or none.
//
// What is here takes up to eight bytes behind the minus, and leaves more to longer. Such
// a mantissa is below 2^53 and such a power of ten is exact, so one division rounds once.
func (v *window) number(end int) (f float64, ok bool) {
	minus := minusOf(v.word(valueAt))
	size := end - valueAt - int(minus)
	if uint(size-1) > 7 {
		return v.longer(end, minus)
	}
	w, shift := v.last(end, size)
	first, marks := w>>shift&0xff, notDigits(w)
	if marks == 0 {
		return withSign(float64(joinDigits(w)), minus), first != 0 || size == 1
	}
	point := uint(bits.TrailingZeros64(marks)-7) & 63
	if marks&(marks-1) != 0 || w>>point&0xff != '.'^'0' || point <= shift || point == 56 || first == 0 && point > shift+8 {
		return 0, false
	}
	return withSign(float64(joinDigits(without(w, point)))/powersOfTen[7-point>>3], minus), true
}

// longer is number for 9 to 24 bytes behind the minus, of which 19 may be digits that
// count.
func (v *window) longer(end int, minus uint64) (f float64, ok bool) {
	start := valueAt + int(minus)
	size := end - start
	if !v.begins(start, size) {
		return 0, false
	}
	mantissa, decimals, digits := uint64(0), 0, size
	head := (size-1)&7 + 1
	w, _ := v.last(start+head, head)
	for at := start + head; ; at += 8 {
		if marks := notDigits(w); marks == 0 {
			mantissa = mantissa*1e8 + joinDigits(w)
			if digits < size {
				decimals += 8
			}
		} else {
			point := uint(bits.TrailingZeros64(marks)-7) & 63
			if marks&(marks-1) != 0 || w>>point&0xff != '.'^'0' || digits < size {
				return 0, false
			}
			mantissa = mantissa*1e7 + joinDigits(without(w, point))
			decimals, digits = int(7-point>>3), size-1
		}
		if at == end {
			break
		}
		w = v.word(at) ^ zeros
	}
	if v.at(start) == '0' {
		digits--
	}
	if digits > maxDigits || v.at(end-1) == '.' {
		return 0, false
	}
	if size > 16 && decimals > 0 && mantissa > 0 {
		return withSign(divide(mantissa, uint64Powers[decimals]), minus), true
	}
	f, ok = scale(mantissa, -decimals)
	return withSign(f, minus), ok
}

// begins reports that 9 to 24 bytes may be those of a number, as far as the first two
// tell.
func (v *window) begins(start, size int) bool {
	return size >= 9 && size <= 24 && v.at(start) != '.' && (v.at(start) != '0' || v.at(start+1) == '.')
}

// pass returns where a text or a number at valueAt ends, if that is usual; else 0.
func (v *window) pass() (end int) {
	if v[valueAt] == '"' {
		return v.plain()
	}
	if end = v.comma(); !v.skip(end) {
		return 0
	}
	return end
}

// skip reports that a number without an exponent is from valueAt to end, of up to 24
// bytes behind its minus.
func (v *window) skip(end int) bool {
	start := valueAt + int(minusOf(v.word(valueAt)))
	size := end - start
	if size < 1 || size > 24 || v.at(end-1) == '.' || v.at(start) == '.' || v.at(start) == '0' && size > 1 && v.at(start+1) != '.' {
		return false
	}
	head := (size-1)&7 + 1
	w, _ := v.last(start+head, head)
	for points, at := uint64(0), start+head; ; at += 8 {
		if marks := notDigits(w); marks != 0 {
			point := uint(bits.TrailingZeros64(marks)-7) & 63
			if points|marks&(marks-1) != 0 || w>>point&0xff != '.'^'0' {
				return false
			}
			points = marks
		}
		if at == end {
			return true
		}
		w = v.word(at) ^ zeros
	}
}

// last returns the size bytes before end without the 0x30 of digits, as the highest of
// the word, and by how much they are shifted. There is at least one, and at most eight.
func (v *window) last(end, size int) (w uint64, shift uint) {
	shift = uint(64-8*size) & 63
	return (v.word(end-8) ^ zeros) >> (shift & 63) << (shift & 63), shift
}

// without closes the gap of the byte at a shift of point.
func without(w uint64, point uint) uint64 {
	before := uint64(1)<<(point&63) - 1
	return w&^(before<<8|0xff) | w&before<<8
}

// minusOf returns 1 if the first of eight bytes is a minus, else 0: without a branch,
// because which of the two comes next is often anybody's guess, and a branch guesses.
func minusOf(w uint64) uint64 { return (w&0xff ^ '-' - 1) >> 63 }

func withSign(f float64, minus uint64) float64 {
	return math.Float64frombits(math.Float64bits(f) | minus<<63)
}

// zeros are eight digits 0.
const zeros = 0x3030303030303030

// notDigits marks the highest bit of bytes above 9. What it says of those above the
// lowest that is beyond ASCII may be wrong: there the addition has carried.
func notDigits(w uint64) uint64 { return (w | (w + 0x7676767676767676)) & 0x8080808080808080 }

// joinDigits returns the value of eight digits, the first in the lowest byte: neighbours
// are joined, digits to pairs, pairs to fours, fours to eight.
func joinDigits(w uint64) uint64 {
	w = w*10 + w>>8
	return ((w&0x000000ff000000ff)*(100+1_000_000<<32) + (w>>16&0x000000ff000000ff)*(1+10_000<<32)) >> 32
}
