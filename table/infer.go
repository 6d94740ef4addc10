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
}

// text takes in a value of a CSV file.
func (n *inference) text(s string) {
	if n.notNum && n.notBool && n.notTime {
		return // a category, whatever comes
	}
	if s = strings.TrimSpace(s); missingText(s) {
		return
	}
	n.values, n.scalar, n.notArray = true, true, true
	if !n.notNum && !numberSyntax(s) && !infiniteText(s) {
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
			n.values, n.scalar, n.notArray, n.notNum = true, true, true, true
			n.text(s)
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
