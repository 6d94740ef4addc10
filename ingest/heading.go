package ingest

import "bytes"

// heading is how the last event began, if it named its kind, its model and its version
// first: most events of a topic begin with the same bytes, so these need not be taken
// apart again.
type heading struct {
	text   []byte // `{"kind":"prediction","model":"fraud",`; empty: none is known
	fields [len(headingFields)]struct{ start, end int }
	last   field
	seen   uint32
}

var headingFields = [...]field{fieldKind, fieldModel, fieldVersion}

// maxHeading bounds what is compared of each event, and between two of its values.
const maxHeading = 256

// recall takes the members of the heading, if the event begins with it, and returns
// which they are. What comes next is another member.
func (e *event) recall() (seen uint32, hint *field) {
	h := &e.heading
	n := len(h.text)
	e.recalled = false
	if n == 0 || len(e.data) <= n || e.data[n] != '"' || string(e.data[:n]) != string(h.text) {
		return 0, &e.order[fieldCount]
	}
	for i, f := range headingFields {
		if at := h.fields[i]; at.end > 0 {
			v := &e.fields[f]
			v.raw, v.text, v.str = e.data[at.start:at.end], e.data[at.start+1:at.end-1], true
		}
	}
	e.pos, e.recalled = n, true
	return h.seen, &e.order[h.last]
}

// learn makes the beginning of an event that was read the heading: as many of its
// members as are text without escapes, and stand there without white space.
func (e *event) learn() {
	h := &e.heading
	*h = heading{text: h.text[:0]}
	e.shape.parts = e.shape.parts[:0]
	if e.data[0] != '{' {
		return
	}
	at := 1
	for found := true; found; {
		found = false
		for i, f := range headingFields {
			key, v := fieldKeys[f], &e.fields[f]
			start := at + len(key)
			end := start + len(v.raw)
			if h.seen&(1<<f) != 0 || !v.str || len(v.text) != len(v.raw)-2 || end+1 >= min(len(e.data), maxHeading) || e.data[end] != ',' ||
				string(e.data[at:start]) != key || !bytes.Equal(e.data[start:end], v.raw) {
				continue
			}
			h.fields[i].start, h.fields[i].end = start, end
			h.last, found = f, true
			h.seen |= 1 << f
			at = end + 1
		}
	}
	if h.seen != 0 {
		h.text = append(h.text, e.data[:at]...)
	}
}
