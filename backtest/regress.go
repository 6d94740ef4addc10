package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// errors sums e = predicted - label over rows, and what is made of it.
type errors struct {
	want     wanted
	quantile float64
	all      count

	e       moments // e
	abs     moments // |e|
	square  moments // e^2, rounded
	labels  moments // label
	logs    moments // ln(1+label)
	ratio   moments // |e| / |label|
	share   moments // 2 |e| / (|predicted| + |label|)
	log     moments // (ln(1+predicted) - ln(1+label))^2
	pinball moments
	powers  labelPowers
	zero    bool // a label was 0: no ratio
	outside bool // a label or a prediction was -1 or less: no logarithm

	low, high float64 // label

	seen *cells // labels, for the best constants; nil if no metric needs them
}

func (r *errors) add(predicted, label float64, w *weight) {
	e := min(max(predicted-label, -math.MaxFloat64), math.MaxFloat64)
	size := math.Abs(e)
	if r.all.n == 0 {
		r.low, r.high = label, label
	}
	r.low, r.high = min(r.low, label), max(r.high, label)
	r.all.add(w)
	r.e.add(e, w)
	if r.want.squares {
		r.square.add(e*e, w)
		r.labels.add(label, w)
	}
	if r.want.r2 {
		r.powers.add(e*e, label, w)
	}
	if r.want.mae {
		r.abs.add(size, w)
	}
	if r.want.quantile {
		r.pinball.add(pinball(e, r.quantile), w)
	}
	if r.want.mape {
		if label == 0 {
			r.zero = true
		} else {
			r.ratio.add(size/math.Abs(label), w)
		}
	}
	if r.want.smape {
		r.addShare(size, predicted, label, w)
	}
	if r.want.msle {
		r.addLog(predicted, label, w)
	}
	if r.seen != nil {
		r.seen.add(label, true, w.value)
	}
}

// pinball is the loss of a prediction that is e too high, of the q quantile.
func pinball(e, q float64) float64 {
	if e > 0 {
		return (1 - q) * e
	}
	return q * -e
}

func (r *errors) addShare(size, predicted, label float64, w *weight) {
	share := 0.0
	if size > 0 {
		// Halves, because the sum of two magnitudes may leave the range.
		share = size / (math.Abs(predicted)/2 + math.Abs(label)/2)
	}
	r.share.add(share, w)
}

func (r *errors) addLog(predicted, label float64, w *weight) {
	if predicted <= -1 || label <= -1 {
		r.outside = true
		return
	}
	l := math.Log1p(label)
	d := math.Log1p(predicted) - l
	r.log.add(d*d, w)
	r.logs.add(l, w)
}

func (r *errors) merge(o *errors) {
	switch {
	case o.all.n == 0:
	case r.all.n == 0:
		r.low, r.high = o.low, o.high
	default:
		r.low, r.high = min(r.low, o.low), max(r.high, o.high)
	}
	r.all.merge(&o.all)
	for i, m := range r.moments() {
		m.merge(o.moments()[i])
	}
	r.powers.merge(&o.powers)
	r.zero = r.zero || o.zero
	r.outside = r.outside || o.outside
	if r.seen != nil {
		r.seen.merge(o.seen)
	}
}

func (r *errors) moments() [9]*moments {
	return [...]*moments{&r.e, &r.abs, &r.square, &r.labels, &r.logs, &r.ratio, &r.share, &r.log, &r.pinball}
}

