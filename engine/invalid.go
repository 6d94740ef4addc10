package engine

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch/table"
)

// tally is what the _invalid column says about one column of a table.
type tally struct{ invalid, outOfRange int64 }

// countInvalid adds the rows from (inclusive) to (exclusive) of an _invalid
// column: JSON objects of the values as they came, by column. A number among
// them had the right type and lay outside of the declared range. Text that is no
// such object is passed over: a foreign column may have the name.
func countInvalid(tallies map[string]tally, col *table.Column, from, to int) {
	if col == nil || col.Index == nil {
		return
	}
	for i := from; i < to; i++ {
		text := col.Text(i)
		if text == "" {
			continue
		}
		dec := jsontext.NewDecoder(strings.NewReader(text))
		if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
			continue
		}
		for dec.PeekKind() == '"' {
			name, err := dec.ReadToken()
			if err != nil {
				break
			}
			column := name.String()
			value, err := dec.ReadValue()
			if err != nil {
				break
			}
			t := tallies[column]
			t.invalid++
			if value.Kind() == '0' {
				t.outOfRange++
			}
			tallies[column] = t
		}
	}
}
