// Package drift measures how far the distribution of a column has moved from
// its baseline. All of it is a function of two profiles on one grid.
//
// Throughout, n and m are the numbers of baseline and current values (missing
// and invalid ones excluded), p and q their proportions in the drift bins, F and
// G their empirical distribution functions.
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
}

var (
	binned  = []profile.Kind{profile.KindNumber, profile.KindCategory, profile.KindBoolean}
	numbers = []profile.Kind{profile.KindNumber}
	labels  = []profile.Kind{profile.KindCategory}
	all     = []profile.Kind{profile.KindPresence, profile.KindNumber, profile.KindCategory, profile.KindBoolean}
)

// table is in the order of documentation.
var table = []metric{
	{PSI, binned, psi},
	{JSDistance, binned, jsDistance},
	{JSDivergence, binned, jsDivergence},
	{KL, binned, kl},
	{Hellinger, binned, hellinger},
	{TVD, binned, tvd},
	{LInfinity, binned, lInfinity},
	{Chi2, binned, chi2},
	{Chi2P, binned, chi2P},
	{KS, numbers, ks},
	{KSP, numbers, ksP},
	{Wasserstein, numbers, wasserstein},
	{WassersteinScaled, numbers, wassersteinScaled},
	{MeanShift, numbers, meanShift},
	{MissingRatio, all, missingRatio},
	{InvalidRatio, all, invalidRatio},
	{NewCategoryRatio, labels, newCategoryRatio},
	{OutOfRangeRatio, numbers, outOfRangeRatio},
	{DriftedFeatures, nil, nil},
	{DriftedShare, nil, nil},
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
	return ok && slices.Contains(m.kinds, kind)
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
	if baseline.Grid().ID() != current.Grid().ID() {
		panic(fmt.Sprintf("drift: current grid %s is not the baseline's %s", current.Grid().ID(), baseline.Grid().ID()))
	}
	c := &comparison{baseline: baseline, current: current, minimum: opts.minimum()}
	kind := baseline.Grid().Kind()
	named := len(metrics) > 0
	if !named {
		metrics = Default()
	}
	values := make([]modelwatch.Value, 0, len(metrics))
	for _, name := range metrics {
		m, ok := lookup(name)
		switch {
		case ok && slices.Contains(m.kinds, kind):
			values = append(values, c.value(m))
		case named && (!ok || m.kinds != nil):
			values = append(values, modelwatch.Value{
				Metric: name, Reason: modelwatch.ReasonNotApplicable,
				NBaseline: baseline.Count(), NCurrent: current.Count(),
			})
		}
	}
	return values
}

// comparison is what the metrics of one column share.
type comparison struct {
	baseline, current *profile.Profile
	minimum           int64

	shared *bins
	gaps   *gaps
}

func (c *comparison) value(m metric) modelwatch.Value {
	v := modelwatch.Value{Metric: m.name, NBaseline: c.baseline.Count(), NCurrent: c.current.Count()}
	m.measure(c, &v)
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
