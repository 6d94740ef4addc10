package ingest

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ptr(f float64) *float64 { return &f }

// fraud has a column of each type.
func fraud() modelwatch.Version {
	return modelwatch.Version{Model: "fraud", Name: "3", Registered: true, SamplingRate: 1, Schema: modelwatch.Schema{
		Features: []modelwatch.Feature{
			{Name: "age", Type: modelwatch.TypeNumber, Minimum: ptr(0), Maximum: ptr(150)},
			{Name: "amount", Type: modelwatch.TypeNumber},
			{Name: "country", Type: modelwatch.TypeCategory},
			{Name: "embedding", Type: modelwatch.TypeVector},
			{Name: "note", Type: modelwatch.TypeText},
			{Name: "opened", Type: modelwatch.TypeTimestamp},
			{Name: "vip", Type: modelwatch.TypeBoolean},
		},
		Score: modelwatch.TypeNumber, Predicted: modelwatch.TypeCategory, Label: modelwatch.TypeCategory,
	}}
}

// bench is a decoder on a catalog in memory.
type decoderBundle struct {
	t       testing.TB
	catalog *fakeCatalog
	decoder *decoder
	batch   *batch
	offset  int64
}

func setupDecoder(t testing.TB, versions ...modelwatch.Version) *decoderBundle {
	return setupPrivate(t, PrivacyOptions{}, versions...)
}

func setupPrivate(t testing.TB, p PrivacyOptions, versions ...modelwatch.Version) *decoderBundle {
	b := &decoderBundle{t: t, catalog: newFakeCatalog(), batch: newBatch(new(pages))}
	for _, v := range versions {
		b.catalog.put(v)
	}
	b.decoder = newDecoder(newVersions(b.catalog, 1, time.Hour, slog.New(slog.DiscardHandler), p), modelwatch.Salt{}, func() time.Time { return testNow })
	return b
}

func (b *decoderBundle) record(value string, headers ...kgo.RecordHeader) *kgo.Record {
	b.offset++
	return &kgo.Record{Topic: "t", Offset: b.offset, Value: []byte(value), Timestamp: testNow.Add(-time.Minute), Headers: headers}
}

// send decodes a record into the batch and returns the reason if it was rejected.
func (b *decoderBundle) send(value string, headers ...kgo.RecordHeader) *rejection {
	b.t.Helper()
	r := b.record(value, headers...)
	row, rejected, err := b.decoder.decode(context.Background(), r)
	switch {
	case err != nil:
		b.t.Fatalf("decode %s: %v", value, err)
	case rejected != nil:
		b.batch.reject(newLetter(r, rejected, testNow), rejected)
		return rejected
	default:
		b.batch.add(&b.decoder.event, row)
	}
	return nil
}

func (b *decoderBundle) mustSend(value string, headers ...kgo.RecordHeader) {
	b.t.Helper()
	if rejected := b.send(value, headers...); rejected != nil {
		b.t.Fatalf("rejected %s: %s: %s", value, rejected.reason, rejected.detail)
	}
}

// TestClock: how late an event may be follows the clock, which is not read for each.
func TestClock(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	now, reads := testNow, 0
	b.decoder.now = func() time.Time {
		reads++
		return now
	}
	event := func(ahead time.Duration) string {
		return `{"kind":"prediction","model":"fraud","version":"3","id":"1","time":"` + testNow.Add(ahead).Format(time.RFC3339) + `"}`
	}
	for range 10 {
		b.mustSend(event(time.Hour))
	}
	if reads != 1 {
		t.Errorf("the clock was read %d times for 10 events of one hour", reads)
	}
	for range 2 {
		if rejected := b.send(event(25 * time.Hour)); rejected == nil || rejected.reason != modelwatch.DeadTimeOutOfSpan {
			t.Fatalf("25 hours ahead: got %+v", rejected)
		}
	}
	now = now.Add(2 * time.Hour)
	b.mustSend(event(25 * time.Hour))
	if rejected := b.send(event(27 * time.Hour)); rejected == nil || !strings.Contains(rejected.detail, testNow.Add(26*time.Hour).Format(time.RFC3339)) {
		t.Errorf("25 hours ahead of the later clock: got %+v", rejected)
	}
}