// score sets the value of a metric of regression. Means have the standard error
// sd / sqrt(n), sd the sample standard deviation; one row has none.
//
//	mae             mean |e|
//	bias            mean e: positive where predictions are too high
//	mape            mean |e| / |label|; zero_division if a label is 0
//	smape           mean 2 |e| / (|predicted| + |label|), 0 where both are 0; in [0, 2]
//	msle            mean (ln(1+predicted) - ln(1+label))^2; not_applicable if one is -1 or less
//	quantile_error  mean of q |e| where predictions are too low and (1-q) |e| where they
//	                are too high: the pinball loss, least for the q quantile of the label
func (r *errors) score(v *modelwatch.Value) {
	switch v.Metric {
	case RMSE:
		r.rmse(v)
	case R2:
		r.r2(v)
	case MAE:
		r.abs.set(v, &r.all, 0, math.Inf(1))
	case Bias:
		r.e.set(v, &r.all, math.Inf(-1), math.Inf(1))
	case SMAPE:
		r.share.set(v, &r.all, 0, 2)
	case QuantileError:
		r.pinball.set(v, &r.all, 0, math.Inf(1))
	case MAPE:
		if r.zero {
			v.Reason = modelwatch.ReasonZeroDivision
			return
		}
		r.ratio.set(v, &r.all, 0, math.Inf(1))
	case MSLE:
		if r.outside {
			v.Reason = modelwatch.ReasonNotApplicable
			return
		}
		r.log.set(v, &r.all, 0, math.Inf(1))
	}
	if v.Value != nil {
		r.constant(v)
	}
}

// rmse is sqrt(mean e^2). Its standard error is sd(e^2) / (2 rmse sqrt(n)), by
// the delta method.
func (r *errors) rmse(v *modelwatch.Value) {
	if r.e.lostSquares {
		v.Reason = modelwatch.ReasonNotApplicable
		return
	}
	x := r.e.root(&r.all)
	v.Value = &x
	sd, ok := r.square.sampleDeviation(&r.all)
	switch {
	case !ok:
	case x == 0:
		normal(v, 0, 0, 0)
	default:
		normal(v, sd/(2*x*math.Sqrt(r.all.effective())), 0, math.Inf(1))
	}
}

// r2 is 1 - sum e^2 / sum (label - mean)^2, the coefficient of determination. It
// is 1 at best and has no lower limit. Labels that are all the same leave nothing
// to determine: constant.
func (r *errors) r2(v *modelwatch.Value) {
	sd := r.labels.deviation(&r.all)
	q := r.e.root(&r.all) / sd
	x := 1 - q*q
	switch {
	case r.low == r.high || sd == 0:
		v.Reason = modelwatch.ReasonConstant
	case !finite(x) || r.e.lostSquares || r.labels.lostSquares:
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		v.Value = &x
		if variance, ok := r.powers.variance(&r.all, r.labels.mean(&r.all), sd, q*q); ok {
			normal(v, math.Sqrt(variance/r.all.effective()), math.Inf(-1), 1)
		}
	}
}

// constant sets what the best constant prediction has: the mean for rmse and r2,
// the median for mae, the quantile for quantile_error, the mean in logarithms for
// msle, and for mape the median with weights 1/|label|. Medians and quantiles are
// exact for up to MaxScores different labels, and beyond them as close as the
// labels that share a cell. There is none for smape.
func (r *errors) constant(v *modelwatch.Value) {
	switch v.Metric {
	case RMSE:
		constant(v, r.labels.deviation(&r.all))
	case R2, Bias:
		constant(v, 0)
	case MSLE:
		sd := r.logs.deviation(&r.all)
		constant(v, sd*sd)
	case MAE:
		constant(v, 2*r.least(0.5, false))
	case QuantileError:
		constant(v, r.least(r.quantile, false))
	case MAPE:
		constant(v, 2*r.least(0.5, true))
	}
}

// least returns the mean pinball loss of the labels' own q quantile; relative
// losses are divided by |label|.
func (r *errors) least(q float64, relative bool) float64 {
	x, _, w := r.seen.values()
	all := 0.0
	for i := range x {
		if relative {
			w[i] /= math.Abs(x[i])
		}
		all += w[i]
	}
	at, below := 0, 0.0
	for i := range x {
		if at = i; below+w[i] >= q*all {
			break
		}
		below += w[i]
	}
	var loss total
	for i := range x {
		loss.add(w[i] * pinball(x[at]-x[i], q))
	}
	return loss.value() / r.all.mass()
}
