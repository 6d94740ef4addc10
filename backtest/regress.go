package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// errors sums e = predicted - label over rows, and what is made of it.
type errors struct {
	n       int64
	e       moments           // e
	abs     moments           // |e|
	square  moments           // e^2, rounded
	exact   profile.SquareSum // e^2, not rounded
	labels  moments           // label
	ratio   moments           // |e| / |label|
	share   moments           // 2 |e| / (|predicted| + |label|)
	log     moments           // (ln(1+predicted) - ln(1+label))^2
	zero    bool              // a label was 0: no ratio
	outside bool              // a label or a prediction was -1 or less: no logarithm
}

func (r *errors) add(predicted, label float64) {
	e := min(max(predicted-label, -math.MaxFloat64), math.MaxFloat64)
	size := math.Abs(e)
	r.n++
	r.e.add(e)
	r.abs.add(size)
	r.square.add(e * e)
	r.exact.Add(e)
	r.labels.add(label)
	if label == 0 {
		r.zero = true
	} else {
		r.ratio.add(size / math.Abs(label))
	}
	if size > 0 {
		// Halves, because the sum of two magnitudes may leave the range.
		r.share.add(size / (math.Abs(predicted)/2 + math.Abs(label)/2))
	}
	if predicted <= -1 || label <= -1 {
		r.outside = true
	} else {
		d := math.Log1p(predicted) - math.Log1p(label)
		r.log.add(d * d)
	}
}

func (r *errors) merge(o *errors) {
	r.n += o.n
	for i, m := range r.all() {
		m.merge(o.all()[i])
	}
	r.exact.Merge(&o.exact)
	r.zero = r.zero || o.zero
	r.outside = r.outside || o.outside
}

func (r *errors) all() [7]*moments {
	return [...]*moments{&r.e, &r.abs, &r.square, &r.labels, &r.ratio, &r.share, &r.log}
}

// score sets the value of a metric of regression. Means have the standard error
// sd / sqrt(n), sd the sample standard deviation; one row has none.
//
//	mae    mean |e|
//	bias   mean e: positive where predictions are too high
//	mape   mean |e| / |label|; zero_division if a label is 0
//	smape  mean 2 |e| / (|predicted| + |label|), 0 where both are 0; in [0, 2]
//	msle   mean (ln(1+predicted) - ln(1+label))^2; not_applicable if one is -1 or less
func (r *errors) score(v *modelwatch.Value) {
	switch v.Metric {
	case RMSE:
		r.rmse(v)
	case R2:
		r.r2(v)
	case MAE:
		r.abs.set(v, r.n, 0, math.Inf(1))
	case Bias:
		r.e.set(v, r.n, math.Inf(-1), math.Inf(1))
	case SMAPE:
		r.share.set(v, r.n, 0, 2)
	case MAPE:
		if r.zero {
			v.Reason = modelwatch.ReasonZeroDivision
			return
		}
		r.ratio.set(v, r.n, 0, math.Inf(1))
	case MSLE:
		if r.outside {
			v.Reason = modelwatch.ReasonNotApplicable
			return
		}
		r.log.set(v, r.n, 0, math.Inf(1))
	}
}

// rmse is sqrt(mean e^2). Its standard error is sd(e^2) / (2 rmse sqrt(n)), by
// the delta method.
func (r *errors) rmse(v *modelwatch.Value) {
	x := r.exact.Root(r.n)
	v.Value = &x
	sd, ok := r.square.sd(r.n)
	switch {
	case !ok:
	case x == 0:
		normal(v, 0, 0, 0)
	default:
		normal(v, sd/(2*x*math.Sqrt(float64(r.n))), 0, math.Inf(1))
	}
}

// r2 is 1 - sum e^2 / sum (label - mean)^2, the coefficient of determination. It
// is 1 at best and has no lower limit. Labels that are all the same leave nothing
// to determine: constant.
func (r *errors) r2(v *modelwatch.Value) {
	sd, _ := profile.PopulationSD(r.n, &r.labels.sum, &r.labels.squares)
	q := r.exact.Root(r.n) / sd
	x := 1 - q*q
	switch {
	case sd == 0:
		v.Reason = modelwatch.ReasonConstant
	case math.IsInf(x, 0):
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		v.Value = &x
	}
}

// moments are the sums of a number per row. A number beyond the range of a
// double cannot be summed: what it belongs to then has no value.
type moments struct {
	sum     profile.Sum
	squares profile.SquareSum
	lost    bool
}

func (m *moments) add(x float64) {
	if x-x != 0 {
		m.lost = true
		return
	}
	m.sum.Add(x)
	m.squares.Add(x)
}

func (m *moments) merge(o *moments) {
	m.sum.Merge(&o.sum)
	m.squares.Merge(&o.squares)
	m.lost = m.lost || o.lost
}

func (m *moments) sd(n int64) (float64, bool) {
	sd, ok := profile.SampleSD(n, &m.sum, &m.squares)
	return sd, ok && !m.lost
}

// set sets the value to the mean over n rows, with its standard error and the 95
// % interval cut to [low, high].
func (m *moments) set(v *modelwatch.Value, n int64, low, high float64) {
	if m.lost {
		v.Reason = modelwatch.ReasonNotApplicable
		return
	}
	x := m.sum.Mean(n)
	v.Value = &x
	if sd, ok := m.sd(n); ok {
		normal(v, sd/math.Sqrt(float64(n)), low, high)
	}
}