// chunks seals the batch.
func (b *decoderBundle) chunks() []*table.Chunk {
	b.t.Helper()
	var out []*table.Chunk
	for _, f := range b.batch.files() {
		f.seal()
		c := f.chunk()
		if err := checkChunk(c); err != nil {
			b.t.Fatal(err)
		}
		out = append(out, c)
	}
	b.batch = newBatch(b.batch.lent)
	return out
}

func (b *decoderBundle) chunk() *table.Chunk {
	b.t.Helper()
	cs := b.chunks()
	if len(cs) != 1 {
		b.t.Fatalf("%d files, want 1", len(cs))
	}
	return cs[0]
}

const prediction = `{"kind":"prediction","model":"fraud","version":"3","id":"req-1","time":"2026-11-21T10:00:00Z","features":{"amount":12.5,"country":"DE"},"prediction":{"score":0.93,"label":"fraud"},"attributions":{"amount":0.4},"tags":{"region":"eu"}}`

func TestDecodePrediction(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t, fraud())
	b.mustSend(prediction)
	c := b.chunk()
	want := map[string]string{
		"_id": "req-1", "_time": "1795255200000000", "_received_at": "1795262340000000", "amount": "12.5", "country": "DE",
		"age": "-", "vip": "-", "note": "-", "opened": "-", "embedding": "-",
		"_score": "0.93", "_predicted": "fraud", "_attr_amount": "0.4", "_tag_region": "eu",
		"_extra": "absent", "_invalid": "absent", "_label": "absent", "_group": "absent", "_weight": "absent",
	}
	for name, v := range want {
		if got := cell(c, name, 0); got != v {
			t.Errorf("%s: got %s, want %s", name, got, v)
		}
	}
	if got, want := c.Column("_rank").Ints[0], modelwatch.Rank(modelwatch.Salt{}, []byte("req-1")); got != want {
		t.Errorf("_rank: got %d, want %d", got, want)
	}
}

