package modelwatch

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Threshold is a rule that a metric is judged by. It has one sort of limit:
// Upper and Lower, OverNull, Change, Difference, or Learn.
type Threshold struct {
	Metric string
	Name   string // only this column; "" is every one

	// Upper and Lower are constants: a value above Upper or below Lower is over.
	Upper *float64
	Lower *float64
	// OverNull makes the 95 % point under no drift the upper limit.
	OverNull bool
	// ChangePercent limits the relative change against a reference value r: 50 sets
	// the upper limit r + 50 % of |r|, -20 the lower limit r - 20 % of |r|. 0 is none.
	ChangePercent float64
	// Difference limits the distance from a reference value r: 0.05 sets the upper
	// limit r + 0.05, -0.05 the lower limit r - 0.05. 0 is none.
	Difference float64
	// Against says where the reference value of ChangePercent and Difference is.
	Against Against
	// Learn takes the limits from the baseline's own chunks.
	Learn *Learn

	// For asks for more than one window over the limit.
	For Share
}

// Against is where a reference value is: the same series Lag earlier, or the
// same window of another Version. One of the two is set.
type Against struct {
	Lag     time.Duration
	Version string
}

// Learn limits a value to mean and population standard deviation of the metric
// over the baseline's own chunks: above mean + SD standard deviations where high
// is bad, below mean - SD where low is, clipped to the range of the metric
// (see ScaleOf).
type Learn struct {
	SD float64
}

// Share is K of the last N windows. The zero value is 1 of 1.
type Share struct {
	K, N int
}

// Bounds are the limits that were applied to a measurement.
type Bounds struct {
	Upper *float64
	Lower *float64
}

// Past is what a threshold may look at beside the measurement that it judges.
type Past struct {
	// Windows are earlier measurements of the same series (see History), in any
	// order, and, for a threshold against another version, measurements of that
	// version's. Of several revisions of a window the newest counts. What is not
	// earlier than the measurement is passed over.
	Windows []Measurement
	// Chunks are the values of the metric over the baseline's own chunks, those
	// that have one.
	Chunks []float64
}

// minimumChunks is how many values limits can be learnt from.
const minimumChunks = 2

// MaximumGap is how far from where it is looked for the window of a reference
// value may end. It is enough for the changes to and from summer time.
const MaximumGap = time.Hour

// Judge judges a measurement by the threshold. It is a pure function of its
// arguments: no clock, and the order of the past does not matter.
//
// A window is over if its value is above the upper limit, and also above its 95 %
// point under no drift where that is known (chance alone explains the rest), or
// if it is below the lower limit. A measurement is breached if it has a value and
// K of the last N windows of its series, itself included, are over; of windows
// that were not measured nothing is known, they are passed over, and a window
// without a value is not over. Limits that move are those of each window itself.
//
// Special cases are: without a reference value, or one of 0 for a relative
// change, there is no limit; with fewer than two chunks nothing is learnt. Where
// there is no limit, nothing is over it.
//
// limits are what was applied to the measurement itself; both are nil where
// the past does not reach far enough.
func (t Threshold) Judge(m Measurement, past Past) (limits Bounds, breached bool) {
	earlier := earlierWindows(m, past.Windows)
	limits = t.limits(m, earlier, past)
	if m.Value.Value == nil {
		return limits, false
	}
	over := 0
	if isOver(m.Value, limits) {
		over++
	}
	for i := 0; i < min(t.For.N-1, len(earlier)); i++ {
		w := earlier[i]
		if isOver(w.Value, t.limits(w, earlier[i+1:], past)) {
			over++
		}
	}
	return limits, over >= max(t.For.K, 1)
}

func isOver(v Value, limits Bounds) bool {
	if v.Value == nil {
		return false
	}
	above := limits.Upper != nil && *v.Value > *limits.Upper && (v.Null95 == nil || *v.Value > *v.Null95)
	return above || limits.Lower != nil && *v.Value < *limits.Lower
}

// limits are those of one window; earlier are the windows before it, newest first.
func (t Threshold) limits(m Measurement, earlier []Measurement, past Past) Bounds {
	switch {
	case t.OverNull:
		return Bounds{Upper: m.Null95}
	case t.Learn != nil:
		return t.Learn.limits(t.Metric, past.Chunks)
	case t.ChangePercent == 0 && t.Difference == 0:
		return Bounds{Upper: t.Upper, Lower: t.Lower}
	}
	reference, ok := t.Against.find(m, earlier, past)
	if !ok || t.ChangePercent != 0 && reference == 0 {
		return Bounds{}
	}
	step := t.Difference
	if t.ChangePercent != 0 {
		step = math.Abs(reference) * (t.ChangePercent / 100)
	}
	if step > 0 {
		return Bounds{Upper: finite(reference + step)}
	}
	return Bounds{Lower: finite(reference + step)}
}

// find returns the reference value of a window. In time it is that of the window
// whose end is nearest to Lag before this one's, at most MaximumGap and a 24th of Lag
// away, and of two equally near ones the earlier.
func (a Against) find(m Measurement, earlier []Measurement, past Past) (float64, bool) {
	var found *Measurement
	if a.Version != "" {
		for i := range past.Windows {
			p := &past.Windows[i]
			if p.Version == a.Version && p.Version != m.Version && comparePlace(p, &m) == 0 && (found == nil || p.Revision > found.Revision) {
				found = p
			}
		}
	} else if !m.Window.End.IsZero() {
		wanted := m.Window.End.Add(-a.Lag)
		nearest := min(MaximumGap, a.Lag/24)
		for i := range earlier {
			if gap := earlier[i].Window.End.Sub(wanted).Abs(); gap <= nearest {
				found, nearest = &earlier[i], gap
			}
		}
	}
	if found == nil || found.Value.Value == nil {
		return 0, false
	}
	return *found.Value.Value, true
}

