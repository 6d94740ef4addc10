package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/modelwatch/modelwatch"
)

// rounded is a number as the page's data holds it: to a multiple of step, or,
// where step is 0, to six significant digits. What is not finite is null.
type rounded struct{ value, step float64 }

// MarshalJSON writes the shortest text of the rounded number.
func (r rounded) MarshalJSON() ([]byte, error) {
	if math.IsNaN(r.value) || math.IsInf(r.value, 0) {
		return []byte("null"), nil
	}
	if r.step > 0 {
		if decimals := int(math.Ceil(-math.Log10(r.step) - 1e-9)); decimals >= 0 && decimals < 18 {
			text := strconv.FormatFloat(r.value, 'f', decimals, 64)
			v, _ := strconv.ParseFloat(text, 64) // FormatFloat wrote it
			return strconv.AppendFloat(nil, v+0, 'g', -1, 64), nil
		}
		return strconv.AppendFloat(nil, r.value, 'g', -1, 64), nil
	}
	return strconv.AppendFloat(nil, r.value, 'g', 6, 64), nil
}

func six(v *float64) rounded {
	if f, ok := usable(v); ok {
		return rounded{value: f}
	}
	return rounded{value: math.NaN()}
}

// data is what the charts are drawn from.
type data struct {
	Kind     modelwatch.JobKind `json:"kind"`
	Chunks   []string           `json:"chunks,omitempty"`
	Segments []string           `json:"segments,omitempty"`
	Cards    []cardData         `json:"cards"`
}

type cardData struct {
	Name    string         `json:"name"`
	Unit    string         `json:"unit,omitempty"`
	Bins    *binData       `json:"bins,omitempty"`
	Curve   *drawnCurve    `json:"curve,omitempty"`
	KS      []rounded      `json:"ks,omitempty"` // value, lower, upper
	Series  []seriesData   `json:"series,omitempty"`
	Segment []segmentsData `json:"segment,omitempty"`
}

// binData holds the bins: the edges between them, or their values.
type binData struct {
	Edges   []rounded `json:"edges,omitempty"`
	Values  []string  `json:"values,omitempty"`
	Other   int       `json:"other"` // index of the bin of all others, -1 if there is none
	P       []rounded `json:"p"`
	Q       []rounded `json:"q"`
	Missing []rounded `json:"missing"` // share of rows: baseline, current
	Invalid []rounded `json:"invalid,omitempty"`
	New     []rounded `json:"new,omitempty"`
}

// seriesData is one metric over the chunks, or over segments where At says which.
type seriesData struct {
	Metric string    `json:"m"`
	Value  []rounded `json:"v"`
	Null   []rounded `json:"n,omitempty"`
	Lower  []rounded `json:"lo,omitempty"`
	Upper  []rounded `json:"hi,omitempty"`
	// Over and Under are the thresholds, one for all or one a point.
	Over     []rounded      `json:"over,omitempty"`
	Under    []rounded      `json:"under,omitempty"`
	Breached []int          `json:"b,omitempty"`
	Why      map[int]string `json:"why,omitempty"` // the reason of a missing value
	Base     []rounded      `json:"base,omitempty"`
}

type segmentsData struct {
	seriesData
	At   []int   `json:"at"`
	Rows []int64 `json:"rows"`
}

// newData returns the JSON of the drawn items; last are the measurements that are
// not of all rows, as the curves are. It holds no "<", so nothing in
// it can end the script element that it stands in.
func newData(r *Report, items []*item, last map[*modelwatch.Measurement]bool) (template.JS, error) {
	d := data{Kind: r.Kind, Cards: make([]cardData, 0, len(items))}
	for _, c := range r.Chunks {
		d.Chunks = append(d.Chunks, c.Label)
	}
	index := map[string]int{}
	for _, it := range items {
		c := cardData{Name: it.key.name, Series: chunkSeries(it)}
		if it.column != nil {
			c.Unit = it.column.Unit
			c.Bins = newBinData(it.column)
			if it.column.Curve != nil {
				c.Curve = it.column.Curve.drawn()
			}
		}
		for _, m := range it.whole {
			if m.Metric == "ks" && m.Value.Value != nil && !last[m] {
				c.KS = []rounded{six(m.Value.Value), six(m.Lower), six(m.Upper)}
			}
		}
		c.Segment = segmentSeries(it, func(label string) int {
			i, ok := index[label]
			if !ok {
				i = len(d.Segments)
				index[label] = i
				d.Segments = append(d.Segments, label)
			}
			return i
		})
		d.Cards = append(d.Cards, c)
	}
	text, err := json.Marshal(d) // writes <, >, & and the line separators as escapes
	if err != nil {
		return "", fmt.Errorf("encode data: %w", err)
	}
	return template.JS(text), nil
}

