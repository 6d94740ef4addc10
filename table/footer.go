package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// tailBytes is read at the end of a file at first: most footers fit.
const tailBytes = 64 << 10

// footerText is the footer of a file, in Thrift's compact protocol.
type footerText struct {
	text []byte
	from int // where the list of row groups begins in it, and ends; 0 if there is none
	to   int
}

// rowGroup is what is kept of a row group, columnChunk of a column in it. The
// library's own forms, with their statistics and paths, take 20 times the memory,
// which is what most of a wide file's reader would consist of.
type (
	rowGroup struct {
		Columns thrift.Slice[columnChunk] `thrift:"1,required"`
		NumRows int64                     `thrift:"3,required"`
	}
	columnChunk struct {
		FilePath string      `thrift:"1,optional"`
		MetaData chunkPlaces `thrift:"3,optional"`
	}
	chunkPlaces struct {
		Codec                format.CompressionCodec `thrift:"4,required"`
		TotalCompressedSize  int64                   `thrift:"7,required"`
		DataPageOffset       int64                   `thrift:"9,required"`
		DictionaryPageOffset int64                   `thrift:"11,optional"`
	}
)

// readFooter reads the end of the file and checks the footer there before the
// library allocates for it: by the size of the file, and by walking the footer,
// whose lists state their own lengths.
func readFooter(r io.ReaderAt, size int64) (*footerText, error) {
	if size < 12 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "not a parquet file: %d bytes, the smallest has 12", size)
	}
	tail := make([]byte, min(size, tailBytes))
	if err := readFull(r, tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	switch magic := string(tail[len(tail)-4:]); magic {
	case "PAR1":
	case "PARE":
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the parquet file is encrypted: only plain files can be read")
	default:
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "not a parquet file, or a truncated one: it ends in %q instead of \"PAR1\"", magic)
	}
	n := int64(binary.LittleEndian.Uint32(tail[len(tail)-8:]))
	if n > size-12 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "truncated parquet file: a footer of %d bytes in a file of %d", n, size)
	}
	if n+8 > int64(len(tail)) {
		tail = make([]byte, n+8)
		if err := readFull(r, tail, size-n-8); err != nil {
			return nil, err
		}
	}
	w := thriftWalk{b: tail[int64(len(tail))-8-n : len(tail)-8]}
	if err := w.structure(0); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read parquet footer: the file is malformed")
	}
	return &footerText{text: w.b, from: w.groups[0], to: w.groups[1]}, nil
}

// open lets the library read all of the footer but its row groups.
func (f *footerText) open() (*parquet.File, error) {
	const emptyList = 12 // of structures
	text := slices.Concat(f.text[:f.from], []byte{emptyList}, f.text[f.to:])
	if f.from == 0 {
		text = slices.Clone(f.text) // which the library refuses: the list is required
	}
	text = binary.LittleEndian.AppendUint32(text, uint32(len(text)))
	text = append(text, "PAR1"...)
	return parquet.OpenFile(bytes.NewReader(text), int64(len(text)), parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// rowGroups decodes the row groups.
func (f *footerText) rowGroups() ([]rowGroup, error) {
	var protocol thrift.CompactProtocol
	var groups []rowGroup
	err := thrift.NewDecoder(protocol.NewReaderFromBytes(f.text[f.from:f.to])).Decode(&groups)
	return groups, err
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return modelwatch.Errorf(modelwatch.CodeInvalid, "truncated parquet file: %d bytes at %d, found %d", len(p), off, n)
	}
	return fmt.Errorf("read parquet footer: %w: %w", errSource, err)
}

// thriftWalk steps over a value of Thrift's compact protocol and checks that
// every length it states is there. The decoder behind it allocates lists by
// their stated length before it reads them, which a hostile footer could use
// to exhaust memory.
type thriftWalk struct {
	b      []byte
	i      int
	groups [2]int // where a list that is field 4 of the outermost structure begins and ends
}

const maxThriftDepth = 32

var (
	errThriftShort = errors.New("it ends within a value")
	errThriftDeep  = errors.New("it nests too deep")
	errTwice       = errors.New("it lists row groups twice")
)

// groupsField is the number of the field that lists row groups.
const groupsField = 4

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return errThriftDeep
	}
	for field := int64(0); ; {
		head, err := w.next()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		if delta := head >> 4; delta != 0 {
			field += int64(delta)
		} else {
			v, err := w.varint()
			if err != nil {
				return err
			}
			field = int64(v>>1) ^ -int64(v&1)
		}
		start := w.i
		if err := w.value(head&0xf, false, depth); err != nil {
			return err
		}
		if depth == 0 && field == groupsField && head&0xf == thriftList {
			if w.groups[1] > 0 {
				return errTwice
			}
			w.groups = [2]int{start, w.i}
		}
	}
}

const thriftList = 9

// value steps over one value. Booleans stand in the type of a field, but are a
// byte each in a list.
func (w *thriftWalk) value(kind byte, inList bool, depth int) error {
	switch kind {
	case 1, 2:
		if inList {
			return w.skip(1)
		}
		return nil
	case 3:
		return w.skip(1)
	case 4, 5, 6:
		_, err := w.varint()
		return err
	case 7:
		return w.skip(8)
	case 8:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, 10:
		return w.list(depth + 1)
	case 11:
		return w.mapping(depth + 1)
	case 12:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("unknown thrift type %d at byte %d of the footer", kind, w.i)
}

func (w *thriftWalk) list(depth int) error {
	if depth > maxThriftDepth {
		return errThriftDeep
	}
	head, err := w.next()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.b)-w.i) {
		return fmt.Errorf("a list of %d values in %d bytes at byte %d of the footer", n, len(w.b)-w.i, w.i)
	}
	for range n {
		if err := w.value(head&0xf, true, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalk) mapping(depth int) error {
	if depth > maxThriftDepth {
		return errThriftDeep
	}
	n, err := w.varint()
	if err != nil || n == 0 {
		return err
	}
	if n > uint64(len(w.b)-w.i) {
		return fmt.Errorf("a map of %d values in %d bytes at byte %d of the footer", n, len(w.b)-w.i, w.i)
	}
	kinds, err := w.next()
	if err != nil {
		return err
	}
	for range n {
		if err := w.value(kinds>>4, true, depth); err != nil {
			return err
		}
		if err := w.value(kinds&0xf, true, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalk) next() (byte, error) {
	if w.i >= len(w.b) {
		return 0, errThriftShort
	}
	w.i++
	return w.b[w.i-1], nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)-w.i) {
		return errThriftShort
	}
	w.i += int(n)
	return nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.i:])
	if n <= 0 {
		return 0, errThriftShort
	}
	w.i += n
	return v, nil
}
