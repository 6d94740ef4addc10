package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// z95 is the 97.5 % point of the normal distribution.
const z95 = 1.959963984540054

// proportion sets the value to k of n with its binomial standard error and
// Wilson's 95 % interval (Wilson 1927), or the reason if n is 0.
func proportion(v *modelwatch.Value, k, n int64, none modelwatch.Reason) {
	if n == 0 {
		v.Reason = none
		return
	}
	x, lower, upper, se := wilson(k, n)
	v.Value, v.Lower, v.Upper, v.StandardError = &x, &lower, &upper, &se
}

func wilson(k, n int64) (x, lower, upper, se float64) {
	m := float64(n)
	x = float64(k) / m
	centre := (x + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(x*(1-x)/m+z95*z95/(4*m*m))
	return x, max(min(centre-half, x), 0), min(max(centre+half, x), 1), math.Sqrt(x * (1 - x) / m)
}

// normal sets the standard error and the interval value +- 1.96 se within [low,
// high], each unless it is beyond the range of a double.
func normal(v *modelwatch.Value, se, low, high float64) {
	if se-se != 0 {
		return
	}
	lower, upper := max(*v.Value-z95*se, low), min(*v.Value+z95*se, high)
	v.StandardError = &se
	if lower-lower == 0 && upper-upper == 0 {
		v.Lower, v.Upper = &lower, &upper
	}
}
