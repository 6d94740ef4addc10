// Package backtest scores predictions against the truth that arrived later.
// An [Accumulator] counts joined rows and merges with others; its values are
// scikit-learn's, with a standard error or an interval beside each, and a reason
// in place of a number that cannot be computed.
package backtest

import (
	"slices"

	"github.com/modelwatch/modelwatch"
)

// The metrics of classification, from RMSE on of regression, and from NDCG on of
// ranking.
//
// For a binary model precision, recall and f1 are of the positive class. For a
// multiclass model they are the macro average, followed by one value per class
// with Class set, and so are auc_roc and auc_pr, of each class against the rest;
// the micro and the weighted averages have names of their own. Ranking metrics
// come once for each cut-off, with K set.
const (
	Accuracy          = "accuracy"
	Precision         = "precision"
	Recall            = "recall"
	F1                = "f1"
	Specificity       = "specificity"
	BalancedAccuracy  = "balanced_accuracy"
	MCC               = "mcc"
	PrecisionMicro    = "precision_micro"
	RecallMicro       = "recall_micro"
	F1Micro           = "f1_micro"
	PrecisionWeighted = "precision_weighted"
	RecallWeighted    = "recall_weighted"
	F1Weighted        = "f1_weighted"
	TruePositives     = "true_positives"
	FalsePositives    = "false_positives"
	TrueNegatives     = "true_negatives"
	FalseNegatives    = "false_negatives"
	AUCROC            = "auc_roc"
	AUCROCWeighted    = "auc_roc_weighted"
	AUCPR             = "auc_pr"
	LogLoss           = "log_loss"
	Brier             = "brier"
	ECE               = "ece"
	RMSE              = "rmse"
	MAE               = "mae"
	MAPE              = "mape"
	SMAPE             = "smape"
	MSLE              = "msle"
	R2                = "r2"
	Bias              = "bias"
	QuantileError     = "quantile_error"
	NDCG              = "ndcg_at_k"
	MAP               = "map_at_k"
	MRR               = "mrr"
	RecallAtK         = "recall_at_k"
	LabelCoverage     = "label_coverage"
)

// DefaultMinimumRows is the least number of labelled rows under which nothing
// is scored, unless Options says otherwise.
const DefaultMinimumRows = 100

// Options are the choices that a job may make.
type Options struct {
	// MinimumRows gates every value: with fewer labelled rows there is none, with
	// the reason too_few. 0 is DefaultMinimumRows; 1 scores whatever is there.
	MinimumRows int64
}

func (o Options) minimum() int64 {
	if o.MinimumRows == 0 {
		return DefaultMinimumRows
	}
	return max(o.MinimumRows, 1)
}

var confusion = []string{TruePositives, FalsePositives, TrueNegatives, FalseNegatives}

// Metrics returns every metric known for a task, in the order of documentation;
// none for tasks without predictions to score.
func Metrics(task modelwatch.Task) []string {
	switch task {
	case modelwatch.TaskBinary:
		return append([]string{
			Accuracy, Precision, Recall, F1, Specificity, BalancedAccuracy, MCC,
			AUCROC, AUCPR, LogLoss, Brier, ECE, LabelCoverage,
		}, confusion...)
	case modelwatch.TaskMulticlass:
		return append([]string{
			Accuracy, Precision, Recall, F1, PrecisionMicro, RecallMicro, F1Micro,
			PrecisionWeighted, RecallWeighted, F1Weighted, Specificity, BalancedAccuracy, MCC,
			AUCROC, AUCROCWeighted, AUCPR, LogLoss, Brier, ECE, LabelCoverage,
		}, confusion...)
	case modelwatch.TaskRegression:
		return []string{RMSE, MAE, MAPE, SMAPE, MSLE, R2, Bias, QuantileError, LabelCoverage}
	case modelwatch.TaskRanking:
		return []string{NDCG, MAP, MRR, RecallAtK, LabelCoverage}
	}
	return nil
}

// Default returns the metrics of a job that names none.
func Default(task modelwatch.Task) []string {
	switch task {
	case modelwatch.TaskBinary, modelwatch.TaskMulticlass:
		return []string{Accuracy, Precision, Recall, F1}
	case modelwatch.TaskRegression:
		return []string{RMSE, MAE, Bias}
	case modelwatch.TaskRanking:
		return []string{NDCG, MAP, MRR, RecallAtK}
	}
	return nil
}

// Accumulator holds what the rows of a [Scorer] add up to. Counts and sums are
// exact: neither the order of rows nor that of merges changes a result. It is not
// safe for concurrent use.
type Accumulator struct {
	config     *Config
	labelled   count
	unlabelled count

	table         table   // binary
	scores        scores  // binary
	classes       classes // multiclass
	probabilities probabilities
	errors        errors
	ranking       ranking
}

