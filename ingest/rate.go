package ingest

import (
	"time"

	"github.com/modelwatch/modelwatch"
)

// rateStep is a sampling rate and from which event time on it holds.
type rateStep struct {
	from  int64 // microseconds
	rate  float64
	limit int64 // ranks below it are kept
}

// steps are the rates of a version; where it has none of its own, the one that is
// configured.
func (vs *versions) steps(stored *modelwatch.Version) []rateStep {
	rates := stored.Rates
	if len(rates) == 0 {
		first := modelwatch.RateStep{Rate: stored.SamplingRate}
		if !stored.Registered {
			first.Rate = 0
		}
		rates = []modelwatch.RateStep{first}
	}
	out := make([]rateStep, len(rates))
	for i, r := range rates {
		if !(r.Rate > 0) {
			r.Rate = vs.rate
		}
		out[i] = rateStep{rate: r.Rate, limit: modelwatch.RankLimit(r.Rate)}
		if i > 0 {
			out[i].from = r.From.UnixMicro()
		}
	}
	return out
}

// rateHorizon is how long after its prediction or input an attribution or output
// may come and still be kept with it, although the rate has fallen in between.
const rateHorizon = 24 * time.Hour

// rateOf is the rate for an event. It depends on event time alone, so the events
// of one request are kept or not together, and again when they are read again.
// Labels are always kept: they are few, and may come before anybody knows which
// predictions were. What follows an input or a prediction is kept at the highest
// rate of the day before it, at which that may have been kept.
func (v *version) rateOf(kind modelwatch.Kind, micros int64) rateStep {
	switch kind {
	case modelwatch.KindLabel:
		return rateStep{rate: 1, limit: 1 << modelwatch.RankBits}
	case modelwatch.KindAttribution, modelwatch.KindOutput:
		return v.highestRate(micros-rateHorizon.Microseconds(), micros)
	}
	i := len(v.rates) - 1
	for i > 0 && micros < v.rates[i].from {
		i--
	}
	return v.rates[i]
}

// highestRate is the highest rate in force at any time of [from, to].
func (v *version) highestRate(from, to int64) rateStep {
	var best rateStep
	for i, s := range v.rates {
		ended := i+1 < len(v.rates) && v.rates[i+1].from <= from
		if !ended && (i == 0 || s.from <= to) && s.limit >= best.limit {
			best = s
		}
	}
	return best
}
