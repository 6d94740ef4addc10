package format_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// The schemas of the registry in tests.
const (
	flatAvro = `{"type":"record","name":"Scored","namespace":"risk","fields":[
		{"name":"row","type":"string"},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"amount","type":["null","double"]},
		{"name":"country","type":{"type":"enum","name":"Country","symbols":["DE","FR"]}},
		{"name":"vip","type":"boolean"},
		{"name":"born","type":{"type":"int","logicalType":"date"}},
		{"name":"balance","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
		{"name":"embedding","type":{"type":"array","items":"float"}},
		{"name":"address","type":["null",{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}]},
		{"name":"flags","type":{"type":"map","values":"int"}},
		{"name":"p","type":"float"}]}`
	eventAvro = `{"type":"record","name":"Event","fields":[
		{"name":"kind","type":"string"},{"name":"model","type":"string"},{"name":"id","type":"string"},
		{"name":"features","type":"risk.Features"}]}`
	featuresAvro  = `{"type":"record","name":"Features","namespace":"risk","fields":[{"name":"amount","type":"double"},{"name":"note","type":["null","string"]}]}`
	endlessAvro   = `{"type":"record","name":"Endless","fields":[{"name":"next","type":"Endless"}]}`
	promisingAvro = `{"type":"record","name":"Promise","fields":[{"name":"list","type":{"type":"array","items":"null"}}]}`
	flatProto     = `syntax = "proto3";
package risk;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "address.proto";
message Other { string x = 1; }
message Batch {
  message Scored {
    string row = 1;
    google.protobuf.Timestamp at = 2;
    double amount = 3;
    optional int32 age = 4;
    enum Country { DE = 0; FR = 1; }
    Country country = 5;
    repeated float embedding = 6;
    map<string, int64> counts = 7;
    Address address = 8;
    google.protobuf.Int64Value big = 9;
    google.protobuf.Struct any = 10;
    bytes raw = 11;
    float p = 12;
    uint64 unsigned = 13;
  }
}`
	addressProto = `syntax = "proto3"; package risk; message Address { string city = 1; }`
	flatJSON     = `{"type":"object","required":["row"],"properties":{"row":{"type":"string"},"amount":{"$ref":"amount.json"},"p":{"type":"number"}}}`
	amountJSON   = `{"type":"number","minimum":0}`
)

// registry is a schema registry on a real port, of which each answer can be
// replaced.
type registry struct {
	*srfake.Registry
	asked atomic.Int64
	down  atomic.Bool
}

