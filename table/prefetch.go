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

// ReadAt implements io.ReaderAt within the chunk.
func (c *chunkReader) ReadAt(p []byte, off int64) (int, error) {
	if off < c.start || off >= c.end {
		return 0, io.EOF
	}
	n := min(int64(len(p)), c.end-off)
	if n > c.window {
		return c.read(p[:n], off, len(p))
	}
	if off < c.from || off+n > c.from+int64(len(c.buf)) {
		if err := c.fill(off); err != nil {
			return 0, err
		}
	}
	copy(p, c.buf[off-c.from:][:n])
	if int(n) < len(p) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (c *chunkReader) fill(off int64) error {
	size := min(c.window, c.end-off)
	c.buf, c.from = grown(c.buf, int(size)), off
	_, err := c.read(c.buf, off, len(c.buf))
	if err != nil {
		c.buf = c.buf[:0]
	}
	return err
}

func (c *chunkReader) read(p []byte, off int64, want int) (int, error) {
	n, err := c.at.ReadAt(p, off)
	switch {
	case n == len(p) && n == want:
		return n, nil
	case n == len(p):
		return n, io.EOF
	case err == nil || errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("%w: %d bytes at %d: %w", errSource, len(p), off, err)
}
