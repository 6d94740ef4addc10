package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// probabilities counts the scores that a multiclass model gave to each class.
type probabilities struct {
	classes []string
	index   map[string]int
	ranked  []scoredRows // by class; nil: nothing that ranks is wanted
	all     count
	outside int64 // rows whose scores are no probabilities
	unseen  int64 // rows whose label is none of the classes
	lossy   bool
	loss    moments
	brier   moments
	top     moments // (hit - probability)^2, of the class with the highest
	bins    calibration
}

// Limits of the cells of all classes together, and of one.
const (
	maxClassCells = 1 << 19
	minCells      = 1 << 10
)

// sumTolerance is how far the scores of a row may be from 1 in sum, for digits
// that were cut off.
const sumTolerance = 0.01

// top is the first class with the highest score, false if one is not a number.
func top(scores []float64) (int, bool) {
	best := 0
	for k, p := range scores {
		if p-p != 0 {
			return 0, false
		}
		if p > scores[best] {
			best = k
		}
	}
	return best, len(scores) > 0
}

// add counts a row of finite scores. A label that is none of the classes was
// given the probability 0.
func (p *probabilities) add(scores []float64, best int, label string, w *weight) error {
	p.all.add(w)
	truth, ok := p.index[label]
	if !ok {
		truth = -1
		p.unseen++
	}
	var sum, squares, given float64
	sound := true
	for k, x := range scores {
		y := 0.0
		if k == truth {
			y, given = 1, x
		}
		sum += x
		squares += (x - y) * (x - y)
		sound = sound && x >= 0 && x <= 1
		if p.ranked != nil {
			if err := p.ranked[k].add(x, k == truth, w); err != nil {
				return err
			}
		}
	}
	if !sound || math.Abs(sum-1) > sumTolerance {
		p.outside++
		return nil
	}
	if !ok {
		squares++
	}
	p.brier.add(squares, w)
	if p.lossy {
		p.loss.add(logLoss(given, true), w)
	}
	miss := scores[best] - float64(index(best == truth))
	p.top.add(miss*miss, w)
	p.bins.add(scores[best], best == truth, w)
	return nil
}

func (p *probabilities) merge(o *probabilities) error {
	p.all.merge(&o.all)
	p.outside += o.outside
	p.unseen += o.unseen
	p.loss.merge(&o.loss)
	p.brier.merge(&o.brier)
	p.top.merge(&o.top)
	p.bins.merge(&o.bins)
	for k := range p.ranked {
		if err := p.ranked[k].merge(&o.ranked[k]); err != nil {
			return err
		}
	}
	return nil
}

// score returns a metric of scores, and for those that rank one for each class.
//
//	log_loss  mean -ln of the probability given to the label
//	brier     mean over rows of sum_k (score_k - y_k)^2, in [0, 2]
//	ece       of the class with the highest score: see calibration
func (p *probabilities) score(v modelwatch.Value, c *classes, opts Options) []modelwatch.Value {
	rows(&v, &p.all, v.EffectiveCurrent != nil)
	shares := c.shares()
	switch {
	case p.all.n == 0:
		v.Reason = modelwatch.ReasonNotApplicable
	case p.all.n < opts.minimum():
		v.Reason = modelwatch.ReasonTooFew
	case v.Metric == AUCROC, v.Metric == AUCROCWeighted, v.Metric == AUCPR:
		return p.rank(v)
	case p.outside > 0:
		v.Reason = modelwatch.ReasonNotApplicable
	case v.Metric == LogLoss:
		p.loss.set(&v, &p.all, 0, math.Inf(1))
		h := 0.0
		for _, s := range shares {
			h += entropy(s)
		}
		constant(&v, h)
	case v.Metric == Brier:
		p.brier.set(&v, &p.all, 0, 2)
		b := 0.0
		for _, s := range shares {
			b += s * (1 - s)
		}
		constant(&v, b)
	default:
		p.bins.score(&v, &p.all, &p.top)
	}
	return []modelwatch.Value{v}
}

// rank returns the area of each class against the rest, and before them their
// mean over the classes that have one, plain or weighted by labels: scikit-learn's
// multi_class="ovr". The areas of two classes depend on each other in a way that
// they do not tell; the standard error of the mean is the mean of theirs, which
// is what it is at most.
func (p *probabilities) rank(v modelwatch.Value) []modelwatch.Value {
	var x, se, base, total float64
	bounded, whole := false, true
	var lower, upper float64
	values := []modelwatch.Value{v}
	for k, class := range p.classes {
		r := &p.ranked[k]
		one := modelwatch.Value{Metric: v.Metric, Class: shown(class), NCurrent: v.NCurrent, EffectiveCurrent: v.EffectiveCurrent}
		if v.Metric == AUCPR {
			r.averagePrecision(&one)
		} else {
			r.auc(&one)
		}
		if k < MaxShownClasses && v.Metric != AUCROCWeighted {
			values = append(values, one)
		}
		if one.Value == nil {
			continue
		}
		w := 1.0
		if v.Metric == AUCROCWeighted {
			w = r.positives.mass()
		}
		total += w
		x += w * *one.Value
		base += w * *one.ConstantValue
		if one.StandardError == nil {
			whole = false
		} else {
			se += w * *one.StandardError
		}
		low, high := one.Value, one.Value
		if r.coarse() {
			bounded, low, high = true, one.Lower, one.Upper
		}
		lower, upper = lower+w**low, upper+w**high
	}
	mean := &values[0]
	if total == 0 {
		mean.Reason = modelwatch.ReasonSingleClass
		return values
	}
	x = min(x/total, 1)
	mean.Value = &x
	constant(mean, base/total)
	if whole {
		normal(mean, se/total, 0, 1)
	}
	if bounded {
		lower, upper = min(lower/total, x), min(max(upper/total, x), 1)
		mean.Lower, mean.Upper = &lower, &upper
	}
	return values
}
