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
		if c.level == c.page.values {
			more, err := c.tryTurn(maxPageValues)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			continue
		}
		if c.page.reps[c.level] == 0 {
			if len(c.ends) == n {
				break
			}
			c.valid[len(c.ends)] = !c.f.outer || c.page.defs == nil || c.page.defs[c.level] > 0
			c.ends = append(c.ends, len(c.flat))
		} else if len(c.ends) == 0 {
			return fmt.Errorf("page %d begins within a list", c.number)
		}
		c.element()
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
func (c *cursor) element() {
	def := c.f.maxDef
	if c.page.defs != nil {
		def = c.page.defs[c.level]
	}
	switch {
	case def == c.f.maxDef:
		c.flat = append(c.flat, float32(c.floats[c.value]))
		c.value++
	case c.f.inner && def == c.f.maxDef-1:
		c.flat = append(c.flat, float32(math.NaN()))
	}
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
