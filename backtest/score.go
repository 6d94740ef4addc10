package backtest

import (
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// scores counts the scores of a binary classifier.
type scores struct {
	ranked  *scoredRows // nil: nothing that ranks is wanted
	all     count
	outside int64 // rows whose score is not in [0, 1]: no probability
	lossy   bool  // log_loss is wanted
	graded  bool  // brier or ece is
	loss    moments
	brier   moments
	bins    calibration

	positives count
}

func (s *scores) add(score float64, positive bool, w *weight) error {
	s.all.add(w)
	y := 0.0
	if positive {
		s.positives.add(w)
		y = 1
	}
	if !(score >= 0 && score <= 1) {
		s.outside++
	} else {
		if s.graded {
			s.brier.add((score-y)*(score-y), w)
			s.bins.add(score, positive, w)
		}
		if s.lossy {
			s.loss.add(logLoss(score, positive), w)
		}
	}
	if s.ranked != nil {
		return s.ranked.add(score, positive, w)
	}
	return nil
}

// addRows is add for rows of weight 1.
func (s *scores) addRows(scores []float64, positive bool) error {
	s.all.addRows(len(scores))
	y := float64(index(positive))
	if positive {
		s.positives.addRows(len(scores))
	}
	w, inside := one(), [calibrationBins]int{}
	for _, score := range scores {
		if !(score >= 0 && score <= 1) {
			s.outside++
			continue
		}
		if s.graded {
			s.brier.add((score-y)*(score-y), &w)
			k := binOf(score)
			s.bins[k].sum.Add(score)
			inside[k]++
		}
		if s.lossy {
			s.loss.add(logLoss(score, positive), &w)
		}
	}
	s.bins.addRows(&inside, positive)
	if s.ranked != nil {
		return s.ranked.addRows(scores, positive)
	}
	return nil
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

func (s *scores) merge(t *scores) error {
	s.all.merge(&t.all)
	s.positives.merge(&t.positives)
	s.outside += t.outside
	s.loss.merge(&t.loss)
	s.brier.merge(&t.brier)
	s.bins.merge(&t.bins)
	if s.ranked != nil {
		return s.ranked.merge(t.ranked)
	}
	return nil
}

// score sets the value of a metric of scores.
//
//	log_loss  mean -ln of the probability given to what happened
//	brier     mean (score - y)^2
func (s *scores) score(v *modelwatch.Value) {
	p := s.positives.mass() / s.all.mass()
	switch {
	case v.Metric == AUCROC:
		s.ranked.auc(v)
	case v.Metric == AUCPR:
		s.ranked.averagePrecision(v)
	case s.outside > 0:
		v.Reason = modelwatch.ReasonNotApplicable
	case v.Metric == LogLoss:
		s.loss.set(v, &s.all, 0, math.Inf(1))
		constant(v, entropy(p)+entropy(1-p))
	case v.Metric == Brier:
		s.brier.set(v, &s.all, 0, 1)
		constant(v, p*(1-p))
	case v.Metric == ECE:
		s.bins.score(v, &s.all, &s.brier)
	}
}

func entropy(p float64) float64 {
	if p <= 0 {
		return 0
	}
	return -p * math.Log(p)
}

// calibrationBins is the number of equal-width bins of ece.
const calibrationBins = 10

// calibration are equal-width bins of a probability, the last closed on both
// sides.
type calibration [calibrationBins]calibrationBin

type calibrationBin struct {
	all, hits mass
	sum       profile.Sum
}

func (c *calibration) add(p float64, hit bool, w *weight) {
	b := &c[binOf(p)]
	b.all.add(&w.mass)
	if w.value == 1 {
		b.sum.Add(p)
	} else {
		addProduct(&b.sum, p, w.value)
	}
	if hit {
		b.hits.add(&w.mass)
	}
}

func binOf(p float64) int { return min(int(p*calibrationBins), calibrationBins-1) }

// addRows counts rows of weight 1, so many a bin.
func (c *calibration) addRows(rows *[calibrationBins]int, hit bool) {
	for k, n := range rows {
		m := massOfRows(n)
		c[k].all.add(&m)
		if hit {
			c[k].hits.add(&m)
		}
	}
}

func (c *calibration) merge(o *calibration) {
	for i := range c {
		c[i].all.add(&o[i].all)
		c[i].hits.add(&o[i].hits)
		c[i].sum.Merge(&o[i].sum)
	}
}

// score sets the value of ece, the expected calibration error (Naeini, Cooper and
// Hauskrecht 2015): the mean over rows of |share of hits - mean probability| of
// their bin. As long as no bin is at 0, a row adds +-(y - p) - ece to n times
// the error, so that the standard error is sqrt((q - ece^2) / n), q being
// the mean of (y - p)^2.
func (c *calibration) score(v *modelwatch.Value, all *count, squares *moments) {
	var x float64
	for i := range c {
		b := &c[i]
		if w := b.all.float(); w > 0 {
			x += w / all.mass() * math.Abs(b.hits.float()/w-ratio(b.sum.Exact(), b.all.exact()))
		}
	}
	x = min(x, 1)
	v.Value = &x
	constant(v, 0)
	if n := all.effective(); n > 1 {
		normal(v, math.Sqrt(max(squares.mean(all)-x*x, 0)/n), 0, 1)
	}
}
