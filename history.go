package modelwatch

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Series says which measurements of a job are of one series over its windows.
// The versions of a model share it, so that one can be compared with another.
type Series struct {
	Subject Subject
	Name    string
	Metric  string
	Class   string
	K       int
	Segment string // as SegmentKey writes it
}

// Series returns the series that a measurement belongs to.
func (m *Measurement) Series() Series {
	return Series{Subject: m.Subject, Name: m.Name, Metric: m.Metric, Class: m.Class, K: m.K, Segment: SegmentKey(m.Segment)}
}

// SegmentKey is a text that is the same for equal segments and no others.
func SegmentKey(segment map[string]string) string {
	if len(segment) == 0 {
		return ""
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(segment)) {
		b.WriteString(strconv.Quote(key))
		b.WriteString(strconv.Quote(segment[key]))
	}
	return b.String()
}

// History holds measurements of one job by their series: those of earlier
// windows, and those of the window that is judged, in every version.
type History struct {
	series map[Series][]Measurement
}

// NewHistory makes a history of measurements, in any order.
func NewHistory(ms []Measurement) *History {
	h := &History{series: make(map[Series][]Measurement)}
	h.Add(ms...)
	return h
}

// Add takes in further measurements.
func (h *History) Add(ms ...Measurement) {
	for i := range ms {
		s := ms[i].Series()
		h.series[s] = append(h.series[s], ms[i])
	}
}

// Windows returns the measurements of m's series, for Past.Windows.
func (h *History) Windows(m *Measurement) []Measurement { return h.series[m.Series()] }
