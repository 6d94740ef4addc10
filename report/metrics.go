package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// metricTable is a table with a line a metric. Columns that would be empty are
// left out.
type metricTable struct {
	Rows                                                   []metricRow
	Interval, Null, Limit, P, Adjusted, Baseline, Constant bool
	Effective                                              bool
	Backtest                                               bool // bounds are 95 % intervals
}

type metricRow struct {
	Metric, Text          string
	State, StateText      string
	Value, Why            string
	Interval, Null, Limit string
	P, Adjusted           string
	Baseline, Constant    string
	Rows, Effective       string
	Bullet                []mark
}

// mark is one part of a bullet chart: a class, and where it stands in percent.
type mark struct {
	Class string
	Style template.CSS
}

func newMetricTable(ms []*modelwatch.Measurement) metricTable {
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, func(a, b *modelwatch.Measurement) int { return comparePositions(a.Metric, b.Metric) })
	var t metricTable
	for _, m := range ms {
		row := newMetricRow(m)
		t.Interval = t.Interval || row.Interval != ""
		t.Null = t.Null || row.Null != ""
		t.Limit = t.Limit || row.Limit != ""
		t.P = t.P || row.P != ""
		t.Adjusted = t.Adjusted || row.Adjusted != ""
		t.Baseline = t.Baseline || row.Baseline != ""
		t.Constant = t.Constant || row.Constant != ""
		t.Backtest = t.Backtest || m.Kind == modelwatch.JobBacktest
		t.Effective = t.Effective || row.Effective != ""
		t.Rows = append(t.Rows, row)
	}
	return t
}

func newMetricRow(m *modelwatch.Measurement) metricRow {
	s, text := stateOf(m), meaning(m.Metric)
	if m.Subject == modelwatch.SubjectModel && m.Kind != modelwatch.JobBacktest {
		text = meaningOver(m.Metric)
	}
	row := metricRow{
		Metric: metricName(m.Metric, m.K), Text: text, State: s.String(), StateText: valueState(s),
		Null: optional(m.Null95), Limit: limits(m.Threshold), Baseline: optional(m.BaselineValue), Constant: optional(m.ConstantValue),
		Rows: count(m.NCurrent),
	}
	if s == stateNone {
		row.Why = reason(m.Reason)
		return row
	}
	row.Value = number(*m.Value.Value)
	if lower, upper, ok := interval(m); ok {
		row.Interval = number(lower) + " to " + number(upper)
	}
	if p, ok := usable(m.PValue); ok {
		row.P = pValue(p)
	}
	if p, ok := usable(m.AdjustedP); ok {
		row.Adjusted = pValue(p)
	}
	if n, ok := usable(m.EffectiveCurrent); ok {
		row.Effective = number(math.Round(n))
	}
	row.Bullet = bullet(m)
	return row
}

func valueState(s state) string {
	switch s {
	case stateOver:
		return "threshold breached"
	case stateBeyond:
		return "beyond noise"
	}
	return ""
}

func optional(v *float64) string {
	if f, ok := usable(v); ok {
		return number(f)
	}
	return ""
}

func limits(b *modelwatch.Bounds) string {
	if b == nil {
		return ""
	}
	lower, okLower := usable(b.Lower)
	upper, okUpper := usable(b.Upper)
	switch {
	case okLower && okUpper:
		return number(lower) + " to " + number(upper)
	case okUpper:
		return "\u2264 " + number(upper)
	case okLower:
		return "\u2265 " + number(lower)
	}
	return ""
}

// bullet draws a value on a line that holds whatever it is compared with, and 0;
// nothing where there is nothing to compare it with.
func bullet(m *modelwatch.Measurement) []mark {
	value, ok := usable(m.Value.Value)
	if !ok {
		return nil
	}
	lo, hi := math.Min(value, 0), math.Max(value, 0)
	if m.BaselineValue != nil || m.ConstantValue != nil {
		lo, hi = value, value // what counts is the difference, not the distance from 0
	}
	var pins []struct {
		class string
		at    float64
	}
	pin := func(class string, v *float64) {
		if at, ok := usable(v); ok {
			pins = append(pins, struct {
				class string
				at    float64
			}{class, at})
			lo, hi = math.Min(lo, at), math.Max(hi, at)
		}
	}
	pin("null", m.Null95)
	if m.Threshold != nil {
		pin("limit", m.Threshold.Upper)
		pin("limit", m.Threshold.Lower)
	}
	pin("base", m.BaselineValue)
	pin("const", m.ConstantValue)
	lower, upper, spread := interval(m)
	if spread {
		lo, hi = math.Min(lo, lower), math.Max(hi, upper)
	}
	if !(hi > lo) || math.IsInf(hi-lo, 0) || len(pins) == 0 {
		return nil
	}
	at := func(v float64) float64 { return 2 + 96*(v-lo)/(hi-lo) }
	var marks []mark
	if lo <= 0 && hi >= 0 && m.BaselineValue == nil && m.ConstantValue == nil {
		a, b := math.Min(at(0), at(value)), math.Max(at(0), at(value))
		marks = append(marks, mark{"bar", css("left:%.1f%%;width:%.1f%%", a, b-a)})
	}
	if spread {
		marks = append(marks, mark{"spread", css("left:%.1f%%;width:%.1f%%", at(lower), at(upper)-at(lower))})
	}
	for _, p := range pins {
		marks = append(marks, mark{p.class, css("left:%.1f%%", at(p.at))})
	}
	return append(marks, mark{"dot", css("left:%.1f%%", at(value))})
}

