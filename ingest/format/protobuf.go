package format

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// protobufFormat reads messages of protobuf of schemas in a registry. What names the
// schema also says which of its messages it is.
type protobufFormat struct {
	*anyShape
	schemas *schemas[protoreflect.FileDescriptor]
}

func newProtobuf(o *Options) (Format, error) {
	shape, err := newAnyShape(o)
	if err != nil {
		return nil, err
	}
	s, err := newSchemas(o.Registry, sr.TypeProtobuf, compileProtobuf)
	return &protobufFormat{shape, s}, err
}

func compileProtobuf(ctx context.Context, s sr.Schema, references []reference) (protoreflect.FileDescriptor, error) {
	const name = "schema.proto"
	files := map[string]string{name: s.Schema}
	for _, r := range references {
		files[r.name] = r.text
	}
	return compileProto(ctx, name, files)
}

func (f *protobufFormat) Decode(ctx context.Context, r *Record, events []Event) ([]Event, error) {
	file, framed, err := f.schemas.read(ctx, r)
	if err != nil {
		return events, err
	}
	place, data, fail := framed.message()
	if fail != nil {
		return events, fail
	}
	id, d := framed.id, messageAt(file, place)
	if d == nil {
		return events, invalid("schema %s has no message %v", id, place)
	}
	m := dynamicpb.NewMessage(d)
	if err := proto.Unmarshal(data, m); err != nil {
		return events, invalid("the value is not of schema %s: %s", id, protoError(err))
	}
	v, err := protoMessage(nil, m, 0)
	if err != nil {
		return events, invalid("the value of schema %s cannot be read: %s", id, protoError(err))
	}
	return f.events(v, events)
}

// messageAt finds a message by its place in the file, and in the messages around it.
func messageAt(file protoreflect.FileDescriptor, index []int) protoreflect.MessageDescriptor {
	var d protoreflect.MessageDescriptor
	list := file.Messages()
	for _, i := range index {
		if i < 0 || i >= list.Len() {
			return nil
		}
		d = list.Get(i)
		list = d.Messages()
	}
	return d
}

// protoMessage appends a message as JSON, under the names that its fields have in
// the schema. A field that can be absent and is, is left out; integers are numbers.
func protoMessage(b Value, m protoreflect.Message, depth int) (Value, error) {
	if depth > maxDepth {
		return b, errTooDeep
	}
	if known, ok, err := wellKnown(m, depth); ok || err != nil {
		return append(b, known...), err
	}
	start := len(b)
	b = append(b, '{')
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.HasPresence() && !m.Has(fd) {
			continue
		}
		var err error
		if b, err = protoField(appendName(b, start, string(fd.Name())), fd, m.Get(fd), depth); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func protoField(b Value, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) (_ Value, err error) {
	start := len(b)
	switch {
	case fd.IsMap():
		b = append(b, '{')
		keys := make([]protoreflect.MapKey, 0, v.Map().Len())
		v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			keys = append(keys, k)
			return true
		})
		// The map's own order is another one each time.
		slices.SortFunc(keys, func(x, y protoreflect.MapKey) int { return strings.Compare(x.String(), y.String()) })
		for _, k := range keys {
			if b, err = protoSingle(appendName(b, start, k.String()), fd.MapValue(), v.Map().Get(k), depth); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case fd.IsList():
		b = append(b, '[')
		for i := range v.List().Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = protoSingle(b, fd, v.List().Get(i), depth); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	}
	return protoSingle(b, fd, v, depth)
}

func protoSingle(b Value, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) (Value, error) {
	if fd.Message() != nil {
		return protoMessage(b, v.Message(), depth+1)
	}
	return append(b, protoScalar(fd, v)...), nil
}

// wellKnown writes the messages of google.protobuf that have a form of their own
// in JSON: times, durations, wrappers, and those that are any JSON.
func wellKnown(m protoreflect.Message, depth int) (Value, bool, error) {
	name, ok := strings.CutPrefix(string(m.Descriptor().FullName()), "google.protobuf.")
	if !ok {
		return nil, false, nil
	}
	switch name {
	case "Timestamp", "Duration", "Struct", "Value", "ListValue", "FieldMask", "Empty":
		v, err := protojson.Marshal(m.Interface())
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
		return v, true, nil
	case "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue", "StringValue", "BytesValue":
		fd := m.Descriptor().Fields().ByName("value")
		if fd == nil {
			return nil, false, errors.New("a wrapper without a value")
		}
		v, err := protoField(nil, fd, m.Get(fd), depth)
		return v, true, err
	}
	return nil, false, nil
}