func newAccumulator(c *Config) *Accumulator {
	a := &Accumulator{config: c}
	rank := c.wants(AUCROC, AUCROCWeighted, AUCPR)
	switch c.Task {
	case modelwatch.TaskBinary:
		a.scores.lossy, a.scores.graded = c.wants(LogLoss), c.wants(Brier, ECE)
		if rank {
			r := newScoredRows(c.Exact, MaxScores, c.MaxRows)
			a.scores.ranked = &r
		}
	case modelwatch.TaskMulticlass:
		p := &a.probabilities
		p.classes, p.lossy, p.index = c.Classes, c.wants(LogLoss), map[string]int{}
		for k, class := range c.Classes {
			p.index[class] = k
			if rank {
				n := len(c.Classes)
				p.ranked = append(p.ranked, newScoredRows(c.Exact, min(max(maxClassCells/n, minCells), MaxScores), c.MaxRows/int64(n)))
			}
		}
	case modelwatch.TaskRegression:
		a.errors.quantile = c.Quantile
		a.errors.want = wanted{
			squares: c.wants(RMSE, R2), r2: c.wants(R2), mae: c.wants(MAE), quantile: c.wants(QuantileError),
			mape: c.wants(MAPE), smape: c.wants(SMAPE), msle: c.wants(MSLE),
		}
		if c.wants(MAE, MAPE, QuantileError) {
			a.errors.seen = newCells(MaxScores)
		}
	case modelwatch.TaskRanking:
		a.ranking.limit = c.MaxRows
	}
	return a
}

// wanted says which sums of a regression are kept.
type wanted struct{ squares, r2, mae, quantile, mape, smape, msle bool }

func (a *Accumulator) merge(b *Accumulator) error {
	a.labelled.merge(&b.labelled)
	a.unlabelled.merge(&b.unlabelled)
	switch a.config.Task {
	case modelwatch.TaskBinary:
		a.table.merge(&b.table)
		return a.scores.merge(&b.scores)
	case modelwatch.TaskMulticlass:
		a.classes.merge(&b.classes)
		return a.probabilities.merge(&b.probabilities)
	case modelwatch.TaskRegression:
		a.errors.merge(&b.errors)
	case modelwatch.TaskRanking:
		return a.ranking.merge(&b.ranking)
	}
	return nil
}

// Labelled returns the number of rows that were scored.
func (a *Accumulator) Labelled() int64 { return a.labelled.n }

// LabelCoverage returns the share of predictions, by weight, whose label has
// arrived, false if there were no predictions.
func (a *Accumulator) LabelCoverage() (float64, bool) {
	all := sum(a.labelled, a.unlabelled)
	if all.n == 0 {
		return 0, false
	}
	return min(a.labelled.mass()/all.mass(), 1), true
}

// Values scores the rows. With no metrics it takes those of Default. For
// classification the confusion counts always follow, so that a dashboard can
// recompute the ratios over any span: they are sums of weights. For multiclass
// each metric of a class follows its overall value, with Class set, and for
// ranking there is one value for each cut-off. A metric that the task does not
// have, or that Config.Metrics left out, comes back with the reason
// not_applicable.
//
// ConstantValue is what the best constant prediction has for these rows, chosen
// for each metric by itself; there is none where no constant has a value.
func (a *Accumulator) Values(metrics []string, opts Options) []modelwatch.Value {
	if len(metrics) == 0 {
		metrics = Default(a.config.Task)
	}
	if a.config.Task == modelwatch.TaskBinary || a.config.Task == modelwatch.TaskMulticlass {
		metrics = withConfusion(metrics)
	}
	known := Metrics(a.config.Task)
	var values []modelwatch.Value
	for _, name := range metrics {
		v := modelwatch.Value{Metric: name}
		a.rows(&v, &a.labelled)
		switch {
		case !slices.Contains(known, name) || !a.config.wants(name):
			v.Reason = modelwatch.ReasonNotApplicable
		case name == LabelCoverage:
			a.coverage(&v)
		case a.labelled.n == 0:
			v.Reason = modelwatch.ReasonNoLabels
		case a.labelled.n < opts.minimum():
			v.Reason = modelwatch.ReasonTooFew
		default:
			values = append(values, a.score(v, opts)...)
			continue
		}
		values = append(values, v)
	}
	return values
}

func withConfusion(metrics []string) []string {
	all := slices.Clone(metrics)
	for _, name := range confusion {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// rows says how many rows are behind a value, and how many they are worth if any
// row of the window has a weight.
func (a *Accumulator) rows(v *modelwatch.Value, c *count) {
	rows(v, c, a.labelled.weighted() || a.unlabelled.weighted())
}

func rows(v *modelwatch.Value, c *count, weighted bool) {
	v.NCurrent = c.n
	if weighted {
		n := c.effective()
		v.EffectiveCurrent = &n
	}
}

// coverage sets the value to the share of labelled predictions, with its interval.
func (a *Accumulator) coverage(v *modelwatch.Value) {
	all := sum(a.labelled, a.unlabelled)
	a.rows(v, &all)
	proportion(v, a.labelled, all, modelwatch.ReasonEmpty)
}

// score returns the value of a metric that the task has, and those of its
// classes.
func (a *Accumulator) score(v modelwatch.Value, opts Options) []modelwatch.Value {
	switch a.config.Task {
	case modelwatch.TaskRegression:
		a.errors.score(&v)
	case modelwatch.TaskBinary:
		a.binary(&v, opts)
	case modelwatch.TaskRanking:
		return a.ranking.score(v, a.config.Ks)
	default:
		return a.multiclass(v, opts)
	}
	return []modelwatch.Value{v}
}

func (a *Accumulator) binary(v *modelwatch.Value, opts Options) {
	switch v.Metric {
	case AUCROC, AUCPR, LogLoss, Brier, ECE:
		a.rows(v, &a.scores.all)
		switch {
		case a.scores.all.n == 0:
			v.Reason = modelwatch.ReasonNotApplicable // the model gives no scores
		case a.scores.all.n < opts.minimum():
			v.Reason = modelwatch.ReasonTooFew
		default:
			a.scores.score(v)
		}
	default:
		a.table.score(v)
	}
}
