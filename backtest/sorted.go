package backtest

import (
	"slices"

	"github.com/modelwatch/modelwatch"
)

const (
	blockRows   = 1 << 16
	sampleEvery = 1 << 10
	// passRows is about how many rows of a side are put in order at a time.
	passRows = 1 << 17
)

// sorted keeps every score, in blocks that are sorted as soon as they are full.
// A scan puts them in order piece by piece, so that it needs little more memory
// than the scores themselves.
type sorted struct {
	rows, limit int64
	sides       [2][]run // negatives, positives; all but the last of each are sorted and never change
}

func (s *sorted) add(x float64, positive bool, w float64) error {
	if s.rows++; s.rows > s.limit {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "more than %d scores are too many to be kept for an exact auc: raise the limit, or leave exact off to get bounds", s.limit)
	}
	side := &s.sides[index(positive)]
	if n := len(*side); n == 0 || len((*side)[n-1].keys) == blockRows {
		var block run
		if n > 0 {
			(*side)[n-1].sort()
			block.keys = make([]uint64, 0, blockRows)
		}
		*side = append(*side, block)
	}
	(*side)[len(*side)-1].add(orderedBits(x), w)
	return nil
}

// merge shares the full blocks of o, which never change.
func (s *sorted) merge(o *sorted) error {
	if s.rows+o.rows > s.limit {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%d scores are more than the %d that are kept for an exact auc: raise the limit, or leave exact off to get bounds", s.rows+o.rows, s.limit)
	}
	s.rows += o.rows
	for side := range s.sides {
		blocks := o.sides[side]
		if len(blocks) == 0 {
			continue
		}
		last := blocks[len(blocks)-1].clone()
		last.sort()
		s.sides[side] = slices.Concat(blocks[:len(blocks)-1], []run{last}, s.sides[side])
	}
	return nil
}

// scan calls f for each distinct score, from the lowest to the highest.
func (s *sorted) scan(f func(negative, positive *mass)) {
	var cursors [2][]cursor
	var sample []uint64
	for side, blocks := range s.sides {
		for i := range blocks {
			b := blocks[i]
			if i == len(blocks)-1 {
				b = b.clone()
				b.sort()
			}
			for k := sampleEvery; k < len(b.keys); k += sampleEvery {
				sample = append(sample, b.keys[k])
			}
			cursors[side] = append(cursors[side], cursor{run: b})
		}
	}
	slices.Sort(sample)
	var previous uint64
	for k := passRows / sampleEvery; k < len(sample); k += passRows / sampleEvery {
		if split := sample[k]; split != previous {
			pass(&cursors, split-1, f)
			equal(&cursors, split, f)
			previous = split
		}
	}
	pass(&cursors, ^uint64(0), f)
}

// cursor is how far a block has been read.
type cursor struct {
	run
	at int
}

// until returns the first row whose key is over the limit.
func (c *cursor) until(limit uint64) int {
	rest := c.keys[c.at:]
	i, _ := slices.BinarySearchFunc(rest, limit, func(k, limit uint64) int {
		if k <= limit {
			return -1
		}
		return 1
	})
	return c.at + i
}

// pass puts in order all rows up to the limit that are left.
func pass(cursors *[2][]cursor, limit uint64, f func(negative, positive *mass)) {
	var side [2]run
	for k := range side {
		for i := range cursors[k] {
			c := &cursors[k][i]
			to := c.until(limit)
			side[k].extend(&c.run, c.at, to)
			c.at = to
		}
		side[k].sort()
	}
	n, p := &side[0], &side[1]
	for i, j := 0, 0; i < len(n.keys) || j < len(p.keys); {
		key := ^uint64(0)
		if i < len(n.keys) {
			key = n.keys[i]
		}
		if j < len(p.keys) {
			key = min(key, p.keys[j])
		}
		k, l := n.end(i, key), p.end(j, key)
		negative, positive := n.mass(i, k), p.mass(j, l)
		f(&negative, &positive)
		i, j = k, l
	}
}

// end is the first row from i on with another key.
func (r *run) end(i int, key uint64) int {
	for i < len(r.keys) && r.keys[i] == key {
		i++
	}
	return i
}

// equal takes all rows of one key without copying them.
func equal(cursors *[2][]cursor, key uint64, f func(negative, positive *mass)) {
	var m [2]mass
	for k := range m {
		for i := range cursors[k] {
			c := &cursors[k][i]
			to := c.until(key)
			part := c.mass(c.at, to)
			m[k].add(&part)
			c.at = to
		}
	}
	f(&m[0], &m[1])
}
