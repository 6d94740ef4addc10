package app

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/table"
)

const (
	typeCSV     = "text/csv"
	typeJSON    = "application/x-ndjson"
	typeParquet = "application/vnd.apache.parquet"
	typeBytes   = "application/octet-stream"
)

// creditCSV and creditJSON are the same rows.
func creditCSV(rows int) string {
	var b strings.Builder
	b.WriteString("row,amount,country,vip,proba,outcome\n")
	for i := range rows {
		amount := strconv.Itoa(i * 37 % 1000)
		if i%50 == 7 {
			amount = ""
		}
		fmt.Fprintf(&b, "r%d,%s,%s,%t,0.%02d,%d\n", i, amount, country(i), i%4 == 0, i%100, i%2)
	}
	return b.String()
}

func creditJSON(rows int) string {
	var b strings.Builder
	for i := range rows {
		amount := strconv.Itoa(i * 37 % 1000)
		if i%50 == 7 {
			amount = "null"
		}
		fmt.Fprintf(&b, `{"row":"r%d","amount":%s,"country":%q,"vip":%t,"proba":0.%02d,"outcome":%d}`+"\n", i, amount, country(i), i%4 == 0, i%100, i%2)
	}
	return b.String()
}

func country(i int) string { return []string{"DE", "FR", "US"}[i%3] }

func asParquet(t *testing.T, csv string) string {
	t.Helper()
	spooled, err := table.Spool(t.Context(), table.Source{Name: "rows.csv", ReaderAt: strings.NewReader(csv), Size: int64(len(csv))}, table.SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer spooled.Close()
	text, err := os.ReadFile(spooled.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(text), nil))
}

// upload is a registration of the version 1 of the model credit.
func upload(contentType, encoding, body string) api.RegisterRequest {
	return api.RegisterRequest{Model: "credit", Version: "1", ContentType: contentType, ContentEncoding: encoding, Body: strings.NewReader(body)}
}

func (b *testBundle) register(t *testing.T, r api.RegisterRequest) api.Baseline {
	t.Helper()
	got, err := b.client.RegisterBaseline(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != modelwatch.BaselineReady || got.BaselineDetail == nil {
		t.Fatalf("got %+v, want a ready baseline with its bins", got)
	}
	return got
}

func column(t *testing.T, b api.Baseline, name string) api.BaselineColumn {
	t.Helper()
	for _, c := range b.Columns {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("baseline %s has no column %q", b.ID, name)
	return api.BaselineColumn{}
}

func TestBaselineIsTheSameInEveryForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	csv, json := creditCSV(400), creditJSON(400)
	parquet := asParquet(t, csv)
	want := b.register(t, upload(typeCSV, "", csv))
	if want.Rows != 400 || len(want.Columns) != 6 {
		t.Fatalf("got %d rows, %d columns", want.Rows, len(want.Columns))
	}
	if amount := column(t, want, "amount"); amount.Type != modelwatch.TypeNumber || amount.Missing != 8 || amount.Invalid != 0 {
		t.Errorf("amount: %+v", amount)
	}
	for i, tt := range []struct {
		name string
		r    api.RegisterRequest
	}{
		{"JSON lines", upload(typeJSON, "", json)},
		{"Parquet", upload(typeParquet, "", parquet)},
		{"CSV, Content-Encoding gzip", upload(typeCSV, "gzip", gzipped(t, csv))},
		{"CSV, Content-Encoding zstd", upload(typeCSV, "zstd", zstded(t, csv))},
		{"JSON lines, Content-Encoding zstd", upload(typeJSON, "zstd", zstded(t, json))},
		{"Parquet, Content-Encoding gzip", upload(typeParquet, "gzip", gzipped(t, parquet))},
		{"a .csv.gz file", upload(typeCSV, "", gzipped(t, csv))},
		{"bytes of a CSV file", upload(typeBytes, "", csv)},
		{"bytes of a Parquet file", upload(typeBytes, "", parquet)},
		{"bytes of a .jsonl.gz file", upload(typeBytes, "", gzipped(t, json))},
		{"bytes of a .parquet.zst file", upload(typeBytes, "", zstded(t, parquet))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.r.Version = "form-" + strconv.Itoa(i)
			got := b.register(t, tt.r)
			if got.Rows != want.Rows || got.ContentSHA256 == "" {
				t.Errorf("got %d rows, checksum %q", got.Rows, got.ContentSHA256)
			}
			if diff := cmp.Diff(want.BaselineDetail, got.BaselineDetail); diff != "" {
				t.Errorf("frozen bins differ from those of the CSV file (-csv +got):\n%s", diff)
			}
		})
	}
}

