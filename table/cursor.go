package table

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// cursor reads one column of one row group after the other.
type cursor struct {
	r      *Reader
	f      *field
	window int64
	group  int
	left   int64 // rows of the group still to come
	opened bool
	pages  pageReader
	views  bool // texts stay in their page

	// The current page: its levels and its dense values, and how far they are read.
	number int // counted from 1
	page   page
	level  int
	value  int
	plain  bool // doubles are still bytes, in page.data
	floats []float64
	ints   []int64
	bools  []uint8
	index  []int32
	texts  spans // of a plain page; else index points into words

	// The dictionary page.
	entries    int // -1: none yet
	dictFloats []float64
	dictInts   []int64
	words      words

	// What next fills the column with.
	valid  []bool
	flat   []float32 // elements of lists
	ends   []int     // of each list, in flat
	placed []int32
	out    columnBuffers
}

// columnBuffers back the column that next fills.
type columnBuffers struct {
	floats  []float64
	ints    []int64
	bools   []bool
	index   []int32
	vectors [][]float32
	views   []string
}

// start moves to the beginning of a row group.
func (c *cursor) start(group int, rows int64) {
	c.group, c.left, c.opened, c.entries = group, rows, false, -1
	c.page, c.level, c.number, c.plain = page{}, 0, 0, false
	c.words.reset()
}

// next fills the column with the next n rows of the group.
func (c *cursor) next(dst *Column, n int) (err error) {
	place := fmt.Sprintf("read column %q, row group %d", c.f.info.Name, c.group)
	defer recoverAs(&err, place)
	if c.f.repeated {
		c.prepare(dst, n)
		err = c.nextVectors(dst, n)
	} else {
		err = c.nextFlat(dst, n)
	}
	c.left -= int64(n)
	if err != nil {
		return readError(err, "%s", place)
	}
	return nil
}

// prepare gives the column slices of n rows.
func (c *cursor) prepare(dst *Column, n int) {
	c.valid = grown(c.valid, n)
	o := &c.out
	switch c.f.store {
	case storeFloats:
		o.floats = grown(o.floats, n)
		dst.Floats = o.floats
	case storeInts, storeTimes:
		o.ints = grown(o.ints, n)
		dst.Ints = o.ints
	case storeBools:
		o.bools = grown(o.bools, n)
		dst.Bools = o.bools
	case storeStrings:
		o.index = grown(o.index, n)
		dst.Index, dst.Dict = o.index, nil
	case storeVectors:
		o.vectors = grown(o.vectors, n)
		dst.Vectors = o.vectors
	}
}

// ahead returns how many rows, of the next n of the group, are in one page.
func (c *cursor) ahead(n int) (rows int, err error) {
	if c.f.repeated {
		return n, nil
	}
	place := fmt.Sprintf("read column %q, row group %d", c.f.info.Name, c.group)
	defer recoverAs(&err, place)
	for c.level == c.page.values {
		if err := c.turn(c.left); err != nil {
			return 0, readError(err, "%s", place)
		}
	}
	return min(n, c.page.values-c.level), nil
}

func (c *cursor) nextFlat(dst *Column, n int) error {
	if done, err := c.nextInPlace(dst, n); done || err != nil {
		return err
	}
	c.prepare(dst, n)
	if c.f.store == storeStrings {
		c.words.trim()
	}
	missing := 0
	for at := 0; at < n; {
		if c.level == c.page.values {
			if err := c.turn(c.left - int64(at)); err != nil {
				return err
			}
			continue
		}
		k := min(n-at, c.page.values-c.level)
		missing += c.copy(dst, at, k, missing > 0)
		at += k
	}
	dst.Valid = nil
	if missing > 0 {
		dst.Valid = c.valid
	}
	if c.f.store == storeStrings {
		c.words.flush()
		dst.Dict = c.words.dict
	}
	return nil
}

