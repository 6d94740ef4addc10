package drift

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// The presets: whose number to reproduce. Those of SageMaker differ in its
// comparison_method, Robust being its default.
const (
	Evidently       = "evidently"
	NannyML         = "nannyml"
	AzureML         = "azureml"
	SageMaker       = "sagemaker"
	SageMakerSimple = "sagemaker_simple"
	Vertex          = "vertex"
)

// preset is what one tool computes, in its own order.
type preset struct {
	name                string
	numbers, categories []compatMetric
	chooseDefault       func(c *compat) []string // nil: the first metric
}

// compatMetric is one number of a tool under our name for it. The threshold is
// the tool's customary one: Upper for a distance, Lower for a p-value.
type compatMetric struct {
	name      string
	measure   func(*compat) (float64, modelwatch.Reason)
	threshold float64 // 0: the tool has none of its own
}

// Presets returns the names that [MeasureCompat] knows.
func Presets() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.name)
	}
	return names
}

func presets() []preset {
	return []preset{evidently(), nannyML(), azureML(), sageMaker(SageMaker, true), sageMaker(SageMakerSimple, false), vertex()}
}

func findPreset(name string) (preset, error) {
	for _, p := range presets() {
		if p.name == name {
			return p, nil
		}
	}
	return preset{}, fmt.Errorf("preset %q is not one of %s", name, strings.Join(Presets(), ", "))
}

// CompatThreshold returns the limit at which the tool behind a preset calls a
// metric drifted by default: Upper for a distance (drift is above it), Lower
// for a p-value (drift is below). It is false where the tool has no fixed one,
// such as NannyML, which learns it from the baseline's chunks as their mean plus
// three standard deviations.
//
// Evidently alerts on a value that equals the threshold as well (p-values of
// chi2 and z excepted); the others do not.
func CompatThreshold(preset, metric string) (modelwatch.Bounds, bool) {
	p, err := findPreset(preset)
	if err != nil {
		return modelwatch.Bounds{}, false
	}
	for _, m := range slices.Concat(p.numbers, p.categories) {
		switch {
		case m.name != metric || m.threshold == 0:
		case metric == KSP || metric == Chi2P:
			return modelwatch.Bounds{Lower: ptr(m.threshold)}, true
		default:
			return modelwatch.Bounds{Upper: ptr(m.threshold)}, true
		}
	}
	return modelwatch.Bounds{}, false
}

// MeasureCompat compares one column with its baseline as another tool does, so
// that thresholds tuned to that tool's numbers go on working. It returns a value
// for each of the metrics, under our names; with none, for the one that the tool
// computes by default for such a column. Quality ratios are those of [Measure].
// Any other metric that the tool does not have, or not for such columns, comes
// back with the reason not_applicable.
//
// Values have no null point and no bounds: those are not the tool's. Reasons are
// those of Measure; a p-value of a single category, which the tools give as
// NaN, has the reason constant.
//
// It fails for an unknown preset, and for weights: none of the tools knows them.
func MeasureCompat(preset string, baseline, current Sample, metrics []string, opts Options) ([]modelwatch.Value, error) {
	p, err := findPreset(preset)
	if err != nil {
		return nil, err
	}
	if baseline.Weights != nil || current.Weights != nil {
		return nil, fmt.Errorf("preset %s: the rows have weights, which it does not know", preset)
	}
	c := newCompat(baseline, current, opts)
	known := p.metrics(baseline.Kind)
	if len(metrics) == 0 && len(known) > 0 {
		metrics = c.byDefault(p, known)
	}
	values := make([]modelwatch.Value, 0, len(metrics))
	for _, name := range metrics {
		if name != DriftedFeatures && name != DriftedShare {
			values = append(values, c.value(name, known))
		}
	}
	return values, nil
}

// compat is a column as a tool sees it: sorted numbers, or counts of the
// categories of both sides.
type compat struct {
	samples [2]Sample
	opts    Options
	number  bool
	x, y    []float64
	k, l    []float64 // counts, by category in ascending order
	n, m    int64
}

func newCompat(baseline, current Sample, opts Options) *compat {
	c := &compat{samples: [2]Sample{baseline, current}, opts: opts, number: baseline.Kind == profile.KindNumber}
	if c.number {
		c.x, c.y = sorted(baseline.Floats), sorted(current.Floats)
		c.n, c.m = int64(len(c.x)), int64(len(c.y))
		return c
	}
	c.k, c.l = align(baseline.Categories, current.Categories)
	c.n, c.m = int64(sum(c.k)), int64(sum(c.l))
	return c
}