func css(format string, args ...any) template.CSS { return template.CSS(fmt.Sprintf(format, args...)) }

// cell is one value of a matrix.
type cell struct{ Value, Why, State, Sort string }

func newCell(m *modelwatch.Measurement) cell {
	s := stateOf(m)
	if s == stateNone {
		return cell{Why: reason(m.Reason), State: s.String()}
	}
	return cell{Value: number(*m.Value.Value), State: s.String(), Sort: fmt.Sprintf("%g", *m.Value.Value)}
}

func overviewCells(it *item, metrics []seriesKey) []cell {
	cells := make([]cell, len(metrics))
	for _, m := range it.whole {
		if i := slices.Index(metrics, keyOfSeries(m)); i >= 0 {
			cells[i] = newCell(m)
		}
	}
	return cells
}

// matrix is a table with a line a name and a column a metric.
type matrix struct {
	Of      string
	Metrics []heading
	Rows    []matrixRow
}

type matrixRow struct {
	Name  string
	Cells []cell
}

// newMatrix keeps the order of the names; it is nil for no measurements.
func newMatrix(of string, ms []*modelwatch.Measurement, meaning func(string) string, name func(*modelwatch.Measurement) string) *matrix {
	if len(ms) == 0 {
		return nil
	}
	t := &matrix{Of: of}
	var metrics []seriesKey
	key := func(m *modelwatch.Measurement) seriesKey { return seriesKey{metric: m.Metric, k: m.K} }
	for _, m := range ms {
		if !slices.Contains(metrics, key(m)) {
			metrics = append(metrics, key(m))
		}
	}
	metrics = inOrder(metrics)
	for _, k := range metrics {
		t.Metrics = append(t.Metrics, heading{metricName(k.metric, k.k), meaning(k.metric)})
	}
	at := map[string]int{}
	for _, m := range ms {
		i, ok := at[name(m)]
		if !ok {
			i = len(t.Rows)
			at[name(m)] = i
			t.Rows = append(t.Rows, matrixRow{Name: name(m), Cells: make([]cell, len(metrics))})
		}
		t.Rows[i].Cells[slices.Index(metrics, key(m))] = newCell(m)
	}
	return t
}

// confusion is the table of a binary classifier's right and wrong predictions.
type confusion struct{ TP, FN, FP, TN, Recall, Miss, Alarm, Specificity string }

var confusionCounts = []string{"true_positives", "false_negatives", "false_positives", "true_negatives"}

// takeConfusion moves the four counts out of the items into a table. It does
// nothing, and returns nil, where one of them is missing.
func (a *arrangement) takeConfusion() *confusion {
	n := make([]float64, len(confusionCounts))
	for i, name := range confusionCounts {
		found := slices.IndexFunc(a.items, func(it *item) bool { return it.key.metric == name })
		if found < 0 || len(a.items[found].whole) == 0 {
			return nil
		}
		v, ok := usable(a.items[found].whole[0].Value.Value)
		if !ok {
			return nil
		}
		n[i] = v
	}
	a.items = slices.DeleteFunc(a.items, func(it *item) bool { return slices.Contains(confusionCounts, it.key.metric) })
	of := func(a, b float64) string {
		if a+b > 0 {
			return percent(a / (a + b))
		}
		return ""
	}
	whole := func(v float64) string { return count(int64(math.Round(min(v, math.MaxInt64/2)))) }
	tp, fn, fp, tn := n[0], n[1], n[2], n[3]
	return &confusion{whole(tp), whole(fn), whole(fp), whole(tn), of(tp, fn), of(fn, tp), of(fp, tn), of(tn, fp)}
}
