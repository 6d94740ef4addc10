package app

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/report"
)

// driftView is a result sorted for being drawn as text.
type driftView struct {
	chunks   []driftChunk
	types    map[subjectName]modelwatch.FeatureType
	lines    []*driftLine // of columns over all segments, what matters most first
	segments []*segmentLine
	groups   []*modelwatch.Measurement
	model    []*modelwatch.Measurement
	parts    []partLine // a chunk each
	metrics  []string   // of columns, in the order of documentation
	judged   bool
}

type subjectName struct {
	subject modelwatch.Subject
	name    string
}

// driftLine is what is known of one column in the whole population.
type driftLine struct {
	subjectName
	series   map[string][]*modelwatch.Measurement // by metric, a chunk each
	breached bool
	severity float64
}

// segmentLine is one segment, over all columns and chunks.
type segmentLine struct {
	segment  map[string]string
	rows     int64
	over     map[subjectName]bool
	columns  map[subjectName]bool
	worst    *modelwatch.Measurement
	severity float64 // of worst
}

// partLine is one chunk, over all columns.
type partLine struct {
	chunk    int
	over     map[subjectName]bool
	worst    *modelwatch.Measurement
	severity float64
}

// view arranges the result: columns over a threshold first, then by how far their
// values are from being harmless, times their importance over the mean importance.
func (r *driftRun) view() *driftView {
	v := &driftView{chunks: r.chunks, types: map[subjectName]modelwatch.FeatureType{}}
	weights := r.relativeImportance()
	for _, c := range r.columns {
		v.types[subjectName{c.Subject, c.Name}] = c.Type
	}
	v.parts = slices.Repeat([]partLine{{worst: &modelwatch.Measurement{}}}, len(r.chunks))
	lines, segments := map[subjectName]*driftLine{}, map[string]*segmentLine{}
	for i := range r.measured {
		m := &r.measured[i]
		v.judged = v.judged || m.Threshold != nil
		s := subjectName{m.Subject, m.Name}
		weight, ok := weights[s]
		if !ok {
			weight = 1
		}
		severity := report.Severity(m) * weight
		switch {
		case len(m.Segment) > 0:
			v.addSegment(segments, m, severity)
		case m.Subject == modelwatch.SubjectGroup:
			v.groups = append(v.groups, m)
		case m.Subject == modelwatch.SubjectModel:
			v.model = append(v.model, m)
		default:
			v.addColumn(lines, s, m, severity)
		}
	}
	v.sort()
	return v
}

// relativeImportance is each column's importance over the mean of those known.
func (r *driftRun) relativeImportance() map[subjectName]float64 {
	known := r.known.importance()
	out := map[subjectName]float64{}
	var sum float64
	for _, c := range r.columns {
		if w, ok := known[c.Column]; ok && c.Subject == modelwatch.SubjectFeature {
			out[subjectName{c.Subject, c.Name}] = w
			sum += w
		}
	}
	for s := range out {
		out[s] *= float64(len(out)) / sum
	}
	return out
}

func (v *driftView) addColumn(lines map[subjectName]*driftLine, s subjectName, m *modelwatch.Measurement, severity float64) {
	line := lines[s]
	if line == nil {
		line = &driftLine{subjectName: s, series: map[string][]*modelwatch.Measurement{}}
		lines[s] = line
		v.lines = append(v.lines, line)
	}
	if !slices.Contains(v.metrics, m.Metric) {
		v.metrics = append(v.metrics, m.Metric)
	}
	line.series[m.Metric] = append(line.series[m.Metric], m)
	line.breached = line.breached || m.Breached
	line.severity = max(line.severity, severity)
	if m.Chunk < len(v.parts) {
		part := &v.parts[m.Chunk]
		part.chunk = m.Chunk
		if m.Breached {
			part.over = with(part.over, s)
		}
		if worse(m, severity, part.worst, part.severity) {
			part.worst, part.severity = m, severity
		}
	}
}

func (v *driftView) addSegment(segments map[string]*segmentLine, m *modelwatch.Measurement, severity float64) {
	if m.Subject == modelwatch.SubjectGroup || m.Subject == modelwatch.SubjectModel {
		return
	}
	key := modelwatch.SegmentKey(m.Segment)
	line := segments[key]
	if line == nil {
		line = &segmentLine{segment: m.Segment, worst: &modelwatch.Measurement{}}
		segments[key] = line
		v.segments = append(v.segments, line)
	}
	s := subjectName{m.Subject, m.Name}
	line.columns = with(line.columns, s)
	line.rows = max(line.rows, m.NCurrent)
	if m.Breached {
		line.over = with(line.over, s)
	}
	if worse(m, severity, line.worst, line.severity) {
		line.worst, line.severity = m, severity
	}
}

