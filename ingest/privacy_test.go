package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

var testKey = modelwatch.PrivacyKey("key of the test")

func rules(t testing.TB, texts map[string]string) map[string]modelwatch.PrivacyRule {
	t.Helper()
	out := map[string]modelwatch.PrivacyRule{}
	for column, text := range texts {
		rule, err := modelwatch.ParsePrivacyRule(text)
		if err != nil {
			t.Fatal(err)
		}
		out[column] = rule
	}
	return out
}

// privateFraud has a rule of each kind.
func privateFraud(t testing.TB) modelwatch.Version {
	v := fraud()
	v.Schema.Features = append(v.Schema.Features, modelwatch.Feature{Name: "zip", Type: modelwatch.TypeCategory})
	v.Schema.Privacy.Columns = rules(t, map[string]string{
		"country": "hash", "zip": "truncate:2", "note": "hash", "age": "drop", "email": "drop", "phone": "hash", "street": "truncate:3",
		"_tag_user": "hash", "_tag_host": "drop", "_attr_age": "drop",
	})
	return v
}

func TestPrivateColumns(t *testing.T) {
	t.Parallel()
	b := setupPrivate(t, PrivacyOptions{Key: testKey}, privateFraud(t))
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"r","email":"TOP","features":{"age":44,"country":"DE","zip":"10115","note":7,"amount":1,
"email":"INNER","phone":"+49","\u0073treet":"Äußere Straße","more":{"email":"DEEP","deeper":[{"phone":"+50","x":1}]}},
"tags":{"user":"joe","host":"h1","region":"eu"},"attributions":{"age":0.5,"amount":0.25}}`)
	c := b.chunk()
	for name, want := range map[string]string{
		"country": testKey.Pseudonym("DE"), "zip": "10", "note": testKey.Pseudonym("7"), "age": "absent", "amount": "1", "_tag_user": testKey.Pseudonym("joe"),
		"_tag_host": "absent", "_tag_region": "eu", "_attr_age": "absent", "_attr_amount": "0.25", "_id": "r",
		"_extra": `{"features":{"phone":"` + testKey.Pseudonym("+49") + `","\u0073treet":"Äuß","more":{"deeper":[{"phone":"` + testKey.Pseudonym("+50") + `","x":1}]}}}`,
	} {
		if got := cell(c, name, 0); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if c.Column("country").Type != modelwatch.TypeCategory || c.Column("note").Type != modelwatch.TypeText {
		t.Error("a private column has not the type that the schema says")
	}
	if b.decoder.dropped != 5 { // age, email twice, the tag and the attribution
		t.Errorf("%d values are counted as dropped, want 5", b.decoder.dropped)
	}
}

// TestPrivateMisfits: what cannot be hashed or cut is not kept as invalid either.
func TestPrivateMisfits(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{"a":"SECRET"}`, `["SECRET"]`, `null`} {
		b := setupPrivate(t, PrivacyOptions{Key: testKey}, privateFraud(t))
		b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"r","features":{"country":` + value + `,"zip":` + value + `,"age":` + value + `}}`)
		c := b.chunk()
		if holds(c, "SECRET") || cell(c, "country", 0) != "-" || cell(c, "_invalid", 0) != "absent" {
			t.Errorf("%s is kept: country %s, _invalid %s", value, cell(c, "country", 0), cell(c, "_invalid", 0))
		}
	}
}

// holds reports whether a text stands anywhere in a chunk.
func holds(c *table.Chunk, text string) bool {
	for i := range c.Columns {
		if strings.Contains(c.Columns[i].Name, text) || strings.Contains(strings.Join(c.Columns[i].Dict, "\x00"), text) {
			return true
		}
	}
	return false
}

func TestWithoutKeyHashesAreDropped(t *testing.T) {
	t.Parallel()
	b := setupPrivate(t, PrivacyOptions{}, privateFraud(t))
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"r","features":{"country":"SECRET","phone":"SECRET","zip":"10115"}}`)
	if c := b.chunk(); holds(c, "SECRET") || cell(c, "country", 0) != "-" || cell(c, "zip", 0) != "10" {
		t.Errorf("country %s, zip %s", cell(c, "country", 0), cell(c, "zip", 0))
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	v := fraud()
	v.Schema.Privacy.AllowList = true
	v.Schema.Tags = []string{"region"}
	old := modelwatch.Version{Model: "fraud", Name: "5", SamplingRate: 1, SchemaRevision: 3}
	old.Schema.Features = []modelwatch.Feature{{Name: "amount", Type: modelwatch.TypeNumber}, {Name: "x", Type: modelwatch.TypeCategory}}
	old.Schema.Tags = []string{"user"}
	b := setupPrivate(t, PrivacyOptions{}, v)
	b.catalog.versions[[2]string{"fraud", "5"}] = old // nobody has registered it
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"r","SECRET":"SECRET","features":{"amount":1,"x":"SECRET"},"tags":{"region":"eu","user":"SECRET"},
"attributions":{"amount":0.5,"x":1},"prediction":{"score":0.5,"x":"SECRET","scores":{"a":1}}}`)
	c := b.chunk()
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"r","features":{"amount":{"x":"SECRET"},"age":[{"x":"SECRET"},7]}}`)
	if c := b.chunk(); holds(c, "SECRET") || cell(c, "_invalid", 0) != `{"amount":null,"age":[null,7]}` {
		t.Errorf("_invalid %s", cell(c, "_invalid", 0))
	}
	if holds(c, "SECRET") || cell(c, "_extra", 0) != "absent" || cell(c, "amount", 0) != "1" || cell(c, "_tag_region", 0) != "eu" || cell(c, "_attr_amount", 0) != "absent" {
		t.Errorf("_extra %s, _attr_amount %s", cell(c, "_extra", 0), cell(c, "_attr_amount", 0))
	}
	// A version that nobody has registered lets through what its sisters name.
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"4","id":"r","features":{"amount":1,"x":"SECRET"}}`)
	if c := b.chunk(); holds(c, "SECRET") || cell(c, "amount", 0) != "1" {
		t.Errorf("version 4: amount %s, x %s", cell(c, "amount", 0), cell(c, "x", 0))
	}
	// So does one whose traffic has made columns known before there was a list.
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"5","id":"r","features":{"amount":1,"x":"SECRET"},"tags":{"user":"SECRET"}}`)
	if c := b.chunk(); holds(c, "SECRET") || cell(c, "amount", 0) != "1" || cell(c, "_invalid", 0) != "absent" {
		t.Errorf("version 5: amount %s, x %s, _tag_user %s", cell(c, "amount", 0), cell(c, "x", 0), cell(c, "_tag_user", 0))
	}
}

