package table

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/modelwatch/modelwatch"
)

// Format is how a table file is written.
type Format string

// The formats. FormatUnknown is found out from the name and the first bytes.
const (
	FormatUnknown   Format = ""
	FormatParquet   Format = "parquet"
	FormatCSV       Format = "csv"
	FormatJSONLines Format = "json lines"
)

// FormatOf reads the format off a media type or, if that says nothing, off a
// file name, whose .gz or .zst does not count.
func FormatOf(contentType, name string) Format {
	if media, _, err := mime.ParseMediaType(contentType); err == nil {
		switch media {
		case "application/vnd.apache.parquet", "application/parquet", "application/x-parquet":
			return FormatParquet
		case "text/csv", "application/csv", "text/tab-separated-values":
			return FormatCSV
		case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines":
			return FormatJSONLines
		}
	}
	name = strings.ToLower(path.Base(name))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch path.Ext(name) {
	case ".parquet", ".pq":
		return FormatParquet
	case ".csv", ".tsv":
		return FormatCSV
	case ".jsonl", ".ndjson", ".json":
		return FormatJSONLines
	}
	return FormatUnknown
}

// Source is a table file of the user's. Either ReaderAt with Size is set, or
// Open, which is called once: a stream that has to be read twice is kept in a
// temporary file meanwhile.
type Source struct {
	Name     string // for messages
	Open     func() (io.ReadCloser, error)
	ReaderAt io.ReaderAt
	Size     int64 // 0 if unknown and there is no ReaderAt
	Format   Format
}

// input is a source made re-readable: its raw bytes, their checksum, and what is in them.
type input struct {
	name   string
	at     io.ReaderAt
	size   int64
	sum    string
	format Format
	packed string // "gzip", "zstd", ""
	remove func()
}

// openSource makes the source re-readable and takes its checksum, reading it
// through once. The caller calls remove.
func openSource(ctx context.Context, src Source, tempDir string) (_ *input, err error) {
	in := &input{name: src.Name, at: src.ReaderAt, size: src.Size, format: src.Format, remove: func() {}}
	if in.name == "" {
		in.name = "the file"
	}
	sum := sha256.New()
	if in.at != nil {
		_, err = io.Copy(sum, withContext(ctx, io.NewSectionReader(in.at, 0, in.size)))
		err = wrapRead(err, in.name)
	} else {
		err = in.keep(ctx, src, sum, tempDir)
	}
	if err != nil {
		in.remove()
		return nil, err
	}
	in.sum = hex.EncodeToString(sum.Sum(nil))
	if err := in.detect(); err != nil {
		in.remove()
		return nil, err
	}
	return in, nil
}

// keep copies a stream to a temporary file.
func (in *input) keep(ctx context.Context, src Source, sum hash.Hash, tempDir string) error {
	if src.Open == nil {
		return modelwatch.Errorf(modelwatch.CodeInternal, "read %s: the source has neither bytes nor a way to open it", in.name)
	}
	r, err := src.Open()
	if err != nil {
		return fmt.Errorf("open %s: %w", in.name, err)
	}
	defer r.Close()
	f, err := os.CreateTemp(tempDir, "modelwatch-source-*")
	if err != nil {
		return fmt.Errorf("create temporary file: %w", err)
	}
	in.at = f
	in.remove = func() { f.Close(); os.Remove(f.Name()) }
	in.size, err = io.Copy(f, io.TeeReader(withContext(ctx, r), sum))
	return wrapRead(err, in.name)
}

func wrapRead(err error, name string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// detect finds compression and format in the first bytes. They overrule the
// name where they leave no doubt.
func (in *input) detect() error {
	head, err := in.head(false)
	if err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		in.packed = "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		in.packed = "zstd"
	}
	if in.packed != "" {
		if head, err = in.head(true); err != nil {
			return err
		}
	}
	if in.format == FormatUnknown {
		in.format = FormatOf("", in.name)
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		in.format = FormatParquet
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s is UTF-16 text: save it as UTF-8", in.name)
	case in.format != FormatUnknown:
	case bytes.HasPrefix(text, []byte("{")):
		in.format = FormatJSONLines
	default:
		in.format = FormatCSV
	}
	return nil
}

func (in *input) head(unpacked bool) ([]byte, error) {
	r, done, err := in.open(context.Background(), unpacked)
	if err != nil {
		return nil, err
	}
	defer done()
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, in.failedAt(0, err)
	}
	return head[:n], nil
}

// open reads the source from its beginning, unpacked or raw.
func (in *input) open(ctx context.Context, unpacked bool) (io.Reader, func(), error) {
	raw := withContext(ctx, io.NewSectionReader(in.at, 0, in.size))
	if !unpacked || in.packed == "" {
		return raw, func() {}, nil
	}
	buffered := bufio.NewReaderSize(raw, 256<<10)
	if in.packed == "gzip" {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "unpack %s", in.name)
		}
		return unpacker{z}, func() { _ = z.Close() }, nil
	}
	z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "unpack %s", in.name)
	}
	return unpacker{z}, z.Close, nil
}

// unpacker marks failures of decompression as the file's.
type unpacker struct{ r io.Reader }

func (u unpacker) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		err = &unpackError{err}
	}
	return n, err
}

// unpackError is a failure of decompression: the file is cut off or damaged.
type unpackError struct{ err error }

func (e *unpackError) Error() string { return e.what() + ": " + e.err.Error() }
func (e *unpackError) Unwrap() error { return e.err }

func (e *unpackError) what() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		return "the packed file ends in the middle"
	}
	return "the packed file is damaged"
}

// failedAt says that reading ended in that line; 0 where there are no lines.
func (in *input) failedAt(line int64, err error) error {
	var broken *unpackError
	switch {
	case !errors.As(err, &broken):
		return wrapRead(err, in.name)
	case line == 0:
		return modelwatch.Wrap(modelwatch.CodeInvalid, broken.err, "%s: %s", in.name, broken.what())
	}
	return modelwatch.Wrap(modelwatch.CodeInvalid, broken.err, "%s:%d: %s", in.name, line, broken.what())
}

// unpackFile unpacks a packed Parquet file, whose bytes must be in reach at random.
func (in *input) unpackFile(ctx context.Context, tempDir string) error {
	if in.packed == "" {
		return nil
	}
	r, done, err := in.open(ctx, true)
	if err != nil {
		return err
	}
	defer done()
	f, err := os.CreateTemp(tempDir, "modelwatch-source-*")
	if err != nil {
		return fmt.Errorf("create temporary file: %w", err)
	}
	remove := in.remove
	in.remove = func() { remove(); f.Close(); os.Remove(f.Name()) }
	n, err := io.Copy(f, r)
	if err != nil {
		return in.failedAt(0, err)
	}
	in.at, in.size, in.packed = f, n, ""
	return nil
}

// withContext ends reading when the context does.
func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
