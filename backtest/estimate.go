package backtest

import (
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// EstimatedPrefix begins the names of metrics that are estimated without labels.
const EstimatedPrefix = "estimated_"

// EstimatedMetrics returns the label-free estimates of a task, none if it has none.
func EstimatedMetrics(task modelwatch.Task) []string {
	var names []string
	switch task {
	case modelwatch.TaskBinary:
		names = append([]string{Accuracy, Precision, Recall, F1, Specificity, BalancedAccuracy, MCC, AUCROC, AUCPR, LogLoss, Brier}, confusion...)
	case modelwatch.TaskMulticlass:
		names = []string{Accuracy, Precision, Recall, F1, BalancedAccuracy, AUCROC}
	default:
		return nil
	}
	for i := range names {
		names[i] = EstimatedPrefix + names[i]
	}
	return names
}

// Calibrate says when scores are corrected by what the baseline's labels were.
type Calibrate string

// The choices of calibration.
const (
	CalibrateIfBetter Calibrate = "" // if it makes the calibration error of held-out rows smaller
	CalibrateAlways   Calibrate = "always"
	CalibrateNever    Calibrate = "never"
)

// Calibrator learns from labelled baseline rows what a score means. Use it for
// binary models and for multiclass models with Config.Classes.
type Calibrator struct {
	scorer *Scorer
	scores []*cells // of the positive class, or of each class
}

// NewCalibrator fails, with CodeInvalid, for tasks without probabilities.
func (c Config) NewCalibrator() (*Calibrator, error) {
	if c.Task != modelwatch.TaskBinary && (c.Task != modelwatch.TaskMulticlass || len(c.Classes) == 0) {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "metrics can be estimated without labels for binary models with a score and for multiclass models with one for each class, not for task %q without", c.Task)
	}
	c.Metrics, c.Exact = []string{Accuracy}, false
	s, err := c.NewScorer()
	if err != nil {
		return nil, err
	}
	k := &Calibrator{scorer: s}
	n := max(len(c.Classes), 1)
	for range n {
		k.scores = append(k.scores, newCells(min(max(maxClassCells/n, minCells), MaxScores)))
	}
	return k, nil
}

// Add counts one baseline row; rows without a label or a score are passed over.
func (c *Calibrator) Add(j modelwatch.Joined) error {
	if err := c.scorer.Add(j); err != nil {
		return err
	}
	if !validWeight(j.Weight) || !j.HasLabel {
		return nil
	}
	if c.scorer.config.Task == modelwatch.TaskBinary {
		if j.HasScore && finite(j.Score) {
			c.scores[0].add(j.Score, c.scorer.isPositive(j.Label), j.Weight)
		}
		return nil
	}
	if len(j.Scores) != len(c.scores) {
		return nil
	}
	if _, ok := top(j.Scores); !ok {
		return nil
	}
	for k, p := range j.Scores {
		c.scores[k].add(p, c.scorer.config.Classes[k] == j.Label, j.Weight)
	}
	return nil
}

// Merge adds the rows of o.
func (c *Calibrator) Merge(o *Calibrator) error {
	for k := range c.scores {
		c.scores[k].merge(o.scores[k])
	}
	return c.scorer.Merge(o.scorer)
}

// Fit returns what was learnt. It fails, with CodeInvalid, without rows of both
// a label and a score.
func (c *Calibrator) Fit(when Calibrate) (*Calibration, error) {
	if err := c.scorer.Err(); err != nil {
		return nil, err
	}
	out := &Calibration{config: c.scorer.config}
	for _, s := range c.scores {
		x, negative, positive := s.values()
		if len(x) == 0 {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the baseline has no rows with both a label and a score to calibrate by")
		}
		var f isotonic
		if when == CalibrateAlways || when == CalibrateIfBetter && calibrates(x, negative, positive) {
			f = fitIsotonic(x, negative, positive)
		}
		out.functions = append(out.functions, f)
	}
	return out, nil
}

// Calibration turns scores into probabilities. It never changes.
type Calibration struct {
	config    Config
	functions []isotonic
}

// Calibrated reports whether scores are corrected at all.
func (c *Calibration) Calibrated() bool {
	return slices.ContainsFunc(c.functions, func(f isotonic) bool { return len(f.x) > 0 })
}

// Estimator estimates what the metrics of unlabelled rows will be, as if each
// label were drawn with its calibrated probability: the confidence-based
// performance estimation of NannyML. It sees drift of the inputs as far as the
// scores react to it, and never a changed relation of inputs and labels.
type Estimator struct {
	calibration *Calibration
	scorer      *Scorer
	all         count
	cells       *cells // binary: by score; the sides are the predicted classes
	classes     *classEstimate
}