// TestDecodeCells checks each type of column against each kind of value.
func TestDecodeCells(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxCategoryBytes)
	tests := []struct {
		name, feature, value string
		want                 string // "-": missing
		invalid              string // in _invalid; "" if none
	}{
		{"number", "amount", `12.5`, "12.5", ""},
		{"number negative", "amount", `-0.25e-3`, "-0.00025", ""},
		{"number of many digits", "amount", `0.12345678901234567890123`, "0.12345678901234568", ""},
		{"number null", "amount", `null`, "-", ""},
		{"number overflow", "amount", `1e999`, "-", `1e999`},
		{"number as text", "amount", `"12.5"`, "-", `"12.5"`},
		{"NaN as text", "amount", `"NaN"`, "-", `"NaN"`},
		{"number as boolean", "amount", `true`, "-", `true`},
		{"number as object", "amount", `{"v":[1]}`, "-", `{"v":[1]}`},
		{"number as array", "amount", `[1, 2]`, "-", `[1, 2]`},
		{"number at the bound", "age", `150`, "150", ""},
		{"number beyond the bound", "age", `150.5`, "-", `150.5`},
		{"number below the bound", "age", `-1`, "-", `-1`},
		{"category", "country", `"DE"`, "DE", ""},
		{"category empty", "country", `""`, "", ""},
		{"category escaped", "country", `"D\u00fc\n"`, "Dü\n", ""},
		{"category of UTF-8", "country", `"Österreich"`, "Österreich", ""},
		{"category number", "country", `1.50`, "1.5", ""},
		{"category integral", "country", `1.0`, "1", ""},
		{"category long integer", "country", `12345678901234567890`, "12345678901234567890", ""},
		{"category minus zero", "country", `-0`, "0", ""},
		{"category boolean", "country", `false`, "false", ""},
		{"category null", "country", `null`, "-", ""},
		{"category array", "country", `["DE"]`, "-", `["DE"]`},
		{"category at the limit", "country", `"` + long + `"`, long, ""},
		{"category too long", "country", `"` + long + `y"`, "-", `{"truncated":"\"` + strings.Repeat("x", 1023) + `","bytes":65539}`},
		{"text", "note", `"hello"`, "hello", ""},
		{"boolean true", "vip", `true`, "true", ""},
		{"boolean false", "vip", `false`, "false", ""},
		{"boolean number", "vip", `1`, "-", `1`},
		{"boolean text", "vip", `"true"`, "-", `"true"`},
		{"timestamp", "opened", `"2026-11-21T10:00:00.5+01:00"`, "1795251600500000", ""},
		{"timestamp without zone", "opened", `"2026-11-21 10:00:00"`, "1795255200000000", ""},
		{"timestamp of a date", "opened", `"2026-11-21"`, "1795219200000000", ""},
		{"timestamp in seconds", "opened", `1795255200`, "1795255200000000", ""},
		{"timestamp in fractions", "opened", `1795255200.25`, "1795255200250000", ""},
		{"timestamp in milliseconds", "opened", `1795255200123`, "1795255200123000", ""},
		{"timestamp in microseconds", "opened", `1795255200123456`, "1795255200123456", ""},
		{"timestamp in nanoseconds", "opened", `1795255200123456789`, "1795255200123456", ""},
		{"timestamp before 1970", "opened", `"1955-01-02T00:00:00Z"`, "-473299200000000", ""},
		{"timestamp wrong", "opened", `"2026-02-29"`, "-", `"2026-02-29"`},
		{"timestamp as boolean", "opened", `true`, "-", `true`},
		{"vector", "embedding", `[1, 2.5,-3]`, "[1 2.5 -3]", ""},
		{"vector empty", "embedding", `[]`, "[]", ""},
		{"vector with text", "embedding", `[1,"2"]`, "-", `[1,"2"]`},
		{"vector overflow", "embedding", `[1e39]`, "-", `[1e39]`},
		{"vector as number", "embedding", `1`, "-", `1`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setupDecoder(t, fraud())
			b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"a","features":{"` + test.feature + `":` + test.value + `}}`)
			wantInvalid := int64(0)
			if test.invalid != "" {
				wantInvalid = 1
			}
			if b.batch.counts.invalid != wantInvalid {
				t.Errorf("counted %d invalid values, want %d", b.batch.counts.invalid, wantInvalid)
			}
			c := b.chunk()
			if got := cell(c, test.feature, 0); got != test.want {
				t.Errorf("got %.60s, want %.60s", got, test.want)
			}
			got, want := cell(c, "_invalid", 0), "absent"
			if test.invalid != "" {
				want = `{"` + test.feature + `":` + test.invalid + `}`
			}
			if got != want {
				t.Errorf("_invalid: got %s, want %s", got, want)
			}
		})
	}
}

func TestDecodeDeadLetters(t *testing.T) {
	t.Parallel()
	event := func(fields string) string {
		return `{"kind":"prediction","model":"fraud","version":"3",` + fields + `}`
	}
	tests := []struct {
		name, value string
		reason      modelwatch.DeadLetterReason
		detail      string // part of it
	}{
		{"empty", ``, modelwatch.DeadEmpty, "no value"},
		{"text", `hello`, modelwatch.DeadInvalidJSON, "byte 0"},
		{"truncated", prediction[:100], modelwatch.DeadInvalidJSON, ""},
		{"trailing", prediction + `{}`, modelwatch.DeadInvalidJSON, "text behind the event"},
		{"NaN", event(`"id":"a","features":{"amount":NaN}`), modelwatch.DeadInvalidJSON, "send null"},
		{"Infinity", event(`"id":"a","features":{"amount":-Infinity}`), modelwatch.DeadInvalidJSON, "send null"},
		{"invalid UTF-8", event("\"id\":\"a\xff\""), modelwatch.DeadInvalidJSON, "UTF-8"},
		{"leading zero", event(`"id":"a","features":{"amount":01}`), modelwatch.DeadInvalidJSON, ""},
		{"single quotes", `{'kind':'prediction'}`, modelwatch.DeadInvalidJSON, ""},
		{"lone surrogate", event(`"id":"\ud800"`), modelwatch.DeadInvalidJSON, ""},
		{"control character", event("\"id\":\"a\nb\""), modelwatch.DeadInvalidJSON, ""},
		{"array", `[` + prediction + `]`, modelwatch.DeadNotObject, "found an array"},
		{"null", `null`, modelwatch.DeadNotObject, "found null"},
		{"number", ` 12`, modelwatch.DeadNotObject, "found a number"},
		{"duplicate", event(`"id":"a","id":"b"`), modelwatch.DeadDuplicateKey, `"id" occurs twice`},
		{"duplicate feature", event(`"id":"a","features":{"amount":1,"country":"DE","amount":2}`), modelwatch.DeadDuplicateKey, `"amount" occurs twice, at "/features/amount"`},
		{"duplicate by escape", event(`"id":"a","features":{"amount":1,"am\u006funt":2}`), modelwatch.DeadDuplicateKey, `"amount"`},
		{"duplicate unknown", event(`"id":"a","x":1,"y":2,"x":3`), modelwatch.DeadDuplicateKey, `"x"`},
		{"duplicate nested", event(`"id":"a","x":{"a":{"b":1,"b":2}}`), modelwatch.DeadDuplicateKey, `"/x/a/b"`},
		{"duplicate of prediction", event(`"id":"a","prediction":{"score":1,"score":2}`), modelwatch.DeadDuplicateKey, `"score"`},
		{"no id", event(`"time":1795255200`), modelwatch.DeadNoID, "absent"},
		{"null id", event(`"id":null`), modelwatch.DeadNoID, "absent"},
		{"empty id", event(`"id":""`), modelwatch.DeadNoID, "empty"},
		{"object id", event(`"id":{}`), modelwatch.DeadNoID, "an object"},
		{"long id", event(`"id":"` + strings.Repeat("x", 1025) + `"`), modelwatch.DeadNoID, "1025 bytes"},
		{"no model", `{"kind":"prediction","id":"a"}`, modelwatch.DeadNoModel, "absent"},
		{"numeric model", `{"kind":"prediction","id":"a","model":7}`, modelwatch.DeadNoModel, "a number"},
		{"empty model", `{"kind":"prediction","id":"a","model":""}`, modelwatch.DeadInvalidName, "1 to 200"},
		{"model with a slash", `{"kind":"prediction","id":"a","model":"a/b"}`, modelwatch.DeadInvalidName, `"a/b"`},
		{"model with a newline", `{"kind":"prediction","id":"a","model":"a\nb"}`, modelwatch.DeadInvalidName, ""},
		{"long model", `{"kind":"prediction","id":"a","model":"` + strings.Repeat("x", 201) + `"}`, modelwatch.DeadInvalidName, ""},
		{"object version", `{"kind":"prediction","id":"a","model":"m","version":{}}`, modelwatch.DeadInvalidName, "version is {}"},
		{"empty version", `{"kind":"prediction","id":"a","model":"m","version":""}`, modelwatch.DeadInvalidName, "version"},
		{"no kind", `{"model":"fraud","id":"a"}`, modelwatch.DeadUnknownKind, "absent"},
		{"other kind", `{"model":"fraud","id":"a","kind":"metric"}`, modelwatch.DeadUnknownKind, `"metric"`},
		{"numeric kind", `{"model":"fraud","id":"a","kind":1}`, modelwatch.DeadUnknownKind, "1"},
		{"time of words", event(`"id":"a","time":"yesterday"`), modelwatch.DeadInvalidTime, "yesterday"},
		{"time of month 13", event(`"id":"a","time":"2026-13-01T00:00:00Z"`), modelwatch.DeadInvalidTime, ""},
		{"time as object", event(`"id":"a","time":{}`), modelwatch.DeadInvalidTime, ""},
		{"time before 2000", event(`"id":"a","time":"1999-12-31T23:59:59Z"`), modelwatch.DeadTimeOutOfSpan, "1999-12-31T23:59:59Z"},
		{"time of zero", event(`"id":"a","time":0`), modelwatch.DeadTimeOutOfSpan, "1970"},
		{"time ahead", event(`"id":"a","time":"2026-11-22T12:00:01Z"`), modelwatch.DeadTimeOutOfSpan, "2026-11-22T12:00:01Z"},
		{"label without label", `{"kind":"label","model":"fraud","id":"a"}`, modelwatch.DeadNoLabel, "absent"},
		{"label of null", `{"kind":"label","model":"fraud","id":"a","label":null}`, modelwatch.DeadNoLabel, "absent"},
		{"label of array", `{"kind":"label","model":"fraud","id":"a","label":[1]}`, modelwatch.DeadNoLabel, "an array"},
		{"too large", `{"x":"` + strings.Repeat("x", maxRecordBytes) + `"}`, modelwatch.DeadTooLarge, "at most 10485760"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setupDecoder(t, fraud())
			b.mustSend(prediction) // the version is known: rejections are attributed to it
			rejected := b.send(test.value)
			if rejected == nil {
				t.Fatal("was taken")
			}
			if rejected.reason != test.reason || !strings.Contains(rejected.detail, test.detail) {
				t.Errorf("got %s: %s, want %s: ...%s...", rejected.reason, rejected.detail, test.reason, test.detail)
			}
			if len(rejected.detail) > 700 {
				t.Errorf("detail has %d bytes", len(rejected.detail))
			}
			letter := b.batch.deadLetters[0]
			if want := test.value[:min(len(test.value), maxKeptTooLarge)]; test.reason == modelwatch.DeadTooLarge && string(letter.Value) != want ||
				test.reason != modelwatch.DeadTooLarge && string(letter.Value) != test.value {
				t.Errorf("kept %d bytes of %d", len(letter.Value), len(test.value))
			}
			b.mustSend(prediction) // nothing of the bad record is left
			for _, c := range b.chunks() {
				if c.Rows != 2 || c.Column("_extra") != nil || c.Column("_invalid") != nil {
					t.Errorf("%d rows, extra %v, invalid %v", c.Rows, c.Column("_extra"), c.Column("_invalid"))
				}
			}
		})
	}
}

// TestDecodeNoVersion: a version that is no name is rejected, also where events without
// one are known.
func TestDecodeNoVersion(t *testing.T) {
	t.Parallel()
	const head, tail = `{"kind":"prediction","model":"m",`, `"id":"a","time":"2026-11-21T10:00:00Z","features":{"amount":1}}`
	for _, version := range []string{`""`, `true`, `{}`, `[]`} {
		b := setupDecoder(t)
		b.mustSend(head + tail)
		for range 3 { // of which the last have the shape of those before
			if rejected := b.send(head + `"version":` + version + `,` + tail); rejected == nil || rejected.reason != modelwatch.DeadInvalidName {
				t.Errorf("version %s: got %+v, want %s", version, rejected, modelwatch.DeadInvalidName)
			}
		}
	}
}

func TestDecodeEdges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value string
		headers     []kgo.RecordHeader
		want        map[string]string
		version     string
	}{
		{name: "members in any order", value: `{"tags":{"region":"eu"},"features":{"country":"DE","amount":1},"id":"a","version":"3","model":"fraud","kind":"prediction"}`,
			want: map[string]string{"amount": "1", "country": "DE", "_tag_region": "eu", "_extra": "absent"}, version: "3"},
		{name: "white space", value: " {\n\t\"kind\" : \"prediction\" , \"model\":\"fraud\",\"version\":\"3\",\"id\":\"a\",\r\"features\" : { \"amount\" : 1 , \"country\" : \"DE\" } } \n",
			want: map[string]string{"amount": "1", "country": "DE"}, version: "3"},
		{name: "escaped names", value: `{"k\u0069nd":"prediction","model":"fraud","version":"3","id":"a","features":{"\u0061mount":1}}`,
			want: map[string]string{"amount": "1", "_extra": "absent"}, version: "3"},
		{name: "numeric id", value: `{"kind":"prediction","model":"fraud","version":"3","id":4711}`, want: map[string]string{"_id": "4711"}, version: "3"},
		{name: "numeric version as written", value: `{"kind":"prediction","model":"fraud","version":3.10,"id":"a"}`, version: "3.10"},
		{name: "no version", value: `{"kind":"prediction","model":"fraud","id":"a"}`, version: "0"},
		{name: "time from the record", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a"}`, want: map[string]string{"_time": "1795262340000000"}, version: "3"},
		{name: "names from headers", value: `{"kind":"prediction","id":"a","features":{"amount":1}}`,
			headers: []kgo.RecordHeader{{Key: "modelwatch-model", Value: []byte("fraud")}, {Key: "modelwatch-version", Value: []byte("3")}},
			want:    map[string]string{"amount": "1"}, version: "3"},
		{name: "the event's names before headers", value: `{"kind":"prediction","id":"a","model":"fraud","version":"3"}`,
			headers: []kgo.RecordHeader{{Key: "modelwatch-model", Value: []byte("x")}, {Key: "modelwatch-version", Value: []byte("9")}}, version: "3"},
		{name: "group and weight", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","group":7,"weight":0.5}`,
			want: map[string]string{"_group": "7", "_weight": "0.5"}, version: "3"},
		{name: "empty objects", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","features":{},"prediction":{ },"tags":{},"attributions":{}}`,
			want: map[string]string{"_extra": "absent"}, version: "3"},
		{name: "null objects", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","features":null,"prediction":null,"tags":null}`,
			want: map[string]string{"_extra": "absent"}, version: "3"},
		{name: "objects that are none", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","features":[1,2],"prediction":0.5}`,
			want: map[string]string{"_extra": `{"features":[1,2],"prediction":0.5}`}, version: "3"},
		{name: "unknown fields", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","ip":"::1","features":{"amount":1,"new":{"x":[1]},"old":null},"prediction":{"note":"n","scores":{"a":"x"}},"meta":{"a":1}}`,
			want:    map[string]string{"amount": "1", "_extra": `{"ip":"::1","meta":{"a":1},"features":{"new":{"x":[1]}},"prediction":{"note":"n","scores":{"a":"x"}}}`},
			version: "3"},
		{name: "scores of classes", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","prediction":{"scores":{"yes":0.9,"no":0.1}}}`,
			want: map[string]string{"_score_yes": "0.9", "_score_no": "0.1", "_extra": "absent"}, version: "3"},
		{name: "attribution of no feature", value: `{"kind":"attribution","model":"fraud","version":"3","id":"a","attributions":{"amount":1,"bias":2}}`,
			want: map[string]string{"_attr_amount": "1", "_extra": `{"attributions":{"bias":2}}`, "amount": "absent"}, version: "3"},
		{name: "value where a category is declared", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","prediction":{"value":1.50}}`,
			want: map[string]string{"_predicted": "1.5", "_extra": "absent"}, version: "3"},
		{name: "label and value", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","prediction":{"value":2,"label":"x"}}`,
			want: map[string]string{"_predicted": "x", "_extra": `{"prediction":{"value":2}}`}, version: "3"},
		{name: "score as text", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","prediction":{"score":"high"}}`,
			want: map[string]string{"_score": "absent", "_invalid": `{"_score":"high"}`}, version: "3"},
		{name: "label", value: `{"kind":"label","model":"fraud","version":"3","id":"a","label":1,"features":{"amount":1},"by":"audit"}`,
			want: map[string]string{"_label": "1", "_extra": `{"features":{"amount":1},"by":"audit"}`, "amount": "absent"}, version: "3"},
		{name: "label without version", value: `{"kind":"label","model":"fraud","id":"a","label":"x"}`, want: map[string]string{"_label": "x"}, version: ""},
		{name: "label in a prediction", value: `{"kind":"prediction","model":"fraud","version":"3","id":"a","label":"x"}`,
			want: map[string]string{"_label": "absent", "_extra": `{"label":"x"}`}, version: "3"},
		{name: "reserved names", value: `{"kind":"prediction","model":"other","version":"1","id":"a","features":{"_id":"b","":1,"x":2}}`,
			want: map[string]string{"_id": "a", "x": "2", "_extra": `{"features":{"_id":"b","":1}}`}, version: "1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setupDecoder(t, fraud())
			for range 2 { // with a wrong and with a right guess of the layout
				b.mustSend(test.value, test.headers...)
				if got := b.batch.files()[0].key.version.name; got != test.version {
					t.Fatalf("version %q, want %q", got, test.version)
				}
				c := b.chunk()
				for name, v := range test.want {
					if got := cell(c, name, 0); got != v {
						t.Errorf("%s: got %s, want %s", name, got, v)
					}
				}
				if extra := cell(c, "_extra", 0); extra != "absent" && !json.Valid([]byte(extra)) {
					t.Errorf("_extra is not JSON: %s", extra)
				}
			}
		})
	}
}

