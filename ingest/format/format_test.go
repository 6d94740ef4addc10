package format_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/modelwatch/modelwatch/ingest/format"
)

var update = flag.Bool("update", false, "write what the cases give into their want sections")

// received is the record time of all cases.
var received = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// file is a file of cases: an archive with a section "options" and, for each case,
// sections "<case>/value", "/value.base64", "/topic", "/key", "/headers", "/want".
// What is wanted is an event per line, or "! reason: detail".
type file struct {
	path    string
	format  string
	archive *txtar.Archive
	options format.Options
	cases   []string
}

func readFile(t testing.TB, path string) *file {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{path: path, format: filepath.Base(filepath.Dir(path)), archive: a}
	for _, s := range a.Files {
		if s.Name == "options" {
			d := json.NewDecoder(bytes.NewReader(s.Data))
			d.DisallowUnknownFields()
			if err := d.Decode(&f.options); err != nil {
				t.Fatalf("%s: options: %v", path, err)
			}
			continue
		}
		name, _, _ := strings.Cut(s.Name, "/")
		if !slices.Contains(f.cases, name) {
			f.cases = append(f.cases, name)
		}
	}
	return f
}

func readFiles(t testing.TB, pattern string) []*file {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases at %s: %v", pattern, err)
	}
	var out []*file
	for _, p := range paths {
		out = append(out, readFile(t, p))
	}
	return out
}

func (f *file) section(name, part string) *txtar.File {
	for i := range f.archive.Files {
		if f.archive.Files[i].Name == name+"/"+part {
			return &f.archive.Files[i]
		}
	}
	return nil
}

// record makes the record of a case. The last line feed of a section is not part
// of what it says.
func (f *file) record(t testing.TB, name string) *format.Record {
	t.Helper()
	part := func(part string) []byte {
		if s := f.section(name, part); s != nil {
			return bytes.TrimSuffix(s.Data, []byte("\n"))
		}
		return nil
	}
	r := &format.Record{Topic: "topic", Key: part("key"), Value: part("value"), Time: received}
	if topic := part("topic"); topic != nil {
		r.Topic = string(topic)
	}
	if b := part("value.base64"); b != nil {
		var err error
		if r.Value, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), "")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for line := range strings.Lines(string(part("headers"))) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			t.Fatalf("%s: header %q", name, line)
		}
		r.Headers = append(r.Headers, format.Header{Key: key, Value: []byte(value)})
	}
	return r
}

// decode renders what a format makes of a record.
func decode(t testing.TB, f format.Format, r *format.Record) string {
	t.Helper()
	events, err := f.Decode(context.Background(), r, nil)
	if fail := (*format.Failure)(nil); errors.As(err, &fail) {
		return fmt.Sprintf("! %s: %s\n", fail.Reason, fail.Detail)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i := range events {
		from := len(out)
		out = events[i].AppendJSON(out)
		if v := jsontext.Value(out[from:]); !v.IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("event %d is not JSON: %s", i, v)
		}
		out = append(out, '\n')
	}
	return string(out)
}

