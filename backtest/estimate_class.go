package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// classEstimate sums what is to be expected of a multiclass model, by class.
type classEstimate struct {
	right, labelled []profile.Sum // expected rows
	predicted       []count
	ranked          []scoredRows
	p               []float64
}

func newClassEstimate(n int) *classEstimate {
	c := &classEstimate{right: make([]profile.Sum, n), labelled: make([]profile.Sum, n), predicted: make([]count, n), p: make([]float64, n)}
	for range n {
		c.ranked = append(c.ranked, newScoredRows(false, min(max(maxClassCells/n, minCells), MaxScores), 0))
	}
	return c
}

// minShare is the probability under which a row is not counted for a class.
const minShare = 1e-15

// addClass counts a row with a finite score of each class. The calibrated scores
// of a row are divided by their sum.
func (e *Estimator) addClass(j *modelwatch.Joined, w *weight) error {
	c, functions := e.classes, e.calibration.functions
	if len(j.Scores) != len(functions) {
		return nil
	}
	best, ok := top(j.Scores)
	if !ok {
		return nil
	}
	if j.HasPredicted {
		if best = e.class(j.Predicted); best < 0 {
			return nil
		}
	}
	sum := 0.0
	for k, s := range j.Scores {
		c.p[k] = functions[k].at(s)
		sum += c.p[k]
	}
	e.all.add(w)
	c.predicted[best].add(w)
	for k, s := range j.Scores {
		p := 1 / float64(len(c.p))
		if sum > 0 {
			p = c.p[k] / sum
		}
		addProduct(&c.labelled[k], p, w.value)
		if k == best {
			addProduct(&c.right[k], p, w.value)
		}
		for _, side := range []struct {
			positive bool
			p        float64
		}{{true, p}, {false, 1 - p}} {
			if side.p > minShare {
				part := weightOf(side.p * w.value)
				if err := c.ranked[k].add(s, side.positive, &part); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (e *Estimator) class(name string) int {
	for k, c := range e.calibration.config.Classes {
		if c == name {
			return k
		}
	}
	return -1
}

func (c *classEstimate) merge(o *classEstimate) error {
	for k := range c.right {
		c.right[k].Merge(&o.right[k])
		c.labelled[k].Merge(&o.labelled[k])
		c.predicted[k].merge(&o.predicted[k])
		if err := c.ranked[k].merge(&o.ranked[k]); err != nil {
			return err
		}
	}
	return nil
}

// score sets the value of a metric: accuracy with a normal interval, and macro
// averages over the classes for which they are defined.
func (c *classEstimate) score(v *modelwatch.Value, all *count) {
	var sum, classes, right float64
	for k := range c.right {
		tp, labelled, predicted := c.right[k].Mean(1), c.labelled[k].Mean(1), c.predicted[k].mass()
		right += tp
		above, below := tp, labelled
		switch v.Metric {
		case Precision:
			below = predicted
		case F1:
			above, below = 2*tp, labelled+predicted
		case AUCROC:
			var one modelwatch.Value
			if c.ranked[k].auc(&one); one.Value != nil {
				sum, classes = sum+*one.Value, classes+1
			}
			continue
		}
		if below > 0 {
			sum, classes = sum+min(above/below, 1), classes+1
		}
	}
	if v.Metric == Accuracy {
		n := all.effective()
		x := min(right/all.mass(), 1)
		v.Value = &x
		normal(v, math.Sqrt(x*(1-x)/n), 0, 1)
		return
	}
	if classes == 0 {
		v.Reason = modelwatch.ReasonZeroDivision
		return
	}
	x := sum / classes
	v.Value = &x
}
