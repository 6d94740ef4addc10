package ingest

import (
	"reflect"
	"testing"
)

// TestHeading: what an event says does not depend on how the one before it began.
func TestHeading(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	l := mustLoad(t, b.decoder.versions, "fraud", "3").rows
	head := `{"kind":"prediction","model":"fraud","version":"3",`
	events := []string{
		prediction, head + `"id":"2","time":1}`, head + `"id":"3"}`, head + ` "id":"4"}`, head + `}`, head, head + `"kind":"label"}`, head + `"x":1,"x":2}`,
		`{"kind":"prediction","model":"fraud","version":"3"}`, `{"kind":"prediction","model":"fraud","version":"31","id":"5"}`, `{"kind":"label","model":"fraud","version":"3","id":"6","label":"x"}`,
		`{"model":"fraud","kind":"prediction","id":"7"}`, `{"model":"fr\u0061ud","kind":"prediction","id":"8"}`, `{"kind":"prediction","model":"fr\u0061ud","id":"9"}`,
		`{"kind":"prediction","id":"10","model":"fraud"}`, `{ "kind":"prediction","model":"fraud","id":"11"}`, ` {"kind":"prediction","model":"fraud","id":"12"}`,
		`{"kind":"prediction","version":3,"id":"13"}`, `{"kind":"prediction","version":null,"id":"14"}`, `{"x":1,"kind":"prediction","id":"15"}`, `{"kind":"prediction","kind":"prediction","id":"16"}`,
		"{\"kind\":\"prediction\",\"model\":\"a\xff\",\"id\":\"17\"}", `{"kind":"prediction","model":"","id":"18"}`, `{"kind":"","model":"","version":"","id":"19"}`, `{}`, `[]`, `"`,
	}
	for _, before := range events {
		for _, text := range events {
			var fresh, used event
			used.parse([]byte(before), l, nil)
			got, want := used.parse([]byte(text), l, nil), fresh.parse([]byte(text), l, nil)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s after %s: got %+v, want %+v", text, before, got, want)
			}
			if want == nil && !reflect.DeepEqual(used.fields, fresh.fields) {
				t.Errorf("%s after %s: got %v, want %v", text, before, used.fields, fresh.fields)
			}
		}
	}
	var e event
	e.parse([]byte(prediction), l, nil)
	if e.parse([]byte(prediction), l, nil); !e.recalled || string(e.heading.text) != head {
		t.Errorf("the heading is %q, recalled %v", e.heading.text, e.recalled)
	}
}
