package report

import (
	"cmp"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// state is how much a value, or a column, deserves a look.
type state int

const (
	stateNone   state = iota // no value
	stateWithin              // what happens without drift
	stateBeyond              // more than that
	stateOver                // over a threshold
)

var stateNames = [...]string{"none", "within", "beyond", "over"}

func (s state) String() string { return stateNames[s] }

// stateOf judges one measurement. Beyond is: the corrected p-value is under
// 0.05; where there is none, the value is over its null point. Of a backtest it
// is: the baseline's value lies outside of the interval.
func stateOf(m *modelwatch.Measurement) state {
	value, ok := usable(m.Value.Value)
	if !ok || m.Reason != "" {
		return stateNone
	}
	if m.Breached {
		return stateOver
	}
	if p, ok := usable(m.AdjustedP); ok {
		return beyondIf(p < 0.05)
	}
	if null, ok := usable(m.Null95); ok {
		return beyondIf(value > null)
	}
	if base, ok := usable(m.BaselineValue); ok {
		if lower, upper, ok := interval(m); ok {
			return beyondIf(base < lower || base > upper)
		}
	}
	return stateWithin
}

func beyondIf(moved bool) state {
	if moved {
		return stateBeyond
	}
	return stateWithin
}

const normal975 = 1.959963984540054 // the 97.5 % point of the normal distribution

// interval returns the bounds of a measurement, or 95 % around its value.
func interval(m *modelwatch.Measurement) (lower, upper float64, ok bool) {
	lower, okLower := usable(m.Lower)
	upper, okUpper := usable(m.Upper)
	if okLower && okUpper {
		return lower, upper, true
	}
	value, okValue := usable(m.Value.Value)
	se, okSE := usable(m.StandardError)
	return value - normal975*se, value + normal975*se, okValue && okSE
}

// Severity is how far a value is from being harmless: its ratio to the threshold
// or, without one, to its 95 % point under no drift; 0 where there is neither.
// What matters most is shown first by it.
func Severity(m *modelwatch.Measurement) float64 { return severity(m) }

// severity is how far a value is from being harmless: its ratio to the
// threshold or, without one, to the null point. Neither: 0.
func severity(m *modelwatch.Measurement) float64 {
	value, ok := usable(m.Value.Value)
	if !ok {
		return 0
	}
	if m.Threshold != nil {
		if upper, ok := usable(m.Threshold.Upper); ok && upper > 0 {
			return value / upper
		}
		if lower, ok := usable(m.Threshold.Lower); ok && value > 0 {
			return lower / value
		}
	}
	if null, ok := usable(m.Null95); ok && null > 0 {
		return value / null
	}
	return 0
}

// subjectKey names what a card is about: a column of a drift report, a metric of
// a backtest.
type subjectKey struct {
	subject modelwatch.Subject
	name    string
	metric  string
	k       int
}

// seriesKey is a metric within a card.
type seriesKey struct {
	metric string
	class  string
	k      int
}

func keyOfSeries(m *modelwatch.Measurement) seriesKey { return seriesKey{m.Metric, m.Class, m.K} }

// item is what one card is made of.
type item struct {
	key    subjectKey
	column *Column // drift only; nil where the report has no distribution

	whole    []*modelwatch.Measurement // of the whole population, over all rows
	segments []*modelwatch.Measurement
	chunks   []map[seriesKey]*modelwatch.Measurement // per chunk; nil where there are none

	state state
	score float64
}

// importance returns the relative weight of the item's column, where it is known.
func (it *item) importance() (float64, bool) {
	if it.column == nil {
		return 0, false
	}
	w, ok := usable(&it.column.Importance)
	return w, ok && w > 0
}

// arrangement is the report's measurements, sorted by where they are shown.
type arrangement struct {
	items   []*item
	model   []*modelwatch.Measurement
	groups  []*modelwatch.Measurement
	classes []*modelwatch.Measurement
	last    map[*modelwatch.Measurement]bool // those of the last chunk that stand for all rows
	judged  bool                             // some measurement has a threshold

	byKey  map[subjectKey]*item
	chunks int
}

func arrange(r *Report) *arrangement {
	a := &arrangement{byKey: map[subjectKey]*item{}, last: map[*modelwatch.Measurement]bool{}, chunks: len(r.Chunks)}
	for i := range r.Columns {
		c := &r.Columns[i]
		a.item(subjectKey{subject: c.Subject, name: c.Name}).column = c
	}
	for i := range r.Measurements {
		a.add(r.Kind, &r.Measurements[i], -1)
	}
	for i := range r.Chunks {
		for j := range r.Chunks[i].Measurements {
			a.add(r.Kind, &r.Chunks[i].Measurements[j], i)
		}
	}
	if len(r.Chunks) > 0 {
		a.fallBack(r.Kind, r.Chunks[len(r.Chunks)-1].Measurements)
	}
	a.rank(r.Kind)
	return a
}

func (a *arrangement) item(key subjectKey) *item {
	it := a.byKey[key]
	if it == nil {
		it = &item{key: key}
		a.byKey[key] = it
		a.items = append(a.items, it)
	}
	return it
}

// add puts a measurement, of one chunk or of all rows (-1), in its place.
func (a *arrangement) add(kind modelwatch.JobKind, m *modelwatch.Measurement, chunk int) {
	a.judged = a.judged || m.Threshold != nil
	whole := chunk < 0
	switch {
	case m.Class != "":
		if whole && len(m.Segment) == 0 {
			a.classes = append(a.classes, m)
		}
		return
	case m.Subject == modelwatch.SubjectGroup:
		if whole && len(m.Segment) == 0 {
			a.groups = append(a.groups, m)
		}
		return
	case kind == modelwatch.JobDrift && (m.Subject == modelwatch.SubjectModel || m.Name == ""):
		if whole && len(m.Segment) == 0 {
			a.model = append(a.model, m)
		}
		return
	}
	it := a.item(cardKey(kind, m))
	switch {
	case whole && len(m.Segment) == 0:
		it.whole = append(it.whole, m)
	case whole:
		it.segments = append(it.segments, m)
	case len(m.Segment) == 0:
		if it.chunks == nil {
			it.chunks = make([]map[seriesKey]*modelwatch.Measurement, a.chunks)
		}
		if it.chunks[chunk] == nil {
			it.chunks[chunk] = map[seriesKey]*modelwatch.Measurement{}
		}
		it.chunks[chunk][keyOfSeries(m)] = m
	}
}

func cardKey(kind modelwatch.JobKind, m *modelwatch.Measurement) subjectKey {
	if kind == modelwatch.JobBacktest {
		return subjectKey{subject: m.Subject, name: m.Name, metric: m.Metric, k: m.K}
	}
	return subjectKey{subject: m.Subject, name: m.Name}
}

// fallBack shows the last chunk's values of metrics that have none over all rows.
func (a *arrangement) fallBack(kind modelwatch.JobKind, last []modelwatch.Measurement) {
	type place struct {
		subjectKey
		seriesKey
		segment string
	}
	at := func(m *modelwatch.Measurement) place {
		return place{subjectKey{m.Subject, m.Name, "", 0}, keyOfSeries(m), segmentLabel(m.Segment)}
	}
	have := map[place]bool{}
	for _, list := range [][]*modelwatch.Measurement{a.model, a.groups, a.classes} {
		for _, m := range list {
			have[at(m)] = true
		}
	}
	for _, it := range a.items {
		for _, m := range it.whole {
			have[at(m)] = true
		}
		for _, m := range it.segments {
			have[at(m)] = true
		}
	}
	for i := range last {
		if m := &last[i]; !have[at(m)] {
			a.last[m] = true
			a.add(kind, m, -1)
		}
	}
}

// rank puts what matters most first: what is over a threshold, in all rows or in
// a chunk; then, by the largest ratio of a value to its threshold or null point,
// times the column's importance over the mean importance. A backtest keeps the
// order of its metrics after those over a threshold.
func (a *arrangement) rank(kind modelwatch.JobKind) {
	var sum float64
	var known int
	for _, it := range a.items {
		if w, ok := it.importance(); ok {
			sum += w
			known++
		}
	}
	for _, it := range a.items {
		weight := 1.
		if w, ok := it.importance(); ok {
			weight = w / (sum / float64(known))
		}
		for _, m := range it.whole {
			it.state = max(it.state, stateOf(m))
			it.score = max(it.score, severity(m)*weight)
		}
		for _, chunk := range it.chunks {
			for _, m := range chunk {
				if m.Breached {
					it.state = stateOver
				}
			}
		}
	}
	slices.SortStableFunc(a.items, func(x, y *item) int {
		if over := cmp.Compare(b2i(y.state == stateOver), b2i(x.state == stateOver)); over != 0 || kind == modelwatch.JobBacktest {
			return over
		}
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(y.state, x.state), cmp.Compare(x.key.name, y.key.name), cmp.Compare(x.key.subject, y.key.subject))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareSeries(a, b seriesKey) int {
	return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.class, b.class), cmp.Compare(a.k, b.k))
}