// NewEstimator returns an estimator that has seen no row.
func (c *Calibration) NewEstimator() *Estimator {
	e := &Estimator{calibration: c, scorer: &Scorer{config: c.config}}
	if c.config.Task == modelwatch.TaskBinary {
		e.cells = newCells(MaxScores)
	} else {
		e.classes = newClassEstimate(len(c.functions))
	}
	return e
}

// Add counts one row, whether or not it has a label. Rows without a score or with
// a bad weight are passed over.
func (e *Estimator) Add(j modelwatch.Joined) error {
	if !validWeight(j.Weight) {
		return nil
	}
	w := weightOf(j.Weight)
	if e.classes != nil {
		return e.addClass(&j, &w)
	}
	if !j.HasScore || !finite(j.Score) {
		return nil
	}
	positive := j.Score >= positiveScore
	if j.HasPredicted {
		positive = e.scorer.isPositive(j.Predicted)
	}
	e.all.add(&w)
	e.cells.add(j.Score, positive, j.Weight)
	return nil
}

// Merge adds the rows of o, which must be of the same calibration.
func (e *Estimator) Merge(o *Estimator) error {
	e.all.merge(&o.all)
	if e.classes != nil {
		return e.classes.merge(o.classes)
	}
	e.cells.merge(o.cells)
	return nil
}

// Values returns the estimates, whose names may be given with or without their
// prefix; all of them, if there are no names. Standard errors and intervals are
// those that a metric of as many labelled rows would have.
func (e *Estimator) Values(metrics []string, opts Options) []modelwatch.Value {
	known := EstimatedMetrics(e.calibration.config.Task)
	if len(metrics) == 0 {
		metrics = known
	}
	var table table
	var ranked scoredRows
	if e.cells != nil {
		table, ranked = e.expect()
	}
	values := make([]modelwatch.Value, len(metrics))
	for i, name := range metrics {
		name = strings.TrimPrefix(name, EstimatedPrefix)
		v := modelwatch.Value{Metric: name}
		rows(&v, &e.all, e.all.weighted())
		switch {
		case !slices.Contains(known, EstimatedPrefix+name):
			v.Reason = modelwatch.ReasonNotApplicable
		case e.all.n == 0:
			v.Reason = modelwatch.ReasonEmpty
		case e.all.n < opts.minimum():
			v.Reason = modelwatch.ReasonTooFew
		case e.classes != nil:
			e.classes.score(&v, &e.all)
		case name == AUCROC:
			ranked.auc(&v)
		case name == AUCPR:
			ranked.averagePrecision(&v)
		case name == LogLoss || name == Brier:
			e.loss(&v)
		default:
			table.score(&v)
		}
		v.Metric, v.ConstantValue = EstimatedPrefix+name, nil
		values[i] = v
	}
	return values
}

// part is a number of rows by weight, as if each weighed what rows do on average.
func (e *Estimator) part(w float64) count {
	if m := massOf(w); m == (mass{}) {
		return count{}
	}
	return count{n: int64(math.Ceil(w / e.all.mass() * float64(e.all.n))), w: massOf(w), square: massOf(w * e.all.square.float() / e.all.mass())}
}

// expect returns the confusion counts and the ranking that are to be expected.
func (e *Estimator) expect() (table, scoredRows) {
	x, negative, positive := e.cells.values()
	f := &e.calibration.functions[0]
	var tp, fp, tn, fn total
	cells := newCells(len(x))
	for i := range x {
		p := f.at(x[i])
		tp.add(p * positive[i])
		fp.add((1 - p) * positive[i])
		fn.add(p * negative[i])
		tn.add((1 - p) * negative[i])
		w := negative[i] + positive[i]
		cells.sorted = append(cells.sorted, cell{uint64(i), massOf((1 - p) * w), massOf(p * w)})
	}
	s := scoredRows{cells: cells}
	var n, p mass
	for i := range cells.sorted {
		n.add(&cells.sorted[i].negative)
		p.add(&cells.sorted[i].positive)
	}
	s.negatives, s.positives = e.part(n.float()), e.part(p.float())
	s.negatives.w, s.positives.w = n, p
	return table{tp: e.part(tp.value()), fp: e.part(fp.value()), tn: e.part(tn.value()), fn: e.part(fn.value())}, s
}

// loss sets the value of a metric that is a mean over rows.
func (e *Estimator) loss(v *modelwatch.Value) {
	x, negative, positive := e.cells.values()
	var sum total
	for i, s := range x {
		if !(s >= 0 && s <= 1) {
			v.Reason = modelwatch.ReasonNotApplicable
			return
		}
		p := e.calibration.functions[0].at(s)
		yes, no := (1-s)*(1-s), s*s
		if v.Metric == LogLoss {
			yes, no = logLoss(s, true), logLoss(s, false)
		}
		sum.add((negative[i] + positive[i]) * (p*yes + (1-p)*no))
	}
	value := sum.value() / e.all.mass()
	v.Value = &value
}
