package backtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/modelwatch/modelwatch"
)

var benchmarks = []struct {
	name   string
	config Config
}{
	{"binary", Config{Task: modelwatch.TaskBinary, Positive: "yes", Metrics: []string{Accuracy, Precision, Recall}}},
	{"binary with auc", Config{Task: modelwatch.TaskBinary, Positive: "yes", Metrics: []string{Accuracy, AUCROC}}},
	{"binary with exact auc", Config{Task: modelwatch.TaskBinary, Positive: "yes", Metrics: []string{Accuracy, AUCROC}, Exact: true}},
	{"binary with everything", Config{Task: modelwatch.TaskBinary, Positive: "yes"}},
	{"multiclass", Config{Task: modelwatch.TaskMulticlass}},
	{"multiclass with scores", Config{Task: modelwatch.TaskMulticlass, Classes: []string{"yes", "no", "maybe"}}},
	{"rmse", Config{Task: modelwatch.TaskRegression, Metrics: []string{RMSE}}},
	{"regression with everything", Config{Task: modelwatch.TaskRegression}},
	{"ranking", Config{Task: modelwatch.TaskRanking}},
}

// The rows are made before, and a million of them at most.
func BenchmarkScore(b *testing.B) {
	for _, bench := range benchmarks {
		for _, n := range []int{1e3, 1e5, 1e7} {
			b.Run(fmt.Sprintf("%s/%.0e", bench.name, float64(n)), func(b *testing.B) {
				rows := benchRows(min(n, 1e6))
				for b.Loop() {
					s := configured(b, bench.config)
					for i := range n {
						must(s.Add(rows[i%len(rows)]))
					}
					if values := s.Values(bench.config.Metrics, loose); values[0].Value == nil {
						b.Fatalf("%+v", values[0])
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
			})
		}
	}
}

func benchRows(n int) []modelwatch.Joined {
	r := rand.New(rand.NewPCG(1, 2))
	classes := []string{"yes", "no", "maybe"}
	rows := make([]modelwatch.Joined, n)
	for i := range rows {
		p, q := r.Float64(), r.Float64()
		y := 100 + 10*r.NormFloat64()
		rows[i] = modelwatch.Joined{
			Predicted: classes[r.IntN(3)], PredictedValue: y + r.NormFloat64(), HasPredicted: true, Score: p, HasScore: true,
			Scores: []float64{p, (1 - p) * q, (1 - p) * (1 - q)}, Label: classes[r.IntN(3)], LabelValue: y, HasLabel: true,
			Group: fmt.Sprintf("g%05d", i/20), HasGroup: true, Weight: 1,
		}
	}
	return rows
}
