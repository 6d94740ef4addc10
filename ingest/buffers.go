package ingest

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// buffers lends the Kafka client the memory that batches are decompressed into and
// that their records stand in. A batch's comes back once all of its records are
// recycled, which place does. What nobody uses, the garbage collector takes.
type buffers struct {
	bytes   slabs[byte]
	records slabs[kgo.Record]
	ratio   atomic.Uint64 // of decompressed to compressed bytes, as IEEE bits: a moving average
}

// ratioWeight is that of the last batch in the average, ratioRoom what is added to
// it: batches of a topic are about as compressible as each other.
const (
	ratioWeight = 1. / 16
	ratioRoom   = 1.125
)

// OnFetchBatchRead learns how large batches become.
func (b *buffers) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	if m.CompressedBytes == 0 {
		return
	}
	last, average := float64(m.UncompressedBytes)/float64(m.CompressedBytes), math.Float64frombits(b.ratio.Load())
	if average == 0 {
		average = last
	}
	b.ratio.Store(math.Float64bits(average + ratioWeight*(last-average)))
}

// readRoom is what the client wants to be free behind the last byte.
const readRoom = 512

// GetDecompressBytes returns memory that is probably enough.
func (b *buffers) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	ratio := max(1, math.Float64frombits(b.ratio.Load()))
	return b.bytes.get(min(int(float64(len(compressed))*ratio*ratioRoom), 1<<maxSlab-readRoom) + readRoom)
}

// PutDecompressBytes takes back what GetDecompressBytes returned, or what the
// client has made of it.
func (b *buffers) PutDecompressBytes(s []byte) { b.bytes.put(s) }

// GetRecords returns memory for n records.
func (b *buffers) GetRecords(n int) []kgo.Record { return b.records.get(n) }

// PutRecords takes back what GetRecords returned.
func (b *buffers) PutRecords(s []kgo.Record) { b.records.put(s) }

// slabs keep slices by the power of two that their capacity reaches. Larger ones
// than 2^maxSlab are rare, and are not kept.
type slabs[T any] [maxSlab + 1]sync.Pool

const maxSlab = 23

// get returns an empty slice with room for n elements.
func (p *slabs[T]) get(n int) []T {
	class := bits.Len(uint(max(n, 1) - 1))
	if class > maxSlab {
		return make([]T, 0, n)
	}
	if s, ok := p[class].Get().(*[]T); ok {
		return *s
	}
	return make([]T, 0, 1<<class)
}

func (p *slabs[T]) put(s []T) {
	if class := bits.Len(uint(cap(s))) - 1; class >= 0 && class <= maxSlab {
		s = s[:0]
		p[class].Put(&s)
	}
}
