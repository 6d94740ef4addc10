package ingest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBuffersLend: what is asked for fits, whatever was put back before.
func TestBuffersLend(t *testing.T) {
	t.Parallel()
	var b buffers
	for _, n := range []int{0, 1, 3, 4, 5, 1000, 1024, 1025, 1 << 20, 1<<maxSlab + 1} {
		for range 3 {
			if got := b.bytes.get(n); len(got) != 0 || cap(got) < n {
				t.Errorf("%d bytes: got length %d, capacity %d", n, len(got), cap(got))
			}
			b.PutDecompressBytes(make([]byte, n)) // of a capacity that is no power of two
			b.PutDecompressBytes(make([]byte, n/2+1))
		}
	}
	b.PutRecords(nil)
	if got := b.GetRecords(728); cap(got) < 728 {
		t.Errorf("capacity %d, want 728", cap(got))
	}
}

// TestBuffersRatio: a batch gets room for what the last ones became, and a bomb among
// them is forgotten soon.
func TestBuffersRatio(t *testing.T) {
	t.Parallel()
	var b buffers
	read := func(m kgo.FetchBatchMetrics) { b.OnFetchBatchRead(kgo.BrokerMetadata{}, "t", 0, m) }
	room := func(compressed int) int { return cap(b.GetDecompressBytes(make([]byte, compressed), kgo.CodecLz4)) }
	read(kgo.FetchBatchMetrics{}) // nothing is known yet
	if got := room(1000); got < 1000 || got > 4096 {
		t.Errorf("room of %d bytes, before anything was read", got)
	}
	for range 50 {
		read(kgo.FetchBatchMetrics{CompressedBytes: 100, UncompressedBytes: 500})
	}
	if got := room(1000); got < 5000 || got > 8192 {
		t.Errorf("room of %d bytes, where batches become 5 times as large", got)
	}
	read(kgo.FetchBatchMetrics{CompressedBytes: 100, UncompressedBytes: 25_000})
	if got := room(1 << 20); got > 1<<maxSlab {
		t.Errorf("room of %d bytes after a bomb", got)
	}
	for range 50 {
		read(kgo.FetchBatchMetrics{CompressedBytes: 100, UncompressedBytes: 500})
	}
	if got := room(1000); got > 8192 {
		t.Errorf("room of %d bytes, 50 batches after a bomb", got)
	}
}
