package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
)

// TestImportKeepsLines: what of a file cannot be placed is a dead letter under the
// file's name and the line, large ones in the archive, without what rules cover.
func TestImportKeepsLines(t *testing.T) {
	t.Parallel()
	im, ledger, archive, catalog := newEventImport(Source{Format: FormatModelwatch})
	catalog.put(modelwatch.Version{Model: "m", Name: "1", Registered: true, Schema: modelwatch.Schema{Privacy: modelwatch.Privacy{Columns: map[string]modelwatch.PrivacyRule{"email": {Action: modelwatch.PrivacyDrop}}}}})
	large := fmt.Sprintf(`{"kind":"prediction","model":"big","version":"1","features":{"note":%q}}`, strings.Repeat("n", maxInlineLetter))
	lines := `{"kind":"prediction","model":"m","version":"1","id":"a","time":"2026-11-20T10:00:00Z","features":{"x":1}}
not JSON

{"kind":"prediction","model":"m","version":"1","time":"2026-11-20T10:00:00Z","features":{"email":"a@example.org"}}
` + large
	report, err := im.Run(t.Context(), strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	want := TableImported{Rows: 4, Kept: 1, Files: 1, Letters: 3, Rejected: map[modelwatch.DeadLetterReason]int64{modelwatch.DeadInvalidJSON: 1, modelwatch.DeadNoID: 2}}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	letters := ledger.commits["content"].DeadLetters
	for i, want := range []struct {
		line   int64
		reason modelwatch.DeadLetterReason
	}{{2, modelwatch.DeadInvalidJSON}, {4, modelwatch.DeadNoID}, {5, modelwatch.DeadNoID}} {
		d := letters[i]
		if d.Topic != "file:34-30.jsonl" || d.TopicID == [16]byte{} || d.TopicID != letters[0].TopicID || d.Partition != 0 || d.Offset != want.line || d.Reason != want.reason {
			t.Errorf("letter %d: %+v", i, d)
		}
	}
	if d := letters[1]; !d.Redacted || bytes.Contains(d.Value, []byte("example.org")) || d.Model != "m" {
		t.Errorf("a letter shows what rules cover: %s", d.Value)
	}
	if d := letters[2]; d.Object.Key == "" || !ledger.intents[d.Object.Key] || string(archive.letter(d)) != large {
		t.Errorf("the large letter: %+v", d.Object)
	}
	if v := ledger.commits["content"].Volumes; len(v) != 1 || v[0].Rejected != 1 || v[0].Seen != 1 {
		t.Errorf("volumes %+v", v)
	}

	other, _, _, _ := newEventImport(Source{Format: FormatModelwatch})
	other.CommitID = "the same content, read otherwise"
	if newImportLetters(other.CommitID, other.Name).id == letters[0].TopicID {
		t.Error("two imports of one file share the places of their letters")
	}
}

// TestImportKeepsTheFirstLines: a file of nothing else is counted to its end, and
// neither memory nor a transaction grows with it.
func TestImportKeepsTheFirstLines(t *testing.T) {
	t.Parallel()
	im, ledger, _, _ := newEventImport(Source{Format: FormatModelwatch})
	report, err := im.Run(t.Context(), strings.NewReader(strings.Repeat("{}\n", maxDeadLetters+100)))
	letters := ledger.commits["content"].DeadLetters
	if err != nil || report.Rows != maxDeadLetters+100 || report.Letters != maxDeadLetters || len(letters) != maxDeadLetters || letters[maxDeadLetters-1].Offset != maxDeadLetters {
		t.Errorf("%+v, %v, %d letters", report, err, len(letters))
	}
}

// TestImportNamesRows: of a table the row and the reason are kept.
func TestImportNamesRows(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	im, ledger, _ := newTableImport(modelwatch.KindPrediction, modelwatch.Version{Model: "m", Name: "1"})
	rows := []importRow{{id: "a", at: at}, {at: at}, {id: "c"}, {id: "d", at: at.AddDate(-40, 0, 0)}, {id: "e", at: at}}
	report, err := im.Run(t.Context(), importTable(t, rows))
	if err != nil || report.Kept != 2 || report.Letters != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	var got []string
	for _, d := range ledger.commits["content"].DeadLetters {
		got = append(got, fmt.Sprintf("%s %s %d %s %s", d.Topic, d.Model, d.Offset, d.Reason, d.Detail))
	}
	want := []string{
		"file:rows.parquet m 2 no_id row 2: the id is missing or longer than 1024 bytes",
		"file:rows.parquet m 3 invalid_time row 3: the time is missing, or is none",
		"file:rows.parquet m 4 time_out_of_range row 4: the time is before 2000-01-01 or more than 1d ahead",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
