package backtest

import (
	"runtime"
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

// addRows is add for rows of weight 1.
func (s *sorted) addRows(scores []float64, positive bool) error {
	for _, x := range scores {
		if err := s.add(x, positive, 1); err != nil {
			return err
		}
	}
	return nil
}

// scan calls f for each distinct score, from the lowest to the highest. Pieces
// are put in order by several goroutines, each ahead by one.
func (s *sorted) scan(f func(negative, positive *mass)) {
	cursors, splits := s.cursors()
	workers := min(runtime.GOMAXPROCS(0), len(splits)+1)
	out, free := make([]chan *piece, workers), make([]chan *piece, workers)
	for k := range workers {
		out[k], free[k] = make(chan *piece, 1), make(chan *piece, 2)
		free[k] <- &piece{}
		free[k] <- &piece{}
		go func() {
			mine := [2][]cursor{slices.Clone(cursors[0]), slices.Clone(cursors[1])}
			for i := k; i <= len(splits); i += workers {
				p := <-free[k]
				p.fill(&mine, splits, i)
				out[k] <- p
			}
		}()
	}
	for i := range len(splits) + 1 {
		p := <-out[i%workers]
		p.visit(f)
		free[i%workers] <- p
	}
}

// cursors are at the beginning of each block, and splits are scores that cut all
// rows into pieces.
func (s *sorted) cursors() (cursors [2][]cursor, splits []uint64) {
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
	for k := passRows / sampleEvery; k < len(sample); k += passRows / sampleEvery {
		if n := len(splits); n == 0 || splits[n-1] != sample[k] {
			splits = append(splits, sample[k])
		}
	}
	return cursors, splits
}

// piece are the rows between two splits, and those of the upper one.
type piece struct {
	sides   [2]run
	scratch run
	equal   [2]mass // of the upper split
	last    bool    // there is none
}

// fill takes the rows of piece i.
func (p *piece) fill(cursors *[2][]cursor, splits []uint64, i int) {
	limit := ^uint64(0)
	if p.last = i == len(splits); !p.last {
		limit = splits[i] - 1
	}
	for k := range p.sides {
		side := &p.sides[k]
		side.clear()
		p.equal[k] = mass{}
		for j := range cursors[k] {
			c := &cursors[k][j]
			if i > 0 {
				c.at = c.until(splits[i-1])
			}
			to := c.until(limit)
			side.extend(&c.run, c.at, to)
			if c.at = to; !p.last {
				// The rows of one key are taken without copying them.
				c.at = c.until(splits[i])
				part := c.mass(to, c.at)
				p.equal[k].add(&part)
			}
		}
		side.sortWith(&p.scratch)
	}
}

// visit calls f for each distinct score.
func (p *piece) visit(f func(negative, positive *mass)) {
	n, s := &p.sides[0], &p.sides[1]
	var negative, positive mass
	for i, j := 0, 0; i < len(n.keys) || j < len(s.keys); {
		key := ^uint64(0)
		if i < len(n.keys) {
			key = n.keys[i]
		}
		if j < len(s.keys) {
			key = min(key, s.keys[j])
		}
		k, l := n.end(i, key), s.end(j, key)
		negative, positive = n.mass(i, k), s.mass(j, l)
		f(&negative, &positive)
		i, j = k, l
	}
	if !p.last {
		f(&p.equal[0], &p.equal[1])
	}
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

// end is the first row from i on with another key.
func (r *run) end(i int, key uint64) int {
	for i < len(r.keys) && r.keys[i] == key {
		i++
	}
	return i
}
