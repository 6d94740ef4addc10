package table

import (
	"math"
	"math/bits"

	"github.com/dchest/siphash"
	"github.com/parquet-go/parquet-go"

	"github.com/modelwatch/modelwatch"
)

// AsKeys returns a reader of the same file that reads the named columns, where
// they are texts, UUIDs or integers, as 64-bit keys of their values: Ints, with
// PhysicalKey. Equal values have equal keys, whatever the two files hold them
// as: an integer's key is that of its decimal text. Different integers have
// different keys; other values share one with odds of 1 in 2^64 a pair, some 1
// in 370,000 that any two of ten million ids do. Bytes that are
// no UTF-8 count as they are. It is how ids are joined without a string per row. Columns of other types stay as they are.
func (r *Reader) AsKeys(names ...string) *Reader {
	return r.view(names, func(f *field) {
		if f.integer() || f.store == storeStrings {
			f.keys, f.store = true, storeInts
			f.info.Type, f.info.Physical = modelwatch.TypeCategory, PhysicalKey
		}
	})
}

// TextKey is the key that AsKeys gives to a text.
func TextKey(s string) int64 { return bytesKey([]byte(s)) }

// IntKey is the key that AsKeys gives to an integer. It is a bijection: the
// finalizer of SplitMix64 (Steele, Lea and Flood 2014).
func IntKey(v int64) int64 {
	x := uint64(v) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int64(x ^ x>>31)
}

// bytesKey is SipHash-2-4 of a text with a fixed key, because the ids are the
// user's own and a result must not depend on the process; a text that is how an
// integer is written has the integer's key.
func bytesKey(b []byte) int64 {
	if v, ok := canonicalInt(b); ok {
		return IntKey(v)
	}
	return int64(siphash.Hash(0, 0, b))
}

// canonicalInt reads a text that strconv would write for a 64-bit integer: no
// plus, no leading zero, no minus zero.
func canonicalInt(b []byte) (int64, bool) {
	digits := b
	negative := len(b) > 1 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := uint64(0)
	for _, d := range digits {
		if d -= '0'; d > 9 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, 10)
		if n = lo + uint64(d); hi != 0 || n < lo {
			return 0, false
		}
	}
	switch {
	case !negative:
		return int64(n), n <= math.MaxInt64
	case n > 1<<63:
		return 0, false
	}
	return int64(-n), true
}

// toKeys decodes keys of texts and of integers.
func (c *cursor) toKeys(p page, out []int64) error {
	f := c.f
	if f.kind != parquet.Int32 && f.kind != parquet.Int64 {
		if err := c.toTexts(p, len(out)); err != nil {
			return err
		}
		for i := range out {
			out[i] = bytesKey(c.texts.value(i))
		}
		return nil
	}
	if err := decodeInts(f.kind, p.encoding, p.data, out); err != nil {
		return err
	}
	if !f.unsigned {
		for i, v := range out {
			out[i] = IntKey(v)
		}
		return nil
	}
	c.texts.resize(len(out))
	c.digits(out)
	for i := range out {
		out[i] = bytesKey(c.texts.value(i))
	}
	return nil
}
