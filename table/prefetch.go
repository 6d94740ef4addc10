package table

import (
	"errors"
	"fmt"
	"io"
)

// errSource marks failures of the bytes' source, as against bad bytes.
var errSource = errors.New("read source")

// chunkReader serves one column chunk from few large reads: a chunk up to the
// window's size is one range read, a larger one a run of consecutive windows.
// Reading page by page would cost a request per page on a remote object.
type chunkReader struct {
	at         io.ReaderAt
	start, end int64 // of the chunk, in the file
	window     int64
	buf        []byte
	from       int64 // where buf begins
}

// open points the reader at a chunk; its buffer is reused.
func (c *chunkReader) open(at io.ReaderAt, start, end, window int64) {
	c.at, c.start, c.end, c.window = at, start, end, window
	c.buf, c.from = c.buf[:0], start
}

// slice returns n bytes at an offset within the chunk. They are valid until the next call.
func (c *chunkReader) slice(off, n int64) ([]byte, error) {
	if off < c.start || n < 0 || off+n > c.end {
		return nil, fmt.Errorf("bytes %d to %d are outside of the column's", off, off+n)
	}
	if off < c.from || off+n > c.from+int64(len(c.buf)) {
		if err := c.fill(off, min(max(n, c.window), c.end-off)); err != nil {
			return nil, err
		}
	}
	return c.buf[off-c.from:][:n:n], nil
}

func (c *chunkReader) fill(off, size int64) error {
	c.buf, c.from = grown(c.buf, int(size)), off
	n, err := c.at.ReadAt(c.buf, off)
	if n == len(c.buf) {
		return nil
	}
	c.buf = c.buf[:0]
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("the file ends at byte %d, a column goes on to %d", off+int64(n), off+size)
	}
	return fmt.Errorf("%w: %d bytes at %d: %w", errSource, size, off, err)
}
