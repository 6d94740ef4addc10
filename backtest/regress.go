package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// errors sums e = predicted - label.
type errors struct {
	n       int64
	sum     profile.Sum // of e
	abs     profile.Sum // of |e|
	square  profile.SquareSum
	rounded profile.Sum       // of e^2 as doubles, and
	fourth  profile.SquareSum // of their squares
	huge    bool              // an e^2 was beyond the range of a double
}

func (r *errors) add(e float64) {
	r.n++
	r.sum.Add(e)
	r.abs.Add(math.Abs(e))
	r.square.Add(e)
	if s := e * e; math.IsInf(s, 0) {
		r.huge = true
	} else {
		r.rounded.Add(s)
		r.fourth.Add(s)
	}
}

func (r *errors) merge(o *errors) {
	r.n += o.n
	r.sum.Merge(&o.sum)
	r.abs.Merge(&o.abs)
	r.square.Merge(&o.square)
	r.rounded.Merge(&o.rounded)
	r.fourth.Merge(&o.fourth)
	r.huge = r.huge || o.huge
}

// score sets the value of a metric of regression.
//
// rmse is sqrt(mean e^2), its standard error by the delta method sd(e^2) / (2
// rmse sqrt(n)); mae is mean |e| and bias is mean e, positive where predictions
// are too high, with sd / sqrt(n). The sds are sample standard deviations: one
// row has no standard error.
func (r *errors) score(v *modelwatch.Value) {
	n := float64(r.n)
	var x, se, low float64
	switch v.Metric {
	case RMSE:
		x = r.square.Root(r.n)
		se = math.NaN()
		if sd, ok := profile.SampleSD(r.n, &r.rounded, &r.fourth); ok && !r.huge && x > 0 {
			se = sd / (2 * x * math.Sqrt(n))
		} else if x == 0 && r.n > 1 {
			se = 0
		}
	case MAE:
		x = r.abs.Mean(r.n)
		se = r.deviation(&r.abs)
	case Bias:
		x = r.sum.Mean(r.n)
		se = r.deviation(&r.sum)
		low = math.Inf(-1)
	}
	v.Value = &x
	normal(v, se, low, math.Inf(1))
}

// deviation returns the standard error of the mean of s.
func (r *errors) deviation(s *profile.Sum) float64 {
	sd, ok := profile.SampleSD(r.n, s, &r.square)
	if !ok {
		return math.NaN()
	}
	return sd / math.Sqrt(float64(r.n))
}
