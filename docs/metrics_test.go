// Package docs checks that the pages beside it tell the truth: every metric has a
// section, and every worked example gives the number it says.
package docs

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

// headings are lines such as "### `psi`, `kl`".
var heading = regexp.MustCompile("(?m)^### (`.*)$")

// results are what a worked example says: "psi = 0.7182".
var result = regexp.MustCompile("`([a-z0-9_]+)(?: \\(([^)]*)\\))?` = (-?[0-9]+(?:\\.[0-9]+)?)")

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryMetricHasASection(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, line := range heading.FindAllStringSubmatch(page(t), -1) {
		for _, name := range strings.Split(line[1], ", ") {
			documented = append(documented, strings.Trim(name, "` "))
		}
	}
	known := drift.Metrics()
	for _, task := range []modelwatch.Task{modelwatch.TaskBinary, modelwatch.TaskMulticlass, modelwatch.TaskRegression, modelwatch.TaskRanking} {
		known = append(known, backtest.Metrics(task)...)
	}
	for _, name := range known {
		if !slices.Contains(documented, name) {
			t.Errorf("metrics.md has no section of %s", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(known, name) {
			t.Errorf("metrics.md has a section of %s, which is no metric", name)
		}
	}
}

// section is the text between two comments that name an example.
func section(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(page(t), "<!-- example "+name+" -->")
	text, _, ends := strings.Cut(rest, "<!-- end -->")
	if !found || !ends {
		t.Fatalf("metrics.md has no example %s", name)
	}
	return text
}

// check compares what an example says with the values, to the digits that it gives.
func check(t *testing.T, example string, values []modelwatch.Value) {
	t.Helper()
	stated := result.FindAllStringSubmatch(section(t, example), -1)
	if len(stated) == 0 {
		t.Fatalf("example %s states no number", example)
	}
	for _, s := range stated {
		i := slices.IndexFunc(values, func(v modelwatch.Value) bool { return v.Metric == s[1] && label(v) == s[2] })
		if i < 0 || values[i].Value == nil {
			t.Errorf("example %s: %s (%s) has no value", example, s[1], s[2])
			continue
		}
		want, err := strconv.ParseFloat(s[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		_, decimals, _ := strings.Cut(s[3], ".")
		if got := *values[i].Value; math.Abs(got-want) > 0.50001*math.Pow10(-len(decimals)) {
			t.Errorf("example %s: %s (%s) = %s is stated, it is %v", example, s[1], s[2], s[3], got)
		}
	}
}

// label tells the values of one metric apart: the class, or the cut-off.
func label(v modelwatch.Value) string {
	if v.K > 0 {
		return "k = " + strconv.Itoa(v.K)
	}
	return v.Class
}

var everyRow = drift.Options{MinimumRows: 1}

func categories(g *profile.Grid, counts map[string]int) *profile.Profile {
	p := profile.New(g)
	for value, n := range counts {
		p.AddCategories([]string{value}, make([]int32, n), nil)
	}
	return p
}

func TestCountries(t *testing.T) {
	t.Parallel()
	g := profile.NewCategoryGrid([]profile.CategoryCount{{Value: "DE", Count: 500}, {Value: "FR", Count: 300}, {Value: "US", Count: 200}})
	baseline := categories(g, map[string]int{"DE": 500, "FR": 300, "US": 200})
	current := categories(g, map[string]int{"DE": 400, "FR": 300, "US": 200, "IT": 100})
	check(t, "countries", drift.Measure(baseline, current, drift.Metrics(), everyRow))
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2, 3, 4, 5}
	g := profile.NewNumberGrid(values)
	baseline, current := profile.New(g), profile.New(g)
	baseline.AddFloats(values, nil)
	current.AddFloats([]float64{2, 3, 4, 5, 9}, nil)
	check(t, "numbers", drift.Measure(baseline, current, drift.Metrics(), everyRow))
}

func TestQuality(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2, 3, 4, 5}
	g := profile.NewNumberGrid(values)
	baseline, current := profile.New(g), profile.New(g)
	baseline.AddFloats(values, nil)
	current.AddFloats(make([]float64, 100), append(make([]bool, 8), slices.Repeat([]bool{true}, 92)...))
	current.AddInvalid(3)
	current.AddOutOfRange(1)
	check(t, "quality", drift.Measure(baseline, current, drift.Metrics(), everyRow))
}

// score runs rows through a scorer and returns the values of every metric.
func score(t *testing.T, config backtest.Config, rows []modelwatch.Joined) []modelwatch.Value {
	t.Helper()
	s, err := config.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		row.Weight, row.HasLabel = 1, true
		if err := s.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	return s.Values(backtest.Metrics(config.Task), backtest.Options{MinimumRows: 1})
}

func TestBinary(t *testing.T) {
	t.Parallel()
	var rows []modelwatch.Joined
	positive := []int{0, 1, 3, 4, 7}
	for i, s := range []float64{0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2, 0.1} {
		label := "0"
		if slices.Contains(positive, i) {
			label = "1"
		}
		rows = append(rows, modelwatch.Joined{Score: s, HasScore: true, Label: label})
	}
	check(t, "binary", score(t, backtest.Config{Task: modelwatch.TaskBinary, Positive: "1"}, rows))
}

func TestMulticlass(t *testing.T) {
	t.Parallel()
	var rows []modelwatch.Joined
	for i, label := range "aaabbc" {
		rows = append(rows, modelwatch.Joined{Label: string(label), Predicted: "aabbcc"[i : i+1], HasPredicted: true})
	}
	check(t, "multiclass", score(t, backtest.Config{Task: modelwatch.TaskMulticlass}, rows))
}

func TestRegression(t *testing.T) {
	t.Parallel()
	var rows []modelwatch.Joined
	for i, label := range []float64{1, 2, 4, 8} {
		rows = append(rows, modelwatch.Joined{LabelValue: label, PredictedValue: []float64{2, 2, 3, 10}[i], HasPredicted: true})
	}
	check(t, "regression", score(t, backtest.Config{Task: modelwatch.TaskRegression}, rows))
}

func TestRanking(t *testing.T) {
	t.Parallel()
	var rows []modelwatch.Joined
	for i, relevance := range []float64{1, 0, 2, 0} {
		rows = append(rows, modelwatch.Joined{Group: "q", HasGroup: true, Score: float64(4 - i), HasScore: true, LabelValue: relevance})
	}
	check(t, "ranking", score(t, backtest.Config{Task: modelwatch.TaskRanking, Ks: []int{2, 3}}, rows))
}
