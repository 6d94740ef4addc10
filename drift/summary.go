package drift

import (
	"cmp"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// Summarise returns the values about the model: drifted_features, the number of
// features over their threshold, and drifted_share, their share of the features
// measured. Metrics selects among them by name; with none, both are returned.
// With no feature measured neither has a value, with the reason empty.
func Summarise(drifted, measured int, nBaseline, nCurrent int64, metrics []string) []modelwatch.Value {
	if len(metrics) == 0 {
		metrics = []string{DriftedFeatures, DriftedShare}
	}
	var values []modelwatch.Value
	for _, name := range metrics {
		v := modelwatch.Value{Metric: name, NBaseline: nBaseline, NCurrent: nCurrent}
		switch {
		case name != DriftedFeatures && name != DriftedShare:
			continue
		case measured <= 0:
			v.Reason = modelwatch.ReasonEmpty
		case name == DriftedFeatures:
			v.Value = ptr(float64(drifted))
		default:
			v.Value = ptr(float64(drifted) / float64(measured))
		}
		values = append(values, v)
	}
	return values
}

// AdjustP returns the p-values corrected for their number by Benjamini and
// Hochberg (1995): the i-th smallest of k times k/i, made monotone. Calling
// drifted what stays under a level bounds the expected share of false alarms
// among the alarms by that level. The input is not changed; the order is kept.
func AdjustP(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	adjusted := make([]float64, len(p))
	least := 1.0
	for rank := len(p); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, p[i]*(float64(len(p))/float64(rank)))
		adjusted[i] = least
	}
	return adjusted
}
