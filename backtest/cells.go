package backtest

import (
	"math"
	"math/bits"
)

// MaxScores is the number of distinct scores up to which ranking metrics are
// exact. With more, scores that agree in their leading bits are counted
// together, and the metrics come with bounds.
const MaxScores = 1 << 16

const maxPending = 1 << 15

// cell holds the rows of one number, or of numbers with the same leading bits.
type cell struct {
	key                uint64
	negative, positive mass
}

// cells counts numbers with a yes or no each. What it holds depends on the rows
// alone, not on their order: bits are dropped exactly when there are more than
// limit cells without. Rows wait until there are enough of them to be sorted.
type cells struct {
	limit   int
	drop    uint // how many of the lowest bits are dropped
	sorted  []cell
	pending [2]run // negatives, positives
	fresh   []cell
}

func newCells(limit int) *cells { return &cells{limit: limit} }

// orderedBits ascends with x; -0 is 0.
func orderedBits(x float64) uint64 {
	b := math.Float64bits(x + 0)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// number is the inverse of orderedBits.
func number(key uint64) float64 {
	if key>>63 == 1 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}

func (c *cells) add(x float64, positive bool, w float64) {
	p := &c.pending[index(positive)]
	p.add(orderedBits(x), w)
	if len(p.keys) >= min(c.limit, maxPending) {
		c.flush()
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flush counts the rows that wait.
func (c *cells) flush() {
	for side := range c.pending {
		p := &c.pending[side]
		if len(p.keys) == 0 {
			continue
		}
		for i := range p.keys {
			p.keys[i] >>= c.drop
		}
		p.sort()
		at := 0
		p.groups(func(key uint64, m mass) {
			d := cell{key: key}
			if side == 1 {
				d.positive = m
			} else {
				d.negative = m
			}
			at = c.count(d, at)
		})
		p.clear()
		c.settle()
	}
}

// count adds a cell, whose key is at least that of sorted[at-1], and returns
// where the next one may be.
func (c *cells) count(d cell, at int) int {
	for at < len(c.sorted) && c.sorted[at].key < d.key {
		at++
	}
	into := &c.fresh
	switch {
	case at < len(c.sorted) && c.sorted[at].key == d.key:
		c.sorted[at].join(&d)
	case len(*into) > 0 && (*into)[len(*into)-1].key == d.key:
		(*into)[len(*into)-1].join(&d)
	default:
		*into = append(*into, d)
	}
	return at
}

func (d *cell) join(o *cell) {
	d.negative.add(&o.negative)
	d.positive.add(&o.positive)
}

// settle moves the fresh cells to their places, and drops bits if there are too
// many cells then.
func (c *cells) settle() {
	i, j := len(c.sorted)-1, len(c.fresh)-1
	c.sorted = append(c.sorted, c.fresh...)
	for k := len(c.sorted) - 1; j >= 0; k-- {
		if i >= 0 && c.sorted[i].key > c.fresh[j].key {
			c.sorted[k] = c.sorted[i]
			i--
		} else {
			c.sorted[k] = c.fresh[j]
			j--
		}
	}
	c.fresh = c.fresh[:0]
	if len(c.sorted) > c.limit {
		c.coarsen(c.surplus())
	}
}

// surplus returns the least number of bits to drop that leaves limit cells:
// dropping k keeps apart those neighbours that differ in a higher bit.
func (c *cells) surplus() uint {
	var apart [65]int // neighbours by the length of what they differ in
	for i := range c.sorted[1:] {
		apart[bits.Len64(c.sorted[i].key^c.sorted[i+1].key)]++
	}
	n, drop := len(c.sorted), uint(0)
	for ; n > c.limit; drop++ {
		n -= apart[drop+1]
	}
	return drop
}

func (c *cells) coarsen(by uint) {
	if by == 0 {
		return
	}
	c.drop += by
	out := c.sorted[:0]
	for _, d := range c.sorted {
		d.key >>= by
		if n := len(out); n > 0 && out[n-1].key == d.key {
			out[n-1].join(&d)
		} else {
			out = append(out, d)
		}
	}
	c.sorted = out
}

func (c *cells) merge(o *cells) {
	c.flush()
	o.flush()
	if o.drop > c.drop {
		c.coarsen(o.drop - c.drop)
	}
	at := 0
	for _, d := range o.sorted {
		d.key >>= c.drop - o.drop
		at = c.count(d, at)
	}
	c.settle()
}

// scan calls f for each cell, from the lowest number to the highest.
func (c *cells) scan(f func(negative, positive *mass)) {
	c.flush()
	for i := range c.sorted {
		f(&c.sorted[i].negative, &c.sorted[i].positive)
	}
}

// coarse reports whether different numbers share a cell.
func (c *cells) coarse() bool {
	c.flush()
	return c.drop > 0
}

// values returns the numbers with the weights of both sides, each cell at the
// middle of what it spans.
func (c *cells) values() (x, negative, positive []float64) {
	c.flush()
	for i := range c.sorted {
		d := &c.sorted[i]
		at := number(d.key << c.drop)
		if c.drop > 0 {
			high := number(d.key<<c.drop | (1<<c.drop - 1))
			at = min(max(at, -math.MaxFloat64), math.MaxFloat64)/2 + min(max(high, -math.MaxFloat64), math.MaxFloat64)/2
		}
		x = append(x, at)
		negative, positive = append(negative, d.negative.float()), append(positive, d.positive.float())
	}
	return x, negative, positive
}
