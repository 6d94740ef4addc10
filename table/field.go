package table

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/modelwatch/modelwatch"
)

// field is a readable column of a Parquet file and how its values become ours.
type field struct {
	info     ColumnInfo
	leaf     int // index of the column chunk in row groups
	kind     parquet.Kind
	size     int // of fixed byte values
	store    storage
	repeated bool // a list
	maxDef   byte
	outer    bool // a list itself may be missing
	inner    bool // an element may be missing
	text     bool // integers are read as their text
	keys     bool // values are read as their keys

	unsigned bool
	scale    float64       // decimals: 10^scale divides
	decimal  bool          // bytes are a big-endian integer
	float16  bool          // fixed bytes are a half
	uuid     bool          // fixed bytes are a UUID
	unit     time.Duration // timestamps; 24h for dates
}

// newField describes a top-level column, or says why it cannot be read. The
// schema element of a leaf tells a half apart, which the library does not.
func newField(c *parquet.Column, leaves []*format.SchemaElement, int64s bool) (field, string) {
	f := field{info: ColumnInfo{Name: c.Name()}}
	if !c.Leaf() {
		return listField(f, c)
	}
	if c.Repeated() {
		return vectorField(f, c)
	}
	f.leaf, f.kind, f.maxDef = c.Index(), parquet.Kind(leaves[c.Index()].Type.V), byte(c.MaxDefinitionLevel())
	if f.kind == parquet.FixedLenByteArray {
		if f.size = c.Type().Length(); f.size <= 0 {
			return f, "fixed values without a length"
		}
	}
	reason := f.setLogical(c.Type())
	if _, ok := leaves[f.leaf].LogicalType.Value.(*format.Float16Type); ok && f.size == 2 {
		f.float16, f.info.Type, reason = true, modelwatch.TypeNumber, ""
	}
	if int64s && f.kind == parquet.Int64 && f.info.Type == modelwatch.TypeNumber && !f.decimal {
		f.info.Physical = PhysicalInt64
	}
	if f.info.Type == modelwatch.TypeTimestamp && modelwatch.Reserved(f.info.Name) {
		f.info.Physical = PhysicalTime
	}
	if reason == "" {
		f.store, _ = f.info.storage() // every type set above has one
	}
	return f, reason
}

func (f *field) setLogical(t parquet.Type) (reason string) {
	f.scale = 1
	if l := t.LogicalType(); l != nil {
		switch v := l.Value.(type) {
		case *format.NullType:
			f.text, f.info.Type = f.kind == parquet.Int32, modelwatch.TypeCategory // of the type that has no values
			return ""
		case *format.DecimalType:
			f.decimal, f.scale, f.info.Type = true, math.Pow10(int(v.Scale)), modelwatch.TypeNumber
			return f.checkDecimal()
		case *format.TimestampType:
			if v.Unit.Value == nil {
				return "a timestamp without a unit"
			}
			f.unit, f.info.Type = v.Unit.Value.Duration(), modelwatch.TypeTimestamp
			return ""
		case *format.DateType:
			f.unit, f.info.Type = 24*time.Hour, modelwatch.TypeTimestamp
			return ""
		case *format.IntType:
			f.unsigned = !v.IsSigned
		case *format.UUIDType:
			if f.size != 16 {
				return "a UUID that is not of 16 bytes"
			}
			f.uuid, f.info.Type = true, modelwatch.TypeCategory
			return ""
		case *format.TimeType, *format.BsonType, *format.GeometryType, *format.GeographyType, *format.VariantType:
			return "values of type " + v.String()
		}
	}
	return f.setPhysical()
}

func (f *field) checkDecimal() string {
	switch f.kind {
	case parquet.Int32, parquet.Int64, parquet.ByteArray, parquet.FixedLenByteArray:
		return ""
	}
	return "a decimal stored as " + f.kind.String()
}

