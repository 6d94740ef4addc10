package backtest

import (
	"slices"

	"github.com/modelwatch/modelwatch"
)

// Config says what a [Scorer] scores, and how. Its zero values are the defaults.
type Config struct {
	Task modelwatch.Task
	// Positive is the positive class of a binary model; "" looks for "1" or "true".
	Positive string
	// Classes are the classes of [modelwatch.Joined.Scores] of a multiclass model,
	// in the same order; nil if there are no such scores.
	Classes []string
	// Metrics are all that will be asked for; nil stands for every metric of the
	// task. What serves no other metric is not kept, which is faster: asking for
	// one that is not listed gives not_applicable.
	Metrics []string
	// Ks are the cut-offs of ranking, 5 and 10 by default.
	Ks []int
	// Quantile is that of quantile_error, 0.9 by default.
	Quantile float64
	// Exact keeps every score, 8 bytes a row (16 with weights), so that auc_roc
	// and auc_pr are exact whatever the number of distinct scores.
	Exact bool
	// MaxRows bounds what is kept row by row: the scores of Exact (of every class),
	// and the rows of a ranking. Beyond it Add fails. 0 is DefaultMaxRows.
	MaxRows int64
}

// Defaults of a Config.
const (
	DefaultQuantile = 0.9
	// DefaultMaxRows bounds exact scores to 256 MiB (512 with weights).
	DefaultMaxRows = 1 << 25
)

// NewScorer returns a scorer that has seen no row. It fails, with CodeInvalid,
// for a task that cannot be scored and for settings out of range.
func (c Config) NewScorer() (*Scorer, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	s := &Scorer{config: c, weight: one()}
	if c.Task == modelwatch.TaskBinary && c.Positive == "" {
		s.config.Positive, s.seen = "1", make(map[string]bool)
	}
	s.accumulator = newAccumulator(&s.config)
	return s, nil
}

// wants reports whether one of the metrics will be asked for. The confusion
// counts always are.
func (c *Config) wants(metrics ...string) bool {
	if c.Metrics == nil {
		return true
	}
	for _, m := range metrics {
		if slices.Contains(c.Metrics, m) || slices.Contains(confusion, m) {
			return true
		}
	}
	return false
}

// complete checks the settings and fills in defaults.
func (c *Config) complete() error {
	if Metrics(c.Task) == nil {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "a model of task %q cannot be backtested; binary, multiclass, regression and ranking can", c.Task)
	}
	if len(c.Ks) == 0 {
		c.Ks = []int{5, 10}
	}
	if k := slices.Min(c.Ks); k < 1 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "a ranking cannot be cut off at %d: k is 1 at least", k)
	}
	if c.Quantile == 0 {
		c.Quantile = DefaultQuantile
	}
	if !(c.Quantile > 0 && c.Quantile < 1) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "quantile %v is not between 0 and 1", c.Quantile)
	}
	for i, class := range c.Classes {
		if slices.Contains(c.Classes[:i], class) {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "there are two scores of class %q", class)
		}
	}
	if c.MaxRows == 0 {
		c.MaxRows = DefaultMaxRows
	}
	return nil
}

// Counts are rows by what became of them.
type Counts struct {
	Rows       int64 // all that were added
	Labelled   int64 // scored
	Unlabelled int64 // no label yet
	Unscored   int64 // not used: nothing in them that the task can be scored by, or no finite number
	BadWeights int64 // not used: a weight that is not a number from 1e-9 to 1e9
	BadLabels  int64 // not used: a label of a regression or ranking that is no finite number, or a negative relevance
	// Of the labelled rows:
	BadScores        int64 // a score is missing from the row, NaN or infinite
	ScoresOutOfRange int64 // a score is no probability: log_loss, brier and ece are not_applicable
	UnseenLabels     int64 // a label that is none of Config.Classes
}

// Compare sets the BaselineValue, NBaseline and EffectiveBaseline of each value
// to what the baseline has for the same metric, class and cut-off.
func Compare(values, baseline []modelwatch.Value) {
	type key struct {
		metric, class string
		k             int
	}
	byKey := make(map[key]*modelwatch.Value, len(baseline))
	for i := range baseline {
		b := &baseline[i]
		byKey[key{b.Metric, b.Class, b.K}] = b
	}
	for i := range values {
		v := &values[i]
		if b, ok := byKey[key{v.Metric, v.Class, v.K}]; ok {
			v.BaselineValue, v.NBaseline, v.EffectiveBaseline = b.Value, b.NCurrent, b.EffectiveCurrent
		}
	}
}
