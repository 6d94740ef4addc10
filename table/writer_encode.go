package table

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// maxDictionaryBytes is the size up to which strings are written through a dictionary.
const maxDictionaryBytes = 1 << 20

// groupEncoder turns views into Parquet's dense values and levels. Its slices
// are reused from column to column.
type groupEncoder struct {
	levels, repeats []int16
	floats          []float64
	floats32        []float32
	ints            []int64
	bools           []bool
	bytes           []parquet.ByteArray
	index           []int32
	dict            []string
	remap           []int32
}

func (e *groupEncoder) encode(chunk file.ColumnChunkWriter, store storage, rows int, v columnView) error {
	missing := e.setLevels(rows, &v)
	switch store {
	case storeFloats:
		e.floats = dense(e.floats, v.floats, &v, missing)
		_, err := chunk.(*file.Float64ColumnChunkWriter).WriteBatch(source(e.floats, v.floats, missing), e.levels, nil)
		return err
	case storeInts, storeTimes:
		e.ints = dense(e.ints, v.ints, &v, missing)
		_, err := chunk.(*file.Int64ColumnChunkWriter).WriteBatch(source(e.ints, v.ints, missing), e.levels, nil)
		return err
	case storeBools:
		e.bools = dense(e.bools, v.bools, &v, missing)
		_, err := chunk.(*file.BooleanColumnChunkWriter).WriteBatch(source(e.bools, v.bools, missing), e.levels, nil)
		return err
	case storeStrings:
		return e.encodeStrings(chunk.(*file.ByteArrayColumnChunkWriter), rows, &v)
	default:
		return e.encodeVectors(chunk.(*file.Float32ColumnChunkWriter), rows, &v)
	}
}

// setLevels fills the definition levels (1: a value) and counts the missing rows.
func (e *groupEncoder) setLevels(rows int, v *columnView) (missing int) {
	e.levels = grown(e.levels, rows)
	for i := range e.levels {
		e.levels[i] = 1
		if v.missing(i) {
			e.levels[i] = 0
			missing++
		}
	}
	return missing
}

// dense gathers the values that are there into dst; with none missing it has nothing to do.
func dense[T any](dst, values []T, v *columnView, missing int) []T {
	dst = dst[:0]
	if missing == 0 {
		return dst
	}
	for i, x := range values {
		if !v.missing(i) {
			dst = append(dst, x)
		}
	}
	return dst
}

func source[T any](dense, values []T, missing int) []T {
	if missing == 0 {
		return values
	}
	return dense
}

// encodeStrings writes a dictionary where values repeat, plain text where they hardly do.
func (e *groupEncoder) encodeStrings(w *file.ByteArrayColumnChunkWriter, rows int, v *columnView) error {
	size, err := e.compact(rows, v)
	if err != nil {
		return err
	}
	stats := w.PageStatistics().(*metadata.ByteArrayStatistics)
	// The library takes a minimum of "" for none unless its buffer was in use
	// before: without this, "" would lie below the minimum that the footer states.
	stats.SetMinMax(parquet.ByteArray{0}, parquet.ByteArray{0})
	stats.Reset()
	if n := len(e.dict); n > 0 && n <= rows/2 && size <= maxDictionaryBytes {
		if ok, err := e.putDictionary(w, size); err != nil {
			return err
		} else if ok {
			return e.writeIndexes(w, stats, rows)
		}
	}
	w.FallbackToPlain()
	return e.writePlain(w, size)
}

// compact gathers the indexes of the values that are there, renumbered into a
// dictionary of what is used, and returns that dictionary's size in bytes.
func (e *groupEncoder) compact(rows int, v *columnView) (size int, err error) {
	e.index, e.dict = e.index[:0], e.dict[:0]
	e.remap = grown(e.remap, len(v.dict))
	clear(e.remap)
	for i := range rows {
		if v.missing(i) {
			continue
		}
		old := v.index[i]
		if old < 0 || int(old) >= len(v.dict) {
			return 0, fmt.Errorf("row %d has index %d into a dictionary of %d", i, old, len(v.dict))
		}
		if e.remap[old] == 0 {
			e.dict = append(e.dict, v.dict[old])
			e.remap[old] = int32(len(e.dict))
			size += len(v.dict[old])
		}
		e.index = append(e.index, e.remap[old]-1)
	}
	return size, nil
}

