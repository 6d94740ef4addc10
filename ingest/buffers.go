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

	// Of decompressed to compressed bytes, as IEEE bits: a moving average, and one of
	// how far batches are from it.
	ratio, deviation atomic.Uint64
}

// What a batch becomes is guessed from the ones before: batches of a topic are about
// as compressible as each other. The client zeroes all of what it gives back, so that
// room that is not used costs as much as data.
const (
	ratioWeight    = 1. / 16 // of the last batch in the averages
	ratioDeviation = 4       // so many mean deviations are added to the average
	ratioOutlier   = 4       // times the average: more is taken for that, such as a bomb's
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
	last = min(last, ratioOutlier*average)
	deviation := math.Float64frombits(b.deviation.Load())
	b.ratio.Store(math.Float64bits(average + ratioWeight*(last-average)))
	b.deviation.Store(math.Float64bits(deviation + ratioWeight*(math.Abs(last-average)-deviation)))
}

// readRoom is what the client wants to be free behind the last byte.
const readRoom = 512

// GetDecompressBytes returns memory that is probably enough.
func (b *buffers) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	ratio := math.Float64frombits(b.ratio.Load()) + ratioDeviation*math.Float64frombits(b.deviation.Load())
	return b.bytes.get(int(min(float64(len(compressed))*max(1, ratio), 1<<maxSlab-readRoom)) + readRoom)
}

// PutDecompressBytes takes back what GetDecompressBytes returned, or what the
// client has made of it.
func (b *buffers) PutDecompressBytes(s []byte) { b.bytes.put(s) }

// GetRecords returns memory for n records.
func (b *buffers) GetRecords(n int) []kgo.Record { return b.records.get(n) }

// PutRecords takes back what GetRecords returned.
func (b *buffers) PutRecords(s []kgo.Record) { b.records.put(s) }

// slabs keep slices by what their capacity reaches: a power of two, or one of seven
// steps from it to the next. Larger ones than 2^maxSlab are rare, and are not kept.
type slabs[T any] [(maxSlab-minSlab)*slabSteps + 1]sync.Pool

const (
	minSlab, maxSlab = 3, 23
	slabSteps        = 8
	slabTries        = 3 // what is kept may be up to so many steps too large
)

// slabOf is the largest class that n reaches, with its size, and the step to the next.
func slabOf(n int) (class, size, step int) {
	power := bits.Len(uint(n)) - 1
	step = 1 << power / slabSteps
	steps := (n - 1<<power) / step
	return (power-minSlab)*slabSteps + steps, 1<<power + steps*step, step
}

// get returns an empty slice with room for n elements.
func (p *slabs[T]) get(n int) []T {
	if n > 1<<maxSlab {
		return make([]T, 0, n)
	}
	class, size, step := slabOf(max(n, 1<<minSlab))
	if size < n {
		class, size = class+1, size+step
	}
	for i := class; i < min(class+slabTries, len(p)); i++ {
		if s, ok := p[i].Get().(*[]T); ok {
			return *s
		}
	}
	return make([]T, 0, size)
}

// put keeps a slice that nobody uses any more.
func (p *slabs[T]) put(s []T) {
	if n := cap(s); n >= 1<<minSlab && n <= 1<<maxSlab {
		class, _, _ := slabOf(n)
		s = s[:0]
		p[class].Put(&s)
	}
}
