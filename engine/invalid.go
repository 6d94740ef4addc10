package engine

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// tally is how many values of a column the "_invalid" column names, and how many
// of them were numbers outside of the declared range.
type tally struct {
	invalid, outside int64
}

// tallies counts "_invalid" objects for the columns of a set.
type tallies struct {
	columns []modelwatch.Column
	place   map[string]int
	dec     jsontext.Decoder
	text    strings.Reader
	name    []byte
}

func newTallies(columns []modelwatch.Column) *tallies {
	t := &tallies{columns: columns, place: make(map[string]int, len(columns))}
	for i, c := range columns {
		if c.View == modelwatch.ViewValue {
			t.place[c.Column] = i
		}
	}
	return t
}

// add counts the members of one object.
func (t *tallies) add(object string, to []tally) bool {
	return t.each(object, func(column int, outside bool) {
		to[column].invalid++
		if outside {
			to[column].outside++
		}
	})
}

// each calls f for the members of one object that are columns:
// {"amount":"abc","age":150}. It returns false for a text that is no JSON object,
// which a file of others may hold.
func (t *tallies) each(object string, f func(column int, outside bool)) bool {
	t.text.Reset(object)
	t.dec.Reset(&t.text)
	if k := t.dec.PeekKind(); k != '{' {
		return false
	}
	if _, err := t.dec.ReadToken(); err != nil {
		return false
	}
	for t.dec.PeekKind() != '}' {
		name, err := t.dec.ReadValue()
		if err != nil {
			return false
		}
		if t.name, err = jsontext.AppendUnquote(t.name[:0], name); err != nil {
			return false
		}
		i, known := t.place[string(t.name)]
		raw, err := t.dec.ReadValue()
		if err != nil {
			return false
		}
		if known {
			f(i, raw.Kind() == '0' && t.outside(&t.columns[i], raw))
		}
	}
	return true
}

// outside reports whether a value that was refused is a finite number of a number
// column: then it was refused for the range that was declared when it was read.
func (t *tallies) outside(c *modelwatch.Column, raw jsontext.Value) bool {
	v, err := strconv.ParseFloat(string(raw), 64)
	return c.Type == modelwatch.TypeNumber && err == nil && !math.IsInf(v, 0)
}

// scan counts the "_invalid" column of a whole table.
func (t *tallies) scan(ctx context.Context, r Source) ([]tally, error) {
	out := make([]tally, len(t.columns))
	err := eachInvalid(ctx, r, func(_ int, object string) { t.add(object, out) })
	return out, err
}

// eachInvalid calls f for each row that has an "_invalid" object.
func eachInvalid(ctx context.Context, r Source, f func(row int, object string)) error {
	info, ok := r.Column(modelwatch.ColumnInvalid)
	if !ok || !isText(info.Type) {
		return nil
	}
	row := 0
	return r.ScanColumn(ctx, modelwatch.ColumnInvalid, func(rows int, c *table.Column) error {
		for i := range rows {
			if !c.Missing(i) {
				f(row+i, c.Text(i))
			}
		}
		row += rows
		return nil
	})
}

func setColumns(s *profile.Set) []modelwatch.Column {
	columns := make([]modelwatch.Column, len(s.Columns))
	for i, c := range s.Columns {
		columns[i] = c.Column
	}
	return columns
}
