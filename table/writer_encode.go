package table

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// maxDictionaryBytes is the size up to which strings are written through a dictionary.
const maxDictionaryBytes = 1 << 20

// maxStatisticBytes is the length up to which a text is stated as a least or greatest one.
const maxStatisticBytes = 1 << 10

// groupEncoder turns views into Parquet's dense values and levels. Its slices
// are reused from column to column.
type groupEncoder struct {
	pages           *pageWriter
	levels, repeats []uint8
	full            bool // no row is missing
	floats          []float64
	ints            []int64
	flags           []bool
	bits            []uint8
	index           []int32
	dict            []string
	remap           []int32
	numbers         numberDictionary
}

// encode writes a column chunk; pages.meta describes it afterwards.
func (e *groupEncoder) encode(store storage, rows int, v columnView) error {
	if store == storeVectors {
		return e.encodeVectors(rows, &v)
	}
	missing := e.setLevels(rows, &v)
	e.pages.meta.Statistics.NullCount, e.full = int64(missing), missing == 0
	switch store {
	case storeFloats:
		return e.encodeFloats(dense(&e.floats, v.floats, e.levels, missing))
	case storeInts, storeTimes:
		return e.encodeInts(dense(&e.ints, v.ints, e.levels, missing))
	case storeBools:
		return e.encodeBools(dense(&e.flags, v.bools, e.levels, missing))
	default:
		return e.encodeStrings(rows, &v)
	}
}

// setLevels fills the definition levels (1: a value) and counts the missing rows.
func (e *groupEncoder) setLevels(rows int, v *columnView) (missing int) {
	e.levels = grown(e.levels, rows)
	switch {
	case !v.values:
		repeat(e.levels, 0)
		return rows
	case v.valid == nil:
		repeat(e.levels, 1)
		return 0
	}
	present := 0
	for i, ok := range v.valid {
		level := uint8(0)
		if ok {
			level = 1
		}
		e.levels[i] = level
		present += int(level)
	}
	return rows - present
}

// dense returns the values that are there, gathered in buf where some are missing.
func dense[T any](buf *[]T, values []T, levels []uint8, missing int) []T {
	if missing == 0 {
		return values
	}
	out := (*buf)[:0]
	for i, x := range values {
		if levels[i] == 1 {
			out = append(out, x)
		}
	}
	*buf = out
	return out
}

// begin starts a page with levels of rows.
func (e *groupEncoder) begin(levels []uint8) {
	e.pages.begin()
	if e.full {
		e.pages.present(len(levels))
		return
	}
	e.pages.levels(1, levels)
}

// page starts a page with the levels of all rows.
func (e *groupEncoder) page() {
	e.begin(e.levels)
}

func (e *groupEncoder) encodeFloats(values []float64) error {
	setRange(&e.pages.meta.Statistics, values)
	p := e.pages
	if e.numbers.index(values, &e.index) {
		p.begin()
		p.body = appendDoubles(p.body, e.numbers.values)
		return e.encodeIndexes(len(e.numbers.values))
	}
	e.page()
	p.doubles = values
	return p.endData(len(e.levels), format.Plain)
}

// setRange states the least and the greatest of the numbers. NaN is neither; zeros are
// stated so that either zero lies between them.
func setRange(s *format.Statistics, values []float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	if low > high {
		return
	}
	if low == 0 {
		low = math.Copysign(0, -1)
	}
	if high == 0 {
		high = 0
	}
	s.MinValue = appendDoubles(nil, []float64{low})
	s.MaxValue = appendDoubles(nil, []float64{high})
}

// encodeInts writes differences: ranks ascend, and times lie close to each other.
func (e *groupEncoder) encodeInts(values []int64) error {
	p := e.pages
	if len(values) > 0 {
		low, high := values[0], values[0]
		for _, v := range values {
			low, high = min(low, v), max(high, v)
		}
		p.meta.Statistics.MinValue = binary.LittleEndian.AppendUint64(nil, uint64(low))
		p.meta.Statistics.MaxValue = binary.LittleEndian.AppendUint64(nil, uint64(high))
	}
	e.page()
	p.body = appendDelta(p.body, values)
	return p.endData(len(e.levels), format.DeltaBinaryPacked)
}

func (e *groupEncoder) encodeBools(values []bool) error {
	p := e.pages
	e.bits = grown(e.bits, len(values))
	low, high := uint8(1), uint8(0)
	for i, v := range values {
		e.bits[i] = 0
		if v {
			e.bits[i] = 1
		}
		low, high = min(low, e.bits[i]), max(high, e.bits[i])
	}
	if len(values) > 0 {
		p.meta.Statistics.MinValue, p.meta.Statistics.MaxValue = []byte{low}, []byte{high}
	}
	e.page()
	p.body = appendPacked(p.body, 1, e.bits)
	return p.endData(len(e.levels), format.Plain)
}

// encodeStrings writes a dictionary where values repeat, plain text where they hardly do.
func (e *groupEncoder) encodeStrings(rows int, v *columnView) error {
	if eachItsOwn(rows, v) {
		e.setTextRange(v.dict)
		return e.writePlain(v.dict, v.index)
	}
	size, err := e.compact(rows, v)
	if err != nil {
		return err
	}
	e.setTextRange(e.dict)
	n := len(e.dict)
	if n == 0 || n > rows/2 || size > maxDictionaryBytes {
		return e.writePlain(e.dict, e.index)
	}
	p := e.pages
	p.begin()
	for _, s := range e.dict {
		p.body = appendText(p.body, s)
	}
	return e.encodeIndexes(n)
}

