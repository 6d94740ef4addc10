package format

import (
	"context"
	_ "embed" // the protocol's messages
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/modelwatch/modelwatch"
)

//go:embed inference.proto
var inferenceProto string

// inference reads requests and responses of the V2 protocol in protobuf.
type inference struct {
	request, response protoreflect.MessageDescriptor
}

func newInference() (*inference, error) {
	files, err := compileProto(context.Background(), "inference.proto", map[string]string{"inference.proto": inferenceProto})
	if err != nil {
		return nil, fmt.Errorf("compile the inference protocol: %w", err)
	}
	return &inference{files.Messages().ByName("Request"), files.Messages().ByName("Response")}, nil
}

// compileProto compiles a file of protobuf and what it imports.
func compileProto(ctx context.Context, name string, files map[string]string) (protoreflect.FileDescriptor, error) {
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)})}
	compiled, err := c.Compile(ctx, name)
	if err != nil {
		return nil, err
	}
	return compiled[0], nil
}

// protoError is the text of an error of package proto, which puts a space of one
// kind or another into it, so that nobody relies on it.
func protoError(err error) string { return strings.ReplaceAll(err.Error(), "\u00a0", " ") }

// message is a request or a response.
type message struct {
	model, version, id string
	tensors            []tensor
}

func (f *inference) decode(data []byte, response bool) (*message, *Failure) {
	d := f.request
	if response {
		d = f.response
	}
	m := dynamicpb.NewMessage(d)
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, invalid("not a message of the inference protocol: %s", protoError(err))
	}
	field := func(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(name))
	}
	out := &message{model: field(m, "model_name").String(), version: field(m, "model_version").String(), id: field(m, "id").String()}
	list, raw := field(m, "tensors").List(), field(m, "raw_contents").List()
	if list.Len() == 0 {
		return nil, invalid("the message has no tensors")
	}
	if raw.Len() > 0 && raw.Len() != list.Len() {
		return nil, invalid("the message has %s and %s of raw contents", plural(list.Len(), "tensor"), plural(raw.Len(), "piece"))
	}
	for i := range list.Len() {
		one := list.Get(i).Message()
		t := tensor{name: field(one, "name").String()}
		shape := field(one, "shape").List()
		for j := range shape.Len() {
			t.shape = append(t.shape, shape.Get(j).Int())
		}
		datatype := field(one, "datatype").String()
		if raw.Len() > 0 {
			var fail *Failure
			if t.values, fail = rawValues(datatype, raw.Get(i).Bytes()); fail != nil {
				return nil, t.failed(fail)
			}
		} else {
			t.values = contents(field(one, "contents").Message())
		}
		out.tensors = append(out.tensors, t)
	}
	return out, nil
}

// contents are the values of a tensor, whichever of its lists they are in.
func contents(m protoreflect.Message) (out []Value) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		list := v.List()
		for i := range list.Len() {
			out = append(out, protoScalar(fd, list.Get(i)))
		}
		return true
	})
	return out
}

// protoScalar writes a value that is no message; bytes as text, where they are.
func protoScalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return boolValue(v.Bool())
	case protoreflect.FloatKind:
		return floatValue(v.Float(), 32)
	case protoreflect.DoubleKind:
		return floatValue(v.Float(), 64)
	case protoreflect.StringKind:
		return textValue(v.String())
	case protoreflect.BytesKind:
		return bytesValue(v.Bytes())
	case protoreflect.EnumKind:
		if d := fd.Enum().Values().ByNumber(v.Enum()); d != nil {
			return textValue(string(d.Name()))
		}
		return strconv.AppendInt(nil, int64(v.Enum()), 10)
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(nil, v.Uint(), 10)
	}
	return strconv.AppendInt(nil, v.Int(), 10)
}

// bytesValue writes bytes that are text as text, and others as base64.
func bytesValue(b []byte) Value {
	if utf8.Valid(b) {
		return textValue(string(b))
	}
	return textValue(base64.StdEncoding.EncodeToString(b))
}

// rawSizes are the sizes of elements in raw contents, which are little-endian.
func rawSizes() map[string]int {
	return map[string]int{
		"BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "UINT32": 4, "INT32": 4, "UINT64": 8, "INT64": 8,
		"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8,
	}
}

// rawValues reads the raw contents of a tensor. Elements of BYTES follow their
// length, of four bytes.
func rawValues(datatype string, b []byte) (out []Value, fail *Failure) {
	if datatype == "BYTES" {
		for len(b) > 0 {
			if len(out) == maxValues {
				return nil, tooManyValues()
			}
			if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
				return nil, invalid("raw contents end inside an element of BYTES")
			}
			n := 4 + int(binary.LittleEndian.Uint32(b))
			out = append(out, bytesValue(b[4:n]))
			b = b[n:]
		}
		return out, nil
	}
	size := rawSizes()[datatype]
	if size == 0 {
		return nil, invalid("datatype is %q, which the inference protocol does not have", shorten(datatype))
	}
	if len(b)%size != 0 {
		return nil, invalid("raw contents of %d bytes hold no whole number of %s", len(b), datatype)
	}
	if len(b)/size > maxValues {
		return nil, tooManyValues()
	}
	out = make([]Value, 0, len(b)/size)
	var text []byte // of all values: a small one would take more than itself
	for ; len(b) > 0; b = b[size:] {
		start := len(text)
		text = appendRaw(text, datatype, b)
		out = append(out, Value(text[start:len(text):len(text)]))
	}
	return out, nil
}

func tooManyValues() *Failure {
	return failf(modelwatch.DeadTooLarge, "there are more than %d values", maxValues)
}

// appendRaw appends the element with which b begins.
func appendRaw(text []byte, datatype string, b []byte) []byte {
	le := binary.LittleEndian
	switch datatype {
	case "BOOL":
		return strconv.AppendBool(text, b[0] != 0)
	case "UINT8":
		return strconv.AppendUint(text, uint64(b[0]), 10)
	case "INT8":
		return strconv.AppendInt(text, int64(int8(b[0])), 10)
	case "UINT16":
		return strconv.AppendUint(text, uint64(le.Uint16(b)), 10)
	case "INT16":
		return strconv.AppendInt(text, int64(int16(le.Uint16(b))), 10)
	case "UINT32":
		return strconv.AppendUint(text, uint64(le.Uint32(b)), 10)
	case "INT32":
		return strconv.AppendInt(text, int64(int32(le.Uint32(b))), 10)
	case "UINT64":
		return strconv.AppendUint(text, le.Uint64(b), 10)
	case "INT64":
		return strconv.AppendInt(text, int64(le.Uint64(b)), 10)
	case "FP16":
		return appendFloat(text, half(le.Uint16(b)), 32)
	case "BF16":
		return appendFloat(text, float64(math.Float32frombits(uint32(le.Uint16(b))<<16)), 32)
	case "FP32":
		return appendFloat(text, float64(math.Float32frombits(le.Uint32(b))), 32)
	}
	return appendFloat(text, math.Float64frombits(le.Uint64(b)), 64)
}

// half is the value of an IEEE 754 number of 16 bits: 1 of sign, 5 of exponent,
// biased by 15, and 10 of fraction.
func half(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10&0x1f), float64(bits&0x3ff)
	if bits>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction > 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
