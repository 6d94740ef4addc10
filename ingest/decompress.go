package ingest

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// decompressor decompresses batches into lent memory: LZ4, which most are, by a decoder
// of our own, and everything else, and what that refuses, as the Kafka client does.
// What becomes larger than kgo.MaxDecompressBatchBytes is kgo.ErrMaxDecompress.
type decompressor struct {
	lent    *buffers
	limit   int                              // of what a batch becomes
	library func() (kgo.Decompressor, error) // is made when it is needed first
}

func newDecompressor(lent *buffers) *decompressor {
	d := &decompressor{lent: lent}
	d.library = sync.OnceValues(d.open)
	return d
}

// OnNewClient takes the bound over from the client, before it fetches anything.
func (d *decompressor) OnNewClient(client *kgo.Client) {
	d.limit, _ = client.OptValue(kgo.MaxDecompressBatchBytes).(int)
}

// open makes the library's decompressor. It is bounded only if a client makes it, so one
// is made for it, which connects to nothing.
func (d *decompressor) open() (kgo.Decompressor, error) {
	client, err := kgo.NewClient(kgo.WithPools(d.lent), kgo.MaxDecompressBatchBytes(d.limit), kgo.DisableClientMetrics())
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInternal, err, "make a decompressor")
	}
	defer client.Close()
	library, ok := client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, modelwatch.Errorf(modelwatch.CodeInternal, "the kafka client has no decompressor")
	}
	return library, nil
}

// Decompress implements kgo.Decompressor.
func (d *decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecLz4 {
		frames := lz4Decoder{lent: d.lent, limit: d.limit}
		if out, ok := frames.decode(src); ok {
			return out, nil
		}
	}
	library, err := d.library()
	if err != nil {
		return nil, err
	}
	return library.Decompress(src, codec)
}
