package backtest

import (
	"cmp"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// Limits of a classifier's classes. They bound memory and the number of series
// whatever the label column holds.
const (
	// MaxClasses is the number of classes that are counted apart. With more, what
	// needs each class (macro, weighted, per class) is not_applicable; accuracy
	// and the micro averages are not affected.
	MaxClasses = 10_000
	// MaxShownClasses is the number of classes, those with the most labels, that
	// have values of their own.
	MaxShownClasses = 100
)

// tally counts the rows of one class.
type tally struct{ correct, predicted, labelled int64 }

// classes are the margins and the diagonal of a confusion matrix: all that the
// metrics need.
type classes struct {
	tallies  map[string]tally
	correct  int64
	overflow bool // there were more than MaxClasses
}

func (c *classes) add(predicted, label string) {
	if predicted == label {
		c.correct++
		c.bump(label, tally{1, 1, 1})
		return
	}
	c.bump(predicted, tally{predicted: 1})
	c.bump(label, tally{labelled: 1})
}

func (c *classes) bump(class string, by tally) {
	t, ok := c.tallies[class]
	if !ok && len(c.tallies) >= MaxClasses {
		c.overflow = true
		return
	}
	c.tallies[class] = tally{t.correct + by.correct, t.predicted + by.predicted, t.labelled + by.labelled}
}

func (c *classes) merge(d *classes) {
	c.correct += d.correct
	c.overflow = c.overflow || d.overflow
	for _, class := range d.byName() {
		c.bump(class, d.tallies[class])
	}
}

// byName lists the classes by name: sums over classes run in this order.
func (c *classes) byName() []string {
	names := make([]string, 0, len(c.tallies))
	for name := range c.tallies {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// byLabels lists the classes with the most labels first.
func (c *classes) byLabels() []string {
	names := c.byName()
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(c.tallies[b].labelled, c.tallies[a].labelled)
	})
	return names
}

// table returns the two by two table of one class against the rest.
func (c *classes) table(class string, n int64) table {
	t := c.tallies[class]
	fp, fn := t.predicted-t.correct, t.labelled-t.correct
	return table{tp: t.correct, fp: fp, fn: fn, tn: n - t.correct - fp - fn}
}

type table struct{ tp, fp, tn, fn int64 }

// score sets the value of a metric of one class.
func (t table) score(v *modelwatch.Value) {
	switch v.Metric {
	case Accuracy:
		proportion(v, t.tp+t.tn, t.tp+t.tn+t.fp+t.fn, modelwatch.ReasonNoLabels)
	case Precision:
		proportion(v, t.tp, t.tp+t.fp, modelwatch.ReasonZeroDivision)
	case Recall:
		proportion(v, t.tp, t.tp+t.fn, modelwatch.ReasonNoPositive)
	case Specificity:
		proportion(v, t.tn, t.tn+t.fp, modelwatch.ReasonSingleClass)
	case F1:
		t.f1(v)
	case BalancedAccuracy:
		t.balanced(v)
	case MCC:
		t.mcc(v)
	default:
		x := float64(t.count(v.Metric))
		v.Value = &x
	}
}

func (t table) count(metric string) int64 {
	return map[string]int64{TruePositives: t.tp, FalsePositives: t.fp, TrueNegatives: t.tn, FalseNegatives: t.fn}[metric]
}

// f1 is 2 tp / (2 tp + fp + fn) = 2 J / (1 + J) with the Jaccard index J = tp /
// (tp + fp + fn), a proportion: the interval is Wilson's for J, transformed, and
// the standard error follows by the delta method.
func (t table) f1(v *modelwatch.Value) {
	n := t.tp + t.fp + t.fn
	if n == 0 {
		v.Reason = modelwatch.ReasonZeroDivision
		return
	}
	j, lower, upper, se := wilson(t.tp, n)
	f := func(j float64) *float64 { y := 2 * j / (1 + j); return &y }
	x := 2 * float64(t.tp) / float64(2*t.tp+t.fp+t.fn)
	se *= 2 / ((1 + j) * (1 + j))
	v.Value, v.Lower, v.Upper, v.StandardError = &x, f(lower), f(upper), &se
}

// balanced is the mean of recall and specificity.
func (t table) balanced(v *modelwatch.Value) {
	if t.tp+t.fn == 0 || t.tn+t.fp == 0 {
		v.Reason = modelwatch.ReasonSingleClass
		return
	}
	r, _, _, a := wilson(t.tp, t.tp+t.fn)
	s, _, _, b := wilson(t.tn, t.tn+t.fp)
	x := (r + s) / 2
	v.Value = &x
	normal(v, math.Hypot(a, b)/2, 0, 1)
}

// mcc is Matthews' correlation of labels and predictions.
func (t table) mcc(v *modelwatch.Value) {
	tp, fp, tn, fn := float64(t.tp), float64(t.fp), float64(t.tn), float64(t.fn)
	switch {
	case t.tp+t.fn == 0 || t.tn+t.fp == 0:
		v.Reason = modelwatch.ReasonSingleClass
	case t.tp+t.fp == 0 || t.tn+t.fn == 0:
		v.Reason = modelwatch.ReasonZeroDivision
	default:
		x := (tp*tn - fp*fn) / (math.Sqrt(tp+fp) * math.Sqrt(tp+fn) * math.Sqrt(tn+fp) * math.Sqrt(tn+fn))
		x = min(max(x, -1), 1)
		v.Value = &x
	}
}