// nextInPlace gives the column the page's own doubles or indexes, where the page has all of
// the n rows and they lie in it as they do in memory.
func (c *cursor) nextInPlace(dst *Column, n int) (done bool, err error) {
	if c.f.store != storeFloats && c.f.store != storeStrings || n == 0 {
		return false, nil
	}
	if c.level == c.page.values {
		if err := c.turn(c.left); err != nil {
			return false, err
		}
	}
	switch {
	case c.page.values-c.level < n:
		return false, nil
	case c.plain:
		floats, ok := asFloats(c.page.data[8*c.value:], n)
		if !ok {
			return false, nil
		}
		dst.Floats = floats
	case c.f.store == storeStrings && c.page.encoding == format.RLEDictionary && c.page.defs == nil:
		c.words.trim()
		dst.Index, dst.Dict = c.index[c.value:c.value+n], c.words.dict
	case c.views && c.f.store == storeStrings && c.page.defs == nil:
		c.view(dst, n)
	default:
		return false, nil
	}
	dst.Valid = nil
	c.level += n
	c.value += n
	return true, nil
}

// view gives the column the next n texts of a plain page.
func (c *cursor) view(dst *Column, n int) {
	o := &c.out
	o.index, o.views = grown(o.index, n), grown(o.views, n)
	for i := range o.views {
		o.index[i], o.views[i] = int32(i), valid(view(c.texts.value(c.value+i)))
	}
	dst.Index, dst.Dict = o.index, o.views
}

// copy moves the next k rows of the page to rows at.. of the column and returns
// how many of them are missing; flagged says that a row before is. Flags are set
// from the first page on that lacks a value.
func (c *cursor) copy(dst *Column, at, k int, flagged bool) (missing int) {
	present, valid := k, []bool(nil)
	if c.page.defs != nil {
		if !flagged {
			repeat(c.valid[:at], true)
		}
		valid = c.valid[at : at+k]
		present = c.setValid(valid)
	} else if flagged {
		repeat(c.valid[at:at+k], true)
	}
	from, to := c.value, c.value+present
	switch c.f.store {
	case storeFloats:
		if c.plain { // and no row of the page is missing
			doubles(c.page.data[8*from:], dst.Floats[at:at+k])
		} else {
			scatter(dst.Floats[at:at+k], c.floats[from:to], valid)
		}
	case storeInts, storeTimes:
		scatter(dst.Ints[at:at+k], c.ints[from:to], valid)
	case storeBools:
		c.copyBools(dst.Bools[at:at+k], from, valid)
	case storeStrings:
		scatter(dst.Index[at:at+k], c.indexes(from, to), valid)
	}
	c.level += k
	c.value = to
	return k - present
}

// setValid fills the validity of the next rows and returns how many have a value.
func (c *cursor) setValid(valid []bool) (present int) {
	for i, d := range c.page.defs[c.level : c.level+len(valid)] {
		valid[i] = d == c.f.maxDef
		if valid[i] {
			present++
		}
	}
	return present
}

// scatter spreads dense values over the rows that have one; the others become zero.
func scatter[T any](dst, values []T, valid []bool) {
	if valid == nil {
		copy(dst, values)
		return
	}
	var zero T
	next := 0
	for i, ok := range valid {
		if ok {
			dst[i] = values[next]
			next++
		} else {
			dst[i] = zero
		}
	}
}

func (c *cursor) copyBools(dst []bool, from int, valid []bool) {
	for i := range dst {
		dst[i] = false
		if valid == nil || valid[i] {
			dst[i] = c.bools[from] != 0
			from++
		}
	}
}

// indexes returns the dictionary places of values from..to of the page.
func (c *cursor) indexes(from, to int) []int32 {
	if c.page.encoding == format.RLEDictionary {
		return c.index[from:to]
	}
	c.placed = grown(c.placed, to-from)
	for i := range c.placed {
		c.placed[i] = c.words.place(view(c.texts.value(from + i)))
	}
	return c.placed
}

// turn moves to the next page, which has to be there and has at most limit values.
func (c *cursor) turn(limit int64) error {
	more, err := c.tryTurn(limit)
	if err == nil && !more {
		err = fmt.Errorf("the pages end before the rows do, after page %d", c.number)
	}
	return err
}

// tryTurn moves to the next data page, if there is one.
func (c *cursor) tryTurn(limit int64) (more bool, err error) {
	if !c.opened {
		if err := c.pages.open(c.r, c.f, c.group, c.window); err != nil {
			return false, err
		}
		c.opened = true
	}
	for {
		p, err := c.pages.next(limit)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		c.number++
		if err == nil && p.dictionary {
			if err = c.loadDictionary(p); err == nil {
				continue
			}
		} else if err == nil {
			c.page, c.level, c.value = p, 0, 0
			err = c.load()
		}
		if err != nil {
			return false, fmt.Errorf("page %d: %w", c.number, err)
		}
		return true, nil
	}
}
