package table

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/modelwatch/modelwatch"
)

// cursor reads one column of one row group after the other, page by page.
type cursor struct {
	r      *Reader
	f      *field
	window int64
	group  int
	left   int64 // rows of the group still to come

	chunk chunkReader
	pages parquet.Pages
	page  parquet.Page
	dict  parquet.Dictionary

	// The current page: levels and values, and how far they are read.
	number        int // counted from 1
	defs, reps    []byte
	levels, level int
	values        pageValues
	value         int

	// What a dictionary page or a page that needs converting is turned into.
	dictFloats []float64
	dictInts   []int64
	words      words
	floats     []float64
	ints       []int64
	bools      []bool
	placed     []int32

	// What next fills the column with.
	valid []bool
	flat  []float32 // elements of lists
	ends  []int     // of each list, in flat
	out   pageBuffers
}

// pageValues are the dense values of a page in the form of the column's storage.
type pageValues struct {
	n      int
	floats []float64
	ints   []int64
	bools  []bool
	index  []int32            // into the dictionary page
	bytes  func(i int) []byte // plain strings
}

// pageBuffers back the column that next fills.
type pageBuffers struct {
	floats  []float64
	ints    []int64
	bools   []bool
	index   []int32
	vectors [][]float32
}

// start moves to the beginning of a row group.
func (c *cursor) start(group int, rows int64) {
	c.close()
	c.group, c.left = group, rows
	c.words.reset()
}

func (c *cursor) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	if c.pages != nil {
		_ = c.pages.Close() // releases buffers; nothing was written
	}
	c.page, c.pages, c.dict = nil, nil, nil
	c.levels, c.level, c.number = 0, 0, 0
}

// next fills the column with the next n rows of the group.
func (c *cursor) next(dst *Column, n int) (err error) {
	place := fmt.Sprintf("read column %q, row group %d", c.f.info.Name, c.group)
	defer recoverAs(&err, place)
	c.prepare(dst, n)
	c.left -= int64(n)
	if c.f.null {
		dst.Valid = c.valid
		clear(dst.Valid)
		return nil
	}
	if c.f.repeated {
		err = c.nextVectors(dst, n)
	} else {
		err = c.nextFlat(dst, n)
	}
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

func (c *cursor) nextFlat(dst *Column, n int) error {
	if c.f.store == storeStrings {
		c.words.trim()
	}
	missing := 0
	for at := 0; at < n; {
		if c.level == c.levels {
			if err := c.turn(); err != nil {
				return err
			}
			continue
		}
		k := min(n-at, c.levels-c.level)
		skipped, err := c.copy(dst, at, k)
		if err != nil {
			return err
		}
		missing += skipped
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

// copy moves the next k rows of the page to rows at.. of the column and
// returns how many of them are missing.
func (c *cursor) copy(dst *Column, at, k int) (missing int, err error) {
	present := c.setValid(at, k)
	from, to := c.value, c.value+present
	if to > c.values.n {
		return 0, fmt.Errorf("page %d has %d values, its levels more", c.number, c.values.n)
	}
	valid := c.valid[at : at+k]
	if present == k {
		valid = nil
	}
	v := &c.values
	switch c.f.store {
	case storeFloats:
		scatter(dst.Floats[at:at+k], v.floats[from:to], valid)
	case storeInts, storeTimes:
		scatter(dst.Ints[at:at+k], v.ints[from:to], valid)
	case storeBools:
		scatter(dst.Bools[at:at+k], v.bools[from:to], valid)
	case storeStrings:
		scatter(dst.Index[at:at+k], c.indexes(from, to), valid)
	}
	c.level += k
	c.value = to
	return k - present, nil
}

// setValid fills the validity of k rows and returns how many have a value.
func (c *cursor) setValid(at, k int) (present int) {
	valid := c.valid[at : at+k]
	if len(c.defs) == 0 {
		for i := range valid {
			valid[i] = true
		}
		return k
	}
	for i, d := range c.defs[c.level : c.level+k] {
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

// turn moves to the next page, which has to be there.
func (c *cursor) turn() error {
	more, err := c.tryTurn()
	if err == nil && !more {
		err = fmt.Errorf("the pages end before the rows do, after page %d", c.number)
	}
	return err
}

// tryTurn moves to the next page, if there is one.
func (c *cursor) tryTurn() (more bool, err error) {
	if c.pages == nil {
		if err := c.open(); err != nil {
			return false, err
		}
	}
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
	page, err := c.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.page = page
	c.number++
	c.defs, c.reps = page.DefinitionLevels(), page.RepetitionLevels()
	c.levels, c.level, c.value = int(page.NumValues()), 0, 0
	return true, c.load(page)
}

// open finds the column chunk and checks its place before anything is allocated for it.
func (c *cursor) open() error {
	chunk := c.r.file.RowGroups()[c.group].ColumnChunks()[c.f.leaf].(*parquet.FileColumnChunk)
	raw := c.r.file.Metadata().RowGroups[c.group].Columns[c.f.leaf]
	meta := raw.MetaData
	start := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		start = meta.DictionaryPageOffset
	}
	end := start + meta.TotalCompressedSize
	switch {
	case raw.FilePath != "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "its pages are in another file, %q", raw.FilePath)
	case start < 4 || meta.TotalCompressedSize < 0 || end < start || end > c.r.size-8:
		return fmt.Errorf("pages from byte %d to %d in a file of %d", start, end, c.r.size)
	}
	c.chunk.open(c.r.at, start, end, c.window)
	if err := c.checkPages(); err != nil {
		return err
	}
	c.pages = chunk.PagesFrom(&c.chunk)
	return nil
}