func setupRegistry(t testing.TB) *registry {
	t.Helper()
	r := &registry{Registry: srfake.New()}
	t.Cleanup(r.Close)
	r.SeedSchema("flat", 1, 1, sr.Schema{Schema: flatAvro})
	r.SeedSchema("features", 3, 2, sr.Schema{Schema: featuresAvro})
	r.SeedSchema("event", 1, 3, sr.Schema{Schema: eventAvro, References: []sr.SchemaReference{{Name: "risk.Features", Subject: "features", Version: 3}}})
	r.SeedSchema("address", 1, 4, sr.Schema{Schema: addressProto, Type: sr.TypeProtobuf})
	r.SeedSchema("proto", 1, 5, sr.Schema{Schema: flatProto, Type: sr.TypeProtobuf, References: []sr.SchemaReference{{Name: "address.proto", Subject: "address", Version: 1}}})
	r.SeedSchema("amount", 1, 6, sr.Schema{Schema: amountJSON, Type: sr.TypeJSON})
	r.SeedSchema("json", 1, 7, sr.Schema{Schema: flatJSON, Type: sr.TypeJSON, References: []sr.SchemaReference{{Name: "amount.json", Subject: "amount", Version: 1}}})
	r.SeedSchema("endless", 1, 8, sr.Schema{Schema: endlessAvro})
	r.SeedSchema("promise", 1, 9, sr.Schema{Schema: promisingAvro})
	r.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		r.asked.Add(1)
		if r.down.Load() {
			http.Error(w, "out to lunch", http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	return r
}

func (r *registry) make(t testing.TB, name string, o format.Options) format.Format {
	t.Helper()
	o.Registry = &format.Registry{URLs: []string{r.URL()}}
	f, err := format.New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func header(id byte, data ...byte) []byte { return append([]byte{0, 0, 0, 0, id}, data...) }

func flatRecord(t testing.TB) []byte {
	t.Helper()
	b, err := avro.Marshal(avro.MustParse(flatAvro), map[string]any{
		"row": "r-1", "at": time.Date(2026, 11, 21, 10, 0, 0, 5e6, time.UTC), "amount": 12.5, "country": "FR", "vip": true,
		"born": time.Date(1980, 2, 29, 0, 0, 0, 0, time.UTC), "balance": big.NewRat(-12345, 100), "embedding": []float32{0.5, -1},
		"address": map[string]any{"risk.Address": map[string]any{"city": "Köln"}}, "flags": map[string]int{"a": 1}, "p": float32(0.1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scored encodes JSON as a message of flatProto.
func scored(t testing.TB, text string) []byte {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"flat.proto": flatProto, "address.proto": addressProto}),
	})}
	files, err := c.Compile(context.Background(), "flat.proto")
	if err != nil {
		t.Fatal(err)
	}
	var d protoreflect.MessageDescriptor = files[0].Messages().ByName("Batch").Messages().ByName("Scored")
	m := dynamicpb.NewMessage(d)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const scoredText = `{"row":"r-2","at":"2026-11-21T10:00:00.5Z","amount":1.5,"age":0,"country":"FR","embedding":[0.5,2],"counts":{"z":"1","x":"9007199254740993","a":"2"},"address":{"city":"Ulm"},"big":"-9223372036854775808","any":{"k":[true,null]},"raw":"REU=","p":0.1,"unsigned":"18446744073709551615"}`

// TestRegistryFormats checks the values of each type, in events of each shape.
func TestRegistryFormats(t *testing.T) {
	t.Parallel()
	flat := format.Options{Columns: map[string]string{"id": "row", "time": "at", "score": "p"}}
	nested := format.Options{Paths: map[string]string{"id": "$.row", "features.city": "$.address.city", "time": "$.at"}}
	event, err := avro.Marshal(avro.MustParse(strings.Replace(eventAvro, `"risk.Features"`, featuresAvro, 1)), map[string]any{
		"kind": "prediction", "model": "m", "id": "e-1", "features": map[string]any{"amount": 2.5, "note": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	place := []byte{4, 2, 0} // two steps: message 1, and in it message 0
	for _, tt := range []struct {
		name, format string
		options      format.Options
		value        []byte
		want         string
	}{
		{"avro flat", "avro", flat, header(1, flatRecord(t)...), `{"kind":"prediction","id":"r-1","time":"2026-11-21T10:00:00.005Z","features":{"amount":12.5,"country":"FR","vip":true,"born":"1980-02-29T00:00:00Z","balance":-123.45,"embedding":[0.5,-1],"address":{"city":"Köln"},"flags":{"a":1}},"prediction":{"score":0.1}}`},
		{"avro by paths", "avro", nested, header(1, flatRecord(t)...), `{"kind":"prediction","id":"r-1","time":"2026-11-21T10:00:00.005Z","features":{"city":"Köln"}}`},
		{"avro canonical, with a reference", "avro", format.Options{}, header(3, event...), `{"kind":"prediction","model":"m","id":"e-1","features":{"amount":2.5,"note":null}}`},
		{"avro cut", "avro", flat, header(1, flatRecord(t)[:20]...), `! invalid_format: the value is not of schema 1: `},
		{"avro with bytes behind", "avro", flat, header(1, append(flatRecord(t), 1)...), `! invalid_format: the value is not of schema 1: there are bytes behind it`},
		{"avro that never ends", "avro", flat, header(8), `! invalid_format: the value is not of schema 8: values are nested too deeply`},
		{"avro that promises a lot", "avro", flat, header(9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), `! invalid_format: the value is not of schema 9: values are nested too deeply`},
		{"protobuf flat", "protobuf", flat, header(5, append(place, scored(t, scoredText)...)...), `{"kind":"prediction","id":"r-2","time":"2026-11-21T10:00:00.500Z","features":{"amount":1.5,"age":0,"country":"FR","embedding":[0.5,2],"counts":{"a":2,"x":9007199254740993,"z":1},"address":{"city":"Ulm"},"big":-9223372036854775808,"any":{"k":[true, null]},"raw":"DE","unsigned":18446744073709551615},"prediction":{"score":0.1}}`},
		{"protobuf empty", "protobuf", flat, header(5, place...), `{"kind":"prediction","features":{"amount":0,"country":"DE","embedding":[],"counts":{},"raw":"","unsigned":0},"prediction":{"score":0}}`},
		{"protobuf first message", "protobuf", format.Options{Columns: map[string]string{"id": "x"}}, header(5, 0, 0x0a, 1, 'a'), `{"kind":"prediction","id":"a"}`},
		{"protobuf without a place", "protobuf", flat, header(5), `! invalid_format: behind the id of the schema there is no place of a message`},
		{"protobuf of a place that is not", "protobuf", flat, header(5, 2, 14), `! invalid_format: schema 5 has no message [7]`},
		{"protobuf that is none", "protobuf", flat, header(5, append(place, 0xff)...), `! invalid_format: the value is not of schema 5: `},
		{"json schema", "jsonschema", flat, header(7, []byte(`{"row":"r-3","amount":3,"p":0.25}`)...), `{"kind":"prediction","id":"r-3","features":{"amount":3},"prediction":{"score":0.25}}`},
		{"json schema not met", "jsonschema", flat, header(7, []byte(`{"row":"r-3","amount":-3}`)...), `! invalid_format: the value is not of schema 7: `},
		{"json schema, no JSON", "jsonschema", flat, header(7, []byte(`{"row"`)...), `! invalid_json: `},
		{"no header", "jsonschema", flat, []byte(`{"row":"r-3"}`), `! invalid_format: the value does not begin with the id of a schema`},
		{"empty", "avro", flat, nil, `! invalid_format: the value does not begin with the id of a schema`},
		{"unknown schema", "avro", flat, header(99), `! unknown_schema: the schema registry has no schema 99: `},
		{"another kind of schema", "avro", flat, header(5), `! invalid_format: schema 5 is PROTOBUF; the format of the source wants AVRO`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := setupRegistry(t).make(t, tt.format, tt.options)
			got := decode(t, f, &format.Record{Value: tt.value, Time: received})
			got = strings.ReplaceAll(got, `[true,null]`, `[true, null]`) // protojson's spaces vary
			if strings.HasPrefix(tt.want, "!") {
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				return
			}
			if d := cmp.Diff(tt.want+"\n", got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestRegistryOutage checks that a registry that does not answer is no fault of
// the record, that a schema is asked for once, and one that is unknown, too.
func TestRegistryOutage(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	f := r.make(t, "jsonschema", format.Options{Columns: map[string]string{"id": "row"}})
	record := &format.Record{Value: header(6, '1'), Time: received}
	r.down.Store(true)
	_, err := f.Decode(context.Background(), record, nil)
	if fail := (*format.Failure)(nil); err == nil || errors.As(err, &fail) || !strings.Contains(err.Error(), "status 503") {
		t.Fatalf("got %v, want an error that says nothing about the record", err)
	}
	r.down.Store(false)
	r.asked.Store(0)
	for range 3 {
		_, err := f.Decode(context.Background(), record, nil)
		if fail := (*format.Failure)(nil); !errors.As(err, &fail) || fail.Reason != modelwatch.DeadNotObject {
			t.Fatalf("got %v, want a number that is no event", err)
		}
	}
	if n := r.asked.Load(); n != 1 {
		t.Errorf("a schema was asked for %d times, want once", n)
	}
	r.asked.Store(0)
	for range 3 {
		_, err := f.Decode(context.Background(), &format.Record{Value: header(99), Time: received}, nil)
		if fail := (*format.Failure)(nil); !errors.As(err, &fail) || fail.Reason != modelwatch.DeadUnknownSchema {
			t.Fatalf("got %v, want an unknown schema", err)
		}
	}
	if n := r.asked.Load(); n != 1 {
		t.Errorf("an unknown schema was asked for %d times, want once", n)
	}
}

// TestRegistryReferenceMissing checks that a reference to nothing is a fault of
// the schema, not of the registry.
func TestRegistryReferenceMissing(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	gone := fmt.Sprintf(`{"schema":%q,"references":[{"name":"x","subject":"gone","version":1}]}`, `"string"`)
	r.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path != "/schemas/ids/50" {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		_, err := w.Write([]byte(gone))
		return err == nil
	})
	f := r.make(t, "avro", format.Options{})
	got := decode(t, f, &format.Record{Value: header(50), Time: received})
	if want := `! unknown_schema: the schema registry has no subject "gone", version 1, to which a schema refers`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRegistryOptions(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"avro", "protobuf", "jsonschema"} {
		if _, err := format.New(name, format.Options{}); err == nil || !strings.Contains(err.Error(), "registry") {
			t.Errorf("%s without a registry: got %v", name, err)
		}
	}
}

// fuzzRegistry is fuzzFormat for values of any of the schemas, and for what names
// them in a header; "" is none.
func fuzzRegistry(f *testing.F, name, subject string, place []byte, values ...[]byte) {
	r := setupRegistry(f)
	one := r.make(f, name, format.Options{Columns: map[string]string{"id": "row"}})
	guid := append(append([]byte{1}, r.guid(f, subject)...), place...)
	for _, v := range values {
		f.Add(v, []byte{})
		f.Add(v[min(5+len(place), len(v)):], guid)
		f.Add(append(bytes.Clone(guid), v[min(5+len(place), len(v)):]...), []byte{})
	}
	f.Fuzz(func(t *testing.T, value, name []byte) {
		record := &format.Record{Value: value, Time: received}
		if len(name) > 0 {
			record.Headers = schemaHeader(name...)
		}
		decode(t, one, record)
	})
}

func FuzzAvro(f *testing.F) {
	fuzzRegistry(f, "avro", "flat", nil, header(1, flatRecord(f)...), header(8), header(9, 0xfe, 0x7f), header(99))
}

func FuzzProtobuf(f *testing.F) {
	fuzzRegistry(f, "protobuf", "proto", []byte{4, 2, 0}, header(5, append([]byte{4, 2, 0}, scored(f, scoredText)...)...), header(5, 0, 0x0a, 1, 'a'))
}

func FuzzJSONSchema(f *testing.F) {
	fuzzRegistry(f, "jsonschema", "json", nil, header(7, []byte(`{"row":"r-3","amount":3,"p":0.25}`)...), header(6, '1'))
}

func TestRegistryCheck(t *testing.T) {
	t.Parallel()
	r := setupRegistry(t)
	subjects, err := (&format.Registry{URLs: []string{r.URL()}}).Check(context.Background())
	if err != nil || subjects != 9 {
		t.Errorf("got %d subjects, %v", subjects, err)
	}
	r.down.Store(true)
	if _, err := (&format.Registry{URLs: []string{r.URL()}}).Check(context.Background()); err == nil {
		t.Error("a registry that is down passes")
	}
}
