package backtest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// drawnCase is a case of testdata/generate_drawn.py. Its rows are drawn here as
// they are there, so that a million of them need no file.
type drawnCase struct {
	Task            modelwatch.Task
	Seed            uint64
	Rows            int
	Grid            float64
	NannyML, Scikit expected
}

// uniforms are the upper 53 bits of the outputs of SplitMix64 (Steele et al., 2014),
// over 2^53.
type uniforms uint64

func (s *uniforms) next() float64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// row draws the next row. Products are rounded before they are added to, as they
// are where a processor does not fuse the two.
func (c *drawnCase) row(s *uniforms) modelwatch.Joined {
	u, v, w := s.next(), s.next(), s.next()
	j := modelwatch.Joined{HasLabel: true, HasPredicted: true, Weight: 1}
	switch c.Task {
	case modelwatch.TaskBinary:
		j.Score, j.HasScore = math.Floor(c.Grid*u)/c.Grid, true
		j.Label, j.Predicted = "0", "0"
		if v < j.Score*j.Score {
			j.Label = "1"
		}
		if j.Score >= 0.5 {
			j.Predicted = "1"
		}
	case modelwatch.TaskMulticlass:
		names := [...]string{"ant", "bee", "cow"}
		j.Label, j.Predicted = names[int(3*u)], names[int(3*u)]
		if v >= 0.7 {
			j.Predicted = names[int(3*w)]
		}
	default:
		j.LabelValue = 1 + float64(99*u)
		j.PredictedValue = j.LabelValue * (0.5 + v)
	}
	return j
}

// Realised performance as NannyML computes it, and what it does not have as
// scikit-learn does, of up to a million rows: to 1e-12 relative.
func TestDrawnRowsAgreeWithNannyML(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/drawn.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []drawnCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 8 {
		t.Fatalf("%d cases: some are lost", len(cases))
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s of %d rows", c.Task, c.Rows), func(t *testing.T) {
			t.Parallel()
			if len(c.NannyML) == 0 || len(c.Scikit) == 0 {
				t.Fatal("nothing is expected")
			}
			config := Config{Task: c.Task, Exact: true}
			if c.Task == modelwatch.TaskBinary {
				config.Positive = "1"
			}
			s, draws := configured(t, config), uniforms(c.Seed)
			for range c.Rows {
				must(s.Add(c.row(&draws)))
			}
			got := byMetric(t, s.everything(), "")
			check(t, got, c.NannyML)
			check(t, got, c.Scikit)
		})
	}
}
