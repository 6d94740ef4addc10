package table

import (
	"encoding/hex"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// The largest page that is read: beyond it a file is taken for a bomb.
const (
	maxPageBytes  = 1 << 30
	maxPageValues = 1 << 27
)

// checkPages walks the page headers of a chunk that lies in memory, before the
// library allocates what they state.
func (c *cursor) checkPages() error {
	size := c.chunk.end - c.chunk.start
	if size == 0 || size > c.chunk.window {
		return nil
	}
	if err := c.chunk.fill(c.chunk.start); err != nil {
		return err
	}
	b := c.chunk.buf
	for page := 0; len(b) > 0; page++ {
		var protocol thrift.CompactProtocol
		var h format.PageHeader
		r := protocol.NewReaderFromBytes(b)
		if err := thrift.NewDecoder(r).Decode(&h); err != nil {
			return fmt.Errorf("header of page %d: %w", page, err)
		}
		b = b[r.BytesRead():]
		n := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
		switch {
		case h.CompressedPageSize < 0 || int(h.CompressedPageSize) > len(b):
			return fmt.Errorf("page %d states %d bytes, %d are left", page, h.CompressedPageSize, len(b))
		case h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPageBytes:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "page %d states %d bytes uncompressed: at most %d are read", page, h.UncompressedPageSize, maxPageBytes)
		case n > maxPageValues:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "page %d states %d values: at most %d are read", page, n, maxPageValues)
		}
		b = b[h.CompressedPageSize:]
	}
	return nil
}

// load converts the page's dense values to the form of the column's storage.
func (c *cursor) load(page parquet.Page) error {
	data := page.Data()
	if dict := page.Dictionary(); dict != nil {
		if dict != c.dict {
			if err := c.loadDictionary(dict); err != nil {
				return err
			}
			c.dict = dict
		}
		return c.loadIndexes(data.Int32())
	}
	n := c.levels
	if len(c.defs) > 0 {
		n = 0
		for _, d := range c.defs {
			if d == c.f.maxDef {
				n++
			}
		}
	}
	return c.loadPlain(data, n)
}

func (c *cursor) loadDictionary(dict parquet.Dictionary) (err error) {
	data, n := dict.Page().Data(), dict.Len()
	switch c.f.store {
	case storeFloats, storeVectors:
		c.dictFloats, err = c.f.toFloats(data, n, nil)
	case storeInts, storeTimes:
		c.dictInts, err = c.f.toInts(data, n, nil)
	case storeStrings:
		var value func(int) []byte
		if value, err = c.f.toBytes(data, n); err == nil {
			c.words.setDictionary(n, value)
		}
	default:
		err = fmt.Errorf("a dictionary of booleans")
	}
	return err
}

func (c *cursor) loadIndexes(index []int32) error {
	c.values = pageValues{n: len(index)}
	limit := uint32(c.dict.Len())
	for _, i := range index {
		if uint32(i) >= limit {
			return fmt.Errorf("page %d has index %d into a dictionary of %d", c.number, i, limit)
		}
	}
	switch c.f.store {
	case storeFloats, storeVectors:
		c.floats = grown(c.floats, len(index))
		for i, at := range index {
			c.floats[i] = c.dictFloats[at]
		}
		c.values.floats = c.floats
	case storeInts, storeTimes:
		c.ints = grown(c.ints, len(index))
		for i, at := range index {
			c.ints[i] = c.dictInts[at]
		}
		c.values.ints = c.ints
	default:
		c.values.index = index
	}
	return nil
}

func (c *cursor) loadPlain(data encoding.Values, n int) (err error) {
	c.values = pageValues{n: n}
	switch c.f.store {
	case storeFloats, storeVectors:
		c.values.floats, err = c.f.toFloats(data, n, &c.floats)
	case storeInts, storeTimes:
		c.values.ints, err = c.f.toInts(data, n, &c.ints)
	case storeBools:
		c.values.bools, err = c.toBools(data, n)
	case storeStrings:
		c.values.bytes, err = c.f.toBytes(data, n)
	}
	return err
}

// indexes returns the dictionary places of values from..to of the page.
func (c *cursor) indexes(from, to int) []int32 {
	if c.values.bytes == nil {
		return c.values.index[from:to]
	}
	c.placed = grown(c.placed, to-from)
	for i := range c.placed {
		c.placed[i] = c.words.place(c.values.bytes(from + i))
	}
	return c.placed
}

