package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// scoredRows are scores with a yes or no each, and how many there are of either.
type scoredRows struct {
	negatives, positives count
	cells                *cells
	sorted               *sorted // nil: not exact
	heaviest             float64
	curve                *curve // of the rows so far, once it was asked for
}

func newScoredRows(exact bool, limit int, rows int64) scoredRows {
	if exact {
		return scoredRows{sorted: &sorted{limit: rows}}
	}
	return scoredRows{cells: newCells(limit)}
}

func (s *scoredRows) add(score float64, positive bool, w *weight) error {
	s.curve = nil
	s.heaviest = max(s.heaviest, w.value)
	if positive {
		s.positives.add(w)
	} else {
		s.negatives.add(w)
	}
	if s.sorted != nil {
		return s.sorted.add(score, positive, w.value)
	}
	s.cells.add(score, positive, w.value)
	return nil
}

// addRows is add for rows of weight 1.
func (s *scoredRows) addRows(scores []float64, positive bool) error {
	if len(scores) == 0 {
		return nil
	}
	s.curve = nil
	s.heaviest = max(s.heaviest, 1)
	if positive {
		s.positives.addRows(len(scores))
	} else {
		s.negatives.addRows(len(scores))
	}
	if s.sorted != nil {
		return s.sorted.addRows(scores, positive)
	}
	for _, score := range scores {
		s.cells.add(score, positive, 1)
	}
	return nil
}

func (s *scoredRows) merge(o *scoredRows) error {
	s.curve = nil
	s.heaviest = max(s.heaviest, o.heaviest)
	s.positives.merge(&o.positives)
	s.negatives.merge(&o.negatives)
	if s.sorted != nil {
		return s.sorted.merge(o.sorted)
	}
	s.cells.merge(o.cells)
	return nil
}

// curve are the sums that the areas under both curves are made of.
type curve struct {
	wins, ties         total // of pairs of a positive and a negative
	pp, nn             total // squared placements
	ap, lower, upper   total // precision at each positive
	up, upSquare, down total // slopes of the average precision by a row's weight
}

// total is a compensated sum (Neumaier 1974).
type total struct{ sum, rest float64 }

func (t *total) add(x float64) {
	s := t.sum + x
	if math.Abs(t.sum) >= math.Abs(x) {
		t.rest += t.sum - s + x
	} else {
		t.rest += x - s + t.sum
	}
	t.sum = s
}

func (t *total) value() float64 { return t.sum + t.rest }

// areas goes through the scores once, from the lowest to the highest.
func (s *scoredRows) areas() *curve {
	if s.curve != nil {
		return s.curve
	}
	c := &curve{}
	s.curve = c
	p, n := s.positives.mass(), s.negatives.mass()
	var below mass                                // negatives of lower scores
	left := [2]mass{s.negatives.w, s.positives.w} // from here up
	var a, b total
	visit := func(negative, positive *mass) {
		k, l := positive.float(), negative.float()
		fp, tp := left[0].float(), left[1].float()
		c.wins.add(k * below.float())
		c.ties.add(k * l)
		above := (below.float() + l/2) / n
		under := (tp - k/2) / p
		c.pp.add(k * above * above)
		c.nn.add(l * under * under)
		below.add(negative)
		left[0].sub(negative)
		left[1].sub(positive)
		if k > 0 {
			precision := tp / (tp + fp)
			c.ap.add(k * precision)
			a.add(k / (tp + fp))
			b.add(k * precision / (tp + fp))
			if s.sorted == nil {
				s.bound(c, left[1].float(), k, left[0].float(), l)
			}
			u := precision + a.value() - b.value()
			c.up.add(k * u)
			c.upSquare.add(k * u * u)
		}
		c.down.add(l * b.value() * b.value())
	}
	if s.sorted != nil {
		s.sorted.scan(visit)
	} else {
		s.cells.scan(visit)
	}
	return c
}

// bound adds what k positives and l negatives, in any order among each other,
// can add to the sum of precisions, after tp and fp. At best the positives come
// first: the sum of their precisions is that of an increasing function, which an
// integral and the heaviest step bound; at worst they come last.
func (s *scoredRows) bound(c *curve, tp, k, fp, l float64) {
	integral := func(fp float64) float64 {
		if fp <= 0 {
			return k
		}
		return k - fp*math.Log1p(k/(tp+fp))
	}
	precision := func(tp, fp float64) float64 {
		if tp <= 0 {
			return 0
		}
		return tp / (tp + max(fp, 0))
	}
	last := precision(tp+k, fp)
	c.lower.add(integral(fp + l))
	c.upper.add(min(k*last, integral(fp)+s.heaviest*(last-precision(tp, fp))))
}

func (s *scoredRows) coarse() bool { return s.sorted == nil && s.cells.coarse() }

// auc sets the value to the probability that a positive scores above a negative,
// ties counting half (scikit-learn's roc_auc_score). Its standard error is
// DeLong's (DeLong, DeLong and Clarke-Pearson 1988), with effective numbers of
// rows. Where scores are counted together, Lower and Upper are what every order
// within the cells allows; else they are the 95 % interval.
func (s *scoredRows) auc(v *modelwatch.Value) {
	if s.positives.n == 0 || s.negatives.n == 0 {
		v.Reason = modelwatch.ReasonSingleClass
		return
	}
	c := s.areas()
	p, n := s.positives.mass(), s.negatives.mass()
	x := min((c.wins.value()+c.ties.value()/2)/(p*n), 1)
	v.Value = &x
	constant(v, 0.5)
	if a, b := s.positives.effective(), s.negatives.effective(); a > 1 && b > 1 {
		variance := max(c.pp.value()/p-x*x, 0)/(a-1) + max(c.nn.value()/n-x*x, 0)/(b-1)
		normal(v, math.Sqrt(variance), 0, 1)
	}
	if s.coarse() {
		lower, upper := min(c.wins.value()/(p*n), x), min(max((c.wins.value()+c.ties.value())/(p*n), x), 1)
		v.Lower, v.Upper = &lower, &upper
	}
}

// averagePrecision sets the value to the sum of precision times the step in
// recall, from the highest score down, equal scores stepped together
// (scikit-learn's average_precision_score). Its standard error is the
// infinitesimal jackknife's (Jaeckel 1972): with TP and N the weights of the
// positives and of all rows from a score up, the value changes by a row's weight
// as ((TP/N + A - B) - value) / P if it is positive and as -B / P if not, A and B
// being the sums of 1/N and of TP/N^2 over the positives up to its score. Where
// scores are counted together, Lower and Upper are what every order within the
// cells allows; else they are the 95 % interval.
func (s *scoredRows) averagePrecision(v *modelwatch.Value) {
	if s.positives.n == 0 {
		v.Reason = modelwatch.ReasonNoPositive
		return
	}
	c := s.areas()
	p := s.positives.mass()
	all := sum(s.positives, s.negatives)
	x := min(c.ap.value()/p, 1)
	v.Value = &x
	constant(v, p/all.mass())
	if n := all.effective(); n > 1 {
		squares := c.upSquare.value() - 2*x*c.up.value() + x*x*p + c.down.value()
		normal(v, math.Sqrt(max(squares, 0)*all.mass()/n)/p, 0, 1)
	}
	if s.coarse() {
		lower, upper := min(c.lower.value()/p, x), min(max(c.upper.value()/p, x), 1)
		v.Lower, v.Upper = &lower, &upper
	}
}
