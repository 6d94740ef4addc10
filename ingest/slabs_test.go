package ingest

import "testing"

// TestSlabs: a slab holds what was asked for and little more, and comes again.
func TestSlabs(t *testing.T) {
	t.Parallel()
	last := -1
	for n := 1; n < 1<<20; n += 1 + n/7 {
		class, capacity := classOf(n)
		if capacity < n || n > leastSlab && float64(capacity) > 1.25*float64(n)+1 || class < last {
			t.Fatalf("%d values: class %d of capacity %d after %d", n, class, capacity, last)
		}
		if again, same := classOf(capacity); again != class || same != capacity {
			t.Fatalf("class %d of capacity %d is class %d of capacity %d", class, capacity, again, same)
		}
		last = class
	}
	p := &pool[int64]{most: 16 << 10}
	first := p.take(1000)[:1000]
	first[999] = 7
	p.put(first)
	if second := p.take(800); cap(second) == cap(first) {
		t.Error("a slab of another class was given")
	}
	if third := p.take(1000)[:1000]; &third[0] != &first[0] {
		t.Error("the slab did not come again")
	}
	p.put(make([]int64, 0, 8192)) // more than may be kept
	p.put(make([]int64, 0, 999))  // not of a class
	if p.held != 0 {
		t.Errorf("%d bytes are kept", p.held)
	}
	v := zeros(p, append(p.take(300), 1, 2), 400)
	for i, x := range v {
		if i < 2 && x != int64(i+1) || i >= 2 && x != 0 {
			t.Fatalf("value %d is %d", i, x)
		}
	}
}