// finite returns the baseline's numbers in their own order.
func (c *compat) finite() []float64 {
	values := c.samples[0].Floats
	if len(c.x) == len(values) {
		return values
	}
	return slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v-v != 0 })
}

func (p preset) metrics(kind profile.Kind) []compatMetric {
	switch kind {
	case profile.KindNumber:
		return p.numbers
	case profile.KindCategory, profile.KindBoolean:
		return p.categories
	default:
		return nil
	}
}

func (c *compat) byDefault(p preset, known []compatMetric) []string {
	if p.chooseDefault != nil {
		return p.chooseDefault(c)
	}
	return []string{known[0].name}
}

func (c *compat) value(name string, known []compatMetric) modelwatch.Value {
	if m, ok := lookup(name); ok && m.quality {
		return c.quality(name)
	}
	v := modelwatch.Value{Metric: name, NBaseline: c.n, NCurrent: c.m}
	i := slices.IndexFunc(known, func(m compatMetric) bool { return m.name == name })
	if i < 0 {
		v.Reason = modelwatch.ReasonNotApplicable
		return v
	}
	if v.Reason = c.reason(); v.Reason != "" {
		return v
	}
	x, reason := known[i].measure(c)
	switch {
	case reason != "":
		v.Reason = reason
	case math.IsNaN(x) || math.IsInf(x, 0):
		v.Reason = modelwatch.ReasonNotApplicable
	default:
		v.Value = &x
		if name == KSP || name == Chi2P {
			v.PValue = ptr(x)
		}
	}
	return v
}

func (c *compat) reason() modelwatch.Reason {
	for side, count := range [...]int64{c.n, c.m} {
		s := c.samples[side]
		switch {
		case count == 0 && count+s.Missing+s.Invalid+s.left() >= c.opts.minimum():
			return modelwatch.ReasonAllMissing
		case count < c.opts.minimum():
			return modelwatch.ReasonTooFew
		}
	}
	return ""
}

// quality measures a ratio on profiles of what the samples count.
func (c *compat) quality(name string) modelwatch.Value {
	var grid *profile.Grid
	switch c.samples[0].Kind {
	case profile.KindNumber:
		grid = profile.NewNumberGrid(c.x)
	case profile.KindPresence:
		grid = profile.NewPresenceGrid()
	default:
		grid = profile.NewCategoryGrid(c.samples[0].Categories)
	}
	baseline, current := c.samples[0].profile(grid), c.samples[1].profile(grid)
	v := Measure(baseline, current, []string{name}, c.opts)[0]
	if name == NewCategoryRatio && c.samples[0].Kind == profile.KindBoolean {
		return modelwatch.Value{Metric: name, Reason: modelwatch.ReasonNotApplicable, NBaseline: v.NBaseline, NCurrent: v.NCurrent}
	}
	return v
}

// profile counts the sample on a grid.
func (s *Sample) profile(g *profile.Grid) *profile.Profile {
	p := profile.New(g)
	absent := int(s.Missing + s.Invalid)
	switch g.Kind() {
	case profile.KindNumber:
		p.AddFloats(s.Floats, nil)
		p.AddFloats(make([]float64, absent), make([]bool, absent))
	case profile.KindPresence:
		p.AddPresence(int(s.Present), nil)
		p.AddPresence(absent, make([]bool, absent))
	default:
		for _, c := range s.Categories {
			p.AddCategories([]string{c.Value}, make([]int32, c.Count), nil)
		}
		p.AddCategories([]string{""}, make([]int32, absent), make([]bool, absent))
	}
	p.AddInvalid(s.Invalid)
	p.AddOutOfRange(s.OutOfRange)
	return p
}

// left returns how many values are left out because they are not finite.
func (s *Sample) left() int64 {
	var n int64
	for _, v := range s.Floats {
		if v-v != 0 {
			n++
		}
	}
	return n
}

// align returns the counts of the categories of both sides, in the order of the
// categories. A category without rows is none.
func align(x, y []profile.CategoryCount) (k, l []float64) {
	type entry struct {
		value string
		side  int
		count int64
	}
	var all []entry
	for side, counts := range [...][]profile.CategoryCount{x, y} {
		for _, c := range counts {
			if c.Count > 0 {
				all = append(all, entry{c.Value, side, c.Count})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.value, b.value) })
	for i, e := range all {
		if i == 0 || all[i-1].value != e.value {
			k, l = append(k, 0), append(l, 0)
		}
		if e.side == 0 {
			k[len(k)-1] += float64(e.count)
		} else {
			l[len(l)-1] += float64(e.count)
		}
	}
	return k, l
}

// sum adds in order. Counts add up exactly.
func sum(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s
}
