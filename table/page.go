package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// The largest page that is read: beyond it a file is taken for a bomb.
const (
	maxPageBytes  = 1 << 30
	maxPageValues = 1 << 27
	// headerBytes is how much is fetched for a page header at first.
	headerBytes = 16 << 10
)

// page is one page of a column chunk, unpacked.
type page struct {
	dictionary bool
	values     int // levels of a data page, entries of a dictionary
	reps, defs []byte
	encoding   format.Encoding
	data       []byte
}

// pageReader walks the pages of one column chunk. The bytes of a page are valid
// until the next is read.
//
// Pages are unpacked and decoded here and not by parquet-go, which reads footers
// and page headers for us: its v0.32.0 gives wrong values, without an error, for
// LZ4 pages that do not shrink to a third and for runs of booleans in pages of
// version 2, and allocates what runs and headers within a page claim. The files
// of testdata show each of these.
type pageReader struct {
	f        *field
	chunk    chunkReader
	at       int64
	codec    format.CompressionCodec
	unpacked []byte
	reps     []byte
	defs     []byte
	unpack   *unpackers
}

// pageMemory is what pages are read into, to be used again by the next scan: each would else begin with
// memory that the system has yet to clear.
type pageMemory struct{ packed, unpacked, defs []byte }

var pageMemories = sync.Pool{New: func() any { return &pageMemory{} }} //nolint:gochecknoglobals // memory to be used again, no state

// lend gives the reader memory of earlier ones.
func (p *pageReader) lend() {
	m, _ := pageMemories.Get().(*pageMemory)
	p.chunk.buf, p.unpacked, p.defs = m.packed, m.unpacked, m.defs
}

// giveBack takes the reader's memory, unless it is of pages that few have. What was read is no longer valid.
func (p *pageReader) giveBack() {
	m := &pageMemory{p.chunk.buf[:0], p.unpacked[:0], p.defs[:0]}
	p.chunk.buf, p.unpacked, p.defs = nil, nil, nil
	if cap(m.packed)+cap(m.unpacked)+cap(m.defs) <= 2*maxWindow {
		pageMemories.Put(m)
	}
}

// open points at a column chunk, after checking its place in the file.
func (p *pageReader) open(r *Reader, f *field, group int, window int64) error {
	raw := &r.groups[group].Columns[f.leaf]
	meta := &raw.MetaData
	start := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	end := start + meta.TotalCompressedSize
	switch {
	case raw.FilePath != "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "its pages are in another file, %q", raw.FilePath)
	case start < 4 || meta.TotalCompressedSize < 0 || end < start || end > r.size-8:
		return fmt.Errorf("pages from byte %d to %d in a file of %d", start, end, r.size)
	}
	p.f, p.at, p.codec, p.unpack = f, start, meta.Codec, r.unpack
	p.chunk.open(r.at, start, end, window)
	return nil
}

// next reads a page; io.EOF after the last. values limits how many a data page may have.
func (p *pageReader) next(values int64) (page, error) {
	if p.at >= p.chunk.end {
		return page{}, io.EOF
	}
	h, err := p.header()
	if err != nil {
		return page{}, err
	}
	packed, err := p.chunk.slice(p.at, int64(h.CompressedPageSize))
	if err != nil {
		return page{}, err
	}
	p.at += int64(h.CompressedPageSize)
	if h.CRC != 0 && crc32.ChecksumIEEE(packed) != uint32(h.CRC) {
		return page{}, fmt.Errorf("a page's checksum is %08x, its header states %08x", crc32.ChecksumIEEE(packed), uint32(h.CRC))
	}
	switch h.Type {
	case format.DictionaryPage:
		return p.dictionary(h, packed)
	case format.DataPage:
		return p.dataV1(h, packed, values)
	case format.DataPageV2:
		return p.dataV2(h, packed, values)
	case format.IndexPage:
		return p.next(values)
	}
	return page{}, fmt.Errorf("a page of unknown type %d", h.Type)
}

// header decodes the page header at the current place and checks its sizes
// before anything is allocated for them.
func (p *pageReader) header() (*format.PageHeader, error) {
	for size := int64(headerBytes); ; size *= 8 {
		left := p.chunk.end - p.at
		b, err := p.chunk.slice(p.at, min(size, left))
		if err != nil {
			return nil, err
		}
		h := new(format.PageHeader)
		var protocol thrift.CompactProtocol
		r := protocol.NewReaderFromBytes(b)
		err = thrift.NewDecoder(r).Decode(h)
		if err != nil && size < left && errors.Is(err, io.ErrUnexpectedEOF) {
			continue // statistics may be long
		}
		if err != nil {
			return nil, fmt.Errorf("page header at byte %d: %w", p.at, err)
		}
		p.at += int64(r.BytesRead())
		switch left := p.chunk.end - p.at; {
		case h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > left:
			return nil, fmt.Errorf("a page states %d bytes, %d are left", h.CompressedPageSize, left)
		case h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPageBytes:
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "a page states %d bytes unpacked: at most %d are read", h.UncompressedPageSize, maxPageBytes)
		}
		return h, nil
	}
}

