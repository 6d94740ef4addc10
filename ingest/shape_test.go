package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// said is all that an event says.
func (e *event) said() string {
	var b strings.Builder
	for i, c := range e.layout.columns {
		if e.named.has(int32(i)) {
			fmt.Fprintf(&b, "%s named ", c.name)
		}
		if !e.set.has(int32(i)) {
			continue
		}
		fmt.Fprintf(&b, "%s=%d %q ", c.name, e.words[i], e.texts[i])
	}
	fmt.Fprintf(&b, "%v %v %v %s %s %v", e.fields, e.predicted, e.vectors, e.appendExtra(nil), e.appendInvalid(nil), e.growths)
	fmt.Fprint(&b, e.invalidValues, e.outOfRange, e.unknownFields, e.truncated, e.dropped, e.sifted, e.layout.labels)
	return b.String()
}

// TestShape: what an event says does not depend on the shape of those before it.
func TestShape(t *testing.T) {
	t.Parallel()
	const head = `{"kind":"prediction","model":"fraud","version":"3",`
	const label = `{"kind":"label","model":"fraud","version":"3",`
	events := []string{
		prediction,
		strings.Replace(prediction, "req-1", "req-2 \\u00e9", 1),
		strings.Replace(prediction, `"req-1"`, `17`, 1),
		strings.Replace(prediction, `"req-1"`, `null`, 1),
		strings.Replace(prediction, "12.5", "1e400", 1),
		strings.Replace(prediction, "12.5", "12.5,\"amount\":1", 1),
		strings.Replace(prediction, `"DE"`, `{"a":[1,2]}`, 1),
		strings.Replace(prediction, `{"amount":12.5,"country":"DE"}`, `{}`, 1),
		strings.Replace(prediction, `{"amount":12.5,"country":"DE"}`, `null`, 1),
		strings.Replace(prediction, `{"amount":12.5,"country":"DE"}`, `[1]`, 1),
		strings.Replace(prediction, `"score":0.93`, `"score":{"x":1}`, 1),
		strings.Replace(prediction, `"score":0.93`, `"score":0.9.3`, 1),
		strings.Replace(prediction, `"score":0.93,`, `"score":0.93,"scores":{"fraud":0.93,"ok":0.07},`, 1),
		strings.Replace(prediction, `"score":0.93,`, `"score":0.93,"margin":0.5,`, 1),
		strings.Replace(prediction, `"score":0.93,`, `"score":0.93, `, 1),
		strings.Replace(prediction, `{"score":0.93,"label":"fraud"}`, `{}`, 1),
		strings.Replace(prediction, `{"score":0.93,"label":"fraud"}`, `null`, 1),
		strings.Replace(prediction, `{"score":0.93,"label":"fraud"}`, `[1]`, 1),
		strings.Replace(prediction, `,"prediction":`, `,"x":"y","prediction":`, 1),
		strings.Replace(prediction, `"tags":{"region":"eu"}`, `"tags":{"region":"eu"},"time":1`, 1),
		prediction + "\n", prediction + " x", prediction[:len(prediction)-1], prediction[:len(prediction)-30],
		head + `"id":"2"}`, head + `"id":"3","time":"2026-11-21T10:00:00Z"}`, head + `"features":{"amount":1},"id":"4"}`,
		label + `"id":"5","label":"fraud"}`, label + `"id":"6","label":"fraud","features":{"amount":1}}`, label + `"id":"7","label":true}`,
	}
	versions := setupDecoder(t, fraud()).decoder.versions
	l := mustLoad(t, versions, "fraud", "3")
	kept := 0
	for _, choose := range []layouts{nil, known{versions}, alwaysAway{versions}} {
		for _, before := range events {
			for _, text := range events {
				var fresh, used event
				for range 4 {
					used.parse([]byte(before), l.rows, choose)
				}
				first := len(used.shape.parts)
				for range 2 { // the second time, perhaps, behind one of another shape
					got, want := used.parse([]byte(text), l.rows, choose), fresh.parse([]byte(text), l.rows, choose)
					if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
						t.Fatalf("%s after %s: got %+v, want %+v", text, before, got, want)
					}
					if got, want := used.said(), fresh.said(); want != got {
						t.Fatalf("%s after %s:\ngot  %s\nwant %s", text, before, got, want)
					}
				}
				if first > 0 && len(used.marks) == 0 && used.recalled {
					kept++
				}
			}
		}
	}
	if kept < 3*len(events) {
		t.Errorf("%d events had the shape of those before them: it is not looked for", kept)
	}
	var e event
	for range 4 {
		e.parse([]byte(prediction), l.rows, nil)
	}
	if texts := shapeTexts(&e); !slices.Equal(texts, []string{`"id":`, `,"time":`, `,"features":`, `,"prediction":{"score":`, `,"label":`, `},"attributions":`, `,"tags":`, `}`}) {
		t.Errorf("the shape is %q", texts)
	}
	var spaced event
	for range 4 {
		spaced.parse([]byte(strings.Replace(prediction, `,"prediction":`, `,"prediction":`+strings.Repeat(" ", maxHeading), 1)), l.rows, nil)
	}
	if texts := shapeTexts(&spaced); len(texts) > 0 {
		t.Errorf("the shape has %d spaces: %q", maxHeading, texts)
	}
	var want event
	e.parse([]byte(prediction), l.labels, nil)
	want.parse([]byte(prediction), l.labels, nil)
	if got, want := e.said(), want.said(); got != want {
		t.Errorf("as a label: got %s, want %s", got, want)
	}
}

// TestShapeOfGuess: an event that was read under a guess leaves no shape that hides a
// member from the right layout.
func TestShapeOfGuess(t *testing.T) {
	t.Parallel()
	const head, tail = `{"kind":"label","model":"m","version":"3","id":"1","time":"`, `","label":"a","prediction":{}}`
	b := setupDecoder(t)
	for range 3 {
		if b.send(head+"x"+tail) == nil { // so the version is not known yet
			t.Fatal("the time is none, and was taken")
		}
	}
	for i := range 3 {
		b.mustSend(head + "2026-11-21T10:00:00Z" + tail)
		if got := string(b.decoder.appendExtra(nil)); got != `{"prediction":{}}` || b.decoder.unknownFields != 1 {
			t.Errorf("event %d: %d unknown members, %s", i, b.decoder.unknownFields, got)
		}
	}
}

func shapeTexts(e *event) (texts []string) {
	for _, p := range e.shape.parts {
		texts = append(texts, p.text)
	}
	return texts
}

// known chooses layouts, and samples nothing away.
type known struct{ *versions }

func (known) sampledAway(*event) bool { return false }

// TestShapePause: where events differ behind what was read already, few are read twice.
func TestShapePause(t *testing.T) {
	t.Parallel()
	l := mustLoad(t, setupDecoder(t, fraud()).decoder.versions, "fraud", "3").rows
	other := strings.Replace(prediction, `,"tags":{"region":"eu"}`, "", 1)
	var e event
	learnt := 0
	for i := range 10 * shapePause {
		before := shapeTexts(&e)
		if fail := e.parse([]byte([]string{prediction, other}[i%2]), l, nil); fail != nil {
			t.Fatal(fail)
		}
		if len(e.shape.parts) > 0 && !slices.Equal(shapeTexts(&e), before) {
			learnt++
		}
	}
	if learnt == 0 || learnt > 11 {
		t.Errorf("a shape was learnt %d times in %d events", learnt, 10*shapePause)
	}
}
