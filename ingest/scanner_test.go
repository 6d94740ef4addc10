package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// TestScannerNumber compares with strconv on all shapes of numbers, at the end of an
// event and far from it, where more bytes are read at once.
func TestScannerNumber(t *testing.T) {
	t.Parallel()
	checkBetween := func(t interface{ Errorf(string, ...any) }, before, text, behind string) {
		var s scanner
		s.reset([]byte(before + text + behind))
		s.pos = len(before)
		f, raw, ok := s.number()
		if end := skipNumber(s.data, len(before)); end != 0 && end != len(before)+len(raw) || (end != 0) != ok {
			t.Errorf("%s: skipped to %d, read %q", text, end, raw)
		}
		want, err := strconv.ParseFloat(text, 64)
		if !json.Valid([]byte(text)) {
			if ok && len(raw) == len(text) {
				t.Errorf("%s was read as %v", text, f)
			}
			return
		}
		if !ok || string(raw) != text || math.Float64bits(f) != math.Float64bits(want) {
			t.Errorf("%s: got %v, %q, %v, want %v (%v)", text, f, raw, ok, want, err)
		}
	}
	check := func(t interface{ Errorf(string, ...any) }, text string) {
		checkBetween(t, "", text, "")
		checkBetween(t, "", text, `,"amount":1234567.5,"country":"DE"}`)
		checkBetween(t, "", text, "}                    ")
		checkWindow(t, text)
	}
	for _, text := range []string{
		"0", "-0", "1", "-1", "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551615", "18446744073709551616",
		"99999999999999999999999", "0.1", "0.3", "123456789012345.678", "0.000000000000000000000001", "1e22", "1e23", "1E+5", "1e-5", "1e308", "1e309", "-1e309",
		"4.9e-324", "1e-400", "0.1e1", "00", "01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "--1", "0x1", "1_0", "2.2250738585072011e-308",
		"", "1234567", "12345678", "-1234567.1234567", "1234567.12345678", "12345678.1", "0.0000001", "-0.5", "01.5", "1.5e3", "-1.25E-2",
		"0.12345678901234567890", "1.7976931348623157e308", "0e0", "-0.0", "0.00000000000000000000000000000000000000001e41",
	} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return
		}
		format := rapid.SampledFrom([]byte("efg")).Draw(t, "format")
		check(t, strconv.FormatFloat(f, format, rapid.IntRange(-1, 20).Draw(t, "precision"), 64))
		check(t, rapid.StringMatching(`-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "text"))
	})
}

// checkWindow compares what a window shows of a text, a comma behind it, with strconv.
func checkWindow(t interface{ Errorf(string, ...any) }, text string) {
	if len(text)+1 > windowRest {
		return
	}
	var v window
	copy(v[:], `"the_amount_it":`+text+`,"amount":1234567.5,"country":"DE","more":"and so on"`)
	end := v.comma()
	if end == 0 && len(text) < 24 || end != 0 && end != valueAt+len(text) {
		t.Errorf("%s: a comma at %d", text, end)
	}
	if end == 0 {
		return
	}
	f, ok := v.number(end)
	want, _ := strconv.ParseFloat(text, 64)
	if ok && (!json.Valid([]byte(text)) || math.Float64bits(f) != math.Float64bits(want)) {
		t.Errorf("%s: a window shows %v", text, f)
	}
	if v.skip(end) && !json.Valid([]byte(text)) {
		t.Errorf("%s: skipped", text)
	}
	if simple := !strings.ContainsAny(text, "eE") && json.Valid([]byte(text)); simple && (!v.skip(end) || !ok && len(text) < 20) {
		t.Errorf("%s: not read, or not skipped", text)
	}
}

// FuzzDecode checks that the scanner takes exactly what is JSON, duplicate names
// aside, and that a value read and written again says the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := setupDecoder(t, fraud())
		e := &b.decoder.event
		for _, l := range []*layout{b.decoder.last, mustLoad(t, b.decoder.versions, "fraud", "3").rows, mustLoad(t, b.decoder.versions, "new", "1").rows, mustLoad(t, b.decoder.versions, "fraud", "3").labels} {
			fail := e.parse(data, l, nil)
			checkVerdict(t, data, fail)
			if fail != nil {
				continue
			}
			for _, object := range [][]byte{e.appendExtra(nil), e.appendInvalid(nil)} {
				if len(object) > 0 && !jsontext.Value(object).IsValid() {
					t.Fatalf("%q: not an object: %s", data, object)
				}
			}
		}
		checkSifted(t, data)
		checkSifted(t, slices.Concat(data, []byte(behind)))
		checkRuns(t, mustLoad(t, b.decoder.versions, "fraud", "3").rows, data)
		if len(data) == 0 {
			return
		}
		checkWarm(t, string(data))
		// The whole way, twice: with a guess and without.
		for range 2 {
			b.send(string(data))
		}
		b.mustSend(prediction)
		b.chunks()
	})
}

// alwaysAway samples every event away.
type alwaysAway struct{ *versions }

func (alwaysAway) sampledAway(*event) bool { return true }

// checkSifted compares the verdicts on a record that is kept and on one that is not.
func checkSifted(t *testing.T, data []byte) {
	t.Helper()
	b := setupDecoder(t, fraud())
	l := mustLoad(t, b.decoder.versions, "fraud", "3").rows
	var kept, away event
	full, sifted := kept.parse(data, l, nil), away.parse(data, l, alwaysAway{b.decoder.versions})
	if (full == nil) != (sifted == nil) || full != nil && *full != *sifted {
		t.Fatalf("%q: %v, sifted %v", data, full, sifted)
	}
	if away.layout == l && len(kept.growths) != len(away.growths) {
		t.Fatalf("%q: %v grow, sifted %v", data, kept.growths, away.growths)
	}
}

// checkWarm compares what becomes of a record that comes first with what becomes of it
// behind others of its kind and of other kinds.
func checkWarm(t *testing.T, data string) {
	t.Helper()
	const versionless = `{"kind":"prediction","model":"fraud","id":"1"}` // which says nothing of the types of columns
	become := func(before ...string) string {
		b := setupDecoder(t, fraud())
		for _, text := range before {
			b.send(text)
		}
		r := b.record(data)
		row, rejected, err := b.decoder.decode(t.Context(), r)
		switch {
		case err != nil:
			return err.Error()
		case rejected != nil:
			return fmt.Sprint(rejected.reason, rejected.detail, rejected.kind, rejected.model)
		}
		e := &b.decoder.event
		return fmt.Sprint(row.version.model, row.version.name, row.kind, string(row.id), row.micros, row.rank, row.keep, e.cells(), e.unknownFields, e.invalidValues, e.outOfRange)
	}
	want := become()
	for _, before := range [][]string{{prediction, prediction, prediction, prediction}, {versionless, versionless, versionless, data, data}, {data, data, data, data}} {
		if got := become(before...); got != want {
			t.Fatalf("%q behind %q: got %s, want %s", data, before, got, want)
		}
	}
}

// cells is what the event says of columns, of _extra and of _invalid, by name: columns
// stand in the order in which they became known.
func (e *event) cells() []string {
	out := []string{string(e.appendExtra(nil)), string(e.appendInvalid(nil))}
	for i, c := range e.layout.columns {
		switch {
		case !e.set.has(int32(i)):
		case c.base == cellVector:
			out = append(out, c.name, fmt.Sprint(e.vectors[e.words[i]>>32:e.words[i]&math.MaxUint32]))
		case slices.Contains(e.long, int32(i)):
			out = append(out, c.name+" "+string(e.texts[i]))
		default:
			out = append(out, c.name+" "+fmt.Sprint(e.words[i]))
		}
	}
	slices.Sort(out[2:])
	return out
}

// checkVerdict compares the verdict on a record with jsontext's and encoding/json's.
func checkVerdict(t *testing.T, data []byte, fail *failure) {
	t.Helper()
	strict := jsontext.Value(bytes.Clone(data)).IsValid() // no duplicates, valid UTF-8
	object := len(bytes.TrimLeft(data, " \t\r\n")) > 0 && bytes.TrimLeft(data, " \t\r\n")[0] == '{'
	if taken := fail == nil; taken != (strict && object) {
		t.Fatalf("%q: taken %v (%+v), JSON %v, object %v", data, taken, fail, strict, object)
	}
	if fail == nil && !json.Valid(data) {
		t.Fatalf("%q: taken, but encoding/json refuses it", data)
	}
	if fail != nil && object && json.Valid(data) {
		if reason := fail.reason; reason != "duplicate_key" && !(reason == "invalid_json" && !strict) {
			t.Fatalf("%q: %+v, but encoding/json takes it", data, fail)
		}
	}
}

func mustLoad(t *testing.T, vs *versions, model, name string) *version {
	t.Helper()
	if v := vs.find([]byte(model), []byte(name), false); v != nil {
		return v
	}
	v, fail, err := vs.load(t.Context(), model, name, false)
	if err != nil || fail != nil {
		t.Fatalf("load %s: %v, %v", model, fail, err)
	}
	return v
}

// fuzzSeeds reads the events of testdata/events.jsonl: one good or bad record a line.
func fuzzSeeds(tb testing.TB) [][]byte {
	data, err := os.ReadFile("testdata/events.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	seeds := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(seeds) < 40 {
		tb.Fatalf("testdata/events.jsonl has %d lines: the corpus is not what it was", len(seeds))
	}
	return seeds
}

// TestSifted: an event that is sampled away gets the verdict it would have got,
// whatever is wrong behind the point where that was known.
func TestSifted(t *testing.T) {
	t.Parallel()
	head := `{"kind":"prediction","model":"fraud","version":"3","id":"1","time":"2026-11-21T10:00:00Z","features":{`
	tails := []string{
		`"amount":1,"country":"DE"}}`, `"amount":1,"amount":2}}`, `"amount":01}}`, `"amount":1.}}`, `"amount":-}}`, `"amount":1e}}`, `"amount":1e400}}`, `"amount":12345678901234567890.5e-3}}`,
		`"amount":"n/a","country":[1,{"a":1}]}}`, `"amount":tru}}`, `"amount":null , "country" : "x" }}`, `"country":"\u12"}}`, `"country":"\u00e9"}}`, "\"country\":\"\xff\"}}", "\"country\":\"a\tb\"}}",
		`"new":1,"new":2}}`, `"new":1}}`, `"amount":1,}}`, `"amount":1}`, `"amount":1}} x`, `"amount":12345678`, `},"prediction":{"score":2,"score":3}}`, `},"id":"2"}`, `},"kind":"label"}`,
	}
	for _, tail := range tails {
		var verdicts [2]string
		for i, rate := range []float64{1, 1e-9} {
			v := fraud()
			v.SamplingRate = rate
			b := setupDecoder(t, v)
			b.send(`{"kind":"prediction","model":"fraud","version":"3","id":"0","features":{"amount":1}}`) // so that the layout is known
			_, rejected, err := b.decoder.decode(t.Context(), &kgo.Record{Topic: "t", Value: []byte(head + tail), Timestamp: testNow})
			if err != nil {
				t.Fatal(err)
			}
			if sifted := b.decoder.sifted; sifted != (rate < 1) {
				t.Errorf("%s: sifted %v at rate %v", tail, sifted, rate)
			}
			if rejected != nil {
				verdicts[i] = fmt.Sprint(rejected.reason, rejected.detail, rejected.kind, rejected.micros, rejected.version.name)
			}
		}
		if verdicts[0] != verdicts[1] {
			t.Errorf("%s: %q, sifted %q", tail, verdicts[0], verdicts[1])
		}
	}
}
