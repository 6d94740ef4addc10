package ingest

// shape is what stands between the values of the last event, behind its heading: most
// events of a topic differ in their values alone, so names and punctuation need not be
// taken apart again. An event of another shape is read from its beginning, as if there
// were none.
type shape struct {
	parts []part // none: no shape is known
	pause int    // for how many events more none is learnt
}

// part is a value and the text that comes before it, `,"time":`.
type part struct {
	text string
	role role
}

// role is what a value of the event or of its prediction is; sections are values, too.
// The first are the fields that have a value.
type role uint8

const (
	rolePredicted = role(fieldCount)                 // and the two behind it, as in event.predicted
	roleSection   = rolePredicted + 3                // and those behind it, by sectionID
	roleEnd       = roleSection + role(sectionCount) // no value: the end of the event
	shapePause    = 64                               // after an event of another shape
)

// mark is where a value is.
type mark struct {
	role       role
	start, end int
}

// mark notes the value that begins at start and ends here.
func (e *event) mark(r role, start int) { e.marks = append(e.marks, mark{r, start, e.pos}) }

// learnShape makes what stands between the marks the shape, unless something stands
// there that is more than names and punctuation, or very much of it.
func (e *event) learnShape() {
	if e.shape.pause > 0 {
		e.shape.pause--
		return
	}
	if e.shapeless || e.heading.seen&(1<<fieldKind) == 0 {
		return
	}
	at := len(e.heading.text)
	for _, m := range append(e.marks, mark{roleEnd, len(e.data), len(e.data)}) {
		if m.end <= at && m.role != roleEnd {
			continue // of the heading
		}
		if m.start-at > maxHeading {
			e.shape.parts = e.shape.parts[:0]
			return
		}
		e.shape.parts = append(e.shape.parts, part{string(e.data[at:m.start]), m.role})
		at = m.end
	}
}

// keepsShape reads what is behind the heading, if it has the shape; else it begins the
// event anew.
func (e *event) keepsShape(choose layouts) bool {
	if len(e.shape.parts) == 0 {
		return false
	}
	for i := range e.shape.parts {
		p := &e.shape.parts[i]
		if len(e.data)-e.pos < len(p.text) || string(e.data[e.pos:e.pos+len(p.text)]) != p.text || !e.play(p, choose) {
			e.shape.parts = e.shape.parts[:0]
			e.shape.pause = shapePause
			e.begin(e.data, e.layout)
			return false
		}
	}
	return true
}

// play reads the value of a part, behind its text.
func (e *event) play(p *part, choose layouts) bool {
	e.pos += len(p.text)
	switch {
	case p.role < rolePredicted:
		return e.value(&e.fields[p.role])
	case p.role == roleEnd:
		return true
	}
	e.settle(choose)
	switch {
	case e.layout.labels:
		return false
	case p.role < roleSection:
		return e.value(&e.predicted[p.role-rolePredicted])
	case e.pos >= len(e.data) || e.data[e.pos] != '{':
		return false
	}
	id := sectionID(p.role - roleSection)
	return e.section(id, sectionExtras[id], nil)
}
