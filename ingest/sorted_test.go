package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// sortedEvent is the i-th event of TestSortedRows, and the cells of its row.
func sortedEvent(i int) (event string, cells map[string]string) {
	cells = map[string]string{"_id": fmt.Sprint("id-", i), "n": "-", "c": "-", "b": "-", "t": "-", "v": "-", "_invalid": "-", "_extra": "-", "never": "-"}
	var features []string
	say := func(name, json, cell string) {
		features = append(features, fmt.Sprintf("%q:%s", name, json))
		cells[name] = cell
	}
	if i%50 == 0 {
		say("n", `"x"`, "-")
		cells["_invalid"] = `{"n":"x"}`
	} else if i%3 > 0 {
		say("n", fmt.Sprintf("%d.25", i), fmt.Sprintf("%d.25", i))
	}
	if i%5 > 0 {
		say("c", fmt.Sprintf(`"c%d"`, i%700), fmt.Sprint("c", i%700))
	}
	if i%7 > 0 && i > 1500 { // in no row of the first page
		say("b", fmt.Sprint(i%2 == 0), fmt.Sprint(i%2 == 0))
	}
	if i%11 > 0 {
		say("t", fmt.Sprintf(`"2026-11-21T10:%02d:%02dZ"`, i/60%60, i%60), fmt.Sprint(testNow.Truncate(3600e9).UnixMicro()-3600e6*int64(testNow.Hour()-10)+int64(i%3600)*1e6))
	}
	if i%13 > 0 {
		say("v", fmt.Sprintf("[%d,%d]", i, i+1), fmt.Sprintf("[%d %d]", i, i+1))
	}
	if i%70 == 0 {
		say("odd", fmt.Sprint(i), "")
		delete(cells, "odd")
		cells["_extra"] = fmt.Sprintf(`{"features":{"odd":%d}}`, i)
	}
	return fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"id-%d","time":"2026-11-21T10:00:00Z","features":{%s}}`, i, strings.Join(features, ",")), cells
}

// Rows of every type come sorted by rank, each with the cells of its event, in parts of any size.
func TestSortedRows(t *testing.T) {
	t.Parallel()
	schema := modelwatch.Schema{}
	for name, typ := range map[string]modelwatch.FeatureType{
		"n": modelwatch.TypeNumber, "c": modelwatch.TypeCategory, "b": modelwatch.TypeBoolean, "t": modelwatch.TypeTimestamp, "v": modelwatch.TypeVector, "never": modelwatch.TypeNumber,
	} {
		schema.Features = append(schema.Features, modelwatch.Feature{Name: name, Type: typ})
	}
	for _, n := range []int{1, 40, 2_600} {
		bundle := setupDecoder(t, modelwatch.Version{Model: "m", Name: "1", SamplingRate: 1, Registered: true, Schema: schema})
		want := map[string]map[string]string{}
		for i := range n {
			event, cells := sortedEvent(i)
			row, rejected, err := bundle.decoder.decode(t.Context(), &kgo.Record{Topic: "t", Value: []byte(event), Timestamp: testNow})
			if err != nil || rejected != nil {
				t.Fatal(err, rejected)
			}
			bundle.batch.add(&bundle.decoder.event, row)
			want[cells["_id"]] = cells
		}
		file := bundle.batch.files()[0]
		file.seal()
		rows := file.sorted()
		for _, size := range []int{n, 1_000, 7} {
			checkSorted(t, rows, size, want)
		}
		rows.release()
	}
}

func checkSorted(t *testing.T, rows table.Rows, size int, want map[string]map[string]string) {
	t.Helper()
	got := map[int]map[string]string{} // by row
	var ranks []int64
	for i, info := range rows.Infos() {
		for from := 0; from < rows.Len(); from += size {
			n := min(size, rows.Len()-from)
			col := rows.Part(i, from, n)
			part := table.Chunk{Rows: n, Columns: []table.Column{col}}
			if info.Name == modelwatch.ColumnRank {
				ranks = append(ranks, col.Ints...)
			}
			for k := range n {
				if got[from+k] == nil {
					got[from+k] = map[string]string{}
				}
				if len(col.Floats)+len(col.Ints)+len(col.Bools)+len(col.Index)+len(col.Vectors) == 0 {
					got[from+k][info.Name] = "-"
					continue
				}
				got[from+k][info.Name] = cell(&part, info.Name, k)
			}
		}
	}
	if !slices.IsSorted(ranks) || len(ranks) != len(want) {
		t.Errorf("%d ranks, sorted: %v; want %d", len(ranks), slices.IsSorted(ranks), len(want))
	}
	seen := map[string]bool{}
	for i := range rows.Len() {
		cells := want[got[i]["_id"]]
		seen[got[i]["_id"]] = true
		for name, v := range cells {
			have, ok := got[i][name]
			if !ok {
				have = "-" // a column that no row has
			}
			if have != v {
				t.Fatalf("parts of %d, row %d, %s: %s is %q, want %q", size, i, got[i]["_id"], name, have, v)
			}
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d ids, want %d", len(seen), len(want))
	}
}
