package drift

import (
	"maps"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// maximumSuffix makes the name of the largest value of a metric over a group.
const maximumSuffix = "_max"

// averaged are the metrics whose mean over features says something: those with
// the same scale for every feature. A p-value, a statistic, a signed shift and a
// distance in the feature's own unit have none.
var averaged = []string{
	PSI, JSDistance, JSDivergence, KL, Hellinger, TVD, LInfinity, KS, WassersteinScaled,
	MissingRatio, InvalidRatio, NewCategoryRatio, OutOfRangeRatio,
}

// GroupMetrics returns the metrics that only groups of features and the model
// have: the largest value of each metric that is averaged, "psi_max".
func GroupMetrics() []string {
	names := make([]string, len(averaged))
	for i, m := range averaged {
		names[i] = m + maximumSuffix
	}
	return names
}

// GroupedMetric is the metric of the features that a metric of GroupMetrics is the
// largest value of; any other metric is its own.
func GroupedMetric(metric string) string {
	if base, ok := strings.CutSuffix(metric, maximumSuffix); ok && slices.Contains(averaged, base) {
		return base
	}
	return metric
}

// Member is a feature that groups are made of.
type Member struct {
	Name       string // in results
	Column     string // in the table; several members may be views of one column
	Importance float64
}

// Group measures each group of features, and all features together as the
// model. It takes the judged measurements of one window, version and segment
// and returns, with subject group and the group's name, and with subject model:
//
//   - under each metric's own name the mean over the group's features, weighted by
//     their importance: sum w x / sum w;
//   - with the suffix "_max" the largest value;
//   - for groups drifted_share, the share of importance that has drifted (see
//     Drifted) among the features that were judged. Those of the model count
//     features, see Summarise.
//
// A group is a list of columns by either name of a Member; a trailing "*" matches a
// prefix. Views of one column share its importance. If no feature of a group has
// an importance, all columns weigh the same; else one without weighs nothing.
//
// Features without a value are left out of the weights: NBaseline is the number of
// the group's features that were measured, NCurrent that of those with a value.
//
// Special cases are: the reason is empty if no feature has a value, zero_division
// if none of those that have one has weight. The model has no mean of fewer than
// two features, which would repeat the feature's. A group without features gives nothing.
func Group(ms []modelwatch.Measurement, members []Member, groups map[string][]string) []modelwatch.Measurement {
	drifted := Drifted(ms)
	var out []modelwatch.Measurement
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		weights := weigh(members, groups[name])
		if len(weights) == 0 {
			continue
		}
		values := average(ms, weights, 1)
		if v, ok := driftedShare(drifted, weights); ok {
			values = append(values, v)
		}
		for _, v := range values {
			out = append(out, modelwatch.Measurement{Value: v, Subject: modelwatch.SubjectGroup, Name: name})
		}
	}
	for _, v := range average(ms, weigh(members, []string{"*"}), 2) {
		out = append(out, modelwatch.Measurement{Value: v, Subject: modelwatch.SubjectModel})
	}
	return out
}

// weigh returns the weights of the members that a pattern matches, by name, the
// largest being 1 or nothing.
func weigh(members []Member, patterns []string) map[string]float64 {
	views := map[string]float64{}
	largest := 0.0
	var chosen []Member
	for _, m := range members {
		if matches(patterns, m.Name) || matches(patterns, m.Column) {
			chosen = append(chosen, m)
			views[m.Column]++
			largest = max(largest, m.Importance)
		}
	}
	weights := make(map[string]float64, len(chosen))
	for _, m := range chosen {
		if largest > 0 {
			weights[m.Name] = m.Importance / largest / views[m.Column]
		} else {
			weights[m.Name] = 1 / views[m.Column]
		}
	}
	return weights
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return p == name || wild && strings.HasPrefix(name, prefix)
	})
}

// average returns the mean and the maximum of each metric that at least so many
// of the weighted features were measured by, in the order of averaged.
func average(ms []modelwatch.Measurement, weights map[string]float64, least int64) []modelwatch.Value {
	var values []modelwatch.Value
	for _, metric := range averaged {
		mean := modelwatch.Value{Metric: metric}
		var largest, total, sum float64
		for _, m := range ms {
			w, ok := weights[m.Name]
			if !ok || m.Metric != metric || m.Subject != modelwatch.SubjectFeature || m.Reason == modelwatch.ReasonNotApplicable {
				continue
			}
			mean.NBaseline++
			if m.Value.Value == nil {
				continue
			}
			largest = max(largest, *m.Value.Value) // none of these metrics is negative
			mean.NCurrent++
			total += w
			sum += (*m.Value.Value - sum) * share(w, total)
		}
		if mean.NBaseline < least {
			continue
		}
		maximum := mean
		maximum.Metric += maximumSuffix
		switch {
		case mean.NCurrent == 0:
			mean.Reason, maximum.Reason = modelwatch.ReasonEmpty, modelwatch.ReasonEmpty
		case total == 0:
			mean.Reason, maximum.Value = modelwatch.ReasonZeroDivision, ptr(largest)
		default:
			mean.Value, maximum.Value = ptr(min(sum, largest)), ptr(largest)
		}
		values = append(values, mean, maximum)
	}
	return values
}

func share(part, total float64) float64 {
	if total == 0 {
		return 0
	}
	return part / total
}

// driftedShare is false if no feature of the group was judged.
func driftedShare(drifted map[string]bool, weights map[string]float64) (modelwatch.Value, bool) {
	v := modelwatch.Value{Metric: DriftedShare, NBaseline: int64(len(weights))}
	var total, over float64
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		is, judged := drifted[name]
		if !judged {
			continue
		}
		v.NCurrent++
		total += weights[name]
		if is {
			over += weights[name]
		}
	}
	switch {
	case v.NCurrent == 0:
		return v, false
	case total == 0:
		v.Reason = modelwatch.ReasonZeroDivision
	default:
		v.Value = ptr(over / total)
	}
	return v, true
}

// Correct sets AdjustedP of the features among the measurements of one window,
// version and segment: their p-values corrected, metric by metric, for the
// number of features that were tested (see AdjustP).
func Correct(ms []modelwatch.Measurement) {
	families := map[string][]int{}
	for i := range ms {
		if ms[i].Subject == modelwatch.SubjectFeature && ms[i].PValue != nil {
			families[ms[i].Metric] = append(families[ms[i].Metric], i)
		}
	}
	for _, family := range families {
		p := make([]float64, len(family))
		for k, i := range family {
			p[k] = *ms[i].PValue
		}
		for k, adjusted := range AdjustP(p) {
			ms[family[k]].AdjustedP = &adjusted
		}
	}
}

// Drifted tells of each feature that was judged by a threshold on its
// distribution whether it has drifted: one of its measurements is breached. A
// breached p-value counts only if it is below the limit as corrected by Correct,
// too. Quality ratios are judged, but are no drift. A feature whose measurements
// have no value was not judged.
func Drifted(ms []modelwatch.Measurement) map[string]bool {
	drifted := map[string]bool{}
	for i := range ms {
		m := &ms[i]
		known, ok := lookup(m.Metric)
		if !ok || known.quality || m.Subject != modelwatch.SubjectFeature || m.Threshold == nil || m.Value.Value == nil {
			continue
		}
		over := m.Breached
		if test := m.Metric == KSP || m.Metric == Chi2P; test && over && m.AdjustedP != nil && m.Threshold.Lower != nil {
			over = *m.AdjustedP < *m.Threshold.Lower
		}
		drifted[m.Name] = drifted[m.Name] || over
	}
	return drifted
}
