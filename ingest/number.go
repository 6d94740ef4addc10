package ingest

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// number reads a number: its value, correctly rounded and infinite where it
// overflows, and its text.
func (s *scanner) number() (float64, []byte, bool) {
	d, i, start := s.data, s.pos, s.pos
	if i < len(d) && d[i] == '-' {
		i++
	}
	first := i
	mantissa, i := readDigits(d, i, 0)
	digits, exponent := i-first, 0
	if digits == 0 || digits > 1 && d[first] == '0' {
		return 0, nil, false
	}
	if i < len(d) && d[i] == '.' {
		first = i + 1
		mantissa, i = readDigits(d, first, mantissa)
		if i == first {
			return 0, nil, false
		}
		digits += i - first
		exponent = first - i
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		e, end, ok := readExponent(d, i+1)
		if !ok {
			return 0, nil, false
		}
		i, exponent = end, exponent+e
	}
	s.pos = i
	f, ok := scale(mantissa, exponent)
	if !ok || digits > maxDigits {
		return parseFloat(d[start:i]), d[start:i], true
	}
	if d[start] == '-' {
		f = -f
	}
	return f, d[start:i], true
}

// maxDigits is how many digits any uint64 holds.
const maxDigits = 19

// readDigits appends the digits at i to a mantissa, which overflows after 19.
func readDigits(d []byte, i int, mantissa uint64) (uint64, int) {
	for i+8 <= len(d) {
		v := binary.LittleEndian.Uint64(d[i:])
		n := countDigits(v)
		if n == 8 {
			mantissa = mantissa*100_000_000 + parseEight(v)
			i += 8
			continue
		}
		if n > 0 { // zeros before them make eight
			v = v<<(64-8*n) | zeroDigits>>(8*n)
			mantissa = mantissa*uint64Powers[n] + parseEight(v)
		}
		return mantissa, i + n
	}
	for i < len(d) && d[i]-'0' <= 9 {
		mantissa = mantissa*10 + uint64(d[i]-'0')
		i++
	}
	return mantissa, i
}

// passDigits returns where the digits at i end.
func passDigits(d []byte, i int) int {
	for i+8 <= len(d) {
		n := countDigits(binary.LittleEndian.Uint64(d[i:]))
		i += n
		if n < 8 {
			return i
		}
	}
	for i < len(d) && d[i]-'0' <= 9 {
		i++
	}
	return i
}

const zeroDigits = 0x3030303030303030

// countDigits returns how many of the eight bytes, from the lowest on, are digits
// before the first that is none: without 0x30, a digit's high half is 0, and stays
// 0 when 6 is added. What the addition carries goes into higher bytes only.
func countDigits(v uint64) int {
	v ^= zeroDigits
	other := (v | (v + 0x0606060606060606)) & 0xf0f0f0f0f0f0f0f0
	return bits.TrailingZeros64(other) >> 3
}

// passNumber skips what number reads.
func (s *scanner) passNumber() bool {
	d, i := s.data, s.pos
	if i < len(d) && d[i] == '-' {
		i++
	}
	first := i
	i = passDigits(d, i)
	if n := i - first; n == 0 || n > 1 && d[first] == '0' {
		return false
	}
	if i < len(d) && d[i] == '.' {
		first = i + 1
		if i = passDigits(d, first); i == first {
			return false
		}
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		_, end, ok := readExponent(d, i+1)
		if !ok {
			return false
		}
		i = end
	}
	s.pos = i
	return true
}

// parseEight returns the value of eight digits, the first in the lowest byte, by
// joining neighbours: digits to pairs, pairs to fours, fours to eight.
func parseEight(v uint64) uint64 {
	v -= 0x3030303030303030
	v = v*10 + v>>8
	return ((v&0x000000ff000000ff)*(100+1_000_000<<32) + (v>>16&0x000000ff000000ff)*(1+10_000<<32)) >> 32
}

func readExponent(d []byte, i int) (value, end int, ok bool) {
	negative := i < len(d) && d[i] == '-'
	if i < len(d) && (d[i] == '+' || d[i] == '-') {
		i++
	}
	first := i
	for i < len(d) && d[i]-'0' <= 9 {
		if value < 10_000 {
			value = value*10 + int(d[i]-'0')
		}
		i++
	}
	if negative {
		value = -value
	}
	return value, i, i > first
}

// scale returns mantissa * 10^exponent, rounded to nearest even; false where
// that takes more than the arithmetic at hand.
func scale(mantissa uint64, exponent int) (float64, bool) {
	switch {
	case mantissa <= 1<<53 && exponent >= -22 && exponent <= 22:
		// Both are exact as float64, so one operation rounds once.
		if exponent < 0 {
			return float64(mantissa) / powersOfTen[-exponent], true
		}
		return float64(mantissa) * powersOfTen[exponent], true
	case exponent == 0:
		return float64(mantissa), true
	case exponent < 0 && exponent >= -maxDigits:
		return divide(mantissa, uint64Powers[-exponent]), true
	}
	return 0, false
}

// divide returns n/d, rounded to nearest even; n is not 0. It divides integers
// until the quotient has at least 63 bits. What remains only matters if it is
// not 0, to tell a tie, so it goes into the last bit, far below the 53 kept.
func divide(n, d uint64) float64 {
	ln, ld := bits.LeadingZeros64(n), bits.LeadingZeros64(d)
	n, d = n<<ln, d<<ld
	q, r := bits.Div64(n>>1, n<<63, d)
	if r != 0 {
		q |= 1
	}
	power := uint64(1023 + ld - ln - 63) // of 2, as the exponent of a float64: between 896 and 1023
	return float64(q) * math.Float64frombits(power<<52)
}

// powersOfTen are exact.
var powersOfTen = [23]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

var uint64Powers = [maxDigits + 1]uint64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// parseFloat rounds to nearest even; overflow is an infinity.
func parseFloat(b []byte) float64 {
	f, _ := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64) // the grammar was checked: only ErrRange
	return f
}
