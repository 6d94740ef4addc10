package api

import (
	"bytes"
	"testing"
)

// What is accepted is one object per event, unchanged but for its kind, and
// cannot smuggle a second line into the topic.
func FuzzSplitEvents(f *testing.F) {
	f.Add([]byte(`{"id":"1"}`), true, true)
	f.Add([]byte("{}\n\n{\"kind\":\"label\"}\r\n7"), true, false)
	f.Add([]byte("{\"a\":\n1}"), false, true)
	f.Add([]byte("{\"kind\":null}"), false, true)
	f.Fuzz(func(t *testing.T, body []byte, lines, labels bool) {
		kind := ""
		if labels {
			kind = "label"
		}
		events, err := splitEvents(body, lines, kind)
		if err != nil {
			return
		}
		if len(events) == 0 || !lines && len(events) != 1 {
			t.Fatalf("%d events of %q", len(events), body)
		}
		for _, e := range events {
			again, err := checkEvent(e, kind)
			if err != nil || !bytes.Equal(again, e) {
				t.Fatalf("event %q is %q, %v, when looked at again", e, again, err)
			}
			if lines && bytes.ContainsRune(e, '\n') {
				t.Fatalf("event %q has several lines", e)
			}
		}
	})
}