func newBinData(c *Column) *binData {
	if len(c.Bins) == 0 {
		return nil
	}
	d := &binData{Other: -1, Missing: []rounded{five(c.Baseline.Missing), five(c.Current.Missing)}}
	if c.Baseline.Invalid > 0 || c.Current.Invalid > 0 {
		d.Invalid = []rounded{five(c.Baseline.Invalid), five(c.Current.Invalid)}
	}
	if c.Current.New > 0 {
		d.New = []rounded{five(c.Baseline.New), five(c.Current.New)}
	}
	numeric := c.Type == modelwatch.TypeNumber || c.Curve != nil || slices.ContainsFunc(c.Bins, func(b Bin) bool { return b.Upper != nil })
	for i, b := range c.Bins {
		d.P = append(d.P, five(b.Baseline))
		d.Q = append(d.Q, five(b.Current))
		switch {
		case numeric:
			if i < len(c.Bins)-1 {
				d.Edges = append(d.Edges, six(b.Upper))
			}
			continue
		case b.Other:
			d.Other = i
		}
		d.Values = append(d.Values, b.Value)
	}
	return d
}

func five(v float64) rounded { return rounded{share(v), 1e-5} }

// chunkSeries returns the metrics of an item over the chunks, in the order in
// which its values are shown, then in that of their names.
func chunkSeries(it *item) []seriesData {
	if it.chunks == nil {
		return nil
	}
	var out []seriesData
	for _, key := range seriesKeys(it) {
		points := make([]*modelwatch.Measurement, len(it.chunks))
		for i, chunk := range it.chunks {
			points[i] = chunk[key]
		}
		out = append(out, newSeries(key, points))
	}
	return out
}

func seriesKeys(it *item) []seriesKey {
	seen := map[seriesKey]bool{}
	for _, chunk := range it.chunks {
		for key := range chunk {
			seen[key] = true
		}
	}
	var keys, rest []seriesKey
	for _, m := range it.whole {
		if key := keyOfSeries(m); seen[key] {
			keys = append(keys, key)
			delete(seen, key)
		}
	}
	for key := range seen {
		rest = append(rest, key)
	}
	slices.SortFunc(rest, compareSeries)
	return append(keys, rest...)
}

func newSeries(key seriesKey, points []*modelwatch.Measurement) seriesData {
	s := seriesData{Metric: metricName(key.metric, key.k)}
	var null, lower, upper, over, under, base []rounded
	nan := rounded{value: math.NaN()}
	for i, m := range points {
		if m == nil {
			m = &modelwatch.Measurement{}
		} else if _, ok := usable(m.Value.Value); !ok {
			if s.Why == nil {
				s.Why = map[int]string{}
			}
			s.Why[i] = reason(m.Reason)
		}
		s.Value = append(s.Value, six(m.Value.Value))
		null = append(null, six(m.Null95))
		lo, hi, ok := interval(m)
		if ok {
			lower, upper = append(lower, rounded{value: lo}), append(upper, rounded{value: hi})
		} else {
			lower, upper = append(lower, nan), append(upper, nan)
		}
		t := m.Threshold
		if t == nil {
			t = &modelwatch.Bounds{}
		}
		over, under = append(over, six(t.Upper)), append(under, six(t.Lower))
		base = append(base, six(m.BaselineValue))
		if m.Breached {
			s.Breached = append(s.Breached, i)
		}
	}
	s.Null, s.Lower, s.Upper = anyOf(null), anyOf(lower), anyOf(upper)
	s.Over, s.Under, s.Base = single(anyOf(over)), single(anyOf(under)), single(anyOf(base))
	return s
}

// anyOf returns nil for a list of nothing but missing numbers.
func anyOf(list []rounded) []rounded {
	if slices.ContainsFunc(list, func(r rounded) bool { return !math.IsNaN(r.value) }) {
		return list
	}
	return nil
}

// single shortens a list of one and the same number.
func single(list []rounded) []rounded {
	if len(list) == 0 || slices.ContainsFunc(list, func(r rounded) bool { return r.value != list[0].value }) {
		return list
	}
	return list[:1]
}

// segmentSeries returns the metrics of an item over the segments, in the order
// in which its values are shown; segment gives a label its number.
func segmentSeries(it *item, segment func(string) int) []segmentsData {
	byKey := map[seriesKey][]*modelwatch.Measurement{}
	var keys []seriesKey
	for _, m := range it.segments {
		key := keyOfSeries(m)
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], m)
	}
	out := make([]segmentsData, 0, len(keys))
	for _, key := range keys {
		s := segmentsData{seriesData: newSeries(key, byKey[key])}
		for _, m := range byKey[key] {
			s.At = append(s.At, segment(segmentLabel(m.Segment)))
			s.Rows = append(s.Rows, m.NCurrent)
		}
		out = append(out, s)
	}
	return out
}
