package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// importLedger keeps what an import commits.
type importLedger struct {
	intents map[string]bool
	commits map[string]modelwatch.IngestCommit
	fail    error
}

func (l *importLedger) IntendUpload(_ context.Context, keys []string, _ string) error {
	for _, k := range keys {
		if l.intents[k] {
			return modelwatch.Errorf(modelwatch.CodeConflict, "%s was announced before", k)
		}
		l.intents[k] = true
	}
	return nil
}

func (l *importLedger) CommitIngest(_ context.Context, c modelwatch.IngestCommit) error {
	if l.fail != nil {
		return l.fail
	}
	if _, known := l.commits[c.ID]; !known {
		l.commits[c.ID] = c
	}
	return nil
}

// importRow is a row of a table to import.
type importRow struct {
	id     string
	at     time.Time
	amount float64
	city   string // "" is missing
}

func importTable(t interface{ Fatal(...any) }, rows []importRow) *table.Reader {
	n := len(rows)
	id := table.Column{Name: "_id", Type: modelwatch.TypeCategory, Valid: make([]bool, n)}
	at := table.Column{Name: "_time", Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime, Valid: make([]bool, n)}
	amount := table.Column{Name: "amount", Type: modelwatch.TypeNumber}
	city := table.Column{Name: "city", Type: modelwatch.TypeCategory, Valid: make([]bool, n)}
	for i, r := range rows {
		id.Dict, id.Index, id.Valid[i] = append(id.Dict, r.id), append(id.Index, int32(i)), r.id != ""
		at.Ints, at.Valid[i] = append(at.Ints, r.at.UnixMicro()), !r.at.IsZero()
		amount.Floats = append(amount.Floats, r.amount)
		city.Dict, city.Index, city.Valid[i] = append(city.Dict, r.city), append(city.Index, int32(i)), r.city != ""
	}
	var buf bytes.Buffer
	c := &table.Chunk{Rows: n, Columns: []table.Column{id, at, amount, city}}
	w, err := table.NewWriter(&buf, []table.ColumnInfo{
		{Name: "_id", Type: modelwatch.TypeCategory}, {Name: "_time", Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime},
		{Name: "amount", Type: modelwatch.TypeNumber}, {Name: "city", Type: modelwatch.TypeCategory}}, nil)
	if err == nil {
		err = w.Write(c)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := table.OpenParquet(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var importNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newTableImport(kind modelwatch.Kind, v modelwatch.Version) (TableImport, *importLedger, *fakeArchive) {
	l, a, n := &importLedger{intents: map[string]bool{}, commits: map[string]modelwatch.IngestCommit{}}, newFakeArchive(), 0
	return TableImport{
		Ledger: l, Archive: a, FileKey: fakeKey, Owner: "import", CommitID: "content", Source: "rows.parquet", Kind: kind, Version: v, DefaultRate: 1,
		Now: func() time.Time { n++; return importNow.Add(time.Duration(n) * time.Microsecond) },
	}, l, a
}

// TestImportPlacesRows: every row that can be placed and is kept by its rank
// stands once in a file of its hour, with its values; the counts say so.
func TestImportPlacesRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var rows []importRow
		for range rapid.IntRange(1, 60).Draw(rt, "rows") {
			r := importRow{id: rapid.StringMatching(`[a-z]{0,2}`).Draw(rt, "id"), amount: rapid.Float64Range(-1, 1).Draw(rt, "amount"), city: rapid.StringMatching(`[XY]?`).Draw(rt, "city")}
			if minutes := rapid.IntRange(-1, 300).Draw(rt, "minutes"); minutes >= 0 {
				r.at = importNow.Add(-time.Duration(minutes) * time.Minute)
			}
			rows = append(rows, r)
		}
		rate := rapid.SampledFrom([]float64{1, 0.5, 0.1}).Draw(rt, "rate")
		step := importNow.Add(-2 * time.Hour)
		v := modelwatch.Version{Model: "m", Name: "1", Registered: true, SamplingRate: 1, SchemaRevision: 3, Rates: []modelwatch.RateStep{{Rate: 1}, {From: step, Rate: rate}}}
		im, ledger, archive := newTableImport(modelwatch.KindPrediction, v)
		report, err := im.Run(context.Background(), importTable(rt, rows))
		if err != nil {
			rt.Fatal(err)
		}
		want, have := []string{}, []string{}
		var seen int64
		for _, r := range rows {
			if r.id == "" || r.at.IsZero() {
				continue
			}
			seen++
			in := 1.0
			if !r.at.Before(step) {
				in = rate
			}
			if modelwatch.Rank(modelwatch.Salt{}, []byte(r.id)) < modelwatch.RankLimit(in) {
				want = append(want, fmt.Sprintf("%s %g %s %d %g %s", r.at.Format("2006-01-02T15"), in, r.id, r.at.UnixMicro(), r.amount, r.city))
			}
		}
		commit := ledger.commits["content"]
		for _, f := range commit.Files {
			c := archive.objects[f.Key]
			for i := range c.Rows {
				at := microsTime(c.Column("_time").Ints[i])
				have = append(have, fmt.Sprintf("%s %g %s %d %g %s", strings.Split(f.Key, "|")[3], f.SamplingRate, c.Column("_id").Text(i), at.UnixMicro(), c.Column("amount").Floats[i], c.Column("city").Text(i)))
			}
			if !ledger.intents[f.Key] || f.SchemaRevision != 3 {
				rt.Fatalf("file %+v", f)
			}
		}
		slices.Sort(want)
		slices.Sort(have)
		if diff := cmp.Diff(want, have); diff != "" {
			rt.Fatalf("rows (-want +have):\n%s", diff)
		}
		var counted modelwatch.Volume
		for _, volume := range commit.Volumes {
			counted.Seen += volume.Seen
			counted.Kept += volume.Kept
		}
		rejected := int64(0)
		for n := range maps.Values(report.Rejected) {
			rejected += n
		}
		if counted.Seen != seen || counted.Kept != int64(len(want)) || report.Kept != counted.Kept || report.Rows != int64(len(rows)) ||
			report.SampledOut != seen-counted.Kept || rejected != report.Rows-seen || report.Files != len(commit.Files) {
			rt.Fatalf("report %+v, counts %+v; want %d seen, %d kept", report, counted, seen, len(want))
		}
	})
}

