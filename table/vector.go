package table

import (
	"fmt"
	"math"
)

// nextVectors reads n lists. A list may go on in the next page, so it is
// complete only when the next one begins or the chunk ends.
func (c *cursor) nextVectors(dst *Column, n int) error {
	c.flat, c.ends = c.flat[:0], c.ends[:0]
	for {
		if c.level == c.levels {
			more, err := c.tryTurn()
			if err != nil {
				return err
			}
			if !more {
				break
			}
			continue
		}
		if c.level >= len(c.reps) {
			return fmt.Errorf("page %d has %d repetition levels for %d values", c.number, len(c.reps), c.levels)
		}
		if c.reps[c.level] == 0 {
			if len(c.ends) == n {
				break
			}
			c.valid[len(c.ends)] = !c.f.outer || c.defs[c.level] > 0
			c.ends = append(c.ends, len(c.flat))
		} else if len(c.ends) == 0 {
			return fmt.Errorf("page %d begins within a list", c.number)
		}
		if err := c.element(); err != nil {
			return err
		}
		c.ends[len(c.ends)-1] = len(c.flat)
		c.level++
	}
	if len(c.ends) < n {
		return fmt.Errorf("the pages end before the rows do, after page %d", c.number)
	}
	c.cut(dst)
	return nil
}

// element appends the value at the current level, if it is one: a null
// element becomes NaN.
func (c *cursor) element() error {
	def := c.f.maxDef
	if len(c.defs) > 0 {
		def = c.defs[c.level]
	}
	switch {
	case def == c.f.maxDef:
		if c.value >= c.values.n {
			return fmt.Errorf("page %d has %d values, its levels more", c.number, c.values.n)
		}
		c.flat = append(c.flat, float32(c.values.floats[c.value]))
		c.value++
	case c.f.inner && def == c.f.maxDef-1:
		c.flat = append(c.flat, float32(math.NaN()))
	}
	return nil
}

// cut makes the column's vectors from the flat values.
func (c *cursor) cut(dst *Column) {
	start, missing := 0, false
	for i, end := range c.ends {
		dst.Vectors[i] = c.flat[start:end:end]
		if !c.valid[i] {
			dst.Vectors[i], missing = nil, true
		}
		start = end
	}
	dst.Valid = nil
	if missing {
		dst.Valid = c.valid
	}
}