func (l Learn) limits(metric string, chunks []float64) Bounds {
	if len(chunks) < minimumChunks {
		return Bounds{}
	}
	mean, sd := meanAndSD(chunks)
	scale := ScaleOf(metric)
	var limits Bounds
	if scale.Worse != WorseDown {
		limits.Upper = finite(min(mean+l.SD*sd, scale.High))
	}
	if scale.Worse != WorseUp {
		limits.Lower = finite(max(mean-l.SD*sd, scale.Low))
	}
	return limits
}

// meanAndSD returns the mean and the population standard deviation. It sums in
// the order of size, so that the order of the values makes no difference.
func meanAndSD(values []float64) (mean, sd float64) {
	values = slices.Sorted(slices.Values(values))
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	var squares float64
	for _, v := range values {
		squares += (v - mean) * (v - mean) / n
	}
	return mean, math.Sqrt(squares)
}

// finite is nil for what is no limit.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// earlierWindows returns the windows of m's own version before m, the newest
// first, each in its newest revision.
func earlierWindows(m Measurement, windows []Measurement) []Measurement {
	var own []Measurement
	for i := range windows {
		if windows[i].Version == m.Version && before(&windows[i], &m) {
			own = append(own, windows[i])
		}
	}
	slices.SortStableFunc(own, func(a, b Measurement) int {
		return cmp.Or(comparePlace(&b, &a), cmp.Compare(b.Revision, a.Revision))
	})
	return slices.CompactFunc(own, func(a, b Measurement) bool { return comparePlace(&a, &b) == 0 })
}

// before reports whether a window ends before another, or, where files are
// measured by rows and have no windows, is an earlier chunk.
func before(a, b *Measurement) bool {
	return cmp.Or(a.Window.End.Compare(b.Window.End), cmp.Compare(a.Chunk, b.Chunk)) < 0
}

// comparePlace orders windows by time and chunk; revisions of one window are equal.
func comparePlace(a, b *Measurement) int {
	return cmp.Or(a.Window.End.Compare(b.Window.End), cmp.Compare(a.Chunk, b.Chunk), a.Window.Start.Compare(b.Window.Start))
}

// Applies reports whether the threshold is about that metric of that column.
func (t Threshold) Applies(metric, name string) bool {
	return t.Metric == metric && (t.Name == "" || t.Name == name)
}

// Limits reports on which sides the threshold limits a value.
func (t Threshold) Limits() (above, below bool) {
	if t.Learn != nil {
		worse := ScaleOf(t.Metric).Worse
		return worse != WorseDown, worse != WorseUp
	}
	above = t.Upper != nil || t.OverNull || t.ChangePercent > 0 || t.Difference > 0
	below = t.Lower != nil || t.ChangePercent < 0 || t.Difference < 0
	return above, below
}

// sort tells the sorts of limits apart.
func (t Threshold) sort() string {
	switch {
	case t.OverNull:
		return "null"
	case t.Learn != nil:
		return "learn"
	case t.ChangePercent != 0:
		return "change"
	case t.Difference != 0:
		return "difference"
	}
	return "constant"
}

// Applying returns those of the thresholds that a measurement is judged by. A
// threshold that names the column replaces one for every column, a later one an
// earlier, if both are of the same sort, against the same reference, and on the
// same side. All others hold together.
func Applying(thresholds []Threshold, metric, name string) []Threshold {
	var found []Threshold
	take := func(named bool) {
		for _, t := range slices.Backward(thresholds) {
			if t.Applies(metric, name) && (t.Name != "") == named && !slices.ContainsFunc(found, t.replacedBy) {
				found = append(found, t)
			}
		}
	}
	take(true)
	take(false)
	return found
}

func (t Threshold) replacedBy(by Threshold) bool {
	above, below := t.Limits()
	byAbove, byBelow := by.Limits()
	return t.sort() == by.sort() && t.Against == by.Against && (above && byAbove || below && byBelow)
}

// Judge judges the measurement by those of the thresholds that apply to it and
// sets Threshold and Breached. One breach is enough. The bounds are the tightest
// of the thresholds that are breached, or of all if none is.
func (m *Measurement) Judge(thresholds []Threshold, past Past) {
	var all, hit []Bounds
	for _, t := range Applying(thresholds, m.Metric, m.Name) {
		limits, breached := t.Judge(*m, past)
		all = append(all, limits)
		if breached {
			hit = append(hit, limits)
		}
	}
	m.Threshold, m.Breached = nil, len(hit) > 0
	if m.Breached {
		all = hit
	}
	if len(all) > 0 {
		limits := tightest(all)
		m.Threshold = &limits
	}
}

func tightest(all []Bounds) Bounds {
	var out Bounds
	for _, b := range all {
		if b.Upper != nil && (out.Upper == nil || *b.Upper < *out.Upper) {
			out.Upper = b.Upper
		}
		if b.Lower != nil && (out.Lower == nil || *b.Lower > *out.Lower) {
			out.Lower = b.Lower
		}
	}
	return out
}
