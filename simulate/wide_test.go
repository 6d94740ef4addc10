package simulate

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestWide(t *testing.T) {
	t.Parallel()
	w := NewWide(WideOptions{Seed: 1, Start: begin})
	ids := map[string]bool{}
	bytesInAll := 0
	values := map[string]map[any]bool{}
	const n = 2000
	for range n {
		e := w.Next()
		var d struct {
			Kind, Model, Version, ID, Time string
			Features                       map[string]any
			Prediction                     map[string]any
			Tags                           map[string]string
		}
		dec := json.NewDecoder(bytes.NewReader(e.Value))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d); err != nil {
			t.Fatalf("%s: %v", e.Value, err)
		}
		if len(d.Features) != 50 || len(d.Prediction) != 2 || d.Model != WideModel || d.Version != WideVersion || d.ID != string(e.Key) || ids[d.ID] {
			t.Fatalf("event is %s", e.Value)
		}
		for name, v := range d.Features {
			if values[name] == nil {
				values[name] = map[any]bool{}
			}
			values[name][v] = true
		}
		ids[d.ID] = true
		bytesInAll += len(e.Value)
	}
	if mean := bytesInAll / n; mean < 1250 || mean > 1400 {
		t.Errorf("an event has %d bytes on average, want about 1.3 KB", mean)
	}
	for name, distinct := range map[string]int{"variable_000": 1900, "variable_001": 1800, "variable_002": 1800, "variable_003": 450, "category_004": 35} {
		if got := len(values[name]); got < distinct {
			t.Errorf("%s has %d distinct values in %d rows, want %d or more", name, got, n, distinct)
		}
	}
	schema := w.Version().Schema
	for name := range values {
		if _, ok := schema.Feature(name); !ok {
			t.Errorf("feature %s is not in the schema", name)
		}
	}
}

func TestWideGoesOn(t *testing.T) {
	t.Parallel()
	o := WideOptions{Seed: 4, Features: 7, Start: begin, EventsPerMinute: 100}
	first := NewWide(o)
	for range 1000 {
		first.Next()
	}
	second := NewWide(o)
	second.MoveTo(first.Position())
	for range 10 {
		if a, b := first.Next(), second.Next(); !sameEvent(a, b) {
			t.Fatalf("%s and %s", a.Value, b.Value)
		}
	}
	if at := second.Next().Time; at.Before(begin.Add(10*60e9)) || at.After(begin.Add(11*60e9)) {
		t.Errorf("event 1010 at 100 a minute is at %s", at)
	}
}
