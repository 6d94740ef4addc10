// Package drift measures how far the distribution of a column has moved from
// its baseline. All of it is a function of two profiles on one grid.
//
// Throughout, n and m are the numbers of baseline and current values (missing
// and invalid ones excluded), p and q their proportions in the drift bins, F and
// G their empirical distribution functions. Where rows carry weights, p, q, F and
// G are proportions of the weight, and n and m Kish's effective numbers, (sum
// w)^2 / sum w^2: all that is said of noise (null points, p-values, intervals)
// uses those.
package drift

import (
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// The metrics of a column and, the last two, of a model.
const (
	PSI               = "psi"
	JSDistance        = "js_distance"
	JSDivergence      = "js_divergence"
	KL                = "kl"
	Hellinger         = "hellinger"
	TVD               = "tvd"
	LInfinity         = "l_infinity"
	Chi2              = "chi2"
	Chi2P             = "chi2_p"
	KS                = "ks"
	KSP               = "ks_p"
	Wasserstein       = "wasserstein"
	WassersteinScaled = "wasserstein_scaled"
	MeanShift         = "mean_shift"
	MissingRatio      = "missing_ratio"
	InvalidRatio      = "invalid_ratio"
	NewCategoryRatio  = "new_category_ratio"
	OutOfRangeRatio   = "out_of_range_ratio"
	DriftedFeatures   = "drifted_features"
	DriftedShare      = "drifted_share"
)

// DefaultMinimumRows is the least number of values on either side under which
// nothing is measured, unless Options says otherwise.
const DefaultMinimumRows = 100

// Options are the choices that a job may make.
type Options struct {
	// MinimumRows gates every value: with fewer values on a side there is none,
	// with the reason too_few. 0 is DefaultMinimumRows; 1 measures whatever is
	// not empty.
	MinimumRows int64
	// View is that of the column. Of a view other than the values themselves only
	// the distribution is measured: the quality ratios belong to the column that
	// it is a view of.
	View modelwatch.View
}

func (o Options) minimum() int64 {
	if o.MinimumRows == 0 {
		return DefaultMinimumRows
	}
	return max(o.MinimumRows, 1)
}

type metric struct {
	name    string
	kinds   []profile.Kind // that it applies to
	measure func(*comparison, *modelwatch.Value)
	quality bool // of the rows, whatever their values: not for views
}

func (m metric) applies(kind profile.Kind, view modelwatch.View) bool {
	return slices.Contains(m.kinds, kind) && !(m.quality && view != modelwatch.ViewValue)
}

var (
	binned  = []profile.Kind{profile.KindNumber, profile.KindCategory, profile.KindBoolean}
	numbers = []profile.Kind{profile.KindNumber}
	labels  = []profile.Kind{profile.KindCategory}
	all     = []profile.Kind{profile.KindPresence, profile.KindNumber, profile.KindCategory, profile.KindBoolean}
)

// table is in the order of documentation.
var table = []metric{
	{PSI, binned, psi, false},
	{JSDistance, binned, jsDistance, false},
	{JSDivergence, binned, jsDivergence, false},
	{KL, binned, kl, false},
	{Hellinger, binned, hellinger, false},
	{TVD, binned, tvd, false},
	{LInfinity, binned, lInfinity, false},
	{Chi2, binned, chi2, false},
	{Chi2P, binned, chi2P, false},
	{KS, numbers, ks, false},
	{KSP, numbers, ksP, false},
	{Wasserstein, numbers, wasserstein, false},
	{WassersteinScaled, numbers, wassersteinScaled, false},
	{MeanShift, numbers, meanShift, false},
	{MissingRatio, all, missingRatio, true},
	{InvalidRatio, all, invalidRatio, true},
	{NewCategoryRatio, labels, newCategoryRatio, true},
	{OutOfRangeRatio, numbers, outOfRangeRatio, true},
	{DriftedFeatures, nil, nil, false},
	{DriftedShare, nil, nil, false},
}

// Metrics returns every known metric, in the order of documentation.
func Metrics() []string {
	names := make([]string, len(table))
	for i, m := range table {
		names[i] = m.name
	}
	return names
}

// Default returns the metrics of a job that names none.
func Default() []string {
	return []string{PSI, JSDistance, KS, WassersteinScaled, MissingRatio, InvalidRatio, NewCategoryRatio}
}

func lookup(name string) (metric, bool) {
	i := slices.IndexFunc(table, func(m metric) bool { return m.name == name })
	if i < 0 {
		return metric{}, false
	}
	return table[i], true
}

// Known reports whether there is a metric of that name.
func Known(name string) bool {
	_, ok := lookup(name)
	return ok
}

// Applies reports whether a metric can be computed for columns whose grid is of
// that kind. Metrics of the model apply to no column.
func Applies(name string, kind profile.Kind) bool {
	m, ok := lookup(name)
	return ok && m.applies(kind, modelwatch.ViewValue)
}

// AppliesTo reports whether a metric can be computed for a column: for one of
// numbers, categories or booleans what [Applies] says of its values, for one of
// timestamps, texts or vectors the ratios of presence, and for a view of such a
// column the metrics of a distribution.
func AppliesTo(name string, column modelwatch.Column) bool {
	m, ok := lookup(name)
	return ok && m.applies(kindOf(column), column.View)
}

func kindOf(column modelwatch.Column) profile.Kind {
	switch column.View {
	case modelwatch.ViewValue:
	case modelwatch.ViewHour, modelwatch.ViewWeekday:
		return profile.KindCategory
	default: // lengths, norms and projections
		return profile.KindNumber
	}
	switch column.Type {
	case modelwatch.TypeNumber:
		return profile.KindNumber
	case modelwatch.TypeCategory:
		return profile.KindCategory
	case modelwatch.TypeBoolean:
		return profile.KindBoolean
	default:
		return profile.KindPresence
	}
}

// Measure compares one column with its baseline. It returns a value for each of
// the metrics, in their order; a number that cannot be computed is a reason.
//
// With no metrics it takes those of Default that apply to the column. A metric
// that is named but does not apply to the column, or is not known, comes back
// with the reason not_applicable; those of the model (see [Summarise]) are
// passed over.
//
// The reasons are the same everywhere: too_few if a side is empty or has fewer
// values than the minimum; all_missing if a side has rows but no valid value, or
// if the baseline that froze the grid had none; constant where a scale is needed that a constant baseline does not have.
//
// Measure panics if the profiles are not on the same grid.
func Measure(baseline, current *profile.Profile, metrics []string, opts Options) []modelwatch.Value {
	return newComparison(baseline, current, opts).measure(metrics)
}

func newComparison(baseline, current *profile.Profile, opts Options) *comparison {
	if baseline.Grid().ID() != current.Grid().ID() {
		panic(fmt.Sprintf("drift: current grid %s is not the baseline's %s", current.Grid().ID(), baseline.Grid().ID()))
	}
	return &comparison{
		baseline: baseline, current: current, minimum: opts.minimum(), view: opts.View,
		n: baseline.EffectiveCount(), m: current.EffectiveCount(),
	}
}

func (c *comparison) measure(metrics []string) []modelwatch.Value {
	kind := c.baseline.Grid().Kind()
	named := len(metrics) > 0
	if !named {
		metrics = Default()
	}
	values := make([]modelwatch.Value, 0, len(metrics))
	for _, name := range metrics {
		m, ok := lookup(name)
		switch {
		case ok && m.applies(kind, c.view):
			values = append(values, c.value(m))
		case named && (!ok || m.kinds != nil):
			v := c.counted(name)
			v.Reason = modelwatch.ReasonNotApplicable
			values = append(values, v)
		}
	}
	return values
}

// comparison is what the metrics of one column share.
type comparison struct {
	baseline, current *profile.Profile
	minimum           int64
	view              modelwatch.View
	n, m              float64 // effective counts
	rows              *rows   // exact only

	sharedBins  *bins
	sharedGaps  *gaps
	sharedSteps *steps
}

// weighted reports whether the rows of a side carry weights.
func (c *comparison) weighted() bool { return c.baseline.Weighted() || c.current.Weighted() }

func (c *comparison) value(m metric) modelwatch.Value {
	v := c.counted(m.name)
	m.measure(c, &v)
	return v
}

// counted is a value of that many values, still without a number.
func (c *comparison) counted(name string) modelwatch.Value {
	v := modelwatch.Value{Metric: name, NBaseline: c.baseline.Count(), NCurrent: c.current.Count()}
	if c.baseline.Weighted() {
		v.EffectiveBaseline = ptr(c.n)
	}
	if c.current.Weighted() {
		v.EffectiveCurrent = ptr(c.m)
	}
	return v
}

// compared reports whether both sides have enough values, and sets the reason
// if not.
func (c *comparison) compared(v *modelwatch.Value) bool {
	for _, p := range [...]*profile.Profile{c.baseline, c.current} {
		switch {
		case p.Rows() >= c.minimum && p.Count() == 0:
			v.Reason = modelwatch.ReasonAllMissing
		case p.Count() < c.minimum:
			v.Reason = modelwatch.ReasonTooFew
		}
		if v.Reason != "" {
			return false
		}
	}
	if g := c.baseline.Grid(); g.Kind() == profile.KindNumber && len(g.Cuts()) == 0 {
		v.Reason = modelwatch.ReasonAllMissing
		return false
	}
	return true
}

func ptr(x float64) *float64 { return &x }
