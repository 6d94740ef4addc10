package format_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch/ingest/format"
)

// TestAmplification: what costs a sender nothing, such as tensors without values, a
// value that is repeated, and lists of requests, does not become more rows and values
// than a record may have.
func TestAmplification(t *testing.T) {
	const empty = `{"name":"x","shape":[50000,0],"datatype":"FP32","data":[]}`
	event := func(body string) string {
		return `{"specversion":"1.0","type":"a.request","id":"r","data":` + body + `}`
	}
	many := func(one string) string { return "[" + one + strings.Repeat(","+one, 9999) + "]" }
	lines, err := json.Marshal(strings.Repeat(`{"inputs":[`+empty+"]}\n", 10_000))
	if err != nil {
		t.Fatal(err)
	}
	captured := `{"captureData":{"endpointInput":{"encoding":"JSON","data":` + string(lines) + `}},"eventMetadata":{"eventId":"e","inferenceTime":"2026-11-21T10:00:00Z"}}`
	repeated := `{"data":{"tftensor":{"dtype":1,"tensorShape":{"dim":[{"size":50000},{"size":1}]},"floatVal":[1]}}}`
	const rows = "! too_large: the record has 100000 rows, at most 50000 are read\n"
	for _, tt := range []struct{ name, format, value, want string }{
		{"tensors", "kserve", event(`{"inputs":` + many(empty) + `}`), "! too_large: 10000 tensors of 50000 rows have no values; at most 50000 such cells are placed\n"},
		{"a batch of tensors", "kserve", many(event(`{"inputs":[` + empty + `]}`)), rows},
		{"a batch of repeated values", "kserve", many(event(repeated)), rows},
		{"lines of tensors", "sagemaker", captured, rows},
	} {
		f, err := format.New(tt.format, format.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, f, &format.Record{Value: []byte(tt.value), Time: received}); got != tt.want {
			t.Errorf("%s: got %.200s, want %s", tt.name, got, tt.want)
		}
	}
}
