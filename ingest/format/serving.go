package format

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// Bounds of one record. What a record holds is in memory while it is placed.
const (
	maxRows       = 50_000
	maxValues     = 4_000_000 // of a tensor of bytes, which may be one of them
	maxPositional = 2000      // values of a row that become columns of their own; more are one vector
)

// side is one side of a request, what goes in or what comes out, of which bodies
// give the rows.
type side struct {
	options *Options
	out     bool
	behind  []byte // the bytes behind the JSON of the body
	opaque  *Value // what is told of bytes that are no values; nil: there may be none
}

func (o *Options) in() side  { return side{options: o} }
func (o *Options) out() side { return side{options: o, out: true} }

// tensorList is the name that the list of tensors has in a body of the V2 protocol.
func (s side) tensorList() string {
	if s.out {
		return "outputs"
	}
	return "inputs"
}

// names are those of values that come by position.
func (s side) names() []string {
	if s.out {
		return s.options.Outputs
	}
	return s.options.Inputs
}

// body takes a request or response of a serving protocol apart:
//
//   - V2 (Open Inference Protocol): inputs or outputs, a list of tensors, which may
//     have their data behind the JSON;
//   - V1 (TensorFlow Serving): instances, predictions, and the columnar inputs
//     and outputs;
//   - MLflow: dataframe_split, dataframe_records;
//   - Seldon: data with ndarray, tensor or tftensor, jsonData, strData, binData,
//     customData.
//
// If loose is true it may also be a list of rows, or an object that is one row; then
// strData, say, is a column like any other.
func (s side) body(v Value, loose bool) ([]row, *Failure) {
	if v[0] == '[' && loose {
		return s.list(v)
	}
	if v[0] != '{' {
		return nil, invalid("expected an object, found %s", describe(v))
	}
	all := members(v)
	for _, m := range all {
		inside := present(m.Value)
		switch m.Name {
		case "inputs", "outputs":
			if m.Name != s.tensorList() && find(all, s.tensorList()) != nil {
				continue // a request of the V2 protocol names the outputs it wants
			}
			if isTensors(inside) {
				return s.tensorsJSON(inside)
			}
			return s.list(m.Value)
		case "instances", "predictions", "dataframe_records":
			return s.list(m.Value)
		case "dataframe_split":
			return s.split(members(inside))
		case "data", "jsonData", "strData", "binData", "customData":
			if find(all, "columns") != nil {
				return s.split(all)
			}
			if m.Name != "data" && !loose || m.Name == "data" && len(inside) > 0 && inside[0] == '{' {
				return s.seldon(m)
			}
		}
	}
	if loose {
		return []row{all}, nil
	}
	return nil, invalid("the object holds none of inputs, outputs, instances, predictions, dataframe_split, dataframe_records, data")
}

// list takes rows that stand one after the other, or columns side by side.
func (s side) list(v Value) ([]row, *Failure) {
	switch {
	case len(v) > 0 && v[0] == '{':
		return s.columnar(members(v))
	case len(v) == 0 || v[0] != '[':
		return nil, invalid("expected a list of rows, found %s", describe(v))
	}
	all := elements(v)
	if len(all) > maxRows {
		return nil, tooMany(len(all))
	}
	rows := make([]row, 0, len(all))
	for _, one := range all {
		if one[0] == '{' {
			rows = append(rows, members(one))
			continue
		}
		values := []Value{one}
		if one[0] == '[' {
			values = flatten(one, nil)
		}
		r, fail := s.positional(values)
		if fail != nil {
			return nil, fail
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func tooMany(n int) *Failure {
	return failf(modelwatch.DeadTooLarge, "the record has %d rows, at most %d are read", n, maxRows)
}

// columnar takes columns: an object of lists of one length.
func (s side) columnar(columns []Member) ([]row, *Failure) {
	var rows []row
	for i, c := range columns {
		values := elements(c.Value)
		if values == nil {
			return []row{columns}, nil // one row
		}
		if i == 0 {
			if len(values) > maxRows {
				return nil, tooMany(len(values))
			}
			rows = make([]row, len(values))
		}
		if len(values) != len(rows) {
			return nil, invalid("column %q has %s, the one before it %d", shorten(c.Name), plural(len(values), "value"), len(rows))
		}
		for j, v := range values {
			rows[j] = append(rows[j], Member{c.Name, v})
		}
	}
	return rows, nil
}

// split takes a data frame of columns and data.
func (s side) split(all []Member) ([]row, *Failure) {
	data, columns := find(all, "data"), elements(find(all, "columns"))
	if data == nil || data[0] != '[' || len(columns) == 0 {
		return nil, invalid("a data frame must have columns and data")
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = text(c)
	}
	var rows []row
	list := elements(data)
	if len(list) > maxRows {
		return nil, tooMany(len(list))
	}
	for i, one := range list {
		values := elements(one)
		if len(values) != len(names) {
			return nil, invalid("row %d of the data frame has %s for %s", i, plural(len(values), "value"), plural(len(names), "column"))
		}
		rows = append(rows, zip(names, values))
	}
	return rows, nil
}

func zip(names []string, values []Value) row {
	r := make(row, len(values))
	for i, v := range values {
		r[i] = Member{names[i], v}
	}
	return r
}

// known reports that an output's name says what it is.
func (s side) known(name string) bool {
	switch name {
	case "score", "label", "value", "predicted", "predicted_label", "scores", "-":
		return true
	}
	return strings.HasPrefix(name, "score_") || s.options.part(name) != ""
}

// positional names values that come by position: as configured, else f0, f1 and
// so on where they go in; where they come out a lone one is the prediction, and
// several numbers are scores by the index of their class.
func (s side) positional(values []Value) (row, *Failure) {
	if names := s.names(); len(names) > 0 {
		if len(names) != len(values) {
			return nil, invalid("a row has %s, the configuration names %d", plural(len(values), "value"), len(names))
		}
		return zip(names, values), nil
	}
	if len(values) > maxPositional {
		return row{{s.indexed(0), join(values)}}, nil
	}
	r := make(row, len(values))
	for i, v := range values {
		r[i] = Member{s.indexed(i), v}
	}
	if s.out && len(r) == 1 {
		r[0].Name = "predicted"
	} else if s.out && slices.ContainsFunc(values, func(v Value) bool { return !isNumber(v) && present(v) != nil }) {
		for i := range r {
			r[i].Name = "output_" + strconv.Itoa(i)
		}
	}
	return r, nil
}

func (s side) indexed(i int) string {
	if s.out {
		return "score_" + strconv.Itoa(i)
	}
	return "f" + strconv.Itoa(i)
}

// flatten appends the values of nested lists, in order. It reads them once, however
// deep they are.
func flatten(v Value, into []Value) []Value {
	if len(v) == 0 || v[0] != '[' {
		return append(into, v)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(v))
	for {
		switch d.PeekKind() {
		case '[', ']':
			if _, err := d.ReadToken(); err != nil || d.StackDepth() == 0 {
				return into // the JSON was parsed before: there are no errors
			}
		default:
			element, err := d.ReadValue()
			if err != nil {
				return into
			}
			end := int(d.InputOffset())
			into = append(into, v[end-len(element):end])
		}
	}
}

// join makes a list of values.
func join(values []Value) Value {
	out := Value{'['}
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']')
}
