package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// keptEvents is a producer that keeps what it is given, up to a number of calls.
type keptEvents struct {
	events []string
	calls  int
	fails  int // the call that does; 0: none
}

func (k *keptEvents) Produce(_ context.Context, events [][]byte) error {
	if k.calls++; k.calls == k.fails {
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "no broker")
	}
	for _, e := range events {
		k.events = append(k.events, string(e))
	}
	return nil
}

// A row becomes the event that a producer would have sent, in whatever form the
// table comes.
func TestLabelsOfATable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const csv = "request,at,repaid,note\n007,2026-11-23T10:00:00.25Z,1,x\n008,,0.5,y\n,2026-11-23T11:00:00+01:00,2,\n\"a \"\"b\"\"\",2026-11-23T12:00:00Z,,z\n"
	want := []string{
		`{"kind":"label","model":"credit","id":"007","time":"2026-11-23T10:00:00.25Z","label":1}`,
		`{"kind":"label","model":"credit","id":"008","label":0.5}`,
		`{"kind":"label","model":"credit","time":"2026-11-23T10:00:00Z","label":2}`,
		`{"kind":"label","model":"credit","id":"a \"b\"","time":"2026-11-23T12:00:00Z"}`,
	}
	mapped := modelwatch.ColumnMapping{ID: "request", Time: "at", Label: "repaid"}
	for _, tt := range []struct{ name, contentType, body string }{
		{"csv", typeCSV, csv}, {"gzip", typeCSV, gzipped(t, csv)}, {"bytes", typeBytes, csv},
		{"json lines", typeBytes, `{"request":"007","at":"2026-11-23T10:00:00.25Z","repaid":1}` + "\n" + `{"request":"008","repaid":0.5}` + "\n" +
			`{"at":"2026-11-23T10:00:00Z","repaid":2}` + "\n" + `{"request":"a \"b\"","at":"2026-11-23T12:00:00Z","repaid":null}` + "\n"},
	} {
		kept := &keptEvents{}
		n, err := labels{b.service.baselines(), kept}.SendLabels(t.Context(), api.LabelRequest{Model: "credit", ContentType: tt.contentType, Body: strings.NewReader(tt.body), Mapping: mapped})
		if diff := cmp.Diff(want, kept.events); err != nil || n != 4 || diff != "" {
			t.Errorf("%s: %d labels, %v (-want +got):\n%s", tt.name, n, err, diff)
		}
	}
}

// A table that lies in a bucket is read from there.
func TestLabelsByURI(t *testing.T) {
	t.Parallel()
	server := testserver.NewS3(t)
	bucket := server.Bucket(t)
	_, err := server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("labels/1.csv"), Body: strings.NewReader("_id,_label\na,1\n")})
	if err != nil {
		t.Fatal(err)
	}
	b := setupWith(t, []string{roleAPI}, func(cfg *Config) {
		cfg.Archive = ArchiveConfig{URI: "s3://" + bucket, Endpoint: server.Endpoint, Region: server.Region, PathStyle: true, AccessKey: server.AccessKey, SecretKey: server.SecretKey, Compaction: cfg.Archive.Compaction}
	})
	kept := &keptEvents{}
	n, err := labels{b.service.baselines(), kept}.SendLabels(t.Context(), api.LabelRequest{Model: "credit", URI: "s3://" + bucket + "/labels/1.csv"})
	if diff := cmp.Diff([]string{`{"kind":"label","model":"credit","id":"a","label":1}`}, kept.events); err != nil || n != 1 || diff != "" {
		t.Errorf("%d labels, %v (-want +got):\n%s", n, err, diff)
	}
	if _, err := (labels{b.service.baselines(), kept}).SendLabels(t.Context(), api.LabelRequest{Model: "credit", URI: "s3://" + bucket + "/none.csv"}); modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		t.Errorf("an object that is not there: %v", err)
	}
}