// TestDecodeTruth: labels and predictions may be booleans or 0 and 1, whatever the
// schema says; nothing else is converted.
func TestDecodeTruth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typ   modelwatch.FeatureType
		value string
		want  string
	}{
		{modelwatch.TypeBoolean, `1`, "true"}, {modelwatch.TypeBoolean, `0`, "false"}, {modelwatch.TypeBoolean, `true`, "true"},
		{modelwatch.TypeBoolean, `2`, "absent"}, {modelwatch.TypeBoolean, `"1"`, "absent"},
		{modelwatch.TypeNumber, `true`, "1"}, {modelwatch.TypeNumber, `false`, "0"}, {modelwatch.TypeNumber, `"1"`, "absent"},
		{modelwatch.TypeCategory, `true`, "true"}, {modelwatch.TypeCategory, `1`, "1"},
		{"", `true`, "true"}, {"", `1`, "1"}, {"", `"x"`, "x"},
	}
	for _, test := range tests {
		v := fraud()
		v.Schema.Predicted, v.Schema.Label = test.typ, test.typ
		b := setupDecoder(t, v)
		b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"a","prediction":{"label":` + test.value + `}}`)
		if got := cell(b.chunk(), "_predicted", 0); got != test.want {
			t.Errorf("prediction %s as %q: got %s, want %s", test.value, test.typ, got, test.want)
		}
		b.mustSend(`{"kind":"label","model":"fraud","version":"3","id":"a","label":` + test.value + `}`)
		if got := cell(b.chunk(), "_label", 0); got != test.want {
			t.Errorf("label %s as %q: got %s, want %s", test.value, test.typ, got, test.want)
		}
	}
}

// TestDecodeLateType: a prediction gets its type while rows without one are being
// collected. They are kept apart.
func TestDecodeLateType(t *testing.T) {
	t.Parallel()
	v := fraud()
	v.Schema.Predicted = ""
	b := setupDecoder(t, v)
	event := func(id, prediction string) string {
		return `{"kind":"prediction","model":"fraud","version":"3","id":"` + id + `","prediction":{` + prediction + `}}`
	}
	b.mustSend(event("1", `"label":"x"`))
	b.mustSend(event("2", `"value":1`))
	v.Schema.Predicted = modelwatch.TypeNumber
	b.catalog.put(v)
	if err := b.decoder.versions.reload(t.Context(), b.decoder.versions.find([]byte("fraud"), []byte("3"), false)); err != nil {
		t.Fatal(err)
	}
	b.mustSend(event("3", `"value":2`))
	b.mustSend(event("4", `"label":"y"`))
	got := map[string]string{}
	for _, c := range b.chunks() {
		for i := range c.Rows {
			got[cell(c, "_id", i)] = cell(c, "_predicted", i)
		}
	}
	if want := map[string]string{"1": "x", "2": "1", "3": "2", "4": "-"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDecodeUnregistered: the schema of a version that nobody has registered is
// made of what its events bring.
func TestDecodeUnregistered(t *testing.T) {
	t.Parallel()
	b := setupDecoder(t)
	b.mustSend(`{"kind":"prediction","model":"m","id":"1","features":{"n":1,"c":"x","b":true,"v":[1,2],"t":"2026-11-21T10:00:00Z","z":null,"o":{"a":1},"e":[]},"prediction":{"value":2},"attributions":{"n":1},"tags":{"k":1}}`)
	b.mustSend(`{"kind":"prediction","model":"m","id":"2","features":{"n":"wrong","z":"late","c":5},"prediction":{"value":3,"scores":{"a":1}}}`)
	b.mustSend(`{"kind":"label","model":"m","version":"0","id":"2","label":4}`)
	got := b.catalog.version("m", "0")
	want := modelwatch.Schema{
		Features: []modelwatch.Feature{
			{Name: "b", Type: modelwatch.TypeBoolean}, {Name: "c", Type: modelwatch.TypeCategory}, {Name: "n", Type: modelwatch.TypeNumber},
			{Name: "t", Type: modelwatch.TypeTimestamp}, {Name: "v", Type: modelwatch.TypeVector}, {Name: "z", Type: modelwatch.TypeCategory},
		},
		Predicted: modelwatch.TypeNumber, Label: modelwatch.TypeNumber,
		Classes: []string{"a"}, Attributions: []string{"n"}, Tags: []string{"k"},
	}
	if diff := cmp.Diff(want, got.Schema); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	if b.catalog.grows != 3 {
		t.Errorf("the schema was changed %d times, want once for each event that brings something", b.catalog.grows)
	}
	chunks := b.chunks()
	if len(chunks) != 2 {
		t.Fatalf("%d files, want one of predictions and one of labels", len(chunks))
	}
	labels, rows := chunks[0], chunks[1]
	if got := cell(labels, "_label", 0); got != "4" || labels.Column("_label").Type != modelwatch.TypeNumber {
		t.Errorf("_label: got %s", got)
	}
	byID := map[string]int{cell(rows, "_id", 0): 0, cell(rows, "_id", 1): 1}
	for name, want := range map[string][2]string{
		"n": {"1", "-"}, "c": {"x", "5"}, "b": {"true", "-"}, "v": {"[1 2]", "-"}, "z": {"-", "late"}, "_tag_k": {"1", "-"},
		"_predicted": {"2", "3"}, "_score_a": {"-", "1"}, "_attr_n": {"1", "-"},
		"_extra": {`{"features":{"o":{"a":1},"e":[]}}`, "-"}, "_invalid": {"-", `{"n":"wrong"}`},
	} {
		if got := [2]string{cell(rows, name, byID["1"]), cell(rows, name, byID["2"])}; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
