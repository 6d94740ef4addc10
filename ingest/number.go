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
	start := s.pos
	f, end := parseNumber(s.data, start)
	if end == 0 {
		return 0, nil, false
	}
	s.pos = end
	return f, s.data[start:end], true
}

// parseNumber reads the number at i: its value, as number returns it, and where it
// ends; 0 if there is none.
//
// What is here takes up to seven digits before and after the point, without an
// exponent, and leaves the rest to longNumber. Such a mantissa is below 2^53 and
// such a power of ten is exact, so one division rounds once.
func parseNumber(d []byte, start int) (f float64, end int) {
	i := start
	minus := signAt(d, i)
	i += minus
	if i+17 > len(d) { // two words and the point between
		return longNumber(d, start)
	}
	w := digitsAt(d, i)
	n := countDigits(w)
	if uint(n-1) > 6 || d[i] == '0' && n > 1 {
		return longNumber(d, start)
	}
	mantissa, i := parseDigits(w, n), i+n
	f = float64(mantissa)
	if d[i] == '.' {
		w = digitsAt(d, i+1)
		if n = countDigits(w); uint(n-1) > 6 {
			return longNumber(d, start)
		}
		f = float64(mantissa*uint64Powers[n]+parseDigits(w, n)) / powersOfTen[n]
		i += n + 1
	}
	if d[i]|0x20 == 'e' {
		return longNumber(d, start)
	}
	return math.Float64frombits(math.Float64bits(f) | uint64(minus)<<63), i
}

// signAt returns 1 if a minus is at i, else 0: as a number, because which of the two
// comes next is often anybody's guess, and a branch guesses.
func signAt(d []byte, i int) (minus int) {
	if i < len(d) && d[i] == '-' {
		minus = 1
	}
	return minus
}

// longNumber is parseNumber for all numbers.
func longNumber(d []byte, start int) (float64, int) {
	i := start
	if i < len(d) && d[i] == '-' {
		i++
	}
	first := i
	mantissa, i := readDigits(d, i, 0)
	digits, exponent := i-first, 0
	if digits == 0 || digits > 1 && d[first] == '0' {
		return 0, 0
	}
	if i < len(d) && d[i] == '.' {
		first = i + 1
		mantissa, i = readDigits(d, first, mantissa)
		if i == first {
			return 0, 0
		}
		digits += i - first
		exponent = first - i
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		e, end, ok := readExponent(d, i+1)
		if !ok {
			return 0, 0
		}
		i, exponent = end, exponent+e
	}
	f, ok := scale(mantissa, exponent)
	if !ok || digits > maxDigits {
		return parseFloat(d[start:i]), i
	}
	if d[start] == '-' {
		f = -f
	}
	return f, i
}

// maxDigits is how many digits any uint64 holds.
const maxDigits = 19

// readDigits appends the digits at i to a mantissa, which overflows after 19.
func readDigits(d []byte, i int, mantissa uint64) (uint64, int) {
	for i+8 <= len(d) {
		w := digitsAt(d, i)
		n := countDigits(w)
		if n > 0 {
			mantissa = mantissa*uint64Powers[n] + parseDigits(w, n)
		}
		if i += n; n < 8 {
			return mantissa, i
		}
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
		n := countDigits(digitsAt(d, i))
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

// digitsAt returns the eight bytes at i, the first in the lowest byte, each without
// the 0x30 of a digit.
func digitsAt(d []byte, i int) uint64 { return load(d, i) ^ zeros }

// load returns the eight bytes at i, the first in the lowest byte.
func load(d []byte, i int) uint64 { return binary.LittleEndian.Uint64(d[i : i+8 : i+8]) }

// countDigits returns how many of the eight bytes that digitsAt returns are digits
// before the first that is none: a digit's high half is 0, and stays 0 when 6 is
// added. What the addition carries goes into higher bytes only.
func countDigits(w uint64) int {
	other := (w | (w + 0x0606060606060606)) & 0xf0f0f0f0f0f0f0f0
	return bits.TrailingZeros64(other) >> 3
}

// parseDigits returns the value of the first n of eight digits; n is not 0. They
// become the last, behind zeros.
func parseDigits(w uint64, n int) uint64 { return joinDigits(w << ((64 - 8*n) & 63)) }

// passNumber skips what number reads.
func (s *scanner) passNumber() bool {
	end := skipNumber(s.data, s.pos)
	if end == 0 {
		return false
	}
	s.pos = end
	return true
}

// skipNumber returns where the number at i ends; 0 if there is none.
func skipNumber(d []byte, i int) (end int) {
	i += signAt(d, i)
	first := i
	i = passDigits(d, i)
	if n := i - first; n == 0 || d[first] == '0' && n > 1 {
		return 0
	}
	if i < len(d) && d[i] == '.' {
		first = i + 1
		if i = passDigits(d, first); i == first {
			return 0
		}
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		_, end, ok := readExponent(d, i+1)
		if !ok {
			return 0
		}
		i = end
	}
	return i
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
// until the quotient has at least 61 bits. What remains only matters if it is
// not 0, to tell a tie, so it goes into the last bit, far below the 53 kept.
func divide(n, d uint64) float64 {
	ln, ld := bits.LeadingZeros64(n), bits.LeadingZeros64(d)
	n, d = n<<ln, d<<ld
	q, r := bits.Div64(n>>1, n<<63, d)
	if r != 0 {
		q |= 1
	}
	power := uint64(1024 + ld - ln - 63) // of 2, as the exponent of a float64: between 897 and 1024
	return float64(int64(q>>1|q&1)) * math.Float64frombits(power<<52)
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
