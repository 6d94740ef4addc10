package simulate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestBaselineFormatsAgree(t *testing.T) {
	t.Parallel()
	for _, name := range []string{Fraud, Price} {
		g := New(Options{Seed: 1, Start: begin, DriftAfter: time.Second})
		var lines, table bytes.Buffer
		if err := g.WriteBaseline(&lines, name, 500, FormatJSONLines); err != nil {
			t.Fatal(err)
		}
		if err := g.WriteBaseline(&table, name, 500, FormatCSV); err != nil {
			t.Fatal(err)
		}
		seq, err := g.Baseline(name, 500)
		if err != nil {
			t.Fatal(err)
		}
		var joined []byte
		for row := range seq {
			joined = append(append(joined, row...), '\n')
		}
		if !bytes.Equal(joined, lines.Bytes()) {
			t.Error("Baseline and WriteBaseline differ")
		}
		records, err := csv.NewReader(&table).ReadAll()
		if err != nil || len(records) != 501 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		for i, line := range strings.Split(strings.TrimSpace(lines.String()), "\n") {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if len(object) != len(records[0]) {
				t.Fatalf("%d fields, %d columns", len(object), len(records[0]))
			}
			for j, column := range records[0] {
				want := ""
				if object[column] != nil {
					want = fmt.Sprint(object[column])
				}
				if f, ok := object[column].(float64); ok {
					want = fmt.Sprintf("%g", f)
					if f == float64(int64(f)) {
						want = fmt.Sprint(int64(f))
					}
				}
				if got := records[i+1][j]; got != want {
					t.Fatalf("row %d: %s is %q as CSV and %q as JSON", i, column, got, want)
				}
			}
			at, err := time.Parse(time.RFC3339, fmt.Sprint(object["_time"]))
			if err != nil || at.Before(begin.Add(-baselineSpan)) || !at.Before(begin) {
				t.Fatalf("_time is %v (%v)", object["_time"], err)
			}
			if object["country"] == "BR" || object["district"] == "new_town" {
				t.Fatalf("the training set has drifted: %s", line)
			}
		}
	}
}

func TestBaselineIsNotTraffic(t *testing.T) {
	t.Parallel()
	g := New(Options{Seed: 1, Start: begin})
	ids := map[string]bool{}
	for _, e := range take(g, 5000) {
		ids[string(e.Key)] = true
	}
	seq, err := g.Baseline(Fraud, 5000)
	if err != nil {
		t.Fatal(err)
	}
	for row := range seq {
		if id := string(row[8:24]); ids[id] {
			t.Fatalf("id %s stands in the training set and in traffic", id)
		}
	}
	n := 0
	for range seq {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d rows before the end was asked for, want 3", n)
	}
}

func TestBaselineRefuses(t *testing.T) {
	t.Parallel()
	g := New(Options{Seed: 1, Start: begin})
	if _, err := g.Baseline("churn", 10); modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		t.Errorf("unknown model: %v", err)
	}
	if err := g.WriteBaseline(&bytes.Buffer{}, Fraud, 10, "xml"); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("unknown format: %v", err)
	}
	var empty bytes.Buffer
	if err := g.WriteBaseline(&empty, Fraud, 0, FormatCSV); err != nil || !strings.HasPrefix(empty.String(), "_id,_time,amount,") || strings.Count(empty.String(), "\n") != 1 {
		t.Errorf("a table without rows is %q, %v", empty.String(), err)
	}
}
