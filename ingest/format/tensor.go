package format

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/modelwatch/modelwatch"
)

// tensor is one named input or output of the V2 protocol. Its first dimension
// counts the rows.
type tensor struct {
	name   string
	shape  []int64
	values []Value // in row-major order
}

func isTensors(v Value) bool {
	all := elements(v)
	return len(all) > 0 && find(members(all[0]), "name") != nil && find(members(all[0]), "shape") != nil
}

// jsonTensor reads a tensor of JSON; what is not a number in its shape makes it
// invalid.
func jsonTensor(all []Member, shape, data string) tensor {
	t := tensor{name: text(find(all, "name")), values: flatten(find(all, data), nil)}
	if len(t.values) == 1 && t.values[0] == nil {
		t.values = nil
	}
	for _, d := range elements(find(all, shape)) {
		n, err := strconv.ParseInt(string(d), 10, 64)
		if err != nil {
			n = -1
		}
		t.shape = append(t.shape, n)
	}
	return t
}

// failed says of which tensor a failure is; nil if there is none.
func (t *tensor) failed(fail *Failure) *Failure {
	if fail != nil {
		fail.Detail = fmt.Sprintf("tensor %q: %s", shorten(t.name), fail.Detail)
	}
	return fail
}

// rows and width are the sizes of the first dimension and of all others together.
func (t *tensor) rows() int {
	if len(t.shape) == 0 {
		return 1
	}
	return int(t.shape[0])
}

func (t *tensor) width() int {
	width := 1
	for _, d := range t.shape[min(1, len(t.shape)):] {
		width *= int(d)
	}
	return width
}

// check makes sure that the values fill the shape.
func (t *tensor) check() *Failure {
	size := int64(1)
	for _, d := range t.shape {
		if d < 0 || d > 1<<31 || size > 1<<31 {
			return invalid("tensor %q has shape %v", shorten(t.name), t.shape[:min(len(t.shape), 8)])
		}
		size *= d
	}
	if size != int64(len(t.values)) {
		return invalid("tensor %q has %s for shape %v", shorten(t.name), plural(len(t.values), "value"), t.shape[:min(len(t.shape), 8)])
	}
	return nil
}

func (s side) tensorsJSON(v Value) ([]row, *Failure) {
	var all []tensor
	behind := s.behind
	for _, one := range elements(v) {
		t, left, fail := binaryTensor(members(one), behind)
		if fail != nil {
			return nil, fail
		}
		all, behind = append(all, t), left
	}
	return s.tensors(all)
}

// tensors makes rows of tensors. With names configured, the values of a row are
// named in the order of the tensors. Else a tensor with one value a row is a column
// under its name, a lone tensor with several spreads into columns by position, and
// a further one is a vector.
func (s side) tensors(all []tensor) ([]row, *Failure) {
	empty := 0 // tensors of no values, which cost a sender nothing, whatever the number of rows
	for i := range all {
		if fail := all[i].check(); fail != nil {
			return nil, fail
		}
		if n := all[0].rows(); all[i].rows() != n {
			return nil, invalid("tensor %q has %s, the first has %d", shorten(all[i].name), plural(all[i].rows(), "row"), n)
		}
		if len(all[i].values) == 0 {
			empty++
		}
	}
	if len(all) == 0 || all[0].rows() == 0 {
		return []row{}, nil
	}
	n := all[0].rows()
	if n > maxRows {
		return nil, tooMany(n)
	}
	if n*empty > maxRows {
		return nil, failf(modelwatch.DeadTooLarge, "%s of %s have no values; at most %d such cells are placed", plural(empty, "tensor"), plural(n, "row"), maxRows)
	}
	rows := make([]row, n)
	for i := range rows {
		r, fail := s.tensorRow(all, i)
		if fail != nil {
			return nil, fail
		}
		rows[i] = r
	}
	return rows, nil
}

func (s side) tensorRow(all []tensor, i int) (row, *Failure) {
	if len(s.names()) > 0 {
		var values []Value
		for j := range all {
			values = append(values, all[j].row(i)...)
		}
		return s.positional(values)
	}
	var r row
	for j := range all {
		values := all[j].row(i)
		name := s.tensorName(&all[j], len(all) == 1)
		switch {
		case len(values) == 1:
			r = append(r, Member{name, values[0]})
		case name == "scores":
			r = append(r, Member{name, join(values)})
		case len(all) == 1:
			return s.positional(values)
		default:
			r = append(r, Member{name, join(values)})
		}
	}
	return r, nil
}

func (t *tensor) row(i int) []Value { return t.values[i*t.width() : (i+1)*t.width()] }

// tensorName is the name of a tensor's column. Serving runtimes call outputs as
// scikit-learn calls its methods.
func (s side) tensorName(t *tensor, alone bool) string {
	if !s.out || s.known(t.name) {
		return t.name
	}
	wide := t.width() > 1
	switch {
	case wide && slices.Contains([]string{"predict_proba", "probabilities", "probability", "proba"}, t.name):
		return "scores"
	case !wide && (alone || t.name == "predict" || t.name == "prediction"):
		return "predicted"
	}
	return t.name
}
