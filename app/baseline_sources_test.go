package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// spending are n rows of which one in fifty has no amount.
func spending(n int) []record {
	rows := make([]record, n)
	for i := range rows {
		rows[i] = record{"amount": float64(i * 37 % 1000), "country": country(i), "_score": float64(i%100) / 100}
		if i%50 == 7 {
			rows[i]["amount"] = nil
		}
	}
	return rows
}

// A baseline of a window is the one of its rows as an upload: same bins, same counts.
func TestBaselineOfAWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	rows := spending(2000)
	b.put(t, modelwatch.KindPrediction, "1", hourOne, rows)
	half := modelwatch.Window{Start: hourOne.Start, End: hourOne.Start.Add(1005 * time.Second)}
	want := b.register(t, api.RegisterRequest{Model: "credit", Version: "uploaded", ContentType: typeCSV, Body: strings.NewReader(csvOf(rows[:1005], "amount", "country", "_score"))})
	got := b.register(t, api.RegisterRequest{Model: "credit", Version: "1", Window: &half})
	if got.Rows != 1005 || len(got.Columns) != len(want.Columns) {
		t.Fatalf("%d rows, %d columns; want 1005 and %d", got.Rows, len(got.Columns), len(want.Columns))
	}
	for _, c := range want.Columns {
		have := column(t, got, c.Name)
		if fmt.Sprint(have.Counts, have.Missing) != fmt.Sprint(c.Counts, c.Missing) || asJSON(t, have.Bins) != asJSON(t, c.Bins) {
			t.Errorf("%s: %v, %d missing; want %v, %d", c.Name, have.Counts, have.Missing, c.Counts, c.Missing)
		}
	}
	if again := b.register(t, api.RegisterRequest{Model: "credit", Version: "1", Window: &half}); again.ID != got.ID {
		t.Errorf("the same window again is %s, it was %s", again.ID, got.ID)
	}
	few := int64(50)
	ms := b.compute(t, api.JobBody{Kind: modelwatch.JobDrift, Metrics: []string{"psi"}, Versions: []string{"1"}, MinimumRows: &few, Thresholds: []api.Threshold{{Metric: "psi", Learn: &api.Learn{SD: 3}}}}, hourOne)
	for _, m := range ms {
		if m.Metric == "psi" && m.Subject == modelwatch.SubjectFeature && (m.Value == nil || *m.Value > 0.01 || *m.NBaseline < 980 || m.NCurrent < 1900 || m.Threshold == nil || m.Threshold.Upper == nil) {
			t.Errorf("%s: %+v", m.Name, m)
		}
	}
	if len(ms) == 0 {
		t.Error("nothing was measured")
	}

	nothing := modelwatch.Window{Start: half.Start.Add(-48 * time.Hour), End: half.Start.Add(-24 * time.Hour)}
	_, err := b.client.RegisterBaseline(t.Context(), api.RegisterRequest{Model: "credit", Version: "1", Window: &nothing})
	if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), "no archived traffic") {
		t.Errorf("an empty window: %v", err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// statisticsOf is the statistics.json of rows as a baseline job writes it: ten
// buckets of equal width, each with its lower bound and without its upper one, but
// for the last.
func statisticsOf(t *testing.T, rows []record) []byte {
	t.Helper()
	var amounts []float64
	countries := map[string]int{}
	for _, r := range rows {
		if v, ok := r["amount"].(float64); ok {
			amounts = append(amounts, v)
		}
		countries[r["country"].(string)]++
	}
	low, high, sum := slices.Min(amounts), slices.Max(amounts), 0.0
	counts := make([]float64, 10)
	for _, v := range amounts {
		counts[min(int((v-low)/(high-low)*10), 9)]++
		sum += v
	}
	var buckets, values []map[string]any
	for i, n := range counts {
		buckets = append(buckets, map[string]any{"lower_bound": low + (high-low)*float64(i)/10, "upper_bound": low + (high-low)*float64(i+1)/10, "count": n})
	}
	for _, name := range []string{"DE", "FR", "US"} {
		values = append(values, map[string]any{"value": name, "count": countries[name]})
	}
	text, err := json.Marshal(map[string]any{
		"version": 0.0, "dataset": map[string]any{"item_count": len(rows)},
		"features": []any{
			map[string]any{"name": "amount", "inferred_type": "Integral", "numerical_statistics": map[string]any{
				"common": map[string]any{"num_present": len(amounts), "num_missing": len(rows) - len(amounts)}, "mean": sum / float64(len(amounts)), "sum": sum, "std_dev": 288.7, "min": low, "max": high,
				"distribution": map[string]any{"kll": map[string]any{"buckets": buckets, "sketch": map[string]any{"parameters": map[string]any{"c": 0.64, "k": 2048.0}, "data": []any{[]float64{1, 2}}}}},
			}},
			map[string]any{"name": "country", "inferred_type": "String", "string_statistics": map[string]any{
				"common": map[string]any{"num_present": len(rows), "num_missing": 0}, "distinct_count": 3.0, "distribution": map[string]any{"categorical": map[string]any{"buckets": values}}}},
			map[string]any{"name": "nothing", "inferred_type": "Unknown"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Against the statistics of its own rows a window has no drift, and one that has
// moved has as much as in the buckets.
func TestBaselineOfStatistics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	rows := spending(2000)
	request := api.RegisterRequest{Model: "credit", Version: "1", Statistics: statisticsOf(t, rows)}
	got := b.register(t, request)
	amount, land := column(t, got, "amount"), column(t, got, "country")
	if got.Rows != 2000 || len(got.Columns) != 2 || amount.Missing != 40 || *amount.Mean < 490 || *amount.Mean > 510 || *amount.Minimum != 0 || *amount.Maximum != 999 || fmt.Sprint(land.Counts) != "[667 667 666 0]" {
		t.Errorf("baseline %+v", got)
	}
	if again := b.register(t, request); again.ID != got.ID {
		t.Errorf("the same statistics again are %s, they were %s", again.ID, got.ID)
	}
	b.put(t, modelwatch.KindPrediction, "1", hourOne, rows)
	hourTwo := modelwatch.Window{Start: hourOne.End, End: hourOne.End.Add(time.Hour)}
	moved := spending(2000)
	for i := range moved {
		if v, ok := moved[i]["amount"].(float64); ok {
			moved[i]["amount"] = v / 2
		}
	}
	b.put(t, modelwatch.KindPrediction, "1", hourTwo, moved)
	job := api.JobBody{Kind: modelwatch.JobDrift, Metrics: []string{"psi", "js_distance", "ks", "tvd", "missing_ratio"}, Columns: []string{"amount", "country"}}
	for _, m := range b.compute(t, job, hourOne) {
		if m.Subject != modelwatch.SubjectFeature || m.Name == "country" && m.Metric == "ks" {
			continue
		}
		// K-S is not known better than to the rows of a bucket, a tenth.
		if want := map[string]float64{"missing_ratio": 0.02}[m.Metric]; m.Value == nil || m.Metric != "ks" && m.Name == "amount" && *m.Value > want || m.Metric == "ks" && m.Name == "amount" && (m.Lower == nil || *m.Lower != 0 || *m.Upper < 0.05) {
			t.Errorf("%s of %s: %+v", m.Metric, m.Name, m)
		}
	}
	found := 0
	for _, m := range b.compute(t, job, hourTwo) {
		if m.Name == "amount" && m.Metric == "tvd" {
			if found++; m.Value == nil || *m.Value < 0.48 || *m.Value > 0.52 { // the upper half is empty
				t.Errorf("tvd %v, want a half", m.Value)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d tvd of the amount", found)
	}
}

func TestStatisticsThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	numbers := func(rest string) string {
		return `{"version":0.0,"dataset":{"item_count":3},"features":[{"name":"x","inferred_type":"Fractional","numerical_statistics":{"common":{"num_present":3,"num_missing":0},` + rest + `}}]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no features", `{"features":[]}`, "no feature with statistics"},
		{"constraints", `{"version":0.0,"features":[{"name":"x","inferred_type":"Integral","completeness":1.0,"num_constraints":{"is_non_negative":true}}]}`, "this is a constraints file"},
		{"no distribution", numbers(`"mean":1,"std_dev":1`), "kll.buckets"},
		{"a gap", numbers(`"distribution":{"kll":{"buckets":[{"lower_bound":0,"upper_bound":1,"count":1},{"lower_bound":2,"upper_bound":3,"count":2}]}}`), "begins at 2, the one before ends at 1"},
		{"half a value", numbers(`"distribution":{"kll":{"buckets":[{"lower_bound":0,"upper_bound":1,"count":1.5}]}}`), "1.5 is not a count"},
		{"backwards", numbers(`"distribution":{"kll":{"buckets":[{"lower_bound":1,"upper_bound":0,"count":3}]}}`), "ascends"},
		{"not numbers", numbers(`"mean":"one"`), "cannot be read"},
		{"a reserved name", strings.Replace(numbers(`"distribution":{"kll":{"buckets":[{"lower_bound":0,"upper_bound":1,"count":3}]}}`), `"x"`, `"_x"`, 1), "does not begin with an underscore"},
	} {
		_, err := b.client.RegisterBaseline(t.Context(), api.RegisterRequest{Model: "credit", Version: "1", Statistics: []byte(tt.text)})
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A statistics file is told from JSON lines by what it holds.
func TestIsStatistics(t *testing.T) {
	t.Parallel()
	text := statisticsOf(t, spending(100))
	for _, tt := range []struct {
		text string
		want bool
	}{{string(text), true}, {`{"features":1}` + "\n" + `{"features":2}`, false}, {`{"amount":1}`, false}, {"", false}} {
		if isStatistics([]byte(tt.text)) != tt.want {
			t.Errorf("%.40s: a statistics file is %t", tt.text, !tt.want)
		}
	}
}
