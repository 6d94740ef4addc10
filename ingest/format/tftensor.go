package format

import (
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// maxRepeated bounds what a single value is repeated to, which costs a sender nothing.
const maxRepeated = 100_000

// tfType is a type of elements of TensorFlow's tensors.
type tfType struct {
	datatype string // as the inference protocol calls it
	list     string // the field of TensorProto with its values
}

// tfTypes are the values of TensorFlow's DataType that are read, and tfNumbers their
// numbers.
func tfTypes() map[string]tfType {
	return map[string]tfType{
		"DT_FLOAT": {"FP32", "floatVal"}, "DT_DOUBLE": {"FP64", "doubleVal"}, "DT_HALF": {"FP16", "halfVal"}, "DT_BFLOAT16": {"BF16", "halfVal"},
		"DT_INT8": {"INT8", "intVal"}, "DT_INT16": {"INT16", "intVal"}, "DT_INT32": {"INT32", "intVal"}, "DT_INT64": {"INT64", "int64Val"},
		"DT_UINT8": {"UINT8", "intVal"}, "DT_UINT16": {"UINT16", "intVal"}, "DT_UINT32": {"UINT32", "uint32Val"}, "DT_UINT64": {"UINT64", "uint64Val"},
		"DT_BOOL": {"BOOL", "boolVal"}, "DT_STRING": {"BYTES", "stringVal"},
	}
}

func tfNumbers() map[string]string {
	return map[string]string{
		"1": "DT_FLOAT", "2": "DT_DOUBLE", "3": "DT_INT32", "4": "DT_UINT8", "5": "DT_INT16", "6": "DT_INT8", "7": "DT_STRING", "9": "DT_INT64", "10": "DT_BOOL",
		"14": "DT_BFLOAT16", "17": "DT_UINT16", "19": "DT_HALF", "22": "DT_UINT32", "23": "DT_UINT64",
	}
}

// tfTensor reads a TensorProto of TensorFlow (tensorflow/core/framework/tensor.proto)
// in the JSON that protobuf has for it: dtype, tensorShape, and the values as
// tensorContent, little-endian, or in the list of their type. A single value of a
// list is repeated to fill the shape. Names may also be those of the definition, with
// underscores.
func tfTensor(all []Member) (t tensor, fail *Failure) {
	for i, m := range all {
		all[i].Name = camelCase(m.Name)
	}
	t.name = "tftensor"
	dtype := text(find(all, "dtype"))
	if name := tfNumbers()[dtype]; name != "" {
		dtype = name
	}
	typ, ok := tfTypes()[dtype]
	if !ok {
		return t, invalid("tftensor has dtype %q, which is not read; known: bool, string, and integers and floats of up to 64 bits", shorten(dtype))
	}
	shape := members(find(all, "tensorShape"))
	for _, d := range elements(find(shape, "dim")) {
		n, err := strconv.ParseInt(text(find(members(d), "size")), 10, 64)
		if err != nil {
			n = -1
		}
		t.shape = append(t.shape, n)
	}
	if content := find(all, "tensorContent"); text(content) != "" {
		data, err := protoBytes(content)
		switch {
		case typ.datatype == "BYTES":
			return t, invalid("tftensor is of texts and has tensorContent; they must be in stringVal")
		case err != nil:
			return t, invalid("tensorContent is not base64: %v", err)
		}
		t.values, fail = rawValues(typ.datatype, data)
		fail = t.failed(fail)
		return t, fail
	}
	t.values, fail = tfList(typ, elements(find(all, typ.list)))
	if fail = t.failed(fail); fail == nil {
		fail = t.repeat()
	}
	return t, fail
}

// tfList reads the values in the list of their type.
func tfList(typ tfType, values []Value) ([]Value, *Failure) {
	switch typ.datatype {
	case "BYTES":
		for i, v := range values {
			data, err := protoBytes(v)
			if err != nil {
				return nil, invalid("stringVal is not base64: %v", err)
			}
			values[i] = bytesValue(data)
		}
		return values, nil
	case "FP16", "BF16": // the bits, as numbers
		for i, v := range values {
			bits, err := strconv.ParseUint(string(v), 10, 16)
			if err != nil {
				return nil, invalid("halfVal has %s; it must be the 16 bits of a number", shorten(string(v)))
			}
			values[i] = appendRaw(nil, typ.datatype, []byte{byte(bits), byte(bits >> 8)})
		}
		return values, nil
	}
	numbers(values)
	return values, nil
}

// repeat fills the shape with a single value.
func (t *tensor) repeat() *Failure {
	if len(t.values) != 1 {
		return nil
	}
	size := int64(1)
	for _, d := range t.shape {
		if d < 0 {
			return nil // check says so
		}
		if size *= min(d, maxRepeated+1); size > maxRepeated {
			return failf(modelwatch.DeadTooLarge, "tensor %q repeats a value to fill shape %v; at most %d are filled so", shorten(t.name), t.shape[:min(len(t.shape), 8)], maxRepeated)
		}
	}
	for int64(len(t.values)) < size {
		t.values = append(t.values, t.values[0])
	}
	t.values = t.values[:size]
	return nil
}

// camelCase is the name that protobuf's JSON gives to a field.
func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}
