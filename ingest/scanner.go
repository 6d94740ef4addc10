package ingest

import (
	"bytes"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner reads JSON (RFC 8259, strictly: no duplicate names, valid UTF-8) out
// of one record without copying it. Each method that reads a value leaves pos
// behind it and returns false where the text is not JSON; what exactly is wrong
// is then found by explain, which reads the record again with jsontext.
//
// What is hot is done here: names, strings without escapes, numbers. The rest is
// jsontext's: strings with escapes, and arrays and objects whose inside is of no
// interest.
type scanner struct {
	data    []byte
	pos     int
	scratch []byte // strings whose escapes were resolved; older slices of it stay valid
	buffer  bytes.Buffer
	decoder jsontext.Decoder
}

func (s *scanner) reset(data []byte) {
	s.data, s.pos, s.scratch = data, 0, s.scratch[:0]
}

// space skips white space and returns the byte behind it, 0 at the end.
func (s *scanner) space() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\n', '\t', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take skips the byte c, and white space before and after it.
func (s *scanner) take(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
	} else if s.space() == c {
		s.pos++
	} else {
		return false
	}
	if s.pos < len(s.data) && s.data[s.pos] <= ' ' {
		s.space()
	}
	return true
}

// plain marks the bytes that stand for themselves inside a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainEnd returns the place of the first byte from i on that is not plain; the
// length of d if there is none.
func plainEnd(d []byte, i int) int {
	for ; i+8 <= len(d); i += 8 {
		if marks := unusual(load(d, i)); marks != 0 {
			return i + bits.TrailingZeros64(marks)>>3
		}
	}
	for i < len(d) && plain[d[i]] {
		i++
	}
	return i
}

// unusual marks the highest bit of bytes that are not plain. What it says of those
// above the lowest mark may be wrong: there the subtractions have borrowed.
func unusual(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quotes, escapes := w^'"'*ones, w^'\\'*ones
	return ((quotes-ones)&^quotes | (escapes-ones)&^escapes | (w-' '*ones)&^w | w) & tops
}

// text reads a string and returns what it says. The slice is valid until reset.
func (s *scanner) text() ([]byte, bool) {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return nil, false
	}
	start := s.pos + 1
	end := plainEnd(s.data, start)
	switch {
	case end == len(s.data):
		return nil, false
	case s.data[end] != '"':
		return s.unusualText(start, end)
	}
	s.pos = end + 1
	return s.data[start:end], true
}

// unusualText reads on where a string holds an escape or leaves ASCII at i.
func (s *scanner) unusualText(start, i int) ([]byte, bool) {
	escaped := false
	for i < len(s.data) && s.data[i] != '"' {
		if s.data[i] == '\\' {
			escaped = true
			i++
		}
		i++
	}
	if i >= len(s.data) {
		return nil, false
	}
	s.pos = i + 1
	if !escaped {
		body := s.data[start:i]
		for _, c := range body {
			if c < 0x20 {
				return nil, false
			}
		}
		return body, utf8.Valid(body)
	}
	from := len(s.scratch)
	out, err := jsontext.AppendUnquote(s.scratch, s.data[start-1:i+1])
	if err != nil {
		return nil, false
	}
	s.scratch = out
	return out[from:], true
}

// literal reads true, false or null, given its first byte.
func (s *scanner) literal() bool {
	rest := s.data[s.pos:]
	for _, w := range [...]string{"true", "false", "null"} {
		if len(rest) >= len(w) && string(rest[:len(w)]) == w {
			s.pos += len(w)
			return true
		}
	}
	return false
}

// skip reads any value and returns its text.
func (s *scanner) skip() ([]byte, bool) {
	if s.pos >= len(s.data) {
		return nil, false
	}
	start := s.pos
	ok := false
	switch c := s.data[s.pos]; c {
	case '"':
		_, ok = s.text()
	case '{', '[':
		ok = s.nested()
	case 't', 'f', 'n':
		ok = s.literal()
	default:
		ok = s.passNumber()
	}
	return s.data[start:s.pos], ok
}

// pass is skip, faster for what is common.
func (s *scanner) pass() bool {
	if s.pos >= len(s.data) {
		return false
	}
	switch c := s.data[s.pos]; {
	case c == '"':
		_, ok := s.text()
		return ok
	case c == '-' || c-'0' <= 9:
		return s.passNumber()
	}
	_, ok := s.skip()
	return ok
}

func (s *scanner) nested() bool {
	s.buffer = *bytes.NewBuffer(s.data[s.pos:])
	s.decoder.Reset(&s.buffer)
	if _, err := s.decoder.ReadValue(); err != nil {
		return false
	}
	s.pos += int(s.decoder.InputOffset())
	return true
}

// valid reports whether the whole of data is one JSON value.
func (s *scanner) valid() error {
	s.buffer = *bytes.NewBuffer(s.data)
	s.decoder.Reset(&s.buffer)
	if _, err := s.decoder.ReadValue(); err != nil {
		return err
	}
	return s.trailing()
}

// trailing checks that only white space is left behind the decoder's value.
func (s *scanner) trailing() error {
	s.pos = int(s.decoder.InputOffset())
	if s.space() != 0 || s.pos < len(s.data) {
		return &jsontext.SyntacticError{ByteOffset: int64(s.pos), Err: errTrailing}
	}
	return nil
}
