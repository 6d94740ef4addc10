package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// table counts the predictions of one class against the rest.
type table struct{ tp, fp, tn, fn count }

func (t *table) add(predicted, label bool, w *weight) {
	switch {
	case predicted && label:
		t.tp.add(w)
	case predicted:
		t.fp.add(w)
	case label:
		t.fn.add(w)
	default:
		t.tn.add(w)
	}
}

func (t *table) merge(o *table) {
	t.tp.merge(&o.tp)
	t.fp.merge(&o.fp)
	t.tn.merge(&o.tn)
	t.fn.merge(&o.fn)
}

// score sets the value of a metric of one class.
func (t *table) score(v *modelwatch.Value) {
	switch v.Metric {
	case Accuracy:
		proportion(v, sum(t.tp, t.tn), sum(t.tp, t.tn, t.fp, t.fn), modelwatch.ReasonNoLabels)
	case Precision:
		proportion(v, t.tp, sum(t.tp, t.fp), modelwatch.ReasonZeroDivision)
	case Recall:
		proportion(v, t.tp, sum(t.tp, t.fn), modelwatch.ReasonNoPositive)
	case Specificity:
		proportion(v, t.tn, sum(t.tn, t.fp), modelwatch.ReasonSingleClass)
	case F1:
		t.f1(v)
	case BalancedAccuracy:
		t.balanced(v)
	case MCC:
		t.mcc(v)
	default:
		x := t.count(v.Metric)
		v.Value = &x
	}
	if v.Value != nil {
		t.constant(v)
	}
}

// constant sets what the best of the two constant predictions has, "always" for
// precision, recall and f1: the share of the positives as precision. It has no
// mcc.
func (t *table) constant(v *modelwatch.Value) {
	positives, all := sum(t.tp, t.fn), sum(t.tp, t.tn, t.fp, t.fn)
	p := positives.mass() / all.mass()
	switch v.Metric {
	case Accuracy:
		constant(v, max(p, 1-p))
	case Precision:
		constant(v, p)
	case Recall, Specificity:
		constant(v, 1)
	case F1:
		constant(v, 2*p/(1+p))
	case BalancedAccuracy:
		constant(v, 0.5)
	}
}

func (t *table) count(metric string) float64 {
	return map[string]float64{TruePositives: t.tp.mass(), FalsePositives: t.fp.mass(), TrueNegatives: t.tn.mass(), FalseNegatives: t.fn.mass()}[metric]
}

// f1 is 2 tp / (2 tp + fp + fn) = 2 J / (1 + J) with the Jaccard index J = tp /
// (tp + fp + fn), a proportion: the interval is Wilson's for J, transformed, and
// the standard error follows by the delta method.
func (t *table) f1(v *modelwatch.Value) {
	n := sum(t.tp, t.fp, t.fn)
	if n.n == 0 {
		v.Reason = modelwatch.ReasonZeroDivision
		return
	}
	j, lower, upper, se := wilson(&t.tp, &n)
	f := func(j float64) float64 { return 2 * j / (1 + j) }
	x := 2 * t.tp.mass() / (2*t.tp.mass() + t.fp.mass() + t.fn.mass())
	lower, upper = min(f(lower), x), max(f(upper), x)
	se *= 2 / ((1 + j) * (1 + j))
	v.Value, v.Lower, v.Upper, v.StandardError = &x, &lower, &upper, &se
}

// balanced is the mean of recall and specificity.
func (t *table) balanced(v *modelwatch.Value) {
	positives, negatives := sum(t.tp, t.fn), sum(t.tn, t.fp)
	if positives.n == 0 || negatives.n == 0 {
		v.Reason = modelwatch.ReasonSingleClass
		return
	}
	r, _, _, a := wilson(&t.tp, &positives)
	s, _, _, b := wilson(&t.tn, &negatives)
	x := (r + s) / 2
	v.Value = &x
	normal(v, math.Hypot(a, b)/2, 0, 1)
}

// mcc is Matthews' correlation of labels and predictions, with the standard
// error of the delta method.
func (t *table) mcc(v *modelwatch.Value) {
	all := sum(t.tp, t.fp, t.tn, t.fn)
	w := all.mass()
	j := joint{
		n:         all.effective(),
		pairs:     []pair{{0, 0, t.tn.mass() / w}, {1, 1, t.tp.mass() / w}, {1, 0, t.fp.mass() / w}, {0, 1, t.fn.mass() / w}},
		correct:   []float64{t.tn.mass() / w, t.tp.mass() / w},
		predicted: []float64{(t.tn.mass() + t.fn.mass()) / w, (t.tp.mass() + t.fp.mass()) / w},
		labelled:  []float64{(t.tn.mass() + t.fp.mass()) / w, (t.tp.mass() + t.fn.mass()) / w},
	}
	switch {
	case t.tp.n+t.fn.n == 0 || t.tn.n+t.fp.n == 0:
		v.Reason = modelwatch.ReasonSingleClass
	case t.tp.n+t.fp.n == 0 || t.tn.n+t.fn.n == 0:
		v.Reason = modelwatch.ReasonZeroDivision
	default:
		tp, fp, tn, fn := t.tp.mass(), t.fp.mass(), t.tn.mass(), t.fn.mass()
		x := (tp*tn - fp*fn) / (math.Sqrt(tp+fp) * math.Sqrt(tp+fn) * math.Sqrt(tn+fp) * math.Sqrt(tn+fn))
		x = min(max(x, -1), 1)
		v.Value = &x
		normal(v, j.standardError(j.mccSlope(x)), -1, 1)
	}
}
