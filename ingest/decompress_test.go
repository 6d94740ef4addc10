package ingest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDecompress: every codec decompresses into lent memory, within the bound, and a
// batch that becomes too large is known as such.
func TestDecompress(t *testing.T) {
	t.Parallel()
	data := lz4Sample(100_000)
	for name, codec := range map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compressor, err := kgo.DefaultCompressor(codec)
			if err != nil {
				t.Fatal(err)
			}
			lent := new(buffers)
			d := newDecompressor(lent)
			d.limit = len(data)
			lent.OnFetchBatchRead(kgo.BrokerMetadata{}, "t", 0, kgo.FetchBatchMetrics{CompressedBytes: 1, UncompressedBytes: 8})
			src, kind := compressor.Compress(new(bytes.Buffer), data)
			room := cap(lent.GetDecompressBytes(src, kind))
			if got, err := d.Decompress(src, kind); err != nil || !bytes.Equal(got, data) || cap(got) != room {
				t.Errorf("got %d bytes, %v, of capacity %d; want %d of the capacity that is lent, %d", len(got), err, cap(got), len(data), room)
			}
			src, kind = compressor.Compress(new(bytes.Buffer), append(bytes.Clone(data), 'x'))
			if _, err := d.Decompress(src, kind); !errors.Is(err, kgo.ErrMaxDecompress) {
				t.Errorf("a byte too many: got %v", err)
			}
		})
	}
}