// eachItsOwn reports that there are more than one row and that each has a text of its own,
// in order, as ids have.
func eachItsOwn(rows int, v *columnView) bool {
	if rows < 2 || v.valid != nil || len(v.dict) != rows || len(v.index) != rows {
		return false
	}
	for i, at := range v.index {
		if int(at) != i {
			return false
		}
	}
	return true
}

func appendText(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// encodeIndexes writes the dictionary of n entries that is in the page, and the indexes into it.
func (e *groupEncoder) encodeIndexes(n int) error {
	p := e.pages
	if err := p.endDictionary(n); err != nil {
		return err
	}
	width := max(1, bits.Len(uint(n-1)))
	e.page()
	p.body = append(p.body, byte(width))
	p.body = appendHybrid(p.body, width, e.index)
	return p.endData(len(e.levels), format.RLEDictionary)
}

// compact gathers the indexes of the values that are there, renumbered into a
// dictionary of what is used, and returns that dictionary's size in bytes.
func (e *groupEncoder) compact(rows int, v *columnView) (size int, err error) {
	e.index, e.dict = grown(e.index, rows), e.dict[:0]
	e.remap = grown(e.remap, len(v.dict))
	clear(e.remap)
	n := 0
	for i, level := range e.levels {
		if level == 0 {
			continue
		}
		old := v.index[i]
		if uint(old) >= uint(len(e.remap)) {
			return 0, fmt.Errorf("row %d has index %d into a dictionary of %d", i, old, len(v.dict))
		}
		if e.remap[old] == 0 {
			e.dict = append(e.dict, v.dict[old])
			e.remap[old] = int32(len(e.dict))
			size += len(v.dict[old])
		}
		e.index[n] = e.remap[old] - 1
		n++
	}
	e.index = e.index[:n]
	return size, nil
}

// setTextRange states the least and the greatest text, if they are short.
func (e *groupEncoder) setTextRange(texts []string) {
	if len(texts) == 0 {
		return
	}
	low, high := texts[0], texts[0]
	lowest, highest := leading(low), leading(high)
	for _, s := range texts[1:] {
		switch first := leading(s); {
		case first < lowest || first == lowest && s < low:
			low, lowest = s, first
		case first > highest || first == highest && s > high:
			high, highest = s, first
		}
	}
	if len(low) <= maxStatisticBytes && len(high) <= maxStatisticBytes {
		e.pages.meta.Statistics.MinValue, e.pages.meta.Statistics.MaxValue = []byte(low), []byte(high)
	}
}

// leading returns the first eight bytes of a text, zeros behind a shorter one, as a number:
// texts of which these differ are in the order of the numbers.
func leading(s string) uint64 {
	if len(s) >= 8 {
		return binary.BigEndian.Uint64([]byte(s[:8]))
	}
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

// writePlain writes each text in full, in pages that end where they are large enough.
func (e *groupEncoder) writePlain(texts []string, index []int32) error {
	p := e.pages
	for from, next := 0, 0; ; {
		size, to, end := 0, from, next
		for ; to < len(e.levels) && size < pageBytes; to++ {
			if e.levels[to] == 1 {
				size += 4 + len(texts[index[end]])
				end++
			}
		}
		e.begin(e.levels[from:to])
		p.addTexts(texts, index[next:end], size)
		if err := p.endData(to-from, format.Plain); err != nil {
			return err
		}
		if from, next = to, end; from == len(e.levels) {
			return nil
		}
	}
}

// encodeVectors writes lists: level 0 is a missing row, 1 an empty list, 2 an element.
// A list does not go over the end of a page.
func (e *groupEncoder) encodeVectors(rows int, v *columnView) error {
	p := e.pages
	for from := 0; from < rows; {
		e.levels, e.repeats = e.levels[:0], e.repeats[:0]
		to, elements := from, 0
		for ; to < rows && 4*elements < pageBytes; to++ {
			elements += e.list(v, to)
		}
		p.meta.Statistics.NullCount += int64(len(e.levels) - elements)
		p.begin()
		p.levels(1, e.repeats)
		p.levels(2, e.levels)
		for i := from; i < to; i++ {
			if v.missing(i) {
				continue
			}
			for _, x := range v.vectors[i] {
				p.body = binary.LittleEndian.AppendUint32(p.body, math.Float32bits(x))
			}
		}
		if err := p.endData(len(e.levels), format.Plain); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// list appends the levels of a row and returns how many elements it has.
func (e *groupEncoder) list(v *columnView, row int) (elements int) {
	switch {
	case v.missing(row):
		e.levels, e.repeats = append(e.levels, 0), append(e.repeats, 0)
		return 0
	case len(v.vectors[row]) == 0:
		e.levels, e.repeats = append(e.levels, 1), append(e.repeats, 0)
		return 0
	}
	for j := range v.vectors[row] {
		e.levels, e.repeats = append(e.levels, 2), append(e.repeats, uint8(min(j, 1)))
	}
	return len(v.vectors[row])
}
