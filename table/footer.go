package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
)

// tailBytes is read at the end of a file at first: most footers fit.
const tailBytes = 64 << 10

// readFooter reads the end of the file and checks the footer there before the
// library allocates for it: by the size of the file, and by walking the footer,
// whose lists state their own lengths. The result serves the library's reads.
func readFooter(r io.ReaderAt, size int64) (*footerReader, error) {
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
	return &footerReader{tail: tail, from: size - int64(len(tail))}, nil
}

// footerReader is the end of a file.
type footerReader struct {
	tail []byte
	from int64
}

// ReadAt implements io.ReaderAt for the end of the file; nothing else is asked for.
func (f *footerReader) ReadAt(p []byte, off int64) (int, error) {
	if off < f.from || off > f.from+int64(len(f.tail)) {
		return 0, fmt.Errorf("byte %d is before the footer", off)
	}
	n := copy(p, f.tail[off-f.from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
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
	b []byte
	i int
}

const maxThriftDepth = 32

var (
	errThriftShort = errors.New("it ends within a value")
	errThriftDeep  = errors.New("it nests too deep")
)

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return errThriftDeep
	}
	for {
		head, err := w.next()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		if head>>4 == 0 {
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if err := w.value(head&0xf, false, depth); err != nil {
			return err
		}
	}
}

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
	case 9, 10:
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
