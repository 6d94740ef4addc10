package format_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// guid is that of the latest schema of a subject.
func (r *registry) guid(t testing.TB, subject string) []byte {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(r.URL()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.SchemaByVersion(context.Background(), subject, -1)
	if err != nil {
		t.Fatal(err)
	}
	id, err := uuid.Parse(s.GUID)
	if err != nil {
		t.Fatalf("the registry gives subject %q the GUID %q: %v", subject, s.GUID, err)
	}
	return id[:]
}

// schemaHeader is the header that names the schema of a value.
func schemaHeader(value ...byte) []format.Header {
	return []format.Header{{Key: "__value_schema_id", Value: value}}
}

// TestFramings checks that a value is the same event whichever of the framings of
// Confluent's serializers (SchemaId.java) it has: the schema's number, after a zero
// byte, or its GUID, after a one, in the header or before the value; of protobuf,
// followed by the place of the message.
func TestFramings(t *testing.T) {
	t.Parallel()
	flat := format.Options{Columns: map[string]string{"id": "row", "time": "at", "score": "p"}}
	for _, tt := range []struct {
		format, subject string
		number          byte
		place           []byte
		value           []byte
	}{
		{"avro", "flat", 1, nil, flatRecord(t)},
		{"protobuf", "proto", 5, []byte{4, 2, 0}, scored(t, scoredText)},
		{"jsonschema", "json", 7, nil, []byte(`{"row":"r-3","amount":3,"p":0.25}`)},
	} {
		t.Run(tt.format, func(t *testing.T) {
			t.Parallel()
			r := setupRegistry(t)
			f := r.make(t, tt.format, flat)
			number := append(header(tt.number), tt.place...)
			guid := append(append([]byte{1}, r.guid(t, tt.subject)...), tt.place...)
			want := decode(t, f, &format.Record{Value: append(bytes.Clone(number), tt.value...), Time: received})
			if !strings.HasPrefix(want, `{"kind":"prediction","id":"r-`) {
				t.Fatalf("got %s, want a prediction", want)
			}
			for name, record := range map[string]*format.Record{
				"GUID in the header":       {Value: tt.value, Headers: schemaHeader(guid...)},
				"number in the header":     {Value: tt.value, Headers: schemaHeader(number...)},
				"GUID before the value":    {Value: append(bytes.Clone(guid), tt.value...)},
				"the last of two headers":  {Value: tt.value, Headers: append(schemaHeader(9), schemaHeader(guid...)...)},
				"the key's header besides": {Value: tt.value, Headers: append(schemaHeader(guid...), format.Header{Key: "__key_schema_id", Value: []byte{9}})},
			} {
				if d := cmp.Diff(want, decode(t, f, record)); d != "" {
					t.Errorf("%s:\n%s", name, d)
				}
			}
		})
	}
}

// TestFramingsRefused checks what names no schema, and that each says so.
func TestFramingsRefused(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	guid := func(subject string, more ...byte) []format.Header {
		return schemaHeader(append(append([]byte{1}, r.guid(t, subject)...), more...)...)
	}
	record := flatRecord(t)
	unknown := append([]byte{1}, bytes.Repeat([]byte{0xab}, 16)...)
	for _, tt := range []struct {
		name, format string
		headers      []format.Header
		value        []byte
		want         string
	}{
		{"empty header", "avro", schemaHeader(), record, `! invalid_format: the header __value_schema_id has 0 bytes; it must be 1 and a GUID of 16 bytes, or 0 and an id of 4`},
		{"cut GUID", "avro", schemaHeader(unknown[:16]...), record, `! invalid_format: the header __value_schema_id has 16 bytes`},
		{"cut number", "avro", schemaHeader(0, 0, 0, 1), record, `! invalid_format: the header __value_schema_id has 4 bytes`},
		{"another magic byte", "avro", schemaHeader(append([]byte{2}, unknown[1:]...)...), record, `! invalid_format: the header __value_schema_id has 17 bytes`},
		{"text", "avro", schemaHeader([]byte("abababab-abab-abab-abab-abababababab")...), record, `! invalid_format: the header __value_schema_id has 36 bytes`},
		{"cut GUID before the value", "avro", nil, unknown[:16], `! invalid_format: the value does not begin with the id of a schema`},
		{"unknown GUID", "avro", schemaHeader(unknown...), record, `! unknown_schema: the schema registry has no schema abababab-abab-abab-abab-abababababab: `},
		{"another kind", "avro", guid("proto", 4, 2, 0), record, `is PROTOBUF; the format of the source wants AVRO`},
		{"no place", "protobuf", guid("proto"), record, `! invalid_format: behind the id of the schema there is no place of a message`},
		{"endless place", "protobuf", guid("proto", bytes.Repeat([]byte{0xff}, 64)...), record, `! invalid_format: behind the id of the schema there is no place of a message`},
		{"place of many steps", "protobuf", guid("proto", 0xfe, 0xff, 0xff, 0xff, 0x0f), record, `! invalid_format: behind the id of the schema there is no place of a message`},
		{"place that is not", "protobuf", guid("proto", 2, 14), record, ` has no message [7]`},
		{"value not of it", "avro", guid("flat"), record[:20], `! invalid_format: the value is not of schema `},
	} {
		if got := decode(t, r.make(t, tt.format, format.Options{}), &format.Record{Value: tt.value, Headers: tt.headers, Time: received}); !strings.Contains(got, tt.want) || got[0] != '!' {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestRegistryWithoutGUIDs: a registry of before there were GUIDs can never tell
// which schema it is, so the record is a dead letter that says what to do. A proxy
// that answers so to all it is asked is no registry, and is waited for.
func TestRegistryWithoutGUIDs(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	closed := ""
	r.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasPrefix(q.URL.Path, "/schemas/guids/") && q.URL.Path != closed {
			return false
		}
		http.Error(w, `{"error_code":404,"message":"HTTP 404 Not Found"}`, http.StatusNotFound)
		return true
	})
	record := &format.Record{Value: flatRecord(t), Headers: schemaHeader(append([]byte{1}, r.guid(t, "flat")...)...), Time: received}
	got := decode(t, r.make(t, "avro", format.Options{}), record)
	if !strings.HasPrefix(got, "! unknown_schema: the schema registry cannot look up schema ") || !strings.Contains(got, "it has no /schemas/guids; use one that has, or let producers write ids") {
		t.Errorf("got %s", got)
	}
	closed = "/subjects"
	_, err := r.make(t, "avro", format.Options{}).Decode(context.Background(), record, nil)
	if fail := (*format.Failure)(nil); err == nil || errors.As(err, &fail) || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("got %v, want an error that says nothing about the record", err)
	}
}

// TestGUIDAskedOnce checks that GUIDs are remembered as numbers are.
func TestGUIDAskedOnce(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	f := r.make(t, "jsonschema", format.Options{})
	for _, guid := range [][]byte{r.guid(t, "amount"), bytes.Repeat([]byte{7}, 16)} {
		r.asked.Store(0)
		for range 3 {
			_, err := f.Decode(context.Background(), &format.Record{Value: []byte("1"), Headers: schemaHeader(append([]byte{1}, guid...)...)}, nil)
			if fail := (*format.Failure)(nil); !errors.As(err, &fail) || fail.Reason != modelwatch.DeadNotObject && fail.Reason != modelwatch.DeadUnknownSchema {
				t.Fatalf("got %v", err)
			}
		}
		if n := r.asked.Load(); n != 1 {
			t.Errorf("schema %x was asked for %d times, want once", guid, n)
		}
	}
}

// TestRecordedHeaders checks what Confluent's own serializers have written:
// tools/producers/confluent_headers.py.
func TestRecordedHeaders(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/registry/recorded.txtar")
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, f := range a.Files {
		parts[f.Name] = strings.TrimSpace(string(f.Data))
	}
	r := setupRegistry(t)
	r.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		for name, kind := range map[string]string{"avro": "AVRO", "protobuf": "PROTOBUF", "jsonschema": "JSON"} {
			if q.URL.Path == "/schemas/guids/"+parts[name+"/guid"] {
				_, err := fmt.Fprintf(w, `{"guid":%q,"schemaType":%q,"schema":%q}`, parts[name+"/guid"], kind, parts[name+"/schema"])
				return err == nil
			}
		}
		return false
	})
	for _, name := range []string{"avro", "protobuf", "jsonschema"} {
		key, text, _ := strings.Cut(parts[name+"/header"], ": ")
		header, err := base64.StdEncoding.DecodeString(text)
		value, err2 := base64.StdEncoding.DecodeString(parts[name+"/value.base64"])
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		f := r.make(t, name, format.Options{Columns: map[string]string{"id": "row", "score": "p"}})
		got := decode(t, f, &format.Record{Value: value, Headers: []format.Header{{Key: key, Value: header}}, Time: received})
		if want := `{"kind":"prediction","id":"s-1","features":{"amount":12.5},"prediction":{"score":0.25}}` + "\n"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
