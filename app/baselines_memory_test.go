package app

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
)

// TestBaselineUploadIsStreamed is not parallel: it looks at the heap of the
// process. Holding the body would take it over the limit: what is kept of a
// million numbers, for their grid, and of the categories is about 90 MiB.
func TestBaselineUploadIsStreamed(t *testing.T) {
	const size, limit = 96 << 20, 150 << 20
	b := setup(t)
	b.putModel(t)
	runtime.GC()
	watch := watchHeap(t.Context())
	r := upload(typeCSV, "", "")
	body := &madeCSV{size: size}
	r.Body, r.Mapping.ID = body, "id"
	got := b.register(t, r)
	most := watch()
	t.Logf("%d MiB, %d rows: at most %d MiB more on the heap", size>>20, got.Rows, most>>20)
	if got.Rows != body.rows {
		t.Errorf("got %d rows of %d", got.Rows, body.rows)
	}
	if most > limit {
		t.Errorf("an upload of %d MiB took %d MiB of heap, want at most %d", size>>20, most>>20, limit>>20)
	}
}

// watchHeap samples how far the heap grows until the function it returns is called.
func watchHeap(ctx context.Context) func() uint64 {
	ctx, stop := context.WithCancel(ctx)
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	most, done := uint64(0), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			if now.HeapInuse > before.HeapInuse {
				most = max(most, now.HeapInuse-before.HeapInuse)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() uint64 {
		stop()
		<-done
		return most
	}
}

// madeCSV is a CSV file of about that size that nobody holds.
type madeCSV struct {
	size int
	rows int64
	line []byte // what is left of it
}

func (m *madeCSV) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(m.line) == 0 {
			if m.size <= 0 {
				return n, eofIf(n == 0)
			}
			m.next()
		}
		k := copy(p[n:], m.line)
		m.line, n = m.line[k:], n+k
	}
	return n, nil
}

func eofIf(end bool) error {
	if end {
		return io.EOF
	}
	return nil
}

func (m *madeCSV) next() {
	switch m.rows {
	case 0:
		m.line = append(m.line[:0], "id,amount,country,device,description\n0,0,DE,phone,first\n"...)
	default:
		h := uint64(m.rows) * 0x9e3779b97f4a7c15
		m.line = fmt.Appendf(m.line[:0], "%016x,%d.%d,%s,device-%d,a note of some length about the row that nobody reads %x\n",
			h, h>>47, h%10, country(int(h>>8%3)), h>>16%5000, h>>50)
	}
	m.rows++
	m.size -= len(m.line)
}
