package modelwatch

import (
	"math"
	"strings"
)

// Worse says which way a metric moves when things get worse.
type Worse int

// The directions.
const (
	WorseBoth Worse = iota // neither end is good: a signed metric, or one that is not known
	WorseUp
	WorseDown
)

// Scale is the range of a metric and which end of it is bad.
type Scale struct {
	Low, High float64 // infinite where there is no end
	Worse     Worse
}

var inf = math.Inf(1)

// The scales of metrics, by the names without the parts that ScaleOf takes off.
var (
	share       = Scale{0, 1, WorseUp}
	quality     = Scale{0, 1, WorseDown}
	nonNegative = Scale{0, inf, WorseUp}

	scales = map[string]Scale{
		"psi": nonNegative, "js_distance": share, "js_divergence": share, "kl": nonNegative, "hellinger": share, "tvd": share, "l_infinity": share,
		"chi2": nonNegative, "chi2_p": quality, "ks": share, "ks_p": quality, "wasserstein": nonNegative, "wasserstein_scaled": nonNegative,
		"mean_shift":    {-inf, inf, WorseBoth},
		"missing_ratio": share, "invalid_ratio": share, "new_category_ratio": share, "out_of_range_ratio": share,
		"drifted_features": nonNegative, "drifted_share": share,

		"accuracy": quality, "precision": quality, "recall": quality, "f1": quality, "specificity": quality, "balanced_accuracy": quality,
		"mcc":     {-1, 1, WorseDown},
		"auc_roc": quality, "auc_pr": quality, "log_loss": nonNegative, "brier": share, "ece": share,
		"true_positives": {0, inf, WorseBoth}, "true_negatives": {0, inf, WorseBoth}, "false_positives": nonNegative, "false_negatives": nonNegative,
		"rmse": nonNegative, "mae": nonNegative, "mape": nonNegative, "smape": nonNegative, "msle": nonNegative, "quantile_error": nonNegative,
		"r2": {-inf, 1, WorseDown}, "bias": {-inf, inf, WorseBoth},
		"ndcg": quality, "ndcg_at_k": quality, "map_at_k": quality, "mrr": quality, "recall_at_k": quality,
		"label_coverage": quality,
	}
)

// ScaleOf returns the scale of a metric. An average (precision_macro), a maximum
// (psi_max) and an estimate (estimated_accuracy) have that of what they are of. A metric
// that is not known has no range, and neither of its ends is good.
func ScaleOf(metric string) Scale {
	metric = strings.TrimPrefix(metric, "estimated_")
	if s, ok := scales[metric]; ok {
		return s
	}
	for _, suffix := range [...]string{"_macro", "_micro", "_weighted", "_max"} {
		if base, ok := strings.CutSuffix(metric, suffix); ok {
			if s, ok := scales[base]; ok {
				return s
			}
		}
	}
	return Scale{-inf, inf, WorseBoth}
}