func TestSameContentIsTheSameBaseline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	first := b.register(t, upload(typeCSV, "", creditCSV(200)))
	again := b.register(t, upload(typeCSV, "", creditCSV(200)))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same file again (-first +again):\n%s", diff)
	}
	other := b.register(t, upload(typeCSV, "", creditCSV(201)))
	elsewhere := upload(typeCSV, "", creditCSV(200))
	elsewhere.Version = "2"
	mapped := upload(typeCSV, "", creditCSV(200))
	mapped.Mapping.Score = "proba"
	ids := map[string]bool{first.ID: true, other.ID: true, b.register(t, elsewhere).ID: true, b.register(t, mapped).ID: true}
	if len(ids) != 4 {
		t.Errorf("other rows, another version and another mapping share ids: %v", ids)
	}
	list, err := b.client.Baselines(t.Context(), "credit", "1", api.Page{})
	if err != nil || len(list.Items) != 3 {
		t.Errorf("version 1 has %d baselines (%v), want 3", len(list.Items), err)
	}
	shown, err := b.client.Baseline(t.Context(), "credit", "1", first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, shown); diff != "" {
		t.Errorf("shown later (-registered +shown):\n%s", diff)
	}
}

func TestBaselineMapsColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	r := upload(typeCSV, "", creditCSV(200))
	r.Mapping = modelwatch.ColumnMapping{ID: "row", Score: "proba", Label: "outcome"}
	got := b.register(t, r)
	subjects := map[string]modelwatch.Subject{}
	for _, c := range got.Columns {
		subjects[c.Name] = c.Subject
	}
	want := map[string]modelwatch.Subject{
		"amount": modelwatch.SubjectFeature, "country": modelwatch.SubjectFeature, "vip": modelwatch.SubjectFeature, "proba": modelwatch.SubjectPrediction,
	}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("subjects, under the user's names (-want +got):\n%s", diff)
	}

	// The inferred schema and the mapping are the version's from now on.
	v, err := b.client.Version(t.Context(), "credit", "1")
	if err != nil {
		t.Fatal(err)
	}
	wantSchema := &api.Schema{
		Features: []api.Feature{{Name: "amount", Type: "number"}, {Name: "country", Type: "category"}, {Name: "vip", Type: "boolean"}},
		Score:    "number", Label: "number", Columns: &api.ColumnMapping{ID: "row", Score: "proba", Label: "outcome"},
	}
	if diff := cmp.Diff(wantSchema, v.Schema); diff != "" || !v.Registered {
		t.Errorf("schema of the version, registered: %t (-want +got):\n%s", v.Registered, diff)
	}

	// A later upload says only what is new: the rest of the mapping stays.
	more := upload(typeCSV, "", strings.ReplaceAll(creditCSV(200), "vip", "decision"))
	more.Mapping.Predicted = "decision"
	again := b.register(t, more)
	if column(t, again, "proba").Subject != modelwatch.SubjectPrediction || column(t, again, "decision").Subject != modelwatch.SubjectPrediction {
		t.Errorf("got %+v, want proba and decision as predictions", again.Columns)
	}
}

func TestDeclaredSchemaChecksTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	low, high := 0.0, 900.0
	declared := &api.Schema{Score: "number", Features: []api.Feature{
		{Name: "amount", Type: "number", Unit: "EUR", Minimum: &low, Maximum: &high}, {Name: "country", Type: "category"}, {Name: "row", Type: "text"},
	}}
	if _, _, err := b.client.PutVersion(t.Context(), "credit", "1", api.VersionBody{Schema: declared}); err != nil {
		t.Fatal(err)
	}
	var csv strings.Builder
	csv.WriteString("row,amount,country\n")
	for i := range 200 {
		switch {
		case i%10 == 0:
			fmt.Fprintf(&csv, "%d,lots,%d\n", i, i%3) // text in a number column
		case i%10 == 1:
			fmt.Fprintf(&csv, "%d,901,%d\n", i, i%3) // out of range
		default:
			fmt.Fprintf(&csv, "%d,%d,%d\n", i, i, i%3)
		}
	}
	got := b.register(t, upload(typeCSV, "", csv.String()))
	if c := column(t, got, "amount"); c.Type != modelwatch.TypeNumber || c.Invalid != 40 || c.Missing != 0 || *c.Maximum != 199 {
		t.Errorf("amount: got type %s, %d invalid, %d missing; want number, 40, 0", c.Type, c.Invalid, c.Missing)
	}
	if c := column(t, got, "country"); c.Type != modelwatch.TypeCategory {
		t.Errorf("country holds digits and is declared a category: got %s", c.Type)
	}
	for _, m := range got.Measurements {
		if m.Name == "amount" && m.Metric == "invalid_ratio" && (m.Value == nil || *m.Value != 0.2) {
			t.Errorf("invalid_ratio: got %v, want 0.2", m.Value)
		}
	}

	// What was declared stays, the type of the score too, which these rows lack.
	v, err := b.client.Version(t.Context(), "credit", "1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(declared, v.Schema); diff != "" {
		t.Errorf("schema after the upload (-declared +got):\n%s", diff)
	}
}

func TestBaselineRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	parquet := asParquet(t, creditCSV(300))
	request := func(change func(*api.RegisterRequest)) api.RegisterRequest {
		r := upload(typeCSV, "", creditCSV(10))
		change(&r)
		return r
	}
	for _, tt := range []struct {
		name   string
		r      api.RegisterRequest
		status int
		want   string
	}{
		{"no rows", upload(typeCSV, "", "amount,country\n"), 422, "the baseline has no rows"},
		{"no rows in Parquet", upload(typeParquet, "", asParquet(t, "amount,country\n")), 422, "the baseline has no rows"},
		{"nothing", upload(typeCSV, "", ""), 422, "is empty"},
		{"ragged", upload(typeCSV, "", "amount,country\n1,DE\n2\n3,FR\n"), 422, "the upload:3: 1 fields, the header has 2"},
		{"ragged, late", upload(typeCSV, "", creditCSV(50_000)+"1,2\n"), 422, "the upload:50002: 2 fields"},
		{"broken JSON line", upload(typeJSON, "", "{\"a\":1}\n{\"a\":\n"), 422, "the upload:2"},
		{"column twice", upload(typeCSV, "", "a,a\n1,2\n"), 422, `the column "a" is there twice`},
		{"truncated Parquet", upload(typeParquet, "", parquet[:len(parquet)-50]), 422, "truncated"},
		{"Parquet that is none", upload(typeParquet, "", "amount,country\n1,DE\n"), 422, "not a parquet file"},
		{"truncated gzip", upload(typeCSV, "gzip", gzipped(t, creditCSV(300))[:500]), 422, "the packed file ends in the middle"},
		{"unknown model", request(func(r *api.RegisterRequest) { r.Model = "debit" }), 404, "debit"},
		{"unknown mapped column", request(func(r *api.RegisterRequest) { r.Mapping.Predicted = "y_pred" }), 422, `no column "y_pred"`},
		{"unknown media type", request(func(r *api.RegisterRequest) { r.ContentType = "image/png" }), 415, "Content-Type"},
		{"unknown encoding", request(func(r *api.RegisterRequest) { r.ContentEncoding = "br" }), 415, "Content-Encoding"},
		{"URI of no bucket", request(func(r *api.RegisterRequest) { r.URI = "file:///etc/passwd" }), 422, "s3://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, text := b.post(t, tt.r)
			if status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("got %d %s, want %d with %q", status, text, tt.status, tt.want)
			}
		})
	}
	t.Run("nothing is kept of them", func(t *testing.T) {
		if _, err := b.client.Version(t.Context(), "credit", "1"); modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
			t.Errorf("the version: got %v, want not found", err)
		}
	})
}

// post registers without the client, for the status itself.
func (b *testBundle) post(t *testing.T, r api.RegisterRequest) (int, string) {
	t.Helper()
	if r.URI != "" {
		r.Body, r.ContentType = strings.NewReader(fmt.Sprintf(`{"uri":%q}`, r.URI)), "application/json"
	}
	target := fmt.Sprintf("%s/v1/models/%s/versions/%s/baselines", b.url, r.Model, r.Version)
	if r.Mapping.Predicted != "" {
		target += "?predicted=" + r.Mapping.Predicted
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, r.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", r.ContentType)
	if r.ContentEncoding != "" {
		req.Header.Set("Content-Encoding", r.ContentEncoding)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	// A problem is JSON, in which quotes are escaped.
	return resp.StatusCode, strings.ReplaceAll(string(text), `\"`, `"`)
}