// putDictionary seeds the column's dictionary. It reports false when the
// dictionary holds a value twice, which indexes cannot be written through.
func (e *groupEncoder) putDictionary(w *file.ByteArrayColumnChunkWriter, size int) (bool, error) {
	encoder, ok := w.CurrentEncoder().(interface {
		PutDictionary(arrow.Array) error
		NumEntries() int
	})
	if !ok {
		return false, nil
	}
	text := make([]byte, 0, size)
	offsets := make([]int32, 1, len(e.dict)+1)
	for _, s := range e.dict {
		text = append(text, s...)
		offsets = append(offsets, int32(len(text)))
	}
	data := array.NewData(arrow.BinaryTypes.String, len(e.dict), []*memory.Buffer{
		nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)), memory.NewBufferBytes(text),
	}, nil, 0, 0)
	if err := encoder.PutDictionary(array.NewStringData(data)); err != nil {
		return false, err
	}
	return encoder.NumEntries() == len(e.dict), nil
}

// writeIndexes writes the rows as indexes; the library leaves their statistics to its caller.
func (e *groupEncoder) writeIndexes(w *file.ByteArrayColumnChunkWriter, stats *metadata.ByteArrayStatistics, rows int) error {
	stats.IncNulls(int64(rows - len(e.index)))
	stats.IncNumValues(int64(len(e.index)))
	if len(e.dict) > 0 {
		low, high := e.dict[0], e.dict[0]
		for _, s := range e.dict[1:] {
			low, high = min(low, s), max(high, s)
		}
		stats.SetMinMax(parquet.ByteArray(low), parquet.ByteArray(high))
	}
	// The library slices indexes by levels, missing rows included.
	spaced := e.spread(rows)
	data := array.NewData(arrow.PrimitiveTypes.Int32, rows, []*memory.Buffer{
		e.validity(rows), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(spaced)),
	}, nil, rows-len(e.index), 0)
	return w.WriteDictIndices(array.NewInt32Data(data), e.levels, nil)
}

// spread puts the dense indexes back at their rows.
func (e *groupEncoder) spread(rows int) []int32 {
	e.remap = grown(e.remap, rows)
	next := 0
	for i, level := range e.levels {
		e.remap[i] = 0
		if level == 1 {
			e.remap[i] = e.index[next]
			next++
		}
	}
	return e.remap
}

func (e *groupEncoder) validity(rows int) *memory.Buffer {
	if len(e.index) == rows {
		return nil
	}
	bits := make([]byte, (rows+7)/8)
	for i, level := range e.levels {
		bits[i/8] |= byte(level) << (i % 8)
	}
	return memory.NewBufferBytes(bits)
}

func (e *groupEncoder) writePlain(w *file.ByteArrayColumnChunkWriter, size int) error {
	text := make([]byte, 0, size)
	starts := make([]int, 1, len(e.dict)+1)
	for _, s := range e.dict {
		text = append(text, s...)
		starts = append(starts, len(text))
	}
	e.bytes = e.bytes[:0]
	for _, i := range e.index {
		e.bytes = append(e.bytes, text[starts[i]:starts[i+1]])
	}
	_, err := w.WriteBatch(e.bytes, e.levels, nil)
	return err
}

// encodeVectors writes lists: level 0 is a missing row, 1 an empty list, 2 an element.
func (e *groupEncoder) encodeVectors(w *file.Float32ColumnChunkWriter, rows int, v *columnView) error {
	e.levels, e.repeats, e.floats32 = e.levels[:0], e.repeats[:0], e.floats32[:0]
	for i := range rows {
		switch {
		case v.missing(i):
			e.levels, e.repeats = append(e.levels, 0), append(e.repeats, 0)
			continue
		case len(v.vectors[i]) == 0:
			e.levels, e.repeats = append(e.levels, 1), append(e.repeats, 0)
			continue
		}
		for j, x := range v.vectors[i] {
			e.levels = append(e.levels, 2)
			e.repeats = append(e.repeats, int16(min(j, 1)))
			e.floats32 = append(e.floats32, x)
		}
	}
	_, err := w.WriteBatch(e.floats32, e.levels, e.repeats)
	return err
}
