package format

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// seldon takes a member of a SeldonMessage, the body of Seldon's first protocol
// (proto/prediction.proto of Seldon Core 1), in the JSON that protobuf has for it.
func (s side) seldon(m Member) ([]row, *Failure) {
	switch m.Name {
	case "jsonData":
		if v := present(m.Value); v != nil && v[0] != '{' && v[0] != '[' {
			r, fail := s.positional([]Value{v})
			return []row{r}, fail
		}
		return s.body(m.Value, true)
	case "strData":
		r, fail := s.positional([]Value{m.Value})
		return []row{r}, fail
	case "customData": // google.protobuf.Any: a message, and what it is called
		all := slices.DeleteFunc(members(m.Value), func(m Member) bool { return m.Name == "@type" })
		if len(all) == 0 {
			return nil, invalid("customData must be an object with members beside @type")
		}
		return []row{all}, nil
	case "binData":
		return s.blob(m.Value)
	}
	data := members(m.Value)
	var names []string
	for _, n := range elements(find(data, "names")) {
		names = append(names, strings.TrimPrefix(text(n), "t:"))
	}
	if list := find(data, "ndarray"); list != nil && list[0] == '[' {
		var rows [][]Value
		for _, one := range elements(list) {
			rows = append(rows, flatten(one, nil))
		}
		return s.named(names, rows)
	}
	var t tensor
	if of := members(find(data, "tensor")); len(of) > 0 {
		t = jsonTensor(of, "shape", "values")
		numbers(t.values)
	} else if of := members(find(data, "tftensor")); len(of) > 0 {
		var fail *Failure
		if t, fail = tfTensor(of); fail != nil {
			return nil, fail
		}
	} else {
		return nil, invalid("data must have ndarray, tensor or tftensor")
	}
	if fail := t.check(); fail != nil {
		return nil, fail
	}
	return s.named(names, slices.Collect(slices.Chunk(t.values, max(1, t.width()))))
}

// numbers replaces what protobuf's JSON has as text though it is a number: those of
// 64 bits, and NaN and the infinities.
func numbers(values []Value) {
	for i, v := range values {
		if len(v) > 0 && v[0] == '"' {
			values[i] = cellValue(text(v))
		}
	}
}

// blob takes bytes of which nobody says what they are, such as those of an image: a
// row without values, of which their size and their SHA-256 are kept.
func (s side) blob(v Value) ([]row, *Failure) {
	if s.opaque == nil {
		return nil, invalid("binData cannot be read as values")
	}
	data, err := protoBytes(v)
	if err != nil {
		return nil, invalid("binData is not base64: %v", err)
	}
	*s.opaque = fmt.Appendf(nil, `{"bytes":%d,"sha256":"%x"}`, len(data), sha256.Sum256(data))
	return []row{{}}, nil
}

// protoBytes decodes bytes as protobuf's JSON has them: in either alphabet of base64,
// padded or not.
func protoBytes(v Value) ([]byte, error) {
	if len(v) == 0 || v[0] != '"' {
		return nil, fmt.Errorf("it is %s", describe(v))
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text(v), "="))
	return base64.RawStdEncoding.DecodeString(plain)
}

// named gives the values of rows the names that the record says, unless the
// configuration says others.
func (s side) named(names []string, rows [][]Value) ([]row, *Failure) {
	if len(rows) > maxRows {
		return nil, tooMany(len(rows))
	}
	out := make([]row, 0, len(rows))
	for i, values := range rows {
		if len(s.names()) > 0 || len(names) == 0 {
			r, fail := s.positional(values)
			if fail != nil {
				return nil, fail
			}
			out = append(out, r)
			continue
		}
		if len(values) != len(names) {
			return nil, invalid("row %d has %s for %s", i, plural(len(values), "value"), plural(len(names), "name"))
		}
		r := zip(names, values)
		for j := range r {
			switch {
			case !s.out || s.known(r[j].Name):
			case len(r) == 1:
				r[j].Name = "predicted"
			case isNumber(r[j].Value):
				r[j].Name = "score_" + r[j].Name
			}
		}
		out = append(out, r)
	}
	return out, nil
}
