package modelwatch

import "testing"

func TestThresholdJudge(t *testing.T) {
	t.Parallel()
	at := func(v float64) *float64 { return &v }
	for _, tt := range []struct {
		name      string
		threshold Threshold
		value     Value
		want      bool
	}{
		{"over", Threshold{Upper: at(0.2)}, Value{Value: at(0.3)}, true},
		{"at the limit", Threshold{Upper: at(0.2)}, Value{Value: at(0.2)}, false},
		{"under", Threshold{Lower: at(0.9)}, Value{Value: at(0.8)}, true},
		{"over, but chance explains it", Threshold{Upper: at(0.1)}, Value{Value: at(0.15), Null95: at(0.2)}, false},
		{"over, and more than chance", Threshold{Upper: at(0.1)}, Value{Value: at(0.25), Null95: at(0.2)}, true},
		{"no value", Threshold{Upper: at(0.1)}, Value{Reason: ReasonTooFew}, false},
		{"no limit", Threshold{}, Value{Value: at(9)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, got := tt.threshold.Judge(tt.value); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
