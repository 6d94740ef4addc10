package sink

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// prefix begins every metric of ours.
const prefix = "modelwatch."

// label is one tag before any backend's rules are applied to it.
type label struct{ key, value string }

// series is one value with its names as they are in the domain. Points gives it
// Datadog's form, Collector Prometheus's.
type series struct {
	scope    string // the model
	metric   string
	kind     PointType
	labels   []label
	value    float64
	time     time.Time // zero: the publication's
	interval int64
	unit     string
}

// add appends a label; one without a value says nothing and is left out.
func (s *series) add(key, value string) {
	if value != "" {
		s.labels = append(s.labels, label{key, value})
	}
}

// ownKeys are the tags with a meaning of ours or of Datadog's own (it attaches
// what it knows of a host or a service by them). A segment by such a key is
// tagged "segment_<key>".
var ownKeys = map[string]bool{
	"model": true, "model_version": true, "job": true, "subject": true, "feature": true, "feature_group": true, "baseline": true, "window": true,
	"class": true, "k": true, "mature": true, "kind": true, "sink": true, "shifted": true,
	"host": true, "service": true, "env": true, "version": true, "source": true,
}

const segmentPrefix = "segment_"

func (s *series) addSegment(segment map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(segment)) {
		name := key
		if ownKeys[fold(key)] || key == "" {
			name = segmentPrefix + key
		}
		s.labels = append(s.labels, label{name, segment[key]})
	}
}

// quality are the metrics that describe data, whatever job computed them.
var quality = map[string]bool{
	"missing_ratio": true, "invalid_ratio": true, "new_category_ratio": true, "out_of_range_ratio": true,
}

const estimatedPrefix = "estimated_"

// family says under which of the contract's names a measurement goes out.
func family(m *modelwatch.Measurement) string {
	switch {
	case m.Subject == modelwatch.SubjectAttribution:
		return "attribution"
	case strings.HasPrefix(m.Metric, estimatedPrefix):
		return "estimated"
	case quality[m.Metric] || m.Kind == modelwatch.JobQuality:
		return "quality"
	case m.Kind == modelwatch.JobBacktest:
		return "backtest"
	}
	return "drift"
}

// measured turns a measurement into a series. It reports false for one without
// a value and for one that is not finite, which no backend can store.
func measured(m *modelwatch.Measurement, window string) (series, bool) {
	if m.Value.Value == nil || !finite(*m.Value.Value) {
		return series{}, false
	}
	fam := family(m)
	metric := m.Metric
	if fam == "estimated" {
		metric = strings.TrimPrefix(metric, estimatedPrefix)
	}
	s := series{scope: m.Model, metric: prefix + fam + "." + metric, kind: Gauge, value: *m.Value.Value}
	s.labels = make([]label, 0, 8+len(m.Segment))
	s.add("model", m.Model)
	s.add("model_version", m.Version)
	s.add("job", m.Job)
	switch fam {
	case "backtest", "estimated":
		s.add("mature", strconv.FormatBool(m.Mature))
	case "drift":
		s.add("subject", string(m.Subject))
		s.add(nameKey(m), m.Name)
		s.add("baseline", m.Baseline)
	default:
		s.add(nameKey(m), m.Name)
	}
	s.add("class", m.Class)
	if m.K != 0 {
		s.add("k", strconv.Itoa(m.K))
	}
	s.add("window", window)
	s.addSegment(m.Segment)
	return s, true
}

// nameKey is the tag of a measurement's name: a group is no feature.
func nameKey(m *modelwatch.Measurement) string {
	if m.Subject == modelwatch.SubjectGroup {
		return "feature_group"
	}
	return "feature"
}

// summed gives each version's sample size and label coverage over the whole
// window. Sample size is the greatest n of any measurement, since that of a
// column leaves out its missing values; it is sent even when it is 0 or too few
// for any other value.
func summed(ms []modelwatch.Measurement, window string) []series {
	type total struct {
		first    *modelwatch.Measurement
		n        int64
		coverage *float64
	}
	var order []string
	totals := map[string]*total{}
	for i := range ms {
		m := &ms[i]
		if len(m.Segment) > 0 || m.Subject == modelwatch.SubjectGroup { // a group's n counts features
			continue
		}
		t, ok := totals[m.Version]
		if !ok {
			t = &total{first: m}
			totals[m.Version] = t
			order = append(order, m.Version)
		}
		if m.Subject != modelwatch.SubjectModel || m.Kind == modelwatch.JobBacktest || strings.HasPrefix(m.Metric, "drifted_") {
			t.n = max(t.n, m.NCurrent)
		}
		if t.coverage == nil && m.LabelCoverage != nil && finite(*m.LabelCoverage) {
			t.coverage = m.LabelCoverage
		}
	}
	var out []series
	for _, version := range order {
		t := totals[version]
		out = append(out, ofVersion(t.first, "sample_size", float64(t.n), window))
		if t.coverage != nil {
			out = append(out, ofVersion(t.first, "label_coverage", *t.coverage, window))
		}
	}
	return out
}

func ofVersion(m *modelwatch.Measurement, metric string, value float64, window string) series {
	s := series{scope: m.Model, metric: prefix + metric, kind: Gauge, value: value}
	s.add("model", m.Model)
	s.add("model_version", m.Version)
	s.add("job", m.Job)
	s.add("window", window)
	return s
}

// timed gives how long a run took and, for a window's first result, how long
// after the window's end it stood. A later revision has no lag: it comes from
// late rows, not from a late computation. Nor has a failure: nothing stands.
func timed(run *modelwatch.Run) []series {
	if run == nil || run.FinishedAt.IsZero() {
		return nil
	}
	gauge := func(metric string, d time.Duration) series {
		s := series{scope: run.Model, metric: prefix + "run." + metric, kind: Gauge, value: d.Seconds(), unit: "second"}
		s.add("model", run.Model)
		s.add("job", run.Job)
		s.add("kind", string(run.Kind))
		return s
	}
	var out []series
	if !run.StartedAt.IsZero() {
		out = append(out, gauge("duration", run.FinishedAt.Sub(run.StartedAt)))
	}
	if run.Revision <= 1 && run.State != modelwatch.RunFailed && !run.Window.End.IsZero() {
		out = append(out, gauge("lag", run.FinishedAt.Sub(run.Window.End)))
	}
	return out
}

func counted(c *modelwatch.Count) series {
	s := series{scope: c.Tags["model"], metric: c.Metric, kind: Count, value: float64(c.Value), time: c.Time, interval: c.IntervalSeconds}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		s.add(key, c.Tags[key])
	}
	return s
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// windowLabel writes a window's length as a user would: "15m", "1h", "15d".
func windowLabel(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
