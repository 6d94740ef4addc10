package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

var errTrailing = errors.New("text behind the event")

// failure says why a record cannot be placed.
type failure struct {
	reason modelwatch.DeadLetterReason
	detail string
}

func failf(reason modelwatch.DeadLetterReason, format string, args ...any) *failure {
	return &failure{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// explain finds out with jsontext why a record is not an event.
func (e *event) explain() *failure {
	err := e.valid()
	if err == nil {
		if first := bytes.TrimLeft(e.data, " \t\r\n"); first[0] != '{' {
			return failf(modelwatch.DeadNotObject, "expected a JSON object, found %s", describe(first))
		}
		return failf(modelwatch.DeadInvalidJSON, "the event cannot be read at byte %d", e.pos)
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return failf(modelwatch.DeadInvalidJSON, "the text ends inside the event, after %d bytes", len(e.data))
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return failf(modelwatch.DeadDuplicateKey, "the name %q occurs twice, at %q", shorten(syntax.JSONPointer.LastToken()), shorten(string(syntax.JSONPointer)))
	}
	detail := fmt.Sprintf("not JSON at byte %d: %s", syntax.ByteOffset, strings.TrimPrefix(shorten(err.Error()), "jsontext: "))
	if rest := e.data[min(int(syntax.ByteOffset), len(e.data)):]; notANumber(rest) {
		detail += "; JSON has no NaN or Infinity: send null"
	}
	return &failure{reason: modelwatch.DeadInvalidJSON, detail: detail}
}

func notANumber(rest []byte) bool {
	rest = bytes.TrimPrefix(rest, []byte("-"))
	return bytes.HasPrefix(rest, []byte("NaN")) || bytes.HasPrefix(rest, []byte("Inf"))
}

// describe names the type of a JSON text.
func describe(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
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

// plural is "1 byte", "2 bytes".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func quoteText(s string) string { return strconv.Quote(s) }