// worse reports whether a measurement is to be shown rather than another: one that
// is breached first, then the more severe.
func worse(m *modelwatch.Measurement, severity float64, than *modelwatch.Measurement, other float64) bool {
	return than.Metric == "" || cmp.Or(order(than.Breached, m.Breached), cmp.Compare(severity, other)) > 0
}

func with(set map[subjectName]bool, s subjectName) map[subjectName]bool {
	if set == nil {
		set = map[subjectName]bool{}
	}
	set[s] = true
	return set
}

func (v *driftView) sort() {
	known := drift.Metrics()
	slices.SortStableFunc(v.metrics, func(a, b string) int { return slices.Index(known, a) - slices.Index(known, b) })
	slices.SortStableFunc(v.lines, func(a, b *driftLine) int {
		return cmp.Or(order(a.breached, b.breached), cmp.Compare(b.severity, a.severity), cmp.Compare(b.badness(v.metrics), a.badness(v.metrics)), strings.Compare(a.name, b.name))
	})
	slices.SortStableFunc(v.segments, func(a, b *segmentLine) int {
		return cmp.Or(cmp.Compare(len(b.over), len(a.over)), cmp.Compare(b.severity, a.severity))
	})
}

// order puts what is true first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// badness is the first metric's worst value, the larger the worse. It orders what
// has neither a threshold nor a null point, such as the values of other tools.
func (l *driftLine) badness(metrics []string) float64 {
	for _, metric := range metrics {
		if series := l.series[metric]; len(series) > 0 && !isQuality(metric) {
			worst := math.Inf(-1)
			for _, m := range series {
				switch {
				case m.Value.Value == nil:
				case modelwatch.ScaleOf(metric).Worse == modelwatch.WorseDown:
					worst = max(worst, -*m.Value.Value)
				default:
					worst = max(worst, *m.Value.Value)
				}
			}
			return worst
		}
	}
	return math.Inf(-1)
}

// main is the metric that a column is shown by over the chunks: the one that is
// furthest from being harmless among those that are breached, or else the first.
func (l *driftLine) main(metrics []string) string {
	best, severity := "", -1.0
	for _, metric := range metrics {
		for _, m := range l.series[metric] {
			if s := report.Severity(m); m.Breached && s > severity {
				best, severity = metric, s
			}
		}
	}
	if best != "" {
		return best
	}
	for _, metric := range metrics {
		if len(l.series[metric]) > 0 {
			return metric
		}
	}
	return ""
}

// worstOf is the measurement of a series that is furthest from being harmless.
func worstOf(series []*modelwatch.Measurement) *modelwatch.Measurement {
	worst := series[0]
	for _, m := range series[1:] {
		if cmp.Or(order(m.Breached, worst.Breached), cmp.Compare(report.Severity(worst), report.Severity(m)), cmp.Compare(valueOr(worst), valueOr(m))) < 0 {
			worst = m
		}
	}
	return worst
}

func valueOr(m *modelwatch.Measurement) float64 {
	if m.Value.Value == nil {
		return -1
	}
	return *m.Value.Value
}

// over counts the chunks in which a column is over a threshold, and all of them.
func (l *driftLine) over() (over, all int) {
	chunks := map[int]bool{}
	for _, series := range l.series {
		for _, m := range series {
			chunks[m.Chunk] = chunks[m.Chunk] || m.Breached
		}
	}
	for _, is := range chunks {
		if is {
			over++
		}
	}
	return over, len(chunks)
}

// chunkLabel names a chunk: by its time, or by its rows.
func chunkLabel(chunks []driftChunk, i int) string {
	if i >= len(chunks) {
		return fmt.Sprint(i)
	}
	if w := chunks[i].window; w != nil {
		layout := "2006-01-02 15:04"
		if w.Duration()%(24*time.Hour) == 0 {
			layout = time.DateOnly
		}
		return w.Start.UTC().Format(layout)
	}
	first := chunks[i].before + 1
	return fmt.Sprintf("rows %d-%d", first, chunks[i].before+max(chunks[i].rows, 1))
}

func segmentText(segment map[string]string) string {
	var parts []string
	for _, key := range sortedKeys(segment) {
		parts = append(parts, key+"="+segment[key])
	}
	return strings.Join(parts, ", ")
}
