package ingest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// captured are lines of SageMaker's data capture: the second has two rows, the
// third is none, the last lacks an output.
const captured = `{"captureData":{"endpointInput":{"data":"132,25","encoding":"CSV"},"endpointOutput":{"data":"0.25","encoding":"CSV"}},"eventMetadata":{"eventId":"e1","inferenceTime":"2019-11-20T23:33:12Z"},"eventVersion":"0"}
{"captureData":{"endpointInput":{"data":"1,2\n3,4","encoding":"CSV"},"endpointOutput":{"data":"0.5\n0.75","encoding":"CSV"}},"eventMetadata":{"eventId":"e2","inferenceTime":"2019-11-21T00:10:00Z"},"eventVersion":"0"}

not JSON
{"groundTruthData":{"data":"1","encoding":"CSV"},"eventMetadata":{"eventId":"e1"},"eventVersion":"0"}
`

func newEventImport(source Source) (EventImport, *importLedger, *fakeArchive, *fakeCatalog) {
	table, l, a := newTableImport(modelwatch.KindPrediction, modelwatch.Version{})
	c := newFakeCatalog()
	return EventImport{
		Ledger: l, Registry: c, Archive: a, FileKey: fakeKey, Owner: "import", Now: table.Now, CommitID: "content", Name: "34-30.jsonl", Source: source,
	}, l, a, c
}

// TestImportEvents: the lines of another tool's files become the rows that they
// would be as records, in one commit.
func TestImportEvents(t *testing.T) {
	t.Parallel()
	source := Source{Format: "sagemaker", Options: format.Options{Model: "churn", Version: "2"}}
	im, ledger, archive, catalog := newEventImport(source)
	im.FlushBytes = 1 // a file a row
	report, err := im.Run(t.Context(), strings.NewReader(captured))
	want := TableImported{Rows: 5, Kept: 4, Rejected: map[modelwatch.DeadLetterReason]int64{modelwatch.DeadInvalidJSON: 1}, Letters: 1}
	want.Files = len(ledger.commits["content"].Files)
	if diff := cmp.Diff(want, report); err != nil || diff != "" {
		t.Fatalf("%v (-want +have):\n%s", err, diff)
	}
	rows, hours := map[modelwatch.Kind]int64{}, map[string]bool{}
	for _, f := range ledger.commits["content"].Files {
		rows[f.Kind] += f.Rows
		hours[strings.Split(f.Key, "|")[3]] = true
		if !ledger.intents[f.Key] || archive.objects[f.Key] == nil || f.Model != "churn" {
			t.Errorf("file %+v", f)
		}
	}
	if diff := cmp.Diff(map[modelwatch.Kind]int64{modelwatch.KindPrediction: 3, modelwatch.KindLabel: 1}, rows); diff != "" || !hours["2019-11-20T23"] || !hours["2019-11-21T00"] {
		t.Errorf("rows (-want +have):\n%s in hours %v", diff, hours)
	}
	if len(catalog.version("churn", "2").Schema.Features) != 2 {
		t.Errorf("schema %+v", catalog.version("churn", "2").Schema)
	}

	dry, ledger, archive, catalog := newEventImport(source)
	dry.DryRun = true
	if report, err := dry.Run(t.Context(), strings.NewReader(captured)); err != nil || report.Kept != 4 || report.Files != 0 {
		t.Errorf("dry run %+v, %v", report, err)
	}
	if len(ledger.commits)+len(ledger.intents)+len(archive.objects)+len(catalog.versions) != 0 {
		t.Error("a dry run wrote something")
	}
}

// TestImportOwnEvents: canonical events are imported, too.
func TestImportOwnEvents(t *testing.T) {
	t.Parallel()
	im, ledger, _, _ := newEventImport(Source{Format: FormatModelwatch})
	report, err := im.Run(t.Context(), strings.NewReader(`{"kind":"prediction","model":"m","version":"1","id":"a","time":"2026-11-20T10:00:00Z","features":{"x":1}}
{"kind":"label","model":"m","id":"a","time":"2026-11-20T11:00:00Z","label":"y"}
{"kind":"prediction","model":"m"}`))
	if err != nil || report.Kept != 2 || report.Rejected[modelwatch.DeadNoID] != 1 || len(ledger.commits["content"].Volumes) != 2 {
		t.Errorf("%+v, %v, %+v", report, err, ledger.commits)
	}
}