// runCases checks each case of the files.
func runCases(t *testing.T, pattern string, with func(*format.Options)) {
	for _, file := range readFiles(t, pattern) {
		with(&file.options)
		f, err := format.New(file.format, file.options)
		if err != nil {
			t.Fatalf("%s: %v", file.path, err)
		}
		for _, name := range file.cases {
			t.Run(filepath.Base(file.path)+"/"+name, func(t *testing.T) {
				got := decode(t, f, file.record(t, name))
				want := file.section(name, "want")
				if want == nil {
					if !*update {
						t.Fatal("no want section")
					}
					i := slices.IndexFunc(file.archive.Files, func(s txtar.File) bool { return strings.HasPrefix(s.Name, name+"/") })
					for i < len(file.archive.Files) && strings.HasPrefix(file.archive.Files[i].Name, name+"/") {
						i++
					}
					file.archive.Files = slices.Insert(file.archive.Files, i, txtar.File{Name: name + "/want"})
					want = &file.archive.Files[i]
				}
				if *update {
					want.Data = []byte(got)
					return
				}
				if d := cmp.Diff(string(want.Data), got); d != "" {
					t.Error(d)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file.path, txtar.Format(file.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func plain(*format.Options) {}

// TestCases checks each format on the records of testdata/<format>.
func TestCases(t *testing.T) {
	for _, name := range format.Names() {
		if format.NeedsRegistry(name) {
			continue // TestRegistryFormats
		}
		t.Run(name, func(t *testing.T) { runCases(t, "testdata/"+name+"/*.txtar", plain) })
	}
}

// TestOptionsRefused: what cannot be, or has no use, is refused by its name.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, format, want string
		options            format.Options
	}{
		{"format", "xml", `format "xml" is not known`, format.Options{}},
		{"no use", "algorithmia", `"algorithmia" has no use for inputs`, format.Options{Inputs: []string{"a"}}},
		{"kind", "json", `kind "guess" is not known`, format.Options{Kind: "guess"}},
		{"part", "bentoml", `"truth" is no part`, format.Options{Columns: map[string]string{"truth": "y"}}},
		{"two parts", "bentoml", `"p" is named as predicted and as score`, format.Options{Columns: map[string]string{"score": "p", "predicted": "p"}}},
		{"paths and columns", "json", "exclude each other", format.Options{Columns: map[string]string{"id": "a"}, Paths: map[string]string{"id": "$.a"}}},
		{"neither", "json", "needs paths", format.Options{}},
		{"path", "json", `"colour" is not known`, format.Options{Paths: map[string]string{"colour": "$.a"}}},
	} {
		if _, err := format.New(tt.format, tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// fuzzFormat checks that nothing a producer may send makes a format panic, and
// that what it makes of it is JSON. The cases are the corpus.
func fuzzFormat(f *testing.F, name string) {
	files := readFiles(f, "testdata/"+name+"/*.txtar")
	var formats []format.Format
	for i, file := range files {
		one, err := format.New(file.format, file.options)
		if err != nil {
			f.Fatal(err)
		}
		formats = append(formats, one)
		for _, c := range file.cases {
			r := file.record(f, c)
			var headers strings.Builder
			for _, h := range r.Headers {
				fmt.Fprintf(&headers, "%s: %s\n", h.Key, h.Value)
			}
			f.Add(byte(i), r.Value, r.Key, r.Topic, headers.String())
		}
	}
	f.Fuzz(func(t *testing.T, which byte, value, key []byte, topic, headers string) {
		r := &format.Record{Topic: topic, Key: key, Value: value, Time: received}
		for line := range strings.Lines(headers) {
			k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			r.Headers = append(r.Headers, format.Header{Key: k, Value: []byte(v)})
		}
		decode(t, formats[int(which)%len(formats)], r)
	})
}

func FuzzAlgorithmia(f *testing.F) { fuzzFormat(f, "algorithmia") }
func FuzzJSON(f *testing.F)        { fuzzFormat(f, "json") }
func FuzzAzureML(f *testing.F)     { fuzzFormat(f, "azureml") }
func FuzzBentoML(f *testing.F)     { fuzzFormat(f, "bentoml") }
func FuzzDatabricks(f *testing.F)  { fuzzFormat(f, "databricks") }
func FuzzKServe(f *testing.F)      { fuzzFormat(f, "kserve") }
func FuzzMLServer(f *testing.F)    { fuzzFormat(f, "mlserver") }
func FuzzSageMaker(f *testing.F)   { fuzzFormat(f, "sagemaker") }
func FuzzSeldon(f *testing.F)      { fuzzFormat(f, "seldon") }

// TestDeepNesting: what a large record costs does not grow with how deep its lists
// and messages are. The deadline is far from what it takes, and far below what it
// would take if each level were read again.
func TestDeepNesting(t *testing.T) {
	const depth, values = 9000, 2_000_000
	long := "1" + strings.Repeat(",1", values-1)
	for name, body := range map[string]string{
		"lists":    `{"instances":[` + strings.Repeat("[", depth) + long + strings.Repeat("]", depth) + `]}`,
		"messages": strings.Repeat(`{"jsonData":`, depth) + "[" + long + "]" + strings.Repeat("}", depth),
	} {
		f, err := format.New("seldon", format.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := &format.Record{Value: []byte(body), Headers: []format.Header{{Key: "type", Value: []byte("a.request")}}}
		start := time.Now()
		if got := decode(t, f, r); !strings.HasPrefix(got, `{"kind":"input","features":{`) {
			t.Errorf("%s: got %.200s", name, got)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: read in %s", name, took)
		}
	}
}
