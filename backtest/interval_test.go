package backtest

import (
	"math"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// An error near the largest double has a mean and a standard error, but an
// interval that no double holds: it is left out, not infinite.
func TestIntervalBeyondRange(t *testing.T) {
	t.Parallel()
	a := mustNew(t, modelwatch.TaskRegression, "")
	addErrors(a, 1, 1, 1)
	addErrors(a, 1, 0, math.MaxFloat64)
	v := a.Values([]string{MAE}, Options{MinimumRows: 1})[0]
	if v.Value == nil || *v.Value != math.MaxFloat64/2 || v.StandardError == nil {
		t.Errorf("got %+v, want half of the largest double with a standard error", v)
	}
	if v.Lower != nil || v.Upper != nil {
		t.Errorf("got the interval [%v, %v], want none", *v.Lower, *v.Upper)
	}
}
