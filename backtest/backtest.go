// Package backtest scores predictions against the truth that arrived later.
// An [Accumulator] counts joined rows and merges with others; its values are
// scikit-learn's, with a standard error or an interval beside each, and a reason
// in place of a number that cannot be computed.
package backtest

import (
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// The metrics of classification and, from RMSE on, of regression.
//
// For a binary model precision, recall and f1 are of the positive class. For a
// multiclass model they are the macro average, followed by one value per class
// with Class set; the micro and the weighted averages have names of their own.
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
			PrecisionWeighted, RecallWeighted, F1Weighted, BalancedAccuracy, MCC, LabelCoverage,
		}, confusion...)
	case modelwatch.TaskRegression:
		return []string{RMSE, MAE, MAPE, SMAPE, MSLE, R2, Bias, LabelCoverage}
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
	}
	return nil
}

// Accumulator counts joined rows. Counts and sums are exact: neither the order
// of rows nor that of merges changes a result. It is not safe for concurrent
// use.
type Accumulator struct {
	task       modelwatch.Task
	positive   string
	labelled   int64
	unlabelled int64
	classes    classes
	scores     scores
	errors     errors
}

// New returns an empty accumulator. It fails, with CodeInvalid, for a binary
// task without a positive class and for tasks that it cannot score.
func New(task modelwatch.Task, positive string) (*Accumulator, error) {
	if Metrics(task) == nil {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "a model of task %q cannot be backtested; binary, multiclass and regression can", task)
	}
	if task == modelwatch.TaskBinary && positive == "" {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "a binary model needs its positive class to be backtested")
	}
	return &Accumulator{task: task, positive: positive, classes: classes{tallies: map[string]tally{}}}, nil
}

// AddClass counts one labelled row of a classifier. It panics for regression.
func (a *Accumulator) AddClass(predicted, label string) {
	if a.task == modelwatch.TaskRegression {
		panic("backtest: AddClass to a regression")
	}
	a.labelled++
	a.classes.add(predicted, label)
}

// AddValue counts one labelled row of a regression. A row in which either is NaN
// or infinite has nothing to score and counts as unlabelled. It panics for
// classification.
func (a *Accumulator) AddValue(predicted, label float64) {
	if a.task != modelwatch.TaskRegression {
		panic(fmt.Sprintf("backtest: AddValue to a %s task", a.task))
	}
	if predicted-predicted != 0 || label-label != 0 {
		a.unlabelled++
		return
	}
	a.labelled++
	a.errors.add(predicted, label)
}

// AddScore counts the score that a binary classifier gave to one labelled row,
// for the metrics that rank or calibrate; the class that it predicted for the
// same row is for AddClass. Scores that are NaN or infinite are passed over. It panics for other
// tasks.
func (a *Accumulator) AddScore(score float64, label string) {
	if a.task != modelwatch.TaskBinary {
		panic(fmt.Sprintf("backtest: AddScore to a %s task", a.task))
	}
	if score-score == 0 {
		a.scores.add(score, label == a.positive)
	}
}

// AddUnlabelled counts predictions that have no label yet.
func (a *Accumulator) AddUnlabelled(n int64) { a.unlabelled += n }

// Merge adds what b counted. The result is that of adding b's rows to a. It
// panics if the two score different things.
func (a *Accumulator) Merge(b *Accumulator) {
	if a.task != b.task || a.positive != b.positive {
		panic(fmt.Sprintf("backtest: merge of %s %q into %s %q", b.task, b.positive, a.task, a.positive))
	}
	a.labelled += b.labelled
	a.unlabelled += b.unlabelled
	a.classes.merge(&b.classes)
	a.scores.merge(&b.scores)
	a.errors.merge(&b.errors)
}

// Labelled returns the number of rows that were scored.
func (a *Accumulator) Labelled() int64 { return a.labelled }

// LabelCoverage returns the share of predictions whose label has arrived, false
// if there were no predictions.
func (a *Accumulator) LabelCoverage() (float64, bool) {
	n := a.labelled + a.unlabelled
	if n == 0 {
		return 0, false
	}
	return float64(a.labelled) / float64(n), true
}

// Values scores the rows. With no metrics it takes those of Default. For
// classification the confusion counts always follow, so that a dashboard can
// recompute the ratios over any span; for multiclass each metric of a class
// follows its overall value, with Class set. A metric that the task does not
// have comes back with the reason not_applicable.
func (a *Accumulator) Values(metrics []string, opts Options) []modelwatch.Value {
	if len(metrics) == 0 {
		metrics = Default(a.task)
	}
	if a.task != modelwatch.TaskRegression {
		metrics = withConfusion(metrics)
	}
	known := Metrics(a.task)
	var values []modelwatch.Value
	for _, name := range metrics {
		v := modelwatch.Value{Metric: name, NCurrent: a.labelled}
		switch {
		case !slices.Contains(known, name):
			v.Reason = modelwatch.ReasonNotApplicable
		case name == LabelCoverage:
			a.coverage(&v)
		case a.labelled == 0:
			v.Reason = modelwatch.ReasonNoLabels
		case a.labelled < opts.minimum():
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

func (a *Accumulator) coverage(v *modelwatch.Value) {
	v.NCurrent = a.labelled + a.unlabelled
	if x, ok := a.LabelCoverage(); ok {
		v.Value = &x
	} else {
		v.Reason = modelwatch.ReasonEmpty
	}
}

// score returns the value of a metric that the task has, and those of its
// classes.
func (a *Accumulator) score(v modelwatch.Value, opts Options) []modelwatch.Value {
	switch a.task {
	case modelwatch.TaskRegression:
		a.errors.score(&v)
		return []modelwatch.Value{v}
	case modelwatch.TaskBinary:
		a.binary(&v, opts)
		return []modelwatch.Value{v}
	}
	return a.multiclass(v, opts)
}

func (a *Accumulator) binary(v *modelwatch.Value, opts Options) {
	switch v.Metric {
	case AUCROC, AUCPR, LogLoss, Brier, ECE:
		v.NCurrent = a.scores.n
		switch {
		case a.scores.n == 0:
			v.Reason = modelwatch.ReasonNotApplicable // the model gives no scores
		case a.scores.n < opts.minimum():
			v.Reason = modelwatch.ReasonTooFew
		default:
			a.scores.score(v)
		}
	default:
		a.classes.table(a.positive, a.labelled).score(v)
	}
}
