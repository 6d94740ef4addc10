package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
)

// z95 is the 97.5 % point of the normal distribution.
const z95 = 1.959963984540054

// proportion sets the value to the share of k in n with its binomial standard
// error and Wilson's 95 % interval (Wilson 1927), both for the effective number
// of rows in n, or the reason if there is none.
func proportion(v *modelwatch.Value, k, n count, none modelwatch.Reason) {
	if n.n == 0 {
		v.Reason = none
		return
	}
	x, lower, upper, se := wilson(&k, &n)
	v.Value, v.Lower, v.Upper, v.StandardError = &x, &lower, &upper, &se
}

func wilson(k, n *count) (x, lower, upper, se float64) {
	m := n.effective()
	x = min(k.mass()/n.mass(), 1)
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
		lower, upper = min(lower, *v.Value), max(upper, *v.Value)
		v.Lower, v.Upper = &lower, &upper
	}
}

// constant sets the value of the best constant prediction.
func constant(v *modelwatch.Value, x float64) {
	if x-x == 0 {
		v.ConstantValue = &x
	}
}
