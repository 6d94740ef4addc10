package datadog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	"github.com/modelwatch/modelwatch/sink"
)

// encodedPoint is what Datadog stores for one series and second, and what it
// weighs in a payload.
type encodedPoint struct {
	key     string // of the series
	second  int64
	value   float64
	indices []int // of the points it stands for
	head    int   // bytes of the series around its points
	body    int   // bytes of the point
}

// encodeAll brings points into the order of sending: series by their first
// point, and the seconds of a series together. Datadog keeps the last value of a
// series and second, so of two gauges the later one is sent; two counts are
// added up, since both happened.
func (d *delivery) encodeAll() error {
	order := map[string]int{}
	byKey := [][]encodedPoint{}
	for i := range d.points {
		p := &d.points[i]
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			d.rejected = append(d.rejected, sink.RejectedPoint{Index: i, Message: fmt.Sprintf("%s: %v is not a number that JSON has", p.Metric, p.Value)})
			continue
		}
		key := seriesKey(p)
		at, known := order[key]
		if !known {
			at = len(byKey)
			order[key] = at
			byKey = append(byKey, nil)
		}
		second := p.Time.Unix()
		list := byKey[at]
		if j := slices.IndexFunc(list, func(e encodedPoint) bool { return e.second == second }); j >= 0 {
			e := &list[j]
			e.indices = append(e.indices, i)
			if p.Type == sink.Count {
				e.value += p.Value
			} else {
				e.value = p.Value
			}
			continue
		}
		byKey[at] = append(list, encodedPoint{key: key, second: second, value: p.Value, indices: []int{i}})
	}
	for _, list := range byKey {
		d.encoded = append(d.encoded, list...)
	}
	return d.weigh()
}

func seriesKey(p *sink.Point) string {
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s\x00%s", p.Metric, p.Type, p.IntervalSeconds, p.Unit, strings.Join(p.Tags, "\x00"))
}

// weigh measures every point as the client will write it.
func (d *delivery) weigh() error {
	head := 0
	for i := range d.encoded {
		e := &d.encoded[i]
		if i == 0 || d.encoded[i-1].key != e.key {
			s := d.series(e)
			s.Points = nil
			text, err := json.Marshal(s)
			if err != nil {
				return fmt.Errorf("encode series %s: %w", s.Metric, err)
			}
			head = len(text) + len(",")
		}
		text, err := json.Marshal(point(e))
		if err != nil {
			return fmt.Errorf("encode a point of %s: %w", d.points[e.indices[0]].Metric, err)
		}
		e.head, e.body = head, len(text)+len(",")
	}
	return nil
}

// series is the series of a point, without any points.
func (d *delivery) series(e *encodedPoint) datadogV2.MetricSeries {
	p := &d.points[e.indices[0]]
	s := datadogV2.MetricSeries{Metric: p.Metric, Tags: p.Tags}
	kind := datadogV2.METRICINTAKETYPE_GAUGE
	if p.Type == sink.Count {
		kind = datadogV2.METRICINTAKETYPE_COUNT
	}
	s.Type = &kind
	if p.IntervalSeconds > 0 {
		s.Interval = &p.IntervalSeconds
	}
	if p.Unit != "" {
		s.Unit = &p.Unit
	}
	return s
}

func point(e *encodedPoint) datadogV2.MetricPoint {
	return datadogV2.MetricPoint{Timestamp: &e.second, Value: &e.value}
}

// part is a run of encoded points that go out in one request.
type part struct{ from, to int }

func (p part) halves() (part, part) {
	middle := p.from + (p.to-p.from)/2
	return part{p.from, middle}, part{middle, p.to}
}

// plan cuts the points into parts within the limits.
func (d *delivery) plan() []part {
	const envelope = len(`{"series":[]}`)
	var parts []part
	from, plain := 0, envelope
	for i := range d.encoded {
		e := &d.encoded[i]
		weight := e.body
		if i == from || d.encoded[i-1].key != e.key {
			weight += e.head
		}
		if i > from && (i-from == maxPoints || plain+weight > maxPlainBytes) {
			parts = append(parts, part{from, i})
			from, plain = i, envelope
			weight = e.body + e.head
		}
		plain += weight
	}
	if from < len(d.encoded) {
		parts = append(parts, part{from, len(d.encoded)})
	}
	return d.fit(parts)
}

// fit halves the parts that are too large when compressed. A part that is
// smaller than the limit before compression is not compressed to find out.
func (d *delivery) fit(parts []part) []part {
	var fitting []part
	for _, p := range parts {
		if p.to-p.from == 1 || d.plainSize(p) < maxWireBytes*9/10 || d.wireSize(p) <= maxWireBytes {
			fitting = append(fitting, p)
			continue
		}
		first, second := p.halves()
		fitting = append(fitting, d.fit([]part{first, second})...)
	}
	return fitting
}

func (d *delivery) plainSize(p part) int {
	size := 0
	for i := p.from; i < p.to; i++ {
		e := &d.encoded[i]
		size += e.body
		if i == p.from || d.encoded[i-1].key != e.key {
			size += e.head
		}
	}
	return size
}

// wireSize compresses a part as the client does. One that cannot be encoded has
// no size, and the request will say why.
func (d *delivery) wireSize(p part) int {
	text, err := json.Marshal(d.payload(p))
	if err != nil {
		return 0
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // a buffer does not fail
	_ = w.Close()
	return b.Len()
}

// payload is what goes out for a part: one series per run of points of it.
func (d *delivery) payload(p part) datadogV2.MetricPayload {
	var all []datadogV2.MetricSeries
	for i := p.from; i < p.to; i++ {
		e := &d.encoded[i]
		if i == p.from || d.encoded[i-1].key != e.key {
			all = append(all, d.series(e))
		}
		last := &all[len(all)-1]
		last.Points = append(last.Points, point(e))
	}
	return datadogV2.MetricPayload{Series: all}
}