// TestRulesAreInherited: a version that a producer has made up, and labels that
// name none, have the rules of their model.
func TestRulesAreInherited(t *testing.T) {
	t.Parallel()
	b := setupPrivate(t, PrivacyOptions{Key: testKey}, privateFraud(t))
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"4","id":"r","features":{"country":"SECRET","age":1,"other":"x"}}`)
	if c := b.chunk(); holds(c, "SECRET") || cell(c, "country", 0) != testKey.Pseudonym("SECRET") || cell(c, "age", 0) != "absent" || cell(c, "other", 0) != "x" {
		t.Errorf("version 4: country %s, age %s, other %s", cell(c, "country", 0), cell(c, "age", 0), cell(c, "other", 0))
	}
	b.mustSend(`{"kind":"label","model":"fraud","id":"r","label":"ok","email":"SECRET","features":{"country":"SECRET"}}`)
	if c := b.chunk(); holds(c, "SECRET") {
		t.Errorf("label: _extra %s", cell(c, "_extra", 0))
	}
	b.mustSend(`{"kind":"prediction","model":"other","version":"1","id":"r","features":{"country":"DE"}}`)
	if c := b.chunk(); cell(c, "country", 0) != "DE" {
		t.Errorf("another model: country %s", cell(c, "country", 0))
	}
}

func TestHashedIDs(t *testing.T) {
	t.Parallel()
	b := setupPrivate(t, PrivacyOptions{Key: testKey, HashIDs: []string{"fra*"}}, fraud())
	b.mustSend(`{"kind":"prediction","model":"fraud","version":"3","id":"joe@example.com","group":"session-1","features":{}}`)
	p := b.chunk()
	b.mustSend(`{"kind":"label","model":"fraud","id":"joe@example.com","label":"ok","group":"session-1"}`)
	l := b.chunk()
	want := testKey.Pseudonym("joe@example.com")
	for _, c := range []*table.Chunk{p, l} {
		if got := cell(c, "_id", 0); got != want || cell(c, "_group", 0) != testKey.Pseudonym("session-1") {
			t.Errorf("_id %s, want %s; _group %s", got, want, cell(c, "_group", 0))
		}
		if got := c.Column("_rank").Ints[0]; got != modelwatch.Rank(modelwatch.Salt{}, []byte(want)) {
			t.Errorf("_rank %d is not that of the id as it is written", got)
		}
	}
	b.mustSend(`{"kind":"label","model":"credit","id":"joe","label":"ok"}`)
	if c := b.chunk(); cell(c, "_id", 0) != "joe" {
		t.Errorf("another model: _id %s", cell(c, "_id", 0))
	}
}

// redacted is what is kept of a record that has no place.
func (b *decoderBundle) redacted(value string, parsed bool, headers ...kgo.RecordHeader) modelwatch.DeadLetter {
	b.t.Helper()
	r := b.record(value, headers...)
	r.Key = []byte("SECRET")
	_, rejected, err := b.decoder.decode(context.Background(), r)
	if err != nil || rejected == nil {
		b.t.Fatalf("%s is not rejected: %v", value, err)
	}
	d := newLetter(r, rejected, testNow)
	if err := b.decoder.versions.private.redact(context.Background(), &d, parsed); err != nil {
		b.t.Fatal(err)
	}
	return d
}

func TestRedactedLetters(t *testing.T) {
	t.Parallel()
	secret := kgo.RecordHeader{Key: "user", Value: []byte("SECRET")}
	model := kgo.RecordHeader{Key: headerModel, Value: []byte("fraud")}
	const noID = `{"kind":"prediction","model":"fraud","version":"9","email":"SECRET","features":{"country":"DE","age":9,"amount":2,"zip":"10115"},"tags":{"user":"u","x":"y"},"prediction":{"score":0.5}}`
	redactedNoID := `{"kind":"prediction","model":"fraud","version":"9","features":{"country":"` + testKey.Pseudonym("DE") +
		`","amount":2,"zip":"10"},"tags":{"user":"` + testKey.Pseudonym("u") + `","x":"y"},"prediction":{"score":0.5}}`
	for name, tt := range map[string]struct {
		options PrivacyOptions
		value   string
		foreign bool   // of another format
		want    string // "": nothing is kept
		whole   bool   // nothing is redacted
	}{
		"rules":                {PrivacyOptions{Key: testKey}, noID, false, redactedNoID, false},
		"duplicates":           {PrivacyOptions{Key: testKey}, `{"kind":"label","model":"fraud","email":"SECRET","email":"SECRET"}`, false, `{"kind":"label","model":"fraud"}`, false},
		"broken":               {PrivacyOptions{Key: testKey}, `{"model":"fraud","email":"SECRET"`, false, "", false},
		"model not known":      {PrivacyOptions{Key: testKey}, `{"email":"SECRET"`, false, "", false},
		"no object":            {PrivacyOptions{Key: testKey}, `["SECRET"]`, false, "", false},
		"other format":         {PrivacyOptions{Key: testKey}, noID, true, "", false},
		"broken, to be kept":   {PrivacyOptions{Key: testKey, KeepUnparsed: true}, `{"model":"fraud","email":"SECRET"`, false, `{"model":"fraud","email":"SECRET"`, true},
		"model without rules":  {PrivacyOptions{Key: testKey}, `{"model":"credit","email":"a"}`, false, `{"model":"credit","email":"a"}`, true},
		"ids":                  {PrivacyOptions{Key: testKey, HashIDs: []string{"*"}}, `{"model":"credit","id":"joe","group":7}`, false, `{"model":"credit","id":"` + testKey.Pseudonym("joe") + `","group":"` + testKey.Pseudonym("7") + `"}`, false},
		"ids, model not known": {PrivacyOptions{Key: testKey, HashIDs: []string{"credit"}}, `{"id":"SECRET"`, false, "", false},
		"id of a wrong type":   {PrivacyOptions{Key: testKey, HashIDs: []string{"*"}}, `{"model":"credit","id":{"x":"SECRET"}}`, false, `{"model":"credit","id":null}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			versions := []modelwatch.Version{privateFraud(t)}
			if strings.HasPrefix(name, "id") {
				versions = nil
			}
			b := setupPrivate(t, tt.options, versions...)
			d := b.redacted(tt.value, !tt.foreign, secret)
			if string(d.Value) != tt.want || d.Redacted == tt.whole || d.Size != int64(len(tt.value)) || len(d.Checksum) != 64 || d.Truncated != (tt.want == "") {
				t.Errorf("kept %q, want %q; %+v", d.Value, tt.want, d)
			}
			if !tt.whole && (d.Key != nil || len(d.Headers) != 0 || strings.Contains(d.Detail, "SECRET")) {
				t.Errorf("key %q, headers %v, detail %q", d.Key, d.Headers, d.Detail)
			}
		})
	}
	b := setupPrivate(t, PrivacyOptions{Key: testKey}, privateFraud(t))
	if d := b.redacted(`{"kind":"prediction"}`, true, secret, model); len(d.Headers) != 1 || d.Headers[0].Key != headerModel || d.Model != "fraud" {
		t.Errorf("headers %v, model %q", d.Headers, d.Model)
	}
	// Where nothing is private nothing is touched.
	b = setupPrivate(t, PrivacyOptions{}, fraud())
	if d := b.redacted(`{"email":"a`, true, secret); string(d.Value) != `{"email":"a` || d.Redacted || string(d.Key) != "SECRET" || len(d.Headers) != 1 {
		t.Errorf("kept %+v", d)
	}
}

// TestNothingPrivateIsWritten places a secret wherever a rule covers it, in events
// that are kept and in records that are not.
func TestNothingPrivateIsWritten(t *testing.T) {
	t.Parallel()
	v := privateFraud(t)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"email", "phone", "country", "age", "note", `e\u006dail`, "amount", "x"})
		var value func(private bool, depth int) string
		value = func(private bool, depth int) string {
			kinds := []string{"text", "number", "null"}
			if depth < 4 {
				kinds = append(kinds, "object", "array")
			}
			switch rapid.SampledFrom(kinds).Draw(t, "kind") {
			case "number":
				return "1"
			case "null":
				return "null"
			case "object":
				name := names.Draw(t, "name")
				return `{"` + name + `":` + value(private || name != "amount" && name != "x", depth+1) + `}`
			case "array":
				return "[" + value(private, depth+1) + "," + value(private, depth+1) + "]"
			}
			if private {
				return `"SECRET"`
			}
			return `"text"`
		}
		member := func() string {
			name := names.Draw(t, "name")
			return `"` + name + `":` + value(name != "amount" && name != "x", 0)
		}
		id := rapid.SampledFrom([]string{`"id":"r",`, ""}).Draw(t, "id")
		event := `{"kind":"prediction","model":"fraud","version":"3",` + id + member() + `,"features":{` + member() + `},"tags":{"user":` + value(true, 0) + `,"host":` + value(true, 0) + `}}`
		b := setupPrivate(nopTB{}, PrivacyOptions{Key: testKey}, v)
		r := b.record(event)
		out, rejected, err := b.decoder.decode(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if rejected == nil {
			b.batch.add(&b.decoder.event, out)
			for _, f := range b.batch.files() {
				f.seal()
				if holds(f.chunk(), "SECRET") {
					t.Fatalf("a row holds the secret of %s", event)
				}
			}
			return
		}
		d := newLetter(r, rejected, testNow)
		if err := b.decoder.versions.private.redact(context.Background(), &d, true); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(d.Value)+d.Detail, "SECRET") {
			t.Fatalf("a dead letter holds the secret of %s: %s", event, d.Value)
		}
	})
}

// nopTB is for helpers that do not use it.
type nopTB struct{ testing.TB }

func (nopTB) Helper() {}

func TestRedactAsksTheCatalog(t *testing.T) {
	t.Parallel()
	b := setupPrivate(t, PrivacyOptions{Key: testKey}, privateFraud(t))
	b.catalog.setFail(func(string) error { return errors.New("away") })
	d := modelwatch.DeadLetter{Model: "fraud", Value: []byte("{}")}
	if err := b.decoder.versions.private.redact(t.Context(), &d, true); err == nil || d.Redacted {
		t.Errorf("the letter is %+v, %v: without the catalog nobody knows what to redact", d, err)
	}
}

// TestReplayOfARedactedLetter: what was hashed stays as it is, in the archive and
// where it meets its label.
func TestReplayOfARedactedLetter(t *testing.T) {
	bubble(t, 1, func(t *testing.T, b *testBundle) {
		v := modelwatch.Version{Model: "m", Name: "1", Schema: modelwatch.Schema{
			Features: []modelwatch.Feature{{Name: "email", Type: modelwatch.TypeCategory}, {Name: "n", Type: modelwatch.TypeNumber}},
			Privacy:  modelwatch.Privacy{Columns: rules(t, map[string]string{"email": "hash"})},
		}}
		b.catalog.put(v)
		o := b.options("a")
		later, advance := laterClock()
		o.Now = later
		o.Privacy = PrivacyOptions{Key: testKey, HashIDs: []string{"m"}}
		at := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
		b.produce(0, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"joe","time":%q,"features":{"n":1,"email":"a@b"}}`, at))
		r := b.start(o)
		b.awaitOffsets(1)
		letter, record := lettersOf(b.catalog.ledger())[0], b.record(0, 0)
		if strings.Contains(string(letter.Value), "joe") || strings.Contains(string(letter.Value), "a@b") || !letter.Redacted {
			t.Fatalf("the letter is %s", letter.Value)
		}
		advance()
		b.catalog.queueAs(record, modelwatch.ReplayState{State: modelwatch.DeadLetterQueued, Kept: true, Redacted: true})
		b.republish(0, letter, record)
		b.produce(0, `{"kind":"prediction","model":"m","version":"1","id":"joe","features":{"n":1,"email":"a@b"}}`)
		b.awaitOffsets(3)
		r.stop()
		if n := keptIDs(b.catalog, b.archive, modelwatch.KindPrediction)[testKey.Pseudonym("joe")]; n != 2 {
			t.Errorf("%d rows have the pseudonym of the id, want that of the replay and that of the record itself", n)
		}
		for _, commit := range b.catalog.ledger() {
			for _, f := range commit.Files {
				c := b.archive.chunk(f.Key)
				for i := range c.Rows {
					if got := cell(c, "email", i); got != testKey.Pseudonym("a@b") {
						t.Errorf("email is %s", got)
					}
				}
			}
		}
	})
}