// checkValues bounds the number of values by what can be there.
func checkValues(n int32, limit int64) error {
	if limit = min(limit, maxPageValues); n < 0 || int64(n) > limit {
		return fmt.Errorf("a page states %d values, at most %d can be there", n, limit)
	}
	return nil
}

func (p *pageReader) dictionary(h *format.PageHeader, packed []byte) (page, error) {
	d := &h.DictionaryPageHeader.V
	if err := checkValues(d.NumValues, maxPageValues); err != nil || !h.DictionaryPageHeader.Valid {
		return page{}, errors.Join(errors.New("a dictionary page"), err)
	}
	data, err := p.unpack.decode(p.codec, packed, p.unpacked, int(h.UncompressedPageSize))
	if err != nil {
		return page{}, err
	}
	p.keep(data)
	return page{dictionary: true, values: int(d.NumValues), encoding: format.Plain, data: data}, nil
}

func (p *pageReader) dataV1(h *format.PageHeader, packed []byte, limit int64) (page, error) {
	d := &h.DataPageHeader.V
	if err := checkValues(d.NumValues, limit); err != nil || !h.DataPageHeader.Valid {
		return page{}, errors.Join(errors.New("a data page"), err)
	}
	data, err := p.unpack.decode(p.codec, packed, p.unpacked, int(h.UncompressedPageSize))
	if err != nil {
		return page{}, err
	}
	p.keep(data)
	out := page{values: int(d.NumValues), encoding: d.Encoding}
	if p.f.repeated {
		if out.reps, data, err = p.levels(&p.reps, out.values, 1, false, d.RepetitionLevelEncoding, data); err != nil {
			return page{}, fmt.Errorf("repetition levels: %w", err)
		}
	}
	if p.f.maxDef > 0 {
		if out.defs, data, err = p.levels(&p.defs, out.values, p.f.maxDef, true, d.DefinitionLevelEncoding, data); err != nil {
			return page{}, fmt.Errorf("definition levels: %w", err)
		}
	}
	out.data = data
	return out, nil
}

// keep reuses the buffer of unpacked pages, which is not the chunk's own.
func (p *pageReader) keep(data []byte) {
	if p.codec != format.Uncompressed {
		p.unpacked = data
	}
}

// levels reads the levels of a version 1 page, which their length precedes.
func (p *pageReader) levels(dst *[]byte, n int, most byte, definition bool, enc format.Encoding, data []byte) (levels, rest []byte, err error) {
	if enc != format.RLE {
		return nil, nil, fmt.Errorf("levels encoded as %s", enc)
	}
	if len(data) < 4 {
		return nil, nil, errShort("levels", 4, len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if uint64(size) > uint64(len(data)) {
		return nil, nil, errShort("levels", int(size), len(data))
	}
	levels, err = readLevels(dst, n, most, data[:size], definition)
	return levels, data[size:], err
}

// readLevels decodes n levels up to most, definition levels to nil where all of them are that.
func readLevels(dst *[]byte, n int, most byte, data []byte, definition bool) ([]byte, error) {
	if definition && oneRun(data, n, most) {
		return nil, nil
	}
	*dst = grown(*dst, n)
	return *dst, decodeHybrid(data, levelWidth(most), *dst)
}

// oneRun reports whether n levels are one run of a value, which takes a byte.
func oneRun(data []byte, n int, value byte) bool {
	head, size := binary.Uvarint(data)
	return size > 0 && size < len(data) && head&1 == 0 && head>>1 >= uint64(n) && data[size] == value
}

func (p *pageReader) dataV2(h *format.PageHeader, packed []byte, limit int64) (_ page, err error) {
	d := &h.DataPageHeaderV2.V
	if err := checkValues(d.NumValues, limit); err != nil || !h.DataPageHeaderV2.Valid {
		return page{}, errors.Join(errors.New("a data page"), err)
	}
	repSize, defSize := int64(d.RepetitionLevelsByteLength), int64(d.DefinitionLevelsByteLength)
	if repSize < 0 || defSize < 0 || repSize+defSize > int64(len(packed)) || repSize+defSize > int64(h.UncompressedPageSize) {
		return page{}, fmt.Errorf("levels of %d and %d bytes in a page of %d", repSize, defSize, len(packed))
	}
	out := page{values: int(d.NumValues), encoding: d.Encoding}
	if p.f.repeated {
		if out.reps, err = readLevels(&p.reps, out.values, 1, packed[:repSize], false); err != nil {
			return page{}, fmt.Errorf("repetition levels: %w", err)
		}
	}
	if p.f.maxDef > 0 && defSize > 0 {
		if out.defs, err = readLevels(&p.defs, out.values, p.f.maxDef, packed[repSize:repSize+defSize], true); err != nil {
			return page{}, fmt.Errorf("definition levels: %w", err)
		}
	}
	out.data = packed[repSize+defSize:]
	if !d.IsCompressed.Valid || d.IsCompressed.V {
		data, err := p.unpack.decode(p.codec, out.data, p.unpacked, int(int64(h.UncompressedPageSize)-repSize-defSize))
		if err != nil {
			return page{}, err
		}
		p.keep(data)
		out.data = data
	}
	return out, nil
}
