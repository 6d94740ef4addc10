package backtest

import "math"

// joint are the shares of a confusion matrix: of each pair of a predicted class
// and a label that occurs, and the margins.
type joint struct {
	n                            float64 // effective
	pairs                        []pair
	correct, predicted, labelled []float64 // by class
}

type pair struct {
	predicted, label int
	share            float64
}

// slope is the derivative of a metric by the share of a pair.
type slope func(predicted, label int) float64

// standardError of a metric is sqrt((sum p g^2 - (sum p g)^2) / n), g being the
// slopes: the delta method for multinomial counts (Bishop, Fienberg and Holland
// 1975, 14.6).
func (j *joint) standardError(g slope) float64 {
	var first, second float64
	for _, p := range j.pairs {
		d := g(p.predicted, p.label)
		first += p.share * d
		second += p.share * d * d
	}
	return math.Sqrt(max(second-first*first, 0) / j.n)
}

func hit(predicted, label int) float64 {
	if predicted == label {
		return 1
	}
	return 0
}

// mccValue is Gorodkin's R_K, Matthews' correlation for many classes
// (Gorodkin 2004).
func (j *joint) mccValue() float64 {
	var c, pt float64
	for i := range j.correct {
		c += j.correct[i]
		pt += j.predicted[i] * j.labelled[i]
	}
	x := (c - pt) / (math.Sqrt(j.spread(j.predicted)) * math.Sqrt(j.spread(j.labelled)))
	return min(max(x, -1), 1)
}

// spread is 1 - sum p^2.
func (j *joint) spread(margin []float64) float64 {
	s := 0.0
	for _, p := range margin {
		s += p * (1 - p)
	}
	return s
}

func (j *joint) mccSlope(x float64) slope {
	a, b := j.spread(j.predicted), j.spread(j.labelled)
	scale := math.Sqrt(a) * math.Sqrt(b)
	return func(p, l int) float64 {
		return (hit(p, l)-j.labelled[p]-j.predicted[l])/scale + x*(j.predicted[p]/a+j.labelled[l]/b)
	}
}

// average is the mean of a metric over the classes for which it is defined,
// weighted by their labels or not, with its slope; false if there are none.
func (j *joint) average(metric string, weighted bool) (float64, slope, bool) {
	values, weights := make([]float64, len(j.correct)), make([]float64, len(j.correct))
	var total, sum float64
	for i := range values {
		below := j.below(metric, i)
		if below == 0 {
			continue
		}
		values[i] = min(j.above(metric, i)/below, 1)
		weights[i] = 1
		if weighted {
			weights[i] = j.labelled[i]
		}
		total += weights[i]
		sum += weights[i] * values[i]
	}
	if total == 0 {
		return 0, nil, false
	}
	x := min(sum/total, 1)
	return x, func(p, l int) float64 {
		d := j.classSlope(metric, p, p, l, values[p]) * weights[p]
		if p != l {
			d += j.classSlope(metric, l, p, l, values[l]) * weights[l]
		}
		if weighted && j.below(metric, l) > 0 {
			d += values[l] - x // more labels of l, more weight
		}
		return d / total
	}, true
}

// above and below are the parts of the ratio that a metric of a class is.
func (j *joint) above(metric string, class int) float64 {
	if metric == F1 {
		return 2 * j.correct[class]
	}
	return j.correct[class]
}

func (j *joint) below(metric string, class int) float64 {
	switch metric {
	case Precision:
		return j.predicted[class]
	case Recall:
		return j.labelled[class]
	}
	return j.predicted[class] + j.labelled[class]
}

// classSlope is the derivative of a class's metric x by the share of the pair
// (p, l).
func (j *joint) classSlope(metric string, class, p, l int, x float64) float64 {
	var above, below float64
	asPredicted, asLabel := hit(class, p), hit(class, l)
	switch metric {
	case Precision:
		above, below = asPredicted*asLabel, asPredicted
	case Recall:
		above, below = asPredicted*asLabel, asLabel
	default:
		above, below = 2*asPredicted*asLabel, asPredicted+asLabel
	}
	if below == 0 {
		return 0
	}
	return (above - x*below) / j.below(metric, class)
}
