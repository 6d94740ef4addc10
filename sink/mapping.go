package sink

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Timestamps says which time points carry.
type Timestamps string

// The choices of Timestamps.
const (
	// TimestampsNow stamps a point with its window's end while that is recent,
	// and with the time of delivery after that, because Datadog drops points
	// that are older than an hour.
	TimestampsNow Timestamps = "now"
	// TimestampsWindow always stamps with the window's end. It needs Datadog's
	// historical metrics ingestion to be on for the metrics.
	TimestampsWindow Timestamps = "window"
)

// Datadog takes points from an hour ago to ten minutes ahead. A request may be
// under way for a while, so five minutes are kept in hand.
const (
	recent = 55 * time.Minute
	ahead  = 5 * time.Minute
	// shift moves a count that has become too old into the span that is taken.
	shift = 50 * time.Minute
)

// MappingOptions are what Points needs to know beside the publication.
type MappingOptions struct {
	Now        time.Time // of the delivery
	Timestamps Timestamps
	// Tags are added to every point, unless the point has the key already.
	Tags map[string]string
	// Names remembers names over publications; nil compares those of this one only.
	Names *Names
}

// Points maps a publication to metric points, in the order of its measurements,
// then sample sizes and label coverages, the run's times, and the counts. A
// measurement without a value makes no point. It is the only place where the
// names and tags of metrics are made; the same input gives the same points.
//
// A gauge carries its window's end or the time of delivery (see Timestamps). A
// count carries its own time, since moving it to the time of delivery would
// let two counts meet in one second and overwrite each other. Under
// TimestampsNow a count that has become too old is moved forward by whole
// multiples of 50 minutes, and tagged "shifted:<how many>", which keeps it a
// series of its own: sums over the model stay right, and nothing collides.
func Points(pub modelwatch.Publication, opts MappingOptions) []Point {
	all := collect(&pub)
	if len(all) == 0 {
		return nil
	}
	return render(all, gaugeTime(&pub, opts), opts)
}

// render gives series the form of points; gauges are stamped with stamp.
func render(all []series, stamp time.Time, opts MappingOptions) []Point {
	names := opts.Names
	if names == nil {
		names = NewNames(nil)
	}
	r := newRenderer(names, opts.Tags)
	for i := range all {
		s := &all[i]
		if s.kind == Count {
			stampCount(s, opts)
		} else {
			s.time = stamp
		}
		r.learn(s)
	}
	r.settle()
	points := make([]Point, len(all))
	for i := range all {
		points[i] = r.point(&all[i])
	}
	return points
}

// collect lists the series of a publication.
func collect(pub *modelwatch.Publication) []series {
	window := pub.WindowLabel
	if window == "" && pub.Run != nil {
		window = windowLabel(pub.Run.Window.Duration())
	}
	all := make([]series, 0, len(pub.Measurements)+len(pub.Counts)+4)
	for i := range pub.Measurements {
		if s, ok := measured(&pub.Measurements[i], window); ok {
			all = append(all, s)
		}
	}
	all = append(all, summed(pub.Measurements, window)...)
	all = append(all, timed(pub.Run)...)
	for i := range pub.Counts {
		all = append(all, counted(&pub.Counts[i]))
	}
	return all
}

// gaugeTime applies the rule of point times to a publication's window.
func gaugeTime(pub *modelwatch.Publication, opts MappingOptions) time.Time {
	var end time.Time
	switch {
	case pub.Run != nil:
		end = pub.Run.Window.End
	case len(pub.Measurements) > 0:
		end = pub.Measurements[0].Window.End
	}
	age := opts.Now.Sub(end)
	if end.IsZero() || opts.Timestamps != TimestampsWindow && (age >= recent || age < -ahead) {
		end = opts.Now
	}
	return end.UTC().Truncate(time.Second)
}

// stampCount moves a count's time into the span that Datadog takes.
func stampCount(s *series, opts MappingOptions) {
	if s.time.IsZero() {
		s.time = opts.Now
	}
	s.time = s.time.UTC().Truncate(time.Second)
	age := opts.Now.Sub(s.time)
	if opts.Timestamps == TimestampsWindow || age < recent {
		return
	}
	steps := int64((age-recent)/shift) + 1
	s.time = s.time.Add(time.Duration(steps) * shift)
	s.add("shifted", strconv.FormatInt(steps, 10))
}

// renderer gives series Datadog's form. Names are settled for a whole
// publication before the first point is made, so that which one of two
// colliding names is renamed does not depend on the order of measurements.
type renderer struct {
	names  *Names
	extra  []label
	keys   map[label]string  // scope and key -> what is sent for it
	values map[scoped]string // the same for values
}

// scoped is a tag within what it is compared with.
type scoped struct{ scope, key, value string }

func newRenderer(names *Names, extra map[string]string) *renderer {
	r := &renderer{names: names, keys: map[label]string{}, values: map[scoped]string{}}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		r.extra = append(r.extra, label{key, extra[key]})
	}
	return r
}

// learn notes the names of a series, folded but not yet claimed.
func (r *renderer) learn(s *series) {
	for _, l := range s.labels {
		k := label{s.scope, l.key}
		if _, known := r.keys[k]; !known {
			r.keys[k] = foldKey(l.key)
		}
		v := valueOf(s.scope, l)
		if _, known := r.values[v]; !known {
			r.values[v] = foldValue(l.value)
		}
	}
}

// valueOf is where a value is compared with others: within its model, and the
// names of models among each other.
func valueOf(scope string, l label) scoped {
	if l.key == "model" {
		scope = ""
	}
	return scoped{scope, l.key, l.value}
}

// settle claims every name: those that folding does not change first.
func (r *renderer) settle() {
	keys := slices.SortedFunc(maps.Keys(r.keys), func(a, b label) int {
		return cmp.Or(trueFirst(a.value == r.keys[a], b.value == r.keys[b]), cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
	})
	for _, k := range keys {
		r.keys[k] = r.names.claim(k.key, "", r.keys[k], k.value, keyLimit)
	}
	values := slices.SortedFunc(maps.Keys(r.values), func(a, b scoped) int {
		return cmp.Or(trueFirst(a.value == r.values[a], b.value == r.values[b]),
			cmp.Compare(a.scope, b.scope), cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
	})
	for _, v := range values {
		r.values[v] = r.names.claim(v.scope, v.key+":", r.values[v], v.value, valueLimit)
	}
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (r *renderer) point(s *series) Point {
	tags := make([]string, 0, len(s.labels)+len(r.extra))
	for _, l := range s.labels {
		tags = append(tags, r.keys[label{s.scope, l.key}]+":"+r.values[valueOf(s.scope, l)])
	}
	for _, l := range r.extra {
		key := foldKey(l.key)
		if !slices.ContainsFunc(s.labels, func(own label) bool { return r.keys[label{s.scope, own.key}] == key }) {
			tags = append(tags, key+":"+foldValue(l.value))
		}
	}
	slices.Sort(tags)
	return Point{
		Metric: MetricName(s.metric), Type: s.kind, Tags: slices.Compact(tags), Value: s.value, Time: s.time,
		IntervalSeconds: s.interval, Unit: s.unit,
	}
}
