package table

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

func (c *cursor) loadDictionary(p page) (err error) {
	if c.entries >= 0 {
		return errors.New("a second dictionary")
	}
	c.entries = p.values
	switch c.f.store {
	case storeFloats, storeVectors:
		c.dictFloats = grown(c.dictFloats, p.values)
		err = c.toFloats(p, c.dictFloats)
	case storeInts, storeTimes:
		c.dictInts = grown(c.dictInts, p.values)
		err = c.toInts(p, c.dictInts)
	case storeStrings:
		if err = c.toTexts(p, p.values); err == nil {
			c.words.setDictionary(p.values, c.texts.value)
		}
	default:
		err = errors.New("a dictionary of booleans")
	}
	return err
}

// load decodes the page's values into the form of the column's storage.
func (c *cursor) load() error {
	n := c.page.values
	if c.page.defs != nil {
		if n = bytes.Count(c.page.defs, []byte{c.f.maxDef}); n == c.page.values {
			c.page.defs = nil // every row has a value
		}
	}
	c.plain = false
	//nolint:staticcheck // deprecated for writers; files of old writers name it
	if c.page.encoding == format.PlainDictionary || c.page.encoding == format.RLEDictionary {
		c.page.encoding = format.RLEDictionary
		return c.loadIndexes(n)
	}
	switch c.f.store {
	case storeFloats, storeVectors:
		if c.plain = c.f.store == storeFloats && c.page.defs == nil && c.f.kind == parquet.Double && c.page.encoding == format.Plain; c.plain {
			return checkSize("floats", 8*n, c.page.data)
		}
		c.floats = grown(c.floats, n)
		return c.toFloats(c.page, c.floats)
	case storeInts, storeTimes:
		c.ints = grown(c.ints, n)
		return c.toInts(c.page, c.ints)
	case storeBools:
		c.bools = grown(c.bools, n)
		return decodeBools(c.page.encoding, c.page.data, c.bools)
	default:
		return c.toTexts(c.page, n)
	}
}

func (c *cursor) loadIndexes(n int) error {
	c.index = grown(c.index, n)
	if n == 0 {
		return nil
	}
	if c.entries < 0 {
		return errors.New("indexes without a dictionary")
	}
	if len(c.page.data) == 0 {
		return errShort("indexes", 1, 0)
	}
	if err := decodeHybrid(c.page.data[1:], int(c.page.data[0]), c.index); err != nil {
		return fmt.Errorf("indexes: %w", err)
	}
	if i := largest(c.index); i >= uint32(c.entries) {
		return fmt.Errorf("index %d into a dictionary of %d", i, c.entries)
	}
	switch c.f.store {
	case storeFloats, storeVectors:
		c.floats = looked(c.floats, c.dictFloats, c.index)
	case storeInts, storeTimes:
		c.ints = looked(c.ints, c.dictInts, c.index)
	case storeBools:
		return errors.New("a dictionary of booleans")
	}
	return nil
}

// largest returns the largest index, a negative one as one beyond all.
func largest(indexes []int32) uint32 {
	var a, b uint32 // so that one maximum does not wait for the other
	for ; len(indexes) >= 2; indexes = indexes[2:] {
		a, b = max(a, uint32(indexes[0])), max(b, uint32(indexes[1]))
	}
	if len(indexes) > 0 {
		a = max(a, uint32(indexes[0]))
	}
	return max(a, b)
}

func looked[T any](dst, dict []T, index []int32) []T {
	dst = grown(dst, len(index))
	for i, at := range index {
		dst[i] = dict[at]
	}
	return dst
}

// toFloats decodes numbers of any kind.
func (c *cursor) toFloats(p page, out []float64) error {
	f := c.f
	switch f.kind {
	case parquet.Double, parquet.Float:
		return decodeFloats(f.kind, p.encoding, p.data, out)
	case parquet.Int32, parquet.Int64:
		c.ints = grown(c.ints, len(out))
		if err := decodeInts(f.kind, p.encoding, p.data, c.ints); err != nil {
			return err
		}
		for i, v := range c.ints {
			out[i] = f.number(v)
		}
		return nil
	}
	if err := c.texts.decode(p.encoding, p.data, f.size, len(out)); err != nil {
		return err
	}
	for i := range out {
		if b := c.texts.value(i); f.float16 {
			out[i] = half(b)
		} else {
			out[i] = bigDecimal(b) / f.scale
		}
	}
	return nil
}

// number converts an integer as stored.
func (f *field) number(v int64) float64 {
	switch {
	case !f.unsigned:
		return float64(v) / f.scale
	case f.kind == parquet.Int32:
		return float64(uint32(v))
	}
	return float64(uint64(v))
}

// toInts decodes integers, or times as microseconds.
func (c *cursor) toInts(p page, out []int64) error {
	f := c.f
	if f.keys {
		return c.toKeys(p, out)
	}
	switch f.kind {
	case parquet.Int32, parquet.Int64:
		if err := decodeInts(f.kind, p.encoding, p.data, out); err != nil || f.store == storeInts {
			return err
		}
		for i, v := range out {
			out[i] = f.micros(v)
		}
		return nil
	case parquet.Int96:
		if err := c.texts.decode(p.encoding, p.data, 12, len(out)); err != nil {
			return err
		}
		for i := range out {
			out[i] = int96Micros(c.texts.value(i))
		}
		return nil
	}
	return fmt.Errorf("timestamps stored as %s", f.kind)
}

// toTexts decodes texts; UUIDs and the integers of an id column come as theirs.
func (c *cursor) toTexts(p page, n int) error {
	f := c.f
	if f.text {
		c.ints = grown(c.ints, n)
		if err := decodeInts(f.kind, p.encoding, p.data, c.ints); err != nil {
			return err
		}
		c.digits(c.ints)
		return nil
	}
	if err := c.texts.decode(p.encoding, p.data, f.size, n); err != nil {
		return err
	}
	if f.uuid {
		raw := c.texts
		c.texts = spans{text: make([]byte, 0, 36*n), starts: raw.starts, ends: raw.ends}
		for i := range n {
			b := raw.value(i)
			c.texts.starts[i] = int32(len(c.texts.text))
			c.texts.text = appendUUID(c.texts.text, b)
			c.texts.ends[i] = int32(len(c.texts.text))
		}
	}
	return nil
}

// digits makes texts of integers.
func (c *cursor) digits(values []int64) {
	t := &c.texts
	t.resize(len(values))
	var text []byte
	for i, v := range values {
		t.starts[i] = int32(len(text))
		switch {
		case !c.f.unsigned:
			text = strconv.AppendInt(text, v, 10)
		case c.f.kind == parquet.Int32:
			text = strconv.AppendUint(text, uint64(uint32(v)), 10)
		default:
			text = strconv.AppendUint(text, uint64(v), 10)
		}
		t.ends[i] = int32(len(text))
	}
	t.text = text
}
