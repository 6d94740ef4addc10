package archive

import (
	"fmt"
	"io"
)

// tailBytes holds the footer of an ordinary data file, and small files whole.
const tailBytes = 64 << 10

// tailReader keeps the end of an object, where a Parquet file's footer is: on a
// remote store each of the few small reads there would be a request.
type tailReader struct {
	Object
	tail []byte
}

func readTail(o Object) (*tailReader, error) {
	tail := make([]byte, min(o.Size(), tailBytes))
	n, err := o.ReadAt(tail, o.Size()-int64(len(tail)))
	if n < len(tail) {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return &tailReader{Object: o, tail: tail}, nil
}

func (t *tailReader) ReadAt(p []byte, off int64) (int, error) {
	start := t.Size() - int64(len(t.tail))
	if off < start {
		return t.Object.ReadAt(p, off)
	}
	if off >= t.Size() {
		return 0, io.EOF
	}
	n := copy(p, t.tail[off-start:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
