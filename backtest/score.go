package backtest

import (
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// MaxScores is the number of distinct scores up to which ranking metrics are
// exact. With more, scores that agree in their leading bits are counted
// together, and the metrics come with bounds.
const MaxScores = 1 << 16

// calibrationBins is the number of equal-width bins of ece.
const calibrationBins = 10

// scores counts the scores of a binary classifier. What it holds depends on the
// rows alone, not on their order: cells are merged exactly when the coarseness
// before has more than MaxScores of them.
type scores struct {
	n     int64
	cells map[uint64]outcome // by ordered bits of the score, without the lowest
	drop  uint               // how many bits are dropped

	unbounded bool // a score was outside of [0, 1]: no probability
	loss      moments
	brier     moments
	bins      [calibrationBins]calibrationBin
}

type outcome struct{ positive, negative int64 }

type calibrationBin struct {
	n, positive int64
	sum         profile.Sum
}

func (s *scores) add(score float64, positive bool) {
	s.n++
	s.count(orderedBits(score)>>s.drop, outcomeOf(positive))
	if !(score >= 0 && score <= 1) {
		s.unbounded = true
		return
	}
	y := 0.0
	if positive {
		y = 1
	}
	s.brier.add((score - y) * (score - y))
	s.loss.add(logLoss(score, positive))
	b := &s.bins[min(int(score*calibrationBins), calibrationBins-1)]
	b.n++
	b.sum.Add(score)
	if positive {
		b.positive++
	}
}

func outcomeOf(positive bool) outcome {
	if positive {
		return outcome{positive: 1}
	}
	return outcome{negative: 1}
}

// logLoss clips the probability to [eps, 1-eps] with the eps of a double, as
// scikit-learn does.
func logLoss(score float64, positive bool) float64 {
	const eps = 0x1p-52
	score = min(max(score, eps), 1-eps)
	if positive {
		return -math.Log(score)
	}
	return -math.Log1p(-score)
}

// orderedBits ascends with the score; -0 is 0.
func orderedBits(score float64) uint64 {
	b := math.Float64bits(score + 0)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

func (s *scores) count(key uint64, by outcome) {
	if s.cells == nil {
		s.cells = map[uint64]outcome{}
	}
	o := s.cells[key]
	s.cells[key] = outcome{o.positive + by.positive, o.negative + by.negative}
	if len(s.cells) > MaxScores {
		s.coarsen(s.surplus())
	}
}

// surplus returns the least number of bits to drop that leaves MaxScores cells:
// dropping k keeps apart those neighbours that differ in a higher bit.
func (s *scores) surplus() uint {
	keys := slices.Sorted(maps.Keys(s.cells))
	var apart [65]int // neighbours by the length of what they differ in
	for i, key := range keys[1:] {
		apart[bits.Len64(key^keys[i])]++
	}
	cells, drop := len(keys), uint(0)
	for ; cells > MaxScores; drop++ {
		cells -= apart[drop+1]
	}
	return drop
}

func (s *scores) coarsen(by uint) {
	coarse := make(map[uint64]outcome, len(s.cells)/2)
	for key, o := range s.cells {
		c := coarse[key>>by]
		coarse[key>>by] = outcome{c.positive + o.positive, c.negative + o.negative}
	}
	s.cells, s.drop = coarse, s.drop+by
}

func (s *scores) merge(t *scores) {
	s.n += t.n
	s.unbounded = s.unbounded || t.unbounded
	s.loss.merge(&t.loss)
	s.brier.merge(&t.brier)
	for i := range s.bins {
		s.bins[i].n += t.bins[i].n
		s.bins[i].positive += t.bins[i].positive
		s.bins[i].sum.Merge(&t.bins[i].sum)
	}
	if t.drop > s.drop {
		s.coarsen(t.drop - s.drop)
	}
	for key, o := range t.cells {
		// The drop of s may grow on the way, and t's keys are coarser by less.
		s.count(key>>(s.drop-t.drop), o)
	}
}

// ranked lists the cells from the lowest score to the highest.
func (s *scores) ranked() (cells []outcome, positives, negatives int64) {
	cells = make([]outcome, 0, len(s.cells))
	for _, key := range slices.Sorted(maps.Keys(s.cells)) {
		o := s.cells[key]
		cells = append(cells, o)
		positives, negatives = positives+o.positive, negatives+o.negative
	}
	return cells, positives, negatives
}

// score sets the value of a metric of scores.
func (s *scores) score(v *modelwatch.Value) {
	cells, positives, negatives := s.ranked()
	probability := v.Metric == LogLoss || v.Metric == Brier || v.Metric == ECE
	switch {
	case probability && s.unbounded:
		v.Reason = modelwatch.ReasonNotApplicable
	case v.Metric == LogLoss:
		s.loss.set(v, s.n, 0, math.Inf(1))
	case v.Metric == Brier:
		s.brier.set(v, s.n, 0, 1)
	case v.Metric == ECE:
		s.ece(v)
	case positives == 0 && v.Metric == AUCPR:
		v.Reason = modelwatch.ReasonNoPositive
	case v.Metric == AUCPR:
		s.averagePrecision(v, cells, positives)
	case positives == 0 || negatives == 0:
		v.Reason = modelwatch.ReasonSingleClass
	default:
		s.auc(v, cells, positives, negatives)
	}
}

// ece is the expected calibration error: over ten equal-width bins of the score
// (the last closed on both sides), the mean of |share of positives - mean score|
// weighted by rows.
func (s *scores) ece(v *modelwatch.Value) {
	var x float64
	for i := range s.bins {
		if b := &s.bins[i]; b.n > 0 {
			n := float64(b.n)
			x += n / float64(s.n) * math.Abs(float64(b.positive)/n-b.sum.Mean(b.n))
		}
	}
	v.Value = &x
}

// auc is the probability that a positive scores above a negative, ties counting
// half (scikit-learn's roc_auc_score). Its standard error is DeLong's (DeLong,
// DeLong and Clarke-Pearson 1988). Where scores are counted together, Lower and
// Upper are what every order within the cells allows; else they are the 95 %
// interval.
func (s *scores) auc(v *modelwatch.Value, cells []outcome, positives, negatives int64) {
	p, n := float64(positives), float64(negatives)
	var wins, ties, pp, nn float64 // pp, nn: sums of squared placements
	var below outcome
	for _, c := range cells {
		k, l := float64(c.positive), float64(c.negative)
		wins += k * float64(below.negative)
		ties += k * l
		a := (float64(below.negative) + l/2) / n         // of each positive here
		b := (p - float64(below.positive) - k + k/2) / p // of each negative here
		pp, nn = pp+k*a*a, nn+l*b*b
		below = outcome{below.positive + c.positive, below.negative + c.negative}
	}
	x := (wins + ties/2) / (p * n)
	v.Value = &x
	if positives > 1 && negatives > 1 {
		variance := max(pp/p-x*x, 0)/(p-1) + max(nn/n-x*x, 0)/(n-1)
		normal(v, math.Sqrt(variance), 0, 1)
	}
	if s.drop > 0 {
		lower, upper := wins/(p*n), (wins+ties)/(p*n)
		v.Lower, v.Upper = &lower, &upper
	}
}

// averagePrecision is the sum of precision times the step in recall, from the
// highest score down, equal scores stepped together (scikit-learn's
// average_precision_score). Where scores are counted together, Lower and Upper
// are what every order within the cells allows.
func (s *scores) averagePrecision(v *modelwatch.Value, cells []outcome, positives int64) {
	var x, lower, upper, tp, fp float64
	for _, c := range slices.Backward(cells) {
		k, l := float64(c.positive), float64(c.negative)
		if k > 0 {
			x += k * (tp + k) / (tp + k + fp + l)
		}
		if s.drop > 0 {
			for j := 1.0; j <= k; j++ {
				upper += (tp + j) / (tp + j + fp)
				lower += (tp + j) / (tp + j + fp + l)
			}
		}
		tp, fp = tp+k, fp+l
	}
	p := float64(positives)
	x, lower, upper = min(x/p, 1), lower/p, min(upper/p, 1)
	v.Value = &x
	if s.drop > 0 {
		lower, upper = min(lower, x), max(upper, x)
		v.Lower, v.Upper = &lower, &upper
	}
}
