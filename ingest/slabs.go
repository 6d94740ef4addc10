package ingest

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/modelwatch/modelwatch/table"
)

// slabs keep the memory of columns from one flush to the next: what is flushed
// takes as much again, and neither copying while it grows nor clearing it is for
// free. A nil *slabs keeps nothing.
type slabs struct {
	floats pool[float64]
	ints   pool[int64]
	index  pool[int32]
	bools  pool[bool]
}

// newSlabs keeps at most so many bytes that nobody uses.
func newSlabs(most int64) *slabs {
	s := &slabs{}
	s.floats.most, s.ints.most, s.index.most, s.bools.most = most/2, most/8, most/4, most/8
	return s
}

// pool holds slices by the class of their capacity.
type pool[T any] struct {
	mu         sync.Mutex
	free       [slabClasses][][]T
	held, most int64 // bytes
}

// A class is a quarter of the way from one power of two to the next, so a slab is
// at most a quarter larger than what was asked for.
const (
	leastSlab   = 1 << leastBits // the capacity of class 0
	leastBits   = 8
	slabClasses = 4 * 20
)

// classOf returns the smallest class that holds n values, and its capacity.
func classOf(n int) (class, capacity int) {
	n = max(n, leastSlab)
	power := bits.Len(uint(n)) - 1
	quarter := 1 << (power - 2)
	steps := (n - 1<<power + quarter - 1) / quarter
	return 4*(power-leastBits) + steps, 1<<power + steps*quarter
}

// take returns an empty slice of capacity n or more.
func (p *pool[T]) take(n int) []T {
	class, capacity := classOf(n)
	if class >= slabClasses {
		return make([]T, 0, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.free[class]) - 1; last >= 0 {
		v := p.free[class][last]
		p.free[class] = p.free[class][:last]
		p.held -= size(v)
		return v
	}
	return make([]T, 0, capacity)
}

// put takes a slice back that take has given; others are left to the collector.
func (p *pool[T]) put(v []T) {
	class, capacity := classOf(cap(v))
	if capacity != cap(v) || class >= slabClasses {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := size(v); p.held+n <= p.most {
		p.free[class] = append(p.free[class], v[:0])
		p.held += n
	}
}

func size[T any](v []T) int64 {
	var one T
	return int64(cap(v)) * int64(unsafe.Sizeof(one))
}

// room returns v with room for n more.
func room[T any](p *pool[T], v []T, n int) []T {
	if len(v)+n <= cap(v) {
		return v
	}
	bigger := append(p.take(max(len(v)+n, cap(v)+cap(v)/3)), v...)
	p.put(v)
	return bigger
}

// appendTo appends one value.
func appendTo[T any](p *pool[T], v []T, x T) []T {
	if len(v) == cap(v) {
		v = room(p, v, 1)
	}
	return append(v, x)
}

// zeros appends n zero values.
func zeros[T any](p *pool[T], v []T, n int) []T {
	v = room(p, v, n)
	tail := v[len(v) : len(v)+n]
	clear(tail)
	return v[:len(v)+n]
}

// arrange returns the values in the given order; the slice they were in is spent.
func arrange[T any](p *pool[T], v []T, order []int32) []T {
	out := p.take(len(order))[:len(order)]
	for i, from := range order {
		out[i] = v[from]
	}
	p.put(v)
	return out
}

// gather returns the values in the given order.
func gather[T any](v []T, order []int32) []T {
	out := make([]T, len(order))
	for i, from := range order {
		out[i] = v[from]
	}
	return out
}

// release takes back the memory of a chunk that arrange has made and nobody reads
// any more.
func (s *slabs) release(c *table.Chunk) {
	for i := range c.Columns {
		col := &c.Columns[i]
		s.floats.put(col.Floats)
		s.ints.put(col.Ints)
		s.index.put(col.Index)
		s.bools.put(col.Bools)
		s.bools.put(col.Valid)
	}
	c.Columns = nil
}
