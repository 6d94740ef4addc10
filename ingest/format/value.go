package format

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// parse checks that data is one JSON value (RFC 8259, no duplicate names) and
// returns it without the space around it.
func parse(data []byte) (Value, *Failure) {
	v, end, fail := parseFirst(data)
	if fail == nil {
		fail = nothingBehind(data, end)
	}
	return v, fail
}

// parseFirst is parse for data of which something else may follow; end is where the
// value ends.
func parseFirst(data []byte) (v Value, end int, fail *Failure) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, 0, failf(modelwatch.DeadEmpty, "the record has no value")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	v, err := d.ReadValue()
	if err != nil {
		return nil, 0, explain(err)
	}
	end = int(d.InputOffset())
	return Value(data[end-len(v) : end]), end, nil
}

func nothingBehind(data []byte, end int) *Failure {
	if len(bytes.TrimSpace(data[end:])) > 0 {
		return failf(modelwatch.DeadInvalidJSON, "not JSON at byte %d: text behind the value", end)
	}
	return nil
}

// parseObject is parse for a record that must be an object.
func parseObject(data []byte) ([]Member, *Failure) {
	v, fail := parse(data)
	if fail != nil {
		return nil, fail
	}
	if v[0] != '{' {
		return nil, failf(modelwatch.DeadNotObject, "expected a JSON object, found %s", describe(v))
	}
	return members(v), nil
}

func explain(err error) *Failure {
	var syntax *jsontext.SyntacticError
	switch {
	case !errors.As(err, &syntax):
		return failf(modelwatch.DeadInvalidJSON, "the JSON text ends too early")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return failf(modelwatch.DeadDuplicateKey, "the name %q occurs twice, at %q", shorten(syntax.JSONPointer.LastToken()), shorten(string(syntax.JSONPointer)))
	}
	return failf(modelwatch.DeadInvalidJSON, "not JSON at byte %d: %s", syntax.ByteOffset, strings.TrimPrefix(shorten(err.Error()), "jsontext: "))
}

// members returns what an object of valid JSON holds; nil of anything else.
func members(v Value) []Member {
	if len(v) == 0 || v[0] != '{' {
		return nil
	}
	var out []Member
	walk(v, func(name string, element Value) { out = append(out, Member{name, element}) })
	return out
}

// elements returns what an array of valid JSON holds; nil of anything else.
func elements(v Value) []Value {
	if len(v) == 0 || v[0] != '[' {
		return nil
	}
	out := []Value{}
	walk(v, func(_ string, element Value) { out = append(out, element) })
	return out
}

// walk visits the members of an object or the elements of an array. The JSON was
// parsed before: there are no errors.
func walk(v Value, visit func(name string, element Value)) {
	d := jsontext.NewDecoder(bytes.NewBuffer(v))
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for {
		var name string
		if v[0] == '{' && d.PeekKind() == '"' {
			token, err := d.ReadToken()
			if err != nil {
				return
			}
			name = token.String()
		}
		element, err := d.ReadValue()
		if err != nil {
			return // the end
		}
		end := int(d.InputOffset())
		visit(name, v[end-len(element):end])
	}
}

// find returns a member's value; nil if it is absent or null.
func find(ms []Member, name string) Value {
	for _, m := range ms {
		if m.Name == name {
			return present(m.Value)
		}
	}
	return nil
}

func present(v Value) Value {
	if string(v) == "null" {
		return nil
	}
	return v
}

// text is what a string says, and a number as it was written; "" of anything else.
func text(v Value) string {
	switch {
	case len(v) == 0:
		return ""
	case v[0] == '"':
		out, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return ""
		}
		return string(out)
	case isNumber(v):
		return string(v)
	}
	return ""
}

func isNumber(v Value) bool { return len(v) > 0 && (v[0] == '-' || v[0]-'0' <= 9) }

// floatValue writes a number. JSON has none that are not finite: NaN is null, as
// data frames have it, and an infinity a number that no float64 can hold, so that
// its cell is invalid.
func floatValue(f float64, bits int) Value { return appendFloat(nil, f, bits) }

func appendFloat(text []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(text, "null"...)
	case math.IsInf(f, 1):
		return append(text, "1e999"...)
	case math.IsInf(f, -1):
		return append(text, "-1e999"...)
	}
	return strconv.AppendFloat(text, f, 'g', -1, bits)
}

func boolValue(b bool) Value { return strconv.AppendBool(nil, b) }

func timeValue(t time.Time) Value {
	return append(t.UTC().AppendFormat([]byte{'"'}, time.RFC3339Nano), '"')
}

// cellValue reads a cell of a CSV file: a number where it is one, nothing where
// it is empty or a word for it, else text. 007 is text.
func cellValue(cell string) Value {
	cell = strings.TrimSpace(cell)
	switch strings.ToLower(cell) {
	case "", "nan", "null", "none", "n/a", "na":
		return Value("null")
	case "inf", "+inf", "infinity":
		return Value("1e999")
	case "-inf", "-infinity":
		return Value("-1e999")
	}
	if v := Value(cell); isNumber(v) && v.IsValid() {
		return v
	}
	digits := strings.TrimLeft(cell, "+-")
	if len(digits) > 0 && strings.Trim(digits, "0123456789.eE+-") == "" && !(len(digits) > 1 && digits[0] == '0' && digits[1]-'0' <= 9) {
		if f, err := strconv.ParseFloat(cell, 64); err == nil {
			return floatValue(f, 64)
		}
	}
	return textValue(cell)
}

// describe names the type of a JSON value.
func describe(v Value) string {
	switch {
	case len(v) == 0:
		return "nothing"
	case v[0] == '"':
		return "a string"
	case v[0] == '{':
		return "an object"
	case v[0] == '[':
		return "an array"
	case v[0] == 't', v[0] == 'f':
		return "a boolean"
	case v[0] == 'n':
		return "null"
	}
	return "a number"
}

// shorten bounds what of a record gets into a sentence.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
