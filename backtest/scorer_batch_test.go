package backtest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
)

// binaryBatch draws rows of which some lack a part; the first four of the classes
// are the usual ones.
func binaryBatch(rng *rand.Rand, rows, classes int, score func() float64) *modelwatch.JoinedBatch {
	names := []string{"0", "1", "true", "no"}
	for len(names) < classes {
		names = append(names, fmt.Sprint("class ", len(names)))
	}
	b := &modelwatch.JoinedBatch{Rows: rows}
	b.Predicted.Classes, b.Label.Classes = names, names
	for range rows {
		b.Scores = append(b.Scores, score())
		b.Predicted.Codes = append(b.Predicted.Codes, int32(rng.IntN(classes+1)-1))
		b.Label.Codes = append(b.Label.Codes, int32(rng.IntN(classes+1)-1))
	}
	return b
}

func TestAddBatchIsAddOfEachRow(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 1))
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.25, 1.5, 0, 1, 0.5}
	score := func() float64 {
		if rng.IntN(4) == 0 {
			return odd[rng.IntN(len(odd))]
		}
		return rng.Float64()
	}
	for _, exact := range []bool{false, true} {
		for _, positive := range []string{"", "no", "class 290"} {
			for _, classes := range []int{4, 300} {
				c := backtest.Config{Task: modelwatch.TaskBinary, Positive: positive, Exact: exact}
				batch, single := mustScorer(t, c), mustScorer(t, c)
				for k := range 4 {
					b := binaryBatch(rng, 700, classes, score)
					switch k {
					case 1:
						b.Predicted.Codes = nil
					case 2:
						b.Scores = nil
					}
					if err := batch.AddBatch(b); err != nil {
						t.Fatal(err)
					}
					for i := range b.Rows {
						if err := single.Add(b.Row(i, nil)); err != nil {
							t.Fatal(err)
						}
					}
				}
				metrics := backtest.Metrics(modelwatch.TaskBinary)
				if diff := cmp.Diff(single.Values(metrics, backtest.Options{}), batch.Values(metrics, backtest.Options{})); diff != "" {
					t.Errorf("exact %v, positive %q, %d classes (-rows +batch):\n%s", exact, positive, classes, diff)
				}
				if diff := cmp.Diff(single.Counts(), batch.Counts()); diff != "" {
					t.Errorf("exact %v, positive %q, %d classes (-rows +batch):\n%s", exact, positive, classes, diff)
				}
			}
		}
	}
}

func mustScorer(t *testing.T, c backtest.Config) *backtest.Scorer {
	t.Helper()
	s, err := c.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The exact area of many rows, which are put in order in pieces, is that of ranks.
func TestExactAreaOfManyRows(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 2))
	for name, score := range map[string]func() float64{
		"different": rng.Float64,
		"close":     func() float64 { return 0.5 + 1e-13*rng.Float64() },
		"tied":      func() float64 { return float64(rng.IntN(5)) / 4 },
		"half tied": func() float64 { return max(rng.Float64(), 0.5) },
	} {
		b := binaryBatch(rng, 500_000, 2, score)
		s := mustScorer(t, backtest.Config{Task: modelwatch.TaskBinary, Metrics: []string{backtest.AUCROC}, Exact: true})
		if err := s.AddBatch(b); err != nil {
			t.Fatal(err)
		}
		got, want := s.Values([]string{backtest.AUCROC}, backtest.Options{})[0].Value, areaByRanks(b)
		if got == nil || math.Abs(*got-want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// areaByRanks is the Mann-Whitney statistic over the number of pairs.
func areaByRanks(b *modelwatch.JoinedBatch) float64 {
	var negatives, positives []float64
	for i, x := range b.Scores {
		switch b.Label.Codes[i] {
		case 0:
			negatives = append(negatives, x)
		case 1:
			positives = append(positives, x)
		}
	}
	slices.Sort(negatives)
	wins := 0.0
	for _, x := range positives {
		below, _ := slices.BinarySearch(negatives, x)
		upTo, _ := slices.BinarySearch(negatives, math.Nextafter(x, 2))
		wins += float64(below+upTo) / 2
	}
	return wins / float64(len(negatives)) / float64(len(positives))
}
