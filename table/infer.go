package table

import (
	"strings"

	"github.com/modelwatch/modelwatch"
)

// inference is what a column's values, all of them, allow it to be.
type inference struct {
	values   bool // something that is not missing was seen
	scalar   bool // ... and is not a nested JSON value
	notNum   bool
	notBool  bool
	notTime  bool
	notArray bool // of numbers

	numbers   int64 // how many values are numbers, in the columns that are none too
	firstText int64 // the row of the first value that is no number
}

// Mixed is a column of inferred type that is a category although many of its
// values are numbers: one word among them makes it so.
type Mixed struct {
	Name      string
	Numbers   int64 // values that are numbers
	FirstText int64 // the row of the first value that is none, from 1 on; of JSON lines, its line
}

// at notes the row of the first value that is no number.
func (n *inference) at(row int64) {
	if n.notNum && n.firstText == 0 {
		n.firstText = row
	}
}

// mixed reports whether a category of inferred type has numbers among its values.
func (n *inference) mixed(name string, t modelwatch.FeatureType) (Mixed, bool) {
	return Mixed{Name: name, Numbers: n.numbers, FirstText: n.firstText}, t == modelwatch.TypeCategory && n.numbers > 0
}

// text takes in a value of a CSV file.
func (n *inference) text(s string) {
	if n.notNum && n.notBool && n.notTime {
		if s != "" && s[0] <= '9' && numberSyntax(strings.TrimSpace(s)) { // letters, most of what comes, are above
			n.numbers++
		}
		return // a category, whatever comes
	}
	if s = strings.TrimSpace(s); missingText(s) {
		return
	}
	n.values, n.scalar, n.notArray = true, true, true
	if numberSyntax(s) || infiniteText(s) {
		n.numbers++
	} else {
		n.notNum = true
	}
	if !n.notBool && !boolSyntax(s) {
		n.notBool = true
	}
	if !n.notTime {
		_, ok := parseTime(s)
		n.notTime = !ok
	}
}

// json takes in a value of a JSON line. A string is never a number: a producer
// that quotes its numbers declares text.
func (n *inference) json(v jsonValue) {
	switch v.kind {
	case 'n':
		return
	case '"':
		if s := strings.TrimSpace(v.text); !missingText(s) {
			numbers := n.numbers
			n.values, n.scalar, n.notArray, n.notNum = true, true, true, true
			n.text(s)
			n.numbers = numbers
		}
		return
	case '[':
		n.values, n.notNum, n.notBool, n.notTime = true, true, true, true
		n.notArray = n.notArray || !v.numbers
		return
	case '{':
		n.values, n.notNum, n.notBool, n.notTime, n.notArray = true, true, true, true, true
		return
	}
	n.values, n.scalar, n.notArray, n.notTime = true, true, true, true
	n.notNum = n.notNum || v.kind != '0'
	n.notBool = n.notBool || v.kind == '0'
	if v.kind == '0' {
		n.numbers++
	}
}

// result is the narrowest type that holds every value. A column without any is
// a category, which no later value contradicts. It reports false for a column
// of nested values alone.
func (n *inference) result() (modelwatch.FeatureType, bool) {
	switch {
	case !n.values:
		return modelwatch.TypeCategory, true
	case !n.notArray && !n.scalar:
		return modelwatch.TypeVector, true
	case !n.scalar:
		return "", false
	case !n.notNum:
		return modelwatch.TypeNumber, true
	case !n.notBool:
		return modelwatch.TypeBoolean, true
	case !n.notTime:
		return modelwatch.TypeTimestamp, true
	}
	return modelwatch.TypeCategory, true
}
