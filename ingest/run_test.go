package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

// behind is what makes any value of a record one that a run may take.
var behind = strings.Repeat(" ", windowRest+1)

// checkRuns compares the verdict on a record that no run reaches the end of with the one
// on a record that is read by runs throughout, and what is taken of both with what
// encoding/json reads.
func checkRuns(t *testing.T, l *layout, data []byte) {
	t.Helper()
	var e event
	padded := slices.Concat(data, []byte(behind))
	var verdicts [4]string
	for i, record := range [][]byte{padded, data, data, padded} { // the order of members is another, then known
		if fail := e.parse(record, l, nil); fail != nil {
			verdicts[i] = string(fail.reason)
		} else {
			checkValues(t, &e, record)
		}
		if verdicts[i] != verdicts[0] {
			t.Fatalf("%q: %q, with more behind it %q", data, verdicts[i], verdicts[0])
		}
	}
}

// checkValues compares the features of an event with what encoding/json reads.
func checkValues(t *testing.T, e *event, data []byte) {
	t.Helper()
	var object, features map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	if json.Unmarshal(object["features"], &features) != nil {
		return // something else
	}
	for name, raw := range features {
		i, known := e.layout.sections[sectionFeatures].index[name]
		var want any
		if err := json.Unmarshal(raw, &want); !known || err != nil {
			continue // too large for a float64
		}
		if !e.named.has(i) {
			t.Fatalf("%q: %s did not come", data, name)
		}
		if got, ok := e.cellOf(i), fits(&e.layout.columns[i], want); ok && got != want || !ok && got != nil {
			t.Fatalf("%q: %s is %v, want %v (%v)", data, name, got, want, ok)
		}
	}
}

// fits reports that a value is one of the column's type, written as encoding/json reads it.
func fits(c *column, v any) bool {
	switch v := v.(type) {
	case float64:
		return c.typ == cellNumber && v >= c.min && v <= c.max
	case string:
		return (c.typ == cellCategory || c.typ == cellText) && len(v) <= maxCategoryBytes
	case bool:
		return c.typ == cellBoolean
	}
	return false
}

// cellOf returns what the event has for a column of these types; nil for others, and for
// numbers and booleans that are texts.
func (e *event) cellOf(i int32) any {
	switch typ := e.layout.columns[i].typ; {
	case !e.set.has(i):
	case typ == cellNumber:
		return math.Float64frombits(e.words[i])
	case typ == cellBoolean:
		return e.words[i] == 1
	case typ == cellCategory || typ == cellText:
		if text := string(e.texts[i]); text != "true" && text != "false" && !json.Valid([]byte(text)) {
			return text
		}
	}
	return nil
}

// TestRuns reads objects of usual and of unusual members by runs.
func TestRuns(t *testing.T) {
	t.Parallel()
	names := []string{"amount", "age", "country", "note", "vip", "a_long_name_of_a_number", "b_long_name_of_a_number", "a_name_that_is_too_long_for_a_run_of_members"}
	v := fraud()
	for _, name := range names[5:] {
		v.Schema.Features = append(v.Schema.Features, modelwatch.Feature{Name: name, Type: modelwatch.TypeNumber})
	}
	l := mustLoad(t, setupDecoder(t, v).decoder.versions, "fraud", "3").rows
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,18}|00|01)?(\.[0-9]{0,20})?([eE][0-9])?-?`)
	text := rapid.StringMatching(`"[a-zA-Z .,:{}\x{7f}-]{0,40}(\\n|\\|é|\x01|"|)[a-z]{0,3}"`)
	value := rapid.OneOf(number, text, rapid.SampledFrom([]string{"null", "true", "false", "nul", "tru", "falsy", "12,34", "[1]", "{}", `""`, "1 ", ""}))
	space := rapid.SampledFrom([]string{"", "", "", "", "", " ", "  ", "\n"})
	rapid.Check(t, func(r *rapid.T) {
		var b strings.Builder
		b.WriteString(`{"kind":"prediction","features":{`)
		for k := range rapid.IntRange(1, 5).Draw(r, "members") {
			if k > 0 {
				b.WriteString("," + space.Draw(r, "space"))
			}
			fmt.Fprintf(&b, "%q:%s%s%s", rapid.SampledFrom(names).Draw(r, "name"), space.Draw(r, "space"), value.Draw(r, "value"), space.Draw(r, "space"))
		}
		b.WriteString("}}")
		checkRuns(t, l, []byte(b.String()))
		checkVerdict(t, []byte(b.String()+behind), new(event).parse([]byte(b.String()+behind), l, nil))
		checkSifted(t, []byte(b.String()+behind))
	})
}

// TestRunReads: what is usual is read by runs where there are any, to the end of the
// object.
func TestRunReads(t *testing.T) {
	t.Parallel()
	if !hasRun {
		t.Skip("no runs on this processor")
	}
	l := mustLoad(t, setupDecoder(t, fraud()).decoder.versions, "fraud", "3").rows
	for _, features := range []string{
		`"age":41,"amount":-12.5,"country":"DE","note":"just thirty-one bytes of text..","vip":true`,
		`"vip":false, "note": null, "country": "", "amount": 0.12345678901234567890123456789, "age": 0.5`,
	} {
		data := []byte(`{"kind":"prediction","features":{` + features + `}}` + behind)
		for _, sifted := range []bool{false, true} {
			var e event
			if fail := e.parse(data, l, nil); fail != nil {
				t.Fatal(fail)
			}
			want := strings.Clone(fmt.Sprint(e.named))
			e.begin(data, l)
			e.pos, e.sifted = strings.Index(string(data), `{"age`)+1, sifted
			if e.pos == 0 {
				e.pos = strings.Index(string(data), `{"vip`) + 1
			}
			if _, done := e.run(&l.sections[sectionFeatures].first); !done || fmt.Sprint(e.named) != want {
				t.Errorf("%s, sifted %v: read to %q, columns %v of %v", features, sifted, data[e.pos:], e.named, want)
			}
		}
	}
}