// toFloats converts n values; scratch, if there is one, is reused. Doubles are not copied.
func (f *field) toFloats(data encoding.Values, n int, scratch *[]float64) ([]float64, error) {
	if f.kind == parquet.Double {
		return data.Double()[:n], nil
	}
	if scratch == nil {
		scratch = new([]float64)
	}
	*scratch = grown(*scratch, n)
	out := *scratch
	switch f.kind {
	case parquet.Float:
		for i, v := range data.Float()[:n] {
			out[i] = float64(v)
		}
	case parquet.Int32:
		f.int32Floats(out, data)
	case parquet.Int64:
		f.int64Floats(out, data)
	default:
		return out, f.byteFloats(out, data)
	}
	return out, nil
}

func (f *field) int32Floats(out []float64, data encoding.Values) {
	switch {
	case f.unsigned:
		for i, v := range data.Uint32()[:len(out)] {
			out[i] = float64(v)
		}
	default:
		for i, v := range data.Int32()[:len(out)] {
			out[i] = float64(v) / f.scale
		}
	}
}

func (f *field) int64Floats(out []float64, data encoding.Values) {
	switch {
	case f.unsigned:
		for i, v := range data.Uint64()[:len(out)] {
			out[i] = float64(v)
		}
	default:
		for i, v := range data.Int64()[:len(out)] {
			out[i] = float64(v) / f.scale
		}
	}
}

func (f *field) byteFloats(out []float64, data encoding.Values) error {
	value, err := f.toBytes(data, len(out))
	if err != nil {
		return err
	}
	for i := range out {
		b := value(i)
		if f.float16 {
			out[i] = half(b)
			continue
		}
		out[i] = bigDecimal(b) / f.scale
	}
	return nil
}

func (f *field) toInts(data encoding.Values, n int, scratch *[]int64) ([]int64, error) {
	if f.store == storeInts {
		return data.Int64()[:n], nil
	}
	if scratch == nil {
		scratch = new([]int64)
	}
	*scratch = grown(*scratch, n)
	out := *scratch
	switch f.kind {
	case parquet.Int32:
		for i, v := range data.Int32()[:n] {
			out[i] = f.micros(int64(v))
		}
	case parquet.Int64:
		for i, v := range data.Int64()[:n] {
			out[i] = f.micros(v)
		}
	case parquet.Int96:
		for i, v := range data.Int96()[:n] {
			out[i] = int96Micros(v)
		}
	default:
		return nil, fmt.Errorf("timestamps stored as %s", f.kind)
	}
	return out, nil
}

func (c *cursor) toBools(data encoding.Values, n int) ([]bool, error) {
	bits := data.Boolean()
	if n > 8*len(bits) {
		return nil, fmt.Errorf("page %d has %d booleans in %d bytes", c.number, n, len(bits))
	}
	c.bools = grown(c.bools, n)
	for i := range c.bools {
		c.bools[i] = bits[i/8]>>(i%8)&1 != 0
	}
	return c.bools, nil
}

// toBytes gives access to byte values; UUIDs come as their text.
func (f *field) toBytes(data encoding.Values, n int) (func(i int) []byte, error) {
	if f.kind == parquet.ByteArray {
		text, offsets := data.ByteArray()
		if len(offsets) < n+1 && n > 0 {
			return nil, fmt.Errorf("%d values, %d offsets", n, len(offsets))
		}
		return func(i int) []byte { return text[offsets[i]:offsets[i+1]] }, nil
	}
	raw, size := data.FixedLenByteArray()
	if size <= 0 || len(raw) < n*size {
		return nil, fmt.Errorf("%d values of %d bytes in %d", n, size, len(raw))
	}
	if !f.uuid {
		return func(i int) []byte { return raw[i*size : (i+1)*size] }, nil
	}
	var text [36]byte
	return func(i int) []byte { return uuidText(&text, raw[i*size:(i+1)*size]) }, nil
}

func uuidText(text *[36]byte, b []byte) []byte {
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	for _, i := range [...]int{8, 13, 18, 23} {
		text[i] = '-'
	}
	return text[:]
}
