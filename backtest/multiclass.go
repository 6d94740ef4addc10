package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// multiclass returns a metric of a multiclass model and, where there is one, of
// its classes. Precision, recall and f1 without a suffix are macro averages.
func (a *Accumulator) multiclass(v modelwatch.Value, opts Options) []modelwatch.Value {
	switch v.Metric {
	case Accuracy, PrecisionMicro, RecallMicro, F1Micro:
		// With one label and one prediction a row the micro averages are the
		// accuracy.
		proportion(&v, a.classes.correct, a.labelled, modelwatch.ReasonNoLabels)
		return []modelwatch.Value{v}
	}
	if a.classes.overflow {
		v.Reason = modelwatch.ReasonNotApplicable
		return []modelwatch.Value{v}
	}
	switch v.Metric {
	case Precision, Recall, F1:
		a.average(&v, v.Metric, false)
		return append([]modelwatch.Value{v}, a.perClass(v.Metric, opts)...)
	case PrecisionWeighted:
		a.average(&v, Precision, true)
	case RecallWeighted:
		a.average(&v, Recall, true)
	case F1Weighted:
		a.average(&v, F1, true)
	case BalancedAccuracy:
		a.average(&v, Recall, false)
	case MCC:
		a.mcc(&v)
	default:
		return a.perClass(v.Metric, opts)
	}
	return []modelwatch.Value{v}
}

// average sets the value to the mean of a metric over all classes that occur as
// a label or as a prediction, weighted by their labels or not. Classes for which
// the metric is not defined are left out, as scikit-learn does with
// zero_division=nan.
func (a *Accumulator) average(v *modelwatch.Value, metric string, weighted bool) {
	var sum, total, variance float64
	for _, class := range a.classes.byName() {
		c := modelwatch.Value{Metric: metric}
		a.classes.table(class, a.labelled).score(&c)
		if c.Value == nil {
			continue
		}
		w := 1.0
		if weighted {
			w = float64(a.classes.tallies[class].labelled)
		}
		sum += w * *c.Value
		total += w
		variance += w * w * *c.StandardError * *c.StandardError
	}
	if total == 0 {
		v.Reason = modelwatch.ReasonZeroDivision
		return
	}
	x := sum / total
	v.Value = &x
	normal(v, math.Sqrt(variance)/total, 0, 1)
}

// perClass returns a metric for each of the classes with the most labels. A
// ratio with fewer rows below its line than the minimum is too_few.
func (a *Accumulator) perClass(metric string, opts Options) []modelwatch.Value {
	names := a.classes.byLabels()
	names = names[:min(len(names), MaxShownClasses)]
	values := make([]modelwatch.Value, len(names))
	for i, class := range names {
		t := a.classes.table(class, a.labelled)
		v := modelwatch.Value{Metric: metric, Class: shown(class), NCurrent: a.labelled}
		switch metric {
		case Precision:
			v.NCurrent = t.tp + t.fp
		case Recall:
			v.NCurrent = t.tp + t.fn
		case F1:
			v.NCurrent = t.tp + t.fp + t.fn
		}
		t.score(&v)
		if v.Value != nil && v.NCurrent < opts.minimum() {
			v = modelwatch.Value{Metric: metric, Class: v.Class, NCurrent: v.NCurrent, Reason: modelwatch.ReasonTooFew}
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

// mcc is Gorodkin's R_K, Matthews' correlation for many classes.
func (a *Accumulator) mcc(v *modelwatch.Value) {
	n := float64(a.labelled)
	var pt, pp, tt float64
	for _, class := range a.classes.byName() {
		t := a.classes.tallies[class]
		p, l := float64(t.predicted)/n, float64(t.labelled)/n
		pt, pp, tt = pt+p*l, pp+p*p, tt+l*l
	}
	switch {
	case tt >= 1:
		v.Reason = modelwatch.ReasonSingleClass
	case pp >= 1:
		v.Reason = modelwatch.ReasonZeroDivision
	default:
		x := (float64(a.classes.correct)/n - pt) / (math.Sqrt(1-pp) * math.Sqrt(1-tt))
		x = min(max(x, -1), 1)
		v.Value = &x
	}
}