// TestImportInPasses: what does not fit into the memory is read hour by hour, an
// hour of too many rows becomes several files.
func TestImportInPasses(t *testing.T) {
	t.Parallel()
	var rows []importRow
	const n = 120_000
	for i := range n {
		rows = append(rows, importRow{id: fmt.Sprint(i), at: importNow.Add(-time.Duration(i%3) * time.Hour), city: "X"})
	}
	for i := range n {
		rows = append(rows, importRow{id: fmt.Sprint("more ", i), at: importNow, city: "Y"})
	}
	im, ledger, archive := newTableImport(modelwatch.KindPrediction, modelwatch.Version{Model: "m", Name: "1"})
	im.MemoryBytes = 1
	last := int64(0)
	im.Progress = func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}
	report, err := im.Run(t.Context(), importTable(t, rows))
	if err != nil || report.Kept != 2*n {
		t.Fatalf("%+v, %v", report, err)
	}
	ids, perHour := map[string]bool{}, map[string]int{}
	for _, f := range ledger.commits["content"].Files {
		perHour[strings.Split(f.Key, "|")[3]]++
		for i := range archive.objects[f.Key].Rows {
			ids[archive.objects[f.Key].Column("_id").Text(i)] = true
		}
	}
	if len(ids) != 2*n || len(perHour) != 3 || perHour["2026-11-21T12"] < 2 {
		t.Errorf("%d rows, files by hour %v", len(ids), perHour)
	}
}

// TestImportIsOneCommit: an import that fails leaves nothing that readers see, and
// the next one does all of it.
func TestImportIsOneCommit(t *testing.T) {
	t.Parallel()
	rows := []importRow{{id: "a", at: importNow}, {id: "b", at: importNow.Add(-time.Hour)}}
	im, ledger, archive := newTableImport(modelwatch.KindPrediction, modelwatch.Version{Model: "m", Name: "1"})
	broken := errors.New("broken")
	archive.fail = func(key string) error {
		if strings.Contains(key, "T12") {
			return broken
		}
		return nil
	}
	if _, err := im.Run(t.Context(), importTable(t, rows)); !errors.Is(err, broken) || len(ledger.commits) != 0 {
		t.Fatalf("%v, commits %v", err, ledger.commits)
	}
	archive.fail, ledger.fail = nil, broken
	if _, err := im.Run(t.Context(), importTable(t, rows)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	ledger.fail = nil
	for range 2 {
		if _, err := im.Run(t.Context(), importTable(t, rows)); err != nil {
			t.Fatal(err)
		}
	}
	if c := ledger.commits["content"]; len(c.Files) != 2 || len(ledger.commits) != 1 || c.Group != ImportGroup || c.Owner != "rows.parquet" {
		t.Errorf("commits %+v", ledger.commits)
	}
	dry, ledger, archive := newTableImport(modelwatch.KindPrediction, modelwatch.Version{Model: "m", Name: "1"})
	dry.DryRun = true
	if report, err := dry.Run(t.Context(), importTable(t, rows)); err != nil || report.Kept != 2 || len(ledger.commits)+len(ledger.intents)+len(archive.objects) != 0 {
		t.Errorf("dry run %+v, %v", report, err)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	im, _, _ := newTableImport(modelwatch.KindLabel, modelwatch.Version{Model: "m"})
	_, err := im.Run(t.Context(), importTable(t, []importRow{{id: "a", at: importNow}}))
	if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), "labels") {
		t.Errorf("labels without a label: %v", err)
	}
	future, _, _ := newTableImport(modelwatch.KindPrediction, modelwatch.Version{Model: "m", Name: "1"})
	report, err := future.Run(t.Context(), importTable(t, []importRow{{id: "a", at: importNow.Add(48 * time.Hour)}, {id: "b", at: time.Unix(1, 0)}, {id: strings.Repeat("x", maxIDBytes+1), at: importNow}}))
	want := map[modelwatch.DeadLetterReason]int64{modelwatch.DeadTimeOutOfSpan: 2, modelwatch.DeadNoID: 1}
	if diff := cmp.Diff(want, report.Rejected); err != nil || diff != "" || report.Kept != 0 {
		t.Errorf("%v, rejected (-want +have):\n%s", err, diff)
	}
}