func (f *field) setPhysical() (reason string) {
	switch f.kind {
	case parquet.Boolean:
		f.info.Type = modelwatch.TypeBoolean
	case parquet.Int32, parquet.Int64, parquet.Float, parquet.Double:
		f.info.Type = modelwatch.TypeNumber
	case parquet.Int96:
		f.info.Type = modelwatch.TypeTimestamp
	case parquet.ByteArray:
		f.info.Type = modelwatch.TypeCategory
	default:
		return "values of type " + f.kind.String()
	}
	return ""
}

// listField reads LIST groups of numbers: name (optional) { list (repeated) { element } }.
func listField(f field, c *parquet.Column) (field, string) {
	for node := c; !node.Leaf(); node = node.Columns()[0] {
		if len(node.Columns()) != 1 {
			return f, "a nested group"
		}
		if child := node.Columns()[0]; child.Leaf() {
			if child.MaxRepetitionLevel() != 1 {
				return f, "a nested group"
			}
			f.outer = c.Optional()
			return vectorField(f, child)
		}
	}
	return f, "a nested group"
}

func vectorField(f field, leaf *parquet.Column) (field, string) {
	f.leaf, f.kind, f.maxDef = leaf.Index(), leaf.Type().Kind(), byte(leaf.MaxDefinitionLevel())
	f.info.Type, f.store, f.repeated, f.scale = modelwatch.TypeVector, storeVectors, true, 1
	f.inner = leaf.Optional()
	switch f.kind {
	case parquet.Float, parquet.Double, parquet.Int32, parquet.Int64:
		if l := leaf.Type().LogicalType(); l != nil {
			if _, ok := l.Value.(*format.IntType); !ok {
				return f, "a list of " + l.String()
			}
		}
		return f, ""
	}
	return f, "a list of " + f.kind.String()
}

// integer reports whether values are integers, signed or not.
func (f *field) integer() bool {
	return (f.kind == parquet.Int32 || f.kind == parquet.Int64) && f.info.Type == modelwatch.TypeNumber && !f.decimal && !f.repeated
}

// asText makes an integer column one of texts.
func (f *field) asText() {
	f.text, f.store = true, storeStrings
	f.info.Type, f.info.Physical = modelwatch.TypeCategory, PhysicalDefault
}

// micros converts a timestamp of the field's unit to microseconds, saturating.
func (f *field) micros(v int64) int64 {
	switch {
	case f.unit >= time.Microsecond:
		per := int64(f.unit / time.Microsecond)
		if v > math.MaxInt64/per {
			return math.MaxInt64
		}
		if v < math.MinInt64/per {
			return math.MinInt64
		}
		return v * per
	default:
		per := int64(time.Microsecond / f.unit)
		if v < 0 {
			return -((-(v + 1)) / per) - 1 // floor, so that order is kept across 1970
		}
		return v / per
	}
}

// bigDecimal reads a big-endian two's complement integer.
func bigDecimal(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	if len(b) <= 8 {
		v := int64(int8(b[0]))
		for _, x := range b[1:] {
			v = v<<8 | int64(x)
		}
		return float64(v)
	}
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	out, _ := new(big.Float).SetInt(n).Float64()
	return out
}

// half reads a little-endian IEEE half.
func half(b []byte) float64 {
	bits := uint16(b[0]) | uint16(b[1])<<8
	sign := 1.0
	if bits&0x8000 != 0 {
		sign = -1
	}
	exp, frac := int(bits>>10)&0x1f, float64(bits&0x3ff)
	switch exp {
	case 0:
		return sign * frac * 0x1p-24
	case 0x1f:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

// int96Micros reads Spark's and Impala's old timestamps: nanoseconds of the day
// and the Julian day.
func int96Micros(b []byte) int64 {
	nanos := int64(binary.LittleEndian.Uint64(b))
	days := int64(binary.LittleEndian.Uint32(b[8:])) - 2_440_588
	return days*86_400_000_000 + nanos/1000
}

// appendUUID appends the text of 16 bytes.
func appendUUID(dst, b []byte) []byte {
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		start := [...]int{0, 4, 6, 8, 10}[i]
		dst = hex.AppendEncode(dst, b[start:end])
	}
	return dst
}
