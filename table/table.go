// Package table reads and writes tables of typed columns. Parquet is the form
// that modelwatch keeps; Parquet of any origin, CSV and JSON lines are what it
// is given. Rows travel as chunks of columns, so that the loops behind drift
// and backtests run over plain slices.
package table

import (
	"github.com/modelwatch/modelwatch"
)

// Physical says how a column is stored where its Type alone does not.
type Physical uint8

// The physical forms. PhysicalDefault follows from the type.
const (
	PhysicalDefault Physical = iota
	PhysicalInt64            // 64-bit integers in Column.Ints, exact beyond 2^53: "_rank"
	PhysicalTime             // microseconds UTC in Column.Ints: "_time"; the same as TypeTimestamp
	PhysicalKey              // 64-bit keys of texts or integers in Column.Ints: Reader.AsKeys
)

// Column is one column of a chunk. By type, exactly one of Floats, Ints, Bools,
// Dict with Index, and Vectors is used; it has as many elements as the chunk
// has rows. A column that its file lacks has none of them and is all missing.
type Column struct {
	Name     string
	Type     modelwatch.FeatureType // number: Floats; category, text: Dict and Index; boolean: Bools; timestamp: Ints; vector: Vectors
	Physical Physical

	Valid   []bool // nil: every row has a value; false: missing, and the element in the other slice is undefined
	Floats  []float64
	Ints    []int64
	Bools   []bool
	Dict    []string // distinct values, not all of them necessarily used
	Index   []int32  // into Dict
	Vectors [][]float32
}

// Chunk is a run of rows.
type Chunk struct {
	Rows    int
	Columns []Column
}

// Column returns the column of that name, nil if the chunk has none.
func (c *Chunk) Column(name string) *Column {
	for i := range c.Columns {
		if c.Columns[i].Name == name {
			return &c.Columns[i]
		}
	}
	return nil
}

// Bytes is about what the values take in memory.
func (c *Chunk) Bytes() (n int) {
	for i := range c.Columns {
		col := &c.Columns[i]
		n += len(col.Valid) + 8*len(col.Floats) + 8*len(col.Ints) + len(col.Bools) + 4*len(col.Index)
		for _, s := range col.Dict {
			n += len(s)
		}
		for _, v := range col.Vectors {
			n += 4 * len(v)
		}
	}
	return n
}

// Missing reports whether row i has no value.
func (c *Column) Missing(i int) bool { return c.Valid != nil && !c.Valid[i] }

// Text returns row i of a category or text column, "" where it is missing.
func (c *Column) Text(i int) string {
	if c.Missing(i) || len(c.Index) == 0 {
		return ""
	}
	return c.Dict[c.Index[i]]
}

// ColumnInfo is a column's place in a file's schema.
type ColumnInfo struct {
	Name     string
	Type     modelwatch.FeatureType
	Physical Physical
}

// storage is the slice of Column that a column uses.
type storage uint8

const (
	storeFloats storage = iota
	storeInts
	storeTimes
	storeBools
	storeStrings
	storeVectors
)

func (c ColumnInfo) storage() (storage, error) {
	switch c.Physical {
	case PhysicalInt64, PhysicalKey:
		return storeInts, nil
	case PhysicalTime:
		return storeTimes, nil
	}
	switch c.Type {
	case modelwatch.TypeNumber:
		return storeFloats, nil
	case modelwatch.TypeCategory, modelwatch.TypeText:
		return storeStrings, nil
	case modelwatch.TypeBoolean:
		return storeBools, nil
	case modelwatch.TypeTimestamp:
		return storeTimes, nil
	case modelwatch.TypeVector:
		return storeVectors, nil
	}
	return 0, modelwatch.Errorf(modelwatch.CodeInvalid, "column %q has the unknown type %q", c.Name, c.Type)
}

// len is the number of rows that the column's slice holds, and whether it has one.
func (c *Column) len(s storage) int {
	switch s {
	case storeFloats:
		return len(c.Floats)
	case storeInts, storeTimes:
		return len(c.Ints)
	case storeBools:
		return len(c.Bools)
	case storeStrings:
		return len(c.Index)
	default:
		return len(c.Vectors)
	}
}
