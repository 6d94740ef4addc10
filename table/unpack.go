package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// unpackers decompress pages, each to exactly the size that its header states:
// a page that unpacks to more is refused, not followed. The library's own codecs
// know no such limit, and its LZ4 returns another page's bytes for some sizes.
type unpackers struct {
	once sync.Once
	zstd *zstd.Decoder
	err  error
}

// slack is the room after a page that lets zstd copy in larger steps.
const slack = 64

// decode returns the unpacked page, in dst if it is large enough. Without
// compression that is packed itself.
func (u *unpackers) decode(codec format.CompressionCodec, packed, dst []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		return packed, nil
	}
	if size == 0 {
		return dst[:0], nil
	}
	dst = grown(dst[:0], size+slack)[:size]
	n, err := u.into(codec, dst, packed)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes", n)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack a %s page of %d bytes: %w", codec, size, err)
	}
	return dst, nil
}

// into unpacks to dst and returns how many bytes there were.
func (u *unpackers) into(codec format.CompressionCodec, dst, packed []byte) (int, error) {
	switch codec {
	case format.Snappy:
		n, err := s2.DecodedLen(packed)
		if err != nil || n != len(dst) {
			return n, err
		}
		_, err = s2.Decode(dst, packed)
		return n, err
	case format.Zstd:
		return u.zstandard(dst, packed)
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return 0, err
		}
		return exactly(r, dst)
	case format.Brotli:
		return exactly(brotli.NewReader(bytes.NewReader(packed)), dst)
	case format.Lz4Raw:
		return lz4.UncompressBlock(packed, dst)
	case format.Lz4:
		return hadoopLZ4(dst, packed)
	}
	return 0, fmt.Errorf("the compression %s is not supported", codec)
}

func (u *unpackers) zstandard(dst, packed []byte) (int, error) {
	u.once.Do(func() {
		u.zstd, u.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
			zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxPageBytes))
	})
	if u.err != nil {
		return 0, u.err
	}
	out, err := u.zstd.DecodeAll(packed, dst[:0:len(dst)+slack])
	if err == nil && len(out) > 0 && &out[0] != &dst[0] {
		copy(dst, out) // it never should leave the buffer; if it does, nothing is lost
	}
	return len(out), err
}

// exactly reads dst full and then the end.
func exactly(r io.Reader, dst []byte) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	m, err := io.ReadFull(r, more[:])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n + m, err
}

// hadoopLZ4 reads the older LZ4 codec: blocks, each after its two sizes. Some
// writers left the sizes out.
func hadoopLZ4(dst, packed []byte) (int, error) {
	n, rest := 0, packed
	for len(rest) >= 8 {
		size, length := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		rest = rest[8:]
		if uint64(length) > uint64(len(rest)) || uint64(size) > uint64(len(dst)-n) {
			return lz4.UncompressBlock(packed, dst)
		}
		m, err := lz4.UncompressBlock(rest[:length], dst[n:n+int(size)])
		if err != nil || m != int(size) {
			return lz4.UncompressBlock(packed, dst)
		}
		n, rest = n+m, rest[length:]
	}
	return n, nil
}
