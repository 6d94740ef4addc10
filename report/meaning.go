package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// meanings says in a line what a metric is, in the order in which they are shown.
var meanings = []struct{ metric, text string }{
	{"psi", "Population stability index over the drift bins. 0 is no change; 0.1 and 0.25 are the customary limits. It has no upper end."},
	{"js_distance", "Jensen-Shannon distance over the drift bins, 0 (the same) to 1 (no value in common)."},
	{"js_divergence", "Jensen-Shannon divergence in bits: the square of js_distance."},
	{"kl", "Kullback-Leibler divergence of the current values from the baseline, in nats."},
	{"hellinger", "Hellinger distance over the drift bins, 0 to 1."},
	{"tvd", "Total variation distance: the share of values that would have to change bins, 0 to 1."},
	{"l_infinity", "The largest difference of shares in one drift bin, 0 to 1."},
	{"chi2", "Pearson's chi-square statistic of homogeneity over the drift bins."},
	{"chi2_p", "P-value of chi2: small is drift."},
	{"ks", "Kolmogorov-Smirnov statistic: the largest gap between the cumulative curves, 0 to 1."},
	{"ks_p", "P-value of ks, two-sided: small is drift."},
	{"wasserstein", "Wasserstein distance: the area between the cumulative curves, in the column's unit."},
	{"wasserstein_scaled", "Wasserstein distance over the baseline's standard deviation."},
	{"mean_shift", "Difference of the means over the baseline's standard deviation; its sign is the direction."},
	{"missing_ratio", "Share of the current rows without a value."},
	{"invalid_ratio", "Share of the current rows with something that is no value of the column's type or range."},
	{"new_category_ratio", "Share of the current values that the baseline did not hold."},
	{"out_of_range_ratio", "Share of the current rows outside of the declared range."},
	{"ndcg", "Agreement of the order of attributions with the baseline's; 1 is the same order, under 0.90 is customary to alert."},
	{"drifted_features", "Number of columns over a threshold."},
	{"drifted_share", "Share of the measured columns that are over a threshold."},
	{"accuracy", "Share of the predictions that are right."},
	{"precision", "Share of the predicted positives that are positive."},
	{"recall", "Share of the positives that are predicted as such."},
	{"f1", "Harmonic mean of precision and recall."},
	{"specificity", "Share of the negatives that are predicted as such."},
	{"balanced_accuracy", "Mean of the recalls of the classes."},
	{"mcc", "Matthews correlation coefficient, -1 to 1; 0 is chance."},
	{"true_positives", "Number of positives that are predicted as such."},
	{"false_positives", "Number of negatives that are predicted as positive."},
	{"true_negatives", "Number of negatives that are predicted as such."},
	{"false_negatives", "Number of positives that are predicted as negative."},
	{"auc_roc", "Probability that a positive is scored above a negative; 0.5 is chance."},
	{"auc_pr", "Average precision over the recalls; the share of positives is chance."},
	{"log_loss", "Mean negative log-likelihood of the truth, in nats: lower is better."},
	{"brier", "Mean squared error of the probability: lower is better."},
	{"ece", "Expected calibration error: how far probabilities are from frequencies, lower is better."},
	{"rmse", "Root of the mean squared error, in the label's unit: lower is better."},
	{"mae", "Mean absolute error, in the label's unit: lower is better."},
	{"mape", "Mean absolute error over the absolute truth: lower is better."},
	{"smape", "Mean absolute error over the mean of prediction and truth: lower is better."},
	{"msle", "Mean squared error of the logarithms: lower is better."},
	{"r2", "Share of the label's variance that is explained; 0 is a constant prediction, 1 is perfect."},
	{"bias", "Mean of prediction less truth: over 0 is too high."},
	{"quantile_error", "Mean pinball loss of a quantile: lower is better."},
	{"ndcg_at_k", "Discounted gain of the first k over the best order; 1 is perfect."},
	{"map_at_k", "Mean average precision of the first k."},
	{"mrr", "Mean of one over the rank of the first relevant row."},
	{"recall_at_k", "Share of the relevant rows among the first k."},
	{"label_coverage", "Share of the predictions whose label has arrived."},
}

// variants are the endings that make one metric of another.
var variants = []struct{ ending, text string }{
	{"_max", "The largest %s among the features."},
	{"_micro", "%s with the rows of all classes counted together."},
	{"_weighted", "Mean of %s over the classes, weighted by their labels."},
}

// meaning says what a metric is, "" where it is not known.
func meaning(metric string) string {
	i, variant := position(metric)
	switch {
	case i == len(meanings):
		return ""
	case variant > 0:
		return fmt.Sprintf(variants[variant-1].text, meanings[i].metric)
	}
	return meanings[i].text
}

// meaningOver says what a metric of a group, or of the model, is: the mean of
// that of its features, unless it is one of its own.
func meaningOver(metric string) string {
	i, variant := position(metric)
	if i == len(meanings) || variant > 0 || metric == "drifted_features" || metric == "drifted_share" || metric == "ndcg" {
		return meaning(metric)
	}
	return "Mean of " + metric + " over the features, weighted by their importance."
}

// position is where a metric stands among meanings, unknown ones last, and which
// variant it is: 0 the metric itself.
func position(metric string) (at, variant int) {
	find := func(name string) int {
		for i := range meanings {
			if meanings[i].metric == name {
				return i
			}
		}
		return len(meanings)
	}
	if at = find(metric); at < len(meanings) {
		return at, 0
	}
	for i, v := range variants {
		if base, ok := strings.CutSuffix(metric, v.ending); ok && find(base) < len(meanings) {
			return find(base), i + 1
		}
	}
	return len(meanings), 0
}

// comparePositions puts metrics in the order of documentation, unknown ones last.
func comparePositions(a, b string) int {
	i, v := position(a)
	j, w := position(b)
	return cmp.Or(cmp.Compare(i, j), cmp.Compare(v, w))
}

// inOrder sorts the metrics as they are documented, unknown ones last by name.
func inOrder(keys []seriesKey) []seriesKey {
	slices.SortFunc(keys, func(a, b seriesKey) int {
		return cmp.Or(comparePositions(a.metric, b.metric), compareSeries(a, b))
	})
	return keys
}
