package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// avroFormat reads values of Avro of schemas in a registry.
type avroFormat struct {
	*anyShape
	schemas *schemas[avro.Schema]
	reader  *avro.Reader
}

func newAvro(o *Options) (Format, error) {
	shape, err := newAnyShape(o)
	if err != nil {
		return nil, err
	}
	s, err := newSchemas(o.Registry, sr.TypeAvro, compileAvro)
	config := avro.Config{MaxByteSliceSize: 16 << 20, MaxSliceAllocSize: 16 << 20}.Freeze()
	return &avroFormat{shape, s, avro.NewReader(nil, 0, avro.WithReaderConfig(config))}, err
}

func compileAvro(_ context.Context, s sr.Schema, references []reference) (avro.Schema, error) {
	cache := &avro.SchemaCache{}
	for _, r := range references {
		if _, err := avro.ParseWithCache(r.text, "", cache); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return avro.ParseWithCache(s.Schema, "", cache)
}

func (f *avroFormat) Decode(ctx context.Context, r *Record, events []Event) ([]Event, error) {
	schema, framed, err := f.schemas.read(ctx, r)
	if err != nil {
		return events, err
	}
	v, err := f.value(schema, framed.data)
	if err != nil {
		return events, invalid("the value is not of schema %s: %v", framed.id, err)
	}
	return f.events(v, events)
}

func (f *avroFormat) value(schema avro.Schema, data []byte) (Value, error) {
	f.reader.Reset(data)
	f.reader.Error = nil
	d := avroDecoder{r: f.reader, left: len(data)*8 + 1000}
	v := d.value(nil, schema, 0)
	if d.r.Error != nil {
		return nil, d.r.Error
	}
	if f.reader.Peek(); !errors.Is(f.reader.Error, io.EOF) {
		return nil, errors.New("there are bytes behind it")
	}
	return v, nil
}

// avroDecoder writes a value of Avro as JSON, fields in the order of the schema.
// Of a union it writes the value alone.
type avroDecoder struct {
	r *avro.Reader
	// left bounds the values that take no bytes, of which a count can promise any
	// number.
	left int
}

var errTooDeep = errors.New("values are nested too deeply, or promise more than there is")

func (d *avroDecoder) value(b Value, schema avro.Schema, depth int) Value {
	if d.left--; depth > maxDepth || d.left < 0 {
		if d.r.Error == nil {
			d.r.Error = errTooDeep
		}
	}
	if d.r.Error != nil {
		return b
	}
	switch s := schema.(type) {
	case *avro.RefSchema:
		return d.value(b, s.Schema(), depth+1)
	case *avro.RecordSchema:
		start := len(b)
		b = append(b, '{')
		for _, f := range s.Fields() {
			b = d.value(appendName(b, start, f.Name()), f.Type(), depth+1)
		}
		return append(b, '}')
	case *avro.UnionSchema:
		i := d.r.ReadLong()
		if i < 0 || i >= int64(len(s.Types())) {
			d.r.ReportError("union", "no member "+strconv.FormatInt(i, 10))
			return b
		}
		return d.value(b, s.Types()[i], depth+1)
	case *avro.ArraySchema:
		start := len(b)
		b = append(b, '[')
		d.blocks(func() {
			if len(b) > start+1 {
				b = append(b, ',')
			}
			b = d.value(b, s.Items(), depth+1)
		})
		return append(b, ']')
	case *avro.MapSchema:
		start := len(b)
		b = append(b, '{')
		d.blocks(func() { b = d.value(appendName(b, start, d.r.ReadString()), s.Values(), depth+1) })
		return append(b, '}')
	case *avro.EnumSchema:
		symbol, ok := s.Symbol(int(d.r.ReadInt()))
		if !ok {
			d.r.ReportError("enum", "no such symbol")
		}
		return appendText(b, symbol)
	case *avro.FixedSchema:
		raw := make([]byte, s.Size())
		d.r.Read(raw)
		return append(b, avroBytes(raw, s.Logical())...)
	case *avro.PrimitiveSchema:
		return append(b, d.primitive(s)...)
	}
	return append(b, "null"...)
}

// blocks reads the items of an array or a map.
func (d *avroDecoder) blocks(item func()) {
	for d.r.Error == nil {
		n, _ := d.r.ReadBlockHeader()
		if n <= 0 {
			return
		}
		for ; n > 0 && d.r.Error == nil; n-- {
			item()
		}
	}
}

func (d *avroDecoder) primitive(s *avro.PrimitiveSchema) Value {
	switch s.Type() {
	case avro.Boolean:
		return boolValue(d.r.ReadBool())
	case avro.Int:
		return avroInt(int64(d.r.ReadInt()), s.Logical())
	case avro.Long:
		return avroInt(d.r.ReadLong(), s.Logical())
	case avro.Float:
		return floatValue(float64(d.r.ReadFloat()), 32)
	case avro.Double:
		return floatValue(d.r.ReadDouble(), 64)
	case avro.String:
		return textValue(d.r.ReadString())
	case avro.Bytes:
		return avroBytes(d.r.ReadBytes(), s.Logical())
	}
	return Value("null")
}

// avroInt writes an integer, and those that are times as times. Times of day stay
// integers.
func avroInt(n int64, logical avro.LogicalSchema) Value {
	if logical != nil {
		switch logical.Type() {
		case avro.Date:
			return timeValue(time.Unix(n*86400, 0))
		case avro.TimestampMillis, avro.LocalTimestampMillis:
			return timeValue(time.UnixMilli(n))
		case avro.TimestampMicros, avro.LocalTimestampMicros:
			return timeValue(time.UnixMicro(n))
		}
	}
	return strconv.AppendInt(nil, n, 10)
}

// avroBytes writes bytes: those that are a decimal as a number, others as text.
func avroBytes(raw []byte, logical avro.LogicalSchema) Value {
	decimal, ok := logical.(*avro.DecimalLogicalSchema)
	if !ok || len(raw) == 0 {
		return bytesValue(raw)
	}
	n := new(big.Int).SetBytes(raw)
	if raw[0] >= 0x80 { // two's complement
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(raw))*8))
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimal.Scale())), nil)
	f, _ := new(big.Rat).SetFrac(n, scale).Float64()
	return floatValue(f, 64)
}
