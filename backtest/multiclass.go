package backtest

import (
	"slices"

	"github.com/modelwatch/modelwatch"
)

// multiclass returns a metric of a multiclass model and, where there is one, of
// its classes. Precision, recall, f1, auc_roc and auc_pr without a suffix are
// macro averages.
func (a *Accumulator) multiclass(v modelwatch.Value, opts Options) []modelwatch.Value {
	c := &a.classes
	switch v.Metric {
	case AUCROC, AUCROCWeighted, AUCPR, LogLoss, Brier, ECE:
		return a.probabilities.score(v, c, opts)
	case Accuracy, PrecisionMicro, RecallMicro, F1Micro:
		// With one label and one prediction a row the micro averages are the
		// accuracy.
		proportion(&v, c.correct, c.all, modelwatch.ReasonNoLabels)
		c.constant(&v)
		return []modelwatch.Value{v}
	}
	if c.overflow {
		v.Reason = modelwatch.ReasonNotApplicable
		return []modelwatch.Value{v}
	}
	switch v.Metric {
	case Precision, Recall, F1:
		c.average(&v, v.Metric, false)
		c.constant(&v)
		return append([]modelwatch.Value{v}, a.perClass(v.Metric, opts)...)
	case PrecisionWeighted:
		c.average(&v, Precision, true)
	case RecallWeighted:
		c.average(&v, Recall, true)
	case F1Weighted:
		c.average(&v, F1, true)
	case BalancedAccuracy:
		c.average(&v, Recall, false)
	case MCC:
		c.mcc(&v)
	default:
		return a.perClass(v.Metric, opts)
	}
	c.constant(&v)
	return []modelwatch.Value{v}
}

// average sets the value to the mean of a metric over all classes that occur as
// a label or as a prediction, weighted by their labels or not. Classes for which
// the metric is not defined are left out, as scikit-learn does with
// zero_division=nan. The standard error is the delta method's.
func (c *classes) average(v *modelwatch.Value, metric string, weighted bool) {
	j := c.joint()
	x, slope, ok := j.average(metric, weighted)
	if !ok {
		v.Reason = modelwatch.ReasonZeroDivision
		return
	}
	v.Value = &x
	if !c.pairsLost {
		normal(v, j.standardError(slope), 0, 1)
	}
}

func (c *classes) mcc(v *modelwatch.Value) {
	j := c.joint()
	switch {
	case j.spread(j.labelled) <= 0:
		v.Reason = modelwatch.ReasonSingleClass
	case j.spread(j.predicted) <= 0:
		v.Reason = modelwatch.ReasonZeroDivision
	default:
		x := j.mccValue()
		v.Value = &x
		if !c.pairsLost {
			normal(v, j.standardError(j.mccSlope(x)), -1, 1)
		}
	}
}

// constant sets what always predicting the most frequent class has. Precision is
// then defined for that class alone.
func (c *classes) constant(v *modelwatch.Value) {
	shares := c.shares()
	if v.Value == nil || len(shares) == 0 {
		return
	}
	p, k := slices.Max(shares), float64(len(shares))
	switch v.Metric {
	case Accuracy, PrecisionMicro, RecallMicro, F1Micro, Precision, PrecisionWeighted, RecallWeighted:
		constant(v, p)
	case Recall, BalancedAccuracy:
		constant(v, 1/k)
	case F1:
		constant(v, 2*p/(1+p)/k)
	case F1Weighted:
		constant(v, p*2*p/(1+p))
	}
}

// perClass returns a metric for each of the classes with the most labels. A
// ratio with fewer rows below its line than the minimum is too_few.
func (a *Accumulator) perClass(metric string, opts Options) []modelwatch.Value {
	order := a.classes.byLabels()
	order = order[:min(len(order), MaxShownClasses)]
	values := make([]modelwatch.Value, len(order))
	for i, class := range order {
		t := a.classes.table(class)
		v := modelwatch.Value{Metric: metric, Class: shown(a.classes.names[class])}
		behind := a.classes.all
		switch metric {
		case Precision:
			behind = sum(t.tp, t.fp)
		case Recall:
			behind = sum(t.tp, t.fn)
		case F1:
			behind = sum(t.tp, t.fp, t.fn)
		case Specificity:
			behind = sum(t.tn, t.fp)
		}
		a.rows(&v, &behind)
		empty := v
		t.score(&v)
		if v.Value != nil && v.NCurrent < opts.minimum() {
			v = empty
			v.Reason = modelwatch.ReasonTooFew
		}
		values[i] = v
	}
	return values
}

// shown is the name of a class in results, where no name means all classes.
func shown(class string) string {
	if class == "" {
		return "(empty)"
	}
	return class
}