// Where the version says what a label is, a number is not made of a text.
func TestLabelsHaveTheTypeOfTheSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	b.register(t, api.RegisterRequest{Model: "credit", Version: "1", ContentType: typeCSV, Body: strings.NewReader("amount,_label\n1,x01\n2,x02\n")})
	for _, tt := range []struct{ version, labels, want string }{
		{"1", "01\n02\n", `"01" "02"`}, {"2", "01\n02\n", `1 2`}, {"2", "true\nfalse\n", `true false`}, {"2", "yes\n1\n", `"yes" "1"`},
	} {
		kept := &keptEvents{}
		body := "_id,_label\n" + "a," + strings.Replace(strings.TrimSpace(tt.labels), "\n", "\nb,", 1) + "\n"
		if _, err := (labels{b.service.baselines(), kept}).SendLabels(t.Context(), api.LabelRequest{Model: "credit", Version: tt.version, ContentType: typeCSV, Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
		values := strings.Fields(tt.want)
		want := []string{fmt.Sprintf(`{"kind":"label","model":"credit","version":%q,"id":"a","label":%s}`, tt.version, values[0]), fmt.Sprintf(`{"kind":"label","model":"credit","version":%q,"id":"b","label":%s}`, tt.version, values[1])}
		if diff := cmp.Diff(want, kept.events); diff != "" {
			t.Errorf("version %s, %q (-want +got):\n%s", tt.version, tt.labels, diff)
		}
	}
}

func TestLabelsThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tt := range []struct{ name, body, want string }{
		{"no ids", "_label\n1\n", "no column _id"},
		{"no labels", "_id,x\na,1\n", "no column _label"},
		{"no rows", "_id,_label\n", "has no rows"},
		{"vectors", `{"_id":"a","_label":[1,2]}`, "holds vectors"},
		{"broken", "_id,_label\na,1\nb,\"2\n", "the upload:3:"},
		{"long id", "_id,_label\na,1\n" + strings.Repeat("b", maxEventBytes) + ",1\n", "row 2 has 1"},
		{"nothing", "", "is empty"},
	} {
		kept := &keptEvents{}
		_, err := labels{b.service.baselines(), kept}.SendLabels(t.Context(), api.LabelRequest{Model: "credit", ContentType: typeBytes, Body: strings.NewReader(tt.body)})
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), tt.want) || len(kept.events) > 0 {
			t.Errorf("%s: %v, want %q; %d events", tt.name, err, tt.want, len(kept.events))
		}
	}
	kept := &keptEvents{fails: 3}
	n, err := labels{b.service.baselines(), kept}.SendLabels(t.Context(), api.LabelRequest{Model: "credit", ContentType: typeCSV, Body: strings.NewReader("_id,_label\n" + strings.Repeat("a,1\n", 2500))})
	if n != 2000 || len(kept.events) != 2000 || modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable || !strings.Contains(err.Error(), "after the first 2000") {
		t.Errorf("%d of %d labels, %v", n, len(kept.events), err)
	}
}

// From the call to the archive: a Parquet file of labels is in the volume that the
// service has seen.
func TestLabelsReachTheArchive(t *testing.T) {
	t.Parallel()
	b, _, _ := setupIngest(t, func(*Config) {})
	b.putModel(t)
	const rows = 1500
	var csv strings.Builder
	csv.WriteString("request,repaid\n")
	for i := range rows {
		fmt.Fprintf(&csv, "r%d,%d\n", i, i%2)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/v1/labels?model=credit&id=request&label=repaid", strings.NewReader(asParquet(t, csv.String())))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", typeParquet)
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusAccepted || strings.TrimSpace(string(text)) != `{"accepted":1500}` {
		t.Fatalf("%s: %s, %v", resp.Status, text, err)
	}
	eventually(t, "all labels are kept", func() bool {
		volumes, err := b.service.catalog.Volumes(t.Context(), "credit", modelwatch.Window{})
		if err != nil {
			t.Fatal(err)
		}
		kept := int64(0)
		for _, v := range volumes {
			if v.Kind == modelwatch.KindLabel {
				kept += v.Kept
			}
		}
		return kept == rows
	})
}
