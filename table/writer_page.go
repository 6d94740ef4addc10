package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageBytes is the size, unpacked, from which a page is ended.
const pageBytes = 1 << 20

// pageWriter writes the pages of one column chunk after the other.
type pageWriter struct {
	w       io.Writer
	at      int64     // bytes written
	body    []byte    // of the page that is being made: its levels, then its values
	doubles []float64 // the values, where they are doubles and not in body
	texts   texts     // of the body, where all have the same size
	packed  []byte
	header  bytes.Buffer
	thrift  *thrift.Encoder
	meta    format.ColumnMetaData // of the chunk that is being written
}

// packer compresses pages to frames of Zstandard. It takes about two megabytes.
type packer struct {
	general *zstd.Encoder
	doubles doublesPacker // and texts of one size
}

var packers = sync.Pool{New: func() any { //nolint:gochecknoglobals // memory to be used again, no state
	// The fastest level takes a fifth less time than the default for 3 % more bytes.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // of options, which are constants
	}
	return &packer{general: w}
}}

func newPageWriter(w io.Writer) *pageWriter {
	p := &pageWriter{w: w}
	var protocol thrift.CompactProtocol
	p.thrift = thrift.NewEncoder(protocol.NewWriter(&p.header))
	return p
}

func (p *pageWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.at += int64(n)
	return err
}

// begin starts the page of a chunk.
func (p *pageWriter) begin() { p.body, p.doubles, p.texts = p.body[:0], nil, texts{} }

// levels appends the levels of the page that is being made: their length, then they.
func (p *pageWriter) levels(width int, levels []uint8) {
	at := len(p.body)
	p.body = append(p.body, 0, 0, 0, 0)
	p.body = appendHybrid(p.body, width, levels)
	binary.LittleEndian.PutUint32(p.body[at:], uint32(len(p.body)-at-4))
}

// present is levels of n rows that all have a value, without looking at them.
func (p *pageWriter) present(n int) {
	at := len(p.body)
	p.body = append(p.body, 0, 0, 0, 0)
	if n > 0 {
		p.body = append(binary.AppendUvarint(p.body, uint64(n)<<1), 1)
	}
	binary.LittleEndian.PutUint32(p.body[at:], uint32(len(p.body)-at-4))
}

// addTexts appends texts, of that size in all with their lengths, and notes what they have
// in common.
func (p *pageWriter) addTexts(all []string, index []int32, size int) {
	p.body = slices.Grow(p.body, size)
	start := len(p.body) // of levels, which are few
	var common texts
	for _, i := range index {
		s := all[i]
		p.body = appendText(p.body, s)
		common.see(s)
	}
	if common.alike() && start <= blockBytes/2 {
		p.texts = common
	}
}

// endData writes the page as one of n levels.
func (p *pageWriter) endData(n int, encoding format.Encoding) error {
	if p.meta.DataPageOffset == 0 {
		p.meta.DataPageOffset = p.at
	}
	p.meta.NumValues += int64(n)
	p.encoded(encoding)
	return p.end(&format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(n), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
	})})
}

// endDictionary writes the page as a dictionary of n values.
func (p *pageWriter) endDictionary(n int) error {
	p.meta.DictionaryPageOffset = p.at
	p.encoded(format.Plain)
	return p.end(&format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: int32(n), Encoding: format.Plain,
	})})
}

// encoded notes an encoding of the chunk.
func (p *pageWriter) encoded(encoding format.Encoding) {
	for _, e := range p.meta.Encoding {
		if e == encoding {
			return
		}
	}
	p.meta.Encoding = append(p.meta.Encoding, encoding)
}

func (p *pageWriter) end(h *format.PageHeader) error {
	size := len(p.body) + 8*len(p.doubles)
	if size > maxPageBytes {
		return fmt.Errorf("a page of %d bytes, at most %d are read", size, maxPageBytes)
	}
	packer := packers.Get().(*packer)
	switch {
	case len(p.doubles) > 0:
		p.packed = packer.doubles.pack(p.packed[:0], p.body, p.doubles)
	case p.texts.n > 1:
		p.packed = packer.doubles.packTexts(p.packed[:0], p.body, p.texts)
	default:
		p.packed = packer.general.EncodeAll(p.body, p.packed[:0])
	}
	packers.Put(packer)
	h.UncompressedPageSize, h.CompressedPageSize = int32(size), int32(len(p.packed))
	p.header.Reset()
	if err := p.thrift.Encode(h); err != nil {
		return fmt.Errorf("encode page header: %w", err)
	}
	p.meta.TotalUncompressedSize += int64(p.header.Len() + size)
	p.meta.TotalCompressedSize += int64(p.header.Len() + len(p.packed))
	if err := p.write(p.header.Bytes()); err != nil {
		return err
	}
	return p.write(p.packed)
}
